import pytest
import torch
from torch.nn.functional import log_softmax

from rlvr_world.nn.language_model import LanguageModel
from rlvr_world.nn.transformer import Transformer
from rlvr_world.rl.decode import draw, truncate
from rlvr_world.rl.sampler import Sampler
from rlvr_world.types import TokenSequence

VOCAB, LEGAL = 23, torch.arange(23) < 17


def template(pattern: str, rows: int = 2) -> TokenSequence:
    """Random given tokens where the pattern has a dot, blanks where it has an underscore."""
    mask = torch.tensor([mark == "_" for mark in pattern]).repeat(rows, 1)
    return TokenSequence(torch.randint(VOCAB, mask.shape).masked_fill(mask, 0), mask)


@pytest.fixture
def model():
    torch.manual_seed(0)
    return Transformer(VOCAB, dim=32, depth=2, heads=4)


@pytest.mark.parametrize("pattern", ["....____", "...__..__.__", "._", "..._._..._"])
def test_log_probs_equal_teacher_forcing_and_given_tokens_stay(model, pattern):
    blank = template(pattern)
    sequence, log_probs = Sampler()(model, blank, LEGAL, 5, torch.Generator().manual_seed(1))
    ids, mask, _ = sequence
    assert torch.equal(ids[~mask], blank.repeat(5).ids[~mask])
    assert LEGAL[ids[mask]].all()
    logits = model.logits(model(ids)).masked_fill(~LEGAL, float("-inf"))
    expected = log_softmax(logits[:, :-1], -1).gather(2, ids[:, 1:, None]).squeeze(2)
    expected = torch.where(mask[:, 1:], expected, 0.0)
    torch.testing.assert_close(log_probs[:, 1:], expected, atol=1e-4, rtol=0)
    assert (log_probs[:, 0] == 0).all()


def test_weights_that_have_diverged_are_said(model):
    with torch.no_grad():
        next(model.parameters()).fill_(float("nan"))
    with pytest.raises(ValueError, match="no finite probabilities: its weights have diverged"):
        Sampler()(model, template("..__"), LEGAL)


def test_same_seed_gives_the_same_tokens_and_another_seed_others(model):
    draws = [
        Sampler()(model, template(".." + "_" * 20), LEGAL, 4, torch.Generator().manual_seed(seed))
        for torch_seed, seed in ((3, 7), (3, 7), (3, 8))
        if torch.manual_seed(torch_seed)
    ]
    assert torch.equal(draws[0][0].ids, draws[1][0].ids)
    assert not torch.equal(draws[0][0].ids, draws[2][0].ids)


def drawn(model, blank, group=4, **settings):
    generator = torch.Generator().manual_seed(5)
    return Sampler(**settings)(model, blank, LEGAL, group, generator)


@pytest.fixture(params=[4, 2, "llama"], ids=["heads", "grouped heads", "transformers"])
def any_model(request):
    torch.manual_seed(0)
    if request.param == "llama":
        sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
                 "num_attention_heads": 4, "num_key_value_heads": 2}  # fmt: skip
        return LanguageModel(VOCAB, architecture={"model_type": "llama", **sizes}).eval()
    return Transformer(VOCAB, dim=32, depth=2, heads=4, kv_heads=request.param)


def drawn_without_cache(model, blank, group):
    """The same tokens by the shortest way: the whole row through the model for each of them."""
    ids, mask, _ = blank.repeat(group)
    columns = mask[0].nonzero().flatten().tolist()
    generator = torch.Generator().manual_seed(5)
    shape = (len(ids), len(columns))
    uniforms = torch.rand(shape, generator=generator, dtype=torch.float64)
    for index, column in enumerate(columns):
        logits = model.logits(model(ids[:, :column])[:, -1]).masked_fill(~LEGAL, float("-inf"))
        ids[:, column] = draw(logits.softmax(-1), uniforms[:, index])
    return ids


@pytest.mark.parametrize(
    "pattern", ["....____", "...__..__.__", "._", "..._..._..._", ".__......__"]
)
def test_tokens_equal_those_drawn_without_any_cache(any_model, pattern):
    blank = template(pattern, rows=3)
    assert torch.equal(drawn(any_model, blank)[0].ids, drawn_without_cache(any_model, blank, 4))


@pytest.mark.parametrize("pattern", ["......______", "...__..__.__"])
def test_sharing_the_prompt_changes_nothing(any_model, pattern):
    """A group from one prompt, and the same rows each from a prompt of its own."""
    blank = template(pattern, rows=3)
    shared, log_probs = drawn(any_model, blank, group=4)
    apart, expected = drawn(any_model, blank.repeat(4), group=1)
    assert torch.equal(shared.ids, apart.ids)
    torch.testing.assert_close(log_probs, expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("budget", [90, 40, 17, 1])
@pytest.mark.parametrize("pattern", ["......______", "...__..__.__"])
def test_a_token_budget_changes_nothing(any_model, pattern, budget):
    blank = template(pattern, rows=3)
    whole, expected = drawn(any_model, blank)
    parts, log_probs = drawn(any_model, blank, token_budget=budget)
    assert torch.equal(whole.ids, parts.ids)
    torch.testing.assert_close(log_probs, expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("block", [1, 2, 5])
@pytest.mark.parametrize("pattern", ["......______", "...__....__.__.._", "..__......_"])
def test_how_the_cache_is_cut_changes_nothing(any_model, pattern, block, monkeypatch):
    blank = template(pattern, rows=3)
    whole = drawn(any_model, blank)
    monkeypatch.setattr("rlvr_world.nn.attention.BLOCK", block)
    cut = drawn(any_model, blank)
    assert torch.equal(cut[0].ids, whole[0].ids)
    torch.testing.assert_close(cut[1], whole[1], atol=1e-5, rtol=0)


@pytest.mark.parametrize("pattern", ["......______", "...__..__.__"])
def test_a_static_cache_changes_nothing(any_model, pattern, monkeypatch):
    """What a compiled or recorded step runs, without the compiler."""
    blank = template(pattern, rows=3)._replace(padding=torch.tensor([0, 2, 1]))
    grown, expected = drawn(any_model, blank)
    monkeypatch.setattr(Sampler, "static", lambda *_: True)
    fixed, log_probs = drawn(any_model, blank)
    assert torch.equal(grown.ids, fixed.ids)
    torch.testing.assert_close(log_probs, expected, atol=1e-4, rtol=0)


@pytest.mark.slow
def test_compiling_changes_nothing(any_model):
    blank = template("......______", rows=3)
    eager, expected = drawn(any_model, blank)
    compiled, log_probs = drawn(any_model, blank, compiled=True)
    assert torch.equal(eager.ids, compiled.ids)
    torch.testing.assert_close(log_probs, expected, atol=1e-4, rtol=0)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
@pytest.mark.parametrize("compiled", [False, True])
def test_recording_on_a_gpu_changes_nothing(any_model, compiled):
    blank = template("...__..__.__", rows=3)
    eager, expected = drawn(any_model, blank, temperature=0)
    place = any_model.cuda(), TokenSequence(*(field.cuda() for field in blank[:2]))
    sampler = Sampler(temperature=0, compiled=compiled)
    recorded, log_probs = sampler(*place, LEGAL.cuda(), 4)
    assert torch.equal(eager.ids, recorded.ids.cpu())
    torch.testing.assert_close(log_probs.cpu(), expected, atol=1e-3, rtol=0)


def test_padded_prompts_equal_their_rows_without_padding(any_model):
    """Attention depends on distances alone, so padding may move a row but not change it."""
    blank = template("......______", rows=3)._replace(padding=torch.tensor([0, 3, 5]))
    sequence, log_probs = drawn(any_model, blank, group=2)
    for ids, mask, padding, found in zip(*sequence, log_probs, strict=True):
        alone = ids[padding:]
        logits = any_model.logits(any_model(alone[None]))[0].masked_fill(~LEGAL, float("-inf"))
        expected = log_softmax(logits[:-1], -1).gather(1, alone[1:, None])[:, 0]
        wanted = mask[padding:][1:]
        torch.testing.assert_close(found[padding:][1:][wanted], expected[wanted], atol=1e-4, rtol=0)


def test_rows_end_at_the_end_token(model):
    blank, end = template("...." + "_" * 40, rows=2), 3
    generator = torch.Generator().manual_seed(0)
    sequence, log_probs = Sampler()(model, blank, LEGAL, 8, generator, end_token=end)
    lengths = sequence.target_mask.sum(1)
    assert lengths.min() < 40
    for ids, mask, length, found in zip(*sequence[:2], lengths, log_probs, strict=True):
        stop = 4 + int(length)
        assert mask[4:stop].all()
        assert not mask[stop:].any()
        assert (ids[4 : stop - 1] != end).all()
        assert (ids[stop:] == end).all()
        assert (found[stop:] == 0).all()
        assert (found[4:stop] < 0).all()
        if stop < 44:
            assert ids[stop - 1] == end


def test_sampling_stops_when_all_rows_have_ended(model):
    """Only the end token is legal, so no row needs a second step."""
    passes = []
    model.register_forward_hook(lambda *_: passes.append(1))
    only_end = torch.arange(VOCAB) == 3
    Sampler()(model, template("...." + "_" * 40), only_end, 8, end_token=3)
    assert len(passes) == 1


def test_samples_follow_the_model_distribution(model):
    blank = template("..._", rows=1)
    sequence, _ = Sampler()(model, blank, LEGAL, 20_000, torch.Generator().manual_seed(0))
    logits = model.logits(model(blank.ids))[0, 2].masked_fill(~LEGAL, float("-inf"))
    expected = logits.softmax(-1)
    counts = torch.bincount(sequence.ids[:, 3], minlength=VOCAB) / 20_000
    assert (counts - expected).abs().max() < 4 * (expected.max() / 20_000).sqrt()


def test_temperature_zero_takes_the_most_likely_token(model):
    blank = template("...._")
    sequence, _ = Sampler(temperature=0)(model, blank, LEGAL)
    expected = model.logits(model(blank.ids))[:, 3].masked_fill(~LEGAL, float("-inf")).argmax(-1)
    assert torch.equal(sequence.ids[:, 4], expected)


def test_truncate_by_hand():
    probs = torch.tensor([[0.1, 0.4, 0.3, 0.2]])
    assert truncate(probs, 2, None).tolist() == [[0.0, pytest.approx(0.4), pytest.approx(0.3), 0.0]]
    kept = truncate(probs, None, 0.75)[0]
    assert (kept > 0).tolist() == [False, True, True, True]
    assert (truncate(probs, None, 0.7)[0] > 0).tolist() == [False, True, True, False]


def test_only_the_full_distribution_is_exact():
    assert Sampler().is_exact
    assert not Sampler(top_k=5).is_exact
    assert not Sampler(temperature=0.7).is_exact


@pytest.mark.parametrize(
    "arguments", [{"temperature": -1}, {"top_k": 0}, {"top_p": 0.0}, {"token_budget": 0}]
)
def test_bad_settings_are_named(arguments):
    with pytest.raises(ValueError, match=next(iter(arguments))):
        Sampler(**arguments)


@pytest.mark.parametrize("pattern", ["____", "...."])
def test_templates_without_prompt_or_blank_are_refused(model, pattern):
    with pytest.raises(ValueError, match="given position and a predicted one"):
        Sampler()(model, template(pattern), LEGAL)

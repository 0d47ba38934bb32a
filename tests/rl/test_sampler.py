import pytest
import torch
from torch.nn.functional import log_softmax

from rlvr_world.nn.transformer import Transformer
from rlvr_world.rl.draw import truncate
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


def test_same_seed_gives_the_same_tokens_and_another_seed_others(model):
    draws = [
        Sampler()(model, template(".." + "_" * 20), LEGAL, 4, torch.Generator().manual_seed(seed))
        for torch_seed, seed in ((3, 7), (3, 7), (3, 8))
        if torch.manual_seed(torch_seed)
    ]
    assert torch.equal(draws[0][0].ids, draws[1][0].ids)
    assert not torch.equal(draws[0][0].ids, draws[2][0].ids)


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


@pytest.mark.parametrize("arguments", [{"temperature": -1}, {"top_k": 0}, {"top_p": 0.0}])
def test_bad_settings_are_named(arguments):
    with pytest.raises(ValueError, match=next(iter(arguments))):
        Sampler(**arguments)


@pytest.mark.parametrize("pattern", ["____", "...."])
def test_templates_without_prompt_or_blank_are_refused(model, pattern):
    with pytest.raises(ValueError, match="given position and a predicted one"):
        Sampler()(model, template(pattern), LEGAL)

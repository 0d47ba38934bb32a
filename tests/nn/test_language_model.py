import pytest
import torch

from rlvr_world.nn.language_model import LanguageModel
from rlvr_world.nn.llama import from_llama
from rlvr_world.nn.shared_prompts import SharedPromptCache
from rlvr_world.rl.sampler import Sampler
from rlvr_world.types import TokenSequence

VOCAB = 31
SIZES = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
         "num_attention_heads": 4, "num_key_value_heads": 2}  # fmt: skip
LLAMA = {"model_type": "llama", **SIZES}
SLIDING = {"model_type": "mistral", **SIZES, "sliding_window": 5}  # reads a prompt for each member
ARCHITECTURES = [
    LLAMA,
    {"model_type": "qwen2", **SIZES},
    {"model_type": "gpt2", "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64},
    {"model_type": "granite", **SIZES, "attention_multiplier": 0.3, "logits_scaling": 1.0},
    SLIDING,
]
LEGAL = torch.ones(VOCAB, dtype=torch.bool)


def build(architecture=LLAMA, **options):
    torch.manual_seed(0)
    return LanguageModel(VOCAB, architecture=architecture, **options).eval()


def padded(lengths=(7, 4, 2), new=6):
    """Prompts of different lengths, each behind the padding that makes them end together."""
    torch.manual_seed(1)
    total = max(lengths) + new
    ids = torch.randint(VOCAB, (len(lengths), total))
    mask = torch.zeros_like(ids, dtype=torch.bool)
    mask[:, max(lengths) :] = True
    padding = torch.tensor([max(lengths) - length for length in lengths])
    return TokenSequence(ids.masked_fill(mask, 0), mask, padding)


@pytest.mark.parametrize("architecture", ARCHITECTURES, ids=lambda a: a["model_type"])
def test_hidden_states_and_logits_are_the_models_own(architecture):
    model = build(architecture)
    ids = torch.randint(VOCAB, (2, 9))
    expected = model.model(ids).logits
    torch.testing.assert_close(model.logits(model(ids)), expected)


@pytest.mark.parametrize("architecture", ARCHITECTURES, ids=lambda a: a["model_type"])
def test_padded_prompts_of_a_group_equal_single_rows_without_padding(architecture):
    model, template = build(architecture), padded()
    sequence, log_probs = Sampler()(model, template, LEGAL, 3, torch.Generator().manual_seed(0))
    for ids, mask, padding, found in zip(*sequence, log_probs, strict=True):
        alone, mask = ids[padding:], mask[padding:]
        expected = model.model(alone[None]).logits[0].log_softmax(-1)[:-1]
        expected = expected.gather(1, alone[1:, None])[:, 0][mask[1:]]
        torch.testing.assert_close(found[padding:][mask], expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("architecture", ARCHITECTURES, ids=lambda a: a["model_type"])
def test_rows_behind_padding_are_what_they_are_alone(architecture):
    model, (ids, _, padding) = build(architecture), padded()
    hidden = model(ids, padding=padding)
    for row, empty, found in zip(ids, padding, hidden, strict=True):
        torch.testing.assert_close(found[empty:], model(row[None, empty:])[0], atol=1e-5, rtol=1e-4)


def test_the_same_llama_draws_the_same_tokens_in_either_form():
    language_model = build()
    ours = from_llama(language_model.model)
    drawn = [
        Sampler()(model, padded(), LEGAL, 4, torch.Generator().manual_seed(3))
        for model in (language_model, ours)
    ]
    assert torch.equal(drawn[0][0].ids, drawn[1][0].ids)
    torch.testing.assert_close(drawn[0][1], drawn[1][1], atol=1e-4, rtol=0)


@pytest.mark.parametrize("checkpointing", [False, True])
def test_shared_prompts_give_the_gradients_of_repeated_ones(checkpointing):
    model = build(checkpointing=checkpointing).train()
    sequence = padded().repeat(3)
    ids, _, padding = sequence
    gradients = []
    for shared in (False, True):
        model.zero_grad()
        if shared:
            cache = model.prompt_cache(ids[::3, :7], padding[::3])
            hidden = model(ids[:, 7:], cache)
        else:
            hidden = model(ids, padding=padding)[:, 7:]
        hidden.square().sum().backward()
        gradients.append([p.grad.clone() for p in model.model.base_model.parameters()])
    for plain, shared in zip(*gradients, strict=True):
        torch.testing.assert_close(plain, shared, atol=1e-4, rtol=1e-4)


def test_only_the_codecs_tokens_are_scored():
    model = LanguageModel(20, architecture=LLAMA | {"vocab_size": 24})
    assert model.logits(model(torch.zeros(1, 2, dtype=torch.long))).shape[-1] == 20
    with pytest.raises(ValueError, match="knows 24 tokens, fewer than the 30"):
        LanguageModel(30, architecture=LLAMA | {"vocab_size": 24})


def test_a_growing_cache_is_not_compiled():
    with pytest.raises(ValueError, match="compiled needs a static cache, which LanguageModel"):
        Sampler(compiled=True)(build(SLIDING), padded(), LEGAL)


@pytest.mark.parametrize("architecture", ARCHITECTURES, ids=lambda a: a["model_type"])
def test_prompts_are_held_once_for_all_members(architecture):
    model, ids = build(architecture), padded().ids[:, :7]
    _, cache = model.sampling_cache(ids, 5, capacity=6)
    assert isinstance(cache, SharedPromptCache) == (architecture != SLIDING)
    if isinstance(cache, SharedPromptCache):
        assert cache.layers[0].prompt_key.shape[1] == 7
        own = sum(keys.numel() for keys in cache.layers[0].keys)
        assert cache.layers[0].prompt_key.numel() * 5 * 6 == own * 7
    model(ids[:, :1].repeat_interleave(5, 0), cache)
    assert model.model.config._attn_implementation == "sdpa"


def test_bad_sources_are_named(tmp_path):
    with pytest.raises(ValueError, match="either `source` or `architecture`"):
        LanguageModel(VOCAB)
    with pytest.raises(FileNotFoundError, match="nowhere: no model"):
        LanguageModel(VOCAB, source=tmp_path / "nowhere")


def test_lora_trains_only_the_differences():
    pytest.importorskip("peft", reason="peft is not installed")
    model = build(lora={"r": 4, "target_modules": ["q_proj", "v_proj"]})
    trained = [name for name, p in model.named_parameters() if p.requires_grad]
    assert trained
    assert all("lora_" in name for name in trained)


def test_exported_weights_are_whole_and_have_lora_merged():
    pytest.importorskip("peft", reason="peft is not installed")
    plain = build()
    tuned = build(lora={"r": 4, "target_modules": ["q_proj", "v_proj"]})
    ids = torch.randint(VOCAB, (2, 9))
    for name, parameter in tuned.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter)
    expected = tuned.logits(tuned(ids))
    plain.model.load_state_dict(dict(tuned.to_transformers_state()))
    torch.testing.assert_close(plain.logits(plain(ids)), expected, atol=1e-4, rtol=1e-4)

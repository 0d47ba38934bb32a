import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from rlvr_world.nn.llama import from_llama, to_llama
from rlvr_world.nn.transformer import Transformer

SHAPES = [
    {"dim": 32, "depth": 2, "heads": 4},
    {"dim": 48, "depth": 3, "heads": 6, "kv_heads": 2, "hidden": 80, "rope_theta": 500.0},
]


@pytest.mark.parametrize("shape", SHAPES)
def test_logits_equal_llama_with_our_weights(shape):
    torch.manual_seed(0)
    model = Transformer(vocab_size=61, **shape)
    ids = torch.randint(61, (3, 17))
    theirs = to_llama(model)(ids).logits
    torch.testing.assert_close(model.logits(model(ids)), theirs, atol=1e-4, rtol=0)


def test_logits_equal_llama_with_its_weights():
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=50, hidden_size=64, intermediate_size=112, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, rms_norm_eps=1e-5, rope_theta=1e6,
    )  # fmt: skip
    llama = LlamaForCausalLM(config)
    model = from_llama(llama)
    ids = torch.randint(50, (2, 23))
    torch.testing.assert_close(model.logits(model(ids)), llama(ids).logits, atol=1e-4, rtol=0)


def test_llama_with_biases_is_refused():
    config = LlamaConfig(
        vocab_size=50, hidden_size=64, intermediate_size=112, num_hidden_layers=1,
        num_attention_heads=4, attention_bias=True,
    )  # fmt: skip
    with pytest.raises(ValueError, match="attention_bias is True, but only False"):
        from_llama(LlamaForCausalLM(config))


@pytest.mark.parametrize("shape", SHAPES)
def test_shared_prompt_gives_the_same_hidden_states_and_gradients(shape):
    torch.manual_seed(0)
    model = Transformer(vocab_size=61, **shape)
    prompts, answers = torch.randint(61, (2, 9)), torch.randint(61, (2 * 3, 5))
    whole = torch.cat([prompts.repeat_interleave(3, 0), answers], dim=1)
    expected = model(whole)[:, 9:]
    expected.square().sum().backward()
    gradients = [p.grad.clone() for p in model.parameters() if p.grad is not None]
    model.zero_grad()
    actual = model(answers, model.prompt_cache(prompts))
    torch.testing.assert_close(actual, expected, atol=1e-5, rtol=0)
    actual.square().sum().backward()
    for parameter, gradient in zip(
        (p for p in model.parameters() if p.grad is not None), gradients, strict=True
    ):
        torch.testing.assert_close(parameter.grad, gradient, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("chunks", [[1, 1, 1, 1, 1], [1, 3, 1], [2, 1, 2]])
def test_sampling_cache_equals_full_forward(shape, chunks):
    torch.manual_seed(0)
    model = Transformer(vocab_size=61, **shape).eval()
    prompts, answers = torch.randint(61, (2, 9)), torch.randint(61, (2 * 3, 5))
    expected = model(torch.cat([prompts.repeat_interleave(3, 0), answers], dim=1))
    with torch.no_grad():
        last, cache = model.sampling_cache(prompts, group_size=3, capacity=5)
        actual = torch.cat([model(part, cache) for part in answers.split(chunks, dim=1)], dim=1)
    torch.testing.assert_close(last.repeat_interleave(3, 0), expected[:, 8], atol=1e-5, rtol=0)
    torch.testing.assert_close(actual, expected[:, 9:], atol=1e-5, rtol=0)


def test_impossible_sizes_are_named():
    with pytest.raises(ValueError, match="multiple of 2"):
        Transformer(vocab_size=5, dim=10, heads=4)

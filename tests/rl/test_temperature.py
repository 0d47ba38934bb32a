import pytest
import torch
from torch.nn import functional as F

from rlvr_world.nn.language_model import LanguageModel
from rlvr_world.nn.transformer import Transformer
from rlvr_world.rl.temperature import OwnTemperature, WeightsTemperature


@pytest.fixture
def model():
    torch.manual_seed(0)
    return Transformer(7, dim=16, depth=1, heads=2)


IDS = torch.tensor([[1, 5, 2, 6, 3]])


def loss(model, factor=1.0):
    logits = factor * model.logits(model(IDS[:, :-1]))
    return F.cross_entropy(logits[0], IDS[0, 1:])


def sgd(temperature):
    """An optimizer without weights of its own, and the temperature's parameter added to it."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(()))], lr=9.0, weight_decay=9.0)
    temperature.add_to(optimizer)
    return optimizer


def test_a_step_follows_the_slope_of_a_factor_on_the_logits_and_goes_into_the_gains(model):
    before = model.logits(model(IDS)).detach()
    temperature = OwnTemperature(model.gains, 0.5)
    loss(model).backward()
    logarithm = torch.zeros((), requires_grad=True)
    slope = torch.autograd.grad(loss(model, logarithm.exp()), logarithm)[0]
    logged = temperature.step(sgd(temperature))
    factor = (-0.5 * slope).exp()
    torch.testing.assert_close(logged, {"logit_scale_change": factor})
    torch.testing.assert_close(model.logits(model(IDS)), before * factor)
    assert temperature.log == 0


def test_its_own_rate_brings_down_what_is_far_too_sharp(model):
    with torch.no_grad():
        model.head.weight.mul_(50)
    temperature, start = OwnTemperature(model.gains, 0.1), loss(model).item()
    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(()))])
    temperature.add_to(optimizer)
    for _ in range(30):
        model.zero_grad()
        loss(model).backward()
        temperature.step(optimizer)
    assert loss(model) < start / 2


def test_without_a_rate_of_its_own_the_optimizer_just_steps(model):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    temperature, groups = WeightsTemperature(), len(optimizer.param_groups)
    temperature.add_to(optimizer)
    assert len(optimizer.param_groups) == groups
    start = loss(model)
    start.backward()
    assert temperature.step(optimizer) == {}
    assert loss(model) < start


SIZES = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1,
         "num_attention_heads": 2}  # fmt: skip
LANGUAGE_MODELS = {
    "llama": SIZES,
    "qwen2": SIZES | {"num_key_value_heads": 1, "tie_word_embeddings": True},
    "gpt2": {"n_embd": 8, "n_layer": 1, "n_head": 2, "n_positions": 16},
    "gemma": SIZES | {"num_key_value_heads": 1, "head_dim": 4},
    "phi": SIZES,
    "gpt_neox": SIZES | {"num_attention_heads": 1},
}
"""Plain norms; tied tables; norms with a bias; norms that add one; heads with a bias."""


@torch.no_grad()
def language_model(model_type, **options):
    architecture = {"model_type": model_type} | LANGUAGE_MODELS[model_type]
    torch.manual_seed(0)
    model = LanguageModel(7, architecture=architecture, **options)
    for parameter in model.parameters():
        parameter.normal_(std=0.3)
    return model.eval()


@pytest.mark.parametrize("model_type", LANGUAGE_MODELS)
def test_a_step_goes_into_the_weights_of_language_models_and_their_exports(model_type):
    model = language_model(model_type)
    before = model.logits(model(IDS)).detach()
    temperature = OwnTemperature(model.gains, 0.5)
    loss(model).backward()
    logarithm = torch.zeros((), requires_grad=True)
    slope = torch.autograd.grad(loss(model, logarithm.exp()), logarithm)[0]
    factor = temperature.step(sgd(temperature))["logit_scale_change"]
    torch.testing.assert_close(factor, (-0.5 * slope).exp())
    torch.testing.assert_close(model.logits(model(IDS)), before * factor)
    exported = model.to_transformers().eval()
    torch.testing.assert_close(exported(IDS).logits, before * factor)


def test_beside_frozen_weights_the_gains_are_learnt_in_float32():
    pytest.importorskip("peft", reason="peft is not installed")
    lora = {"r": 2, "target_modules": ["q_proj"]}
    model = language_model("llama", lora=lora, dtype="bfloat16")
    model.gains.learn()
    before = model.logits(model(IDS)).detach()
    temperature = OwnTemperature(model.gains, 1e-3)
    loss(model).backward()
    factor = temperature.step(sgd(temperature))["logit_scale_change"]
    assert factor != 1
    assert [p.dtype for p in model.gains.parameters] == [torch.float32]
    torch.testing.assert_close(model.logits(model(IDS)), before * factor, atol=2e-2, rtol=2e-2)


def test_a_model_without_such_gains_is_named():
    model = LanguageModel(7, architecture={"model_type": "olmo"} | SIZES)
    with pytest.raises(ValueError, match="OlmoForCausalLM has no last norm whose weights scale"):
        OwnTemperature(model.gains, 0.1)

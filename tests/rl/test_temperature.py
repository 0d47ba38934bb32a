import pytest
import torch
from torch.nn import functional as F

from rlvr_world.nn.language_model import LanguageModel
from rlvr_world.nn.transformer import Transformer
from rlvr_world.rl.temperature import LogitScale


@pytest.fixture
def model():
    torch.manual_seed(0)
    return Transformer(7, dim=16, depth=1, heads=2)


TINY = {
    "model_type": "llama", "hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1,
    "num_attention_heads": 2,
}  # fmt: skip
IDS = torch.tensor([[1, 5, 2, 6, 3]])


def loss(model, factor=1.0):
    logits = factor * model.logits(model(IDS[:, :-1]))
    return F.cross_entropy(logits[0], IDS[0, 1:])


def test_the_slope_is_that_of_a_factor_on_the_logits(model):
    scale = LogitScale(model.gains)
    loss(model).backward()
    scale.take_slope()
    logarithm = torch.zeros((), requires_grad=True)
    expected = torch.autograd.grad(loss(model, logarithm.exp()), logarithm)[0]
    torch.testing.assert_close(scale.log.grad, expected)


def test_a_step_becomes_part_of_the_weights(model):
    before = model.logits(model(IDS)).detach()
    scale = LogitScale(model.gains)
    with torch.no_grad():
        scale.log.fill_(0.5)
    torch.testing.assert_close(scale.fold(), torch.tensor(0.5).exp())
    torch.testing.assert_close(model.logits(model(IDS)), before * torch.tensor(0.5).exp())
    assert scale.log == 0


def test_its_own_rate_brings_down_what_is_far_too_sharp(model):
    with torch.no_grad():
        model.head.weight.mul_(50)
    scale, start = LogitScale(model.gains), loss(model).item()
    optimizer = torch.optim.AdamW([scale.log], lr=0.1, weight_decay=0.0)
    for _ in range(30):
        model.zero_grad()
        loss(model).backward()
        scale.take_slope()
        optimizer.step()
        scale.fold()
    assert loss(model) < start / 2


def test_a_model_without_such_gains_is_named():
    model = LanguageModel(7, architecture=TINY)
    with pytest.raises(ValueError, match="LanguageModel has no gains that scale its logits"):
        LogitScale(model.gains)

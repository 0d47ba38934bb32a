from functools import partial

import pytest
import torch
from dials import DialCodec
from torch.nn import functional as F

from rlvr_world.modules.mle import MLEWorldModel, prompt_mask
from rlvr_world.nn.transformer import Transformer
from rlvr_world.types import TokenSequence

LEGAL = torch.tensor([True, True, True, False, True, True])
PADDED = TokenSequence(
    torch.tensor([[0, 0, 1, 3, 2, 4, 5], [5, 1, 3, 2, 4, 4, 0]]),
    torch.tensor([[0, 0, 0, 0, 0, 1, 1], [0, 0, 0, 0, 0, 1, 0]], dtype=torch.bool),
    torch.tensor([2, 0]),
)


class Words(DialCodec):
    """Rows of words."""

    vocab_size = 6

    def encode(self, batch):
        return batch["sequence"]

    def legal_tokens(self):
        return LEGAL


def test_prompts_count_from_their_second_token_on_without_what_is_never_predicted():
    assert prompt_mask(PADDED, LEGAL).int().tolist() == [
        [0, 0, 0, 0, 1, 0, 0],
        [0, 1, 0, 1, 1, 0, 0],
    ]


def loss_of(weight):
    torch.manual_seed(0)
    backbone = partial(Transformer, dim=16, depth=1, heads=2)
    model = MLEWorldModel(codec=Words(), backbone=backbone, prompt_weight=weight).eval()
    model.log = lambda *_, **__: None
    return model, model.training_step({"sequence": PADDED}, 0)


def test_the_loss_adds_the_mean_over_prompts():
    model, loss = loss_of(0.5)
    answer, prompt = [], []
    for row, padding in enumerate(PADDED.padding.tolist()):
        ids = PADDED.ids[row, padding:]
        logits = model.backbone.logits(model.backbone(ids[None, :-1]))[0]
        losses = F.cross_entropy(logits.masked_fill(~LEGAL, -torch.inf), ids[1:], reduction="none")
        for position, value in enumerate(losses.tolist(), padding + 1):
            if PADDED.target_mask[row, position]:
                answer.append(value)
            elif position < 5 and LEGAL[PADDED.ids[row, position]]:
                prompt.append(value)
    expected = sum(answer) / 3 + 0.5 * sum(prompt) / 4
    assert loss.item() == pytest.approx(expected, rel=1e-4)
    assert loss_of(0.0)[1].item() == pytest.approx(sum(answer) / 3, rel=1e-4)


def test_a_negative_weight_is_refused():
    with pytest.raises(ValueError, match="prompt_weight"):
        loss_of(-1.0)

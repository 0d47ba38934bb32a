"""The positions of token sequences."""

from functools import partial

import torch
from dials import DIGITS, DialCodec

from rlvr_world.modules.mle import MLEWorldModel
from rlvr_world.nn.transformer import Transformer
from rlvr_world.types import TokenSequence


def test_prompt_and_end_by_hand():
    mask = torch.tensor([[0, 0, 1, 1, 0, 0], [0, 0, 1, 0, 1, 0]]).bool()
    sequence = TokenSequence(torch.zeros(2, 6, dtype=torch.long), mask)
    assert (sequence.prompt_length, sequence.target_end) == (2, 5)
    assert sequence.select(slice(0, 1)).target_end == 4
    assert TokenSequence(sequence.ids, torch.ones(2, 6, dtype=torch.bool)).target_end == 6


def test_positions_behind_the_last_predicted_one_are_not_computed():
    torch.manual_seed(0)
    backbone = partial(Transformer, dim=16, depth=2, heads=2)
    model = MLEWorldModel(codec=DialCodec(), backbone=backbone)
    ids, mask = torch.randint(DIGITS, (4, 40)), torch.zeros(4, 40, dtype=torch.bool)
    mask[:, 5:8], mask[1, 8] = True, True
    sequence, lengths = TokenSequence(ids, mask), []
    model.backbone.register_forward_pre_hook(lambda _, args: lengths.append(args[0].shape[1]))
    logits = model.logits(sequence)
    assert lengths == [8]
    short = TokenSequence(ids[:, :9], mask[:, :9])
    torch.testing.assert_close(logits, model.logits(short))
    torch.testing.assert_close(model.log_probs(sequence)[:, :9], model.log_probs(short))

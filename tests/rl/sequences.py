"""Templates with given and predicted positions, and what a model says of them when filled."""

import torch

from rlvr_world.nn.transformer import Transformer
from rlvr_world.types import TokenSequence

VOCAB, LEGAL = 23, torch.arange(23) < 17


def decided_model():
    """A transformer whose random weights are large enough to prefer some tokens."""
    torch.manual_seed(0)
    model = Transformer(VOCAB, dim=32, depth=2, heads=4)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(3)
    return model


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def template(pattern, padding=(0, 0)):
    """Random given tokens where the pattern has a dot, blanks where it has an underscore."""
    mask = torch.tensor([mark == "_" for mark in pattern]).repeat(len(padding), 1)
    ids = torch.randint(VOCAB, mask.shape).masked_fill(mask, 0)
    return TokenSequence(ids, mask, torch.tensor(padding) if any(padding) else None)


def teacher_forced(model, sequence):
    """Log-probabilities of the predicted tokens, each row alone and without its padding."""
    expected = torch.zeros(sequence.ids.shape)
    for row, (ids, mask) in enumerate(zip(sequence.ids, sequence.target_mask, strict=True)):
        first = 0 if sequence.padding is None else int(sequence.padding[row])
        logits = model.logits(model(ids[None, first:]))[0].masked_fill(~LEGAL, float("-inf"))
        said = logits[:-1].log_softmax(-1).gather(1, ids[first + 1 :, None]).squeeze(1)
        expected[row, first + 1 :] = said.where(mask[first + 1 :], 0.0)
    return expected.detach()

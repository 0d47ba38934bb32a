import pytest
import torch

from rlvr_world.nn.transformer import Transformer
from rlvr_world.rl.rejection import RejectionSampler, repeats
from rlvr_world.rl.sampler import Sampler
from rlvr_world.types import TokenSequence

LEGAL = torch.tensor([True, True, False, False])


def template(rows=3):
    """One given token, then three frames of one token with an action before each but the first."""
    ids = torch.tensor([[2, 0, 3, 0, 3, 0]]).repeat(rows, 1)
    mask = torch.tensor([[0, 1, 0, 1, 0, 1]]).bool().repeat(rows, 1)
    return TokenSequence(ids, mask)


def model():
    torch.manual_seed(0)
    return Transformer(4, dim=8, depth=1, heads=2)


def sample(sampler, group_size=8, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return sampler(model(), template(), LEGAL, group_size, generator)


@pytest.mark.parametrize("pairs", ["last", "all"])
def test_what_is_kept_does_not_repeat(pairs):
    assert repeats(sample(Sampler())[0], pairs).any()
    sequence, log_probs = sample(RejectionSampler(pairs, retries=50))
    assert not repeats(sequence, pairs).any()
    assert torch.equal(sequence.ids[:, [0, 2, 4]], template(24).ids[:, [0, 2, 4]])
    assert log_probs[~sequence.target_mask].abs().max() == 0
    hidden = model()(sequence.ids[:, :-1])
    logits = model().logits(hidden).float().masked_fill(~LEGAL, float("-inf")).log_softmax(-1)
    expected = logits.gather(2, sequence.ids[:, 1:, None])[..., 0]
    mask = sequence.target_mask[:, 1:]
    torch.testing.assert_close(log_probs[:, 1:][mask], expected[mask], atol=1e-5, rtol=0)


def test_rows_that_are_accepted_stay_as_they_were_drawn():
    first, again = sample(Sampler())[0], sample(RejectionSampler("all", retries=50))[0]
    kept = ~repeats(first)
    assert kept.any()
    assert torch.equal(again.ids[kept], first.ids[kept])


def test_retries_are_bounded():
    only_one = torch.tensor([True, False, False, False])
    sampler = RejectionSampler(retries=2)
    sequence, _ = sampler(model(), template(), only_one, 2)
    assert repeats(sequence).all()


def test_repeats_by_hand():
    ids = torch.tensor([[2, 0, 3, 0, 3, 1], [2, 0, 3, 1, 3, 1], [2, 1, 3, 0, 3, 1]])
    sequence = TokenSequence(ids, template().target_mask)
    assert repeats(sequence).tolist() == [True, True, False]
    assert repeats(sequence, "last").tolist() == [False, True, False]
    alone = TokenSequence(ids[:, :2], template().target_mask[:, :2])
    with pytest.raises(ValueError, match="this template has 1 stretches of predicted tokens"):
        repeats(alone)


def test_a_rejection_sampler_is_not_for_training():
    assert not RejectionSampler().is_exact
    with pytest.raises(ValueError, match="retries must be at least 0"):
        RejectionSampler(retries=-1)
    with pytest.raises(ValueError, match="temperature"):
        RejectionSampler(temperature=-1)

"""The advantages of an RLVR step where each frame has its own return."""

from functools import partial

import pytest
import torch
from tiny_walk import TinyWalk, tiny_tokenizer

from rlvr_world.modules.rlvr import RLVRWorldModel
from rlvr_world.modules.scoring import score_predictions
from rlvr_world.nn.transformer import Transformer
from rlvr_world.reward import Reward
from rlvr_world.rl.budget import sequence_parts
from rlvr_world.rl.credit import Credit, per_token
from rlvr_world.video.codecs.context import ContextVideoCodec
from rlvr_world.video.rewards.frames import MAE, MSE

GROUP = 4


def model(credit=Credit(), rewards=None):  # noqa: B008
    torch.manual_seed(0)
    codec = ContextVideoCodec(tiny_tokenizer().eval(), [-1], [1], action_bins=3)
    return RLVRWorldModel(
        codec=codec,
        backbone=partial(Transformer, dim=16, depth=1, heads=2),
        rewards=rewards or {"mae": MAE(), "mse": MSE(weight=2.0)},
        group_size=GROUP,
        credit=credit,
    )


def scored(built, sequence, batch):
    """What predictions are worth, the returns of their parts, and advantages of tokens."""
    parts = sequence_parts(sequence, GROUP, None)
    inputs = (built.codec, built.rewards, sequence, batch, parts, built.detail)
    scores, _ = score_predictions(*inputs)
    total = built.rewards.total(scores)
    returns = built.credit.returns(total)
    advantages = per_token(built.objective.advantages(returns, GROUP), sequence.target_mask)
    return built.credit.worth(total), returns, advantages


@pytest.fixture(scope="module")
def filled():
    """A batch, and four predictions for each of its prompts."""
    batch = next(iter(TinyWalk(batch_size=2, size=2).train_dataloader()))
    start = model()
    sequence, _ = start.sampler(
        start.backbone, start.codec.template(batch), start.legal_tokens(), GROUP,
        torch.Generator().manual_seed(0),
    )  # fmt: skip
    return batch, sequence


def frame_rewards(batch, sequence):
    codec = model().codec
    gap = codec.decode(sequence) - codec.target(batch).repeat_interleave(GROUP, 0)
    return -(gap.abs() + 2 * gap.square()).flatten(2).mean(2)  # [8, 3]


def standardized(values):
    groups = values.view(2, GROUP)
    centred = groups - groups.mean(1, keepdim=True)
    return (centred / (groups.std(1, keepdim=True) + 1e-6)).flatten()


@pytest.mark.parametrize("frames", ["mean", "last"])
def test_without_returns_of_frames_all_tokens_share_an_advantage(filled, frames):
    batch, sequence = filled
    worth, returns, advantages = scored(model(Credit(frames=frames)), sequence, batch)
    by_frame = frame_rewards(batch, sequence)
    expected = by_frame.mean(1) if frames == "mean" else by_frame[:, -1]
    torch.testing.assert_close(worth, expected)
    assert torch.equal(returns, worth[:, None])
    assert advantages.shape == (8, 1)
    torch.testing.assert_close(advantages[:, 0], standardized(returns[:, 0]), atol=1e-4, rtol=1e-4)


def test_each_frame_is_compared_with_the_same_frame_of_its_group(filled):
    batch, sequence = filled
    worth, returns, advantages = scored(model(Credit("frame")), sequence, batch)
    rewards = frame_rewards(batch, sequence)
    torch.testing.assert_close(worth, rewards.mean(1))
    for frame in range(3):
        torch.testing.assert_close(returns[:, frame], rewards[:, frame:].mean(1))
    assert advantages.shape == sequence.ids.shape
    assert (advantages[~sequence.target_mask] == 0).all()
    per_frame = advantages[sequence.target_mask].view(8, 3, 4)
    assert torch.equal(per_frame, per_frame[..., :1].expand_as(per_frame))
    for frame in range(3):
        expected = standardized(returns[:, frame])
        torch.testing.assert_close(per_frame[:, frame, 0], expected, atol=1e-3, rtol=1e-3)


def test_patches_within_reach_of_all_others_share_the_return_of_their_frame(filled):
    batch, sequence = filled  # 2 x 2 tokens: 3 x 3 patches are all of them
    worth, returns, _ = scored(model(Credit("patch")), sequence, batch)
    expected, of_frames, _ = scored(model(Credit("frame")), sequence, batch)
    torch.testing.assert_close(worth, expected)
    torch.testing.assert_close(returns, of_frames.repeat_interleave(4, dim=1))


def test_a_reward_of_whole_predictions_cannot_be_credited_to_frames(filled):
    class Whole(Reward):
        """One score for a prediction."""

        def score(self, prediction, target, given):
            return prediction.flatten(1).mean(1)

    batch, sequence = filled
    with pytest.raises(ValueError, match="Whole scores whole predictions, not each frame"):
        scored(model(Credit("frame"), {"whole": Whole()}), sequence, batch)

"""The advantages of an RLVR step where each frame has its own return."""

from functools import partial

import pytest
import torch
from tiny_walk import TinyWalk, tiny_tokenizer

from rlvr_world.modules.rlvr import RLVRWorldModel
from rlvr_world.nn.transformer import Transformer
from rlvr_world.reward import Reward
from rlvr_world.rl.credit import FrameCredit
from rlvr_world.video.codecs.context import ContextVideoCodec
from rlvr_world.video.rewards.frames import MAE, MSE

GROUP = 4


def model(credit, rewards=None):
    torch.manual_seed(0)
    codec = ContextVideoCodec(tiny_tokenizer().eval(), [-1], [1], action_bins=3)
    rewards = rewards or {"mae": MAE(), "mse": MSE(weight=2.0)}
    backbone = partial(Transformer, dim=16, depth=1, heads=2)
    built = RLVRWorldModel(codec, backbone, rewards, group_size=GROUP, credit=credit)
    built.log = lambda *_, **__: None
    return built


@pytest.fixture(scope="module")
def filled():
    """A batch, and four predictions for each of its prompts."""
    batch = next(iter(TinyWalk(batch_size=2, size=2).train_dataloader()))
    start = model(None)
    sequence, _ = start.sampler(
        start.backbone, start.codec.template(batch), start.legal_tokens(), GROUP,
        torch.Generator().manual_seed(0),
    )  # fmt: skip
    return batch, sequence


def frame_rewards(batch, sequence):
    codec = model(None).codec
    gap = codec.decode(sequence) - codec.target(batch).repeat_interleave(GROUP, 0)
    return -(gap.abs() + 2 * gap.square()).flatten(2).mean(2)  # [8, 3]


def standardized(values):
    groups = values.view(2, GROUP)
    centred = groups - groups.mean(1, keepdim=True)
    return (centred / (groups.std(1, keepdim=True) + 1e-6)).flatten()


@pytest.mark.parametrize("credit", [None, FrameCredit()])
def test_without_returns_of_frames_all_tokens_share_an_advantage(filled, credit):
    batch, sequence = filled
    built = model(credit)
    rewards, returns = built.returns(sequence, batch)
    torch.testing.assert_close(rewards, frame_rewards(batch, sequence).mean(1))
    assert torch.equal(returns, rewards[:, None])
    advantages = built.advantages(returns, sequence.target_mask)
    assert advantages.shape == (8, 1)
    torch.testing.assert_close(advantages[:, 0], standardized(returns[:, 0]), atol=1e-4, rtol=1e-4)


def test_each_frame_is_compared_with_the_same_frame_of_its_group(filled):
    batch, sequence = filled
    built = model(FrameCredit(per_frame=True))
    worth, returns = built.returns(sequence, batch)
    rewards = frame_rewards(batch, sequence)
    torch.testing.assert_close(worth, rewards.mean(1))
    for frame in range(3):
        torch.testing.assert_close(returns[:, frame], rewards[:, frame:].mean(1))
    advantages = built.advantages(returns, sequence.target_mask)
    assert advantages.shape == sequence.ids.shape
    assert (advantages[~sequence.target_mask] == 0).all()
    per_frame = advantages[sequence.target_mask].view(8, 3, 4)
    assert torch.equal(per_frame, per_frame[..., :1].expand_as(per_frame))
    for frame in range(3):
        expected = standardized(returns[:, frame])
        torch.testing.assert_close(per_frame[:, frame, 0], expected, atol=1e-3, rtol=1e-3)


def test_patches_within_reach_of_all_others_share_the_return_of_their_frame(filled):
    batch, sequence = filled
    by_frame, by_patch = FrameCredit(per_frame=True), FrameCredit(per_frame=True, per_patch=True)
    worth, returns = model(by_patch).returns(sequence, batch)  # 2 x 2 tokens: 3 x 3 is all of them
    expected, of_frames = model(by_frame).returns(sequence, batch)
    torch.testing.assert_close(worth, expected)
    torch.testing.assert_close(returns, of_frames.repeat_interleave(4, dim=1))


def test_a_reward_of_whole_predictions_cannot_be_credited_to_frames(filled):
    class Whole(Reward):
        """One score for a prediction."""

        def score(self, prediction, target):
            return prediction.flatten(1).mean(1)

    batch, sequence = filled
    with pytest.raises(ValueError, match="Whole scores whole predictions, not single frames"):
        model(FrameCredit(), {"whole": Whole()}).returns(sequence, batch)

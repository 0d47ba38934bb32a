"""Advantages from the rewards of a group."""

from torch import Tensor


def group_relative(rewards: Tensor, normalize: bool = True, eps: float = 1e-6) -> Tensor:
    """GRPO's advantages: rewards [B, G, ...] minus their group mean, over the group's std.

    A group without spread has advantages of zero.

    Args:
        rewards: Rewards of the G members of B groups.
        normalize: Divide by the (unbiased) standard deviation of the group; False gives the form
            of Dr. GRPO.
        eps: Added to the standard deviation.
    """
    centred = rewards - rewards.mean(dim=1, keepdim=True)
    if not normalize:
        return centred
    return centred / (rewards.std(dim=1, keepdim=True) + eps)


def has_spread(rewards: Tensor, eps: float = 1e-6) -> Tensor:
    """Which groups [B, G] have members with different rewards, so teach something, [B] bool."""
    return rewards.std(dim=1) >= eps


def spreadless_share(rewards: Tensor) -> Tensor:
    """The share of groups [B, G] whose members all have the same reward, so teach nothing."""
    return 1 - has_spread(rewards).float().mean()

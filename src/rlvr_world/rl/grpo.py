"""GRPO and its variants: advantages within groups, and the objective (Equation 5 of the paper)."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from rlvr_world.rl.losses import (
    at_targets,
    clipped_share,
    clipped_surrogate,
    kl_k3,
    masked_mean,
    row_mean,
    token_entropy,
    token_log_probs,
)
from rlvr_world.types import Rollout, TokenSequence


@dataclass(frozen=True)
class GRPO:
    """How rewards become a loss.

    Args:
        clip_low: How far below 1 the probability ratio counts.
        clip_high: How far above 1 the probability ratio counts; more than ``clip_low`` is DAPO's
            clip-higher.
        kl_weight: Weight of the KL divergence to the reference, per token.
        entropy_weight: Weight of a bonus for the entropy of the policy, per token.
        normalize_advantages: Divide advantages by the standard deviation of their group; Dr. GRPO
            does not.
        reduction: ``token`` is the mean over all tokens (DAPO, the paper's code), ``sequence`` the
            mean over sequences of their means (GRPO), ``constant`` the sum over a sequence divided
            by the most tokens it could have (Dr. GRPO).
        level: Whether the probability ratio is that of each ``token`` or, as in GSPO, of the whole
            ``sequence``, to the power of one over its length.
        spreadless: Whether groups whose members all have the same reward, which teach nothing,
            are to ``keep`` in the mean and in the KL term or to ``drop``.
        overlong: Whether predictions that fill all positions without an end token are to ``keep``,
            or to ``mask``: they count within their group and are not trained on (DAPO).
    """

    clip_low: float = 0.2
    clip_high: float = 0.2
    kl_weight: float = 1e-3
    entropy_weight: float = 0.0
    normalize_advantages: bool = True
    reduction: Literal["token", "sequence", "constant"] = "token"
    level: Literal["token", "sequence"] = "token"
    spreadless: Literal["keep", "drop"] = "keep"
    overlong: Literal["keep", "mask"] = "keep"

    def __post_init__(self) -> None:
        for name in ("clip_low", "clip_high", "kl_weight"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"objective: {name} must be at least 0, got {getattr(self, name)}")

    def advantages(self, returns: Tensor, group_size: int) -> Tensor:
        """Advantages of P parts of predictions within their groups from returns, [B * G, P]."""
        groups = returns.unflatten(0, (-1, group_size))  # [B, G, P]
        return group_relative(groups, self.normalize_advantages).flatten(0, 1)

    def unit(self, rewards: Tensor) -> Tensor:
        """How much of a reward is an advantage of 1, from rewards [B, G]: their mean std, or 1."""
        if not self.normalize_advantages:
            return rewards.new_ones(())
        return rewards.std(dim=1).mean() + 1e-6

    def trained_tokens(
        self, sequence: TokenSequence, rewards: Tensor, end_token: int | None
    ) -> Tensor:
        """The tokens that the loss counts, [B * G, T] bool, for rewards [B, G]."""
        mask = sequence.target_mask
        if self.spreadless == "drop":
            mask = mask & has_spread(rewards).repeat_interleave(rewards.shape[1])[:, None]
        if self.overlong == "mask" and end_token is not None:
            mask = mask & ended(sequence, end_token)[:, None]
        return mask

    def loss(
        self, logits: Tensor, rollout: Rollout, bonus: Tensor | None = None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss of some predictions, and what else to log of them.

        ``logits`` [K, V] are those of the K predicted tokens under the policy that learns, and
        ``bonus`` [K] what else is to be maximised at each.
        """
        log_probs = token_log_probs(logits, rollout.sequence)
        gain = None if bonus is None else at_targets(bonus, rollout.sequence)
        if self.entropy_weight:
            entropy = self.entropy_weight * token_entropy(logits, rollout.sequence)
            gain = entropy if gain is None else gain + entropy
        return self.surrogate(log_probs, rollout, gain)

    def surrogate(
        self, log_probs: Tensor, rollout: Rollout, gain: Tensor | None = None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """As ``loss``, from log-probabilities [N, T] and what else is to be maximised, [N, T]."""
        mask = rollout.trained
        log_ratio = log_probs - rollout.log_probs
        if self.level == "sequence":
            log_ratio = row_mean(log_ratio, mask)[:, None].expand_as(mask)
        ratio = (log_ratio, torch.zeros_like(log_ratio), rollout.advantages)
        clip = (self.clip_low, self.clip_high)
        kl = kl_k3(log_probs, rollout.reference_log_probs)
        per_token = rollout.importance * clipped_surrogate(*ratio, *clip) + self.kl_weight * kl
        if gain is not None:
            per_token = per_token - gain
        terms = {
            "kl": kl,
            "clip_fraction": clipped_share(*ratio, *clip),
            "log_prob_gap": (log_probs - rollout.log_probs).abs(),
        }
        terms = {name: masked_mean(term.detach(), mask) for name, term in terms.items()}
        own = mask.shape[1] - rollout.sequence.prompt_length
        return self.reduced(per_token, mask, own), terms

    def reduced(self, per_token: Tensor, mask: Tensor, own: int) -> Tensor:
        """The mean of losses [N, T] where ``mask`` holds; ``own`` positions follow the prompt."""
        if self.reduction == "token":
            return masked_mean(per_token, mask)
        if self.reduction == "sequence":
            return row_mean(per_token, mask).mean()
        return (per_token * mask).sum() / (len(mask) * own)

    def size(self, trained: Tensor) -> Tensor:
        """How much the loss of some predictions counts in a mean, from their mask [N, T]."""
        return (
            trained.sum()
            if self.reduction == "token"
            else torch.tensor(len(trained), device=trained.device)
        )


def ended(sequence: TokenSequence, end_token: int) -> Tensor:
    """Which rows drew their end token, [N] bool."""
    return ((sequence.ids == end_token) & sequence.target_mask).any(dim=1)


def group_relative(rewards: Tensor, normalize: bool = True, eps: float = 1e-6) -> Tensor:
    """GRPO's advantages: rewards [B, G, ...] minus their group's mean, over its (unbiased) std.

    A group without spread, see ``has_spread``, has advantages of exactly zero. Without
    ``normalize``, Dr. GRPO's form.
    """
    centred = rewards - rewards.mean(dim=1, keepdim=True)
    if normalize:
        centred = centred / (rewards.std(dim=1, keepdim=True) + eps)
    return centred * has_spread(rewards).unsqueeze(1)


def has_spread(rewards: Tensor, tolerance: float = 1e-6) -> Tensor:
    """Which groups [B, G, ...] have members with different rewards, so teach something.

    Args:
        rewards: Rewards of the G members of B groups.
        tolerance: Rewards that differ by at most this share of the largest one are equal: rounding
            makes more of a difference than that between equal sums.

    Returns:
        [B, ...] bool.
    """
    smallest, largest = rewards.aminmax(dim=1)
    return largest - smallest > tolerance * rewards.abs().amax(dim=1)


def spreadless_share(rewards: Tensor) -> Tensor:
    """The share of groups [B, G] whose members all have the same reward, so teach nothing."""
    return 1 - has_spread(rewards).float().mean()

"""What actions cost: how far the frame that a world model predicts at their end is from a goal."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from rlvr_world.applications.interactive_rollout import InteractiveRollout, video_codec
from rlvr_world.modules.world_model import WorldModel
from rlvr_world.reward import Reward
from rlvr_world.rl.budget import check_positive
from rlvr_world.rl.sampler import Sampler
from rlvr_world.types import Batch, TokenSequence


class GoalCost:
    """Costs of candidate actions, as the solvers of ``stable-worldmodel`` ask a model for them.

    The candidates of one problem are sampled with the same random numbers, so that they differ by
    their actions only.

    Args:
        model: A world model of video.
        distance: The metric of the last predicted frame against the goal; the share of its tokens
            that are not the goal's if not given.
        horizon: Frames that are predicted before the window slides.
        sampler: How frames are sampled; by the model's own distribution if not given.
        token_budget: The most tokens whose keys and values are held at once; candidates beyond it
            wait. No limit if not given.
        seed: Where the random numbers come from.
        normalized: Whether actions come as numbers from -1 to 1 over their ranges.
    """

    def __init__(
        self,
        model: WorldModel,
        distance: Reward | None = None,
        horizon: int = 1,
        sampler: Sampler | None = None,
        token_budget: int | None = None,
        seed: int = 0,
        normalized: bool = False,
    ) -> None:
        check_positive(horizon=horizon, token_budget=token_budget)
        self.model, self.codec = model, video_codec(model)
        self.distance = None if distance is None else distance.to(model.device)
        self.horizon, self.sampler = horizon, sampler
        self.token_budget, self.seed, self.normalized = token_budget, seed, normalized

    @torch.no_grad()
    def get_cost(self, info: Mapping[str, Any], actions: Tensor) -> Tensor:
        """The cost [B, S] of candidates.

        Args:
            info: ``frames`` (or ``pixels``) uint8 [B, W, 3, H, W], ``actions`` (or ``action``)
                between them, ``goal`` uint8 [B, 3, H, W], and a context frame where the codec needs
                one; each may have an axis S after B, whose entries are alike.
            actions: [B, S, H, A].
        """
        device, count = self.model.device, actions.shape[1]
        start, goal = self.problem(info, actions)
        root = InteractiveRollout(self.model, start, self.horizon, self.sampler)
        goals = self.goal_tokens(start, goal) if self.distance is None else goal.float() / 255
        generator = torch.Generator(device).manual_seed(self.seed)
        shape = (len(goal), actions.shape[2], self.codec.tokens_per_frame)
        uniforms = torch.rand(shape, generator=generator, dtype=torch.float64, device=device)
        flat, costs = self.in_data_units(actions.to(device)).flatten(0, 1), []
        for rows in torch.arange(len(flat), device=device).split(self.rows_at_once(root)):
            problems = rows // count
            rollout = root.branches(problems)
            for time in range(actions.shape[2]):
                window = rollout.advance(flat[rows, time], uniforms[problems, time])
            costs.append(self.far(window, goals[problems]))
        return torch.cat(costs).view(len(goal), count)

    def far(self, window: TokenSequence, goal: Tensor) -> Tensor:
        """How far predicted frames are from goals [N, 3, H, W], or from their tokens [N, T]."""
        if self.distance is None:
            return (self.codec.predicted_tokens(window)[:, 0] != goal).float().mean(dim=1)
        return metric_cost(self.distance, self.codec.decode(window), goal[:, None])

    def problem(self, info: Mapping[str, Any], actions: Tensor) -> tuple[Batch, Tensor]:
        """The start states of B problems, and their goals uint8 [B, 3, H, W]."""
        device, window, count = self.model.device, self.codec.window, len(actions)
        named = {"frames": ("pixels", 5), "actions": ("action", 3), "context": ("context", 4)}
        start: Batch = {"key": [str(row) for row in range(count)]}
        for name, (other, dims) in named.items():
            if name in info or other in info:
                field = torch.as_tensor(info[name] if name in info else info[other]).to(device)
                start[name] = field[:, 0] if field.ndim > dims else field
        if "frames" not in start or "goal" not in info:
            raise ValueError("info: it needs frames (or pixels) and goal")
        if start["frames"].shape[1] < window:
            raise ValueError(
                f"info: the model is given {window} frames, there are {start['frames'].shape[1]}; "
                "give it a history of so many"
            )
        start["frames"] = start["frames"][:, -window:]
        empty = actions.new_zeros(count, 0, actions.shape[-1]).to(device)
        past = self.in_data_units(start.get("actions", empty))
        if past.shape[1] < window - 1:
            raise ValueError(f"info: {window} frames have {window - 1} actions between them")
        start["actions"] = past[:, past.shape[1] - window + 1 :]
        start["steps"] = [actions.shape[-1] // len(self.codec.action_low)] * count
        goal = torch.as_tensor(info["goal"]).to(device)
        while goal.ndim > 4:  # of each candidate alike, of a history the last
            goal = goal[:, -1]
        return start, goal

    def goal_tokens(self, start: Batch, goal: Tensor) -> Tensor:
        """The tokens [B, T] that goals have."""
        frames = torch.cat([start["frames"], goal[:, None]], dim=1)
        return self.codec.tokens(start | {"frames": frames})[1][:, -1]

    def in_data_units(self, actions: Tensor) -> Tensor:
        """Actions [..., A] as the data has them."""
        if not self.normalized:
            return actions
        repeats = actions.shape[-1] // len(self.codec.action_low)
        low, high = self.codec.action_low.repeat(repeats), self.codec.action_high.repeat(repeats)
        return low + (actions + 1) / 2 * (high - low)

    def rows_at_once(self, root: InteractiveRollout) -> int:
        """The most candidates that fit into the token budget."""
        own = self.codec.tokens_per_frame + root.steps * len(self.codec.action_low)
        each = root.prefix.shape[1] + (self.codec.window + self.horizon) * own
        return 2**31 if self.token_budget is None else max(self.token_budget // each, 1)


def metric_cost(metric: Reward, frames: Tensor, goal: Tensor) -> Tensor:
    """A metric of frames against goals, both [N, 1, 3, H, W], as a cost: less is better, [N]."""
    scores = metric.score(frames, goal, {})
    if not scores.isfinite().all():
        raise ValueError(f"distance: {metric.label} of predicted frames and goals is not finite")
    return -scores if metric.higher_is_better else scores

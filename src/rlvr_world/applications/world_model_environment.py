"""World models as environments of gymnasium: what steps there are frames that a model predicts."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning import LightningDataModule
from numpy.typing import NDArray
from torch import Tensor

from rlvr_world.applications.environment_arguments import (
    check_actions,
    check_whole,
    row_seeds,
    start_numbers,
)
from rlvr_world.applications.interactive_rollout import InteractiveRollout, video_codec
from rlvr_world.applications.start_states import chosen, start_states
from rlvr_world.extras import require
from rlvr_world.modules.saved import load_world_model
from rlvr_world.modules.world_model import WorldModel
from rlvr_world.rl.sampler import Sampler

require("gymnasium", "environments", "A world model as an environment")
import gymnasium  # noqa: E402
from gymnasium.vector import AutoresetMode, VectorEnv  # noqa: E402
from gymnasium.vector.utils import batch_space  # noqa: E402

OfFrames = Callable[[Tensor, Tensor], Tensor]
"""Of frames [B, 3, H, W] in [0, 1] and the actions [B, A] that led there: one number each, [B]."""


class WorldModelVectorEnvironment(VectorEnv):
    """Many copies of a world model, which are stepped as one batch on its device.

    A row's frames depend on its own seed and actions only, whatever the number of rows, as long as
    ``terminal`` ends no row before the time limit: then the windows of all rows slide.

    Args:
        checkpoint: Checkpoint of a world model of video, or the model.
        data: Folder of the shards whose clips are the start states, or their data module.
        num_envs: The number of copies.
        split: The split that start states come from.
        horizon: Frames that the model predicts before its window slides; 1 for a model of one
            predicted frame, for others what they were trained for.
        time_limit: Steps until an episode is truncated.
        reward: The reward of each step; 0 if not given.
        terminal: Where an episode ends, [B] bool; nowhere if not given.
        sampler: How frames are sampled; by the model's own distribution if not given.
        device: Where a model from a checkpoint goes.
        render_mode: ``rgb_array`` or None.
    """

    metadata: dict[str, Any] = {  # noqa: RUF012
        "render_modes": ["rgb_array"],
        "render_fps": 5,
        "autoreset_mode": AutoresetMode.NEXT_STEP,
    }

    def __init__(
        self,
        checkpoint: str | Path | WorldModel,
        data: str | Path | LightningDataModule,
        num_envs: int = 1,
        split: str = "test",
        horizon: int = 1,
        time_limit: int = 100,
        reward: OfFrames | None = None,
        terminal: OfFrames | None = None,
        sampler: Sampler | None = None,
        device: str = "cpu",
        render_mode: str | None = None,
    ) -> None:
        check_whole(num_envs=num_envs, horizon=horizon, time_limit=time_limit)
        if render_mode not in (None, "rgb_array"):
            raise ValueError(f"render_mode must be rgb_array or None, got {render_mode}")
        if not isinstance(checkpoint, WorldModel):
            checkpoint = load_world_model(Path(checkpoint), device)
        self.model, self.codec = checkpoint, video_codec(checkpoint)
        self.starts = start_states(data, self.codec, split)
        self.num_envs, self.horizon, self.time_limit = num_envs, horizon, time_limit
        self.reward, self.terminal = reward, terminal
        self.sampler, self.render_mode = sampler or Sampler(), render_mode
        self.rngs = [np.random.default_rng() for _ in range(num_envs)]
        spaces, repeats = gymnasium.spaces, {*self.starts.get("steps", (1,))}.pop()
        low, high = (
            np.tile(side.cpu().numpy(), repeats)
            for side in (self.codec.action_low, self.codec.action_high)
        )
        self.single_observation_space = spaces.Box(0, 255, (*self.codec.frame_size, 3), np.uint8)
        self.single_action_space = spaces.Box(low, high, dtype=np.float32)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.rollout: InteractiveRollout | None = None

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: Any = None
    ) -> tuple[NDArray[np.uint8], dict[str, Any]]:
        """Begin anew in all rows.

        Args:
            seed: One for each row, or the first of consecutive ones.
            options: ``start``, the number of a start state, for all rows or one for each; they are
                drawn at random without it.

        Returns:
            The last given frames [B, H, W, 3], and the ``start`` and its ``key`` of each row.
        """
        numbers, seeds = start_numbers(options, self.num_envs), row_seeds(seed, self.num_envs)
        for row, own in enumerate(seeds):
            if own is not None:
                self.rngs[row] = np.random.default_rng(own)
        rows = list(range(self.num_envs))
        self.ended = np.zeros(self.num_envs, bool)
        self.time = np.zeros(self.num_envs, int)
        self.frames = np.zeros((self.num_envs, *self.codec.frame_size, 3), np.uint8)
        self.rollout = None
        info = self.begin(rows, numbers)
        return self.frames.copy(), info

    def begin(self, rows: Sequence[int], start: NDArray[np.int64] | None = None) -> dict[str, Any]:
        """Put rows at start states, at random ones if none are given; what is said of them."""
        count = len(self.starts["key"])
        if start is None:
            picked = [int(self.rngs[row].integers(count)) for row in rows]
        else:
            picked = start.tolist()
        if not all(0 <= each < count for each in picked):
            raise ValueError(f"options: start must be from 0 to {count - 1}, got {picked}")
        states = chosen(self.starts, picked, self.model.device)
        if self.rollout is None:
            self.rollout = InteractiveRollout(self.model, states, self.horizon, self.sampler)
        else:
            self.rollout.restart(torch.tensor(list(rows), device=self.model.device), states)
        given = self.codec.given_frames(states)[:, self.codec.window - 1]
        self.frames[list(rows)] = given.permute(0, 2, 3, 1).cpu().numpy()
        self.time[list(rows)] = 0
        return {"start": np.array(picked), "key": np.array(states["key"])}

    def step(
        self, actions: NDArray[np.float32]
    ) -> tuple[NDArray[np.uint8], NDArray[Any], NDArray[Any], NDArray[Any], dict[str, Any]]:
        """Predict the frames after one action of each row; rows that had ended begin anew instead.

        Args:
            actions: [B, A]; what lies beyond the action space counts as its nearest value.

        Returns:
            Frames [B, H, W, 3], rewards, terminations and truncations [B], and ``began``, the rows
            that began anew.
        """
        if self.rollout is None:
            raise gymnasium.error.ResetNeeded("call reset before step")
        check_actions(actions, self.num_envs)
        uniforms = np.stack([rng.random(self.codec.tokens_per_frame) for rng in self.rngs])
        device = self.model.device
        given = torch.as_tensor(np.asarray(actions, np.float32)).to(device)
        predicted = self.rollout.step(given, torch.as_tensor(uniforms).to(device))
        rewards, terminated = (
            np.zeros(self.num_envs, kind)
            if judge is None
            else judge(predicted, given).cpu().numpy().astype(kind)
            for judge, kind in ((self.reward, np.float64), (self.terminal, bool))
        )
        pixels = (predicted.clamp(0, 1) * 255).round().byte()
        self.frames[:] = pixels.permute(0, 2, 3, 1).cpu().numpy()
        self.time += 1
        truncated, began = self.time >= self.time_limit, self.ended
        for values in (rewards, terminated, truncated):
            values[began] = 0
        if began.any():
            self.begin(np.flatnonzero(began).tolist())
        self.ended = terminated | truncated
        return self.frames.copy(), rewards, terminated, truncated, {"began": began}

    def render(self) -> tuple[NDArray[np.uint8], ...] | None:
        """The present frame of each row, [H, W, 3]."""
        return None if self.render_mode is None else tuple(self.frames.copy())


class WorldModelEnvironment(gymnasium.Env):
    """A world model that a policy steps like the real environment.

    Args:
        checkpoint: Checkpoint of a world model of video, or the model.
        data: Folder of the shards whose clips are the start states, or their data module.
        render_mode: ``rgb_array`` or None.
        **options: See ``WorldModelVectorEnvironment``.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 5}  # noqa: RUF012

    def __init__(
        self,
        checkpoint: str | Path | WorldModel,
        data: str | Path | LightningDataModule,
        render_mode: str | None = None,
        **options: Any,
    ) -> None:
        self.rows = WorldModelVectorEnvironment(
            checkpoint, data, num_envs=1, render_mode=render_mode, **options
        )
        self.render_mode = render_mode
        self.observation_space = self.rows.single_observation_space
        self.action_space = self.rows.single_action_space

    def reset(
        self, *, seed: int | None = None, options: Any = None
    ) -> tuple[NDArray[np.uint8], dict[str, Any]]:
        """Begin anew at ``options["start"]``, or at a random start state.

        Returns:
            The last given frame [H, W, 3], and the ``start`` and its ``key``.
        """
        super().reset(seed=seed)
        self.rows.rngs = [self.np_random]
        frames, info = self.rows.reset(options=options)
        return frames[0], {"start": int(info["start"][0]), "key": str(info["key"][0])}

    def step(
        self, action: NDArray[np.float32]
    ) -> tuple[NDArray[np.uint8], float, bool, bool, dict[str, Any]]:
        """Predict the frame [H, W, 3] after an action [A]; see ``WorldModelVectorEnvironment``."""
        if self.rows.rollout is None:
            raise gymnasium.error.ResetNeeded("call reset before step")
        self.rows.ended[:] = False
        frames, rewards, ended, truncated, _ = self.rows.step(np.asarray(action)[None])
        return frames[0], float(rewards[0]), bool(ended[0]), bool(truncated[0]), {}

    def render(self) -> NDArray[np.uint8] | None:
        """The present frame, [H, W, 3]."""
        return None if self.render_mode is None else self.rows.frames[0].copy()

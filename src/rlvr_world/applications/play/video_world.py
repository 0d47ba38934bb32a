"""World models of video, as a person steps them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from lightning import LightningDataModule
from numpy.typing import NDArray
from torch import Tensor

from rlvr_world.applications.interactive_rollout import InteractiveRollout, video_codec
from rlvr_world.applications.play.session import Moment, World, picture
from rlvr_world.applications.play.simulated import simulated
from rlvr_world.applications.start_states import chosen, start_states
from rlvr_world.modules.world_model import WorldModel
from rlvr_world.reward import Reward, RewardSet
from rlvr_world.rl.sampler import Sampler
from rlvr_world.video.scenes.pusht import View


class Place(NamedTuple):
    """Where a rollout is.

    ``frames`` are the last ones that were shown, uint8 [1, W, 3, H, W]; ``actions`` [T, A] those of
    the simulator from the start of the episode ``key`` on, or those between the given frames and
    since then if there is no simulator.
    """

    rollout: list[InteractiveRollout]
    frames: Tensor
    actions: list[NDArray[np.float32]]
    key: str
    is_true: bool


class VideoWorld(World):
    """Predicted frames beside those of the simulator, where there is one.

    Args:
        model: A world model of video.
        data: Folder of the recording whose clips are the start states, or their data module.
        split: Their split.
        horizon: Frames that are predicted before the window slides.
        sampler: How to sample; the model's own distribution if not given.
        rewards: What is measured against the simulator's frame.
    """

    def __init__(
        self,
        model: WorldModel,
        data: str | Path | LightningDataModule,
        split: str = "test",
        horizon: int = 1,
        sampler: Sampler | None = None,
        rewards: Mapping[str, Reward] | None = None,
    ) -> None:
        self.model, self.codec = model, video_codec(model)
        self.horizon, self.sampler = horizon, sampler
        self.rewards = RewardSet(rewards)
        self.starts = start_states(data, self.codec, split)
        self.steps = {*self.starts.get("steps", (1,))}.pop()
        self.truth, self.without = simulated(data, split)
        self.newest: InteractiveRollout | None = None

    @property
    def limits(self) -> tuple[list[float], list[float]]:
        """The least and the largest action of a frame."""
        low, high = self.codec.action_low, self.codec.action_high
        return low.repeat(self.steps).tolist(), high.repeat(self.steps).tolist()

    def about(self) -> dict[str, Any]:
        low, high = self.limits
        known = {"kind": "video", "starts": len(self.starts["key"]), "low": low, "high": high}
        known |= {"size": list(self.codec.frame_size), "without": self.without, "pointer": None}
        settings = self.truth.simulator.settings if self.truth is not None else {}
        if "view" in settings and len(low) == 2:  # of PushT: an action is a place in the picture
            view = View(**settings["view"])
            known["pointer"] = {"origin": view.origin, "side": view.side}
        return known

    def begin(self, start: int) -> Moment:
        states = chosen(self.starts, [start], self.model.device)
        window, key = self.codec.window, states["key"][0]
        frames = self.codec.given_frames(states)[:, :window]
        steps = states["actions"][0, : window - 1].reshape((window - 1) * self.steps, -1)
        actions, is_true = list(steps.cpu().numpy()), False
        shown: dict[str, Any] = {}
        if self.truth is not None:
            past = self.truth.past(key, window, self.steps)
            there, given = self.truth.frame(key, past), as_pixels(frames[0, -1])
            if is_true := np.array_equal(there, given):
                actions, shown = past, {"truth": picture(there)}
            else:
                shown = {"note": "The episode looks different when it is played again: record it "
                         "anew to see the simulator beside the model."}  # fmt: skip
        self.newest = InteractiveRollout(self.model, states, self.horizon, self.sampler)
        shown |= {"picture": picture(as_pixels(frames[0, -1])), "key": key, "action": None}
        return Moment(shown, Place([self.newest], frames, actions, key, is_true))

    @torch.no_grad()
    def step(self, moment: Moment, action: Any, rng: np.random.Generator) -> Moment:
        given = self.checked(action)
        place: Place = moment.inner
        rollout = self.taken(place)
        uniforms = rng.random((1, self.codec.tokens_per_frame))
        device = self.model.device
        frame = rollout.step(given[None].to(device), torch.from_numpy(uniforms).to(device))
        pixels = (frame.clamp(0, 1) * 255).round().byte()
        actions = [*place.actions, *given.reshape(self.steps, -1).numpy()]
        rows, columns = self.codec.grid
        shown: dict[str, Any] = {
            "picture": picture(as_pixels(pixels[0])),
            "action": given.tolist(),
            "certainty": rollout.certainty.reshape(rows, columns).tolist(),
        }
        if self.truth is not None and place.is_true:
            there = self.truth.frame(place.key, actions)
            shown |= {"truth": picture(there), "rewards": self.scores(place, frame, there, given)}
        frames = torch.cat([place.frames, pixels[:, None]], dim=1)[:, 1:]
        return Moment(shown, Place([rollout], frames, actions, place.key, place.is_true))

    def taken(self, place: Place) -> InteractiveRollout:
        """The rollout of a place to go on with; one without a cache stays there for branches."""
        row = torch.zeros(1, dtype=torch.long, device=self.model.device)
        rollout = place.rollout[0]
        place.rollout[0] = rollout.branches(row)
        if self.newest is not None and self.newest is not rollout:
            self.newest.cache = None  # of another branch: it would be read anew
        self.newest = rollout
        return rollout

    def checked(self, action: Any) -> Tensor:
        """An action [A] from outside, within the limits."""
        low, high = map(torch.tensor, self.limits)
        is_list = isinstance(action, list) and len(action) == len(low)
        if not is_list or not all(type(value) in (int, float) for value in action):
            raise ValueError(f"action must be a list of {len(low)} numbers")
        given = torch.tensor([float(value) for value in action])
        if not bool(given.isfinite().all()):
            raise ValueError("action must be finite numbers")
        return given.clamp(low, high)

    def scores(
        self, place: Place, frame: Tensor, there: NDArray[np.uint8], action: Tensor
    ) -> dict[str, float]:
        """Each reward of a predicted frame [1, 3, H, W], by the simulator's frame."""
        target = torch.from_numpy(there.copy()).permute(2, 0, 1)[None, None].to(frame.device)
        count = self.codec.window - 1
        past = np.array(place.actions[len(place.actions) - count * self.steps :], np.float32)
        steps = torch.from_numpy(past).reshape(count, len(action))
        given = {
            "key": [place.key],
            "frames": torch.cat([place.frames, target], dim=1),
            "actions": torch.cat([steps, action[None], action[None]])[None].to(frame.device),
        }
        found = self.rewards.scores(frame[:, None], target.float() / 255, given, finite=False)
        return {name: float(score[0]) for name, score in found.items()}


def as_pixels(frame: Tensor) -> NDArray[np.uint8]:
    """A frame uint8 [3, H, W] as [H, W, 3]."""
    return frame.permute(1, 2, 0).cpu().numpy()

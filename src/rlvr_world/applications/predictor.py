"""Trained models for whoever has pictures and actions: frames in, frames out."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from rlvr_world.applications.hub import local
from rlvr_world.applications.interactive_rollout import InteractiveRollout, video_codec
from rlvr_world.evaluation.comparison import rewards_of
from rlvr_world.modules.minimum_bayes_risk import MinimumBayesRisk
from rlvr_world.modules.saved import load_world_model
from rlvr_world.modules.world_model import WorldModel
from rlvr_world.reward import RewardSet, repeat
from rlvr_world.rl.sampler import Sampler


class Predictor:
    """A trained world model of any modality; ``predict`` is for video.

    Args:
        model: The world model, which stays at hand as ``model``: its ``predict`` takes batches of
            its data module, of any modality.
        path: The checkpoint that it comes from, whose rewards ``MinimumBayesRisk`` compares by.
    """

    def __init__(self, model: WorldModel, path: Path) -> None:
        self.model, self.path = model, path

    @cached_property
    def rewards(self) -> RewardSet:
        """The rewards that the checkpoint names."""
        return RewardSet(rewards_of([self.path]))

    def predict(
        self,
        frames: Sequence[Any] | NDArray[np.uint8],
        actions: ArrayLike,
        seed: int = 0,
        sampler: Sampler | MinimumBayesRisk | None = None,
        horizon: int = 1,
    ) -> NDArray[np.uint8]:
        """The frames that follow given ones.

        Args:
            frames: As many as the model is given, each the path of a picture or uint8 [H, W, 3].
            actions: [T, A], of which row t is done between frame t and the next: those between the
                given frames, then one for each frame to predict.
            seed: Of the sampled prediction.
            sampler: How to sample; the model's own distribution if not given. With
                ``MinimumBayesRisk`` whole clips are compared.
            horizon: Frames that are predicted before the window slides.

        Returns:
            uint8 [F, H, W, 3], with F the number of actions after the given frames' own.

        Raises:
            ValueError: They do not fit the model.
        """
        codec, device = video_codec(self.model), self.model.device
        given = torch.from_numpy(np.stack([pixels(frame) for frame in frames]))
        steps = torch.as_tensor(np.asarray(actions, np.float32)).to(device)
        if len(given) != codec.window or steps.ndim != 2 or len(steps) < codec.window:
            raise ValueError(
                f"predict takes {codec.window} frames and actions [T, A], at least as many; got "
                f"{len(given)} frames and actions {list(steps.shape)}"
            )
        mbr = sampler if isinstance(sampler, MinimumBayesRisk) else None
        plain = sampler.sampler if isinstance(sampler, MinimumBayesRisk) else sampler
        clip = given.permute(0, 3, 1, 2)[None].to(device)
        start = {"frames": clip, "context": clip[:, 0], "actions": steps[None], "key": ["given"]}
        start["steps"] = [steps.shape[1] // len(codec.action_low)]
        count = 1 if mbr is None else mbr.samples
        rollout = InteractiveRollout(self.model, repeat(start, count), horizon, plain)
        rng = np.random.default_rng(seed)
        predicted = []
        for action in steps[codec.window - 1 :]:
            uniforms = torch.from_numpy(rng.random((count, codec.tokens_per_frame))).to(device)
            predicted.append(rollout.step(action.expand(count, -1), uniforms))
        clips = torch.stack(predicted, dim=1).clamp(0, 1)
        start["actions"] = torch.cat([steps, steps[-1:]])[None]  # of every frame, as in batches
        chosen = 0 if mbr is None else int(mbr.best(clips, codec, start, self.rewards))
        return (clips[chosen] * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy()


def load(
    path: str | Path,
    device: torch.device | str = "cpu",
    tokenizer: Path | None = None,
    revision: str = "main",
) -> Predictor:
    """The model in a checkpoint, ready to predict.

    Args:
        path: The checkpoint, the folder that ``export`` wrote, or ``owner/name`` of such a folder
            on a hub, of which weights, JSON and texts are fetched into the hub's cache.
        device: Where the model goes.
        tokenizer: See ``load_world_model``.
        revision: Branch, tag or commit of a model on a hub.

    Raises:
        FileNotFoundError: It is neither here nor on the hub.
        ValueError: It holds no world model.
    """
    found = local(path, revision)
    return Predictor(load_world_model(found, device, tokenizer), found)


def pixels(frame: Any) -> NDArray[np.uint8]:
    """A picture as uint8 [H, W, 3]."""
    if isinstance(frame, str | Path):
        with Image.open(frame) as picture:
            return np.asarray(picture.convert("RGB"))
    array = np.asarray(frame)
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3:
        raise ValueError(f"a frame must be uint8 [H, W, 3], got {array.dtype} {list(array.shape)}")
    return array

"""Rewards for where things are, where a simulator's state was known to train a probe."""

from pathlib import Path

from torch import Tensor

from rlvr_world.frozen import Frozen
from rlvr_world.reward import group_size
from rlvr_world.video.rewards.frames import VideoReward
from rlvr_world.video.scenes.state_probe import StateProbe


class ProbedDistance(VideoReward):
    """How far a thing is from where it should be, in the units of the simulator's state.

    A frozen probe reads both places off the pictures, since rewards see nothing else. A policy can
    learn to please a probe, so evaluate with another one (``ProbeScene``), trained with another
    seed, against the simulator's state.

    Args:
        probe: Checkpoint of a trained ``StateProbeRegression``.
        part: The thing, one of the probe's parts.
    """

    higher_is_better = False

    def __init__(self, probe: Path | StateProbe, part: str = "object", weight: float = 1.0) -> None:
        super().__init__(weight)
        model = probe if isinstance(probe, StateProbe) else StateProbe.load(probe)
        if part not in model.config["parts"]:
            known = ", ".join(model.config["parts"])
            raise ValueError(f"ProbedDistance: the probe has no part {part!r}, only {known}")
        self.probe = Frozen(model)
        self.part = part

    @property
    def label(self) -> str:
        return f"ProbedDistance ({self.part})"

    def frame_scores(self, prediction: Tensor, target: Tensor) -> Tensor:
        probe = self.probe.on(prediction.device)
        read, true = (probe.read(frames)[self.part] for frames in (prediction, target))
        members = read.unflatten(0, (-1, group_size(prediction, target)))  # [B, G, F, K]
        return (members - true[:, None]).norm(dim=-1).flatten(0, 1)

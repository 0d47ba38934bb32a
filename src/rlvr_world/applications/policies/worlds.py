"""One task in the real world and in world models: who succeeds where?"""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from rlvr_world.applications.policies.policy import Policy
from rlvr_world.applications.policies.rollouts import (
    Act,
    Film,
    JudgedSimulator,
    imagined_film,
    outcomes,
    real_film,
    reconstructed,
)
from rlvr_world.applications.policies.success import SuccessClassifier, accuracies
from rlvr_world.modules.world_model import WorldModel
from rlvr_world.rl.sampler import Sampler
from rlvr_world.video.data.manifest import Manifest

REAL, CLASSIFIED = "real", "real_classified"
COPY_LAST, RECONSTRUCTION = "copy_last", "reconstruction"


class Judged(NamedTuple):
    """A row's judgement of one task.

    Of P policies from N starts: ``success`` [P, N] bool; ``verdict`` [P, N] bool, whether it is
    what the simulator says after the same actions; and ``film`` of all P x N rollouts, if any.
    """

    success: Tensor
    verdict: Tensor | None = None
    film: Film | None = None


class Trial:
    """Policies that try one task from the same held-out starts.

    Args:
        simulator: The real world.
        manifest: The recording, whose test split has no episode that the starts are taken from.
        task: The task, one of the recording's.
        policies: The policies by name, ready for the task.
        starts: The number of starts of each policy.
        examples: The number of rollouts of each policy that the classifier learns from, and as many
            of the policy of the recording.
        steps: Actions until the end.
        classifier_steps: Batches of the classifier's training.
    """

    def __init__(
        self,
        simulator: Any,
        manifest: Manifest,
        task: str,
        policies: Mapping[str, Policy],
        starts: int,
        examples: int,
        steps: int,
        classifier_steps: int,
    ) -> None:
        self.simulator: JudgedSimulator = simulator
        self.policies, self.task, self.steps = policies, task, steps
        self.starts = unrecorded(manifest, task, "test", starts)
        taught = unrecorded(manifest, task, "val", examples * (len(policies) + 1))
        films = []
        scripted: Act = lambda _: torch.from_numpy(simulator.policy())[None]  # noqa: E731
        for number, act in enumerate([scripted, *map(self.act, policies.values())]):
            indices = taught[number * examples : (number + 1) * examples]
            films.append(real_film(simulator, "val", indices, act, steps))
        self.classifier = SuccessClassifier(films, classifier_steps)

    def act(self, policy: Policy) -> Act:
        return partial(policy, task=self.task)

    def real(self) -> Film:
        """The rollouts of all policies, one policy after the other, in the real world."""
        films = [
            real_film(self.simulator, "test", self.starts, self.act(policy), self.steps)
            for policy in self.policies.values()
        ]
        return Film(*(torch.cat(parts) for parts in zip(*films, strict=True)))

    def by_policy(self, values: Tensor) -> Tensor:
        return values.unflatten(0, (len(self.policies), len(self.starts)))

    def act_all(self, frames: Tensor) -> Tensor:
        """What each policy does, of rows of all policies one after the other."""
        parts = zip(self.policies.values(), self.by_policy(frames), strict=True)
        return torch.cat([policy(frames, self.task) for policy, frames in parts])

    def baselines(self, film: Film, model: WorldModel) -> Iterator[tuple[str, Judged]]:
        """The rows that need no prediction: the real one, and what the classifier adds to it."""
        assert film.success is not None
        first, last = film.frames[:, 0], film.frames[:, -1]
        done = film.success[:, -1]
        self.measured = accuracies(self.classifier(last), done)
        yield REAL, Judged(self.by_policy(done), None, film)
        shown = {CLASSIFIED: last, RECONSTRUCTION: reconstructed(model, first, last)}
        for name, frames in (shown | {COPY_LAST: first}).items():
            said = self.classifier(frames)
            yield name, Judged(self.by_policy(said), self.by_policy(said == done))

    def imagined(
        self, first: Tensor, model: WorldModel, horizon: int, sampler: Sampler | None, seed: int
    ) -> Judged:
        """What the policies do in a world model, from first frames [P x N, 3, H, W]."""
        film = imagined_film(model, first, self.act_all, self.steps, horizon, sampler, seed)
        said = self.classifier(film.frames[:, -1])
        true = outcomes(self.simulator, "test", self.starts * len(self.policies), film.actions)
        return Judged(self.by_policy(said), self.by_policy(said == true), film)


def unrecorded(manifest: Manifest, task: str, split: str, count: int) -> list[int]:
    """Indices of episodes of a task that the simulator can begin, but that were never recorded."""
    tasks: Sequence[str] = manifest.settings["tasks"]
    if task not in tasks:
        raise ValueError(f"tasks: {task} is none of the recording's ({', '.join(tasks)})")
    recorded = manifest.settings["episodes"][split]
    first = -(-recorded // len(tasks)) * len(tasks) + list(tasks).index(task)
    return [first + number * len(tasks) for number in range(count)]


def check_simulated(manifest: Manifest, data: Path) -> None:
    """Raise ``ValueError`` unless a recording is of Meta-World, whose simulator knows success."""
    if manifest.source != "metaworld":
        raise ValueError(
            f"data: {data} was made from {manifest.source}; policies are judged in Meta-World, "
            "whose simulator says when a task is done"
        )

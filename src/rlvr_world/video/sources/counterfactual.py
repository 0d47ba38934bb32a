"""What would have happened: test clips of a recording that go on with other actions."""

from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rlvr_world.data.samples import Sample, read_members
from rlvr_world.video.data.clip_reader import clip_starts
from rlvr_world.video.data.manifest import Manifest
from rlvr_world.video.data.video import episodes
from rlvr_world.video.sources.metaworld import MetaWorldSimulator
from rlvr_world.video.sources.pusht import PushTSimulator
from rlvr_world.video.sources.recorder import EpisodeRecorder, Floats, Simulator

SIMULATORS: dict[str, type[Simulator]] = {"pusht": PushTSimulator, "metaworld": MetaWorldSimulator}
"""By the source that the recording's manifest names."""

OWN, SWAPPED, UNUSUAL = "test", "test_counterfactual", "test_ood"


class Clip(NamedTuple):
    """A clip of a recorded test episode."""

    episode: int
    start: int

    def __str__(self) -> str:
        return f"{OWN}-{self.episode:06d}-{self.start:03d}"


class CounterfactualRecorder(EpisodeRecorder):
    """Records how test clips of a PushT or Meta-World recording go on with other actions.

    Each clip becomes an episode in three splits. Its first frames are those of the recording in all
    of them; then ``test`` goes on as recorded, ``test_counterfactual`` with what another clip (of
    the same task) does, and ``test_ood`` with moves unlike any recorded. The simulator plays the
    recorded episode again from its seed on, so that it is in exactly the recorded state, and every
    frame that was recorded is compared.

    Args:
        source: Folder of the recording.
        root: Folder for the shards and their manifest; ``{source}_counterfactual`` if not given.
        length: Frames per clip.
        given: Leading frames that are as recorded; as many as the world model is given.
        clips_per_episode: Clips of each test episode, spread evenly.
        seed: Where the choice of other actions comes from.
    """

    source = "counterfactual"

    def __init__(
        self,
        source: Path,
        root: str | None = None,
        length: int = 8,
        given: int = 1,
        clips_per_episode: int = 2,
        seed: int = 0,
        processes: int | None = None,
    ) -> None:
        self.recording = source
        manifest = Manifest.load(source)
        if manifest.source not in SIMULATORS:
            raise ValueError(
                f"{source} was made from {manifest.source}, which cannot be played again; give a "
                f"recording of {' or '.join(SIMULATORS)}"
            )
        simulator = SIMULATORS[manifest.source](manifest.settings)
        try:
            frames, own = int(manifest.settings["length"]), manifest.splits[OWN].shards
            there = sum(1 for shard in own for _ in read_members(source / shard.name, ()))
            if manifest.settings["episodes"][OWN] != there:
                raise ValueError(f"its test shards hold {there} episodes")
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"{source}/manifest.json does not fit the shards ({error!r})"
            ) from error
        starts = clip_starts(frames, length, clips_per_episode)
        if not starts or not 0 < given < length:
            raise ValueError(
                f"length {length} must be at most the {frames} frames of an episode, and given, "
                f"{given}, at least 1 and less than length"
            )
        self.clips = [Clip(episode, start) for episode in range(there) for start in starts]
        settings = {
            "recording": manifest.fingerprint,
            "length": length,
            "given": given,
            "clips_per_episode": clips_per_episode,
            "seed": seed,
        }
        counts = dict.fromkeys((OWN, SWAPPED, UNUSUAL), len(self.clips))
        super().__init__(simulator, root or f"{source}_counterfactual", counts, settings, processes)

    def sample(self, split: str, index: int) -> Sample:
        clip, (length, given) = self.clips[index], (self.settings[k] for k in ("length", "given"))
        rng = np.random.default_rng([self.settings["seed"], index])
        moves, source = None, None
        if split == SWAPPED:
            source = self.another(clip, rng)
            moves = self.moves(source)
        elif split == UNUSUAL:
            moves = self.simulator.unusual(self.moves(clip), rng)
        recorded = test_episodes(self.recording)[clip.episode]
        played = self.play(clip, recorded["actions"], moves)
        known = slice(clip.start, clip.start + (length if moves is None else given))
        expected = recorded["frames"][known].transpose(0, 2, 3, 1)
        if not np.array_equal(played["frames.png"][: len(expected)], expected):
            raise ValueError(
                f"{self.recording}: {recorded['key']} looks different when it is played again; "
                "record it again on this machine, with the package versions that are installed"
            )
        info = {"episode": clip.episode, "start": clip.start, "actions_of": source and str(source)}
        return str(clip), played | {"json": info}

    def play(self, clip: Clip, recorded: Floats, moves: Floats | None) -> dict[str, Any]:
        """Play an episode again up to a clip's last given frame, and go on with other moves.

        Of the moves [length, A] those after the last given frame are made; without them, the
        recorded actions [T, A] go on. Returns the clip's arrays by file extension.
        """
        simulator, given = self.simulator, self.settings["given"]
        simulator.begin(OWN, clip.episode)
        for action in recorded[: clip.start]:
            simulator.step(action)

        def act(time: int) -> Floats:
            if moves is None or time < given - 1:
                return recorded[clip.start + time]
            return simulator.action(moves[time])

        return simulator.film(self.settings["length"], act)

    def another(self, clip: Clip, rng: np.random.Generator) -> Clip:
        """A random clip of another episode whose moves make sense in this one."""
        others = [
            other
            for other in self.clips
            if other.episode != clip.episode
            and self.simulator.same_task(other.episode, clip.episode)
        ]
        if not others:
            raise ValueError(
                f"{self.recording} has one test episode of a task only: record more, so that "
                "actions can be swapped"
            )
        return others[rng.integers(len(others))]

    def moves(self, clip: Clip) -> Floats:
        """What the actions of a clip ask for, [T, A]."""
        episode = test_episodes(self.recording)[clip.episode]
        window = slice(clip.start, clip.start + self.settings["length"])
        return self.simulator.moves(episode["actions"][window], episode["states"][window])


@cache
def test_episodes(root: Path) -> list[dict[str, Any]]:
    """The test episodes of a recording."""
    return list(episodes(root, OWN))

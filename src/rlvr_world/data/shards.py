"""The data module that streams batches from a folder of WebDataset shards."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from lightning.pytorch import LightningDataModule
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities import rank_zero_warn

from rlvr_world.data.example_reader import ExampleReader
from rlvr_world.data.loader import ShardLoader
from rlvr_world.data.manifest import ShardManifest
from rlvr_world.data.remote import Origin, is_url, mirror, url_of
from rlvr_world.data.samples import Skips
from rlvr_world.data.shard_file import ALL, Part, ShardFile
from rlvr_world.data.stream import (
    EvaluationStream,
    Fitting,
    Stream,
    TrainingStream,
)

UNNAMED = {"part": list(ALL), "sort_batches": 1}
"""What epochs had whose checkpoints do not say so."""


class ShardDataModule(LightningDataModule, ABC):
    """Trains on resampled shards and evaluates on each example of the split once.

    An epoch of training is the same for the same seed, epoch, number of ranks and of workers, so
    that a run that is resumed, also within an epoch, sees what an uninterrupted one sees.

    Args:
        root: Folder with the shards and their ``manifest.json``; or its URL (``https``, or what
            fsspec opens: ``s3``, ``gs`` ...); or ``pipe:`` and a shell command that prints the file
            ``{name}`` of it.
        batch_size: Examples per training batch and rank.
        eval_batch_size: Examples per validation and test batch; ``batch_size`` if not given.
        num_workers: Processes per rank that load; 0 loads in the main process.
        samples_per_epoch: Training examples per epoch over all ranks, in whole batches.
        shuffle: Training examples that are shuffled among each other.
        seed: Where the order of the training examples comes from.
        part: The share of the training samples (episodes, transitions) to train on, from and to,
            chosen by their keys. ``[0, 0.8]`` for MLE and ``[0.8, 1]`` for RLVR let RLVR learn from
            what MLE has not seen.
        max_skip_share: The run stops if a larger share of the samples is unusable.
        cache: Where the files of a ``root`` behind a URL are kept; ``$RLVR_WORLD_CACHE``, or
            ``~/.cache/rlvr-world``, if not given.
        cache_gb: How many GB (1e9 bytes) of such files are kept there for each ``root``, beside
            those that are being read; all if not given.
    """

    made_by: ClassVar[str] = "rlvr-world data"
    """The command that makes such data, for error messages; ``{root}`` is filled in."""

    manifest_type: ClassVar[type[ShardManifest]]
    """What kind of manifest the folder has."""

    def __init__(
        self,
        root: str,
        batch_size: int = 16,
        eval_batch_size: int | None = None,
        num_workers: int = 0,
        samples_per_epoch: int = 4096,
        shuffle: int = 256,
        seed: int = 0,
        part: tuple[float, float] = (0.0, 1.0),
        max_skip_share: float = 0.05,
        cache: str | None = None,
        cache_gb: float | None = None,
    ) -> None:
        super().__init__()
        for name, value, least in (
            ("batch_size", batch_size, 1),
            ("eval_batch_size", eval_batch_size or batch_size, 1),
            ("samples_per_epoch", samples_per_epoch, 1),
            ("num_workers", num_workers, 0),
            ("shuffle", shuffle, 0),
            ("cache_gb", cache_gb or 0, 0),
        ):
            if value < least:
                raise ValueError(f"{name} must be at least {least}, got {value}")
        if not 0 <= max_skip_share <= 1:
            raise ValueError(f"max_skip_share must be from 0 to 1, got {max_skip_share}")
        if part is None or not 0 <= part[0] < part[1] <= 1:
            raise ValueError(f"part must be two rising numbers from 0 to 1, got {part}")
        self.part = Part(*part)
        self.cache = cache
        self.cache_bytes = None if cache_gb is None else int(cache_gb * 1e9)
        self.urls: dict[Path, str] = {}
        self.root = self.folder(root)
        self.batch_size = batch_size
        self.eval_batch_size = eval_batch_size or batch_size
        self.num_workers = num_workers
        self.samples_per_epoch = samples_per_epoch
        self.shuffle = shuffle
        self.seed = seed
        self.max_skip_share = max_skip_share
        self.loaders: dict[str, ShardLoader] = {}
        self.fitting: Fitting | None = None

    @abstractmethod
    def reader(self, split: str) -> ExampleReader:
        """What makes examples of the samples of a split."""

    def shards(self, split: str) -> list[ShardFile]:
        """The shards of a split; none if there is no such split."""
        found = self.manifest.splits.get(split)
        return [self.file(self.root, shard) for shard in found.shards] if found else []

    def folder(self, root: str) -> Path:
        """The folder of a root: itself or, of a URL, the one here that its files come into."""
        if not is_url(root):
            return Path(root)
        path = mirror(root, self.cache)
        self.urls[path] = root
        return path

    def file(self, root: Path, shard: Any) -> ShardFile:
        """A shard of the manifest of a folder; in a cache its name begins with its SHA-256."""
        if root not in self.urls:
            return ShardFile(root / shard.name, shard.samples)
        path = root / f"{shard.sha256[:16]}.{shard.name}"
        origin = Origin(url_of(self.urls[root], shard.name), shard.sha256, self.cache_bytes)
        return ShardFile(path, shard.samples, origin)

    def fetched(self, root: Path, name: str) -> Path:
        """The folder, once it holds the present version of a file that is no shard."""
        if root in self.urls:
            Origin(url_of(self.urls[root], name)).download(root / name)
        return root

    @abstractmethod
    def lengths(self, split: str) -> dict[int, int]:
        """How many samples of a split have how many time steps."""

    def training_stream(self, **stream: Any) -> TrainingStream:
        """The stream of training batches, from the arguments of ``TrainingStream``."""
        return TrainingStream(**stream)

    @cached_property
    def manifest(self) -> Any:
        """What the folder holds.

        Raises:
            FileNotFoundError: If it is not there; the text says which command makes it.
        """
        root = self.fetched(self.root, "manifest.json")
        return self.manifest_type.load(root, self.made_by.format(root=root))

    @property
    def fingerprint(self) -> str:
        """Identifies the data, down to the bytes."""
        return self.manifest.fingerprint

    @property
    def skipped(self) -> dict[str, Skips]:
        """What was skipped, by split: over all of training, in the last pass of the others."""
        return {split: loader.skips for split, loader in self.loaders.items()}

    def setup(self, stage: str) -> None:
        """Check that the data is there."""
        _ = self.manifest

    def train_dataloader(self) -> ShardLoader:
        """Resampled, shuffled batches; the same number on every rank."""
        length = self.samples_per_epoch // (self.batch_size * self._world)
        if not length:
            raise ValueError(
                f"samples_per_epoch {self.samples_per_epoch} is less than one batch of "
                f"{self.batch_size} on each of {self._world} ranks"
            )
        stream = self.training_stream(
            **self._source("train", self.batch_size),
            length=length,
            buffer=self.shuffle,
            seed=self.seed,
            part=self.part,
        )
        return self._loader("train", stream, length, self._position)

    def val_dataloader(self) -> ShardLoader:
        """Each example of the validation split once."""
        return self.once("val")

    def test_dataloader(self) -> ShardLoader:
        """Each example of the test split once."""
        return self.once("test")

    def predict_dataloader(self) -> ShardLoader:
        """The same as for testing."""
        return self.once("test")

    def state_dict(self) -> dict[str, Any]:
        """The fingerprint of the data, and what an epoch depends on."""
        return {"fingerprint": self.fingerprint, "epoch": self._epoch_settings}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Compare the data with that of the run that is resumed; what is asked now counts.

        Raises:
            ValueError: If the data is not the data of that run.
        """
        if self.trainer is None or self.trainer.state.fn != TrainerFn.FITTING:
            return
        if state_dict["fingerprint"] != self.fingerprint:
            raise ValueError(
                f"{self.root} has fingerprint {self.fingerprint}, but the checkpoint was trained "
                f"on {state_dict['fingerprint']}: resume with the same data, or start a new run"
            )
        before, now = state_dict.get("epoch", {}), self._epoch_settings
        before = UNNAMED | before if before else {}
        both = before.keys() & now.keys()
        changed = [f"{k} {before[k]}, now {now[k]}" for k in sorted(both) if before[k] != now[k]]
        if changed:
            rank_zero_warn(
                f"{self.root}: the resumed run had {'; '.join(changed)}: if it ended within an "
                "epoch, the rest of that epoch may show samples again"
            )

    def once(self, split: str) -> ShardLoader:
        """Each example of a split once, over all ranks together; some may have none."""
        stream = EvaluationStream(**self._source(split, self.eval_batch_size))
        return self._loader(split, stream, self._eval_length(split, stream))

    def _eval_length(self, split: str, stream: EvaluationStream) -> int | None:
        """This rank's batches in a pass.

        Known only if all samples have the same length, and said only if each rank has some: one
        that has none must take part in the end of the pass, for which Lightning wants no length.
        """
        lengths = self.lengths(split)
        if len(lengths) != 1 or self.fitting is not None:
            return None
        ((length, samples),) = lengths.items()
        if samples < self._world:
            return None
        workers = max(self.num_workers, 1)
        starts = range(self._rank, self._world * workers, self._world)
        slots = [len(range(start, samples, self._world * workers)) for start in starts]
        examples = stream.reader.count(length)
        return sum(-(-slot * examples // self.eval_batch_size) for slot in slots)

    def _source(self, split: str, batch_size: int) -> dict[str, Any]:
        """What streams of all kinds need."""
        shards = self.shards(split)
        total = sum(shard.samples for shard in shards)
        if not total:
            raise ValueError(
                f"{self.root} has nothing in its split {split}: make it with "
                f"`{self.made_by.format(root=self.root)}`"
            )
        return {
            "shards": shards,
            "reader": self.reader(split),
            "batch_size": batch_size,
            "skips": Skips(f"{self.root} {split}", total, self.max_skip_share),
            "rank": self._rank,
            "world": self._world,
            "fitting": self.fitting,
        }

    def _loader(
        self,
        split: str,
        stream: Stream,
        length: int | None,
        position: Callable[[], tuple[int, int]] | None = None,
    ) -> ShardLoader:
        self.loaders[split] = ShardLoader(stream, self.num_workers, length, position)
        return self.loaders[split]

    @property
    def _rank(self) -> int:
        return self.trainer.global_rank if self.trainer else 0

    @property
    def _world(self) -> int:
        return self.trainer.world_size if self.trainer else 1

    @property
    def _epoch_settings(self) -> dict[str, Any]:
        names = ("seed", "batch_size", "num_workers", "samples_per_epoch", "shuffle")
        settings = {name: getattr(self, name) for name in names}
        return settings | {"part": list(self.part), "ranks": self._world}

    def _position(self) -> tuple[int, int]:
        """The epoch, and the batch in it, that the trainer comes to next."""
        if self.trainer is None:
            return 0, 0
        batches = self.trainer.fit_loop.epoch_loop.batch_progress.current
        return self.trainer.current_epoch, batches.ready

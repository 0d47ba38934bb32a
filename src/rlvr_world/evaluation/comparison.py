"""What the tables of one kind and another share: models, columns, transitions and a device."""

import os
import platform
import warnings
from argparse import ArgumentError
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from jsonargparse import ArgumentParser
from lightning import LightningDataModule

from rlvr_world.data.shards import ShardDataModule
from rlvr_world.evaluation.columns import SceneMetrics, Scorer
from rlvr_world.evaluation.rows import BASELINES, ModelRow, load_models
from rlvr_world.modules.checkpoint import code_commit, load_checkpoint
from rlvr_world.modules.prediction_rule import PredictionRule
from rlvr_world.modules.rlvr import RLVRWorldModel
from rlvr_world.modules.trusted import check_specification
from rlvr_world.reward import Reward, RewardSet
from rlvr_world.rl.sampler import Sampler
from rlvr_world.types import Batch

Split = Literal["test", "val"]


class Comparison:
    """Checkpoints that are scored alike.

    Args:
        data: The data module whose transitions are predicted. Those whose prompts are too long for
            the first model are left out; ``left_out`` counts them, in the last pass.
        models: Checkpoints of any stage by the name of their row.
        metrics: Columns by name.
        rewards: Terms of the training reward by name; their weighted sum is the column ``reward``.
            If not given, those that the first RLVR checkpoint among the models was trained with, or
            else those that another one names; without any there is no such column.
        scene: Metrics of decoded predictions against the simulator's state.
        samplers: Samplers by row; the model's own distribution if not given. ``MinimumBayesRisk``
            takes of several predictions the one that is best against the others.
        device: Where to run, such as ``cpu`` or ``cuda``; ``auto`` takes a GPU if there is one.
        tune: Extra rows by name, see ``evaluate``.
    """

    def __init__(
        self,
        data: LightningDataModule,
        models: dict[str, Path],
        metrics: dict[str, Reward],
        rewards: dict[str, Reward] | None = None,
        scene: SceneMetrics | None = None,
        samplers: dict[str, Sampler | PredictionRule] | None = None,
        device: str = "auto",
        tune: dict[str, str] | None = None,
    ) -> None:
        samplers, tune = samplers or {}, tune or {}
        check_names(models, samplers, tune)
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        self.device = torch.device(device)
        data.prepare_data()
        self.data: Any = data
        self.left_out = 0
        loaded = load_models(models, self.device)
        for row, model in loaded.items():
            warn_of_split(row, model.provenance, data)
        terms = rewards_of(models.values()) if rewards is None else rewards
        shared = RewardSet(terms)
        self.rows = {
            name: ModelRow(model, samplers.get(name, Sampler()), models[name], shared)
            for name, model in loaded.items()
        }
        if tune and not terms:
            raise ValueError(
                "tune: settings are chosen by the reward, but no checkpoint has one: give `rewards`"
            )
        self.scorer = Scorer(metrics, terms, scene)

    def loader(self, split: Split) -> Any:
        self.data.fitting = next(iter(self.rows.values())).model.codec.fitting
        self.data.setup("test" if split == "test" else "validate")
        return self.data.test_dataloader() if split == "test" else self.data.val_dataloader()

    def batches(self, split: Split, limit: int | None = None) -> Iterator[Batch]:
        """The batches of a split, of all its transitions or of the first ``limit``."""
        count, loader = 0, self.loader(split)
        for batch in loader:
            if limit is not None:
                batch = {name: values[: limit - count] for name, values in batch.items()}
            count += len(batch["key"])
            yield self.data.transfer_batch_to_device(batch, self.device, 0)
            if count == limit:
                break
        self.left_out = loader.skips.left_out if isinstance(self.data, ShardDataModule) else 0
        if not count:
            raise ValueError(
                f"data: the {split} split is empty; make its shards, or shorten its sequences"
            )

    def count(self, split: Split) -> int | None:
        """The number of batches; None if the loader does not know its length."""
        try:
            return len(self.loader(split))
        except TypeError:
            return None

    def provenance(self, split: Split) -> dict[str, Any]:
        return {
            "labels": self.scorer.labels,
            "higher_is_better": self.scorer.higher_is_better,
            "split": split,
            "commit": code_commit(),
            "device": device_name(self.device),
            "data": getattr(self.data, "fingerprint", None),
            "checkpoints": {name: str(row.path) for name, row in self.rows.items()},
            "rewards": {name: term.weight for name, term in self.scorer.rewards.items()},
        }


def warn_of_split(row: str, provenance: Mapping[str, Any], data: Any) -> None:
    """Warn where a published model may have been trained on what it is scored on."""
    parent = provenance.get("parent")
    known = parent.get("split") if isinstance(parent, dict) else None
    manifest = getattr(data, "manifest", None)
    if not isinstance(known, dict) or manifest is None:
        return
    here = {"source": manifest.source} | manifest.settings
    if any(here.get(name) != value for name, value in known.items()):
        wanted = ", ".join(f"{name}: {value}" for name, value in known.items())
        warnings.warn(
            f"models.{row} was trained on a split of its own ({wanted}), and {data.root} is "
            "split otherwise: if it holds the same recordings, that model knows some of what it is "
            "tested on",
            stacklevel=2,
        )


def check_names(
    models: Mapping[str, Path], samplers: Mapping[str, Any], tune: Mapping[str, str]
) -> None:
    """Raise ``ValueError`` if the names of rows do not fit together."""
    if not models:
        raise ValueError("models: at least one checkpoint is needed")
    taken = [name for name in (*models, *tune) if name in BASELINES]
    taken += [name for name in tune if name in models]
    if taken:
        raise ValueError(f"models and tune: there is a row {taken[0]} already; use another name")
    for key, names in (("samplers", samplers), ("tune", tune.values())):
        unknown = [name for name in names if name not in models]
        if unknown:
            raise ValueError(f"{key}: {unknown[0]} is no row of models ({', '.join(models)})")


def rewards_of(checkpoints: Iterable[Path]) -> dict[str, Reward]:
    """The rewards of the first RLVR checkpoint that names some, else of any; empty without one."""
    chosen: tuple[Path, Any] | None = None
    for path in checkpoints:
        checkpoint = load_checkpoint(path)
        terms = checkpoint.get("hyper_parameters", {}).get("rewards")
        is_trained = checkpoint.get("provenance", {}).get("stage") == RLVRWorldModel.__name__
        if terms and (is_trained or chosen is None):
            chosen = path, terms
        if terms and is_trained:
            break
    if chosen is None:
        return {}
    for name, reward in dict(chosen[1]).items():
        check_specification(reward, Reward, f"{chosen[0]}: rewards.{name}")
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--rewards", type=dict[str, Reward])
    try:
        return parser.instantiate(parser.parse_object({"rewards": chosen[1]})).rewards
    except (ArgumentError, OSError) as error:
        raise ValueError(f"{chosen[0]}: give `rewards`, its own do not fit: {error}") from error


def device_name(device: torch.device) -> str:
    """The device in words."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    names = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    models = [line.split(":", 1)[1].strip() for line in names.splitlines() if "model name" in line]
    name = models[0] if models else platform.processor() or platform.machine()
    return f"{name}, {os.cpu_count()} cores"

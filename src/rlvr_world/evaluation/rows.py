"""The rows of a table: baselines, and checkpoints with a way to sample from them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from rlvr_world.modules.prediction_rule import PredictionRule
from rlvr_world.modules.saved import load_world_model
from rlvr_world.modules.world_model import WorldModel
from rlvr_world.reward import RewardSet
from rlvr_world.rl.sampler import Sampler
from rlvr_world.types import Batch, Prediction, TokenSequence

COPY_LAST, RECONSTRUCTION = "copy_last", "reconstruction"
BASELINES = (COPY_LAST, RECONSTRUCTION)


@dataclass
class ModelRow:
    """A checkpoint and how to sample from it; ``rewards`` are for ``MinimumBayesRisk``."""

    model: WorldModel
    sampler: Sampler | PredictionRule
    path: Path
    rewards: RewardSet = field(default_factory=RewardSet)

    @property
    def settings(self) -> dict[str, float | int | None]:
        return self.sampler.settings

    def generator(self, seed: int) -> torch.Generator:
        return torch.Generator(self.model.device).manual_seed(seed)

    def predict(self, batch: Batch, group_size: int, generator: torch.Generator) -> Prediction:
        return self.model.predict(batch, self.sampler, generator, group_size, self.rewards)

    def nll(self, sequence: TokenSequence) -> Tensor | None:
        """The mean negative log-likelihood of the predicted tokens of each sequence, [B].

        None where they are not predicted as one sequence.
        """
        if isinstance(self.sampler, PredictionRule) and not self.sampler.has_likelihood:
            return None
        log_probs = self.model.log_probs(sequence)
        return -log_probs.sum(dim=1) / sequence.target_mask.sum(dim=1)


def load_models(paths: Mapping[str, Path], device: torch.device) -> dict[str, WorldModel]:
    """The world models in checkpoints of any stage, which must share one token code."""
    for row, path in paths.items():
        if not Path(path).is_file():
            raise FileNotFoundError(
                f"models.{row}: {path}: no such checkpoint; train the stage that writes it first "
                "(rlvr-world fit), or correct the path"
            )
    models = {row: load_model(row, Path(path), device) for row, path in paths.items()}
    first = next(iter(models))
    expected = models[first].codec.fingerprint
    for row, model in models.items():
        if model.codec.fingerprint != expected:
            raise ValueError(
                f"models.{row}: {paths[row]} uses the token code {model.codec.fingerprint}, but "
                f"models.{first} uses {expected}; one table compares models of one tokenizer"
            )
    return models


def load_model(row: str, path: Path, device: torch.device) -> WorldModel:
    """The world model in a checkpoint, with the row's name in errors."""
    try:
        return load_world_model(path, device)
    except (ValueError, FileNotFoundError) as error:
        raise type(error)(f"models.{row}: {error}") from error


def check_same_template(rows: Mapping[str, ModelRow], batch: Batch) -> None:
    """Raise ``ValueError`` unless all models make the same token sequences of a batch."""
    first, *others = rows
    expected = rows[first].model.codec.template(batch)
    for name in others:
        template = rows[name].model.codec.template(batch)
        pairs = zip(template[:2], expected[:2], strict=True)  # padding follows from the ids
        if not all(torch.equal(a, b) for a, b in pairs):
            raise ValueError(
                f"models.{name}: its codec makes other token sequences of the data than that of "
                f"models.{first}; both must be trained with the same settings of the codec"
            )


class RowPrediction(NamedTuple):
    """What a row predicts of B transitions.

    ``states`` are [B] if ``is_certain``: no random number matters; else [B * seeds]. ``nll`` [B] is
    None where there is none.
    """

    name: str
    states: Prediction
    is_certain: bool
    nll: Tensor | None = None


def predictions(
    rows: Mapping[str, ModelRow], batch: Batch, seeds: int, seed: int
) -> Iterator[RowPrediction]:
    """What each row predicts of a batch.

    Baselines, and models that take the most likely token, predict once; other models predict
    ``seeds`` times, all from the same random numbers.
    """
    codec = next(iter(rows.values())).model.codec
    sequence = codec.encode(batch)
    yield RowPrediction(COPY_LAST, codec.copy_last(batch), True)
    if codec.is_lossy:
        yield RowPrediction(RECONSTRUCTION, codec.decode(sequence), True)
    for name, row in rows.items():
        is_certain = row.sampler.is_certain
        count = 1 if is_certain else seeds
        states = row.predict(batch, count, row.generator(seed))
        yield RowPrediction(name, states, is_certain, row.nll(sequence))

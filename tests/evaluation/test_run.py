from functools import partial
from pathlib import Path

import pandas as pd
import pytest
import torch
from dials import DialCodec, DialsRight, Transitions
from torch.utils.data import DataLoader

from rlvr_world.evaluation.columns import Scorer
from rlvr_world.evaluation.evaluate import Run
from rlvr_world.evaluation.rows import ModelRow
from rlvr_world.evaluation.table import cells
from rlvr_world.modules.mle import MLEWorldModel
from rlvr_world.nn.transformer import Transformer
from rlvr_world.rl.sampler import Sampler

SEEDS = 2


class Row(ModelRow):
    """Remembers what it drew."""

    def predict(self, batch, group_size, generator):
        prediction = super().predict(batch, group_size, generator)
        self.drawn = [*getattr(self, "drawn", []), prediction]
        return prediction


@torch.no_grad()
def test_each_batch_draws_samples_of_its_own_and_all_rows_from_the_same_numbers():
    torch.manual_seed(0)
    backbone = partial(Transformer, dim=16, depth=1, heads=2)
    model = MLEWorldModel(codec=DialCodec(), backbone=backbone).eval()
    rows = {name: Row(model, Sampler(), Path(name)) for name in ("one", "other")}
    run = Run(rows, Scorer({"right": DialsRight()}, {}), SEEDS, pictured=0)
    batch = next(iter(DataLoader(Transitions(8, 0, slip=0.4), 8)))
    for _ in range(3):
        list(run.score(batch))
    first, second, third = rows["one"].drawn
    for index, prediction in enumerate(rows["one"].drawn):
        generator = torch.Generator().manual_seed(index)
        sequence, _ = model.sample(batch, Sampler(), SEEDS, generator)
        assert torch.equal(prediction, model.codec.decode(sequence))
        assert torch.equal(prediction, rows["other"].drawn[index])
    assert not torch.equal(first, second)
    assert not torch.equal(second, third)


@torch.no_grad()
def test_a_row_that_takes_the_likeliest_token_predicts_once_and_has_no_spread():
    torch.manual_seed(0)
    backbone = partial(Transformer, dim=16, depth=1, heads=2)
    model = MLEWorldModel(codec=DialCodec(), backbone=backbone).eval()
    rows = {"likeliest": Row(model, Sampler(temperature=0), Path("likeliest"))}
    run = Run(rows, Scorer({"right": DialsRight()}, {}), SEEDS, pictured=0)
    batch = next(iter(DataLoader(Transitions(8, 0, slip=0.4), 8)))
    list(run.score(batch))
    (prediction,) = rows["likeliest"].drawn
    assert len(prediction) == 8
    scores = pd.concat(run.frames)
    mean, std = cells(scores).loc[("likeliest", "right")]
    right = DialsRight().scores(prediction, model.codec.target(batch), batch)
    assert mean == pytest.approx(right.mean().item())
    assert std == 0

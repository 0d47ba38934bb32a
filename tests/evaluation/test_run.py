from functools import partial
from pathlib import Path

import torch
from dials import DialCodec, DialsRight, Transitions
from torch.utils.data import DataLoader

from rlvr_world.evaluation.columns import Scorer
from rlvr_world.evaluation.evaluate import Run
from rlvr_world.evaluation.rows import ModelRow
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

"""What every stage of world models shares."""

from functools import partial

import pytest
import torch
from dials import DialCodec, Transitions
from lightning import Trainer
from torch.utils.data import DataLoader

from rlvr_world.modules.mle import MLEWorldModel
from rlvr_world.nn.transformer import Transformer


@pytest.mark.parametrize("loop", ["validate", "test", "predict"])
def test_each_batch_of_an_evaluation_draws_samples_of_its_own(loop, monkeypatch):
    torch.manual_seed(0)
    model = MLEWorldModel(
        codec=DialCodec(), backbone=partial(Transformer, dim=16, depth=1, heads=2)
    )
    batch = next(iter(DataLoader(Transitions(8, 0, slip=0.4), 8)))
    predict, drawn = model.predict, []
    monkeypatch.setattr(
        model, "predict", lambda *at, **options: drawn.append(predict(*at, **options)) or drawn[-1]
    )
    trainer = Trainer(
        accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False
    )
    getattr(trainer, loop)(model, DataLoader([batch] * 3, batch_size=None))
    for index, prediction in enumerate(drawn):
        assert torch.equal(prediction, predict(batch, generator=model.generator(index)))
    assert not torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[1], drawn[2])

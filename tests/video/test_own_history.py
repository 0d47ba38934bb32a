"""Training from frames that the model itself predicted, and tables beyond its horizon."""

from functools import partial

import pytest
import torch
from lightning import Trainer
from tiny_walk import TinyWalk, tiny_tokenizer

from rlvr_world.evaluation.rows import ModelRow
from rlvr_world.modules.mle import MLEWorldModel
from rlvr_world.modules.rlvr import RLVRWorldModel
from rlvr_world.nn.transformer import Transformer
from rlvr_world.reward import RewardSet
from rlvr_world.video import own_history as own_history_module
from rlvr_world.video.codecs.context import ContextVideoCodec
from rlvr_world.video.codecs.frame import FrameCodec
from rlvr_world.video.long_rollout import SlidingWindow, long_rollout
from rlvr_world.video.own_history import OwnHistory, own_history
from rlvr_world.video.rewards.frames import MAE
from rlvr_world.video.tokenizer.vq_model import VQModel

STEPS = 2
ACTIONS = {"action_low": [-1], "action_high": [1], "action_bins": 3}


def frame_codec():
    torch.manual_seed(0)
    tokenizer = VQModel(channels=(8, 8, 8), levels=(5, 3), latent_channels=8, layers=1)
    return FrameCodec(tokenizer, frame_size=[16, 16], context_frames=1, **ACTIONS)


def context_codec():
    return ContextVideoCodec(tiny_tokenizer(), **ACTIONS)


@pytest.fixture(params=[frame_codec, context_codec])
def codec(request):
    return request.param()


def model_of(codec, kind=MLEWorldModel, **options):
    torch.manual_seed(0)
    backbone = partial(Transformer, dim=16, depth=1, heads=2, frames=3)
    return kind(codec=codec, backbone=backbone, rewards={"mae": MAE()}, **options).eval()


@pytest.fixture
def batch():
    return next(iter(TinyWalk(frames=5, batch_size=8).val_dataloader()))


def seeded():
    return torch.Generator().manual_seed(0)


@pytest.mark.parametrize("own", [0, 1, 2])
def test_a_clip_begins_with_the_models_own_frames_and_has_true_labels(codec, batch, own):
    model = model_of(codec)
    changed = batch | own_history(model, batch, STEPS, own, seeded())
    later = slice(own, own + 3)
    assert torch.equal(changed["frames"], batch["frames"][:, later])
    assert torch.equal(changed["actions"], batch["actions"][:, later])
    _, true = codec.tokens(batch)
    given, labels = changed["tokens"].split([1, 2], dim=1)
    assert torch.equal(labels, true[:, own + 1 : own + 3])
    assert torch.equal(given, true[:, own : own + 1]) == (own == 0)
    if own:
        shorter = batch | {"actions": batch["actions"][:, : own + 1]}
        whole = long_rollout(model, shorter, 2, generator=seeded())
        given_frames = codec.decode(codec.encode(changed | {"tokens": given.repeat(1, 3, 1)}))
        torch.testing.assert_close(given_frames[:, 0], whole[:, -1])


@pytest.mark.parametrize("kind", [MLEWorldModel, RLVRWorldModel])
def test_stages_train_on_it_and_are_validated_on_true_histories(codec, kind, tmp_path):
    options = {} if kind is MLEWorldModel else {"group_size": 2, "num_minibatches": 1}
    model, data = model_of(codec, kind, **options), TinyWalk(frames=5, batch_size=8, size=16)
    model.backbone.is_pretrained = True
    trainer = Trainer(
        max_steps=2, accelerator="cpu", logger=False, enable_progress_bar=False,
        enable_checkpointing=False, default_root_dir=tmp_path, callbacks=[OwnHistory(STEPS)],
    )  # fmt: skip
    trainer.fit(model, data)
    batch = next(iter(data.val_dataloader()))
    short = batch | {name: batch[name][:, :3] for name in ("frames", "actions")}
    nll = model.negative_log_likelihood(codec.encode(short))
    torch.testing.assert_close(trainer.callback_metrics["val/nll"], nll.detach())
    trainer.test(model, data.val_dataloader(), verbose=False)
    torch.testing.assert_close(trainer.callback_metrics["test/nll"], nll.detach())


def test_ranks_take_as_many_frames_of_their_own_and_draw_them_differently(codec, monkeypatch):
    model, drawn = model_of(codec), {}
    monkeypatch.setattr(own_history_module, "own_history", lambda *given: {"drawn": given[3:]})
    for rank in (0, 1):
        monkeypatch.setattr(type(model), "global_rank", rank)
        for number in range(8):
            monkeypatch.setattr(type(model), "batches_seen", number)
            batch = {}
            OwnHistory(STEPS).on_train_batch_start(None, model, batch, 0)
            drawn[rank, number] = batch["drawn"]
    assert {own for own, _ in drawn.values()} == {0, 1, 2}
    for number in range(8):
        (own, first), (other, second) = drawn[0, number], drawn[1, number]
        assert own == other
        assert first.initial_seed() != second.initial_seed()


def test_clips_that_are_too_short_are_refused(codec, batch):
    with pytest.raises(ValueError, match=r"clips of 5 frames leave none .* raise clip_length"):
        own_history(model_of(codec), batch, 4, 0)


def test_a_table_predicts_beyond_the_horizon(codec, batch):
    model = model_of(codec)
    row = ModelRow(model, SlidingWindow(2), path=None)
    drawn = row.predict(batch, 1, seeded())
    assert torch.equal(drawn, long_rollout(model, batch, 2, generator=seeded()))
    assert len(SlidingWindow(2).predict(model, batch, RewardSet(), 3)) == 3 * len(batch["key"])
    assert row.nll(codec.encode(batch)) is None
    cold = row.sampler.at(0.0, None)
    assert cold.settings == {"temperature": 0.0, "top_k": None, "top_p": None, "horizon": 2}

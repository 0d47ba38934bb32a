"""The multi-step path on a toy world through the command line: tokenizer, MLE, RLVR."""

import numpy as np
import pytest
import torch
import yaml
from lightning.pytorch.callbacks import Callback
from tiny_walk import TinyWalk, Walks, tiny_tokenizer

from rlvr_world.cli import main
from rlvr_world.modules.saved import load_world_model
from rlvr_world.rl.sampler import Sampler
from rlvr_world.video.long_rollout import long_rollout
from rlvr_world.video.rewards.frames import MAE
from rlvr_world.video.tokenizer.compressive import CompressiveVQModel

RATES = {"tokenizer": 3e-3, "mle": 5e-3, "rlvr": 1e-4}
REWARDS = {
    "mae": {"class_path": "rlvr_world.video.rewards.frames.MAE"},
    "repetition": {
        "class_path": "rlvr_world.video.rewards.motion.Repetition",
        "init_args": {"weight": 0.01},
    },
}


class History(Callback):
    """Keeps what each training batch logged."""

    kept: dict = {}  # noqa: RUF012

    def __init__(self, name: str) -> None:
        self.values = History.kept.setdefault(name, [])

    def on_train_batch_end(self, trainer, *_):
        self.values.append({key: float(x) for key, x in trainer.callback_metrics.items()})


def run(folder, name, steps, model, init_args, batch_size=16):
    """Fit as a user would, from one YAML file."""
    adam = {"class_path": "torch.optim.AdamW", "init_args": {"lr": RATES[name]}}
    last = {"dirpath": str(folder / name), "save_last": True, "enable_version_counter": False}
    config = {
        "data": {"class_path": "tiny_walk.TinyWalk", "init_args": {"batch_size": batch_size}},
        "model": {"class_path": model, "init_args": init_args | {"optimizer": adam}},
        "trainer": {
            "max_steps": steps, "accelerator": "cpu", "logger": False, "num_sanity_val_steps": 0,
            "enable_progress_bar": False, "default_root_dir": str(folder),
            "callbacks": [
                {"class_path": "test_multi_step.History", "init_args": {"name": name}},
                {"class_path": "ModelCheckpoint", "init_args": last},
            ],
        },
    }  # fmt: skip
    (folder / f"{name}.yaml").write_text(yaml.safe_dump(config))
    main(["fit", "-c", str(folder / f"{name}.yaml")])
    return folder / name / "last.ckpt"


def world_model(tokenizer, **options):
    codec = {
        "class_path": "rlvr_world.video.codecs.context.ContextVideoCodec",
        "init_args": {
            "tokenizer": str(tokenizer), "action_low": [-1], "action_high": [1], "action_bins": 3,
        },
    }  # fmt: skip
    backbone = {
        "class_path": "rlvr_world.nn.transformer.Transformer",
        "init_args": {"dim": 32, "depth": 2, "heads": 2},
    }
    return {"codec": codec, "backbone": backbone} | options


@pytest.fixture(scope="module")
def stages(tmp_path_factory):
    """The checkpoints of the three stages."""
    folder = tmp_path_factory.mktemp("multi_step")
    model = {
        "class_path": "rlvr_world.video.tokenizer.compressive.CompressiveVQModel",
        "init_args": tiny_tokenizer().config,
    }
    compressive = "rlvr_world.video.tokenizer.compressive_tokenizer.CompressiveTokenizer"
    options = {"model": model, "perceptual": None, "foreground_weight": 8.0}
    tokenizer = run(folder, "tokenizer", 150, compressive, options, batch_size=8)
    mle = run(folder, "mle", 150, "rlvr_world.modules.mle.MLEWorldModel", world_model(tokenizer))
    options = world_model(
        tokenizer, weights=str(mle), rewards=REWARDS, group_size=8, num_minibatches=2,
        credit={"to": "patch"}, temperature_lr=0.02,
    )  # fmt: skip
    rlvr = run(folder, "rlvr", 40, "rlvr_world.modules.rlvr.RLVRWorldModel", options, batch_size=8)
    return {"tokenizer": tokenizer, "mle": mle, "rlvr": rlvr}


def mean(name, metric, part):
    values = [step[metric] for step in History.kept[name][part]]
    return sum(values) / len(values)


def test_the_tokenizer_learns_context_and_later_frames(stages):
    for term in ("train/l1", "train/context_l1"):
        assert mean("tokenizer", term, slice(-5, None)) < mean("tokenizer", term, slice(5)) / 2
    assert {"val/context_perplexity", "val/psnr"} <= set(History.kept["tokenizer"][-1])
    model = CompressiveVQModel.load(stages["tokenizer"]).eval()
    walks = Walks(16, 4, 7)
    clips = torch.stack([walks[index]["frames"] for index in range(16)]).float() / 255
    codes = model.encode(clips[:, 0], clips[:, 1:])
    error = (model.decode(codes) - clips[:, 1:]).abs().mean()
    still = (clips[:, :1] - clips[:, 1:]).abs().mean()
    assert error < still


def test_maximum_likelihood_learns_what_actions_do(stages):
    assert mean("mle", "train/loss", slice(-5, None)) < 0.5 * mean("mle", "train/loss", slice(3))


@pytest.mark.parametrize(("stage", "frames"), [("tokenizer", 4), ("mle", 3), ("rlvr", 3)])
def test_each_stage_is_tested_and_predicts(stages, stage, frames, capsys):
    folder = stages[stage].parents[1]
    options = ["-c", str(folder / f"{stage}.yaml"), "--ckpt_path", str(stages[stage])]
    main(["test", *options])
    assert "test/" in capsys.readouterr().out
    main(["predict", *options, "--frames", "npy", "--output", str(folder / "predicted" / stage)])
    arrays = [np.load(path) for path in (folder / "predicted" / stage).glob("*.npy")]
    size = Walks(1, frames, 0)[0]["frames"].shape[-1]
    assert {array.shape for array in arrays} == {(frames, size, size, 3)}
    assert len(arrays) == 32


def test_several_frames_make_a_clip(stages):
    model, batch = load_world_model(stages["mle"]), next(iter(TinyWalk().val_dataloader()))
    target = model.codec.target(batch)
    clip = model.codec.clip(batch, target, {"prediction": model.predict(batch)}, [0, 5])
    assert (len(clip), clip.shape[-1], clip.dtype) == (batch["frames"].shape[1], 3, np.uint8)
    assert model.codec.clip(batch, target[:, :1], {"prediction": target[:, :1]}, [0]) is None


def mean_error(path):
    """The mean absolute error of eight predictions for each validation clip."""
    model, batch = load_world_model(path), next(iter(TinyWalk().val_dataloader()))
    generator = torch.Generator().manual_seed(0)
    sequence, _ = model.sample(batch, Sampler(), 8, generator)
    prediction = model.codec.decode(sequence)
    return float(MAE().scores(prediction, model.codec.target(batch), batch).mean())


def test_rlvr_raises_the_reward(stages):
    steps = History.kept["rlvr"]
    assert len(steps) == 20
    assert mean_error(stages["rlvr"]) < 0.95 * mean_error(stages["mle"])
    assert {"train/reward/repetition", "train/reward/mae"} <= set(steps[-1])
    assert all(step["train/log_prob_gap"] < 1 for step in steps)


def test_a_long_rollout_samples_as_the_model_does_within_its_horizon(stages):
    model = load_world_model(stages["rlvr"])
    batch = next(iter(TinyWalk(frames=8).val_dataloader()))

    def seeded():
        return torch.Generator().manual_seed(0)

    whole = long_rollout(model, batch, 7, generator=seeded())
    assert whole.shape == (32, 7, 3, 16, 16)
    assert torch.equal(whole, model.predict(batch, generator=seeded()))
    parts = long_rollout(model, batch, 3, generator=seeded())
    short = batch | {name: batch[name][:, :4] for name in ("frames", "actions")}
    assert parts.shape == whole.shape
    assert torch.equal(parts[:, :3], model.predict(short, generator=seeded()))


def test_a_long_rollout_gives_the_next_window_the_last_frame_and_the_same_context(stages):
    model = load_world_model(stages["mle"])
    batch = next(iter(TinyWalk(frames=6, batch_size=4).val_dataloader()))
    templates = []

    def fill(backbone, template, legal, generator):
        templates.append(template)
        return template._replace(ids=template.ids.where(~template.target_mask, 3)), None

    frames = long_rollout(model, batch, 2, sampler=fill)
    assert frames.shape[1] == 5
    assert [template.target_mask.sum(dim=1)[0].item() // 4 for template in templates] == [2, 2, 1]
    actions = model.codec.action_tokens(batch)
    for part, template in enumerate(templates):
        assert torch.equal(template.ids[:, :16], templates[0].ids[:, :16])
        if part:
            assert (template.ids[:, 16:20] == 3).all()
        assert torch.equal(template.ids[:, 20], actions[:, 2 * part, 0])
    with pytest.raises(ValueError, match="horizon must be above 0"):
        long_rollout(model, batch, 0)
    with pytest.raises(ValueError, match="leave no frame to predict"):
        long_rollout(model, batch | {"actions": batch["actions"][:, :1]}, 2)

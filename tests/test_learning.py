"""MLE then RLVR learn on a toy world, and a resumed run is the uninterrupted one."""

from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
import torch
from dials import DialCodec, DialData, DialsRight, SetTransitions, set_dials
from lightning import Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from torch.utils.data import DataLoader

from rlvr_world.evaluation.columns import Scorer
from rlvr_world.evaluation.following import Following
from rlvr_world.evaluation.rows import ModelRow
from rlvr_world.modules.mle import MLEWorldModel
from rlvr_world.modules.rlvr import RLVRWorldModel
from rlvr_world.nn.transformer import Transformer
from rlvr_world.rl.credit import Credit
from rlvr_world.rl.grpo import GRPO
from rlvr_world.rl.sampler import Sampler

BACKBONE = partial(Transformer, dim=48, depth=2, heads=4)
ADAM = partial(torch.optim.AdamW, lr=3e-3)


def trainer(folder, steps, **options):
    return Trainer(
        max_steps=steps, accelerator="cpu", logger=False, enable_progress_bar=False,
        enable_model_summary=False, num_sanity_val_steps=0, default_root_dir=folder,
        callbacks=ModelCheckpoint(folder, filename="{epoch}", save_top_k=-1, save_last=True),
        **options,
    )  # fmt: skip


def mle():
    fast = partial(torch.optim.AdamW, lr=1e-2)
    return MLEWorldModel(codec=DialCodec(), backbone=BACKBONE, optimizer=fast)


def rlvr(weights, **options):
    torch.manual_seed(0)
    settings = {
        "group_size": 8,
        "num_minibatches": 4,
        "objective": GRPO(kl_weight=1e-3),
        "optimizer": ADAM,
    }
    return RLVRWorldModel(
        codec=DialCodec(),
        backbone=BACKBONE,
        rewards={"right": DialsRight()},
        weights=weights,
        **(settings | options),
    )


@pytest.fixture(scope="module")
def mle_checkpoint(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mle")
    torch.manual_seed(0)
    model = mle()
    runner = trainer(folder, 256)
    before = nll(model)
    runner.fit(model, DialData())
    assert nll(model) < 0.6 * before
    return folder / "last.ckpt"


def test_a_run_whose_metric_gets_worse_keeps_its_last_state(tmp_path):
    """As the configs have it, since Lightning's ``save_last`` would keep the best one twice."""
    names = {"enable_version_counter": False, "dirpath": tmp_path}
    keep = [
        ModelCheckpoint(filename="best", monitor="step", mode="min", **names),
        ModelCheckpoint(filename="last", **names),
    ]
    model = mle()
    runner = Trainer(
        max_epochs=3, limit_train_batches=4, accelerator="cpu", logger=False, callbacks=keep,
        enable_progress_bar=False, enable_model_summary=False, num_sanity_val_steps=0,
    )  # fmt: skip
    runner.fit(model, DialData())
    steps = {
        n: torch.load(tmp_path / f"{n}.ckpt", weights_only=True)["global_step"]
        for n in ("best", "last")
    }
    assert steps == {"best": 4, "last": 12}


def validation_batch():
    return next(iter(DialData().val_dataloader()))


@torch.no_grad()
def nll(model):
    return float(model.negative_log_likelihood(model.codec.encode(validation_batch())))


def accuracy(model):
    batch = validation_batch()
    prediction = model.predict(batch, generator=torch.Generator().manual_seed(0))
    return float(DialsRight().score(prediction, batch["next_state"], batch).mean())


def trained_to_set(codec, folder, steps=400):
    torch.manual_seed(0)
    fast = partial(torch.optim.AdamW, lr=5e-3)
    model = MLEWorldModel(codec=codec, backbone=BACKBONE, optimizer=fast)
    trainer(folder, steps).fit(model, DataLoader(SetTransitions(8192, 0), 64, shuffle=True))
    return model


def pair_accuracy(model):
    """How often the most likely prediction is nearer to the truth of its own action."""
    rows = {"mle": ModelRow(model, Sampler(temperature=0.0), Path("mle.ckpt"))}
    scorer = Scorer({"right": DialsRight()}, {})
    following = Following(SimpleNamespace(rows=rows, scorer=scorer), seeds=1)
    own = next(iter(DataLoader(SetTransitions(256, 1), 256)))
    action = own["action"].roll(1, dims=0)
    other = own | {"action": action, "next_state": set_dials(own["state"], action)}
    with torch.no_grad():
        list(following.score({"own": own, "other": other}))
    scores = pd.concat(following.frames)
    return scores.groupby(["metric", "row"])["value"].mean()


def test_a_model_follows_the_action(tmp_path):
    accuracy = pair_accuracy(trained_to_set(DialCodec(), tmp_path))
    assert accuracy["pairs/right", "mle"] > 0.9
    assert accuracy["pairs/right", "copy_last"] == pytest.approx(0.5, abs=0.1)


def test_a_model_that_does_not_see_the_action_does_not_follow_it(tmp_path):
    class Blind(DialCodec):
        def encode(self, batch):
            return super().encode(batch | {"action": torch.zeros_like(batch["action"])})

    accuracy = pair_accuracy(trained_to_set(Blind(), tmp_path, steps=100))
    assert accuracy["pairs/right", "mle"] == pytest.approx(0.5, abs=0.1)


def test_rlvr_raises_the_reward_above_mle(mle_checkpoint, tmp_path):
    model = rlvr(mle_checkpoint)
    runner = trainer(tmp_path, 0)
    runner.strategy.connect(model)
    model.setup("fit")
    before = accuracy(model)
    trainer(tmp_path, 4 * 48).fit(model, DialData())
    assert accuracy(model) > before + 0.05


def test_patches_of_text_are_refused():
    with pytest.raises(ValueError, match="`to: patch` is for codecs whose tokens lie in a grid"):
        rlvr(None, credit=Credit(to="patch"))


@pytest.mark.parametrize("temperature_lr", [None, 0.02])
def test_resumed_run_equals_the_uninterrupted_one(mle_checkpoint, tmp_path, temperature_lr):
    data = partial(DialData, size=512)
    start = partial(rlvr, mle_checkpoint, temperature_lr=temperature_lr)
    whole, half = tmp_path / "whole", tmp_path / "half"
    model = start()
    trainer(whole, 4 * 24).fit(model, data())
    stopped = start()
    trainer(half, 4 * 16).fit(stopped, data())
    resumed = start()
    runner = trainer(half, 4 * 24)
    runner.fit(resumed, data(), ckpt_path=half / "last.ckpt", weights_only=True)
    assert runner.global_step == 4 * 24
    for expected, actual in zip(model.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(expected, actual)
    reference = torch.load(mle_checkpoint, weights_only=True)["state_dict"]
    for name, parameter in resumed.reference.module.state_dict().items():
        assert torch.equal(parameter, reference[f"backbone.{name}"])


@pytest.mark.parametrize("budget", [40, 13])
def test_a_token_budget_changes_nothing(mle_checkpoint, tmp_path, budget):
    """Forty tokens hold a group of eight and its prompt, thirteen only some of its members."""
    trained = []
    for token_budget in (None, budget):
        model = rlvr(
            mle_checkpoint,
            token_budget=token_budget,
            sampler=Sampler(token_budget=token_budget),
            objective=GRPO(kl_weight=1e-3, entropy_weight=0.01),
            optimizer=partial(torch.optim.SGD, lr=0.1),
        )
        trainer(tmp_path, 2).fit(model, DialData(batch_size=8))
        trained.append(torch.cat([p.detach().flatten() for p in model.backbone.parameters()]))
    torch.testing.assert_close(trained[0], trained[1], atol=1e-6, rtol=0)
    start = torch.load(mle_checkpoint, weights_only=True)["state_dict"]
    start = torch.cat([p.flatten() for p in start.values()])
    assert (trained[0] - start).abs().max() > 1e-4


@torch.no_grad()
def mean_entropy(model):
    sequence = model.codec.encode(validation_batch())
    legal = model.logits(sequence)[:, model.legal_tokens()]
    return float(torch.distributions.Categorical(logits=legal).entropy().mean())


def test_a_temperature_of_its_own_sharpens_a_policy_sooner(mle_checkpoint, tmp_path):
    slow = partial(torch.optim.AdamW, lr=1e-5)
    found = []
    for temperature_lr in (None, 0.05):
        model = rlvr(mle_checkpoint, optimizer=slow, temperature_lr=temperature_lr)
        trainer(tmp_path, 4 * 6).fit(model, DialData())
        found.append((accuracy(model), -mean_entropy(model)))
    plain, sharpened = found
    assert sharpened[0] > plain[0] + 0.02
    assert sharpened[1] > plain[1] + 0.1


def test_an_entropy_bonus_keeps_the_policy_random(mle_checkpoint, tmp_path):
    found = []
    for weight in (0.0, 0.5):
        model = rlvr(mle_checkpoint, objective=GRPO(kl_weight=0, entropy_weight=weight))
        trainer(tmp_path, 4 * 4).fit(model, DialData())
        found.append(mean_entropy(model))
    assert found[1] > found[0] + 0.1


def test_training_refuses_a_truncated_sampler(mle_checkpoint):
    with pytest.raises(ValueError, match="draws from the full distribution"):
        rlvr(mle_checkpoint, sampler=Sampler(top_k=3))


def test_rlvr_without_weights_says_what_is_missing(tmp_path):
    with pytest.raises(ValueError, match=r"model\.weights: RLVR starts from an MLE checkpoint"):
        trainer(tmp_path, 1).fit(rlvr(None), DialData())


def test_missing_stage_checkpoint_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere\.ckpt: no such checkpoint"):
        trainer(tmp_path, 1).fit(rlvr(tmp_path / "nowhere.ckpt"), DialData())


def test_checkpoint_of_another_codec_is_named(mle_checkpoint, tmp_path):
    model = rlvr(mle_checkpoint)
    model.codec.fingerprint = "levers"
    with pytest.raises(ValueError, match=r"last\.ckpt: trained on the tokens of DialCodec dials"):
        trainer(tmp_path, 1).fit(model, DialData())


def test_checkpoint_of_another_size_is_named(mle_checkpoint, tmp_path):
    model = RLVRWorldModel(
        codec=DialCodec(),
        backbone=partial(Transformer, dim=32, heads=4),
        rewards={"right": DialsRight()},
        weights=mle_checkpoint,
    )
    with pytest.raises(ValueError, match=r"last\.ckpt: does not fit this RLVRWorldModel"):
        trainer(tmp_path, 1).fit(model, DialData())


def test_minibatches_must_divide_the_prompts(mle_checkpoint, tmp_path):
    with pytest.raises(ValueError, match="num_minibatches 5 must divide the 64 prompts"):
        trainer(tmp_path, 1).fit(rlvr(mle_checkpoint, num_minibatches=5), DialData())

"""A loss, a gradient or a reward that is not finite costs its step, never the weights."""

from functools import partial

import pytest
import torch
from dials import DialCodec, DialData, DialsRight
from lightning import Trainer

from rlvr_world.callbacks.interruption import Interruption
from rlvr_world.modules.mle import MLEWorldModel
from rlvr_world.modules.rlvr import RLVRWorldModel
from rlvr_world.modules.skipped_steps import TooManySkips
from rlvr_world.nn.transformer import Transformer
from rlvr_world.reward import Reward


class Pretrained(Transformer):
    is_pretrained = True


class Odd(DialsRight):
    """As ``DialsRight``, but another value for one prediction of a sample in some calls."""

    def __init__(self, value, calls, key="3"):
        super().__init__()
        self.value, self.calls, self.key, self.seen = value, calls, key, 0

    def score(self, prediction, target, given):
        scores = super().score(prediction, target, given)
        if self.seen in self.calls and self.key in given["key"]:
            scores[given["key"].index(self.key)] = self.value
        self.seen += 1
        return scores


class Shaky(MLEWorldModel):
    """Its loss is multiplied by another number at each step."""

    def __init__(self, factors, **options):
        super().__init__(**options)
        self.factors = factors

    def training_step(self, batch, batch_idx):
        return super().training_step(batch, batch_idx) * self.factors.get(batch_idx, 1.0)


class Watch(Interruption):
    """Remembers the weights after each batch."""

    def __init__(self, checkpoint=None):
        super().__init__(checkpoint)
        self.weights = []

    def on_train_batch_end(self, trainer, module, *batch):
        super().on_train_batch_end(trainer, module, *batch)
        self.weights.append(torch.cat([p.detach().flatten().clone() for p in module.parameters()]))


def fit(module, watch, **trainer):
    options = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = Trainer(
        accelerator="cpu", callbacks=watch, limit_val_batches=0, enable_checkpointing=False,
        **options, **({"max_epochs": 1} | trainer),
    )  # fmt: skip
    trainer.fit(module, DialData(batch_size=8, size=48))
    return trainer


def options():
    torch.manual_seed(0)
    backbone = partial(Pretrained, dim=16, depth=1, heads=2)
    return {
        "codec": DialCodec(), "backbone": backbone,
        "optimizer": partial(torch.optim.AdamW, lr=1e-2),
    }  # fmt: skip


def rlvr(reward, **more):
    return RLVRWorldModel(
        **options(), rewards={"mine": reward}, group_size=4, num_minibatches=2, **more
    )


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_one_bad_reward_costs_one_optimizer_step(value):
    module, watch = rlvr(Odd(value, {0})), Watch()
    said = r"an optimizer step is skipped: rewards\.mine is (nan|inf|-inf) for 3"
    with pytest.warns(UserWarning, match=said):
        trainer = fit(module, watch)
    assert all(weights.isfinite().all() for weights in watch.weights)
    assert trainer.callback_metrics["train/skipped_steps"] == module.skips.total == 1
    assert not torch.equal(watch.weights[0], watch.weights[1])
    state = trainer.optimizers[0].state.values()
    assert {int(each["step"]) for each in state} == {2 * 6 - 1}


@pytest.mark.parametrize("factor", [float("nan"), float("inf")])
@pytest.mark.parametrize("batches", [1, 2])
def test_a_bad_loss_leaves_the_weights_of_the_step_before(factor, batches):
    module, watch = Shaky({2: factor}, **options()), Watch()
    with pytest.warns(UserWarning, match=r"not finite at \d+, \d+, \d+"):
        fit(module, watch, accumulate_grad_batches=batches)
    last = 3 if batches == 2 else 2
    assert torch.equal(watch.weights[last], watch.weights[1])
    assert not torch.equal(watch.weights[-1], watch.weights[last])
    assert watch.weights[-1].isfinite().all()
    assert module.skips.total == 1


def test_too_many_in_a_row_end_the_run_with_the_last_good_weights(tmp_path):
    watch = Watch(tmp_path / "last.ckpt")
    module = rlvr(Odd(float("nan"), range(2, 99), "17"), max_skipped_steps=1)
    said = r"1 optimizer steps in a row .* rewards\.mine is nan for 17; the weights are those"
    with pytest.warns(UserWarning, match="skipped"), pytest.raises(TooManySkips, match=said):
        fit(module, watch)
    state = torch.load(tmp_path / "last.ckpt", weights_only=True)["state_dict"]
    saved = torch.cat([state[name].flatten() for name, _ in module.named_parameters()])
    assert saved.isfinite().all()
    for name, parameter in module.named_parameters():
        assert torch.equal(state[name], parameter)


def test_good_steps_between_start_the_count_anew():
    module = Shaky(dict.fromkeys([0, 2, 4], float("nan")), max_skipped_steps=2, **options())
    with pytest.warns(UserWarning, match="skipped"):
        fit(module, Watch())
    assert (module.skips.total, module.skips.in_a_row) == (3, 0)


class Faulty(Reward):
    def score(self, prediction, target, given):
        raise ZeroDivisionError("no block in sight")


def test_a_reward_that_raises_ends_the_run_and_names_itself_and_the_samples():
    with pytest.raises(ZeroDivisionError, match="no block in sight") as error:
        fit(rlvr(Faulty()), Watch())
    (note,) = error.value.__notes__
    assert note.startswith("rewards.mine: Faulty.score failed for samples among 0, 1, 2")

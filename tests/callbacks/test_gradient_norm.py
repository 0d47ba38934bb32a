import pytest
import torch
from lightning import Trainer
from line_world import Line, Numbers

from rlvr_world.callbacks.gradient_norm import GradientNorm


def gradient_norms(module, **options):
    trainer = Trainer(
        accelerator="cpu", max_steps=1, callbacks=[GradientNorm()], logger=False,
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
        **options,
    )  # fmt: skip
    torch.manual_seed(0)
    start = [parameter.detach().clone() for parameter in module.parameters()]
    trainer.fit(module, Numbers())
    steps = [(p - before).norm() for p, before in zip(module.parameters(), start, strict=True)]
    logged = {k: v for k, v in trainer.callback_metrics.items() if "gradient_norm" in k}
    return logged, steps


@pytest.mark.parametrize("clip", [None, 0.5])
def test_the_norm_is_logged_before_clipping(clip):
    logged, steps = gradient_norms(Line(), gradient_clip_val=clip)
    assert set(logged) == {"train/gradient_norm"}
    assert float(logged["train/gradient_norm"]) > 100
    assert (float(sum(steps)) < 1) == (clip is not None)


def test_modules_that_step_for_themselves_have_a_norm_for_each_optimizer():
    logged, _ = gradient_norms(Line(manual=True))
    assert set(logged) == {"train/gradient_norm", "train/gradient_norm-1"}
    assert all(float(norm) > 100 for norm in logged.values())

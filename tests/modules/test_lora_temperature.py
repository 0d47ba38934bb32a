"""RLVR of a frozen language model: low-rank differences, and a temperature of its own."""

from functools import partial

import pytest
import torch
from dials import DialCodec, DialData, DialsRight
from lightning import Trainer

from rlvr_world.modules.rlvr import RLVRWorldModel
from rlvr_world.nn.language_model import LanguageModel

LLAMA = {
    "model_type": "llama", "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 1,
    "num_attention_heads": 2,
}  # fmt: skip
LORA = {"r": 2, "target_modules": ["q_proj"], "lora_dropout": 0.0}


@pytest.mark.parametrize("precision", ["bf16-mixed", "32-true"])
def test_the_temperature_moves_beside_lora_and_is_exported(precision):
    pytest.importorskip("peft", reason="peft is not installed")
    torch.manual_seed(0)
    model = RLVRWorldModel(
        codec=DialCodec(),
        backbone=partial(LanguageModel, architecture=LLAMA, lora=LORA, dtype="bfloat16"),
        rewards={"right": DialsRight()},
        group_size=4,
        num_minibatches=2,
        temperature_lr=0.05,
    )
    model.backbone.is_pretrained = True
    trainer = Trainer(
        max_steps=6, accelerator="cpu", precision=precision, logger=False, limit_val_batches=0,
        enable_progress_bar=False, enable_model_summary=False, enable_checkpointing=False,
    )  # fmt: skip
    trainer.fit(model, DialData(batch_size=8))
    (now,), (before,) = (each.gains.parameters for each in (model.backbone, model.reference.module))
    assert (now / before - 1).abs().mean() > 0.03
    ids = torch.randint(6, (2, 5))
    exported = model.backbone.to_transformers().eval()
    assert torch.equal(exported.model.norm.weight, now.to(torch.bfloat16))
    torch.testing.assert_close(
        exported(ids).logits.float(), model.backbone.logits(model.backbone(ids)).float(),
        atol=2e-3, rtol=2e-2,
    )  # fmt: skip

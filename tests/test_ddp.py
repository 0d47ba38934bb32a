"""Two processes: ranks see different data and samples, and end with equal weights."""

import json
import os
import subprocess
import sys
from pathlib import Path

SCRIPT = """
import json, os, sys
from functools import partial
from pathlib import Path
import torch
sys.path.insert(0, {tests!r})
from dials import DialCodec, DialData, DialsRight
from lightning import Trainer
from rlvr_world.callbacks.reward_monitor import RewardMonitor
from rlvr_world.modules.mle import MLEWorldModel
from rlvr_world.modules.rlvr import RLVRWorldModel
from rlvr_world.nn.transformer import Transformer

torch.set_num_threads(1)
folder = Path({folder!r})
backbone = partial(Transformer, dim=32, depth=1, heads=2)
adam = partial(torch.optim.AdamW, lr=3e-3)


def run(model, steps):
    trainer = Trainer(accelerator="cpu", devices=2, strategy="ddp", max_steps=steps, logger=False,
                      enable_progress_bar=False, enable_model_summary=False, num_sanity_val_steps=0,
                      callbacks=RewardMonitor({{"right": DialsRight()}}),
                      default_root_dir=folder)
    trainer.fit(model, DialData(size=512))
    return trainer


torch.manual_seed(0)
mle = MLEWorldModel(codec=DialCodec(), backbone=backbone, optimizer=adam)
run(mle, 4).save_checkpoint(folder / "mle.ckpt")
rl = RLVRWorldModel(codec=DialCodec(), backbone=backbone, rewards={{"right": DialsRight()}},
                    weights=folder / "mle.ckpt", optimizer=adam,
                    group_size=4, num_minibatches=2, temperature_lr=1e-2)
seen = []
rollout = rl.rollout
def spy(batch):
    result = rollout(batch)
    seen.append(int(result.sequence.ids.sum()))
    return result
rl.rollout = spy
trainer = run(rl, 8)
weights = torch.cat([p.detach().flatten() for p in rl.parameters()])
reference = torch.cat([p.flatten() for p in rl.reference.module.parameters()])
report = {{
    "weights": weights.double().sum().item(), "norm": weights.double().norm().item(),
    "moved": (weights - reference).abs().max().item(), "rollouts": seen,
    "right": trainer.callback_metrics["val/reward/right"].item(),
}}
(folder / f"rank{{trainer.global_rank}}.json").write_text(json.dumps(report))
"""


def test_ranks_differ_in_rollouts_and_agree_in_weights(tmp_path):
    script = tmp_path / "ranks.py"
    script.write_text(SCRIPT.format(tests=str(Path(__file__).parent), folder=str(tmp_path)))
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    result = subprocess.run(
        [sys.executable, script], env=environment, capture_output=True, text=True, timeout=240
    )
    assert result.returncode == 0, result.stderr[-2000:]
    first, second = (json.loads((tmp_path / f"rank{rank}.json").read_text()) for rank in (0, 1))
    assert first["weights"] == second["weights"]
    assert first["norm"] == second["norm"]
    assert first["moved"] > 1e-4
    assert first["rollouts"] != second["rollouts"]
    assert first["right"] == second["right"]

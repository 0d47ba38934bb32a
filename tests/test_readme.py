"""The examples of the README work as they are written."""

import re
import sys
from pathlib import Path

import pytest
import torch
from stages import checkpoint, fit

from rlvr_world.cli import main

README = Path(__file__).parents[1] / "README.md"
BLOCKS = dict(re.findall(r"```\w+\n# (\S+\.(?:py|yaml))\n(.*?)```", README.read_text(), re.DOTALL))


@pytest.fixture
def examples(tmp_path, monkeypatch):
    for name, text in BLOCKS.items():
        (tmp_path / name).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name in BLOCKS:
        sys.modules.pop(Path(name).stem, None)


def test_readme_has_the_examples():
    assert set(BLOCKS) == {"edges.py", "edges.yaml", "lamps.py", "lamps.yaml"}


def test_add_a_reward(examples, workplace):
    fit("rlvr", "-c", str(examples / "edges.yaml"), "--model.group_size", "4",
        "--model.weights", str(checkpoint("mle")), "--run", "edges")  # fmt: skip
    settings = torch.load(checkpoint("edges"), weights_only=True)["hyper_parameters"]
    assert set(settings["rewards"]) == {"mae", "edges"}


def test_add_a_modality(examples, monkeypatch):
    monkeypatch.chdir(examples)
    main(["fit", "-c", "lamps.yaml", "--trainer.logger", "CSVLogger", "--trainer.logger.save_dir",
          "mle", "--trainer.enable_progress_bar", "false"])  # fmt: skip
    weights = next(examples.rglob("*.ckpt"))
    (examples / "rlvr.yaml").write_text(
        "model:\n  class_path: rlvr_world.modules.rlvr.RLVRWorldModel\n  init_args:\n"
        f"    weights: {weights}\n    rewards: {{right: {{class_path: lamps.LampsRight}}}}\n"
        "trainer: {max_epochs: 1, logger: false}\n"
    )
    main(["fit", "-c", "lamps.yaml", "-c", "rlvr.yaml", "--trainer.enable_progress_bar", "false"])

"""What cannot be done is said in one sentence on the command line, with what to do instead."""

import logging
import sys

import pytest

from rlvr_world.cli import console

DEBUG = ["-c", "configs/trainer/debug.yaml"]
RLVR = ["fit", "-c", "configs/pusht/rlvr.yaml", *DEBUG, "--run", "fresh"]
TOKENIZER = ["fit", "-c", "configs/pusht/tokenizer.yaml", *DEBUG]
LR = "--model.optimizer.init_args.lr"


def run(monkeypatch, capsys, *args):
    """The sentence that a command ends with."""
    monkeypatch.setattr(sys, "argv", ["rlvr-world", *args])
    with pytest.raises(SystemExit) as end:
        console()
    said = end.value.code if isinstance(end.value.code, str) else capsys.readouterr().err
    assert end.value.code
    return said.strip()


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ([*RLVR, "--ckpt_path", "last"], "fresh/checkpoints/last.ckpt does not exist"),
        ([*RLVR, "--ckpt_path", "best"], "fresh/checkpoints/best.ckpt does not exist"),
        (["validate", *RLVR[1:]], "fresh/checkpoints has no checkpoint"),
        ([*RLVR, "--model.group_size", "0"], "group_size must be at least 2"),
        ([*RLVR, "--data.batch_size", "0"], "batch_size must be at least 1, got 0"),
        ([*RLVR, "--data.num_workers", "-1"], "num_workers must be at least 0, got -1"),
        ([*RLVR, "--model.num_minibatches", "0"], "num_minibatches 0 must divide"),
        ([*RLVR, "--model.schedule", "cosin"], "schedule: there is no cosin, only linear, cosine"),
        ([*RLVR, "--model.warmup_steps", "-5"], "warmup_steps must not be negative"),
        ([*RLVR, LR, "-1"], "optimizer: Invalid learning rate: -1"),
        ([*RLVR, "--model.objective.kl_weight", "-1"], "kl_weight must be at least 0"),
        ([*RLVR, "--model.backbone.init_args.depth", "-1"], "must be at least 1"),
        ([*RLVR, "--model.weights", "mle:bset"], "what follows the colon is best or last"),
        ([*RLVR, "--model.rewards", "{x: {class_path: MAE, init_args: {weight: 0}}}"], "above 0"),
        ([*RLVR, "--trainer.accelerator", "gpuu"], "gpuu"),
        ([*TOKENIZER, "--folder", "empty.yaml"], "empty.yaml/tokenizer: cannot be written to"),
        ([*RLVR, "--trainer.devices", "-1"], "should be an int > 0"),
        ([*RLVR, "--model.clip_norm", "0"], "clip_norm must be above 0"),
        ([*RLVR, "--model.temperature_lr", "-1"], "temperature_lr must be above 0"),
        ([*RLVR, "--model.token_budget", "0"], "token_budget must be above 0, got 0"),
        ([*RLVR, "--data.max_skip_share", "7"], "max_skip_share must be from 0 to 1, got 7"),
        ([*RLVR, "--data.shuffle", "-1"], "shuffle must be at least 0, got -1"),
        ([*RLVR, "--data.cache_gb", "-1"], "cache_gb must be at least 0, got -1"),
        ([*RLVR, "--model.codec.frame_size", "[64]"], "frame_size (64,) must be height and width"),
        ([*RLVR, "--model.weights", "my run:best"], "pusht/my run/checkpoints/best.ckpt does not"),
        ([*RLVR, "--run", ""], "run: '' is no name of a folder"),
        ([*RLVR, "--run", "../../evil"], "is no name of a folder"),
        (["demo", "pusht", "--overlay", "nope.yaml"], "overlay: there is no file nope.yaml"),
        (["data", "pusht", "--root", "new", "--episodes.train", "-3"], "must not be negative"),
        (["data", "tokens", "--source", "data/pusht", "--root", "data/pusht",
          "--tokenizer", "x.ckpt"], "root: data/pusht is the source"),
        (["fit", "-c", "empty.yaml"], "empty.yaml is no config"),
        (["fit", "-c", "broken.yaml"], "broken.yaml is not YAML"),
    ],
    ids=lambda value: " ".join(value[-2:]) if isinstance(value, list) else "",
)  # fmt: skip
def test_it_is_one_sentence(workplace, monkeypatch, capsys, args, said):
    (workplace / "empty.yaml").write_text("")
    (workplace / "broken.yaml").write_text("a: [1")
    sentence = run(monkeypatch, capsys, *args)
    assert said in sentence
    assert "\n" not in sentence
    assert "Traceback" not in sentence


def test_validation_takes_the_best_checkpoint_of_the_run(workplace, monkeypatch, caplog):
    args = ["validate", "-c", "configs/pusht/world_model.yaml", *DEBUG]
    monkeypatch.setattr(sys, "argv", ["rlvr-world", *args])
    monkeypatch.setattr(logging.getLogger("lightning.pytorch"), "propagate", True)
    with caplog.at_level("INFO", logger="lightning.pytorch"):
        console()
    assert "Its checkpoint is checkpoints/pusht/mle/checkpoints/best.ckpt" in caplog.text


def test_an_error_in_the_users_code_keeps_its_traceback(workplace, monkeypatch):
    (workplace / "faulty.py").write_text(
        "from rlvr_world.reward import Reward\n\n\nclass Faulty(Reward):\n"
        "    def score(self, prediction, target, given):\n        open('nowhere')\n"
    )
    rewards = "{x: {class_path: faulty.Faulty}}"
    monkeypatch.setattr(sys, "argv", ["rlvr-world", *RLVR, "--model.rewards", rewards])
    with pytest.raises(FileNotFoundError, match="nowhere") as error:
        console()
    assert "Faulty.score failed for samples among" in error.value.__notes__[0]

"""Configs that say a thing twice, misspell a key within a key, or hold numbers that are none."""

import sys

import pytest

from rlvr_world.cli import console
from rlvr_world.command_line.configs import check_config, check_numbers, check_trainer

RLVR = ("fit", "-c", "configs/pusht/rlvr.yaml")
TABLE = ("evaluate", "-c", "configs/pusht/evaluation.yaml")


def said(monkeypatch, capsys, *args):
    monkeypatch.setattr(sys, "argv", ["rlvr-world", *map(str, args)])
    with pytest.raises(SystemExit) as end:
        console()
    sentence = end.value.code if isinstance(end.value.code, str) else capsys.readouterr().err
    assert len(sentence.strip().splitlines()) == 1
    return sentence


@pytest.mark.parametrize(
    ("text", "line", "key", "first"),
    [
        ("trainer:\n  max_steps: 1\n  accelerator: cpu\n  max_steps: 2\n", 4, "max_steps", 2),
        ("a: {lr: 1, lr: 2}", 1, "lr", 1),
        ("a: 1\nb:\n- c: 1\n  d: 2\n  c: 3\n", 5, "c", 3),
        ("a: &x {b: 1}\nc: *x\n'a': 2\n", 3, "a", 1),
    ],
)
def test_a_key_that_is_there_twice_is_named(tmp_path, text, line, key, first):
    path = tmp_path / "twice.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match="already") as error:
        check_config(path, set())
    assert str(error.value) == f"{path}, line {line}: {key} is there already, in line {first}"


def test_what_is_there_once_is_not_refused(tmp_path):
    (tmp_path / "part.yaml").write_text("- 1\n- part.yaml\n- once.yaml\n")
    path = tmp_path / "once.yaml"
    text = f"a: &x {{b: 1, c: part.yaml}}\nd: {{<<: *x, b: 2}}\n1: a\n'1': {'b' * 5000}.yaml\n"
    path.write_text(text)
    check_config(path, seen := set())
    assert seen == {path, tmp_path / "part.yaml"}


def test_the_parts_of_configs_are_checked(tmp_path, monkeypatch, capsys):
    part, whole = tmp_path / "rewards.yaml", tmp_path / "whole.yaml"
    part.write_text("a: {class_path: MAE}\na: {class_path: MSE}\n")
    whole.write_text("model: {init_args: {rewards: rewards.yaml}}\n")
    sentence = f"{part}, line 2: a is there already, in line 1"
    assert sentence in said(monkeypatch, capsys, *RLVR, "-c", whole)
    assert sentence in said(monkeypatch, capsys, *RLVR, "--model.rewards", part)
    assert sentence in said(monkeypatch, capsys, "demo", "pusht", f"--overlay={part}")


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        ({"lr": float("nan")}, "lr"),
        ({"a": [{"b": 1.0}, {"b": (0.9, float("inf"))}]}, r"a\.1\.b\.1"),
        ({"a": {"b": -float("inf")}}, r"a\.b"),
    ],
)
def test_a_number_that_is_none_is_named(settings, key):
    with pytest.raises(ValueError, match=rf"^{key} must be a finite number, got -?(nan|inf)$"):
        check_numbers(settings)


@pytest.mark.parametrize(
    ("name", "value", "floor"),
    [
        ("accumulate_grad_batches", 0, "at least 1"),
        ("check_val_every_n_epoch", 0, "at least 1"),
        ("gradient_clip_val", -1.0, "at least 0"),
        ("log_every_n_steps", -1, "at least 0"),
        ("val_check_interval", 0.0, "above 0"),
    ],
)
def test_a_number_that_is_too_small_is_named(name, value, floor):
    check_trainer({name: None})
    check_trainer({name: 1})
    with pytest.raises(ValueError, match=rf"^trainer\.{name} must be {floor}, got {value}$"):
        check_trainer({name: value})


LR = "{class_path: torch.optim.AdamW, init_args: {lr: %s}}"


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        ((*RLVR, "--model.optimizer", LR % ".nan"), "optimizer.init_args.lr must be a finite"),
        ((*RLVR, "--model.optimizer.lr", "1e999"), "optimizer.init_args.lr must be a finite"),
        ((*RLVR, "--model.optimizer.lr", "nan"), "model.optimizer.lr: cannot be nan"),
        ((*RLVR, "--data.max_skip_share", ".inf"), "data.init_args.max_skip_share must be a fin"),
        ((*RLVR, "--trainer.accumulate_grad_batches", "0"), "accumulate_grad_batches must be at"),
        ((*RLVR, "--run", " "), "run: ' ' is no name of a folder"),
        ((*RLVR, "--run", "a\nb"), "is no name of a folder"),
        (("fit", "configs/pusht/rlvr.yaml"), "rlvr.yaml stands alone; give configs after -c"),
        ((*RLVR, "--trust", "nomodule"), "--trust: there is no module nomodule"),
        ((*RLVR, "--model.group_size", "1e3"), "Expected a <class 'int'>. Got value: 1000.0\n"),
        (
            (*RLVR, "--model.objective.kl_wieght", "1"),
            "no argument objective.kl_wieght; did you mean objective.kl_weight?",
        ),
        (
            (*RLVR, "--model.objective", "{kl_wieght: 1}"),
            "no argument objective.kl_wieght; did you mean objective.kl_weight?",
        ),
        (
            (*RLVR, "--model.optimizer", "{class_path: torch.optim.AdamW, init_args: {lrr: 1}}"),
            "AdamW has no argument lrr; did you mean lr?",
        ),
        (
            (*RLVR, "--model.codec", "{init_args: {contxt_frames: 1}}"),
            "FrameCodec has no argument contxt_frames; did you mean context_frames?",
        ),
        (
            (*RLVR, "--model.rewards", "{x: {class_pth: MAE}}"),
            "model.rewards: give the class_path of a Reward",
        ),
        (
            (*TABLE, "--search", "{temperaturs: [1]}"),
            "no option search.temperaturs; did you mean search.temperatures?",
        ),
    ],
    ids=lambda value: " ".join(value[-2:]) if isinstance(value, tuple) else "",
)
def test_it_is_said_before_anything_is_made(args, sentence, monkeypatch, capsys):
    assert sentence in said(monkeypatch, capsys, *args)

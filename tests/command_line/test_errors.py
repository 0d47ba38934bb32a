"""Mistakes are answered by one sentence with the nearest right name."""

import json

import pytest
from torch.utils.data import DataLoader, Dataset

from rlvr_world.cli import main
from rlvr_world.command_line.errors import sayable
from rlvr_world.extras import require
from rlvr_world.files import check_settings
from rlvr_world.jobs import in_processes

THERE = 'pytest; extra == "some"'
RUN = ("fit", "-c", "configs/pusht/rlvr.yaml")
TABLE = ("evaluate", "-c", "configs/pusht/evaluation.yaml")


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        (("fitt",), "rlvr-world: error: there is no command fitt; did you mean fit?"),
        (("data", "pusth"), "there is no command data pusth; did you mean pusht?"),
        (("demo", "x"), "there is no command demo x; there are pusht,"),
        (
            (*RUN, "--model.grup_size", "4"),
            "RLVRWorldModel has no argument grup_size; did you mean group_size?",
        ),
        (
            (*RUN, "--trainer.max_stps", "4"),
            "there is no option trainer.max_stps; did you mean trainer.max_steps?",
        ),
        ((*RUN, "--modle", "x"), "there is no option modle; did you mean model?"),
        (
            (*RUN, "--trainer.max_steps", "x"),
            "trainer.max_steps: Expected a <class 'int'>. Got value: x",
        ),
        ((*RUN, "-c", "none.yaml"), "config: File does not exist:"),
        (("check", "-c", "configs/pusht/rlvr.yaml"), "check: error: there is no option model"),
        ((*TABLE, "--seed", "3"), "there is no option seed; did you mean seeds?"),
        ((*TABLE, "--data.rot", "x"), "VideoDataModule has no argument rot; did you mean root?"),
        ((*TABLE, "--limit", "x"), "limit: Expected a <class 'int'>, got x"),
        (
            (*TABLE, "--samplers", "{a: {class_path: Sampler, init_args: {temperature: x}}}"),
            "samplers.temperature: Expected a <class 'float'>. Got value: x",
        ),
        (
            (*TABLE, "--samplers", "{a: {class_path: MinimumBayesRisk, init_args: {samples: q}}}"),
            "samplers.samples: Expected a <class 'int'>. Got value: q",
        ),
        (
            (*TABLE, "--samplers", "{a: {class_path: Samplr}}"),
            "samplers: there is no class Samplr; did you mean Sampler?",
        ),
        ((*TABLE, "--samplers", "{a: 3}"), "samplers: Not a valid subclass of Sampler"),
    ],
)
def test_one_sentence_with_the_nearest_right_name(command, sentence, capsys):
    with pytest.raises(SystemExit) as exit:
        main(command)
    assert exit.value.code == 2
    written = capsys.readouterr().err
    assert sentence in written
    assert len(written.splitlines()) == 1


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (
            "model: {init_args: {grup_size: 4}}",
            "RLVRWorldModel has no argument grup_size; did you mean group_size?",
        ),
        (
            "model: {class_path: RLVRWorldModl}",
            "model: there is no class RLVRWorldModl; did you mean RLVRWorldModel?",
        ),
        (
            "model: {init_args: {rewards: {a: {class_path: MSEE}}}}",
            "model.rewards: there is no class MSEE; did you mean MSE?",
        ),
        (
            "model: {init_args: {rewards: {a: {class_path: MSE, init_args: {wieght: 3}}}}}",
            "MSE has no argument wieght; did you mean weight?",
        ),
        ("modle: 3", "there is no option modle; did you mean model?"),
    ],
)
def test_mistakes_in_configs_are_named_alike(settings, sentence, tmp_path, capsys):
    path = tmp_path / "wrong.yaml"
    path.write_text(settings)
    with pytest.raises(SystemExit, match="2"):
        main([*RUN, "-c", str(path)])
    written = capsys.readouterr().err
    assert sentence in written
    assert len(written.splitlines()) == 1


@pytest.mark.parametrize("name", ["RLVRWorldModel", "MLEWorldModel", "VQTokenizer"])
def test_short_names_are_classes(name, capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["fit", "--model.help", name])
    assert f".{name}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("function", "arguments", "said"),
    [
        (require, ("no_module", "none", "This"), "This needs the package no_module: pip install"),
        (check_settings, ("there", {"a": 1}, {"a": 2}), "there was made with a 1, not 2"),
        (int, ("what code of the user's says",), None),
    ],
)
def test_what_a_worker_process_refuses_is_one_sentence(function, arguments, said):
    with pytest.raises((ValueError, ModuleNotFoundError)) as refused:
        list(in_processes(function, [arguments] * 2, processes=2))
    written = sayable(refused.value)
    assert written is None if said is None else said in written
    assert "\n" not in (written or "")


class Refused(Dataset):
    def __len__(self):
        return 1

    def __getitem__(self, index):
        check_settings("there", {"a": 1}, {"a": 2})


def test_what_a_data_worker_refuses_is_one_sentence():
    with pytest.raises(ValueError, match="Caught ValueError") as refused:
        list(DataLoader(Refused(), num_workers=1))
    written = sayable(refused.value)
    assert written.startswith("there was made with a 1, not 2")
    assert "\n" not in written


def test_all_missing_packages_of_an_extra_are_named_at_once(monkeypatch):
    lines = ["torch", 'one-thing>=1; extra == "some"', 'other; extra == "some"', 'x; extra == "y"']
    monkeypatch.setattr("rlvr_world.extras.metadata.requires", lambda _: [*lines, THERE])
    with pytest.raises(ModuleNotFoundError) as refused:
        require("one_thing.part", "some", "That")
    needed = "That needs the packages one-thing and other: pip install 'rlvr-world[some]'"
    assert str(refused.value) == needed
    assert require("json", "some", "That") is json

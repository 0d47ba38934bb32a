"""Mistakes are answered by one sentence with the nearest right name."""

import pytest

from rlvr_world.cli import main

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
        ((*TABLE, "--seed", "3"), "there is no option seed; did you mean seeds?"),
        ((*TABLE, "--data.rot", "x"), "VideoDataModule has no argument rot; did you mean root?"),
        ((*TABLE, "--limit", "x"), "limit: Expected a <class 'int'>, got x"),
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

"""Snippets of the pages: Python runs, commands and YAML are what the command line understands."""

import re
import shlex
import shutil
import tomllib
from pathlib import Path

import numpy as np
import pytest
import yaml
from games import train_briefly
from markdown import PAGES, PAST, blocks, spans, unnamed_blocks, write_named_blocks
from PIL import Image
from stages import ROOT

from rlvr_world.cli import main

OF_TABLES = ("samplers", "tune", "distance")
OF_RUNS = ("model", "data", "trainer", "checkpoint", "seed_everything")
PRESETS = {"docs/text_games.md": "bytesized32/deepseek"}
PRESENT = {name: text for name, text in PAGES.items() if not name.startswith(PAST)}
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
MAKEFILE = (ROOT / "Makefile").read_text()
PLACEHOLDER = re.compile(r"\.\.\.|\b(COMMAND|CONFIG)\b")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with what pages say that a reader has by then."""
    path = tmp_path_factory.mktemp("reader")
    write_named_blocks(path)
    for preset in ("mine", "my_robot"):
        shutil.copytree(ROOT / "configs/pusht", path / "configs" / preset)
    return path


@pytest.fixture
def here(folder, monkeypatch):
    monkeypatch.chdir(folder)
    return folder


def pages_with(*languages):
    return [name for name, text in PAGES.items() if unnamed_blocks(text, *languages)]


@pytest.mark.parametrize("page", pages_with("python"))
def test_python_runs(page, workplace, tmp_path, monkeypatch):
    for name in ("before", "now"):
        Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(workplace / f"{name}.png")
    write_named_blocks(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    if "checkpoints/textworld" in PAGES[page]:
        train_briefly(Path("data/textworld"), Path("checkpoints/textworld"))
    names = {}
    for text in dict.fromkeys((PAGES["README.md"], PAGES[page])):
        for code in unnamed_blocks(text, "python"):
            exec(compile(code, page, "exec"), names)
    assert names["frames"].shape in ((2, 64, 64, 3), (4, 1, 3, 64, 64))


def commands(text):
    """Lines of the shell, in a page's blocks and within its text."""
    lines = "\n".join(blocks(text, "bash")).replace("\\\n", " ").splitlines()
    lines += [code for code in spans(text) if re.match(r"(rlvr-world|make|pip|pytest) ", code)]
    for line in lines:
        for command in line.split(" && "):
            words = shlex.split(command, comments=True)
            while words and re.match(r"\w+=", words[0]):  # variables of the environment
                words = words[1:]
            if words and not PLACEHOLDER.search(command):
                yield words


def printed(capsys, *words):
    """What a command prints of the settings that it would have, or its help."""
    asked = any(word.endswith(("help", "print_config")) for word in words)
    with pytest.raises(SystemExit) as end:
        main(words if asked else [*words, "--print_config"])
    out, err = capsys.readouterr()
    assert end.value.code in (0, None), f"{shlex.join(words)}: {err}"
    return out


@pytest.mark.parametrize("page", [name for name in PRESENT if [*commands(PRESENT[name])]])
def test_commands_are_understood(page, here, capsys):
    for program, *words in commands(PRESENT[page]):
        if program == "rlvr-world":
            assert printed(capsys, *words)
        elif program == "make":
            assert set(words) <= set(re.findall(r"^([\w-]+):", MAKEFILE, re.MULTILINE))
        elif program == "pip":
            assert set(re.findall(r"\[(\w+)\]", " ".join(words))) <= set(EXTRAS)
        named = {word for word in words if re.match(r"(configs|tests)/", word)}
        assert not [name for name in named if not any((at / name).exists() for at in (here, ROOT))]


def settings(text):
    """Settings of YAML in a page's blocks and, on one line, within its text."""
    lines = [code for code in spans(text) if re.match(r"[\w.]+: \{[^…]*\}$", code)]
    for code in [*unnamed_blocks(text, "yaml"), *lines]:
        if not PLACEHOLDER.search(code):
            yield from yaml.safe_load(code).items()


def nested(key, value):
    """The value under a key of a config, or of the model where it is none of that."""
    *outer, last = key.removeprefix("model.").split(".")
    nest = {last: value}
    for name in outer[::-1]:
        nest = {name: nest}
    return nest if key in (*OF_TABLES, *OF_RUNS) else {"model": {"init_args": nest}}


@pytest.mark.parametrize("page", [name for name in PRESENT if [*settings(PRESENT[name])]])
def test_settings_are_accepted(page, here, capsys):
    for key, value in settings(PRESENT[page]):
        Path("of_page.yaml").write_text(yaml.safe_dump(nested(key, value)))
        command, config = ("evaluate", "evaluation") if key in OF_TABLES else ("fit", "rlvr")
        path = f"configs/{PRESETS.get(page, 'pusht')}/{config}.yaml"
        assert printed(capsys, command, "-c", path, "-c", "of_page.yaml")


def test_every_extra_is_explained():
    table = PAGES["docs/getting_started.md"].partition("| extra |")[2].partition("\n\n")[0]
    first = "".join(line.split("|")[1] for line in table.splitlines()[2:])
    assert set(re.findall(r"`(\w+)`", first)) == set(EXTRAS)

"""What is imported when nothing has to be computed."""

import os
import subprocess
import sys

import pytest
from stages import ROOT

import rlvr_world

HEAVY = {"torch", "lightning", "jsonargparse", "transformers", "numpy"}
ANSWERS = {
    ("--help",): 0,
    ("--version",): 0,
    ("data", "--help"): 0,
    ("demo",): 0,
    ("dat",): 2,
    ("data", "pusth"): 2,
}


def run(code, *args):
    """Run Python code; the exit code, its output, and the modules that are imported at its end."""
    source = f"import atexit, sys; atexit.register(lambda: print('MODULES', *sys.modules)); {code}"
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(
        [sys.executable, "-c", source, *args],
        env=environment, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    output, _, modules = done.stdout.partition("MODULES")
    return done.returncode, output + done.stderr, set(modules.split())


@pytest.mark.parametrize("args", ANSWERS, ids=" ".join)
def test_the_table_of_commands_imports_nothing_large(args):
    code, output, modules = run("from rlvr_world.cli import console; console()", *args)
    assert code == ANSWERS[args]
    assert not HEAVY & modules
    assert len(modules) < 250
    assert output.count("\n") == 1 if code else len(output.splitlines()) > (args != ("--version",))


def test_every_command_is_explained():
    from rlvr_world.cli import load, overview
    from rlvr_world.command_line.commands import COMMANDS, GROUPS

    text = overview()
    for name, entry in COMMANDS.items():
        assert f"{name.rpartition(' ')[2]}" in text
        assert entry.summary in text
        assert not entry.target or callable(load(entry.target))
    assert all(summary in text for summary in GROUPS.values())


def test_the_public_api_is_lazy():
    _, _, modules = run("import rlvr_world; dir(rlvr_world)")
    assert "rlvr_world" in modules
    assert not HEAVY & modules
    for name in rlvr_world.__all__:
        assert getattr(rlvr_world, name) is not None
        assert name in dir(rlvr_world)
    assert {*rlvr_world.PUBLIC, "__version__"} == set(rlvr_world.__all__)
    with pytest.raises(AttributeError, match="no attribute WorldModl"):
        _ = rlvr_world.WorldModl

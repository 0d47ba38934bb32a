"""Who may import whom, as DESIGN has it: data never sees a codec, rewards never see a model."""

import ast
from pathlib import Path

import pytest

import rlvr_world

PACKAGE = Path(rlvr_world.__file__).parent
EVERYTHING = None
BASE = "files extras jobs runs"
CORE = f"{BASE} types frozen codec reward nn rl modules data evaluation callbacks"
MAY_IMPORT = {
    "files": "",
    "extras": "",
    "jobs": "",
    "runs": "",
    "torch_pair": "",
    "types": "",
    "frozen": "",
    "nn": BASE,
    "codec": f"{BASE} types frozen",
    "reward": f"{BASE} types frozen",
    "rl": f"{BASE} types nn",
    "data": f"{BASE} types",
    "modules": f"{BASE} types frozen codec reward nn rl",
    "callbacks": f"{BASE} nn types frozen codec reward rl modules data",
    "evaluation": f"{BASE} types frozen codec reward rl modules data",
    "language": CORE,
    "video": CORE,
    "text_game": f"{CORE} language",
    "web": f"{CORE} language",
    "applications": f"{CORE} language video text_game web",
    "demos": CORE,
    "command_line": CORE,
    "cli": EVERYTHING,
    "__main__": EVERYTHING,
    "__init__": EVERYTHING,
}
FILES = sorted(PACKAGE.rglob("*.py"))


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path):
    """The parts of the package that a file imports, at any depth of its code."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names = [node.module or ""]
            if node.module == "rlvr_world":
                names = [f"rlvr_world.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        for name in names:
            if name.startswith("rlvr_world."):
                yield name.split(".")[1]


def test_the_package_was_found():
    assert len(FILES) > 20


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_follow_the_table(path):
    allowed = MAY_IMPORT[room(path)]
    if allowed is EVERYTHING:
        return
    wrong = set(imports(path)) - set(allowed.split()) - {room(path), "__version__"}
    assert not wrong, f"{path.relative_to(PACKAGE)} must not import {sorted(wrong)}"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_modules_know_lightning_and_networks_do_not(path):
    if room(path) in {"nn", "codec", "reward", "rl", "types", "frozen", "files", "jobs", "extras"}:
        assert "lightning" not in path.read_text().split('"""', 2)[-1]

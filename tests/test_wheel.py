"""The wheel, installed where nothing of the repository is, works from an empty folder."""

import shutil
import subprocess
import sys
import sysconfig
import venv

import pytest
from stages import ROOT

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The bin folder of an environment with the wheel, and with what this one has besides."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in ("src", "configs"):
        shutil.copytree(ROOT / name, folder / "source" / name, symlinks=True)
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, folder / "source")
    pip = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "-w", folder, folder / "source"], check=True, timeout=300)
    shutil.rmtree(folder / "source")
    venv.create(folder / "environment", with_pip=True)
    python = folder / "environment/bin/python"
    install = [python, "-m", "pip", "install", "--no-deps", *folder.glob("*.whl")]
    subprocess.run(install, check=True, timeout=300)
    packages = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        check=True, capture_output=True, text=True,
    ).stdout.strip()  # fmt: skip
    (python.parents[1] / packages / "others.pth").write_text(sysconfig.get_path("purelib"))
    return python.parent


def run(installed, folder, *args):
    command = [installed / "rlvr-world", *args]
    environment = {"PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1", "HOME": str(folder)}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_help_and_types_are_there(installed, tmp_path):
    assert "demo" in run(installed, tmp_path, "--help")
    (package,) = installed.parent.glob("lib/*/site-packages/rlvr_world")
    assert (package / "py.typed").exists()
    configs = [path.relative_to(ROOT / "configs") for path in (ROOT / "configs").rglob("*.*")]
    assert {path.suffix for path in configs} == {".yaml", ".sbatch"}
    assert all((package / "configs" / path).is_file() for path in configs)
    source = ROOT / "src/rlvr_world"
    pages = [
        path.relative_to(source)
        for kind in ("html", "js", "css")
        for path in source.rglob(f"*.{kind}")
    ]
    assert len(pages) > 4
    assert all((package / path).is_file() for path in pages)


def test_training_finds_the_packaged_configs(installed, tmp_path):
    recording = ("--length", "8", "--processes", "1", "--episodes.train", "8")
    run(installed, tmp_path, "data", "pusht", *recording, "--episodes.val=2", "--episodes.test=2")
    configs = ("-c", "configs/pusht/tokenizer.yaml", "-c", "configs/trainer/debug.yaml")
    run(installed, tmp_path, "fit", *configs)
    assert (tmp_path / "checkpoints/pusht/tokenizer/checkpoints/last.ckpt").exists()
    assert not (tmp_path / "configs").exists()

import shutil
import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))
from stages import ROOT, run_stages
from toy_shards import make_root  # noqa: F401


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def pipeline(tmp_path_factory):
    """A folder in which every stage of the demo ran, two steps each, as a user would run them."""
    folder = tmp_path_factory.mktemp("pipeline")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        shutil.copytree(ROOT / "configs", folder / "configs")
        run_stages()
    return folder


@pytest.fixture
def workplace(pipeline, monkeypatch):
    """The folder of ``pipeline`` as the current one."""
    monkeypatch.chdir(pipeline)
    return pipeline

import shutil
import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))
from stages import ROOT, run_stages
from toy_shards import make_root  # noqa: F401

LONG = (
    "test_demo_pusht", "test_gpu", "test_resume", "test_refusals", "test_hostile", "test_cli",
    "test_ranks", "test_sharded", "test_jobs",
    "test_analyses", "test_learning", "test_configs", "test_hostile_samples", "test_remote",
    "test_examples", "test_counterfactual", "test_pusht_recording", "test_web_agent_browser",
    "test_web_hostile", "test_rollouts", "test_moved", "test_tokenizer",
)  # fmt: skip
"""Files that take longest, which begin first, so that no process is left with one at the end."""


def pytest_configure():
    torch.set_num_threads(1)  # before fixtures of the session, which train


def pytest_collection_modifyitems(items):
    places = {name: place for place, name in enumerate(LONG)}
    items.sort(key=lambda item: places.get(item.path.stem, len(LONG)))


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


LITTLE = {
    "evaluation.yaml": [
        ("mbr: 8", "mbr: 2"),
        ("temperatures: [0, 0.5, 0.7, 0.85, 1], top_ks: [null, 3], limit: 100",
         "temperatures: [0.5, 1], top_ks: [null], limit: 8"),
        ("seeds: 3", "seeds: 2"),
    ],
    "data.yaml": [("batch_size: 32, eval", "batch_size: 4, eval")],
}  # fmt: skip
"""What the configs of the demo try, repeat and take at once, and what they do here."""


def make_little(configs):
    for name, changes in LITTLE.items():
        text = (configs / name).read_text()
        for large, little in changes:
            assert large in text
            text = text.replace(large, little)
        (configs / name).write_text(text)


@pytest.fixture(scope="session")
def pipeline(tmp_path_factory):
    """A folder in which every stage of the demo ran, two steps each, as a user would run them."""
    folder = tmp_path_factory.mktemp("pipeline")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        shutil.copytree(ROOT / "configs", folder / "configs")
        make_little(folder / "configs/pusht")
        run_stages()
    return folder


@pytest.fixture
def workplace(pipeline, monkeypatch):
    """The folder of ``pipeline`` as the current one."""
    monkeypatch.chdir(pipeline)
    return pipeline

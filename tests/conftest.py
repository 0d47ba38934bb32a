import shutil
import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))
ROOT = Path(__file__).parents[1]
DEMO = Path("checkpoints/demo/pusht")


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
        run_pipeline()
    return folder


@pytest.fixture
def workplace(pipeline, monkeypatch):
    """The folder of ``pipeline`` as the current one."""
    monkeypatch.chdir(pipeline)
    return pipeline


def checkpoint(stage: str) -> Path:
    return DEMO / stage / "checkpoints" / "last.ckpt"


def fit(stage: str, *options: str) -> None:
    from rlvr_world.cli import main

    debug = ("-c", "configs/trainer/debug.yaml")
    main(["fit", "-c", f"configs/{stage}/pusht_demo.yaml", *debug, *options])


def run_pipeline() -> None:
    from rlvr_world.cli import main

    sizes = [f"--episodes.{split}={count}" for split, count in SIZES.items()]
    main(["data", "pusht", "--length", "8", "--processes", "1", *sizes])
    fit("tokenizer")
    tokenizer = ("--tokenizer", str(checkpoint("tokenizer")))
    main(["data", "tokens", *tokenizer, "--source", "data/pusht", "--root", "data/pusht_tokens"])
    fit("world_model")
    fit("rlvr", "--model.weights", str(checkpoint("mle")), "--model.group_size", "4")


SIZES = {"train": 8, "val": 4, "test": 4}

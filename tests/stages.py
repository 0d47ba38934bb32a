"""The stages of the demo as a user runs them, two batches each."""

from pathlib import Path

from rlvr_world.cli import main

ROOT = Path(__file__).parents[1]
DEMO = Path("checkpoints/pusht")
SIZES = {"train": 8, "val": 4, "test": 4}


def checkpoint(stage: str) -> Path:
    return DEMO / stage / "checkpoints" / "last.ckpt"


def fit(stage: str, *options: str) -> None:
    debug = ("-c", "configs/trainer/debug.yaml")
    main(["fit", "-c", f"configs/pusht/{stage}.yaml", *debug, *options])


def run_stages() -> None:
    sizes = [f"--episodes.{split}={count}" for split, count in SIZES.items()]
    main(["data", "pusht", "--length", "8", "--processes", "1", *sizes])
    fit("tokenizer")
    tokenizer = ("--tokenizer", "tokenizer", "--folder", str(DEMO))
    main(["data", "tokens", *tokenizer, "--source", "data/pusht", "--root", "data/pusht_tokens"])
    fit("world_model")
    fit("rlvr", "--model.group_size", "4")

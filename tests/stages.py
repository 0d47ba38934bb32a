"""The stages of the demo as a user runs them, two batches each."""

from pathlib import Path

from rlvr_world.cli import main

ROOT = Path(__file__).parents[1]
DEMO = Path("checkpoints/demo/pusht")
SIZES = {"train": 8, "val": 4, "test": 4}


def checkpoint(stage: str) -> Path:
    return DEMO / stage / "checkpoints" / "last.ckpt"


def fit(stage: str, *options: str) -> None:
    debug = ("-c", "configs/trainer/debug.yaml")
    run = ("--folder", str(DEMO), "--run", {"world_model": "mle"}.get(stage, stage))
    main(["fit", "-c", f"configs/{stage}/pusht_demo.yaml", *debug, *run, *options])


def run_stages() -> None:
    sizes = [f"--episodes.{split}={count}" for split, count in SIZES.items()]
    main(["data", "pusht", "--length", "8", "--processes", "1", *sizes])
    fit("tokenizer")
    tokenizer = ("--tokenizer", str(checkpoint("tokenizer")))
    main(["data", "tokens", *tokenizer, "--source", "data/pusht", "--root", "data/pusht_tokens"])
    fit("world_model")
    fit("rlvr", "--model.weights", str(checkpoint("mle")), "--model.group_size", "4")

"""The command ``init``: the configs of a preset for a recording of one's own."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console

from rlvr_world.data.manifest import SPLITS
from rlvr_world.files import whole, write_text
from rlvr_world.runs import CONFIGS
from rlvr_world.video.data.manifest import Manifest, Split

TEMPLATE = CONFIGS / "pusht"
CLIP, PATCHES, TOKENS = 3, (8, 16), 256
"""Frames of a clip; pixels that a token may stand for, along each side; tokens of a frame up to
which the smaller one is chosen."""
SPREAD = 4
"""So many times the range between the quantiles, the extremes of an action are outliers."""
ABOUT = {
    "data": "Frames and actions, for RLVR and for the tables.",
    "stills": "Frames for the tokenizer.",
    "tokens": "Tokens and actions, for MLE; `rlvr-world data tokens` writes them.",
    "tokenizer": "Stage 1: a tokenizer of frames.",
    "codec": "Two given frames with their actions, and the next one.",
    "backbone": "The transformer.",
    "world_model": "Stage 2: maximum likelihood.",
    "rewards": "What RLVR maximises: minus these distances.",
    "rlvr": "Stage 3: RL with verifiable rewards (GRPO).",
    "metrics": "Columns of the table.",
    "evaluation": "The table: every clip of the test split, three sampling seeds.",
}


def init(name: str, from_: Path | None = None) -> None:
    """Write ``configs/NAME``, the configs of every stage, for a recording in shards.

    Frame sizes, action ranges and episodes are read off its manifest.

    Args:
        name: Name of the preset, a new folder in ``configs``.
        from_: Folder of the recording; ``data/NAME`` if not given.
    """
    if not re.fullmatch(r"\w[\w-]*", name):
        raise ValueError(f"name: {name!r} is no name of a preset; use letters, digits, _ and -")
    root, folder = from_ or Path("data", name), Path("configs", name)
    if folder.exists():
        raise FileExistsError(f"{folder} is there already: choose another name, or move it away")
    manifest = Manifest.load(root, "rlvr-world data --help` names the commands; for example `"
                             f"rlvr-world data lerobot FOLDER --root {root}")  # fmt: skip
    files = preset(manifest, root)
    with whole(folder) as unfinished:
        unfinished.mkdir()
        for stem, contents in files.items():
            text = yaml.safe_dump(contents, sort_keys=False, default_flow_style=None, width=100)
            write_text(unfinished / f"{stem}.yaml", f"# {ABOUT[stem]}\n{text}")
    tokens = f"--source {root} --root {root}_tokens --folder checkpoints/{name}"
    Console(soft_wrap=True).print(
        f"{folder} is written. Next:\n"
        f"  rlvr-world check {folder}\n"
        f"  rlvr-world fit -c {folder}/tokenizer.yaml\n"
        f"  rlvr-world data tokens --tokenizer tokenizer {tokens}\n"
        f"  rlvr-world fit -c {folder}/world_model.yaml\n"
        f"  rlvr-world fit -c {folder}/rlvr.yaml\n"
        f"  rlvr-world evaluate -c {folder}/evaluation.yaml",
        highlight=False,
    )


def preset(manifest: Manifest, root: Path) -> dict[str, dict[str, Any]]:
    """The contents of each config.

    Raises:
        ValueError: The recording lacks a split or frames, or they are of a size without tokens.
    """
    for split in SPLITS:
        if split not in manifest.splits:
            raise ValueError(f"{root} has no {split} split: convert it with --{split}_share 0.1")
    shapes = manifest.splits["train"].shapes
    if "frames" not in shapes:
        raise ValueError(f"{root} holds no frames: name the recording, not its tokens")
    height, width, _ = shapes["frames"]
    files = {stem: yaml.safe_load((TEMPLATE / f"{stem}.yaml").read_text()) for stem in ABOUT}
    evaluated = evaluation_clips(manifest.splits["val"], root)
    for stem in ("data", "stills", "tokens"):
        where = f"{root}_tokens" if stem == "tokens" else str(root)
        files[stem]["init_args"] |= {"root": where, **evaluated}
    files["tokenizer"]["model"]["init_args"]["model"]["init_args"]["stem"] = patch(height, width)
    files["codec"]["init_args"] = {
        "tokenizer": "tokenizer",
        "frame_size": [height, width],
        "context_frames": CLIP - 1,
        "action_range": {
            "class_path": "DataRange",
            "init_args": {
                "manifest": f"{root}/manifest.json",
                "kind": range_kind(manifest.actions),
            },
        },
    }
    files["evaluation"].pop("scene")
    files["evaluation"]["models"].pop("mle_equal_time")
    for stage in ("tokenizer", "world_model", "rlvr"):
        files[stage]["trainer"]["accelerator"] = "auto"
    return files


def patch(height: int, width: int) -> int:
    """The side of the square of pixels that a token stands for."""
    fitting = [side for side in PATCHES if height % side == width % side == 0]
    for side in fitting:
        if height * width <= TOKENS * side**2:
            return side
    if fitting:
        return fitting[-1]
    near = [max(round(length / PATCHES[0]), 1) * PATCHES[0] for length in (height, width)]
    raise ValueError(
        f"frames are {height} x {width}, no multiples of {PATCHES[0]} pixels: convert the data "
        f"again with --image_size '{near}'"
    )


def range_kind(actions: Mapping[str, list[float]]) -> str:
    """The ends of the ranges of actions to cut bins from: quantiles where there are outliers."""
    rows = zip(*(actions[key] for key in ("min", "q01", "q99", "max")), strict=True)
    outliers = any(last - first > SPREAD * (high - low) > 0 for first, low, high, last in rows)
    return "quantile" if outliers else "extremes"


def evaluation_clips(split: Split, root: Path) -> dict[str, int]:
    """How many clips of an episode make a whole batch of validation, and the size of the batch."""
    longest = max(split.lengths)
    if longest < CLIP:
        raise ValueError(f"{root}: episodes of {longest} frames are shorter than a clip of {CLIP}")
    clips = max(4, -(-50 // split.episodes))
    there = sum(min(clips, max(n - CLIP + 1, 0)) * count for n, count in split.lengths.items())
    return {"clip_length": CLIP, "eval_batch_size": min(50, there), "eval_clips_per_episode": clips}

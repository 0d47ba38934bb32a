"""The published WebArena world-model data as shards.

Source: Wu et al., "RLVR-World", 2025 (``thuml/webarena-world-model-cot``), from the trajectories of
Chae et al., "Web Agents with World Models", 2025. A row holds the prompt with a page and an action
of an agent, and the page afterwards.
"""

import random
import warnings
from collections import Counter
from functools import partial
from pathlib import Path

from rlvr_world.files import sha256
from rlvr_world.language.manifest import TransitionManifest
from rlvr_world.language.recorded import recording, sound_rows
from rlvr_world.web.sources.page_lines import LeftOut
from rlvr_world.web.sources.webarena_rows import Truth, raw_rows, transition

FORMATS = (".parquet", ".jsonl")
TEST = "the test file"


def webarena(
    source: Path,
    root: Path = Path("data/webarena"),
    val_share: float = 0.05,
    truth: Truth = "pages",
    seed: int = 0,
    max_skip_share: float = 0.01,
) -> TransitionManifest:
    """Write the shards of the published WebArena world-model files.

    Steps of the test file stay to test on, and are left out of training if they occur there too.
    The reasoning in the files is not used.

    Args:
        source: Folder with ``train.parquet`` and ``test.parquet``, or the same as ``.jsonl``.
        root: Folder for the shards.
        val_share: Share of the train file's tasks for validation.
        truth: Where the true changes come from: ``pages``, from the two pages by this package's
            rule; ``published``, from the file itself, by the rule of the paper's numbers.
        seed: Where splits and order come from.
        max_skip_share: Stop if a larger share of a file's rows is broken.

    Raises:
        FileNotFoundError: If the folder has no such files.
        ModuleNotFoundError: If the files are Parquet and pyarrow is not installed.
        ValueError: If too many rows are broken, or ``root`` holds other data.
    """
    if not 0 <= val_share < 1:
        raise ValueError(f"val_share must be at least 0 and below 1, got {val_share:g}")
    files = {name: find_file(source, name) for name in ("test", "train")}
    hashes = {name: sha256(path) for name, path in files.items()}
    settings = {"files": hashes, "val_share": val_share, "seed": seed}
    if truth != "pages":
        settings["truth"] = truth
    manifest = TransitionManifest.finished(root, "webarena", settings)
    if manifest is not None:
        return manifest
    counts: Counter[str] = Counter()
    left_out = LeftOut()
    with recording(root) as spool:
        for name, path in files.items():
            rows, parse = raw_rows(path), partial(transition, left_out=left_out, truth=truth)
            for step in sound_rows(path, rows, parse, "row", max_skip_share, counts):
                spool.add(step, TEST if name == "test" else step.task)
        if left_out.lines:
            message = f"{left_out.lines} lines of pages are left out, first {left_out.first}"
            warnings.warn(message, stacklevel=2)
        split_of = assign([entry.unit for entry in spool.entries], val_share, seed)
        return spool.finish(
            lambda entry: split_of[entry.unit], seed, source="webarena", settings=settings,
            rows={**counts, "lines_left_out": left_out.lines,
                  "first_line_left_out": left_out.first},
        )  # fmt: skip


def find_file(source: Path, name: str) -> Path:
    """The train or the test file of a folder."""
    for ending in FORMATS:
        path = source / f"{name}{ending}"
        if path.exists():
            return path
    raise FileNotFoundError(
        f"{source} holds neither {name}.parquet nor {name}.jsonl of the WebArena world-model data"
    )


def assign(units: list[str], val_share: float, seed: int) -> dict[str, str]:
    """The split of each unit, at random among the tasks of the train file."""
    tasks = sorted(set(units) - {TEST})
    random.Random(seed).shuffle(tasks)
    val = tasks[: round(val_share * len(tasks))]
    return {TEST: "test", **dict.fromkeys(tasks, "train"), **dict.fromkeys(val, "val")}

"""The published WebArena world-model data as shards.

Source: Wu et al., "RLVR-World", 2025 (``thuml/webarena-world-model-cot``), from the trajectories of
Chae et al., "Web Agents with World Models", 2025. A row holds the prompt with a page and an action
of an agent, and the page afterwards.
"""

import hashlib
import random
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryFile

from rlvr_world.data.samples import BadSample, Read, Skips
from rlvr_world.language.folder import describe_pages, finished, whole_folder
from rlvr_world.language.layouts import PAGES
from rlvr_world.language.recorded import TransitionSpool, write_splits
from rlvr_world.web.manifest import WebManifest
from rlvr_world.web.page import WebTransition
from rlvr_world.web.sources.webarena_rows import raw_rows, transition

FORMATS = (".parquet", ".jsonl")
TEST = "the test file"


def webarena(
    source: Path,
    root: Path = Path("data/webarena"),
    val_share: float = 0.05,
    seed: int = 0,
    max_skip_share: float = 0.01,
) -> WebManifest:
    """Write the shards of the published WebArena world-model files.

    Steps of the test file stay to test on, and are left out of training if they occur there too.
    The true changes follow from the two pages; the reasoning in the files is not used.

    Args:
        source: Folder with ``train.parquet`` and ``test.parquet``, or the same as ``.jsonl``.
        root: Folder for the shards.
        val_share: Share of the train file's tasks for validation.
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
    hashes = {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in files.items()}
    settings = {"files": hashes, "val_share": val_share, "seed": seed}
    manifest = finished(root, "webarena", settings, WebManifest)
    if manifest is not None:
        return manifest
    counts: Counter[str] = Counter()
    with whole_folder(root) as folder, TemporaryFile(dir=folder) as file:
        spool = TransitionSpool(file, PAGES)
        for name, path in files.items():
            for step in read_rows(path, max_skip_share, counts):
                spool.add(step, TEST if name == "test" else step.task)
        split_of = assign([entry.unit for entry in spool.entries], val_share, seed)
        splits = write_splits(folder, spool, lambda entry: split_of[entry.unit], seed)
        rows = dict(counts) | {"duplicates": spool.duplicates, "conflicts": spool.conflicts}
        return describe_pages(
            folder, source="webarena", settings=settings, versions={}, splits=splits, rows=rows
        )


def find_file(source: Path, name: str) -> Path:
    """The train or the test file of a folder."""
    for ending in FORMATS:
        path = source / f"{name}{ending}"
        if path.exists():
            return path
    raise FileNotFoundError(
        f"{source} holds neither {name}.parquet nor {name}.jsonl of the WebArena world-model data"
    )


def read_rows(path: Path, max_skip_share: float, counts: Counter[str]) -> Iterator[WebTransition]:
    """The steps of a file; those that cannot be read are counted and reported.

    Args:
        path: The file.
        max_skip_share: The largest share of rows that may be broken.
        counts: Gets the numbers of rows read, of broken ones and of lines left out of pages.

    Raises:
        ValueError: If more rows are broken.
    """
    skips = Skips(str(path), 0, max_skip_share)
    for number, row in enumerate(raw_rows(path), 1):
        try:
            step = transition(row, f"{path} row {number}", counts)
        except BadSample as error:
            skips.add(Read(1, str(error)))
            continue
        skips.add(Read(1))
        yield step
    if skips.too_many:
        raise ValueError(f"{skips} (max_skip_share is {skips.max_share:g})")
    if skips.skipped:
        warnings.warn(str(skips), stacklevel=2)
    counts[f"{path.stem}_rows"] += skips.read
    counts["broken_rows"] += skips.skipped


def assign(units: list[str], val_share: float, seed: int) -> dict[str, str]:
    """The split of each unit, at random among the tasks of the train file."""
    tasks = sorted(set(units) - {TEST})
    random.Random(seed).shuffle(tasks)
    val = tasks[: round(val_share * len(tasks))]
    return {TEST: "test", **dict.fromkeys(tasks, "train"), **dict.fromkeys(val, "val")}

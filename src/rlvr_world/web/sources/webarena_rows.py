"""The rows of the files of the published WebArena world-model data."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from rlvr_world.data.decode import MAX_JSON, parse_json
from rlvr_world.data.samples import BadSample
from rlvr_world.extras import require
from rlvr_world.web.action import Action
from rlvr_world.web.page import WebTransition
from rlvr_world.web.sources.page_lines import LeftOut, read_page
from rlvr_world.web.tree import parse_line, tree_text

Truth = Literal["pages", "published"]
"""Whether what changes follows from the two pages, or is what the file says."""

COLUMNS = ("task_id", "question", "next_state_acctree")
TRUTH = {"new": "new_items", "deleted": "deleted_items", "updated": "updated_items"}
ALL_COLUMNS = (*COLUMNS, *TRUTH.values(), "reward_model")
TITLES = ("URL", "OBJECTIVE", "PREVIOUS ACTION", "CURRENT OBSERVATION", "CURRENT ACTION")
SECTION = re.compile(rf"^ ?({'|'.join(TITLES)})[^:\n]*:", re.MULTILINE)
PARAGRAPHS = re.compile(r"\n\s*\n")
TRUTH_SECTION = re.compile(r"^(New|Deleted|Updated) items:", re.MULTILINE)


def raw_rows(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a Parquet or JSON Lines file, a batch of them in memory at a time.

    Raises:
        ModuleNotFoundError: The file is Parquet, and pyarrow is not installed.
        ValueError: The file cannot be read, or lacks a column.
    """
    if path.suffix == ".jsonl":
        with path.open("rb") as file:
            for number, line in enumerate(iter(lambda: file.readline(MAX_JSON + 1), b""), 1):
                try:
                    yield parse_json(line)
                except ValueError as error:
                    raise ValueError(f"{path} line {number} is not JSON ({error})") from error
        return
    pyarrow = require("pyarrow", "webarena", str(path))
    parquet = require("pyarrow.parquet", "webarena", str(path))
    try:
        with parquet.ParquetFile(path) as table:
            for batch in table.iter_batches(batch_size=64, columns=list(ALL_COLUMNS)):
                yield from batch.to_pylist()
    except (OSError, ValueError, pyarrow.ArrowException) as error:
        raise ValueError(f"{path} is no sound Parquet file ({error})") from error


def transition(row: Any, where: str, left_out: LeftOut, truth: Truth) -> WebTransition:
    """The step that a row says.

    The page before, the address, the objective and the actions stand in the row's question. The
    address afterwards is not known and left empty.

    Args:
        row: The row's values by column.
        where: The row's name in messages.
        left_out: Gets the lines of pages that hold no element or its id again.
        truth: Whether the row's own items are the right answer.

    Raises:
        BadSample: Something is missing or cannot be read.
    """
    missing = [name for name in COLUMNS if not isinstance(row, dict) or row.get(name) is None]
    if missing:
        raise BadSample(f"{where} has no {missing[0]}")
    parts = sections(str(row["question"]), where)
    url, objective, previous, page, action = (parts[title] for title in TITLES)
    trees = {"tree": page, "next_tree": str(row["next_state_acctree"])}
    for side, text in trees.items():
        elements = read_page(text, f"{where}: {side}", left_out)
        if not elements:
            raise BadSample(f"{where}: {side} holds no element")
        trees[side] = tree_text(elements)
    return WebTransition(
        site=urlsplit(url).netloc or "webarena",
        task=f"webarena-{row['task_id']}",
        url=url,
        objective=objective,
        previous_action="" if previous == "None" else action_text(previous) or previous,
        action=action_text(action) or action.partition("\n")[0].strip(),
        next_url="",
        truth=published_truth(row, where) if truth == "published" else {},
        **trees,
    )


def action_text(text: str) -> str | None:
    """The action at the beginning of a text, as ``Action`` writes it; None if there is none."""
    paragraph = PARAGRAPHS.split(text.strip(), maxsplit=1)[0]
    one_line = re.sub(r"\n(?!\])", " ", paragraph)
    for part in (paragraph.partition("\n")[0], one_line):
        try:
            return str(Action.parse(part))
        except ValueError:
            continue
    return None


def published_truth(row: dict[str, Any], where: str) -> dict[str, list[str]]:
    """The lines of the items that a row itself says are new, deleted and updated.

    They stand in the ground truth of its ``reward_model``, which the original judges by, or else in
    columns of their own.

    Raises:
        BadSample: They stand in neither, or a line is no element.
    """
    model = row.get("reward_model")
    text = model.get("ground_truth") if isinstance(model, dict) else None
    _, *parts = TRUTH_SECTION.split(text) if isinstance(text, str) else [""]
    found = dict(zip(map(str.lower, parts[::2]), parts[1::2], strict=True))
    if found.keys() != TRUTH.keys():
        given = {name: row.get(column) for name, column in TRUTH.items()}
        found = {name: text for name, text in given.items() if isinstance(text, str)}
    if found.keys() != TRUTH.keys():
        raise BadSample(
            f"{where} has neither a reward_model with the three sections nor all of the columns "
            f"{', '.join(TRUTH.values())}: convert it with --truth pages"
        )
    items: dict[str, list[str]] = {}
    for name in TRUTH:
        lines = [line.strip() for line in found[name].split("\n")]
        items[name] = [line for line in lines if line and line != "None"]
        wrong = [line for line in items[name] if parse_line(line) is None]
        if wrong:
            raise BadSample(f"{where}: its {name} items hold no element in {wrong[0][:80]!r}")
    return items


def sections(question: str, where: str) -> dict[str, str]:
    """What stands under each of ``TITLES``, at its last occurrence, in a prompt.

    Raises:
        BadSample: They are not all there, in their order.
    """
    last = {match[1]: match for match in SECTION.finditer(question)}
    found = sorted(last.values(), key=re.Match.start)
    if tuple(match[1] for match in found) != TITLES:
        raise BadSample(f"{where}: its question lacks the lines {': '.join(TITLES)}: in this order")
    ends = [*(match.start() for match in found[1:]), len(question)]
    pairs = zip(found, ends, strict=True)
    return {match[1]: question[match.end() : end].strip("\n ") for match, end in pairs}

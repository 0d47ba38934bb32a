"""The model card of an exported model: where it comes from, and what was measured of it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rlvr_world.evaluation.table import cell_text
from rlvr_world.files import read_json
from rlvr_world.modules.checkpoint import load_checkpoint

HEAD = """---
tags:
- world-model
- rlvr-world
---

# A world model

Trained with RLVR-World on Lightning and written by `rlvr-world export`.
"""


def model_card(checkpoint: Path) -> str:
    """A card in Markdown, from the provenance of a checkpoint and the table beside its run.

    What the files say stands in it as code, so that it can be nothing else.
    """
    content = load_checkpoint(checkpoint)
    given = {
        "Results": results(checkpoint),
        "Provenance": content.get("provenance"),
        "Settings": content.get("hyper_parameters"),
    }
    parts = [f"\n## {title}\n\n{code(value)}" for title, value in given.items() if value]
    return HEAD + "".join(parts)


def results(checkpoint: Path) -> dict[str, Any]:
    """The rows of ``table.json`` in the folder of the preset that were measured with a checkpoint.

    Empty if there is no table, or none of its rows is of the checkpoint.
    """
    own = checkpoint.absolute().parts[-3:]
    path = checkpoint.absolute().parents[2] / "table.json"
    if not path.is_file():
        return {}
    table = read_json(path)
    try:
        rows = [row for row, at in table["checkpoints"].items() if Path(at).parts[-3:] == own]
        found: dict[str, Any] = {row: dict(cells(table, row)) for row in rows}
        about = {name: table[name] for name in ("split", "samples", "seeds", "data", "commit")}
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"{path}: is no table that evaluate wrote ({error!r})") from error
    return found | {"measured on": about} if found else {}


def cells(table: dict[str, Any], row: str) -> Iterator[tuple[str, str]]:
    """The headings and the cells of a row of a table, as texts."""
    for metric, (mean, std) in table["rows"][row].items():
        arrow = "↑" if table["higher_is_better"][metric] else "↓"
        text = cell_text(float(mean), float("nan") if std is None else float(std))
        yield f"{table['labels'][metric]} {arrow}", text


def code(value: Any) -> str:
    """Plain data as an indented block of code, which no text in it can end."""
    lines = json.dumps(value, indent=1, default=str, ensure_ascii=False).splitlines()
    return "".join(f"    {line}\n" for line in lines)

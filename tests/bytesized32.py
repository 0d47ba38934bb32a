"""Rows of the published ByteSized32 file as transitions, where the file is at hand."""

import gzip
import json
from collections.abc import Iterator

import pytest
from stages import ROOT

from rlvr_world.text_game.transition import Mode, Transition

FILE = ROOT.parent / "shared/data/bytesized32/train.jsonl.gz"
ROWS = 11_535

needs_file = pytest.mark.skipif(not FILE.exists(), reason=f"{FILE} is not at hand")

SIDES = {
    "full": ("current_state", "current_score_state", "tick_state", "next_score_state"),
    "action": ("current_state", None, "action_state", None),
    "tick": ("action_state", None, "tick_state", None),
    "score": ("tick_state", "current_score_state", "tick_state", "next_score_state"),
}
"""By mode, where a row holds the objects and the score before and after."""


def documents(mode: Mode, step: int = 1) -> Iterator[dict]:
    """Every ``step``-th row as a document that lacks ``changed``."""
    before, score_before, after, score_after = SIDES[mode]
    with gzip.open(FILE, "rt") as lines:
        for number, line in enumerate(lines):
            if number % step:
                continue
            row = json.loads(line)
            yield {
                "game": row["game"],
                "mode": mode,
                "action": row["action_state"]["lastAction"] if mode in ("full", "action") else "",
                "state": {"objects": row[before]["objects"], "score": row.get(score_before)},
                "target": {"objects": row[after]["objects"], "score": row.get(score_after)},
                "uuid_base": row[before]["max_UUID"],
                "task": row[before]["taskDesc"],
            }


def transitions(mode: Mode, step: int = 1) -> Iterator[Transition]:
    """Every ``step``-th row."""
    return (Transition(**document) for document in documents(mode, step))

"""The rows of the files of ByteSized32-State-Prediction."""

import gzip
import json
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlvr_world.data.decode import MAX_JSON
from rlvr_world.data.samples import BadSample
from rlvr_world.language.recorded import sound_rows
from rlvr_world.text_game.game_state import GameState, state_problem
from rlvr_world.text_game.transition import WITHOUT_SCORE, Mode, Transition

STATES = ("current_state", "action_state", "tick_state")
SCORES = {"current_state": "current_score_state", "tick_state": "next_score_state"}
FROM_TO = {
    "full": ("current_state", "tick_state"),
    "action": ("current_state", "action_state"),
    "tick": ("action_state", "tick_state"),
    "score": ("tick_state", "tick_state"),
}


@dataclass(frozen=True)
class Row:
    """One action in one state of a game, with the states that it and the tick lead to.

    ``states`` and ``uuid_bases``, the first free uuids, are by ``current_state``, ``action_state``
    and ``tick_state``; the first state has the score before, the last one the score after.
    """

    game: str
    action: str
    task: str
    states: dict[str, GameState]
    uuid_bases: dict[str, int]

    def transition(self, mode: Mode) -> Transition:
        """What the row says in one mode.

        In mode ``score`` the objects are those after the tick, on both sides, and the action is
        kept: in some games the score depends on it and not on the objects alone.
        """
        before, after = FROM_TO[mode]
        score_before = score_after = None
        if mode not in WITHOUT_SCORE:
            score_before = self.states["current_state"]["score"]
            score_after = self.states["tick_state"]["score"]
        return Transition(
            game=self.game,
            mode=mode,
            action="" if mode == "tick" else self.action,
            state={"objects": self.states[before]["objects"], "score": score_before},
            target={"objects": self.states[after]["objects"], "score": score_after},
            uuid_base=self.uuid_bases[before],
            task=self.task,
        )


def read_rows(path: Path, max_skip_share: float, counts: Counter[str]) -> Iterator[Row]:
    """The rows of a file, plain or gzipped JSON Lines, see ``sound_rows``."""
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rb") as file:
        lines = iter(lambda: file.readline(MAX_JSON + 1), b"")
        try:
            yield from sound_rows(path, lines, parse_row, "line", max_skip_share, counts)
        except (EOFError, OSError, zlib.error) as error:
            problem = f"{path} cannot be read to its end ({error}): fetch it again"
            raise ValueError(problem) from error


def parse_row(line: bytes, where: str) -> Row:
    """The row in one line of JSON; ``where`` is the line's name in messages."""
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise BadSample(f"{where} is not JSON ({error})") from error
    states: dict[str, Any] = {}
    for name in STATES:
        objects = _take(fields, where, list, name, "objects")
        score = _take(fields, where, dict, SCORES[name]) if name in SCORES else None
        states[name] = {"objects": objects, "score": score}
        problem = state_problem(states[name])
        if problem is not None:
            raise BadSample(f"{where}: {name}: {problem}")
    return Row(
        game=_take(fields, where, str, "game"),
        action=_take(fields, where, str, "action_state", "lastAction"),
        task=_take(fields, where, str, "current_state", "taskDesc"),
        states=states,
        uuid_bases={name: _take(fields, where, int, name, "max_UUID") for name in STATES},
    )


def _take(fields: Any, where: str, kind: type, *keys: str) -> Any:
    for key in keys:
        if not isinstance(fields, dict) or key not in fields:
            raise BadSample(f"{where}: {'.'.join(keys)} is missing")
        fields = fields[key]
    if type(fields) is not kind:
        got = type(fields).__name__
        raise BadSample(f"{where}: {'.'.join(keys)} must be of type {kind.__name__}, got {got}")
    return fields

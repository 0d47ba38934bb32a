"""The published reasoning of a larger model about ByteSized32 as shards.

Source: Wu et al., "RLVR-World", 2025 (``thuml/bytesized32-world-model-cot``). A row holds the
original's prompt, the states before and after a step, and what DeepSeek-R1 thought and answered.
"""

import random
import re
from collections import Counter
from collections.abc import Mapping
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

from rlvr_world.data.decode import parse_json
from rlvr_world.data.samples import BadSample
from rlvr_world.files import sha256
from rlvr_world.language.manifest import TransitionManifest
from rlvr_world.language.recorded import digest, recording, sound_rows
from rlvr_world.language.tables import raw_rows
from rlvr_world.text_game.answer import reasoning_before
from rlvr_world.text_game.game_state import GameState, canonical, state_problem
from rlvr_world.text_game.judge import TextGameJudge
from rlvr_world.text_game.sources.bytesized32 import assign, read_rules, shares
from rlvr_world.text_game.transition import Transition

NAMES = ("generated_cot.parquet", "generated_cot.jsonl")
ANSWERS = (("reasoning_content", "content"), ("answer",), ("response",))
"""Columns that may hold what the model wrote, one after another."""

COLUMNS = ("prompt", "question", "reward_model", "extra_info", *chain.from_iterable(ANSWERS))
UUID_BASE = re.compile(r"UUID base is (\d{1,9})")
TASK = re.compile(r"^Task Description:[ \n]*(.+)$", re.MULTILINE)
UNKNOWN = "unknown"
KNOWN_BY = 200  # characters of a game's rules that say in a prompt which game it is


def bytesized32_cot(
    source: Path,
    root: Path = Path("data/bytesized32_cot"),
    only_right: bool = True,
    val_share: float = 0.1,
    seed: int = 0,
    max_skip_share: float = 0.01,
) -> TransitionManifest:
    """Write the shards of the published reasoning about ByteSized32, for supervised tuning.

    A step carries the reasoning; the answer to learn is the true one in any case. Several thoughts
    about one step are all kept.

    Args:
        source: Folder with ``generated_cot.parquet`` or ``.jsonl`` and, so that prompts have the
            rules of the games, the three rules files of ByteSized32.
        root: Folder for the shards.
        only_right: Leave out, and count, thoughts that lead to a wrong answer.
        val_share: Share of the states for validation.
        seed: Where splits and order come from.
        max_skip_share: Stop if a larger share of the rows is broken.
    """
    found = [source / name for name in NAMES if (source / name).exists()]
    if not found:
        raise FileNotFoundError(f"{source} holds neither {' nor '.join(NAMES)}")
    path, rules = found[0], read_rules(source)
    parts = shares("file", val_share, 0.0)
    settings = {"file": sha256(path), "only_right": only_right, "shares": parts, "seed": seed}
    manifest = TransitionManifest.finished(root, "bytesized32-cot", settings)
    if manifest is not None:
        return manifest
    counts: Counter[str] = Counter()
    judge, parse = TextGameJudge(), partial(transition, rules=rules)
    with recording(root) as spool:
        rows = raw_rows(path, COLUMNS)
        for step, text in sound_rows(path, rows, parse, "row", max_skip_share, counts):
            if only_right and judge(text, step).reason != "right":
                counts["wrong_answers"] += 1
                continue
            counts["unknown_games"] += step.game == UNKNOWN
            unit = f"{step.game} {digest(canonical(step.state | {'score': None})).hex()}"
            spool.add(step, unit, scope=step.reasoning)
        split_of = assign(spool.entries, parts, random.Random(seed))
        games = {entry.subject for entry in spool.entries}
        return spool.finish(
            lambda entry: split_of[entry.unit], seed, source="bytesized32-cot", settings=settings,
            rows=counts, documents={"rules.json": {g: rules[g] for g in rules if g in games}},
        )  # fmt: skip


def transition(
    row: Any, where: str, rules: Mapping[str, Mapping[str, str]]
) -> tuple[Transition, str]:
    """The step that a row says, with the reasoning in it, and the model's whole text.

    Raises:
        BadSample: Something is missing or cannot be read.
    """
    try:
        said = next(names for names in ANSWERS if all(row.get(name) for name in names))
        text = "\n</think>\n\n".join(str(row[name]) for name in said)
        info, truth = row["extra_info"], row["reward_model"]["ground_truth"]
        prompt = row.get("question") or row["prompt"][0]["content"]
        before, after = (game_state(parse_json(t.encode())) for t in (info["data_state"], truth))
        action, base = str(info["data_action"]), UUID_BASE.findall(prompt)
        task = TASK.findall(prompt)
    except (StopIteration, LookupError, TypeError, ValueError, AttributeError) as error:
        reason = f"{type(error).__name__} {error}".strip()
        raise BadSample(f"{where} is no row of generated_cot: {reason}") from error
    for state in (before, after):
        problem = state_problem(state)
        if problem is not None:
            raise BadSample(f"{where}: {problem}")
    free = 1 + max((item["uuid"] for item in before["objects"]), default=0)
    step = Transition(
        game=game_of(prompt, rules),
        mode="full",
        action=action,
        state=before,
        target=after,
        uuid_base=int(base[-1]) if base else free,
        task=task[-1].strip() if task else "",
        reasoning=reasoning_before(text),
    )
    return step, text


def game_state(said: Any) -> GameState:
    """A state as the original has it: a list of the objects, and the score among them."""
    entries = said["game_state"] if isinstance(said, dict) else said
    scores = [entry for entry in entries if "uuid" not in entry]
    return {"objects": [each for each in entries if "uuid" in each], "score": scores[-1]}


def game_of(prompt: str, rules: Mapping[str, Mapping[str, str]]) -> str:
    """The game whose rules about objects stand last in a prompt, which begins with an example."""
    places = {game: prompt.rfind(of["objects"][:KNOWN_BY]) for game, of in rules.items()}
    game = max(places, key=places.__getitem__, default=UNKNOWN)
    return game if places.get(game, -1) >= 0 else UNKNOWN

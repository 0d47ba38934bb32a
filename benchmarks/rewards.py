"""Text-game rewards per second, beside a comparison of the states with ``deepdiff``.

A process judges on one core. A run on several ranks judges on as many cores, since each rank scores
the answers that it has sampled itself; ``--processes`` does the same.
"""

import argparse
import dataclasses
import json
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from importlib import import_module
from multiprocessing import Pool
from pathlib import Path
from typing import Any

from benchmarks.answers import GROUP, answers, generated, published, slow_answers
from benchmarks.harness import Case, Contender, Work
from rlvr_world.language.judge import Rule
from rlvr_world.text_game.answer import PHRASES
from rlvr_world.text_game.game_state import GameState
from rlvr_world.text_game.rewards import StateMatch, TaskSpecific, TextGameReward
from rlvr_world.text_game.transition import Transition, apply

STEPS = {"tiny": 6, "full": 300}
LENGTHS = {"tiny": (500,), "full": (20_000, 60_000, 100_000)}
"""Characters of the answers that are made to be slow; a judge reads at most 65,536 of one."""

RULES: tuple[Rule, ...] = ("strict", "upstream")
Problem = tuple[list[Transition], list[str]]
"""Steps, and a group of answers to each."""

held: list[Problem] = []  # what a worker process judges


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """``--source``, ``--processes`` and ``--seconds``."""
    parser.add_argument("--source", type=Path, help="a published train.jsonl(.gz) or test.jsonl")
    parser.add_argument(
        "--processes", type=int, nargs="+", default=[1, 2], help="numbers of processes to measure"
    )
    parser.add_argument(
        "--seconds", type=float, default=0.001, help="time limit in the cases of slow answers"
    )


def cases(args: argparse.Namespace) -> Iterator[Case]:
    """Every rule, reward and number of processes, then slow answers under a tight limit."""
    count = STEPS[args.scale]
    steps = published(args.source, count) if args.source else generated(count)
    problem = steps, [text for step in steps for text in answers(step)]
    for processes in args.processes:
        with Pool(processes, hold, (problem,)) as pool:
            for rule in RULES:
                for kind in (StateMatch, TaskSpecific):
                    yield case(problem, kind(rule), processes, pool)
    for rule in RULES:
        yield slow_case(steps[0], rule, args.seconds, LENGTHS[args.scale])


def case(problem: Problem, reward: TextGameReward, processes: int, pool: Any) -> Case:
    """One reward of all answers in some processes."""
    steps, texts = problem
    rivals = (Contender("deepdiff", lambda: lambda: len(compared(*problem)), ("deepdiff",)),)
    single = type(reward) is StateMatch and reward.judge.rule == "strict" and processes == 1
    size = sum(len(json.dumps(step.state)) for step in steps) / len(steps)
    reasons = Counter(reward.reasons(texts, fresh(steps)))
    return Case(
        f"{reward.judge.rule} {type(reward).__name__}, {processes} process{'es' * (processes > 1)}",
        f"{len(steps)} states of {size:,.0f} characters x {GROUP} answers",
        "rewards",
        Contender("rlvr_world", lambda: judging(reward, len(steps), processes, problem, pool)),
        rivals if single else (),
        {reason: f"{found / len(texts):.0%}" for reason, found in reasons.items()},
    )


def judging(
    reward: TextGameReward, steps: int, processes: int, problem: Problem, pool: Any
) -> Work:
    """Scores all answers, each process those to its part of the steps."""
    if processes == 1:
        return lambda: scored(reward, *problem)
    share = -(-steps // processes)
    jobs = [(reward, slice(start, start + share)) for start in range(0, steps, share)]
    return lambda: sum(pool.starmap(scored_part, jobs, chunksize=1))


def hold(problem: Problem) -> None:
    """Keep the problem in this process."""
    held.append(problem)


def scored_part(reward: TextGameReward, part: slice) -> int:
    """Scores the answers to some of the steps that this process holds."""
    steps, texts = held[0]
    return scored(reward, steps[part], texts[part.start * GROUP : part.stop * GROUP])


def scored(reward: TextGameReward, steps: Sequence[Transition], texts: Sequence[str]) -> int:
    """Scores the answers to some steps of which, as in a new batch, nothing is known yet."""
    return len(reward.scores(texts, fresh(steps), {}))


def fresh(steps: Sequence[Transition]) -> list[Transition]:
    """The steps without what was found out about them."""
    return [dataclasses.replace(step) for step in steps]


def compared(steps: Sequence[Transition], texts: Sequence[str]) -> list[float]:
    """1 where ``deepdiff`` finds no difference between the state that is said and the true one."""
    difference = import_module("deepdiff").DeepDiff
    rewards = []
    for number, text in enumerate(texts):
        step = steps[number // GROUP]
        try:
            said = apply(step.state, json.loads(text.rpartition(PHRASES[0])[2]))
        except ValueError:
            rewards.append(0.0)
            continue
        rewards.append(float(not difference(by_uuid(step.target), by_uuid(said))))
    return rewards


def by_uuid(state: GameState) -> dict[str, Any]:
    """A state in which neither objects nor contents have an order."""
    objects = (item | {"contains": sorted(item["contains"])} for item in state["objects"])
    return state | {"objects": {item["uuid"]: item for item in objects}}


def slow_case(step: Transition, rule: Rule, seconds: float, lengths: Sequence[int]) -> Case:
    """Answers that are made to be slow: how fast they are, and what the limits stop of them."""
    texts = [text for length in lengths for text in slow_answers(length)]
    default, tight = StateMatch(rule), StateMatch(rule, seconds=seconds)
    slowest = 0.0
    for text in texts:
        start = time.thread_time()
        scored(default, [step], [text])
        slowest = max(slowest, time.thread_time() - start)
    unread = sum(len(text) > tight.judge.characters for text in texts)
    notes = {"slowest, ms": 1000 * slowest, "too long to be read": unread}
    for reward in (default, tight):
        stopped = reward.reasons(texts, fresh([step])).count("over the limit") - unread
        notes[f"stopped at {1000 * reward.judge.seconds:g} ms"] = stopped
    return Case(
        f"{rule}, slow answers",
        f"{len(texts)} answers of {', '.join(map(str, lengths))} characters",
        "rewards",
        Contender("rlvr_world", lambda: lambda: scored(tight, [step], texts)),
        notes=notes,
    )

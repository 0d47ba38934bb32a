"""An agent that plans one step ahead: propose, imagine, score, act."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from rlvr_world.web.action import Action
from rlvr_world.web.agent.components import (
    Component,
    Imagined,
    Imaginer,
    Proposer,
    Situation,
    Summary,
    Value,
)
from rlvr_world.web.agent.local_policy import WordPolicy
from rlvr_world.web.agent.local_value import KeyChanges, WordValue
from rlvr_world.web.sites.site import Site

UNSCORED = float("-inf")


@dataclass
class Candidate:
    """An action that was considered.

    Args:
        action: The action.
        frequency: How often it was proposed.
        imagined: What it was imagined to lead to; None if that was not asked.
        summary: The key changes in words.
        scores: The scores that could be read.
    """

    action: Action
    frequency: int
    imagined: Imagined | None = None
    summary: str = ""
    scores: list[float] = field(default_factory=list)

    @property
    def value(self) -> float | None:
        """The mean of its scores; None without scores."""
        return sum(self.scores) / len(self.scores) if self.scores else None

    @property
    def record(self) -> dict[str, Any]:
        about = {"action": str(self.action), "frequency": self.frequency}
        if self.imagined is None:
            return about
        return about | {
            "prediction": self.imagined.text,
            "prediction_error": self.imagined.error,
            "known_reward": self.imagined.reward,
            "summary": self.summary,
            "scores": self.scores,
            "value": self.value,
        }


@dataclass
class Decision:
    """What was considered, the most frequent first, and which of it is chosen.

    Args:
        candidates: The candidates; none if nothing that was proposed is an action.
        chosen: The index of the chosen one.
    """

    candidates: list[Candidate]
    chosen: int = 0

    @property
    def action(self) -> Action | None:
        return self.candidates[self.chosen].action if self.candidates else None

    @property
    def record(self) -> dict[str, Any]:
        chosen = self.chosen if self.candidates else None
        return {"candidates": [one.record for one in self.candidates], "chosen": chosen}


class Agent:
    """Model-predictive control one step ahead (RLVR-World, Wu et al., 2025).

    A policy is asked ``samples`` times and the ``top`` most frequent actions are kept. What each
    changes is imagined and summed up, a value scores it, and the best one is done. A candidate
    that could not be imagined or scored is left out; if that leaves none, and for an agent without
    imagination, the most frequent one is done. An action ends the task only if all of it is
    ``stop``; one that does and is the most frequent is done without imagining anything.

    Args:
        policy: Proposes actions.
        imaginer: Foresees what they change; if not given, the policy decides alone.
        summary: Sums up what is imagined.
        value: Scores it.
        samples: How often the policy is asked in each step.
        top: How many different actions are considered.
    """

    def __init__(
        self,
        policy: Proposer | None = None,
        imaginer: Imaginer | None = None,
        summary: Summary | None = None,
        value: Value | None = None,
        samples: int = 20,
        top: int = 3,
    ) -> None:
        for name, number in {"samples": samples, "top": top}.items():
            if number < 1:
                raise ValueError(f"{name} must be at least 1, got {number}")
        self.policy = policy or WordPolicy()
        self.imaginer = imaginer
        self.summary, self.value = summary or KeyChanges(), value or WordValue()
        self.samples, self.top = samples, top

    @property
    def components(self) -> dict[str, Component]:
        """Its components by name, without those that it does not use."""
        used: dict[str, Component] = {"policy": self.policy}
        if self.imaginer is not None:
            used |= {"imaginer": self.imaginer, "summary": self.summary, "value": self.value}
        return used

    @property
    def settings(self) -> dict[str, Any]:
        used = {name: component.settings for name, component in self.components.items()}
        return used | {"samples": self.samples, "top": self.top}

    @contextmanager
    def opened(self, site: Site, chromium: str) -> Iterator["Agent"]:
        """Ready for episodes on a site, of which each component gets a copy of its own."""
        try:
            for component in self.components.values():
                component.open(deepcopy(site), chromium)
            yield self
        finally:
            for component in self.components.values():
                component.close()

    def decide(self, situation: Situation) -> Decision:
        """Consider what could be done."""
        proposed = Counter(self.policy.propose(situation, self.samples))
        decision = Decision([Candidate(*pair) for pair in proposed.most_common(self.top)])
        ends = decision.action is not None and decision.action.kind == "stop"
        if self.imaginer is None or ends or len(decision.candidates) < 2:
            return decision
        self._imagine(situation, decision.candidates)
        values = [candidate.value for candidate in decision.candidates]
        known = [UNSCORED if value is None else value for value in values]
        decision.chosen = known.index(max(known))
        return decision

    def _imagine(self, situation: Situation, candidates: list[Candidate]) -> None:
        """Imagine and score candidates while there is time."""
        assert self.imaginer is not None
        actions = [candidate.action for candidate in candidates]
        imagined = self.imaginer.imagine(situation, actions)
        for candidate, outcome in zip(candidates, imagined, strict=True):
            candidate.imagined = outcome
            if outcome.changes is None or situation.seconds_left <= 0:
                continue
            candidate.summary = self.summary.sum_up(situation, candidate.action, outcome)
            candidate.scores = self.value.scores(
                situation, candidate.action, outcome, candidate.summary
            )

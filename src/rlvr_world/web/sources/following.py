"""Behaviour on web pages with a purpose, and all behaviours by name."""

import importlib
import random

from rlvr_world.web.action import Action
from rlvr_world.web.browser.session import Observation
from rlvr_world.web.sources.policies import (
    CLICKED,
    FIELDS,
    TEXTS,
    ExploringPolicy,
    Policy,
    RandomPolicy,
    face,
    is_named,
    plain,
    quoted,
)
from rlvr_world.web.sources.scripts import SCRIPTS
from rlvr_world.web.tree import Element

FINISHING = ("submit", "ok", "search", "login", "log in", "send", "next", "save", "done", "update")
"""Names of buttons and links that end a form."""

STRAY = 0.1  # share of random actions of a policy with a purpose


class FollowingPolicy(RandomPolicy):
    """Does what the words of the objective say, as far as a simple script can.

    Tasks of the shop have a script. In others it types the quoted texts into the fields in order,
    clicks what the objective names, in the order in which it is named, and at last a button such as
    Submit.
    """

    def __init__(self, rng: random.Random, task: str = "") -> None:
        super().__init__(rng, task)
        self.used: set[tuple[str, str, str]] = set()
        self.typed = 0
        self.moves = list(SCRIPTS.get(task, ()))

    def act(self, observation: Observation) -> Action:
        if self.rng.random() >= STRAY:
            plans = (self._type, self._click_named, self._finish)
            for plan in (self._script,) if self.moves else plans:
                action = plan(observation)
                if action is not None:
                    return action
        return super().act(observation)

    def _script(self, observation: Observation) -> Action | None:
        action = self.moves[0].action(observation.elements, quoted(observation.objective))
        if action is not None:
            del self.moves[0]
        return action

    def _type(self, observation: Observation) -> Action | None:
        texts = quoted(observation.objective)
        fields = [e for e in observation.elements if e.role in FIELDS and face(e) not in self.used]
        if self.typed >= len(texts) or not fields:
            return None
        text, field = texts[self.typed], fields[0]
        self.typed += 1
        self.used.add(face(field))
        return Action("type", field.id, text, "search" in field.name.lower())

    def _click_named(self, observation: Observation) -> Action | None:
        objective = observation.objective
        named = [
            element
            for element in observation.elements
            if element.role in CLICKED + TEXTS
            and not _finishes(element)
            and is_named(element, objective)
            and face(element) not in self.used
        ]
        if not named:
            return None
        element = min(named, key=lambda item: plain(objective).index(plain(item.name)))
        self.used.add(face(element))
        return Action("click", element.id)

    def _finish(self, observation: Observation) -> Action | None:
        buttons = [element for element in observation.elements if _finishes(element)]
        return Action("click", self.rng.choice(buttons).id) if buttons else None


POLICIES: dict[str, type[Policy]] = {
    "random": RandomPolicy,
    "exploring": ExploringPolicy,
    "following": FollowingPolicy,
}


def policy_class(name: str) -> type[Policy]:
    """A policy by its name here or by its full path, such as ``my_module.MyPolicy``.

    Raises:
        ValueError: There is none.
    """
    if name in POLICIES:
        return POLICIES[name]
    module, _, attribute = name.rpartition(".")
    try:
        policy = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError):
        policy = None
    if not (isinstance(policy, type) and issubclass(policy, Policy)):
        known = ", ".join(POLICIES)
        raise ValueError(f"policies: {name} is none of {known} and no path of a Policy class")
    return policy


def _finishes(element: Element) -> bool:
    return element.role in ("button", "link") and plain(element.name).strip() in FINISHING

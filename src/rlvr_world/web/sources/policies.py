"""Behaviour on web pages: at random, and exploring."""

import random
import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

from rlvr_world.web.action import Action
from rlvr_world.web.browser.session import Observation
from rlvr_world.web.tree import Element

FIELDS = ("textbox", "searchbox", "spinbutton", "Date", "InputTime")
"""Roles that are typed into."""

CLICKED = (
    "button", "link", "checkbox", "radio", "option", "combobox", "menuitem", "menuitemcheckbox",
    "menuitemradio", "tab", "treeitem", "slider", "switch", "gridcell",
)  # fmt: skip
"""Roles that are clicked."""

TEXTS = ("StaticText", "heading", "image", "cell", "DisclosureTriangle")
"""Roles that may be clicked where a page listens to clicks on anything."""

KEYS = ("Enter", "Tab", "Escape", "ArrowDown", "ArrowUp", "Backspace")

RARE = 0.08  # share of actions that are neither clicks nor typing
TEXT_SHARE = 0.15  # share of clicks on mere text where there are other targets
ENTER_SHARE = 0.2  # share of typed texts that Enter follows


class Policy(ABC):
    """Acts through one episode.

    Args:
        rng: Where all choices come from.
        task: The task.
    """

    def __init__(self, rng: random.Random, task: str = "") -> None:
        self.rng = rng
        self.task = task

    @abstractmethod
    def act(self, observation: Observation) -> Action:
        """The next action."""


class RandomPolicy(Policy):
    """Clicks and types anywhere."""

    def act(self, observation: Observation) -> Action:
        candidates = targets(observation.elements)
        texts = [element for element in observation.elements if element.role in TEXTS]
        if self.rng.random() < RARE or not (candidates or texts):
            return self.rare(candidates + texts)
        if texts and (not candidates or self.rng.random() < TEXT_SHARE):
            return Action("click", self.rng.choice(texts).id)
        return self.use(self.choose(candidates), observation)

    def choose(self, candidates: Sequence[Element]) -> Element:
        return self.rng.choice(candidates)

    def use(self, element: Element, observation: Observation) -> Action:
        if element.role not in FIELDS:
            return Action("click", element.id)
        said = phrases(observation.objective) or ["1"]
        named = [item.name for item in observation.elements if item.name]
        text = self.rng.choice(said if self.rng.random() < 0.7 else named or said)
        enter = self.rng.random() < ENTER_SHARE
        return Action("type", element.id, text[:60].replace("\r", " "), enter)

    def rare(self, candidates: Sequence[Element]) -> Action:
        """An action that seldom does anything."""
        actions = [
            Action("press", text=self.rng.choice(KEYS)),
            Action("scroll", text=self.rng.choice(("up", "down"))),
            Action(self.rng.choice(("go_back", "go_forward"))),
        ]
        if candidates:
            actions.append(Action("hover", self.rng.choice(candidates).id))
        return self.rng.choice(actions)


class ExploringPolicy(RandomPolicy):
    """Prefers what it used least."""

    def __init__(self, rng: random.Random, task: str = "") -> None:
        super().__init__(rng, task)
        self.used: Counter[tuple[str, str, str]] = Counter()

    def choose(self, candidates: Sequence[Element]) -> Element:
        least = min(self.used[face(element)] for element in candidates)
        element = self.rng.choice([e for e in candidates if self.used[face(e)] == least])
        self.used[face(element)] += 1
        return element


def targets(elements: Sequence[Element]) -> list[Element]:
    """The elements that can be clicked or typed into."""
    off = ("disabled", "true")
    return [e for e in elements if e.role in CLICKED + FIELDS and off not in e.properties]


def quoted(text: str) -> list[str]:
    """The texts in double quotes, in order."""
    return re.findall(r'"([^"\n]+)"', text)


def phrases(text: str) -> list[str]:
    """What one could type: quoted texts, and single words and numbers."""
    return quoted(text) + re.findall(r"[\w@/.-]*\w", text)


@lru_cache(maxsize=4096)
def plain(text: str) -> str:
    """Words in lower case between blanks."""
    words = re.findall(r"[^\W_]+", text.lower())
    return f" {' '.join(words)} "


def is_named(element: Element, objective: str) -> bool:
    """Whether the objective holds the name of an element, word by word."""
    name = plain(element.name)
    return bool(name.strip()) and name in plain(objective)


def face(element: Element) -> tuple[str, str, str]:
    """What an element is remembered by."""
    return element.id, element.role, element.name

"""A policy that needs no language model: it goes by the words of the objective."""

import math
from collections.abc import Iterator, Mapping

from rlvr_world.web.action import Action
from rlvr_world.web.agent.components import Proposer, Situation
from rlvr_world.web.agent.words import finishes, held, is_on, overlap, wanted_texts
from rlvr_world.web.sources.policies import FIELDS, TEXTS, is_named, plain, quoted, targets
from rlvr_world.web.tree import Element

MOST_ELEMENTS, MOST_TEXTS, LONGEST_TEXT = 300, 12, 100
NAMED, SHARED, FINISH, FILL, CONTEXT = 3.0, 2.0, 3.0, 2.5, 1.5
WORD, MERE_TEXT, SETTLED, FRUITLESS, AGAIN = -1.0, -1.5, -4.0, -4.0, -1.5
RARE = {Action("scroll", text="down"): -2.0, Action("go_back"): -3.0}


class WordPolicy(Proposer):
    """Draws actions on the elements of the page, the likelier the better their names fit.

    It clicks what the objective names, types what it quotes, ends forms, and sometimes does
    anything else; what changed nothing and what is settled already is unlikely. It does not look
    ahead: it may end a form too early or choose what is not wanted.

    Args:
        temperature: How much it explores; the most likely action alone as it goes to 0.
    """

    def __init__(self, temperature: float = 1.0) -> None:
        if temperature <= 0:
            raise ValueError(f"temperature must be above 0, got {temperature}")
        self.temperature = temperature

    def propose(self, situation: Situation, count: int) -> list[Action]:
        odds = self.odds(situation)
        best = max(odds.values())
        weights = [math.exp((odd - best) / self.temperature) for odd in odds.values()]
        return situation.rng.choices(list(odds), weights, k=count)

    def odds(self, situation: Situation) -> dict[Action, float]:
        """How well each action that the page offers seems to fit."""
        seen, objective = situation.observation, situation.observation.objective
        odds = dict(RARE)
        for element in targets(seen.elements)[:MOST_ELEMENTS]:
            if element.role in FIELDS:
                before = seen.elements[max(seen.elements.index(element) - 1, 0)]
                odds |= dict(_typing(element, before, objective))
            else:
                odds[Action("click", element.id)] = _click(element, objective)
        texts = (element for element in seen.elements if element.role in TEXTS)
        for element in list(texts)[:MOST_ELEMENTS]:
            odds[Action("click", element.id)] = _click(element, objective) + MERE_TEXT
        costs = _memory(situation)
        return {action: odd + costs.get(action, 0.0) for action, odd in odds.items()}


def _typing(field: Element, before: Element, objective: str) -> Iterator[tuple[Action, float]]:
    """Texts for a field; the words around it and around the text say how they fit."""
    label = set(plain(f"{field.name} {before.name}").split())
    enter = "search" in plain(field.name)
    said = bool(quoted(objective))
    for text in wanted_texts(objective)[:MOST_TEXTS]:
        text = text[:LONGEST_TEXT]
        around = set(plain(objective[: objective.find(text)]).split()[-3:])
        fit = FILL + CONTEXT * bool(label & around) + (0.0 if said else WORD)
        if held(field):
            fit += SETTLED
        yield Action("type", field.id, text, enter), fit


def _click(element: Element, objective: str) -> float:
    if finishes(element):
        return FINISH
    fit = NAMED if is_named(element, objective) else SHARED * overlap(element, objective)
    on = is_on(element)
    return fit + SETTLED if on else fit


def _memory(situation: Situation) -> Mapping[Action, float]:
    """What having done actions before says against them."""
    costs: dict[Action, float] = {}
    page = situation.observation.tree if situation.history else ""
    for done in situation.history:
        fruitless = not done.changed or done.page == page
        cost = FRUITLESS if fruitless else AGAIN
        costs[done.action] = min(cost, costs.get(done.action, 0.0))
    return costs

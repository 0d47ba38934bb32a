"""World models of text games and of web pages, step by step."""

import json
from collections.abc import Iterable
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

from rlvr_world.applications.words.word_world import WordWorld
from rlvr_world.language.data import TransitionDataModule
from rlvr_world.language.judge import BadAnswer
from rlvr_world.modules.world_model import WorldModel
from rlvr_world.rl.sampler import Sampler
from rlvr_world.text_game.codec import TextGameCodec
from rlvr_world.text_game.data import TextDataModule
from rlvr_world.text_game.game_state import canonical, state_problem
from rlvr_world.text_game.transition import Transition
from rlvr_world.web.action import Action
from rlvr_world.web.changes import apply
from rlvr_world.web.codec import WebPageCodec
from rlvr_world.web.data import WebDataModule
from rlvr_world.web.page import WebTransition
from rlvr_world.web.tree import Element, tree_text


class GameWorld(WordWorld[Transition]):
    """A text game; see ``WordWorld``. A step earns what the game's score says, where it has one."""

    data_module = TextDataModule

    def place(self, step: Transition) -> Any:
        return step.game, step.mode, canonical(step.state)

    def asked(self, step: Transition, action: str) -> Transition:
        recorded = self.recorded(step).get(action)
        if recorded is not None:
            return recorded
        if not action:
            raise ValueError("action must not be empty")
        free = max((item["uuid"] + 1 for item in step.state["objects"]), default=0)
        first = max(free, step.uuid_base)
        return replace(step, action=action, target=step.state, reasoning="", uuid_base=first)

    def ended(self, step: Transition, text: str) -> Transition:
        end = super().ended(step, text)
        problem = state_problem(end.target)
        if problem is not None:
            raise BadAnswer("wrong shape", problem)
        return end

    def begun(self, step: Transition) -> Transition:
        return replace(step, state=step.target)

    def state(self, step: Transition) -> str:
        """One line for each object, and the score."""
        lines = [
            f"{item['name']}: {json.dumps(item['properties'], ensure_ascii=False)}"
            + (f", holds {', '.join(item['contains'])}" if item["contains"] else "")
            for item in step.state["objects"]
        ]
        return "\n".join([*lines, f"score: {json.dumps(step.state['score'])}"])

    def score(self, step: Transition) -> float:
        before, after = step.state["score"], step.target["score"]
        return float(after["score"] - before["score"]) if before and after else 0.0

    def over(self, step: Transition) -> bool:
        score = step.target["score"]
        return bool(score and score["gameOver"])


class PageWorld(WordWorld[WebTransition]):
    """A web page; see ``WordWorld``.

    Models say which elements change, not where new ones stand nor the next address: new elements
    come last, with numbers that are free, and the address stays.
    """

    data_module = WebDataModule

    def place(self, step: WebTransition) -> Any:
        return step.site, step.url, step.objective, step.tree

    def asked(self, step: WebTransition, action: str) -> WebTransition:
        known = Action.parse(action)
        if known.element and known.element not in {element.id for element in step.elements}:
            raise ValueError(f"action: the page has no element {known.element}")
        here = self.recorded(step)
        recorded = here.get(action) or here.get(str(known))
        if recorded is not None:
            return replace(recorded, previous_action=step.previous_action)
        return replace(
            step, action=str(known), next_url=step.url, next_tree=step.tree, truth={}, reasoning=""
        )

    def ended(self, step: WebTransition, text: str) -> WebTransition:
        changes = self.codec.answered(step, text).changes
        changes = changes._replace(new=tuple(under_free_ids(changes.new, step.elements)))
        try:
            tree = tree_text(apply(step.elements, changes))
        except ValueError as error:
            raise BadAnswer("wrong shape", str(error)) from error
        return replace(step, next_url=step.url, next_tree=tree, truth={})

    def begun(self, step: WebTransition) -> WebTransition:
        return replace(
            step, previous_action=step.action, url=step.next_url, tree=step.next_tree, truth={}
        )

    def state(self, step: WebTransition) -> str:
        """Address, objective, and the page's tree."""
        return "\n".join([step.url, step.objective, step.tree])


def under_free_ids(new: Iterable[Element], known: Iterable[Element]) -> Iterable[Element]:
    """New elements under numbers that no known one has."""
    taken = {element.id for element in known}
    free = (str(number) for number in count(1) if str(number) not in taken)
    return (element._replace(id=next(free)) for element in new)


def word_world(
    model: WorldModel,
    data: str | Path | TransitionDataModule,
    split: str = "test",
    sampler: Sampler | None = None,
) -> WordWorld[Any]:
    """The world that a model is of.

    Raises:
        ValueError: It is a model of something else.
    """
    if isinstance(model.codec, TextGameCodec):
        return GameWorld(model, data, split, sampler)
    if isinstance(model.codec, WebPageCodec):
        return PageWorld(model, data, split, sampler)
    raise ValueError(
        f"the model's codec is {type(model.codec).__name__}; only world models of video, of text "
        "games and of web pages can be stepped"
    )

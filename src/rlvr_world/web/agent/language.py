"""The components of an agent as language models behind an endpoint, with the paper's settings."""

from collections.abc import Sequence
from typing import Any

from rlvr_world.web.action import Action
from rlvr_world.web.agent import chats
from rlvr_world.web.agent.components import (
    Component,
    Imagined,
    Imaginer,
    Proposer,
    Situation,
    Summary,
    Value,
)
from rlvr_world.web.agent.endpoint import Endpoint
from rlvr_world.web.agent.imaginers import read_prediction
from rlvr_world.web.agent.local_value import KeyChanges
from rlvr_world.web.prompt import page_prompt

LONGEST_SUMMARY = 4000


class LanguageComponent(Component):
    """A component that asks a language model.

    Args:
        endpoint: The endpoint of the model.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint

    @property
    def settings(self) -> dict[str, Any]:
        """Those of any component; the key itself is none of them."""
        return super().settings | {"endpoint": vars(self.endpoint)}


class LanguagePolicy(LanguageComponent, Proposer):
    """A language model that proposes actions.

    Args:
        spare: Further requests in place of replies without an action, per step, at most.
        longest_page: Characters of a page that it reads, at most.
    """

    def __init__(self, spare: int = 10, longest_page: int = 20_000, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.spare, self.longest_page = spare, longest_page

    def propose(self, situation: Situation, count: int) -> list[Action]:
        """Ask ``count`` times; an action on an element that the page lacks is none."""
        ids = {element.id for element in situation.observation.elements} | {""}

        def read(text: str) -> Action | None:
            action = chats.read_action(text)
            return action if action is not None and action.element in ids else None

        past = (f"{done.action}{' (no effect)' * (not done.changed)}" for done in situation.history)
        about = {"DONE SO FAR": "\n".join(past) or "nothing"}
        messages = chats.chat(chats.PROPOSE, situation, about, self.longest_page)
        return self.endpoint.collect(messages, read, count, self.spare, situation.deadline)


class LanguageWorldModel(LanguageComponent, Imaginer):
    """A language model that predicts changes, such as an exported world model that is served.

    Args:
        attempts: How often a prediction is asked for until it can be read, at most.
    """

    def __init__(self, attempts: int = 3, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if attempts < 1:
            raise ValueError(f"attempts must be at least 1, got {attempts}")
        self.attempts = attempts

    def imagine(self, situation: Situation, actions: Sequence[Action]) -> list[Imagined]:
        return [self._imagine(situation, action) for action in actions]

    def _imagine(self, situation: Situation, action: Action) -> Imagined:
        """The first readable reply, else the last unreadable one."""
        outcomes = [Imagined(error="there was no reply in time")]

        def read(text: str) -> Imagined | None:
            outcomes.append(read_prediction(text))
            return outcomes[-1] if outcomes[-1].changes is not None else None

        prompt = page_prompt(situation.transition(action), "long")
        messages = [{"role": "user", "content": prompt}]
        self.endpoint.collect(messages, read, 1, self.attempts - 1, situation.deadline)
        return outcomes[-1]


class LanguageSummary(LanguageComponent, Summary):
    """A language model that says what changes amount to; without a reply, the changes themselves.

    Args:
        most: The number of changes, at most.
    """

    def __init__(self, most: int = 10, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.most = most
        self._plain = KeyChanges(most)

    def sum_up(self, situation: Situation, action: Action, imagined: Imagined) -> str:
        about = {"ACTION": str(action), "CHANGES": chats.fenced(imagined.text)}
        messages = chats.chat(chats.SUM_UP.format(most=self.most), situation, about)
        said = self.endpoint.collect(
            messages, lambda text: text.strip() or None, deadline=situation.deadline
        )
        return (said or [self._plain.sum_up(situation, action, imagined)])[0][:LONGEST_SUMMARY]


class LanguageValue(LanguageComponent, Value):
    """A language model that scores outcomes on a scale from 1 to 5.

    Args:
        count: The number of scores to average.
        spare: Further requests in place of replies without a score, at most; what cannot be read
            then is left out.
        longest_page: Characters of the page before the action that it reads, at most.
    """

    def __init__(
        self, count: int = 20, spare: int = 10, longest_page: int = 20_000, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        if count < 1:
            raise ValueError(f"count must be at least 1, got {count}")
        self.count, self.spare, self.longest_page = count, spare, longest_page

    def scores(
        self, situation: Situation, action: Action, imagined: Imagined, summary: str
    ) -> list[float]:
        about = {"ACTION": str(action), "PREDICTED EFFECT": chats.fenced(summary)}
        messages = chats.chat(chats.JUDGE, situation, about, self.longest_page)
        return self.endpoint.collect(
            messages, chats.read_score, self.count, self.spare, situation.deadline
        )

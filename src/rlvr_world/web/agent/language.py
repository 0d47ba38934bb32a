"""The parts of an agent as language models behind an endpoint, with the paper's settings."""

from collections.abc import Sequence
from typing import Any

from rlvr_world.web.action import Action
from rlvr_world.web.agent.chats import (
    judgement_chat,
    proposal_chat,
    read_action,
    read_score,
    summary_chat,
)
from rlvr_world.web.agent.endpoint import Endpoint
from rlvr_world.web.agent.imaginers import as_transition, read_prediction
from rlvr_world.web.agent.parts import (
    Imagined,
    Imaginer,
    Part,
    Proposer,
    Situation,
    Summary,
    Value,
)
from rlvr_world.web.agent.summaries import KeyChanges
from rlvr_world.web.prompt import page_prompt

LONGEST_SUMMARY = 4000


class LanguagePart(Part):
    """A part that asks a language model.

    Args:
        endpoint: Where the model is.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint

    @property
    def settings(self) -> dict[str, Any]:
        """Those of any part; the key itself is none of them."""
        return super().settings | {"endpoint": vars(self.endpoint)}


class LanguagePolicy(LanguagePart, Proposer):
    """A language model that proposes actions.

    Args:
        endpoint: Where the model is.
        spare: Further requests in place of replies without an action, per step, at most.
        longest_page: Characters of a page that it reads, at most.
    """

    def __init__(self, endpoint: Endpoint, spare: int = 10, longest_page: int = 20_000) -> None:
        super().__init__(endpoint)
        self.spare, self.longest_page = spare, longest_page

    def propose(self, situation: Situation, count: int) -> list[Action]:
        """Ask ``count`` times; an action on an element that the page lacks is none."""
        ids = {element.id for element in situation.observation.elements} | {""}

        def read(text: str) -> Action | None:
            action = read_action(text)
            return action if action is not None and action.element in ids else None

        messages = proposal_chat(situation, self.longest_page)
        return self.endpoint.collect(messages, read, count, self.spare, situation.deadline)


class LanguageWorldModel(LanguagePart, Imaginer):
    """A language model that predicts changes, such as an exported world model that is served.

    Args:
        endpoint: Where the model is.
        attempts: How often a prediction is asked for until it can be read, at most.
    """

    def __init__(self, endpoint: Endpoint, attempts: int = 3) -> None:
        super().__init__(endpoint)
        if attempts < 1:
            raise ValueError(f"attempts must be at least 1, got {attempts}")
        self.attempts = attempts

    def imagine(self, situation: Situation, actions: Sequence[Action]) -> list[Imagined]:
        """Ask for the changes of each action."""
        return [self._imagine(situation, action) for action in actions]

    def _imagine(self, situation: Situation, action: Action) -> Imagined:
        unread = Imagined(error="there was no reply in time")
        messages = [
            {"role": "user", "content": page_prompt(as_transition(situation, action), "long")}
        ]

        def read(text: str) -> Imagined | None:
            nonlocal unread
            imagined = read_prediction(text)
            if imagined.changes is None:
                unread = imagined
                return None
            return imagined

        spare = self.attempts - 1
        found = self.endpoint.collect(messages, read, 1, spare, situation.deadline)
        return found[0] if found else unread


class LanguageSummary(LanguagePart, Summary):
    """A language model that says what changes amount to; without a reply, the changes themselves.

    Args:
        endpoint: Where the model is.
        most: The number of changes, at most.
    """

    def __init__(self, endpoint: Endpoint, most: int = 10) -> None:
        super().__init__(endpoint)
        self.most = most
        self._plain = KeyChanges(most)

    def sum_up(self, situation: Situation, action: Action, imagined: Imagined) -> str:
        """Ask once."""
        messages = summary_chat(situation, action, imagined, self.most)
        found = self.endpoint.collect(
            messages, lambda text: text.strip() or None, deadline=situation.deadline
        )
        return (found or [self._plain.sum_up(situation, action, imagined)])[0][:LONGEST_SUMMARY]


class LanguageValue(LanguagePart, Value):
    """A language model that scores outcomes on a scale from 1 to 5.

    Args:
        endpoint: Where the model is.
        count: The number of scores to average.
        spare: Further requests in place of replies without a score, at most; what cannot be read
            then is left out.
        longest_page: Characters of the page before the action that it reads, at most.
    """

    def __init__(
        self, endpoint: Endpoint, count: int = 20, spare: int = 10, longest_page: int = 20_000
    ) -> None:
        super().__init__(endpoint)
        if count < 1:
            raise ValueError(f"count must be at least 1, got {count}")
        self.count, self.spare, self.longest_page = count, spare, longest_page

    def scores(
        self, situation: Situation, action: Action, imagined: Imagined, summary: str
    ) -> list[float]:
        """Ask ``count`` times."""
        messages = judgement_chat(situation, action, summary, self.longest_page)
        return self.endpoint.collect(
            messages, read_score, self.count, self.spare, situation.deadline
        )

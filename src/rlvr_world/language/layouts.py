"""What tells transitions of text games and of web pages apart, and how manifests describe them."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, NamedTuple

from rlvr_world.language.manifest import TransitionShard
from rlvr_world.text_game.game_state import GameState
from rlvr_world.text_game.manifest import TextCounts, TextShard, TextSplit
from rlvr_world.text_game.transition import Transition
from rlvr_world.web.changes import content
from rlvr_world.web.manifest import WebCounts, WebSplit
from rlvr_world.web.page import WebTransition
from rlvr_world.web.tree import tree_text

IDS = re.compile(r"\[([^\]\s]+)\]")


class Traits(NamedTuple):
    """What tells a transition from others.

    Args:
        group: What the manifest counts apart: the mode of a text game, the site of a page.
        subject: The game, or the page's task.
        action: The action.
        before: A text that is the same for the same beginning.
        after: A text that is the same for the same end.
    """

    group: str
    subject: str
    action: str
    before: str
    after: str


@dataclass(frozen=True)
class Layout:
    """How the transitions of one modality are told apart and described.

    Args:
        traits: The traits of a transition.
        by_group: Whether a shard holds the transitions of one group only.
        shard: Describes a shard, from its group and the fields of ``TransitionShard``.
        counts: Describes a group, from its entries' subjects and the other counts by name.
        split: Describes a split, from its shards and its groups' counts.
    """

    traits: Callable[[Any], Traits]
    by_group: bool
    shard: Callable[..., Any]
    counts: Callable[..., Any]
    split: Callable[..., Any]


def game_traits(transition: Transition) -> Traits:
    """Game, mode, action and state; neither objects nor contents have an order."""
    before, after = canonical(transition.state), canonical(transition.target)
    return Traits(transition.mode, transition.game, transition.action, before, after)


def canonical(state: GameState) -> str:
    """JSON that is the same for the same state: neither objects nor contents have an order."""
    objects = sorted(state["objects"], key=itemgetter("uuid"))
    unordered = [item | {"contains": sorted(item["contains"])} for item in objects]
    return json.dumps({"objects": unordered, "score": state["score"]}, sort_keys=True)


def page_traits(transition: WebTransition) -> Traits:
    """Site, task, address, objective, page and action; what ids the elements have is no matter."""
    number = {element.id: str(place) for place, element in enumerate(transition.elements)}
    page = tree_text(element._replace(id=number[element.id]) for element in transition.elements)
    action = IDS.sub(lambda match: f"[{number.get(match[1], match[1])}]", transition.action)
    after = sorted(map(content, transition.next_elements))
    return Traits(
        group=transition.site,
        subject=transition.task,
        action=action,
        before="\n".join((transition.url, transition.objective, page)),
        after=json.dumps([transition.next_url, after]),
    )


def _game_shard(mode: Any, **fields: Any) -> TextShard:
    return TextShard(mode=mode, **fields)


def _game_counts(games: dict[str, list[int]], **fields: Any) -> TextCounts:
    return TextCounts(games=games, **fields)


def _page_shard(_: str, **fields: Any) -> TransitionShard:
    return TransitionShard(**fields)


def _page_counts(tasks: dict[str, list[int]], **fields: Any) -> WebCounts:
    return WebCounts(tasks=tasks, **fields)


GAMES = Layout(game_traits, True, _game_shard, _game_counts, TextSplit)
"""Transitions of text games; a shard holds those of one mode."""

PAGES = Layout(page_traits, False, _page_shard, _page_counts, WebSplit)
"""Transitions of web pages; a shard holds those of all sites."""

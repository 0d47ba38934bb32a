"""Behaviour in TextWorld games: towards the goal, at random, and what is not possible."""

import random
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from rlvr_world.text_game.game_state import GameState
from rlvr_world.text_game.sources.textworld_game import TextGame, import_textworld
from rlvr_world.text_game.transition import Transition

FOLLOW = 0.4  # share of effective actions that lead towards the goal, where they are known
IDLE = 0.25  # share of the other actions that are possible and change nothing, such as `look`
NEAR = 0.7  # share of impossible actions about things in the room
EPISODE = 25  # actions before the game starts again, if it is not won before

KINDS = {"c": "c", "d": "d", "f": "f", "k": "k", "o": "okf", "s": "s", "t": "cdfkos"}
"""By placeholder in a command: the letters of the objects that it stands for."""


class Command(NamedTuple):
    """An action as text, and TextWorld's form of it if it is possible."""

    text: str
    action: Any = None


class Walker:
    """Plays a game for ever; in a share of its actions something changes."""

    def __init__(self, game: TextGame, rng: random.Random, changed_share: float) -> None:
        self.game = game
        self.rng = rng
        self.changed_share = changed_share
        kb = game.game.kb
        self.rules, self.templates = kb.rules, kb.inform7_commands
        self.new_progress = import_textworld("textworld.generator.game").GameProgression

    def transitions(self, name: str, count: int) -> Iterator[Transition]:
        """What happens in ``count`` actions; ``name`` is how transitions name the game."""
        progress, steps = self.new_progress(self.game.game), 0
        before = self.game.state(progress.state.facts)
        for _ in range(count):
            command = self.choose(progress, before)
            after = before
            if command.action is not None:
                progress.update(command.action)
                after = self.game.state(progress.state.facts)
            yield Transition(
                game=name,
                mode="full",
                action=command.text,
                state=before,
                target=after,
                uuid_base=len(self.game.uuids),
                task=self.game.task,
            )
            before, steps = after, steps + 1
            if self.game.won(progress.state.facts) or steps == EPISODE:
                progress, steps = self.new_progress(self.game.game), 0
                before = self.game.state(progress.state.facts)

    def choose(self, progress: Any, state: GameState) -> Command:
        """An action: one that changes something, one that does not, or an impossible one."""
        possible = sorted(
            (self._command(a) for a in progress.valid_actions), key=lambda c: f"{c.text} {c.action}"
        )
        effective = [c for c in possible if set(c.action.added) or set(c.action.removed)]
        if effective and self.rng.random() < self.changed_share:
            policy = progress.winning_policy if self.rng.random() < FOLLOW else None
            return self._command(policy[0]) if policy else self._by_verb(effective)
        idle = [command for command in possible if command not in effective]
        if self.rng.random() >= IDLE:
            attempt = self._attempt(state, {command.text for command in possible})
            return attempt or self._by_verb(idle)
        return self._by_verb(idle)

    def _command(self, action: Any) -> Command:
        found = self.rules[action.name].match(action)
        names = {str(k.name): self.game.labels.get(v.name, "") for k, v in found.items()}
        return Command(self.templates[action.name].format(**names), action)

    def _by_verb(self, commands: Sequence[Command]) -> Command:
        verbs = defaultdict(list)
        for command in commands:
            verbs[command.text.partition(" ")[0]].append(command)
        return self.rng.choice(verbs[self.rng.choice(sorted(verbs))])

    def _attempt(self, state: GameState, possible: set[str]) -> Command | None:
        """A command about things of the game that is not possible now, if one is found."""
        near = reachable(state)
        there = {item["name"] for item in state["objects"]}
        texts = sorted(set(self.templates.values()) - {"look", "inventory"})
        templates = [Command(text) for text in texts]
        for _ in range(20):
            template = self._by_verb(templates).text
            scope = near if self.rng.random() < NEAR else there
            names = {}
            for kind in re.findall(r"{(\w)}", template):
                fitting = [
                    label
                    for name, label in self.game.labels.items()
                    if name[0] in KINDS[kind] and label in scope
                ]
                names[kind] = self.rng.choice(fitting or [""])
            text = template.format(**names)
            if all(names.values()) and text not in possible:
                return Command(text)
        return None


def reachable(state: GameState) -> set[str]:
    """The names of what is in the player's room, at any depth, and of its doors."""
    inside = {item["name"]: item["contains"] for item in state["objects"]}
    player = state["objects"][0]["name"]
    room = next(item for item in state["objects"] if player in item["contains"])
    found, open_ones = set(), [room["name"]]
    while open_ones:
        name = open_ones.pop()
        found.add(name)
        open_ones += inside[name]
    return found | {door for side, door in room["properties"].items() if side.endswith("Door")}

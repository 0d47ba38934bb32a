"""Games that TextWorld makes, and their states as objects.

TextWorld: Côté et al., "TextWorld: A Learning Environment for Text-based Games", 2018. Only its
logic in Python is used: games are neither compiled nor described in its prose.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from rlvr_world.extras import require
from rlvr_world.text_game.game_state import GameObject, GameState

OBJECT_RULES = """\
player: the one who acts. It contains what the player carries, and is itself contained in a room.
room: contains the player, containers, supporters and things that lie in it. Its properties north, \
east, south and west name the room on that side; northDoor and so on name the door in between, if \
there is one.
door: stands between two rooms and belongs to both. isOpen and isLocked; a locked one is not open.
container: cannot be carried. isOpen and isLocked; a locked one is not open.
supporter: cannot be carried; things lie on it. It has no properties.
key: can be carried. opens names the door or container that it fits, or is null.
food: can be carried and eaten. It has no properties.
thing: can be carried. It has no properties."""

ACTION_RULES = """\
The player reaches what it carries, what the room that it is in contains, and the doors of that \
room. An action that is not possible changes nothing, and neither do look, inventory and examine.
go DIRECTION: moves the player into the room on that side, if a door in between is open.
open X: X is a door or container in reach that is neither open nor locked; it is open then.
close X: X is an open door or container in reach; it is not open then.
unlock X with K: X is a locked door or container in reach, K a carried key that opens it; X is \
not locked then, and still not open.
lock X with K: X is neither open nor locked and in reach, K a carried key that opens it; X is \
locked then.
take X: X lies in the room itself; the player carries it then.
take X from Y: X is in an open container Y or on a supporter Y in reach; the player carries it then.
drop X: X is carried; it lies in the room then.
insert X into Y: X is carried, Y an open container in reach; X is in it then.
put X on Y: X is carried, Y a supporter in reach; X is on it then.
eat X: X is a carried food; it is removed from the game."""

GOALS = {
    "open": "{} is open",
    "closed": "{} is neither open nor locked",
    "locked": "{} is locked",
    "eaten": "{} is eaten",
    "at": "{} lies in {}",
    "on": "{} is on {}",
    "in": "{} is in {}",
    "carried": "the player carries {}",
}


TYPES = {
    "P": "player", "r": "room", "d": "door", "c": "container", "s": "supporter", "k": "key",
    "f": "food", "o": "thing",
}  # fmt: skip
"""The type of an object by TextWorld's letter for it; also their order in a state."""


@dataclass(frozen=True)
class Size:
    """How large games are.

    Args:
        rooms: Rooms, from 2 to 5; one of them lies in the middle.
        objects: Containers, supporters and things in them, more if the quest needs them.
        quest_length: Actions from the start to the goal.
    """

    rooms: int = 3
    objects: int = 5
    quest_length: int = 3


def import_textworld(module: str = "textworld") -> Any:
    """A module of TextWorld."""
    return require(module, "textworld", "Text games of TextWorld")


class TextGame:
    """A game that can be won by reaching one goal."""

    def __init__(self, seed: int, size: Size) -> None:
        self.game = make_game(seed, size)
        letters = list(TYPES)
        entities = [i for i in self.game.infos.values() if str(i.type) in TYPES]
        # an identifier is such as c_10
        numbers = {info.id: int(info.id.partition("_")[2] or 0) for info in entities}
        entities.sort(key=lambda info: (letters.index(str(info.type)), numbers[info.id]))
        self.types = {info.id: TYPES[str(info.type)] for info in entities}
        self.uuids = {info.id: uuid for uuid, info in enumerate(entities)}
        self.labels = {
            info.id: f"{info.name or self.types[info.id]} (ID: {self.uuids[info.id]})"
            for info in entities
        }
        last = self.game.quests[0].win_events[0].actions[-1]
        self.goal = sorted((fact for fact in last.added if fact.name in GOALS), key=str)

    @property
    def task(self) -> str:
        return f"Your task is to make sure that {self._goal_words()}."

    @property
    def rules(self) -> dict[str, str]:
        goal = self._goal_words()
        score = f"The score is 0 until {goal}. Then it is 1, and the game is over and won."
        return {"objects": OBJECT_RULES, "actions": ACTION_RULES, "score": score}

    def won(self, facts: Iterable[Any]) -> bool:
        return set(self.goal) <= set(facts)

    def state(self, facts: Iterable[Any]) -> GameState:
        facts = sorted(facts, key=str)
        eaten = {fact.arguments[0].name for fact in facts if fact.name == "eaten"}
        properties, contents = self._properties(facts), self._contents(facts)
        objects: list[GameObject] = [
            {
                "name": self.labels[name],
                "uuid": uuid,
                "type": self.types[name],
                "properties": properties[name],
                "contains": contents[name],
            }
            for name, uuid in self.uuids.items()
            if name not in eaten
        ]
        won = self.won(facts)
        return {"objects": objects, "score": {"score": int(won), "gameOver": won, "gameWon": won}}

    def _contents(self, facts: list[Any]) -> dict[str, list[str]]:
        places = {}
        for fact in facts:
            if fact.name in ("at", "in", "on"):
                thing, place = (argument.name for argument in fact.arguments)
                places[thing] = "P" if place == "I" else place
        contents: dict[str, list[str]] = defaultdict(list)
        for thing in self.uuids:
            if thing in places:
                contents[places[thing]].append(self.labels[thing])
        return contents

    def _properties(self, facts: list[Any]) -> dict[str, dict[str, Any]]:
        properties: dict[str, dict[str, Any]] = {
            name: {"opens": None} if kind == "key" else {} for name, kind in self.types.items()
        }
        doors = {}
        for fact in facts:
            first, *others = (argument.name for argument in fact.arguments)
            if fact.name in ("open", "closed", "locked"):
                properties[first]["isOpen"] = fact.name == "open"
                properties[first]["isLocked"] = fact.name == "locked"
            elif fact.name == "match":
                properties[first]["opens"] = self.labels[others[0]]
            elif fact.name == "link":
                doors[first, others[1]] = self.labels[others[0]]
        for fact in facts:
            if fact.name.endswith("_of"):
                there, here = (argument.name for argument in fact.arguments)
                side = fact.name.removesuffix("_of")
                properties[here][side] = self.labels[there]
                if (here, there) in doors:
                    properties[here][f"{side}Door"] = doors[here, there]
        return properties

    def _goal_words(self) -> str:
        words = []
        for fact in self.goal:
            names = [argument.name for argument in fact.arguments]
            kind = "carried" if names[-1] == "I" else fact.name
            words.append(GOALS[kind].format(*(self.labels.get(name) for name in names)))
        return " and ".join(words)


def make_game(seed: int, size: Size) -> Any:
    """A ``textworld.Game``: a small map, a quest, and things that the quest does not need."""
    generator = import_textworld("textworld.generator")
    options = generator.GameOptions()
    options.seeds = seed
    options.quest_length = size.quest_length
    rngs = options.rngs
    world = generator.World.from_map(generator.make_small_map(size.rooms, rng=rngs["map"]))
    world.set_player_room(world.rooms[rngs["objects"].randint(len(world.rooms))])
    chaining = options.chaining
    last_ones = options.kb.rules.get_matching(
        ".*", exclude=["go.*", "examine.*", "look.*", "inventory.*"]
    )
    chaining.rules_per_depth = [last_ones]
    chaining.backward = chaining.create_variables = True
    chaining.rng = rngs["quest"]
    chaining.restricted_types = {"r", "d"}
    quests = generator.make_quest(world, options)
    missing = size.objects - sum(entity.type not in "rdIP" for entity in world.entities)
    if missing > 0:
        world.populate(missing, rng=rngs["objects"])
    grammar = generator.make_grammar(options.grammar, rng=rngs["grammar"])
    return generator.Game(world, grammar, quests)

"""The rules of TextWorld's games in words."""

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

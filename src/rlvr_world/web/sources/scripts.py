"""What to do in the shop, step by step: elements by role and name."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from rlvr_world.web.action import Action
from rlvr_world.web.tree import Element


class Move(NamedTuple):
    """One action of a script.

    Args:
        role: The role of the element.
        name: What its name holds; ``{0}`` stands for the first quoted text of the objective.
        text: The text to type, likewise; an element without one is clicked.
        enter: Whether Enter follows the text.
        nth: Which of such elements, from 0; -1 is the last.
    """

    role: str
    name: str
    text: str = ""
    enter: bool = False
    nth: int = 0

    def action(self, elements: Sequence[Element], texts: Sequence[str]) -> Action | None:
        """The action on a page; None if it has no such element."""
        name = _filled(self.name, texts)
        fitting = [e for e in elements if e.role == self.role and name in e.name]
        if not -len(fitting) <= self.nth < len(fitting):
            return None
        element = fitting[self.nth]
        if self.text:
            return Action("type", element.id, _filled(self.text, texts), self.enter)
        return Action("click", element.id)


_SEARCH = (Move("textbox", "Search", "{0}", enter=True), Move("link", "{0}"))
_BUY = (*_SEARCH, Move("button", "Add to cart"))
_FIND = (Move("textbox", "itle", "{0}", enter=True), Move("link", "{0}"))
_STOCK = (*_FIND, Move("link", "Stock and pricing"))
_SAVE = Move("button", "Save", nth=-1)

SCRIPTS: dict[str, tuple[Move, ...]] = {
    "find-product": _SEARCH,
    "find-category": (Move("link", "{0}"),),
    "buy": _BUY,
    "buy-several": (
        *_BUY,
        Move("button", "View cart"),
        Move("spinbutton", "", "{1}"),
        Move("button", "Update"),
    ),
    "log-in": (
        Move("link", "Login"),
        Move("textbox", "Email", "{0}"),
        Move("textbox", "Password", "{1}"),
        Move("button", "Log In"),
    ),
    "register": (
        Move("link", "Login"),
        Move("textbox", "Email", "{0}", nth=-1),
        Move("textbox", "Password", "{1}", nth=-1),
        Move("textbox", "Confirm", "{1}"),
        Move("button", "Register"),
    ),
    "change-price": (*_STOCK, Move("spinbutton", "", "{1}", nth=2), _SAVE),
    "change-stock": (*_STOCK, Move("spinbutton", "", "{1}"), _SAVE),
    "rename-product": (*_FIND, Move("textbox", "Title", "{1}"), _SAVE),
    "new-range": (
        Move("link", "Create new range"),
        Move("textbox", "Name", "{0}"),
        _SAVE,
    ),
}
"""By task of the shop."""


def _filled(text: str, texts: Sequence[str]) -> str:
    """A text in which the quoted texts stand for ``{0}``, ``{1}`` ..."""
    return re.sub(r"\{(\d)\}", lambda match: texts[int(match[1])], text)

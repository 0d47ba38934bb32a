"""What a browser does on any page, without a model: answers by rules, for tables."""

from rlvr_world.web.action import Action
from rlvr_world.web.answer import changes_text
from rlvr_world.web.changes import Changes
from rlvr_world.web.page import WebTransition
from rlvr_world.web.tree import Element

FOCUSED = ("focused", "true")
FOCUSABLE = frozenset(
    ("button", "checkbox", "combobox", "DisclosureTriangle", "link", "listbox", "menuitem",
     "option", "radio", "searchbox", "slider", "spinbutton", "switch", "tab", "textbox")
)  # fmt: skip
"""Roles of elements that a click gives the focus; other ones only take it from the last one."""


def focus_moves(step: WebTransition) -> str:
    """The answer that the focus moves to the element that is acted on, and nothing else changes."""
    return _answer(step, careful=False)


def focus_and_text(step: WebTransition) -> str:
    """The same, but to elements that take the focus alone, and typed text becomes a value."""
    return _answer(step, careful=True)


def _answer(step: WebTransition, careful: bool) -> str:
    try:
        action = Action.parse(step.action)
    except ValueError:
        return changes_text(Changes(), "compact")
    updated = []
    if action.kind in ("click", "type") and action.element in {e.id for e in step.elements}:
        for element in step.elements:
            after = _unfocused(element)
            if element.id == action.element:
                after = _acted_on(element, action, careful)
            if set(after.properties) != set(element.properties):
                updated.append(after)
    return changes_text(Changes(updated=tuple(updated)), "compact")


def _acted_on(element: Element, action: Action, careful: bool) -> Element:
    """The element that is clicked or typed into, as it is afterwards."""
    takes_focus = not careful or element.role in FOCUSABLE
    properties = dict(_unfocused(element).properties) | dict([FOCUSED] if takes_focus else [])
    if careful and action.kind == "type":
        properties["value"] = action.text
    return element._replace(properties=tuple(properties.items()))


def _unfocused(element: Element) -> Element:
    return element._replace(properties=tuple(p for p in element.properties if p != FOCUSED))

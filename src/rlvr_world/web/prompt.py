"""Prompts and answers of web pages in words: what a language model reads and should write."""

from rlvr_world.language.transition import Style
from rlvr_world.web.answer import changes_text
from rlvr_world.web.changes import Changes
from rlvr_world.web.page import WebTransition

ROLE = (
    "You simulate a web browser. Given a page and an action on it, say how the page differs once "
    "the action has been carried out and the browser has settled."
)
GIVEN = """You are given
- URL: the address of the page;
- OBJECTIVE: what the user wants to reach in the end;
- PREVIOUS ACTION: what led to this page, if anything did;
- CURRENT OBSERVATION: the page as an accessibility tree, one element a line, deeper ones indented:
  its id in brackets, its role, its name in quotes, and its properties as `key: value`;
- CURRENT ACTION: the action to simulate."""
ACTIONS = """Actions have these forms:
- `click [id]` clicks an element, `hover [id]` moves the mouse onto it;
- `type [id] [text] [1]` types a text into an element and presses Enter, with `[0]` it does not;
- `press [keys]` presses a key or a combination such as Control+v;
- `scroll [down]` and `scroll [up]` move the page;
- `new_tab`, `tab_focus [number]` and `close_tab` open, choose and close a tab;
- `goto [url]`, `go_back` and `go_forward` change the address;
- `stop [answer]` ends the task."""
FORMAT = """Answer with three sections, exactly in this order and with an empty line between them:

New items:
[n1] role 'name' key: value

Deleted items:
[12] role 'name'

Updated items:
[7] role 'new name' key: new value

- New items are elements that only the next page has; call them n1, n2 and so on.
- Deleted items are elements that the next page lacks, written as they stand on this page.
- Updated items are elements of both pages whose name or properties change; they keep the id that \
they have on this page and have the name and all properties of the next one.
- Elements that only move are no items. Write None into a section without items."""
NO_CHANGE = changes_text(Changes(), "long")
"""The answer that nothing changes, in any style."""


def page_prompt(transition: WebTransition, style: Style) -> str:
    """What the model reads.

    Args:
        transition: The step to predict; the page after it is not looked at.
        style: ``long`` with instructions, or ``compact`` with the page and the action alone.
    """
    if style == "compact":
        lines = [transition.url, transition.objective, f"< {transition.previous_action}"]
        return "\n".join([*lines, transition.tree, f"> {transition.action}", ""])
    step = {
        "URL": transition.url,
        "OBJECTIVE": transition.objective,
        "PREVIOUS ACTION": transition.previous_action or "None",
        "CURRENT OBSERVATION": f"\n{transition.tree}",
        "CURRENT ACTION": transition.action,
    }
    lines = [f"{title}: {text}" for title, text in step.items()]
    end = "Reason as you need, then end with the three sections."
    return "\n\n".join([ROLE, GIVEN, ACTIONS, FORMAT, "\n".join(lines), end]) + "\n"


def page_answer(transition: WebTransition, style: Style) -> str:
    """What the model should write: the true answer; a published one with its true ids."""
    return changes_text(transition.changes, style, own_ids=bool(transition.truth))

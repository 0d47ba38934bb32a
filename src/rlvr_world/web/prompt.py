"""Prompts and answers of web pages in words: what a language model reads and should write."""

from dataclasses import replace

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
[{new}] role 'name' key: value

Deleted items:
[12] role 'name'

Updated items:
[7] role 'new name' key: new value

- New items are elements that only the next page has; call them {called}.
- Deleted items are elements that the next page lacks, written as they stand on this page.
- Updated items are elements of both pages {which}
- Elements that only move are no items. Write None into a section without items."""
OWN = FORMAT.format(
    new="n1",
    called="n1, n2 and so on",
    which="whose name or properties change; they keep the id that they have on this page and have "
    "the name and all properties of the next one.",
)
"""The form of answers by the two pages themselves."""
PUBLISHED = FORMAT.format(
    new="31",
    called="by the ids that they get",
    which="whose name, properties or id change; they are written with the id, the name and all "
    "properties that they have on the next page.",
)
"""The form of answers that a data set itself gives."""
EXAMPLE = WebTransition(
    site="example",
    task="example",
    url="http://shop.example/desk-lamp",
    objective="Buy two desk lamps.",
    previous_action="click [4]",
    action="click [17]",
    tree="""[1] RootWebArea 'Desk lamp' focused: True
\t[9] link 'My account'
\t[12] link 'My cart, 0 items'
\t[13] StaticText 'Your cart is empty.'
\t[14] heading 'Desk lamp'
\t[15] spinbutton 'Quantity' required: True valuetext: 1
\t[17] button 'Add to cart'""",
    next_url="http://shop.example/desk-lamp",
    next_tree="""[1] RootWebArea 'Desk lamp' focused: True
\t[28] alert 'Desk lamp is in your cart.'
\t\t[29] link 'See the cart'
\t[9] link 'My account'
\t[12] link 'My cart, 1 item'
\t[14] heading 'Desk lamp'
\t[15] spinbutton 'Quantity' required: True valuetext: 1
\t[17] button 'Add to cart'""",
)
"""The step that the long prompt shows with its answer."""
PUBLISHED_EXAMPLE = replace(
    EXAMPLE,
    truth={
        "new": ["[28] alert 'Desk lamp is in your cart.'", "[29] link 'See the cart'"],
        "deleted": ["[13] StaticText 'Your cart is empty.'"],
        "updated": ["[12] link 'My cart, 1 item'"],
    },
)
"""The same step as a data set that says itself what changes has it."""

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
    form, shown = (PUBLISHED, PUBLISHED_EXAMPLE) if transition.truth else (OWN, EXAMPLE)
    example = f"An example:\n\n{step_text(shown)}\n\n{page_answer(shown, style)}"
    parts = [ROLE, GIVEN, ACTIONS, form, example, "The page to simulate:", step_text(transition)]
    end = "Reason as you need, then end with the three sections, written as in the example."
    return "\n\n".join([*parts, end]) + "\n"


def step_text(transition: WebTransition) -> str:
    """The page and the action under their titles."""
    step = {
        "URL": transition.url,
        "OBJECTIVE": transition.objective,
        "PREVIOUS ACTION": transition.previous_action or "None",
        "CURRENT OBSERVATION": f"\n{transition.tree}",
        "CURRENT ACTION": transition.action,
    }
    return "\n".join(f"{title}: {text}" for title, text in step.items())


def page_answer(transition: WebTransition, style: Style) -> str:
    """What the model should write: the true answer; a published one with its true ids."""
    return changes_text(transition.changes, style, own_ids=bool(transition.truth))

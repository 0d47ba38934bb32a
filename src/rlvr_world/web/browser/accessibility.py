"""A page's elements from what Chromium's DevTools call its accessibility tree."""

from collections import defaultdict, deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from rlvr_world.web.tree import Element

LONGEST_NAME = 200
MOST_ELEMENTS = 1000

NEVER = frozenset({"InlineTextBox", "LineBreak", "ListMarker", "none", "presentation"})
"""Roles that say nothing."""

WRAPPERS = frozenset({
    "StaticText", "generic", "paragraph", "strong", "emphasis", "Section", "LabelText", "Legend",
    "list", "listitem", "banner", "navigation", "contentinfo", "main", "article", "form",
    "figure", "group", "MenuListPopup", "DescriptionList", "superscript", "subscript", "code",
    "mark", "complementary", "rowgroup", "row", "table", "caption", "definition", "term",
    "separator", "toolbar", "LayoutTable", "LayoutTableRow", "LayoutTableCell",
})  # fmt: skip
"""Roles of elements that say nothing unless they have a name."""

SPOKEN = frozenset({
    "link", "button", "heading", "cell", "gridcell", "columnheader", "rowheader", "row", "option",
    "menuitem", "tab", "treeitem", "checkbox", "radio", "LabelText",
})  # fmt: skip
"""Roles whose names are made of the text inside, which need not be said again."""

REPEATING = frozenset({"StaticText", "image", "img"})
"""Roles that are left out where they repeat the name around them."""

FIELDS = frozenset({"textbox", "searchbox", "spinbutton"})
"""Roles whose text inside is their value."""

STATES = ("checked", "pressed", "expanded")
"""Properties that are shown whatever their value."""

FLAGS = ("selected", "disabled", "required", "focused")
"""Properties that are shown if they are true."""

Key = tuple[str, int]
Look = tuple[tuple[str, ...], str, str]


class Node(NamedTuple):
    """A shown element before it has an id.

    Args:
        key: The document and the DOM node, the same as long as the node lives; the node is 0 if
            there is none.
        path: The roles of the shown elements around it, from the outermost on.
        role: Its role.
        name: Its name, without superfluous white space.
        properties: Its properties.
    """

    key: Key
    path: tuple[str, ...]
    role: str
    name: str
    properties: tuple[tuple[str, str], ...]


def shown_nodes(tree: Sequence[Mapping[str, Any]], document: str) -> list[Node]:
    """The elements that are shown of a tree, in its order, ``MOST_ELEMENTS`` at most.

    Args:
        tree: The nodes that ``Accessibility.getFullAXTree`` returns, the root first.
        document: What identifies the document.
    """
    nodes: list[Node] = []
    for raw, path, around in _walk(tree):
        role = _value(raw.get("role"))
        name = cut(_value(raw.get("name")))
        wanted = name or role not in WRAPPERS
        repeated = bool(around) and role in REPEATING and name in around
        if raw.get("ignored") or role in NEVER or not role or not wanted or repeated:
            continue
        key = (document, int(raw.get("backendDOMNodeId", 0)))
        nodes.append(Node(key, path, role.replace(" ", "_"), name, _properties(raw, not path)))
        if len(nodes) == MOST_ELEMENTS:
            break
    return nodes


def _walk(
    tree: Sequence[Mapping[str, Any]],
) -> Iterator[tuple[Mapping[str, Any], tuple[str, ...], str]]:
    """Nodes from the root on, each with the roles around it and the name that repeats its text."""
    by_id = {raw["nodeId"]: raw for raw in tree}
    stack: list[tuple[str, tuple[str, ...], str]] = [(tree[0]["nodeId"], (), "")] if tree else []
    while stack:
        node_id, path, around = stack.pop()
        raw = by_id.pop(node_id, None)
        if raw is None:
            continue
        yield raw, path, around
        role, name = _value(raw.get("role")), cut(_value(raw.get("name")))
        if role in FIELDS:
            continue
        hidden = raw.get("ignored") or role in NEVER or (role in WRAPPERS and not name)
        if not hidden:
            path, around = (*path, role), name if role in SPOKEN else ""
        stack += [(child, path, around) for child in reversed(raw.get("childIds", ()))]


def cut(text: str) -> str:
    """Text on one line with single blanks, cut where it is too long."""
    text = " ".join(text[: 4 * LONGEST_NAME].split())
    return text if len(text) <= LONGEST_NAME else text[: LONGEST_NAME - 1] + "…"


def _properties(raw: Mapping[str, Any], is_root: bool) -> tuple[tuple[str, str], ...]:
    """The properties that a user would see: the value and the state."""
    known = {item["name"]: _value(item.get("value")) for item in raw.get("properties", ())}
    pairs = [("value", cut(_value(raw.get("value"))))]
    pairs += [(name, known[name]) for name in STATES if name in known]
    pairs += [(name, "true") for name in FLAGS if known.get(name) == "true" and not is_root]
    return tuple((name, value) for name, value in pairs if value)


def _value(field: Mapping[str, Any] | None) -> str:
    """The value of a field as text; numbers come with single precision."""
    value = (field or {}).get("value", "")
    if isinstance(value, float):
        return f"{value:.7g}"
    return str(value).lower() if isinstance(value, bool) else str(value)


class Numbering:
    """Gives the elements of an episode ids that are the same where the element is the same.

    An element is the same as long as its DOM node lives. Where a page is drawn anew, it is the same
    as the one of the page before with the same role, the same name and the same roles around it.
    """

    def __init__(self) -> None:
        self.ids: dict[Key, str] = {}
        self.keys: dict[str, Key] = {}
        self.before: list[tuple[Look, str]] = []
        self.count = 0

    def elements(self, nodes: Sequence[Node]) -> list[Element]:
        """The elements of the next page; ``keys`` holds their DOM nodes by id."""
        ids: dict[int, str] = {}
        taken: set[str] = set()
        for index, node in enumerate(nodes):
            known = self.ids.get(node.key) if node.key[1] else None
            if known and known not in taken:
                ids[index] = known
                taken.add(known)
        free: dict[Look, deque[str]] = defaultdict(deque)
        for look, known in self.before:
            if known not in taken:
                free[look].append(known)
        for index, node in enumerate(nodes):
            if index not in ids:
                same = free[_look(node)]
                ids[index] = same.popleft() if same else self._new()
                self.ids[node.key] = ids[index]
        self.keys = {ids[index]: node.key for index, node in enumerate(nodes)}
        self.before = [(_look(node), ids[index]) for index, node in enumerate(nodes)]
        return [
            Element(ids[index], node.role, node.name, node.properties, len(node.path))
            for index, node in enumerate(nodes)
        ]

    def _new(self) -> str:
        self.count += 1
        return str(self.count)


def _look(node: Node) -> Look:
    """What a page that is drawn anew is compared by; its title does not count."""
    return node.path, node.role, node.name if node.path else ""

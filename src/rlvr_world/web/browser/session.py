"""An episode in a browser: its tabs, the ids of elements, and actions in words."""

from typing import Any, NamedTuple, Self

from rlvr_world.web.action import Action
from rlvr_world.web.browser import gestures
from rlvr_world.web.browser.accessibility import Numbering, shown_nodes
from rlvr_world.web.browser.chromium import BLANK, BrowserLost, Chromium, is_allowed
from rlvr_world.web.browser.tab import ActionImpossible, Tab
from rlvr_world.web.page import WebTransition
from rlvr_world.web.tree import Element, tree_text

MOST_TABS = 8


class Observation(NamedTuple):
    """What an agent sees.

    Args:
        url: The address of the page.
        objective: What to do, in words.
        previous_action: The action before, as text; empty at the start.
        elements: The elements of the page.
    """

    url: str
    objective: str
    previous_action: str
    elements: tuple[Element, ...]

    @property
    def tree(self) -> str:
        return tree_text(self.elements)

    def transition(
        self, site: str, task: str, action: Action, after: "Observation | None" = None
    ) -> WebTransition:
        """The step from here; the page afterwards is empty while it is not known."""
        given = (site, task, self.url, self.objective, self.previous_action, str(action), self.tree)
        return WebTransition(*given, *((after.url, after.tree) if after else ("", "")))


class Session:
    """Tabs that share cookies and are gone afterwards; nothing of an earlier session is in them.

    Windows that a page opens by itself are closed and counted in ``popups``; downloads are refused,
    dialogs dismissed.

    Args:
        context: Playwright's context.
        origins: The allowed origins.
        quiet: Seconds without a change after which a page is read.
        limit: Seconds after which it is read though it still changes.
    """

    def __init__(self, context: Any, origins: tuple[str, ...], quiet: float, limit: float) -> None:
        self.context, self.origins, self.quiet, self.limit = context, origins, quiet, limit
        self.numbering = Numbering()
        self.tabs: list[Tab] = []
        self.current = 0
        self.opening = False
        self.popups = 0

    @classmethod
    async def open(
        cls,
        browser: Chromium,
        origins: tuple[str, ...],
        viewport: tuple[int, int],
        quiet: float,
        limit: float,
    ) -> Self:
        """Open a session with one blank tab."""
        context = await browser.browser.new_context(
            viewport={"width": viewport[0], "height": viewport[1]},
            accept_downloads=False,
            service_workers="block",
            reduced_motion="reduce",
            locale="en-US",
            timezone_id="UTC",
        )
        session = cls(context, origins, quiet, limit)
        context.on("page", session._opened)
        await session._new_tab()
        return session

    @property
    def tab(self) -> Tab:
        return self.tabs[self.current]

    async def renew(self) -> None:
        """Be as after ``open``, but for cookies and what the browser keeps in memory."""
        for tab in self.tabs[1:]:
            await tab.page.close()
        del self.tabs[1:]
        self.current, self.numbering = 0, Numbering()

    async def settle(self) -> None:
        """Wait until the page in front is loaded and does not change, or for the limit."""
        await self.tab.settle(self.quiet, self.limit)

    async def observe(self) -> tuple[str, tuple[Element, ...]]:
        """The address and the elements of the page in front.

        Raises:
            BrowserLost: If the page is too large or not of an allowed origin.
        """
        snapshot = await self.tab.snapshot()
        if snapshot.url != BLANK and not is_allowed(snapshot.url, self.origins):
            raise BrowserLost(f"the page {snapshot.url[:200]} is outside the allowed origins")
        nodes = shown_nodes(snapshot.tree, snapshot.document)
        return snapshot.url, tuple(self.numbering.elements(nodes))

    async def perform(self, action: Action) -> None:
        """Do an action; ``stop`` does nothing.

        Raises:
            ActionImpossible: If it cannot be done.
        """
        tab, text = self.tab, action.text
        match action.kind:
            case "click":
                await gestures.click(tab, self._node(action.element))
            case "hover":
                await gestures.hover(tab, self._node(action.element))
            case "type":
                await gestures.type_text(tab, self._node(action.element), text, action.enter)
            case "press":
                await gestures.press(tab, text)
            case "scroll":
                await gestures.scroll(tab, down=text == "down")
            case "goto":
                await tab.goto(text)
            case "go_back" | "go_forward":
                await tab.travel(-1 if action.kind == "go_back" else 1)
            case "new_tab" | "tab_focus" | "close_tab":
                await self._change_tab(action)

    async def _change_tab(self, action: Action) -> None:
        if action.kind == "new_tab":
            if len(self.tabs) == MOST_TABS:
                raise ActionImpossible(f"there are {MOST_TABS} tabs already")
            await self._new_tab()
        elif action.kind == "tab_focus":
            if int(action.text) >= len(self.tabs):
                raise ActionImpossible(f"there is no tab {action.text}")
            self.current = int(action.text)
            await self.tab.page.bring_to_front()
        else:
            if len(self.tabs) == 1:
                raise ActionImpossible("the last tab stays open")
            await self.tabs.pop(self.current).page.close()
            self.current = max(self.current - 1, 0)
            await self.tab.page.bring_to_front()

    async def _new_tab(self) -> None:
        self.opening = True
        try:
            self.tabs.append(await Tab.open(self.context, self.origins))
        finally:
            self.opening = False
        self.current = len(self.tabs) - 1

    def _node(self, element: str) -> int:
        """The DOM node of an element of the last observation."""
        key = self.numbering.keys.get(element)
        if key is None:
            raise ActionImpossible(f"the page has no element [{element}]")
        if not key[1]:
            raise ActionImpossible(f"the element [{element}] cannot be acted on")
        return key[1]

    async def _opened(self, page: Any) -> None:
        """Close a window that no action opened."""
        if not self.opening:
            self.popups += 1
            await page.close()

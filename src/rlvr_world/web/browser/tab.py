"""One tab of a browser: what it shows and what can be done in it."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple, Self

from rlvr_world.web.browser.chromium import BrowserLost, import_playwright, is_allowed

MOST_NODES = 50_000
"""DOM nodes of a page that is read, at most."""

LOAD_SECONDS = 15.0
"""How long a page may take to load before it is read as it is."""

WORLD = "rlvr_world"
"""The name of the JavaScript world in which a page cannot change what functions do."""

QUIET = """new Promise(resolve => {
  const end = () => { watch.disconnect(); clearTimeout(limit); resolve(document.readyState) };
  let timer = setTimeout(end, %d);
  const limit = setTimeout(end, %d);
  const watch = new MutationObserver(() => { clearTimeout(timer); timer = setTimeout(end, %d) });
  const all = { subtree: true, childList: true, attributes: true, characterData: true };
  watch.observe(document, all);
})"""


class ActionImpossible(ValueError):
    """An action that could not be done; the page is as it was."""


class Snapshot(NamedTuple):
    """What a tab shows: its address, what identifies its document, and its raw tree."""

    url: str
    document: str
    tree: Sequence[dict[str, Any]]


class Tab:
    """A tab whose top document stays within the allowed origins.

    Args:
        page: Playwright's page.
        cdp: A session of the DevTools protocol with it.
        origins: The allowed origins.
    """

    def __init__(self, page: Any, cdp: Any, origins: Sequence[str]) -> None:
        self.page, self.cdp, self.origins = page, cdp, origins
        self.error = import_playwright().Error
        self.loaded = asyncio.Event()
        self.loaded.set()
        self.frame = ""
        self.dialogs = 0
        self.tasks: set[asyncio.Task[None]] = set()

    @classmethod
    async def open(cls, context: Any, origins: Sequence[str]) -> Self:
        page = await context.new_page()
        tab = cls(page, await context.new_cdp_session(page), origins)
        for event in ("Page.frameRequestedNavigation", "Page.frameStartedLoading"):
            tab.cdp.on(event, tab._loading)
        for event in ("Page.frameClearedScheduledNavigation", "Page.frameStoppedLoading"):
            tab.cdp.on(event, tab._finished)
        for event in ("Page.javascriptDialogOpening", "Page.javascriptDialogClosed"):
            tab.cdp.on(event, tab._asked)
        tab.cdp.on("Fetch.requestPaused", tab._paused)
        await tab.cdp.send("Page.enable")
        await tab.cdp.send("Accessibility.enable")
        await tab.cdp.send("Fetch.enable", {"patterns": [{"resourceType": "Document"}]})
        tab.frame = (await tab._frame())["id"]
        return tab

    async def snapshot(self) -> Snapshot:
        """What the tab shows now.

        Raises:
            BrowserLost: If the page is too large to be read.
        """
        for attempt in range(5):
            with contextlib.suppress(self.error):
                await self._check_size()
                frame = await self._frame()
                tree = (await self.cdp.send("Accessibility.getFullAXTree"))["nodes"]
                if (await self._frame())["loaderId"] == frame["loaderId"]:
                    return Snapshot(self.page.url, frame["loaderId"], tree)
            await asyncio.sleep(0.05 * 2**attempt)
        raise BrowserLost("the page changes too fast to be read, or does not answer")

    async def settle(self, quiet: float, limit: float) -> None:
        """Wait until the page is loaded, does not change and opens no dialog.

        Args:
            quiet: Seconds without a change.
            limit: Seconds of changes after which the page is read as it is.
        """
        script = QUIET % (quiet * 1000, limit * 1000, quiet * 1000)
        begin = time.monotonic()
        while (left := begin + LOAD_SECONDS - time.monotonic()) > 0:
            dialogs = self.dialogs
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.loaded.wait(), left)
            try:
                state = await self.evaluate(script)
            except self.error:
                await asyncio.sleep(0.02)
                continue
            is_calm = dialogs == self.dialogs or time.monotonic() > begin + limit
            if self.loaded.is_set() and state == "complete" and is_calm:
                return

    async def evaluate(self, script: str) -> Any:
        """The value of JavaScript that the page cannot tamper with."""
        how = {"contextId": await self.world(), "awaitPromise": True, "returnByValue": True}
        answer = await self.cdp.send("Runtime.evaluate", {"expression": script, **how})
        return answer["result"].get("value")

    async def goto(self, url: str) -> None:
        """Go to an address of an allowed origin."""
        await self._navigate(lambda: self.page.goto(url, wait_until="commit"), url)

    async def travel(self, step: int) -> None:
        """Go back, with step -1, or forward, with step 1, in the tab's history."""
        history = await self.cdp.send("Page.getNavigationHistory")
        index = history["currentIndex"] + step
        if not 0 <= index < len(history["entries"]):
            raise ActionImpossible("the tab's history has no such page")
        url = history["entries"][index]["url"]
        go = self.page.go_back if step < 0 else self.page.go_forward
        await self._navigate(lambda: go(wait_until="commit"), url)

    async def forget_history(self) -> None:
        """Make the present page the first one of the tab."""
        await self.cdp.send("Page.resetNavigationHistory")

    async def _navigate(self, go: Callable[[], Awaitable[Any]], url: str) -> None:
        if not is_allowed(url, self.origins):
            raise ActionImpossible(f"{url} is outside the allowed origins")
        try:
            await go()
        except self.error as error:
            if "net::" not in str(error) and "interrupted" not in str(error):
                raise
            raise ActionImpossible(f"{url} cannot be opened") from error

    async def _frame(self) -> dict[str, Any]:
        return (await self.cdp.send("Page.getFrameTree"))["frameTree"]["frame"]

    async def world(self) -> int:
        """The context of our own JavaScript in the present document."""
        world = {"frameId": self.frame, "worldName": WORLD}
        return (await self.cdp.send("Page.createIsolatedWorld", world))["executionContextId"]

    async def _check_size(self) -> None:
        if (await self._nodes()) > MOST_NODES:
            await self.cdp.send("HeapProfiler.collectGarbage")
            if (nodes := await self._nodes()) > MOST_NODES:
                raise BrowserLost(f"the page has {nodes} nodes, over {MOST_NODES}")

    async def _nodes(self) -> int:
        return (await self.cdp.send("Memory.getDOMCounters"))["nodes"]

    def _loading(self, event: dict[str, Any]) -> None:
        if event["frameId"] == self.frame:
            self.loaded.clear()

    def _finished(self, event: dict[str, Any]) -> None:
        if event["frameId"] == self.frame:
            self.loaded.set()

    def _asked(self, event: dict[str, Any]) -> None:
        self.dialogs += 1

    def _paused(self, event: dict[str, Any]) -> None:
        """Let a document load, or keep the page where it is."""
        task = asyncio.ensure_future(self._judge(event["requestId"], event["request"]["url"]))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _judge(self, request: str, url: str) -> None:
        with contextlib.suppress(self.error):
            if is_allowed(url, self.origins):
                await self.cdp.send("Fetch.continueRequest", {"requestId": request})
            else:
                answer = {"requestId": request, "errorReason": "Aborted"}
                await self.cdp.send("Fetch.failRequest", answer)
                self.loaded.set()

"""A site in a real browser as an environment."""

import asyncio
import contextlib
from collections.abc import Coroutine, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, Self, TypeVar

from rlvr_world.web.action import Action
from rlvr_world.web.browser.chromium import (
    BrowserLost,
    Chromium,
    find_chromium,
    import_playwright,
)
from rlvr_world.web.browser.session import Observation, Session
from rlvr_world.web.browser.tab import ActionImpossible
from rlvr_world.web.sites.site import Site

T = TypeVar("T")

RESET_SECONDS, STEP_SECONDS = 120.0, 30.0


class Step(NamedTuple):
    """What a step leads to.

    Args:
        observation: What the page shows then.
        reward: The reward of the episode, 0 until it is over.
        done: Whether the episode is over.
        info: ``error``, a sentence, if the action could not be done; it then changes nothing.
    """

    observation: Observation
    reward: float
    done: bool
    info: dict[str, Any]


class WebEnvironment:
    """Episodes on a site: ``reset`` starts one, ``step`` does an action.

    Nothing in a page is trusted. Whatever it does, ``reset`` and ``step`` return or raise in
    bounded time, and a reset after ``BrowserLost`` starts with a new browser. Use it in a ``with``
    block, or ``close`` it.

    Args:
        site: The site.
        chromium: The browser's program; looked for on PATH if not given.
        step_seconds: How long a step may take.

    Raises:
        FileNotFoundError: There is no browser.
        ModuleNotFoundError: Playwright is not installed.
    """

    def __init__(
        self, site: Site, chromium: str | None = None, step_seconds: float = STEP_SECONDS
    ) -> None:
        self.error = import_playwright().Error
        self.program = find_chromium(chromium)
        self.site = site
        self.step_seconds = step_seconds
        self.runner = asyncio.Runner()
        self.browser: Chromium | None = None
        self.session: Session | None = None
        self.task = ""
        self.lost = asyncio.Event()
        self.observation = Observation("", "", "", ())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the browser and the site."""
        if self.browser is not None:
            self.runner.run(self._stop())
        self.runner.close()
        self.site.close()

    @property
    def version(self) -> str:
        """The version of Chromium; empty if none runs."""
        return self.browser.version if self.browser else ""

    def reset(self, task: str, seed: int) -> Observation:
        """Start an episode of a task; the same seed gives the same page where the site can.

        Raises:
            BrowserLost: The browser does not start, or the page does not answer.
        """
        self.site.start()
        self.observation = self._run(self._reset(task, seed), RESET_SECONDS)
        return self.observation

    def step(self, action: Action) -> Step:
        """Do an action.

        Raises:
            BrowserLost: The page or the browser dies or does not answer in time.
        """
        step = self._run(self._step(self._open_session(), action), self.step_seconds)
        self.observation = step.observation
        return step

    def replay(self, task: str, seed: int, actions: Sequence[Action]) -> Step:
        """The step that a new episode is at after some actions; it ends early if it is over."""
        step = Step(self.reset(task, seed), 0.0, False, {})
        for action in actions:
            if step.done:
                break
            step = self.step(action)
        return step

    def screenshot(self) -> bytes:
        """A picture of the page in front, PNG."""
        return self._run(self._open_session().tab.page.screenshot(), self.step_seconds)

    def _open_session(self) -> Session:
        if self.session is None:
            raise BrowserLost("there is no episode: reset the environment first")
        return self.session

    def _run(self, work: Coroutine[Any, Any, T], seconds: float) -> T:
        """The result of a coroutine; the browser is stopped if it fails."""
        try:
            return self.runner.run(self._guard(work, seconds))
        except BaseException:
            self.runner.run(self._stop())
            raise

    async def _guard(self, work: Coroutine[Any, Any, T], seconds: float) -> T:
        """Wait for the result, the time limit, or the death of the page."""
        if self.browser is None:
            self.lost = asyncio.Event()
            self.browser = await Chromium.start(self.program, self.site.origins)
            self.browser.browser.on("disconnected", self._note_loss)
        result = asyncio.ensure_future(work)
        lost = asyncio.ensure_future(self.lost.wait())
        try:
            done, _ = await asyncio.wait(
                (result, lost), timeout=seconds, return_when="FIRST_COMPLETED"
            )
            if result in done:
                return result.result()
            reason = "died" if done else f"did not answer within {seconds:g} s"
            raise BrowserLost(f"the browser or its page {reason}")
        except self.error as error:
            raise BrowserLost(str(error).strip().splitlines()[0]) from error
        finally:
            result.cancel()
            lost.cancel()
            await asyncio.gather(result, lost, return_exceptions=True)

    async def _reset(self, task: str, seed: int) -> Observation:
        session = await self._fresh_session(task)
        objective = await self.site.begin(session, task, seed)
        await session.settle()
        await session.tab.forget_history()
        url, elements = await session.observe()
        return Observation(self.site.shown(url), objective, "", elements)

    async def _fresh_session(self, task: str) -> Session:
        """A new session, or that of the task's last episode if the site leaves no traces in it."""
        site = self.site
        if self.session is not None and self.task == task and not site.remembers:
            await self.session.renew()
            return self.session
        if self.session is not None:
            await self.session.context.close()
        assert self.browser is not None
        self.session = await Session.open(
            self.browser, site.origins, site.viewport, site.quiet, site.limit
        )
        self.task = task
        self.session.context.on("page", self._watch)
        self._watch(self.session.tab.page)
        return self.session

    def _watch(self, page: Any) -> None:
        page.on("crash", self._note_loss)

    def _note_loss(self, *_: Any) -> None:
        self.lost.set()

    async def _step(self, session: Session, action: Action) -> Step:
        info: dict[str, Any] = {}
        reached = self.site.reached(action.text) if action.kind == "goto" else action.text
        try:
            await session.perform(replace(action, text=reached))
        except ActionImpossible as error:
            info["error"] = str(error)
        await session.settle()
        outcome = await self.site.outcome(session)
        url, elements = await session.observe()
        objective = self.observation.objective
        seen = Observation(self.site.shown(url), objective, str(action), elements)
        return Step(seen, outcome.reward, outcome.done, info)

    async def _stop(self) -> None:
        browser, self.browser, self.session = self.browser, None, None
        if browser is not None:
            with contextlib.suppress(self.error):
                await browser.stop()

"""WebArena's tasks on sites that the user runs, judged by the package webarena-verified."""

import importlib
import json
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from rlvr_world.web.browser.chromium import origin_of
from rlvr_world.web.browser.session import Session
from rlvr_world.web.sites.site import Site

PACKAGE = "webarena_verified"
LONGEST_BODY = 1 << 20


@dataclass
class WebArenaTasks:
    """Where the sites of WebArena are.

    Args:
        urls: The address of each site by its name in the package, such as ``shopping`` or
            ``gitlab``; tasks that need another site are left out.
    """

    urls: dict[str, str] = field(default_factory=dict)

    def site(self) -> "WebArena":
        """The tasks on these sites.

        Raises:
            ModuleNotFoundError: The package is not installed.
            ValueError: There are no addresses, or one is none of the web.
        """
        return WebArena(self.urls)


class WebArena(Site):
    """WebArena (Zhou et al., 2024) in the version of webarena-verified.

    The sites are not run here: their addresses have to be given, they have to be logged in where a
    task needs it, and they are not put back between episodes, so tasks that change them need a
    fresh copy for each row. The package's evaluator judges the answer of ``stop`` and the requests
    of the episode; an answer that is no JSON document is taken as the list of what was asked for,
    with the task type of the task. The evaluator needs no site, but nothing here has been tried on
    the sites themselves, nor with the package's evaluator in earnest. Seeds change nothing.

    Args:
        urls: The address of each site by its name.
    """

    name = "webarena"
    quiet = 0.5
    limit = 5.0

    def __init__(self, urls: Mapping[str, str]) -> None:
        if not urls:
            raise ValueError("webarena.urls: give the address of at least one site")
        for site, url in urls.items():
            if not origin_of(url):
                raise ValueError(f"webarena.urls.{site}: {url!r} is no address of the web")
        self.urls = {site: url.rstrip("/") for site, url in urls.items()}
        self.origins = tuple(dict.fromkeys(map(origin_of, self.urls.values())))
        self.documents = {
            str(task["task_id"]): task
            for task in _package_tasks()
            if set(task["sites"]) <= self.urls.keys()
        }
        self.task = ""
        self.requests: list[dict[str, Any]] = []

    @property
    def tasks(self) -> Sequence[str]:
        """The numbers of the tasks on the sites that are given."""
        return tuple(self.documents)

    async def begin(self, session: Session, task: str, seed: int) -> str:
        """Open the start page of a task and note all requests from then on."""
        document, self.task, self.requests = self.documents[task], task, []
        requests = self.requests

        async def note(request: Any) -> None:
            requests.append(await entry(request))

        session.context.on("requestfinished", note)
        await session.tab.goto(self._filled(document["start_urls"][0]))
        return str(document["intent"])

    def judgement(self, answer: str) -> float:
        """1 if the package's evaluator is content, else 0."""
        package = importlib.import_module(PACKAGE)
        kinds = importlib.import_module(f"{PACKAGE}.types.config")
        sites = {f"__{site.upper()}__": {"urls": [url]} for site, url in self.urls.items()}
        judge = package.WebArenaVerified(
            config=kinds.WebArenaVerifiedConfig.model_validate({"environments": sites})
        )
        result = judge.evaluate_task(
            task_id=int(self.task),
            agent_response=response(answer, self.documents[self.task]),
            network_trace=deepcopy(self.requests),
        )
        return float(result.score)

    def _filled(self, url: str) -> str:
        for site, address in self.urls.items():
            url = url.replace(f"__{site.upper()}__", address)
        return url


def response(answer: str, document: Mapping[str, Any]) -> dict[str, Any]:
    """An answer as the evaluator wants it: a document with the retrieved data."""
    try:
        said = json.loads(answer)
    except ValueError:
        said = answer
    if isinstance(said, dict) and "status" in said:
        return said
    expected = next(e["expected"] for e in document["eval"] if "results_schema" in e)
    data = said if isinstance(said, list) else [said] if answer else None
    return {"task_type": expected["task_type"], "status": "SUCCESS", "retrieved_data": data}


async def entry(request: Any) -> dict[str, Any]:
    """A finished request as an entry of a HAR file."""
    answer = await request.response()
    headers = await request.all_headers()
    replied = await answer.all_headers() if answer else {}
    asked = {"url": request.url, "method": request.method, "headers": _pairs(headers)}
    body = request.post_data
    if body and len(body) <= LONGEST_BODY:
        asked["postData"] = {"mimeType": headers.get("content-type", ""), "text": body}
    status = {"status": answer.status if answer else 0, "redirectURL": replied.get("location", "")}
    return {"request": asked, "response": {**status, "headers": _pairs(replied), "cookies": []}}


def _pairs(headers: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in headers.items()]


def _package_tasks() -> Sequence[Mapping[str, Any]]:
    try:
        package = importlib.import_module(PACKAGE)
        return [task.model_dump(mode="json") for task in package.WebArenaVerified().get_tasks()]
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"webarena needs the package {error.name}: pip install webarena-verified"
        ) from error

"""WebArena's tasks through a package with the interface of webarena-verified."""

import asyncio
import sys
from types import ModuleType, SimpleNamespace

import pytest

from rlvr_world.web.sites.webarena import WebArenaTasks, entry, response

URLS = {"shopping": "http://127.0.0.1:7770/", "reddit": "http://127.0.0.1:9999"}
RETRIEVE = {"results_schema": {}, "expected": {"task_type": "retrieve"}}


def task(number, *sites):
    return {
        "task_id": number, "sites": list(sites), "start_urls": [f"__{sites[0].upper()}__/start"],
        "intent": f"Do {number}.", "eval": [{"evaluator": "Network"}, RETRIEVE],
    }  # fmt: skip


@pytest.fixture
def package(monkeypatch):
    """A stand-in for the package; it notes what it is asked to judge."""
    judged = []

    class WebArenaVerified:
        def __init__(self, *, config=None):
            self.config = config

        def get_tasks(self):
            tasks = [task(1, "shopping"), task(2, "gitlab"), task(3, "shopping", "reddit")]
            return [SimpleNamespace(model_dump=lambda mode, t=t: t) for t in tasks]

        def evaluate_task(self, **asked):
            judged.append((self.config, asked))
            return SimpleNamespace(score=float(asked["agent_response"]["retrieved_data"] == [42]))

    module, types, config = (ModuleType(f"webarena_verified{n}") for n in ("", ".types", ".t"))
    module.WebArenaVerified = WebArenaVerified
    config.WebArenaVerifiedConfig = SimpleNamespace(model_validate=lambda document: document)
    monkeypatch.setitem(sys.modules, "webarena_verified", module)
    monkeypatch.setitem(sys.modules, "webarena_verified.types", types)
    monkeypatch.setitem(sys.modules, "webarena_verified.types.config", config)
    return judged


class Session:
    """A session that notes where it goes."""

    def __init__(self):
        self.went, self.listeners = [], {}
        self.tab = SimpleNamespace(goto=self.goto)
        self.context = SimpleNamespace(on=self.listeners.__setitem__)

    async def goto(self, url):
        self.went.append(url)


def test_tasks_on_sites_that_are_given(package):
    site = WebArenaTasks(URLS).site()
    assert site.tasks == ("1", "3")
    assert site.origins == ("http://127.0.0.1:7770", "http://127.0.0.1:9999")
    session = Session()
    assert asyncio.run(site.begin(session, "1", 0)) == "Do 1."
    assert session.went == ["http://127.0.0.1:7770/start"]


class Request:
    """A request as Playwright has it."""

    url, method, post_data = "http://127.0.0.1:7770/x", "POST", "a=1"

    async def all_headers(self):
        return {"content-type": "application/x-www-form-urlencoded"}

    async def response(self):
        async def headers():
            return {"location": "/y"}

        return SimpleNamespace(status=302, all_headers=headers)


def test_the_package_judges_the_answer_and_the_requests(package):
    site, session = WebArenaTasks(URLS).site(), Session()
    asyncio.run(site.begin(session, "3", 0))
    asyncio.run(session.listeners["requestfinished"](Request()))
    assert site.judgement("42") == 1
    assert site.judgement("nothing") == 0
    config, asked = package[0]
    assert config == {"environments": {
        "__SHOPPING__": {"urls": ["http://127.0.0.1:7770"]},
        "__REDDIT__": {"urls": ["http://127.0.0.1:9999"]},
    }}  # fmt: skip
    assert asked["task_id"] == 3
    assert asked["network_trace"][0]["request"]["url"] == Request.url
    asyncio.run(site.begin(session, "1", 0))
    site.judgement("42")
    assert package[-1][1]["network_trace"] == []


def test_requests_become_entries_of_a_har_file():
    found = asyncio.run(entry(Request()))
    assert found["request"]["postData"]["text"] == "a=1"
    assert found["response"]["redirectURL"] == "/y"
    assert found["response"]["status"] == 302


@pytest.mark.parametrize(
    ("answer", "data"),
    [("two words", ["two words"]), ('["a", "b"]', ["a", "b"]), ("7", [7]), ("", None)],
)
def test_answers_become_documents(answer, data):
    found = response(answer, task(1, "shopping"))
    assert found == {"task_type": "retrieve", "status": "SUCCESS", "retrieved_data": data}


def test_whole_documents_stay_as_they_are():
    document = '{"task_type": "navigate", "status": "NOT_FOUND_ERROR"}'
    assert response(document, task(1, "shopping"))["status"] == "NOT_FOUND_ERROR"


def test_a_missing_package_is_one_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "webarena_verified", None)
    with pytest.raises(
        ModuleNotFoundError, match=r"^webarena needs the package webarena_verified: pip"
    ):
        WebArenaTasks(URLS).site()


@pytest.mark.parametrize("urls", [{}, {"shopping": "nowhere"}])
def test_addresses_are_checked(urls):
    with pytest.raises(ValueError, match=r"webarena\.urls"):
        WebArenaTasks(urls).site()

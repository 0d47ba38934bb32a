"""Journals, intervals, tables and reports of web agents."""

import csv
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from rlvr_world.web.agent.agent_table import AgentTable
from rlvr_world.web.agent.episode import Episode
from rlvr_world.web.agent.intervals import bootstrap, wilson
from rlvr_world.web.agent.report import report
from rlvr_world.web.agent.results import EpisodeJournal, Job, Result

EVIL = "<script>alert(1)</script><img src=x onerror=alert(1)>'\"&\ud800\u202e</pre>"


def result(row="a", task="t", seed=0, reward=1.0, **about):
    given = {"steps": 2, "reason": "over", "seconds": 1.0, "seconds_to_decide": 0.5}
    return Result(row, task, seed, reward, reward >= 1, **given | about)


def settings(**agents):
    return {"source": "here", "agents": {row: {"top": top} for row, top in agents.items()}}


def test_a_journal_gives_back_what_was_finished(tmp_path):
    journal = EpisodeJournal(tmp_path)
    assert journal.begin(settings(a=1)) == {}
    journal.add([result(seed=1), result(seed=2, reward=-1.0)])
    with journal.path.open("a") as file:
        file.write('{"row": "a", "task"')
    again = EpisodeJournal(tmp_path).begin(settings(a=1))
    assert list(again) == [Job("a", "t", 1), Job("a", "t", 2)]
    journal.add([result(seed=3)])
    assert [r.seed for r in journal.read().values()] == [1, 2, 3]


def test_rows_may_come_but_not_change(tmp_path):
    EpisodeJournal(tmp_path).begin(settings(a=1))
    EpisodeJournal(tmp_path).begin(settings(b=1))
    EpisodeJournal(tmp_path).begin(settings(a=1, b=1))
    with pytest.raises(ValueError, match=r"another setting of agents\.a: use another output"):
        EpisodeJournal(tmp_path).begin(settings(a=2))
    with pytest.raises(ValueError, match="another setting of source"):
        EpisodeJournal(tmp_path).begin(settings(a=1) | {"source": "there"})


def test_a_journal_without_settings_is_not_taken(tmp_path):
    EpisodeJournal(tmp_path).add([result()])
    with pytest.raises(ValueError, match=r"settings\.json"):
        EpisodeJournal(tmp_path).begin(settings(a=1))


def test_wilson_intervals():
    assert wilson(0, 10) == pytest.approx((0, 0.2775), abs=1e-4)
    assert wilson(5, 10) == pytest.approx((0.2366, 0.7634), abs=1e-4)
    assert wilson(10, 10)[1] == pytest.approx(1)
    assert wilson(0, 0) == (0, 1)


def test_bootstrap_intervals_cover_the_mean_and_keep_tasks_apart():
    rng = np.random.default_rng(0)
    values = rng.normal(1.0, 1.0, 400)
    low, high = bootstrap(values, ["t"] * 400)
    assert low < values.mean() < high
    assert high - low == pytest.approx(2 * 1.96 / 20, rel=0.15)
    assert bootstrap([0, 0, 1, 1], ["a", "a", "b", "b"]) == (0.5, 0.5)
    assert bootstrap(values, ["t"] * 400) == (low, high)


def test_the_table_has_the_numbers_of_all_rows_and_tasks(tmp_path):
    jobs = [Job(row, task, seed) for row in "ab" for task in ("x", "y") for seed in range(5)]
    rewards = {job: 1.0 if job.row == "b" or job.seed < 2 else -1.0 for job in jobs}
    results = {job: result(*job, reward=rewards[job]) for job in jobs}
    lost = Job("b", "y", 4)
    results[lost] = result(*lost, reward=0.0, reason="lost", steps=0)
    results[Job("b", "other", 9)] = result("b", "other", 9, -1.0)
    table = AgentTable.of(results, jobs, {"seeds": 5})
    assert table.rows["a"].success == 40
    assert table.rows["b"].success == 90
    assert table.rows["b"].difference == 50
    low, high = table.rows["b"].difference_interval
    assert 10 <= low < 50 < high <= 90
    assert table.rows["a"].difference is None
    assert table.rows["b"].lost == 1
    assert table.rows["a"].reward == pytest.approx(-0.2)
    assert table.rows["a"].seconds_per_step == 0.5
    assert table.tasks["y"]["b"].success == 80
    table.save(tmp_path)
    assert json.loads((tmp_path / "web_agent.json").read_text())["rows"]["b"]["success"] == 90
    lines = list(csv.DictReader((tmp_path / "web_agent.csv").open()))
    assert [line["task"] for line in lines] == ["all", "all", "x", "x", "y", "y"]
    assert float(lines[1]["low"]) == pytest.approx(100 * wilson(9, 10)[0])


class Tags(HTMLParser):
    """All tags and attributes of a page."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.attributes = [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs


def evil_episode():
    candidate = {
        "action": f"type [2] [{EVIL}] [0]", "frequency": 2, "prediction": EVIL, "summary": EVIL,
        "prediction_error": "", "known_reward": None, "scores": [3.0], "value": 3.0,
    }  # fmt: skip
    other = {"action": "click [2]", "frequency": 1}
    step = {
        "url": f"http://x/{EVIL}", "page": EVIL, "candidates": [candidate, other], "chosen": 0,
        "seconds_to_decide": 0.1, "true_changes": EVIL, "error": EVIL, "seconds": 1.0,
    }  # fmt: skip
    return Episode(EVIL, 0.0, "steps", [step], [b"\x89PNG", b"\x89PNG"], 2.0)


def test_nothing_of_a_page_becomes_markup_in_its_report():
    page = report(Job(EVIL, EVIL, 1), evil_episode())
    found = Tags(page)
    assert "script" not in found.tags
    assert found.tags.count("img") == 2
    assert not [name for name, _ in found.attributes if name.startswith("on")]
    sources = [value for name, value in found.attributes if name in ("src", "href")]
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    assert page.isascii()
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', page)
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'unsafe-inline'")
    assert page.index("Content-Security-Policy") < page.index("&lt;script")


def test_a_lost_episode_has_a_report_too():
    page = report(Job("a", "b", 1), Episode("no browser", reason="lost"))
    assert "no browser" in page

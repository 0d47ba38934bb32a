"""Journals, intervals, tables and reports of web agents."""

import csv
import json
import re
from html.parser import HTMLParser
from io import StringIO

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from rlvr_world.web.agent.episode import Episode
from rlvr_world.web.agent.report import report
from rlvr_world.web.agent.results import EpisodeJournal, Job, Result
from rlvr_world.web.agent.table import AgentTable, bootstrap, measures

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
    with pytest.raises(ValueError, match=r"was made with agents\.a .*: use another folder"):
        EpisodeJournal(tmp_path).begin(settings(a=2))
    with pytest.raises(ValueError, match="was made with source here, not there"):
        EpisodeJournal(tmp_path).begin(settings(a=1) | {"source": "there"})


def test_a_journal_without_settings_is_not_taken(tmp_path):
    EpisodeJournal(tmp_path).add([result()])
    with pytest.raises(ValueError, match=r"settings\.json"):
        EpisodeJournal(tmp_path).begin(settings(a=1))


@pytest.mark.parametrize(
    ("successes", "low", "high"), [(0, 0, 27.75), (5, 23.66, 76.34), (10, 72.25, 100)]
)
def test_success_has_wilsons_interval(successes, low, high):
    episodes = [result(seed=seed, reward=float(seed < successes)) for seed in range(10)]
    cells = measures(pd.DataFrame(episodes), ["row"]).loc["a"]
    assert (cells.low, cells.high) == pytest.approx((low, high), abs=1e-2)


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
    first, second = table.rows.loc["a"], table.rows.loc["b"]
    assert first.success == 40
    assert second.success == 90
    assert second.difference == 50
    assert 10 <= second.difference_low < 50 < second.difference_high <= 90
    assert pd.isna(first.difference)
    assert second.lost == 1
    assert first.reward == pytest.approx(-0.2)
    assert first.seconds_per_step == 0.5
    assert table.tasks.loc[("y", "b")].success == 80
    table.save(tmp_path)
    saved = json.loads((tmp_path / "web_agent.json").read_text())
    assert saved["rows"]["b"]["success"] == 90
    assert saved["rows"]["b"]["episodes"] == 10
    assert saved["rows"]["a"]["difference"] is None
    assert saved["tasks"]["y"]["b"]["lost"] == 1
    lines = list(csv.DictReader((tmp_path / "web_agent.csv").open()))
    assert [line["task"] for line in lines] == ["all", "all", "x", "x", "y", "y"]
    assert float(lines[1]["low"]) == pytest.approx(second.low)


def test_one_page_and_one_row_make_a_table():
    jobs = [Job("a", "t", 0)]
    table = AgentTable.of({jobs[0]: result()}, jobs, {})
    assert table.rows.loc["a"].success == 100
    assert Console(file=StringIO()).print(table.rendered()) is None
    jobs.append(Job("b", "t", 0))
    table = AgentTable.of({job: result(*job) for job in jobs}, jobs, {})
    assert table.rows.loc["b"].difference_low == table.rows.loc["b"].difference_high == 0


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

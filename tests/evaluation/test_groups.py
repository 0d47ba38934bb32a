import csv
import dataclasses
import json
import math

import pytest
import torch
from text_states import LAMP, NOTHING, TABLE

from rlvr_world.evaluation.cells import Cell, summarize
from rlvr_world.evaluation.groups import breakdown, macro_scores
from rlvr_world.text_game.accuracy import TextGameAccuracy

GAMES = ["a", "b", "a", "a", "b"]
RIGHT = torch.tensor([[1.0, 0.0], [0.0, 0.0], [1.0, 1.0], [1.0, 1.0], [1.0, 0.0]])  # two seeds


def test_a_macro_average_counts_all_games_alike():
    """Game a: 1 and 2/3; game b: 1/2 and 0; so the seeds have 3/4 and 1/3."""
    scores = macro_scores({"right": RIGHT}, GAMES, {"macro": "right"})
    cell = summarize(scores)["macro"]
    assert cell.mean == pytest.approx((3 / 4 + 1 / 3) / 2)
    assert cell.std == pytest.approx((3 / 4 - 1 / 3) / math.sqrt(2))
    assert summarize({"right": RIGHT})["right"].mean == pytest.approx(6 / 10)


def test_games_to_which_a_metric_does_not_apply_are_left_out_of_its_macro_average():
    values = torch.tensor([1.0, math.nan, 0.0, 1.0, math.nan])
    scores = macro_scores({"changed": values}, GAMES, {"macro": "changed"})
    assert summarize(scores)["macro"] == Cell(pytest.approx(2 / 3), 0.0)
    assert macro_scores({"other": values}, GAMES, {"macro": "changed"}) == {}


def test_a_breakdown_has_a_line_for_each_game_and_row():
    rows = {"copy_last": {"right": RIGHT[:, 0]}, "mle": {"right": RIGHT, "nll": RIGHT[:, 0]}}
    found = breakdown("game", rows, GAMES, ["right", "macro"])
    assert found.samples == {"a": 3, "b": 2}
    assert found.cells["b"]["copy_last"] == {"right": Cell(0.5, 0.0)}
    assert found.cells["a"]["mle"]["right"].mean == pytest.approx(5 / 6)
    lines = list(csv.reader(found.csv(["nll", "right", "macro"]).splitlines()))
    assert lines[0] == ["game", "clips", "row", "right mean", "right std"]
    assert [line[:3] for line in lines[1:]] == [
        ["a", "3", "copy_last"], ["a", "3", "mle"], ["b", "2", "copy_last"], ["b", "2", "mle"],
    ]  # fmt: skip


def test_text_games_are_grouped_by_their_names():
    scene = TextGameAccuracy()
    other = dataclasses.replace(TABLE, game="kitchen")
    batch = {"key": ["0", "1"], "transition": [LAMP, other]}
    assert scene.groups(batch) == ["toy", "kitchen"]
    answers = [json.dumps(LAMP.difference), "{", json.dumps(NOTHING), json.dumps(other.difference)]
    scores = scene.score(answers, batch)
    assert scores["overall"].tolist() == [100, 0, 0, 100]
    assert scores["changed"].tolist() == [100, 0, 0, 100]
    assert scores["unchanged"].isnan().all()
    assert scores["valid_json"].tolist() == [100, 0, 100, 100]
    assert set(scores) | set(scene.macro) == set(scene.labels) == set(scene.higher_is_better)

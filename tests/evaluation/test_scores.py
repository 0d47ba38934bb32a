import dataclasses
import json
import math

import pandas as pd
import pytest
import torch
from text_states import LAMP, NOTHING, TABLE

from rlvr_world.evaluation.table import cells, macro_scores, nested, score_frame, spread
from rlvr_world.text_game.accuracy import TextGameAccuracy

NAN = math.nan
GAMES = ["a", "b", "a", "a", "b"]
RIGHT = torch.tensor([[1.0, 0.0], [0.0, 0.0], [1.0, 1.0], [1.0, 1.0], [1.0, 0.0]])  # two seeds


def of_row(scores, groups=None, macro=None):
    """The cells of one row, as they are written."""
    groups = groups or ["all"] * len(next(iter(scores.values())))
    frame = macro_scores(score_frame("mle", scores, groups), macro or {})
    return nested(cells(frame))["mle"]


def test_mean_over_transitions_then_std_over_seeds():
    scores = torch.tensor([[1.0, 2.0, 6.0], [3.0, 4.0, 6.0]])  # seed means 2, 3, 6
    mean, std = of_row({"mse": scores})["mse"]
    assert mean == pytest.approx(11 / 3)
    assert std == pytest.approx(math.sqrt((25 + 4 + 49) / 9 / 2))


def test_scores_without_seeds_have_no_spread():
    assert of_row({"nll": torch.tensor([1.0, 2.0])})["nll"] == [1.5, 0.0]


def test_one_seed_tells_no_spread():
    assert of_row({"mse": torch.tensor([[1.0], [2.0]])})["mse"] == [1.5, None]


def test_transitions_to_which_a_metric_does_not_apply_are_left_out():
    values = {"a": torch.tensor([1.0, NAN]), "b": torch.tensor([NAN, NAN])}
    assert of_row(values) == {"a": [1.0, 0.0]}


def test_batches_count_by_their_size():
    frames = [score_frame("mle", {"x": torch.tensor(x)}, ["all"] * len(x)) for x in ([0.0], [3, 3])]
    assert nested(cells(pd.concat(frames))) == {"mle": {"x": [2.0, 0.0]}}


def test_a_macro_average_counts_all_games_alike():
    """Game a: 1 and 2/3; game b: 1/2 and 0; so the seeds have 3/4 and 1/3."""
    found = of_row({"right": RIGHT}, GAMES, {"macro": "right"})
    assert found["macro"] == pytest.approx([(3 / 4 + 1 / 3) / 2, (3 / 4 - 1 / 3) / math.sqrt(2)])
    assert found["right"][0] == pytest.approx(6 / 10)


def test_games_to_which_a_metric_does_not_apply_are_left_out_of_its_macro_average():
    values = torch.tensor([1.0, NAN, 0.0, 1.0, NAN])
    found = of_row({"changed": values}, GAMES, {"macro": "changed"})
    assert found["macro"] == [pytest.approx(2 / 3), 0.0]
    assert "macro" not in of_row({"other": values}, GAMES, {"macro": "changed"})


def test_cells_by_group():
    rows = {"copy_last": {"right": RIGHT[:, 0]}, "mle": {"right": RIGHT, "nll": RIGHT[:, 0]}}
    scores = pd.concat([score_frame(row, values, GAMES) for row, values in rows.items()])
    groups = cells(scores.sort_values("group", kind="stable"), by=["group"])
    assert nested(groups)["b"]["copy_last"] == {"right": [0.5, 0.0]}
    assert nested(groups)["a"]["mle"]["right"][0] == pytest.approx(5 / 6)
    wide = spread(groups, ["nll", "right"])
    assert wide.columns.tolist() == ["nll mean", "nll std", "right mean", "right std"]
    lines = [(group, row) for group in "ab" for row in rows]
    assert wide.index.tolist() == lines
    assert wide["nll mean"].isna().tolist() == [True, False, True, False]


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


def test_two_judges_side_by_side():
    pytest.importorskip("json_repair")
    scene = TextGameAccuracy(beside="upstream")
    kept = json.dumps(LAMP.difference)[:-1]  # the original repairs it
    scores = scene.score([json.dumps(LAMP.difference), kept], {"transition": [LAMP] * 2})
    assert scores["overall"].tolist() == [100, 0]
    assert scores["upstream_overall"].tolist() == scores["upstream_changed"].tolist() == [100, 100]
    assert scores["upstream_unchanged"].isnan().all()
    assert set(scores) | set(scene.macro) == set(scene.labels) == set(scene.higher_is_better)
    assert scene.labels["upstream_changed"] == "upstream: changed %"
    with pytest.raises(ValueError, match="beside: strict is the judge already; leave it out"):
        TextGameAccuracy(beside="strict")

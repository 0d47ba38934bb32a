import csv
import io
import json
import math

import pytest
import torch
from rich.console import Console

from rlvr_world.evaluation.cells import Cell, summarize, text_of
from rlvr_world.evaluation.groups import Breakdown
from rlvr_world.evaluation.table import Table


@pytest.fixture
def table():
    return Table(
        labels={"mse": "MSE", "nll": "NLL (nats)"},
        higher_is_better={"mse": False, "nll": False},
        rows={
            "copy_last": {"mse": Cell(0.5, 0.0)},
            "mle": {"mse": Cell(0.25, 0.01), "nll": Cell(1.5, 0.0)},
        },
        seeds=3,
        samples=7,
        split="test",
        seconds={"mle": 12.5},
        commit="abc1234",
        device="a CPU",
        samplers={"mle": {"temperature": 1.0, "top_k": None, "top_p": None}},
    )


def test_mean_over_clips_then_std_over_seeds():
    scores = torch.tensor([[1.0, 2.0, 6.0], [3.0, 4.0, 6.0]])  # seed means 2, 3, 6
    cell = summarize({"mse": scores})["mse"]
    assert cell.mean == pytest.approx(11 / 3)
    assert cell.std == pytest.approx(math.sqrt((25 + 4 + 49) / 9 / 2))


def test_scores_without_seeds_have_no_spread():
    assert summarize({"nll": torch.tensor([1.0, 2.0])})["nll"] == Cell(1.5, 0.0)


def test_one_seed_tells_no_spread():
    assert summarize({"mse": torch.tensor([[1.0], [2.0]])})["mse"] == Cell(1.5, None)


def test_clips_to_which_a_metric_does_not_apply_are_left_out():
    nan = float("nan")
    cells = summarize({"a": torch.tensor([1.0, nan]), "b": torch.tensor([nan, nan])})
    assert cells == {"a": Cell(1.0, 0.0)}


def test_json_holds_the_schema(table, tmp_path):
    table.save(tmp_path)
    saved = json.loads((tmp_path / "table.json").read_text())
    assert saved["rows"]["mle"] == {"mse": [0.25, 0.01], "nll": [1.5, 0.0]}
    assert saved["rows"]["copy_last"] == {"mse": [0.5, 0.0]}
    assert (saved["seeds"], saved["samples"], saved["seconds"]) == (3, 7, {"mle": 12.5})
    assert (saved["commit"], saved["device"]) == ("abc1234", "a CPU")
    assert saved["labels"] == {"mse": "MSE", "nll": "NLL (nats)"}
    assert saved["samplers"]["mle"]["top_k"] is None
    assert sorted(path.name for path in tmp_path.iterdir()) == ["table.csv", "table.json"]


def test_csv_leaves_missing_cells_empty(table, tmp_path):
    table.save(tmp_path)
    rows = list(csv.reader((tmp_path / "table.csv").open()))
    assert rows == [
        ["row", "mse mean", "mse std", "nll mean", "nll std"],
        ["copy_last", "0.5", "0.0", "", ""],
        ["mle", "0.25", "0.01", "1.5", "0.0"],
    ]


def test_terminal_table_has_a_column_for_each_metric(table):
    block = table.block(["mse", "nll"])
    assert [column.header for column in block.columns] == ["", "MSE ↓", "NLL (nats) ↓"]
    assert list(block.columns[2].cells) == ["-", "1.5"]


@pytest.mark.parametrize(("width", "blocks"), [(120, 1), (50, 2)])
def test_a_narrow_terminal_gets_blocks_of_columns(table, width, blocks):
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(table.rendered(width))
    text = console.export_text()
    assert text.count("copy_last") == blocks
    assert "0.25 ± 0.01" in text


def test_what_was_cut_is_said_in_a_sentence(table):
    def printed():
        console = Console(width=120, record=True, file=io.StringIO())
        console.print(table.rendered(120))
        return console.export_text()

    assert "Cut" not in printed()
    table.too_long = {"prompt": 2, "answer": 0}
    assert "Cut to the codec's limits: 2 prompts, 0 answers of 7." in printed()


def test_groups_get_a_file_of_their_own(table, tmp_path):
    table.breakdown = Breakdown("site", {"x": 4}, {"x": table.rows})
    table.save(tmp_path)
    saved = json.loads((tmp_path / "table.json").read_text())["breakdown"]
    assert saved["cells"]["x"]["mle"]["nll"] == [1.5, 0.0]
    lines = (tmp_path / "by_site.csv").read_text().splitlines()
    assert lines[1] == "x,4,copy_last,0.5,0.0,,"


def test_cell_text():
    assert text_of(Cell(0.0123456, 0.000321)) == "0.01235 ± 0.0003"
    assert text_of(Cell(2.0, None)) == "2"

import csv
import io
import json
from math import nan

import pandas as pd
import pytest
import torch
from rich.console import Console

from rlvr_world.evaluation.table import Table, cell_text, cells, score_frame, spread

CELLS = (("copy_last", "mse", 0.5, 0.0), ("mle", "mse", 0.25, 0.01), ("mle", "nll", 1.5, 0.0))


def cells_of(*lines, index=("row", "metric")):
    """Cells by what ``index`` names, from lines that end with mean and deviation."""
    frame = pd.DataFrame(lines, columns=[*index, "mean", "std"])
    return frame.set_index(list(index))


@pytest.fixture
def table():
    return Table(
        labels={"mse": "MSE", "nll": "NLL (nats)"},
        higher_is_better={"mse": False, "nll": False},
        cells=cells_of(*CELLS),
        seeds=3,
        samples=7,
        split="test",
        seconds={"mle": 12.5},
        commit="abc1234",
        device="a CPU",
        samplers={"mle": {"temperature": 1.0, "top_k": None, "top_p": None}},
    )


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


def test_what_is_too_long_is_said_in_a_sentence(table):
    def printed():
        console = Console(width=120, record=True, file=io.StringIO())
        console.print(table.rendered(120))
        return console.export_text()

    assert "Too long" not in printed()
    table.too_long = {"prompt": 2, "answer": 0}
    assert "Too long for the codec: 2 prompts, 0 answers. Such prompts are left out." in printed()


def test_groups_get_a_file_of_their_own(table, tmp_path):
    lines = [("x", *cell) for cell in CELLS]
    table.group_cells = cells_of(*lines, index=("group", "row", "metric"))
    table.grouping, table.group_sizes = "site", {"x": 4}
    table.save(tmp_path)
    saved = json.loads((tmp_path / "table.json").read_text())["breakdown"]
    assert (saved["name"], saved["samples"]) == ("site", {"x": 4})
    assert saved["cells"]["x"]["mle"]["nll"] == [1.5, 0.0]
    lines = (tmp_path / "by_site.csv").read_text().splitlines()
    assert lines[0] == "site,samples,row,mse mean,mse std,nll mean,nll std"
    assert lines[1] == "x,4,copy_last,0.5,0.0,,"


def test_cell_text():
    assert cell_text(0.0123456, 0.000321) == "0.01235 ± 0.0003"
    assert cell_text(2.0, nan) == cell_text(2.0, 0.0) == "2"
    assert cell_text(nan, nan) == "-"


def test_a_metric_that_applies_nowhere_moves_no_other():
    scores = {"p": torch.tensor([nan]), "q": torch.tensor([2.0]), "r": torch.tensor([3.0])}
    found = cells(pd.concat([score_frame(row, scores, ["all"]) for row in ("one", "two")]))
    wide = spread(found, ["p", "q", "r"])
    assert wide["p mean"].isna().all()
    assert wide["q mean"].tolist() == [2, 2]
    assert wide["r mean"].tolist() == [3, 3]

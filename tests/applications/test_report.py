"""The page of a run folder: all that it holds, as text, without anything from elsewhere."""

import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from lightning.pytorch.loggers import TensorBoardLogger
from PIL import Image
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from rlvr_world.applications.report.command import report
from rlvr_world.callbacks.boards import TensorBoardBoard, animation

HOSTILE = "</pre><script src='https://evil.example/x.js'></script><img src=x onerror=alert(1)>"


class Tags(HTMLParser):
    """Every tag of a page with its attributes, and all texts."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.texts = [], []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.texts.append(data)


@pytest.fixture
def preset(tmp_path):
    """A folder of a preset, whose every text is hostile."""
    run = tmp_path / "preset" / "rlvr"
    run.mkdir(parents=True)
    (run / "config.yaml").write_text(f"model: {{}}\n# {HOSTILE}\n")
    (run / "finished.json").write_text(json.dumps({"seconds": 7.5}))
    writer = EventFileWriter(str(run))
    for step in range(3):
        value = Summary.Value(tag=f"val/{HOSTILE}", simple_value=2.0 - step)
        writer.add_event(Event(step=step, wall_time=step, summary=Summary(value=[value])))
    writer.close()
    table = {
        "labels": {"mse": f"MSE {HOSTILE}"}, "higher_is_better": {"mse": False},
        "commit": HOSTILE, "rows": {HOSTILE: {"mse": [0.25, 0.01]}, "rlvr": {}},
    }  # fmt: skip
    (run.parent / "table.json").write_text(json.dumps(table))
    Image.new("RGB", (4, 4)).save(run / "predictions<b>.png")
    return run.parent


def test_all_is_there_and_nothing_is_loaded(preset):
    page, of_run = (report(folder).read_text() for folder in (preset, preset / "rlvr"))
    assert page.count("<img src=") == of_run.count("<img src=") == 1
    found = Tags(page)
    assert "script" not in {tag for tag, _ in found.tags}
    assert not [a for _, attributes in found.tags for a in attributes if a.startswith("on")]
    sources = [a[k] for _, a in found.tags for k in ("src", "href") if k in a]
    assert sources
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    assert "url(" not in page
    text = "".join(found.texts)
    assert text.count(HOSTILE) == 5  # config, curve, heading, row and commit
    assert re.search(r"from 2 to 0 in 3 batches, between 0 and 2", text)
    assert "0.25 ± 0.01" in text
    assert "7.5 seconds" in text
    assert [a["points"] for tag, a in found.tags if tag == "polyline"] == [
        "0.0,0.0 160.0,60.0 320.0,120.0"
    ]


def test_a_link_out_of_the_folder_is_refused(preset, tmp_path):
    (tmp_path / "secret").write_text("secret")
    (preset / "note.png").symlink_to(tmp_path / "secret")
    with pytest.raises(ValueError, match=r"note\.png: leads out of the folder"):
        report(preset)


def test_a_folder_without_a_run_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="holds no run and no table"):
        report(tmp_path)
    (tmp_path / "table.json").write_text("[]")
    with pytest.raises(ValueError, match=r"table\.json: is no table that evaluate wrote"):
        report(tmp_path)


def test_clips_that_a_run_logged_move(preset):
    run, frames = preset / "rlvr", np.zeros((2, 4, 4, 3), np.uint8)
    frames[1] = 255
    for file in run.glob("events.*"):
        file.unlink()
    logger = TensorBoardLogger(preset, "rlvr", "")
    TensorBoardBoard(logger).picture("val/predictions", frames[0], 1)
    TensorBoardBoard(logger).clip("val/clips", animation(frames), 1)
    logger.finalize("success")
    sources = re.findall(r'<img src="(data:[^;]+);', report(run).read_text())
    assert sources.count("data:image/gif") == 1

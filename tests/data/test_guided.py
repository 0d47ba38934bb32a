"""Inputs that a fuzzer finds by the lines that they reach: no reader fails but by a sentence."""

import json
import re
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from games import step, write_root
from hostile import npy, picture
from page_steps import tick, write_pages
from toy_shards import toy_sample

from rlvr_world.data.samples import write_shard
from rlvr_world.video.data.manifest import Manifest
from rlvr_world.web.answer import changes_text

SCRIPT = Path(__file__).with_name("guided.py")
INPUTS = 4000
NOISE = np.random.default_rng(0).integers(0, 9, (9, 8, 3), np.uint8)


def text_seeds():
    """Sound texts by reader."""
    lamps, boxes = step(1, "switch 1"), tick(1, "click [1]")
    return {
        "json": '{"a": [1.5, "\\ud83d", null, {"b": [true, 1e3]}]}',
        "state": json.dumps(lamps.to_json() | {"changed": True}),
        "page": json.dumps(boxes.to_json()),
        "tree": boxes.tree,
        "action": "type [12] [red shoes] [1]",
        "answer": f"The final answer is: {json.dumps(lamps.difference)}",
        "changes": changes_text(boxes.changes, "long"),
        "config": "a: &x {b: [1, .nan], c: !!str 2}\nd: {<<: *x, e: other.yaml}\n",
    }


def seeds(folder):
    """Sound inputs by reader."""
    write_shard(folder / "video/val-000000.tar", [toy_sample("val", n, length=3) for n in (0, 1)])
    Manifest.build(folder / "video", "toy", {}).save(folder / "video")
    write_root(folder / "games", {"val": [step(n, f"switch {n}") for n in range(3)]})
    write_pages(folder / "pages", {"val": [tick(n, "click [1]") for n in range(3)]})
    return {name: text.encode() for name, text in text_seeds().items()} | {
        "npy": npy(np.ones((8, 2), np.float32)),
        "png": picture(NOISE),
        "jpeg": picture(NOISE, "JPEG"),
        "tar": (folder / "video/val-000000.tar").read_bytes(),
        "manifest of video": (folder / "video/manifest.json").read_bytes(),
        "manifest of pages": (folder / "pages/manifest.json").read_bytes(),
        "records": records(folder / "whole.tfrecord"),
    }


def records(path):
    rlds = pytest.importorskip("rlds_records")
    rlds.write_records(path, [rlds.rt1_episode(0, length=2, height=8, width=8)[0]])
    return path.read_bytes()


NAMES = [*text_seeds(), "npy", "png", "jpeg", "tar", "manifest of video", "manifest of pages",
         "records"]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_guided_fuzzer_finds_no_fault(name, tmp_path):
    pytest.importorskip("atheris", reason="atheris has no wheel for this system")
    (tmp_path / "seeds").mkdir()
    (tmp_path / "seeds/sound").write_bytes(seeds(tmp_path)[name])
    options = [f"-runs={INPUTS}", "-seed=1", "-timeout=20", "-rss_limit_mb=3000"]
    command = [sys.executable, SCRIPT, name, tmp_path, *options, "-print_final_stats=1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=550, cwd=tmp_path)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    (inputs,) = re.findall(r"number_of_executed_units: (\d+)", done.stderr)
    (lines, *_) = re.findall(r"cov: (\d+)", done.stderr)[::-1]
    warnings.warn(f"{name}: {inputs} inputs reached {lines} branches", stacklevel=1)
    assert int(inputs) >= INPUTS
    assert int(lines) > 10

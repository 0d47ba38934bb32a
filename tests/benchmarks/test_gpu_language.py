"""The script for a language model on one GPU, tried out on the CPU."""

import gzip
import json
import os
import shutil
import subprocess
import sys
from itertools import islice

import pytest
from bytesized32 import FILE, needs_file
from stages import ROOT

from benchmarks.__main__ import main

SCRIPT = ROOT / "benchmarks/gpu_language.sh"

pytestmark = pytest.mark.skipif(not shutil.which("timeout"), reason="needs timeout of coreutils")


def script(*options):
    return subprocess.run(
        ["bash", SCRIPT, *options],
        env=os.environ | {"PYTHON": sys.executable, "OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip


@needs_file
def test_a_small_language_model_reaches_its_table(tmp_path):
    files = tmp_path / "files"
    files.mkdir()
    for rules in FILE.parent.glob("*_rules.json"):
        shutil.copy(rules, files)
    with gzip.open(FILE, "rt") as lines, open(files / "train.jsonl", "w") as some:
        some.writelines(islice(lines, 0, None, 20))
    done = script(files, "--scale", "tiny", "--output", tmp_path / "out")
    assert done.returncode == 0, done.stdout + done.stderr
    rows = json.loads((tmp_path / "out/table.json").read_text())["rows"]
    assert {"mle", "mle_equal_time", "rlvr", "rlvr_task_specific", "verb_rule"} <= set(rows)
    config = (tmp_path / "out/rlvr/config.yaml").read_text()
    assert "model_type: llama" in config
    assert "lora: null" in config
    (tmp_path / "bytesized32.done").write_text("1\n")
    (tmp_path / "out").rename(tmp_path / "bytesized32")
    main(["gpu-page", str(tmp_path), "--output", str(tmp_path / "page.md")])
    assert "rlvr_task_specific" in (tmp_path / "page.md").read_text()
    again = script(files, "--output", tmp_path / "bytesized32")
    assert "bytesized32 was begun with --scale tiny; give another --output" in again.stderr


@pytest.mark.parametrize(
    ("options", "said"),
    [([], "give the folder of the published files"),
     (["x", "--scale", "huge"], "--scale is tiny or full, not huge"),
     (["x", "--minutes", "soon"], "--minutes is a whole number from 1, not soon"),
     (["x", "--minutes", "0"], "--minutes is a whole number from 1, not 0"),
     (["/x", "y"], "give one folder of published files, not /x and y"),
     (["x", "--smollm2", "/nowhere"], "--smollm2 /nowhere holds no config.json"),
     (["x", "--scale", "tiny", "--smollm2", "/nowhere"], "--scale tiny takes no --smollm2"),
     (["x", "--minutes"], "--minutes needs a value"),
     (["x", "--scail", "tiny"], "--scail is no option; --help lists them")],
)  # fmt: skip
def test_wrong_options_are_refused(options, said):
    done = script(*options)
    assert done.returncode == 64
    assert done.stderr == f"gpu_language.sh: {said}\n"


def test_another_model_in_a_folder_that_was_begun_is_refused(tmp_path):
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        for file in ("config.json", "tokenizer.json"):
            (tmp_path / name / file).touch()
    (tmp_path / "out").mkdir()
    (tmp_path / "out/source").symlink_to(tmp_path / "one")
    for options in ([], ["--smollm2", tmp_path / "other"]):
        done = script("x", "--output", tmp_path / "out", *options)
        assert done.returncode == 64
        assert "out was begun with another SmolLM2; give another --output" in done.stderr

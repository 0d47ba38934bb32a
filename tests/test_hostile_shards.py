"""Shards, manifests and files of rows of strangers, for every command that opens them."""

import json
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from hostile import DEEP, npy, read_tar, write_tar
from page_steps import tick, write_pages
from tiny_video import SIZE, export_tokenizer, save_untrained

from rlvr_world.cli import main
from rlvr_world.data.samples import write_shard
from rlvr_world.video.data.manifest import Manifest

MARK = "it_ran"
STAGE = {
    "data": {
        "class_path": "VideoDataModule",
        "init_args": {"root": "data", "clip_length": 3, "batch_size": 1, "samples_per_epoch": 4,
                      "clips_per_episode": 1, "max_skip_share": 0.9},
    },
    "model": {
        "class_path": "MLEWorldModel",
        "init_args": {
            "codec": {
                "class_path": "FrameCodec",
                "init_args": {"tokenizer": "./tokenizer", "frame_size": [SIZE, SIZE],
                              "context_frames": 2, "action_low": [0, 0], "action_high": [1, 1]},
            },
            "backbone": {"class_path": "Transformer",
                         "init_args": {"dim": 16, "depth": 1, "heads": 2}},
        },
    },
    "trainer": {"accelerator": "cpu", "max_steps": 4, "num_sanity_val_steps": 0,
                "logger": False, "enable_progress_bar": False},
}  # fmt: skip


class Bomb:
    def __reduce__(self):
        return os.system, (f"touch {MARK}",)


def bombs():
    array = np.empty((4, 2), object)
    array[:] = Bomb()
    return npy(array)


def spoil(path, key, *others):
    """Let a sample of a shard hold pickles; ``others`` are files that come on top."""
    members = []
    for name, content in read_tar(path):
        members.append((name, bombs() if name == f"{key}.actions.npy" else content))
        if name == f"{key}.json":
            members.append((f"{key}.more.pkl", pickle.dumps(Bomb())))
    write_tar(path, [*members, *others])


@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    """A tokenizer and a checkpoint."""
    folder = tmp_path_factory.mktemp("stage")
    export_tokenizer(folder / "tokenizer")
    return save_untrained(folder / "model.ckpt", folder / "tokenizer")


@pytest.fixture
def place(stage, tmp_path, monkeypatch):
    """The current folder, with ``data`` of which one sample in three is hostile."""
    monkeypatch.chdir(tmp_path)
    Path("model.ckpt").symlink_to(stage)
    Path("tokenizer").symlink_to(stage.parent / "tokenizer")
    Path("stage.json").write_text(json.dumps(STAGE))
    Path("stage.json").rename("stage.yaml")
    random = np.random.default_rng(0)
    for split in ("train", "val", "test"):
        samples = [
            (f"{split}-{n}", {
                "frames.png": random.integers(0, 255, (4, SIZE, SIZE, 3), np.uint8),
                "actions.npy": random.random((4, 2), np.float32), "json": {"episode": n},
            })
            for n in range(3)
        ]  # fmt: skip
        write_shard(f"data/{split}-000000.tar", samples)
    Manifest.build("data", "pusht", {"length": 4, "episodes": {"test": 3}}).save("data")
    yield tmp_path
    names = {path.name for path in tmp_path.iterdir()}
    assert names <= {"model.ckpt", "tokenizer", "stage.yaml", "data", "out", "rows", "pages"}
    assert not Path(tmp_path.parent, "out.json").exists()


FIT = ["-c", "stage.yaml", "--folder", "out"]
TABLE = ["--data.class_path=VideoDataModule", "--data.init_args.root=data",
         "--data.init_args.clip_length=3", "--data.init_args.max_skip_share=0.9",
         "--models", '{"it": "./model.ckpt"}', "--metrics", "{mse: {class_path: MSE}}",
         "--output", "out", "--seeds", "1"]  # fmt: skip
READING = {
    "fit": FIT,
    "validate": [*FIT, "--ckpt_path", "model.ckpt"],
    "test": [*FIT, "--ckpt_path", "model.ckpt"],
    "predict": [*FIT, "--ckpt_path", "model.ckpt"],
    "evaluate": [*TABLE, "--tune", "{}"],
    "best-of": [*TABLE[:-2], "--draws.sizes=[1]", "--draws.samples=1"],
    "action-following": [*TABLE, "--splits", "{a: test, b: test}"],
}
STOPPING = {
    "data tokens": ["--tokenizer", "./tokenizer", "--source", "data", "--root", "out"],
    "data counterfactual": ["data", "--root", "out", "--length", "3", "--processes", "1"],
}


@pytest.mark.parametrize("command", READING)
def test_a_hostile_sample_is_skipped_by_every_command_that_reads_shards(place, command):
    for split in ("train", "val", "test"):
        out = [("../out.json", b"{}"), (f"{place}/left.json", b"{}")]
        spoil(Path(f"data/{split}-000000.tar"), f"{split}-1", *out)
    message = r"samples had to be skipped: .*-000000\.tar: \w+-1\b.*its values are object"
    with pytest.warns(UserWarning, match=message):
        main([command, *READING[command]])


@pytest.mark.parametrize("command", STOPPING)
def test_a_hostile_sample_stops_commands_that_need_all_by_name(place, command):
    spoil(Path("data/test-000000.tar"), "test-1")
    with pytest.raises(ValueError, match=r"data/test-000000\.tar: test-1: "):
        main([*command.split(), *STOPPING[command]])
    assert not Path("out/manifest.json").exists()


def test_a_hostile_page_is_skipped_where_words_are_learnt(place):
    write_pages(place / "pages", {"train": [tick(n, "click [1]") for n in range(3)]})
    (shard,) = Path("pages").glob("*.tar")
    members = read_tar(shard)
    write_tar(shard, [(members[0][0], DEEP), *members[1:], ("../out.json", b"{}")])
    with pytest.warns(UserWarning, match=r"2 of \d samples had to be skipped: .*the JSON is brok"):
        main(["data", "bpe", "--data=rlvr_world.web.data.WebDataModule", "--data.root=pages",
              "--data.max_skip_share=0.9", "--output=out", "--vocab_size=280"])  # fmt: skip


ROWS = {
    "data webarena": ["rows", "--root", "data"],
    "data bytesized32": ["rows", "--root", "data"],
}
MANIFESTS = READING | STOPPING | ROWS
del MANIFESTS["test"], MANIFESTS["predict"]  # which are as ``validate``


@pytest.mark.parametrize("command", MANIFESTS)
def test_a_hostile_manifest_is_refused_by_every_command_that_reads_one(place, command):
    Path("rows").mkdir()
    for name in ("train", "test"):
        Path(f"rows/{name}.jsonl").write_text("{}\n")
    Path("data/manifest.json").write_bytes(DEEP)
    with pytest.raises(ValueError, match=r"data/manifest\.json is not a manifest of shards as "):
        main([*command.split(), *MANIFESTS[command]])


def test_a_manifest_that_claims_episodes_is_compared_with_its_shards(place):
    for settings in ({"length": 4, "episodes": {"test": 10**12}}, {"length": "x"}, {}):
        Manifest.build("data", "pusht", settings).save("data")
        with pytest.raises(ValueError, match=r"data/manifest\.json does not fit the shards"):
            main(["data", "counterfactual", *STOPPING["data counterfactual"]])


HOSTILE_ROWS = {
    "deep": DEEP, "binary": bytes(range(256)), "object": b'{"a": !!python/object:os}',
    "infinite": b'{"task_id": 1e999}', "half a character": b'{"task_id": "\\ud800"}',
    "huge": b'"' + b"x" * 2**24 + b'"',
}  # fmt: skip


@pytest.mark.parametrize("kind", HOSTILE_ROWS)
@pytest.mark.parametrize("command", ROWS)
def test_hostile_rows_are_refused_by_file_and_line(place, command, kind):
    Path("rows").mkdir()
    for name in ("train", "test"):
        Path(f"rows/{name}.jsonl").write_bytes(HOSTILE_ROWS[kind] + b"\n")
    with pytest.raises(ValueError, match=r"rows/t\w+\.jsonl line 1\b"):
        main([*command.split(), "rows", "--root", "out"])
    assert not Path("out").exists()

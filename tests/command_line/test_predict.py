"""What ``predict`` writes, of frames, of numbers and of words; and ``test`` of video."""

import json
import logging
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from tiny_video import CONTEXT, SIZE, TinyVideo, export_tokenizer, save_untrained

from rlvr_world.callbacks.prediction_writer import PredictionWriter
from rlvr_world.cli import main
from rlvr_world.modules.saved import load_world_model
from rlvr_world.rl.sampler import Sampler


@pytest.fixture(scope="module")
def preset(tmp_path_factory):
    """A run of an untrained model of video, with the config that names it."""
    folder = tmp_path_factory.mktemp("preset")
    tokenizer = export_tokenizer(folder / "tokenizer")
    codec = {"tokenizer": str(tokenizer), "frame_size": [SIZE, SIZE], "context_frames": CONTEXT,
             "action_low": [0, 0], "action_high": [1, 1]}  # fmt: skip
    backbone = {"dim": 16, "depth": 1, "heads": 2}
    model = {
        "codec": {"class_path": "FrameCodec", "init_args": codec},
        "backbone": {"class_path": "Transformer", "init_args": backbone},
        "rewards": {"mae": {"class_path": "MAE"}},
        "sampling": {"temperature": 0},
    }
    config = {
        "data": "tiny_video.TinyVideo",
        "model": {"class_path": "MLEWorldModel", "init_args": model},
        "trainer": {"accelerator": "cpu", "enable_progress_bar": False},
    }
    path = folder / "configs/mine/world_model.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(yaml.safe_dump(config))
    checkpoint = folder / "checkpoints/mine/world_model/checkpoints/last.ckpt"
    checkpoint.parent.mkdir(parents=True)
    save_untrained(checkpoint, tokenizer)
    return folder


@pytest.fixture
def place(preset, monkeypatch):
    monkeypatch.chdir(preset)
    return preset


def predict(*options):
    main(["predict", "-c", "configs/mine/world_model.yaml", *options])


def written(folder):
    lines = [json.loads(line) for line in (folder / "predictions.jsonl").open()]
    assert [line["key"] for line in lines] == [f"clip{index}" for index in range(5)]
    return [folder / line["file"] for line in lines]


def test_predicted_frames_are_written_and_it_says_where(place, caplog, recwarn):
    caplog.set_level(logging.INFO, "lightning.pytorch")
    predict("--frames", "npy")
    folder = place / "checkpoints/mine/world_model/predictions"
    (arrays,) = [np.load(file, allow_pickle=False) for file in written(folder)[3:4]]
    assert (arrays.shape, arrays.dtype) == ((1, SIZE, SIZE, 3), np.uint8)
    assert "5 predictions are in checkpoints/mine/world_model/predictions" in caplog.text
    assert not [each for each in recwarn if "batch indices" in str(each.message)]
    predict("--output", "strips")
    for file in written(place / "strips"):
        array = np.load(folder / f"{file.stem}.npy")
        assert np.array_equal(np.asarray(Image.open(file)), array[0])


def test_they_are_what_the_model_predicts(place):
    predict("--frames", "npy", "--output", "arrays")
    model = load_world_model("checkpoints/mine/world_model/checkpoints/last.ckpt", "cpu")
    batch = next(iter(TinyVideo().test_dataloader()))
    with torch.no_grad():
        frames = model.predict(batch, Sampler(temperature=0))
    expected = (frames * 255).round().byte().permute(0, 1, 3, 4, 2).numpy()
    found = [np.load(file) for file in written(place / "arrays")[:3]]
    assert np.array_equal(np.stack(found), expected)


def test_frames_as_a_video(place):
    av = pytest.importorskip("av")
    predict("--frames", "mp4", "--output", "videos")
    with av.open(str(written(place / "videos")[0])) as container:
        (frame,) = container.decode(video=0)
    assert (frame.height, frame.width) == (SIZE, SIZE)


def test_video_is_tested(place, capsys):
    main(["test", "-c", "configs/mine/world_model.yaml"])
    shown = capsys.readouterr().out
    assert "test/nll" in shown
    assert "test/reward/mae" in shown


def write(folder, prediction, keys, rank=0, world_size=1):
    writer = PredictionWriter(folder)
    trainer = SimpleNamespace(global_rank=rank, world_size=world_size)
    writer.on_predict_start(trainer, None)
    writer.write_on_batch_end(trainer, None, prediction, None, {"key": keys}, 0, 0)
    writer.on_predict_end(trainer, None)


def test_words_and_other_numbers(tmp_path):
    write(tmp_path, ["on\n", "ä"], ["a", "b"], rank=1, world_size=2)
    lines = (tmp_path / "predictions-1.jsonl").read_text(encoding="utf-8").splitlines()
    assert lines == ['{"key": "a", "prediction": "on\\n"}', '{"key": "b", "prediction": "ä"}']
    write(tmp_path, torch.tensor([[0.5, -2.0]]), ["angles"])
    assert np.load(tmp_path / "angles.npy").tolist() == [0.5, -2.0]
    with pytest.raises(ValueError, match="predict_step must return 2 states"):
        write(tmp_path, ["one"], ["a", "b"])


def test_keys_become_names_of_files_in_the_folder(tmp_path):
    keys = ["../up", "..", ".hidden", "a/b:1", "a_b:1", "a%2Fb:1", "x" * 300, "x" * 301, "ü"]
    write(tmp_path, torch.zeros(len(keys), 2), keys)
    lines = [json.loads(line) for line in (tmp_path / "predictions.jsonl").open()]
    assert [line["key"] for line in lines] == keys
    files = {path.name for path in tmp_path.iterdir()} - {"predictions.jsonl"}
    assert sorted(files) == sorted(line["file"] for line in lines)
    assert len(files) == len(keys)
    assert not [name for name in files if name.startswith(".")]


def test_a_file_in_the_folders_place_is_named(tmp_path):
    path = tmp_path / "taken"
    path.touch()
    with pytest.raises(OSError, match=r"output: .*taken cannot be written to \(File exists\)"):
        PredictionWriter(path).on_predict_start(SimpleNamespace(world_size=1), None)

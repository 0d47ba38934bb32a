"""The analyses as a user runs them, on a tiny recording and for a few steps."""

import csv
import json

import pytest
import torch
from PIL import Image
from tiny_analysis import prepare, record

from rlvr_world.cli import main
from rlvr_world.demos.analysis import METRICS, metric_settings, reward_options

RLVR = ("--rlvr", "rlvr.yaml", "--evaluation", "evaluation.yaml", "--max_steps", "4")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return prepare(tmp_path_factory.mktemp("analysis"))


def rows(path):
    with path.open() as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_metrics_trains_with_each_and_scores_with_all(place, monkeypatch):
    monkeypatch.chdir(place)
    command = ("analyse", "metrics", *RLVR, "--mle", "mle.ckpt", "--data", "data")
    main([*command, "--folder", "metrics"])
    table = json.loads((place / "metrics/table.json").read_text())
    assert list(table["checkpoints"]) == ["mle", *METRICS]
    for name in METRICS:
        saved = torch.load(place / f"metrics/{name}/checkpoints/best.ckpt", weights_only=True)
        assert set(saved["hyper_parameters"]["rewards"]) == {name}
        assert saved["global_step"] <= 4
    gains = rows(place / "metrics/gains.csv")
    assert len(gains) == 6 * 5
    for gain in gains:
        own, base = (table["rows"][row][gain["metric"]][0] for row in (gain["row"], "mle"))
        sign = 1 if table["higher_is_better"][gain["metric"]] else -1
        assert float(gain["gain %"]) == pytest.approx(100 * sign * (own - base) / abs(base))
    assert Image.open(place / "metrics/gains.png").size > (300, 200)
    times = {name: (place / f"metrics/{name}/checkpoints/last.ckpt").stat().st_mtime_ns
             for name in METRICS}  # fmt: skip
    (place / "metrics/psnr/finished.json").unlink()
    main([*command, "--folder", "metrics"])
    for name, time in times.items():
        assert (place / f"metrics/{name}/checkpoints/last.ckpt").stat().st_mtime_ns == time
    assert (place / "metrics/psnr/finished.json").exists()


def test_group_size_draws_curves_and_a_table(place, monkeypatch):
    monkeypatch.chdir(place)
    main(["analyse", "group-size", *RLVR, "--mle", "mle.ckpt", "--data", "data",
          "--sizes", "[2, 3]", "--folder", "groups"])  # fmt: skip
    for size in (2, 3):
        saved = torch.load(place / f"groups/group_{size}/checkpoints/last.ckpt", weights_only=True)
        assert saved["hyper_parameters"]["group_size"] == size
    table = json.loads((place / "groups/table.json").read_text())
    assert list(table["checkpoints"]) == ["mle", "group_2", "group_3"]
    curves = json.loads((place / "groups/curves.json").read_text())
    assert curves["group_3"]["val/reward"]["batches"] == [2]
    assert curves["group_3"]["val/reward"]["gradient_steps"] == [4]
    assert (place / "groups/curves.png").exists()
    assert (place / "groups/gains.png").exists()


@pytest.mark.slow
def test_joint_trains_on_all_and_scores_on_each(place, monkeypatch):
    monkeypatch.chdir(place)
    record(place / "other", seed=1)
    data = json.dumps({"first": "data", "second": "other"})
    main(["analyse", "joint", *RLVR, "--data", data, "--tokenizer", "tokenizer",
          "--world_model", "mle.yaml", "--mle_steps", "2", "--folder", "joint"])  # fmt: skip
    names = ["joint_mle", "rlvr_first", "rlvr_second"]
    prints = set()
    for name in ("first", "second"):
        table = json.loads((place / f"joint/{name}/table.json").read_text())
        assert list(table["checkpoints"]) == names
        prints.add(table["data"])
    assert len(prints) == 2
    trained = {
        name: torch.load(place / f"joint/{name}/checkpoints/last.ckpt", weights_only=True)
        for name in names
    }
    assert {trained[name]["provenance"]["data"] for name in names[1:]} == prints
    assert trained["joint_mle"]["provenance"]["data"] not in prints
    assert len(rows(place / "joint/gains.csv")) % 6 == 0


def test_metrics_keep_the_settings_of_the_config_but_not_the_weights():
    path = METRICS["lpips"]
    found = metric_settings(
        {"perceptual": {"class_path": path, "init_args": {"backbone": "vgg", "weight": 3}}}
    )
    assert list(found) == list(METRICS)
    assert found["lpips"]["init_args"] == {"backbone": "vgg", "weight": 1.0}
    _, reward, _, callback = reward_options(found, "psnr")
    assert list(json.loads(reward)) == ["psnr"]
    watched = json.loads(callback)["init_args"]["rewards"]
    weights = {name: each["init_args"]["weight"] for name, each in watched.items()}
    assert weights == {"mae": 0, "mse": 0, "psnr": 1, "ssim": 0, "lpips": 0}


def test_wrong_input_is_named(place, monkeypatch):
    monkeypatch.chdir(place)
    command = ["analyse", "group-size", *RLVR, "--data", "data", "--folder", "wrong"]
    with pytest.raises(FileNotFoundError, match=r"no\.ckpt: no such checkpoint"):
        main([*command, "--mle", "no.ckpt"])
    with pytest.raises(ValueError, match="sizes must be at least 2"):
        main([*command, "--mle", "mle.ckpt", "--sizes", "[1, 4]"])
    with pytest.raises(ValueError, match="two data sets or more, got 1"):
        main(["analyse", "joint", *RLVR, "--data", '{"first": "data"}', "--tokenizer", "tokenizer",
              "--world_model", "mle.yaml", "--folder", "wrong"])  # fmt: skip

import csv
import json

import pytest
import torch
from jsonargparse import auto_cli
from PIL import Image
from tiny_video import TinyVideo, export_tokenizer, save_untrained

from rlvr_world.evaluation.evaluate import SamplerSearch, TunedRow, evaluate
from rlvr_world.evaluation.rows import load_model
from rlvr_world.files import sha256
from rlvr_world.modules.minimum_bayes_risk import MinimumBayesRisk
from rlvr_world.modules.saved import load_world_model
from rlvr_world.rl.sampler import Sampler
from rlvr_world.video.clip_distance import FrechetClipDistance
from rlvr_world.video.rewards.frames import MAE, MSE
from rlvr_world.video.scenes.pusht import View
from rlvr_world.video.scenes.pusht_scene import PushTScene

RLVR = ("--model.rewards", '{"mae": {"class_path": "rlvr_world.video.rewards.frames.MAE"}}')


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny")
    tokenizer = export_tokenizer(folder / "tokenizer")
    return {
        "mle": save_untrained(folder / "mle.ckpt", tokenizer, seed=1),
        "rlvr": save_untrained(folder / "rlvr.ckpt", tokenizer, "rlvr.RLVRWorldModel", 2, RLVR),
    }


def run(files, output, data=None, **options):
    arguments = {"metrics": {"mse": MSE()}, "rewards": {"mae": MAE(2.0)}, "device": "cpu"}
    arguments |= {"data": data or TinyVideo(), "models": files, "output": output}
    return evaluate(**(arguments | options))


@pytest.fixture(scope="module")
def result(files, tmp_path_factory):
    folder = tmp_path_factory.mktemp("table")
    search = SamplerSearch(temperatures=[0.0, 1.0], top_ks=[None, 3], limit=4)
    run(
        files,
        folder,
        scene=PushTScene(View(side=320, image_size=32)),
        tune={"mle_tuned_sampling": "mle"},
        samplers={"rlvr": Sampler(temperature=0.0)},
        search=search,
        pictured=2,
        seconds={"mle": 3.0},
    )
    return folder


def test_table_has_the_rows_and_columns(result):
    table = json.loads((result / "table.json").read_text())
    names = ["copy_last", "reconstruction", "mle", "mle_tuned_sampling", "rlvr"]
    assert list(table["rows"]) == names
    assert (table["seeds"], table["samples"], table["data"]) == (3, 5, "noise")
    assert table["seconds"] == {"mle": 3.0}
    assert table["labels"]["mse"] == "MSE"
    assert "cores" in table["device"]
    assert table["samplers"]["rlvr"]["temperature"] == 0
    columns = {"mse", "reward", *PushTScene.labels}
    assert set(table["rows"]["copy_last"]) == columns
    assert set(table["rows"]["mle"]) == columns | {"nll"}
    with (result / "table.csv").open() as file:
        assert [row[0] for row in csv.reader(file)] == ["row", *names]


def test_a_table_of_the_first_transitions(files, tmp_path):
    table = run(files, tmp_path, limit=3)
    assert table.samples == 3


def test_a_column_may_compare_clips_as_a_whole(files, tmp_path):
    class Means(torch.nn.Module):
        def forward(self, clips):
            return clips.mean(dim=(-2, -1)).flatten(1)

    run(files, tmp_path, distance=FrechetClipDistance(Means(), label="of means"))
    table = json.loads((tmp_path / "table.json").read_text())
    assert table["labels"]["frechet"] == "of means"
    assert not table["higher_is_better"]["frechet"]
    for name in ("copy_last", "reconstruction", "mle", "rlvr"):
        assert table["rows"][name]["frechet"][0] > 0
    assert table["rows"]["mle"]["frechet"][1] > 0


def test_only_sampling_has_spread(result):
    rows = json.loads((result / "table.json").read_text())["rows"]
    assert rows["mle"]["mse"][1] > 0
    assert rows["mle"]["nll"][1] == 0
    for name in ("copy_last", "reconstruction", "rlvr"):  # rlvr was decoded greedily
        assert rows[name]["mse"][1] == pytest.approx(0, abs=1e-9)
    assert rows["mle_tuned_sampling"]["nll"] == rows["mle"]["nll"]


def test_baselines_equal_a_computation_by_hand(result, files):
    rows = json.loads((result / "table.json").read_text())["rows"]
    clips = TinyVideo().test_dataloader().dataset
    frames = clips.frames.float() / 255
    last, truth = frames[:, 1], frames[:, 2]
    assert rows["copy_last"]["mse"][0] == pytest.approx(float((last - truth).square().mean()))
    assert rows["copy_last"]["reward"][0] == pytest.approx(-2 * float((last - truth).abs().mean()))
    codec = load_model("mle", files["mle"], torch.device("cpu")).codec
    tokenizer = codec.tokenizer.module
    rebuilt = tokenizer.decode(tokenizer.encode(truth))
    mse = float((rebuilt - truth).square().mean())
    assert rows["reconstruction"]["mse"][0] == pytest.approx(mse, rel=1e-5)


def test_nll_is_that_of_the_module(result, files):
    rows = json.loads((result / "table.json").read_text())["rows"]
    model = load_model("mle", files["mle"], torch.device("cpu"))
    total = 0.0
    for batch in TinyVideo().test_dataloader():
        sequence = model.codec.encode(batch)
        total += float(model.negative_log_likelihood(sequence)) * len(batch["key"])
    assert rows["mle"]["nll"][0] == pytest.approx(total / 5, rel=1e-5)


def test_predictions_are_drawn(result):
    with Image.open(result / "predictions.png") as picture:
        assert picture.size[0] > 7 * 128


def test_two_runs_agree(files, tmp_path):
    first, second = (run(files, tmp_path / name) for name in "ab")
    assert first.cells.equals(second.cells)


def test_the_tuned_sampler_has_the_best_reward_of_the_grid(files, tmp_path):
    search = SamplerSearch(temperatures=[1.0], top_ks=[None, 1, 4], limit=4)
    only_mle = {"mle": files["mle"]}
    table = run(only_mle, tmp_path, tune={"best": "mle"}, search=search)
    rewards = {
        k: run(
            only_mle,
            tmp_path / str(k),
            split="val",
            seeds=1,
            samplers={"mle": Sampler(1.0, k)},
        ).cells.loc[("mle", "reward"), "mean"]
        for k in search.top_ks
    }
    assert table.samplers["best"]["top_k"] == max(rewards, key=rewards.get)


def test_a_row_may_take_the_best_of_several_predictions_against_the_others(files, tmp_path):
    samplers = {"mbr": MinimumBayesRisk(3, temperature=0.8)}
    search = SamplerSearch(temperatures=[0.0, 0.5, 1.0], top_ks=[None, 2], limit=2)
    models = {"mle": files["mle"], "mbr": files["mle"]}
    options = {
        "samplers": samplers,
        "tune": {"best": TunedRow("mle", 3)},
        "search": search,
        "seeds": 2,
    }
    table = run(models, tmp_path, **options)
    assert table.samplers["mbr"] == {"temperature": 0.8, "top_k": None, "top_p": None, "mbr": 3}
    assert table.samplers["best"]["temperature"] in (0.5, 1.0)
    assert (table.samplers["best"]["mbr"], table.samplers["best"]["top_k"]) == (3, None)
    rewards = table.cells["mean"].xs("reward", level="metric")
    assert rewards["mbr"] > rewards["mle"]
    with pytest.raises(ValueError, match="MinimumBayesRisk needs a temperature above 0"):
        run(models, tmp_path, **(options | {"search": SamplerSearch([0.0])}))


def test_a_gain_of_rlvr_is_divided_by_the_rows_of_its_parent(files, tmp_path, capsys):
    checkpoint = torch.load(files["rlvr"], weights_only=True)
    parent = {"path": "moved.ckpt", "sha256": sha256(files["mle"])}
    checkpoint["provenance"]["parent"] = parent
    torch.save(checkpoint, tmp_path / "child.ckpt")
    models = {"mle": files["mle"], "likeliest": files["mle"], "child": tmp_path / "child.ckpt"}
    table = run(models, tmp_path, samplers={"likeliest": Sampler(0)}, seeds=2)
    assert list(table.decomposition) == ["child"]
    sentence = table.decomposition["child"]
    assert sentence.startswith("child: ")
    assert "in reward over mle" in sentence
    assert json.loads((tmp_path / "table.json").read_text())["decomposition"]["child"] == sentence
    assert "child: " in capsys.readouterr().out
    models["child"] = files["rlvr"]  # of no known parent
    assert run(models, tmp_path, seeds=2).decomposition == {}


@pytest.fixture
def overlaid(files, tmp_path):
    """The RLVR run again, with another reward."""
    options = (*RLVR, "--model.rewards.mae.weight", "2")
    tokenizer = files["mle"].parent / "tokenizer"
    return save_untrained(tmp_path / "o.ckpt", tokenizer, "rlvr.RLVRWorldModel", 2, options)


def refused(files, folder, monkeypatch, **options):
    """The sentence of a table that is refused before any setting of a sampler is tried."""
    monkeypatch.setattr(SamplerSearch, "best", lambda *_: pytest.fail("it was searched"))
    with pytest.raises((ValueError, OSError)) as error:
        run(files, folder, **{"tune": {"tuned": "mle"}} | options)
    return str(error.value)


class Unseen(MAE):
    def frame_scores(self, prediction, target):
        raise ValueError("a column that fails")


def test_what_a_table_needs_is_tried_before_a_search(files, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    sentence = refused(files, tmp_path / "file", monkeypatch)
    assert sentence == f"output: {tmp_path}/file cannot be written to (File exists); choose another"
    missing = refused(files, tmp_path, monkeypatch, data=TinyVideo(test_clips=0))
    assert "the test split is empty" in missing
    assert "a column that fails" in refused(files, tmp_path, monkeypatch, metrics={"a": Unseen()})
    greedy = {"tune": {"mbr": TunedRow("mle", 2)}, "search": SamplerSearch(temperatures=[0.0])}
    assert "needs a temperature above 0" in refused(files, tmp_path, monkeypatch, **greedy)


def test_a_search_has_temperatures_from_0_on():
    with pytest.raises(ValueError, match="no temperature is below 0"):
        SamplerSearch(temperatures=[-1.0, 1.0])


def test_the_reward_is_that_of_the_checkpoints_unless_it_is_given(files, overlaid, tmp_path):
    options = {"rewards": None, "tune": {"tuned": "mle"}, "search": SamplerSearch([0.5], limit=2)}
    once = run(files, tmp_path, **options)
    twice = run(files | {"rlvr": overlaid}, tmp_path, **options)
    first = run({"mle": files["mle"], "a": overlaid, "b": files["rlvr"]}, tmp_path, rewards=None)
    given = run(files, tmp_path)
    weights = [table.rewards for table in (once, twice, first, given)]
    assert weights == [{"mae": 1.0}, {"mae": 2.0}, {"mae": 2.0}, {"mae": 2.0}]
    one, two, three = (t.cells.loc[("mle", "reward"), "mean"] for t in (once, twice, given))
    assert two == pytest.approx(2 * one)
    assert three == two
    written = json.loads((tmp_path / "table.json").read_text())
    assert written["rewards"] == {"mae": 2.0}


def test_what_a_checkpoint_calls_a_reward_must_be_one(files, tmp_path):
    checkpoint = torch.load(files["rlvr"], weights_only=True)
    checkpoint["hyper_parameters"]["rewards"] = {"mae": {"class_path": "torch.nn.Linear"}}
    torch.save(checkpoint, tmp_path / "odd.ckpt")
    with pytest.raises(
        ValueError,
        match=r"odd.ckpt: rewards.mae: names the class torch.nn.Linear, which is no Reward",
    ):
        run({"rlvr": tmp_path / "odd.ckpt"}, tmp_path, rewards=None)


def test_without_a_reward_there_is_no_column_and_nothing_to_tune_by(files, tmp_path):
    only_mle = {"mle": files["mle"]}
    table = run(only_mle, tmp_path, rewards=None)
    assert list(table.labels) == ["mse", "nll"]
    with pytest.raises(ValueError, match="tune: settings are chosen by the reward, but no"):
        run(only_mle, tmp_path, rewards=None, tune={"tuned": "mle"})


def test_command_line(files, tmp_path):
    config = tmp_path / "evaluation.yaml"
    config.write_text(
        f"""
data: {{class_path: tiny_video.TinyVideo, init_args: {{test_clips: 2}}}}
models: {{mle: {files["mle"]}}}
metrics: {{mse: {{class_path: rlvr_world.video.rewards.frames.MSE}}}}
rewards: {{mae: {{class_path: rlvr_world.video.rewards.frames.MAE, init_args: {{weight: 0.5}}}}}}
scene:
  class_path: rlvr_world.video.scenes.pusht_scene.PushTScene
  init_args: {{view: {{side: 320, image_size: 32}}}}
tune: {{mle_tuned_sampling: mle}}
search: {{temperatures: [0, 1], top_ks: [null, 2], limit: 2}}
seeds: 2
device: cpu
output: {tmp_path / "out"}
"""
    )
    auto_cli({"evaluate": evaluate}, args=["evaluate", "--config", str(config)])
    rows = json.loads((tmp_path / "out" / "table.json").read_text())["rows"]
    assert list(rows) == ["copy_last", "reconstruction", "mle", "mle_tuned_sampling"]


def test_bad_input_is_one_sentence(files, tmp_path):
    cases = [
        ({}, {}, "at least one checkpoint"),
        ({"mle": tmp_path / "none.ckpt"}, {}, r"models.mle: .*none.ckpt: no such checkpoint"),
        (files, {"tune": {"x": "unknown"}}, "tune: unknown is no row"),
        (files, {"tune": {"mle": "rlvr"}}, "a row mle already"),
        (files, {"samplers": {"x": Sampler()}}, "samplers: x is no row"),
        (files, {"seeds": 0}, "seeds must be at least 1"),
        (files, {"limit": 0}, "limit must be at least 1"),
        (files, {"data": TinyVideo(test_clips=0)}, "the test split is empty"),
    ]
    for models, options, message in cases:
        with pytest.raises((ValueError, FileNotFoundError), match=message):
            run(models, tmp_path, **options)


def test_models_of_another_tokenizer_or_codec_are_refused(files, tmp_path):
    other = export_tokenizer(tmp_path / "tokenizer", seed=9)
    stranger = save_untrained(tmp_path / "stranger.ckpt", other)
    with pytest.raises(ValueError, match=r"models.x: .*stranger.ckpt uses the token code"):
        run(files | {"x": stranger}, tmp_path)
    same = files["mle"].parent / "tokenizer"
    coarse = ("--model.codec.action_high", "[2, 2]")
    finer = save_untrained(tmp_path / "finer.ckpt", same, options=coarse)
    with pytest.raises(ValueError, match=r"models.x: .*(token sequences|token code)"):
        run(files | {"x": finer}, tmp_path)


def test_a_checkpoint_keeps_its_tokenizer_and_refuses_another(tmp_path):
    tokenizer = export_tokenizer(tmp_path / "tokenizer")
    checkpoint = save_untrained(tmp_path / "mle.ckpt", tokenizer)
    own = load_world_model(checkpoint).codec.fingerprint
    export_tokenizer(tokenizer, seed=5)
    assert load_world_model(checkpoint).codec.fingerprint == own
    with pytest.raises(ValueError, match=r"mle.ckpt: .*trained on the tokens"):
        load_world_model(checkpoint, tokenizer=tokenizer)


def test_a_checkpoint_of_the_tokenizer_is_no_world_model(tmp_path):
    torch.save({"state_dict": {}}, tmp_path / "tokenizer.ckpt")
    with pytest.raises(ValueError, match=r"tokenizer.ckpt: not the checkpoint of a world model"):
        run({"mle": tmp_path / "tokenizer.ckpt"}, tmp_path)

"""The commands, run in this process as a user runs them."""

import json

import pytest
import torch
from stages import checkpoint, fit
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from rlvr_world import __version__
from rlvr_world.cli import console, main
from rlvr_world.video.tokenizer.vq_model import VQModel


def logged(folder):
    events = EventAccumulator(str(folder), size_guidance={"images": 0})
    events.Reload()
    return events.Tags()


def test_every_stage_leaves_a_checkpoint_that_says_where_it_comes_from(workplace):
    parents = {"tokenizer": None, "mle": None, "rlvr": str(checkpoint("mle"))}
    data = {
        name: json.loads((workplace / "data" / name / "manifest.json").read_text())["fingerprint"]
        for name in ("pusht", "pusht_tokens")
    }
    for stage, parent in parents.items():
        provenance = torch.load(checkpoint(stage), weights_only=True)["provenance"]
        assert provenance["version"] == __version__
        assert (provenance["parent"] and provenance["parent"]["path"]) == parent
        assert provenance["data"] == data["pusht_tokens" if stage == "mle" else "pusht"]
        assert (checkpoint(stage).parents[1] / "config.yaml").exists()


def test_tensorboard_shows_what_the_stages_do(workplace):
    tags = logged(checkpoint("rlvr").parents[1])
    names = "reward reward/mae reward/lpips kl clip_fraction spreadless_groups entropy"
    expected = {f"train/{name}" for name in [*names.split(), "tokens_per_second"]}
    expected |= {f"time/{name}" for name in ("rollout", "decode", "reward", "update")}
    assert expected <= set(tags["scalars"])
    assert "val/predictions" in tags["images"]
    assert {"train/loss", "val/nll", "val/reward"} <= set(
        logged(checkpoint("mle").parents[1])["scalars"]
    )


REFERENCES = ["velocity", "states_and_action"]


def test_evaluate_writes_the_table(workplace):
    models = json.dumps({name: str(checkpoint(name)) for name in ("mle", "rlvr")})
    options = ("--models", models, "--seeds", "2", "--search.limit", "2")
    main(["evaluate", "-c", "configs/pusht/evaluation.yaml", "--output", "table", *options])
    table = json.loads((workplace / "table/table.json").read_text())
    assert list(table["rows"]) == [
        *REFERENCES, "copy_last", "reconstruction", "mle", "mle_tuned_sampling", "mle_mbr", "rlvr",
        "rlvr_tuned_sampling",
    ]  # fmt: skip
    for name, row in table["rows"].items():
        columns = {"mse", "psnr", "ssim", "lpips", "reward"}
        columns |= {"agent_missing", "block_missing", "block_error", "block_iou"}
        assert set(row) == {"agent_error"} if name in REFERENCES else columns <= set(row)
        assert all(len(cell) == 2 for cell in row.values())
    assert table["rows"]["mle"]["nll"][0] > 0
    assert table["seeds"] == 2
    assert table["samples"] == 16
    assert (workplace / "table/predictions.png").stat().st_size > 1000
    assert (workplace / "table/table.csv").exists()


def test_switches_for_speed_and_the_objective_are_options(workplace):
    fit("rlvr", "--model.weights", str(checkpoint("mle")), "--model.group_size", "4",
        "--model.sampler", "rlvr_world.rl.sampler.Sampler", "--model.sampler.token_budget", "900",
        "--model.token_budget", "900", "--model.backbone.checkpointing", "true",
        "--model.objective.clip_high", "0.28", "--model.objective.spreadless", "drop",
        "--model.objective.level", "sequence", "--run", "switches")  # fmt: skip
    settings = torch.load(checkpoint("switches"), weights_only=True)["hyper_parameters"]
    assert settings["sampler"]["init_args"]["token_budget"] == 900
    assert settings["objective"]["clip_high"] == 0.28
    assert settings["objective"]["kl_weight"] == 1e-3


def test_validate_and_test_read_a_checkpoint(workplace, capsys):
    options = ("-c", "configs/pusht/rlvr.yaml", "-c", "configs/trainer/debug.yaml")
    for command in ("validate", "test"):
        main([command, *options, "--ckpt_path", str(checkpoint("rlvr"))])
    assert "val/reward" in capsys.readouterr().out


def test_resumed_stage_goes_on_where_it_stopped(workplace):
    fit("world_model", "--trainer.max_steps", "6", "--ckpt_path", str(checkpoint("mle")),
        "--run", "longer")  # fmt: skip
    assert torch.load(checkpoint("longer"), weights_only=True)["global_step"] == 6


def test_a_checkpoint_of_another_tokenizer_is_named(workplace):
    fit("tokenizer", "--seed_everything", "1", "--run", "another")
    other = ("--model.codec.tokenizer", str(checkpoint("another")))
    weights = ("--model.weights", str(checkpoint("mle")))
    with pytest.raises(ValueError, match=r"mle.*last\.ckpt: trained on the tokens of FrameCodec"):
        fit("rlvr", *other, *weights)
    with pytest.raises(ValueError, match="its tokens were made by tokenizer"):
        fit("world_model", *other)


def test_token_shards_of_another_tokenizer_are_not_mixed(workplace, tmp_path):
    VQModel.load(checkpoint("tokenizer")).export(tmp_path / "tokenizer")
    settings = tmp_path / "tokens/settings.json"
    settings.parent.mkdir()
    settings.write_text('{"tokenizer": "older", "source": "other"}')
    folders = ("--source", "data/pusht", "--root", str(settings.parent))
    with pytest.raises(ValueError, match="was made with tokenizer older"):
        main(["data", "tokens", "--tokenizer", str(tmp_path / "tokenizer"), *folders])


def test_errors_of_ours_are_one_sentence(workplace, monkeypatch):
    monkeypatch.setattr("sys.argv", ["rlvr-world", "data", "tokens", "--tokenizer", "no.ckpt",
                                     "--source", "data/pusht", "--root", "x"])  # fmt: skip
    with pytest.raises(SystemExit, match=r"^rlvr-world: error: no\.ckpt"):
        console()


def test_misspelt_keys_are_named(workplace, capsys):
    with pytest.raises(SystemExit):
        fit("rlvr", "--model.grup_size", "4")
    assert "grup_size" in capsys.readouterr().err
    (workplace / "wrong.yaml").write_text("model: {init_args: {grup_size: 4}}")
    with pytest.raises(SystemExit):
        fit("rlvr", "-c", "wrong.yaml")
    assert "grup_size" in capsys.readouterr().err


def test_data_without_a_source_lists_the_sources():
    with pytest.raises(SystemExit, match="0"):
        main(["data"])


def test_help_names_the_other_commands(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    assert "evaluate" in capsys.readouterr().out

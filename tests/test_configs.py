"""Every YAML under configs/ is of a known kind and instantiates; small ones run in other tests."""

import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
import yaml
from jsonargparse import ArgumentParser
from lightning import LightningDataModule, Trainer
from stages import ROOT, checkpoint
from tokenizers import Tokenizer, models
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast

from rlvr_world import cli
from rlvr_world.applications.planning.command import plan
from rlvr_world.applications.policies.command import policies
from rlvr_world.callbacks.defaults import default_callbacks
from rlvr_world.codec import Codec
from rlvr_world.command_line.training import TrainingCLI
from rlvr_world.evaluation.best_of import best_of
from rlvr_world.evaluation.evaluate import evaluate
from rlvr_world.evaluation.following import action_following
from rlvr_world.modules.sharding import FSDP2
from rlvr_world.reward import Reward
from rlvr_world.runs import folder_of
from rlvr_world.video.lpips.trunks import BACKBONES
from rlvr_world.video.tokenizer.compressive import CompressiveVQModel
from rlvr_world.video.tokenizer.vq_model import VQModel
from rlvr_world.web.agent.agent import Agent
from rlvr_world.web.agent.command import web_agent

CONFIGS = ROOT / "configs"
BASES = ("tokenizer", "state_probe", "action_probe", "world_model", "rlvr")
OVERLAYS = {
    "repetition": "rlvr", "task_specific": "rlvr", "world_model_7b": "world_model",
    "rlvr_7b": "rlvr", "sharpen": "rlvr", "verbs": "evaluation",
}  # fmt: skip
DATA = ("data", "stills", "segments", "states", "tokens", "prompts", "tasks")
PARTS = {"codec": Codec, "backbone": None, **dict.fromkeys(DATA, LightningDataModule)}
REWARDS = ("rewards", "rewards_repetition", "metrics")
COMMANDS = {"evaluation": evaluate, "counterfactual": action_following, "best_of": best_of,
            "agent": web_agent, "planning": plan, "policies": policies}  # fmt: skip
FILES = sorted(
    path.relative_to(CONFIGS) for path in CONFIGS.rglob("*.yaml") if path.parent.name != "cluster"
)
PRESETS = [path for path in FILES if path.parts[0] != "trainer"]


def of_kind(*stems):
    return [path for path in PRESETS if path.stem in stems]


def layers(path):
    """A run's config, or that which it is an overlay of and itself."""
    base = path.with_name(f"{OVERLAYS.get(path.stem, path.stem)}.yaml")
    return [CONFIGS / base] if base == path else [CONFIGS / base, CONFIGS / path]


RUNS = [path for path in PRESETS if OVERLAYS.get(path.stem, path.stem) in BASES]


def test_every_file_is_of_a_known_kind():
    known = {*BASES, *OVERLAYS, *PARTS, *REWARDS, *COMMANDS, "recording"}
    assert [path for path in PRESETS if path.stem not in known] == []
    assert len(RUNS) == 45


def test_no_file_names_a_checkpoint_of_a_preset_but_in_comments():
    for path in FILES:
        lines = (CONFIGS / path).read_text().splitlines()
        assert not [line for line in lines if "checkpoints/" in line.partition("#")[0]], path


def test_there_are_few_lines():
    assert sum(len((CONFIGS / path).read_text().splitlines()) for path in FILES) <= 1580


@pytest.fixture(scope="module")
def tokenizers_by_preset(tmp_path_factory):
    """Tokenizers with the codes of each preset on video, but hardly any weights."""
    folder = tmp_path_factory.mktemp("tokenizers")
    VQModel(channels=[8] * 5, latent_channels=8, layers=1, attention=False).export(folder / "rt1")
    options = {"channels": [8], "latent_channels": 8, "layers": 1, "stem": 8}
    small = {"frame_size": [64, 64], "patch_size": 2, "attention_height": 8,
             "levels": [8, 5, 5, 5], "context_levels": [8, 5, 5, 5]}  # fmt: skip
    CompressiveVQModel(**options, attention_height=32).export(folder / "rt1_multi_step")
    CompressiveVQModel(**options, **small).export(folder / "metaworld")
    CompressiveVQModel(**options, **small).export(folder / "pusht_multi_step")
    return folder


@pytest.fixture(scope="module")
def text_tokenizer(tmp_path_factory):
    """A tokenizer of three words."""
    words = Tokenizer(models.WordLevel({"<end>": 0, "<pad>": 1, "lamp": 2}, unk_token="<pad>"))
    folder = tmp_path_factory.mktemp("text_tokenizer")
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=words, eos_token="<end>", pad_token="<pad>"
    )
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def tokenizer_for(tokenizers_by_preset, text_tokenizer, pipeline):
    """The tokenizer that a config needs, by its path."""

    def choose(path: Path) -> str:
        video = tokenizers_by_preset / "_".join(path.parent.parts)
        if path.parts[0] == "pusht" and not video.exists():
            return str(pipeline / checkpoint("tokenizer"))
        return str(video if video.exists() else text_tokenizer)

    return choose


@pytest.fixture(scope="module")
def vgg_weights(tmp_path_factory):
    """Random weights under the names of torchvision's VGG16."""
    path = tmp_path_factory.mktemp("vgg") / "vgg16.pth"
    trunk = nn.Sequential(*BACKBONES["vgg"].layers())
    torch.save({f"features.{name}": value for name, value in trunk.state_dict().items()}, path)
    return path


QWEN = {
    "model_type": "qwen2", "hidden_size": 64, "intermediate_size": 256, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2,
}  # fmt: skip


@pytest.fixture(scope="module")
def small_qwen(tmp_path_factory):
    """A small random model to put in the place of a language model of billions."""
    folder = tmp_path_factory.mktemp("qwen")
    config = AutoConfig.for_model(vocab_size=8, **QWEN)
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    return str(folder)


def instantiate(paths, *options) -> TrainingCLI:
    cli.import_rooms()
    configs = [arg for path in paths for arg in ("-c", str(path))]
    return TrainingCLI(
        [*configs, "--trainer.accelerator", "cpu", "--trainer.devices", "1",
         "--trainer.strategy", "auto", "--trainer.logger", "false", *options],
        run=False,
    )  # fmt: skip


@pytest.mark.parametrize("path", RUNS, ids=str)
def test_runs_instantiate(path, workplace, tokenizer_for, vgg_weights, small_qwen):
    settings = "".join(layer.read_text() for layer in layers(path))
    backbone = path.parent / "backbone.yaml"
    settings += (CONFIGS / backbone).read_text() if (CONFIGS / backbone).exists() else ""
    options = []
    if "codec:" in settings:
        options = ["--model.codec.tokenizer", tokenizer_for(path)]
    if "weights: mle" in settings:
        options += ["--model.weights", str(checkpoint("mle"))]
    if "LanguageModel" in settings:
        pytest.importorskip("peft", reason="peft is not installed")
        options += ["--model.backbone.source", small_qwen]
    if "VLLMSampler" in settings:
        options += ["--model.sampler.model", small_qwen]
    if path.parts[0] == "rt1" and path.stem == "rlvr":
        if find_spec("lpips") is None:
            pytest.skip("the package lpips, which holds linear layers, is missing")
        options += ["--model.rewards.lpips.weights", str(vgg_weights)]
    run = instantiate(layers(path), *options)
    assert sum(p.numel() for p in run.model.parameters()) > 80_000
    assert run.config.folder == folder_of(CONFIGS / path)
    sizes = {"rt1/tokenizer.yaml": 104.41e6, "rt1/multi_step/tokenizer.yaml": 129_448_016}
    if str(path) in sizes:
        count = sum(p.numel() for p in run.model.model.parameters())
        assert count == pytest.approx(sizes[str(path)], abs=1e4)
    vocabulary = {"rt1": 4375, "rt1/multi_step": 2 * 4375}
    if path.name != "tokenizer.yaml" and str(path.parent) in vocabulary:
        assert run.model.codec.vocab_size == vocabulary[str(path.parent)] + 256 + 2
        assert run.model.codec.tokens_per_frame == {"rt1": 320}.get(str(path.parent), 80)


@pytest.mark.parametrize("path", of_kind(*DATA, "codec"), ids=str)
def test_parts_instantiate(path, workplace, tokenizer_for):
    cli.import_rooms()
    settings = yaml.safe_load((CONFIGS / path).read_text())
    if path.stem == "codec":
        settings["init_args"]["tokenizer"] = tokenizer_for(path)
    parser = ArgumentParser()
    parser.add_argument("--part", type=PARTS[path.stem])
    part = parser.instantiate(parser.parse_object({"part": settings})).part
    assert isinstance(part, PARTS[path.stem])


@pytest.mark.parametrize("path", of_kind(*REWARDS), ids=str)
def test_rewards_parse(path):
    cli.import_rooms()
    parser = ArgumentParser()
    parser.add_argument("--rewards", type=dict[str, Reward])
    rewards = parser.parse_object({"rewards": yaml.safe_load((CONFIGS / path).read_text())}).rewards
    assert all(each.class_path.startswith("rlvr_world.") for each in rewards.values())


@pytest.mark.parametrize("path", [*of_kind(*COMMANDS), *of_kind("verbs")], ids=str)
def test_commands_parse(path):
    cli.import_rooms()
    command = COMMANDS[OVERLAYS.get(path.stem, path.stem)]
    parser = ArgumentParser()
    parser.add_argument("-c", action="config")
    parser.add_function_arguments(command, as_group=False, sub_configs=True)
    configs = [f"-c={layer}" for layer in layers(path)]
    settings = parser.parse_args([*configs, "--output", "x"])
    if command is web_agent:
        agents = parser.instantiate(settings).agents
        assert next(iter(agents)) == "policy_alone"
        assert all(isinstance(agent, Agent) for agent in agents.values())
        assert agents["policy_alone"].imaginer is None
        assert agents["simulator"].imaginer is not None
    else:
        assert settings.models
        assert settings.get("rewards") is None
    if command in (evaluate, action_following):
        assert settings.seeds == (1 if path.parts[0] == "rt1" else max(3, settings.seeds))
    if command is best_of:
        assert settings.draws.sizes == (1, 5, 10, 50, 100)


@pytest.mark.parametrize("path", of_kind("rlvr", "world_model"), ids=str)
def test_runs_keep_their_last_state_whether_or_not_it_is_their_best(path, tmp_path):
    """Lightning's ``save_last`` writes nothing while the monitored metric gets worse."""
    settings = yaml.safe_load((CONFIGS / path).read_text())["trainer"]
    own = [c["init_args"] for c in settings["callbacks"] if c["class_path"] == "ModelCheckpoint"]
    kept = [(each["filename"], "monitor" in each) for each in own]
    if not own:
        module = torch.nn.Module()
        module.monitor = "val/nll"
        callbacks = default_callbacks(module, None, {}, tmp_path)
        checkpoints = [c for c in callbacks if hasattr(c, "filename")]
        kept = [(each.filename, each.monitor is not None) for each in checkpoints]
    assert kept == [("best", True), ("last", False)]


def test_a_copy_of_a_preset_has_runs_of_its_own(tmp_path):
    shutil.copytree(CONFIGS / "pusht", tmp_path / "configs/mine")
    assert folder_of(tmp_path / "configs/mine/rlvr.yaml") == Path("checkpoints/mine")
    nested = tmp_path / "configs/mine/multi_step/rlvr.yaml"
    assert folder_of(nested) == Path("checkpoints/mine/multi_step")


def test_overlays_say_where_and_how_only():
    for path in (CONFIGS / "trainer").glob("*.yaml"):
        assert set(yaml.safe_load(path.read_text())) == {"trainer"}


@pytest.mark.parametrize("name", ["gpu", "ddp", "multi_node", "fsdp2", "debug"])
def test_overlays_make_trainers(name):
    settings = yaml.safe_load((CONFIGS / f"trainer/{name}.yaml").read_text())["trainer"]
    trainer = Trainer(**settings | {"accelerator": "cpu", "devices": 1}, logger=False)
    assert isinstance(trainer.strategy, FSDP2) == (name == "fsdp2")


@pytest.mark.parametrize(("name", "millions"), [("rt1", 120.38), ("rt1/multi_step", 127.10)])
def test_paper_size_of_the_world_model(name, millions, workplace, tokenizer_for):
    path = Path(name, "world_model.yaml")
    model = instantiate(layers(path), "--model.codec.tokenizer", tokenizer_for(path)).model
    count = sum(p.numel() for p in model.backbone.parameters())
    assert count == pytest.approx(millions * 1e6, abs=1e4)

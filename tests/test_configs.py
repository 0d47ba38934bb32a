"""Every YAML under configs/ instantiates; the small ones run in tests/test_cli.py."""

from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
import yaml
from jsonargparse import ArgumentParser
from lightning import LightningDataModule, LightningModule
from lightning.pytorch.cli import LightningCLI
from stages import ROOT, checkpoint
from tokenizers import Tokenizer, models
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast

from rlvr_world.codec import Codec
from rlvr_world.evaluation.best_of import best_of
from rlvr_world.evaluation.evaluate import evaluate
from rlvr_world.video.lpips.trunks import BACKBONES
from rlvr_world.video.tokenizer.compressive import CompressiveVQModel
from rlvr_world.video.tokenizer.vq_model import VQModel
from rlvr_world.web.agent.agent import Agent
from rlvr_world.web.agent.command import web_agent

RUNS = sorted(
    path.relative_to(ROOT)
    for stage in ("tokenizer", "state_probe", "world_model", "rlvr")
    for path in (ROOT / "configs" / stage).glob("*.yaml")
)
PARTS = {"data": LightningDataModule, "codec": Codec}
KNOWN = {
    "application",
    "data",
    "recording",
    "codec",
    "tokenizer",
    "state_probe",
    "world_model",
    "rlvr",
    "evaluation",
    "best_of",
    "trainer",
}


@pytest.fixture(scope="module")
def paper_tokenizer(tmp_path_factory):
    """A tokenizer with the paper's codes and patch size, but hardly any weights."""
    model = VQModel(channels=[8] * 5, latent_channels=8, layers=1, attention=False)
    folder = tmp_path_factory.mktemp("paper_tokenizer")
    model.export(folder)
    return folder


@pytest.fixture(scope="module")
def compressive_tokenizers(tmp_path_factory):
    """Compressive tokenizers with the codes of the paper and of the demo, hardly any weights."""
    options = {"channels": [8], "latent_channels": 8, "layers": 1, "stem": 8}
    sizes = {
        "rt1": {"attention_height": 32},
        "metaworld": {
            "frame_size": [64, 64], "patch_size": 2, "attention_height": 8,
            "levels": [8, 5, 5, 5], "context_levels": [8, 5, 5, 5],
        },
    }  # fmt: skip
    sizes["pusht"] = sizes["metaworld"]
    folder = tmp_path_factory.mktemp("compressive_tokenizers")
    for name, size in sizes.items():
        CompressiveVQModel(**options, **size).export(folder / name)
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
def tokenizer_for(paper_tokenizer, compressive_tokenizers, text_tokenizer, pipeline):
    """The tokenizer that a config needs, by the config's name."""

    def choose(name: str) -> str:
        if name.startswith(("textworld", "bytesized32", "web")):
            return str(text_tokenizer)
        if "multi_step" in name or "metaworld" in name:
            return str(compressive_tokenizers / name.split("_")[0])
        return str(paper_tokenizer if "rt1" in name else pipeline / checkpoint("tokenizer"))

    return choose


@pytest.fixture(scope="module")
def vgg_weights(tmp_path_factory):
    """Random weights under the names of torchvision's VGG16."""
    path = tmp_path_factory.mktemp("vgg") / "vgg16.pth"
    trunk = nn.Sequential(*BACKBONES["vgg"].layers())
    torch.save({f"features.{name}": value for name, value in trunk.state_dict().items()}, path)
    return path


def test_every_folder_of_configs_is_tested():
    assert {path.name for path in (ROOT / "configs").iterdir()} == KNOWN
    assert len(RUNS) >= 6


def instantiate(path: Path, *options: str) -> LightningCLI:
    return LightningCLI(
        LightningModule, LightningDataModule, subclass_mode_model=True, subclass_mode_data=True,
        auto_configure_optimizers=False, save_config_callback=None, run=False,
        args=["-c", str(path), "--trainer.accelerator", "cpu", "--trainer.logger", "false",
              "--trainer.callbacks", "null", *options],
    )  # fmt: skip


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


@pytest.mark.parametrize("path", RUNS, ids=str)
def test_runs_instantiate(path, workplace, tokenizer_for, vgg_weights, small_qwen):
    options = []
    if path.parts[1] in ("world_model", "rlvr"):
        options = ["--model.codec.tokenizer", tokenizer_for(path.name)]
    settings = (ROOT / path).read_text()
    if "LanguageModel" in settings:
        pytest.importorskip("peft", reason="peft is not installed")
        options += ["--model.backbone.source", small_qwen]
    if "VLLMSampler" in settings:
        options += ["--model.sampler.model", small_qwen]
    if path.name.startswith("rt1") and path.parts[1] == "rlvr":
        if find_spec("lpips") is None:
            pytest.skip("the package lpips, which holds linear layers, is missing")
        options += ["--model.rewards.lpips.weights", str(vgg_weights)]
    cli = instantiate(path, *options)
    assert sum(p.numel() for p in cli.model.parameters()) > 80_000
    if path.name == "rt1_single_step.yaml":
        assert cli.model.codec.vocab_size == 4375 + 256 + 2
        assert cli.model.codec.tokens_per_frame == 320
    if path.name == "rt1_multi_step.yaml":
        assert cli.model.codec.vocab_size == 2 * 4375 + 256 + 2
        assert cli.model.codec.tokens_per_frame == 80
    if path.name == "rt1_frame.yaml":
        assert sum(p.numel() for p in cli.model.model.parameters()) == pytest.approx(
            104.41e6, abs=1e4
        )
    if path.name == "rt1_compressive.yaml":
        assert sum(p.numel() for p in cli.model.model.parameters()) == 129_448_016


@pytest.mark.parametrize("kind", PARTS)
def test_parts_instantiate(kind, workplace, tokenizer_for):
    for path in sorted((ROOT / "configs" / kind).glob("*.yaml")):
        settings = yaml.safe_load(path.read_text())
        if kind == "codec":
            settings["init_args"]["tokenizer"] = tokenizer_for(path.name)
        parser = ArgumentParser()
        parser.add_argument("--part", type=PARTS[kind])
        part = parser.instantiate(parser.parse_object({"part": settings})).part
        assert isinstance(part, PARTS[kind])


def test_best_of_parse(workplace):
    paths = sorted((ROOT / "configs/best_of").glob("*.yaml"))
    assert len(paths) >= 2
    for path in paths:
        parser = ArgumentParser()
        parser.add_function_arguments(best_of, as_group=False, sub_configs=True)
        settings = parser.parse_path(path)
        assert settings.draws.sizes == (1, 5, 10, 50, 100)
        assert settings.models


def test_evaluations_parse(workplace):
    for path in sorted((ROOT / "configs/evaluation").glob("*.yaml")):
        parser = ArgumentParser()
        parser.add_function_arguments(evaluate, as_group=False, sub_configs=True)
        settings = parser.parse_path(path)
        assert settings.seeds >= 3
        assert settings.models


def test_web_agents_parse():
    paths = sorted((ROOT / "configs/application").glob("web_agent*.yaml"))
    assert len(paths) >= 2
    for path in paths:
        parser = ArgumentParser()
        parser.add_function_arguments(web_agent, as_group=False, sub_configs=True)
        settings = parser.instantiate(parser.parse_path(path))
        assert next(iter(settings.agents)) == "policy_alone"
        assert all(isinstance(agent, Agent) for agent in settings.agents.values())
        assert settings.agents["policy_alone"].imaginer is None
        assert settings.agents["simulator"].imaginer is not None


@pytest.mark.parametrize("path", RUNS, ids=str)
def test_runs_keep_their_last_state_whether_or_not_it_is_their_best(path):
    """Lightning's ``save_last`` writes nothing while the monitored metric gets worse."""
    callbacks = yaml.safe_load((ROOT / path).read_text())["trainer"]["callbacks"]
    kept = [c["init_args"] for c in callbacks if c["class_path"] == "ModelCheckpoint"]
    assert [(each["filename"], "monitor" in each) for each in kept] == [
        ("best", True),
        ("last", False),
    ]


def test_overlays_say_where_and_how_only():
    for path in (ROOT / "configs/trainer").glob("*.yaml"):
        assert set(yaml.safe_load(path.read_text())) == {"trainer"}


@pytest.mark.parametrize(("name", "millions"), [("single", 120.38), ("multi", 127.10)])
def test_paper_size_of_the_world_model(name, millions, workplace, tokenizer_for):
    path = ROOT / f"configs/world_model/rt1_{name}_step.yaml"
    model = instantiate(path, "--model.codec.tokenizer", tokenizer_for(path.name)).model
    count = sum(p.numel() for p in model.backbone.parameters())
    assert count == pytest.approx(millions * 1e6, abs=1e4)

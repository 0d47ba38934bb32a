"""Published folders of strangers: what they say is data, for every command that opens one."""

import json
import os
import pickle
import shutil
import struct
from pathlib import Path

import published
import pytest
import torch
from games import step, write_root
from hostile import DEEP
from published import SMALL_FRAME, SMALL_LLAMA
from safetensors.torch import save_file
from stages import ROOT
from tiny_video import export_tokenizer, save_untrained
from tokenizers import Tokenizer, models
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from rlvr_world.cli import main
from rlvr_world.language.tokenizers import load_tokenizer
from rlvr_world.nn.language_model import LanguageModel
from rlvr_world.video.published.folders import read_published
from rlvr_world.video.tokenizer import TokenizerModel

MARK = "it_ran"
CODE = f"open({MARK!r}, 'w').close()\n"
HUGE = 10**9


class Bomb:
    def __reduce__(self):
        return os.system, (f"touch {MARK}",)


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """Sound folders of each kind, which tests spoil copies of."""
    folder = tmp_path_factory.mktemp("sources")
    for name, config in (("frame", SMALL_FRAME), ("llama", SMALL_LLAMA)):
        published.write(folder / name, config, published.random_weights(config))
    export_tokenizer(folder / "tokenizer")
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 2}
    LlamaForCausalLM(LlamaConfig(vocab_size=64, **sizes, **heads)).save_pretrained(folder / "model")
    words = models.WordLevel({"<end>": 0, "a": 1}, "a")
    fast = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(words), eos_token="<end>")
    fast.save_pretrained(folder / "words")
    return folder


@pytest.fixture
def place(sources, tmp_path, monkeypatch):
    """The current folder, in which nothing may appear but ``out``: no mark of what has run."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(sources, tmp_path, dirs_exist_ok=True)
    shutil.copytree(ROOT / "configs", "configs")
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("it asks whether to run code"))
    yield tmp_path
    left = {path.name for path in tmp_path.iterdir()} - {path.name for path in sources.iterdir()}
    assert left <= {"configs", "out", "data", "model.ckpt"}


def weights(folder):
    (file,) = Path(folder).glob("*.safetensors")
    return file


def settings(**changes):
    def edit(folder):
        file = folder / "config.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | changes))

    return edit


def content(name, value):
    return lambda folder: (folder / name).write_bytes(value)


def pickled(folder):
    file = weights(folder)
    file.write_bytes(pickle.dumps(Bomb()))


def cut(folder):
    file = weights(folder)
    file.write_bytes(file.read_bytes()[:-10])


def claiming(folder):
    """A header that claims 4 TB."""
    shape = {"dtype": "F32", "shape": [10**12], "data_offsets": [0, 4 * 10**12]}
    head = json.dumps({"a": shape}).encode()
    weights(folder).write_bytes(struct.pack("<Q", len(head)) + head)


def index_of_elsewhere(folder):
    weights(folder).unlink()
    index = {"weight_map": {"a": "../frame/diffusion_pytorch_model.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


FILES = {"pickle": pickled, "cut": cut, "4 TB": claiming,
         "deep": content("config.json", DEEP), "list": content("config.json", b"[]"),
         "binary": content("config.json", bytes(range(256)))}  # fmt: skip
PUBLISHED = FILES | {
    "deep network": settings(num_hidden_layers=HUGE),
    "wide network": settings(hidden_size=HUGE * HUGE),
    "wide": settings(hidden_size=2**20),
    "no heads": settings(num_attention_heads=0),
    "no list": settings(architectures=5, model_type=None),
    "rope": settings(rope_parameters="rope"),
    "elsewhere": index_of_elsewhere,
}
TOKENIZER = FILES | {
    "deep network": settings(layers=HUGE),
    "wide network": settings(channels=[2**20] * 3),
    "no such kind": settings(kind="os.system"),
    "kind of list": settings(kind=["vq_model"]),
    "no such setting": settings(weights="x"),
    "text": settings(channels="channels"),
}


@pytest.mark.parametrize("kind", PUBLISHED)
def test_a_published_folder_is_refused_by_name(place, kind):
    PUBLISHED[kind](place / "llama")
    with pytest.raises((ValueError, FileNotFoundError), match=r"llama/\S+: "):
        read_published(Path("llama"))


@pytest.mark.parametrize("kind", TOKENIZER)
def test_a_folder_of_a_tokenizer_is_refused_by_name(place, kind):
    TOKENIZER[kind](place / "tokenizer")
    with pytest.raises(ValueError, match=r"^tokenizer: "):
        TokenizerModel.load("tokenizer")


def code_beside(*names):
    """Code in the folder, under which its config names the classes of a model nobody knows."""

    def edit(folder):
        (folder / "stranger.py").write_text(CODE)
        settings(model_type="stranger", auto_map={n: "stranger.Net" for n in names})(folder)

    return edit


def in_pickles(folder):
    weights(folder).unlink()
    torch.save({"it": Bomb()}, folder / "pytorch_model.bin")


LANGUAGE = FILES | {
    "code": code_beside("AutoConfig", "AutoModelForCausalLM"),
    "code elsewhere": settings(model_type="stranger", auto_map={"AutoConfig": "org/it--it.Net"}),
    "kernels": settings(attn_implementation="org/kernels"),
    "adapter": content("adapter_config.json", b'{"base_model_name_or_path": "org/model"}'),
    "bin": in_pickles,
    "fewer weights": settings(num_hidden_layers=9),
}


@pytest.mark.parametrize("kind", LANGUAGE)
def test_a_folder_of_a_language_model_is_refused_by_name(place, kind):
    LANGUAGE[kind](place / "model")
    with pytest.raises((ValueError, FileNotFoundError), match=r"^model: "):
        LanguageModel(64, source="model")


def of_words(**changes):
    def edit(folder):
        file = folder / "tokenizer_config.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | changes))
        (folder / "stranger.py").write_text(CODE)

    return edit


WORDS = {
    "code": of_words(tokenizer_class="Net", auto_map={"AutoTokenizer": ["stranger.Net", None]}),
    "deep": content("tokenizer.json", DEEP),
    "list": content("tokenizer.json", b"[]"),
    "binary": content("tokenizer.json", bytes(range(256))),
    "config": content("tokenizer_config.json", DEEP),
}


@pytest.mark.parametrize("kind", WORDS)
def test_a_folder_of_a_language_tokenizer_is_refused_by_name(place, kind):
    WORDS[kind](place / "words")
    with pytest.raises((ValueError, FileNotFoundError), match=r"^words: "):
        load_tokenizer("words")


def test_a_language_tokenizer_is_of_no_class_that_its_folder_names(place):
    of_words(tokenizer_class="os.system")(place / "words")
    assert isinstance(load_tokenizer("words"), PreTrainedTokenizerFast)


DEBUG = ["-c", "configs/trainer/debug.yaml", "--folder", "out"]
VIDEO = ["fit", "-c", "configs/pusht/world_model.yaml", *DEBUG, "--data=tiny_video.TinyVideo"]
TEXT = ["fit", "-c", "configs/textworld/world_model.yaml", *DEBUG, "--data.root", "data"]
COMMANDS = {
    "convert rt1": (PUBLISHED["pickle"], "frame", ["convert", "rt1", "frame", "--output", "out"]),
    "export": (
        TOKENIZER["pickle"], "tokenizer",
        ["export", "--checkpoint", "tokenizer", "--output", "out"],
    ),
    "data tokens": (
        TOKENIZER["pickle"], "tokenizer",
        ["data", "tokens", "--tokenizer", "./tokenizer", "--source", "x", "--root", "out"],
    ),
    "fit of video": (
        TOKENIZER["pickle"], "tokenizer", [*VIDEO, "--model.codec.tokenizer", "./tokenizer"]
    ),
    "fit of text": (WORDS["code"], "words", [*TEXT, "--model.codec.tokenizer", "./words"]),
    "fit of a language model": (
        LANGUAGE["code"], "model",
        [*TEXT, "--model.codec.tokenizer", "./words", "--model.backbone=LanguageModel",
         "--model.backbone.source", "./model"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_refuses_a_hostile_folder(place, command):
    spoil, folder, args = COMMANDS[command]
    write_root(place / "data", {"train": [step(0, "switch 1")], "val": [step(1, "switch 1")]})
    spoil(place / folder)
    with pytest.raises((ValueError, FileNotFoundError), match=rf"{folder}\S*: "):
        main(args)
    assert not list(place.glob("out/**/*.safetensors"))


@pytest.mark.parametrize("command", ["evaluate", "best-of", "export", "action-following"])
def test_a_tokenizer_in_a_checkpoint_is_held_to_the_same(place, command):
    """The folder's content, packed into a world model's checkpoint."""
    save_untrained(place / "model.ckpt", place / "tokenizer")
    saved = torch.load("model.ckpt", weights_only=True)
    saved["codec"]["tokenizer"]["config"]["layers"] = HUGE
    torch.save(saved, "model.ckpt")
    tables = ["--data=tiny_video.TinyVideo", "--models", '{"it": "./model.ckpt"}']
    tables += ["--metrics", "{mse: {class_path: MSE}}", "--output", "out"]
    args = {
        "export": ["--checkpoint", "model.ckpt", "--output", "out"],
        "action-following": [*tables, "--splits", "{a: test, b: val}"],
    }
    with pytest.raises(ValueError, match=rf"model\.ckpt.*layers is {HUGE}"):
        main([command, *args.get(command, tables)])
    assert not Path("out").exists()


def test_a_deep_network_in_a_checkpoint_is_refused(place):
    save_untrained(place / "model.ckpt", place / "tokenizer")
    saved = torch.load("model.ckpt", weights_only=True)
    saved["hyper_parameters"]["backbone"]["init_args"]["depth"] = HUGE
    torch.save(saved, "model.ckpt")
    with pytest.raises(ValueError, match=rf"model\.ckpt: backbone: depth is {HUGE}, but the file"):
        main(["export", "--checkpoint", "model.ckpt", "--output", "out"])


def test_weights_of_another_network_ask_for_no_memory(place):
    save_file({"a": torch.zeros(1)}, weights("llama"))
    settings(hidden_size=2**16, intermediate_size=2**18, vocab_size=2**20, bos_token_id=None,
             eos_token_id=None)(place / "llama")  # fmt: skip
    with pytest.raises(ValueError, match=r"llama/\S+: "):
        read_published(Path("llama"))

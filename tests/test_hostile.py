"""Files of strangers: what a checkpoint, config or manifest says is data, for every command."""

import copy
import json
import os
import pickle
import sys

import pytest
import torch
from stages import checkpoint, fit

from rlvr_world.cli import console, main
from rlvr_world.command_line.commands import COMMANDS
from rlvr_world.modules.saved import load_world_model
from rlvr_world.web.agent.imaginers import WorldModelImaginer
from rlvr_world.web.sites.site import AnySite

MARK = "it_ran"
POPEN = {"class_path": "subprocess.Popen", "init_args": {"args": ["touch", MARK]}}
STRANGER = {"class_path": "stranger.Codec", "init_args": {}}
SYSTEM = {"class_path": "os.system", "init_args": {"command": f"touch {MARK}"}}


@pytest.fixture
def place(workplace):
    """The folder of the stages, in which a module leaves a mark when it is imported."""
    (workplace / "stranger.py").write_text(f"open({MARK!r}, 'w').close()\n")
    yield workplace
    ran = (workplace / MARK).exists()
    (workplace / MARK).unlink(missing_ok=True)
    sys.modules.pop("stranger", None)
    assert not ran, "what the file says was run"


def set_deep(tree, keys, value):
    for key in keys[:-1]:
        tree = tree.setdefault(key, {})
    tree[keys[-1]] = value


def hostile(changes, name="hostile.ckpt", stage="rlvr"):
    """A copy of a stage's checkpoint, changed at nested keys."""
    content = copy.deepcopy(torch.load(checkpoint(stage), weights_only=True))
    for keys, value in changes.items():
        set_deep(content, keys.split("/"), value)
    torch.save(content, name)
    return name


CODEC, BACKBONE, REWARDS = (f"hyper_parameters/{n}" for n in ("codec", "backbone", "rewards"))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({CODEC: POPEN}, "codec: names the class subprocess.Popen, which is no Codec"),
        ({CODEC: STRANGER}, "codec: names the class stranger.Codec, .* add `--trust stranger`"),
        ({CODEC: "os.system"}, "does not say how its codec and backbone are built"),
        ({BACKBONE: SYSTEM}, "backbone: names the class os.system, which is no SequenceModel"),
        ({f"{BACKBONE}/class_path": "rlvr_world.files.delete"}, "rlvr_world.files.delete"),
        ({f"{BACKBONE}/class_path": "rlvr_world.nowhere.Net"}, "rlvr_world.nowhere.Net"),
        ({f"{CODEC}/init_args/action_low": POPEN}, "FrameCodec.action_low: is plain data"),
        ({f"{CODEC}/init_args/prompts": [POPEN]}, "FrameCodec.prompts: is plain data"),
        ({f"{BACKBONE}/init_args/depth": {"a": [{"b": POPEN}]}}, "Transformer.depth.a.b: is plain"),
        ({f"{CODEC}/init_args/tokenizer": "org/model", "codec/tokenizer": None}, ""),
        ({"backbone": {"source": "org/model"}}, "source: org/model is neither in the checkpoint"),
    ],
)
def test_a_world_model_is_made_of_known_classes_only(place, changes, said):
    with pytest.raises((ValueError, FileNotFoundError), match=said):
        load_world_model(hostile(changes))


def test_a_language_model_names_no_code_and_no_classes():
    from rlvr_world.modules.trusted import check_specification
    from rlvr_world.nn.sequence_model import SequenceModel

    path = "rlvr_world.nn.language_model.LanguageModel"
    for architecture in (POPEN, {"a": POPEN}, {"auto_map": {"AutoConfig": "org/it--x.Y"}}):
        arguments = {"architecture": architecture}
        with pytest.raises(ValueError, match=r"LanguageModel\.architecture"):
            check_specification(
                {"class_path": path, "init_args": arguments}, SequenceModel, "backbone"
            )
    kernels = {"architecture": {"attn_implementation": "org/kernels"}}
    with pytest.raises(ValueError, match="must not name code that lies elsewhere: org/kernels"):
        check_specification({"class_path": path, "init_args": kernels}, SequenceModel, "backbone")


def commands(file):
    """Every command that opens a checkpoint of a world model."""
    debug = ["-c", "configs/trainer/debug.yaml"]
    rlvr = ["-c", "configs/pusht/rlvr.yaml", *debug, "--model.group_size", "4"]
    models = json.dumps({"it": file})
    return {
        "evaluate": ["evaluate", "-c", "configs/pusht/evaluation.yaml", "--models", models,
                     "--output", "out", "--seeds", "1", "--limit", "1", "--tune", "{}"],
        "best-of": ["best-of", "-c", "configs/pusht/best_of.yaml", "--models", models,
                    "--output", "out"],
        "action-following": ["action-following", "--data=VideoDataModule", "--data.root=data/pusht",
                             "--models", models, "--metrics", "{mse: {class_path: MSE}}",
                             "--splits", "{a: test, b: val}", "--output", "out"],
        "export": ["export", "--checkpoint", file, "--output", "out"],
        "validate": ["validate", *rlvr, "--ckpt_path", file],
        "test": ["test", *rlvr, "--ckpt_path", file],
        "predict": ["predict", *rlvr, "--ckpt_path", file],
        "fit --ckpt_path": ["fit", *rlvr, "--ckpt_path", file, "--run", "other"],
        "fit --model.weights": ["fit", *rlvr, "--model.weights", file, "--run", "other"],
    }  # fmt: skip


@pytest.mark.parametrize("command", commands(""))
def test_no_command_runs_what_a_checkpoint_says(place, command):
    """Commands that rebuild a model refuse it; those that have a config of the user's ignore it."""
    stored = {CODEC: POPEN, BACKBONE: SYSTEM, REWARDS: {"it": POPEN}}
    stored |= {"hyper_parameters/optimizer": POPEN, "hyper_parameters/sampler": STRANGER}
    args = commands(f"./{hostile(stored)}")[command]
    if command in ("evaluate", "best-of", "action-following", "export"):
        with pytest.raises(ValueError, match=r"hostile\.ckpt.*names the class"):
            main(args)
    else:
        main(args)


def test_the_imagination_of_an_agent_is_held_to_the_same(place):
    """``web-agent`` opens its checkpoints by this."""
    imaginer = WorldModelImaginer(hostile({CODEC: POPEN}))
    with pytest.raises(ValueError, match=r"hostile\.ckpt.*names the class subprocess\.Popen"):
        imaginer.open(AnySite("http://here/"), "")


class Bomb:
    def __reduce__(self):
        return os.system, (f"touch {MARK}",)


@pytest.mark.parametrize("command", commands(""))
def test_no_command_unpickles(place, command):
    for name, write in (("bomb.ckpt", torch.save), ("raw.ckpt", None)):
        if write:
            write({"state_dict": {}, "it": Bomb()}, name)
        else:
            (place / name).write_bytes(pickle.dumps({"state_dict": {}, "it": Bomb()}))
        with pytest.raises(ValueError, match=rf"{name}.*(not a readable checkpoint)"):
            main(commands(f"./{name}")[command])


@pytest.mark.parametrize("command", ["data tokens", "fit"])
def test_no_command_unpickles_a_tokenizer(place, command):
    torch.save({"vq_model": {}, "state_dict": {}, "it": Bomb()}, "bomb.ckpt")
    file = ["--tokenizer", "./bomb.ckpt", "--source", "data/pusht", "--root", "out"]
    if command == "fit":
        file = ["-c", "configs/pusht/rlvr.yaml", "--model.codec.tokenizer", "./bomb.ckpt"]
    with pytest.raises(ValueError, match=r"bomb\.ckpt: cannot be read as a tokenizer"):
        main([*command.split(), *file])


def test_a_module_of_the_users_is_trusted_when_it_is_named(place, monkeypatch, capsys):
    (place / "mine.py").write_text(
        "from rlvr_world.video.codecs.frame import FrameCodec\nclass Mine(FrameCodec):\n    pass\n"
    )
    file = hostile({f"{CODEC}/class_path": "mine.Mine"}, "mine.ckpt")
    monkeypatch.delitem(sys.modules, "mine", raising=False)
    with pytest.raises(ValueError, match=r"names the class mine\.Mine, .* add `--trust mine`"):
        main(["export", "--checkpoint", file, "--output", "mine"])
    assert "mine" not in sys.modules
    main(["export", "--trust", "mine", "--checkpoint", file, "--output", "mine"])
    assert "mine" in sys.modules
    monkeypatch.setattr(sys, "argv", ["rlvr-world", "export", "--trust"])
    with pytest.raises(SystemExit):
        console()
    assert "module after --trust" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"text", "cut short or no checkpoint"),
        (None, "cut short or no checkpoint"),
        ("flipped", "damaged, the checksum of"),
    ],
)
def test_a_damaged_checkpoint_is_refused_in_a_sentence(place, content, said):
    whole = checkpoint("mle").read_bytes()
    if content is None:
        content = whole[: len(whole) // 2]
    elif content == "flipped":
        middle = len(whole) // 2
        content = whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :]
    (place / "damaged.ckpt").write_bytes(content)
    with pytest.raises(ValueError, match=rf"damaged\.ckpt: .*{said}"):
        fit("rlvr", "--model.weights", "./damaged.ckpt", "--run", "other")


TAG = b"model: !!python/object/apply:os.system ['touch it_ran']"


def laughs(levels=9):
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    for i in range(1, levels):
        lines.append(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]")
    return "\n".join(lines).encode()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (laughs(), "refers to its own parts so often"),
        (b"a: &a [*a]", "refers to its own parts so often"),
        (b"# " + b"x" * (1 << 20), "larger than 1 MiB"),
        (bytes(range(256)), "no text in UTF-8"),
        (b"[" * 10**5, "nested too deeply"),
        (TAG, "Problems parsing config"),
        (b"- a\n- b", "is no config, which holds names"),
        (b"\x00", "is not YAML"),
    ],
    ids=["laughs", "itself", "large", "binary", "deep", "object", "list", "nul"],
)
@pytest.mark.parametrize("command", ["fit", "data pusht"])
def test_a_config_of_any_kind_is_answered_in_a_sentence(place, content, said, command, capsys):
    (place / "odd.yaml").write_bytes(content)
    with pytest.raises((ValueError, SystemExit)) as error:
        main([*command.split(), "-c", "odd.yaml"])
    assert said in str(error.value) + capsys.readouterr().err


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("content", [laughs(), TAG], ids=["laughs", "object"])
def test_every_command_refuses_a_hostile_config(command, content, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "odd.yaml").write_bytes(content)
    with pytest.raises((ValueError, SystemExit)) as error:
        main([*command.split(), "-c", "odd.yaml"])
    said = str(error.value) + capsys.readouterr().err
    assert "odd.yaml" in said or "Problems parsing config" in said
    assert [path.name for path in tmp_path.iterdir()] == ["odd.yaml"]


@pytest.mark.parametrize(
    "content",
    [b"", b"[" * 10**5, b"\xff\xfe", b"[]", b"1", b'{"splits": 3}', b"{}",
     b'{"splits": {"train": 1}}',
     b'{"source": "x", "settings": {}, "versions": {}, "splits": {}, "fingerprint": "../.."}'],
    ids=lambda content: repr(content[:20]),
)  # fmt: skip
def test_a_manifest_of_any_kind_is_answered_in_a_sentence(place, content, monkeypatch):
    (place / "odd").mkdir(exist_ok=True)
    (place / "odd/manifest.json").write_bytes(content)
    with pytest.raises(ValueError, match=r"^odd"):
        fit("world_model", "--data.root", "odd", "--run", "other")

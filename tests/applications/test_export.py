"""A world model that is no Llama is exported with its codec, and predicts what it did before."""

import json
import re
import shutil

import numpy as np
import pytest
from safetensors.torch import load_file, save_file
from tiny_video import TinyClips, export_tokenizer, save_untrained
from transformers import AutoModelForCausalLM

import rlvr_world
from rlvr_world.cli import main

BACKBONE = "--model.backbone"
PLACED = (f"{BACKBONE}.frames", "4", f"{BACKBONE}.actions", "true", f"{BACKBONE}.features", "true")


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    """A checkpoint and what was exported of it; the tokenizer that it was made with is gone."""
    folder = tmp_path_factory.mktemp("placed")
    export_tokenizer(folder / "tokenizer")
    checkpoint = save_untrained(folder / "mle.ckpt", folder / "tokenizer", options=PLACED)
    shutil.rmtree(folder / "tokenizer")
    main(["export", "--checkpoint", str(checkpoint), "--output", str(folder / "exported")])
    return checkpoint, folder / "exported"


@pytest.fixture
def copy(paths, tmp_path):
    return shutil.copytree(paths[1], tmp_path / "copy")


def test_a_model_with_places_predicts_the_same_bit_for_bit(paths, tmp_path):
    frames = TinyClips(1, 0).frames[0, :2].permute(0, 2, 3, 1).numpy()
    actions = np.random.default_rng(0).random((3, 2))
    one, other = (rlvr_world.load(path).predict(frames, actions) for path in paths)
    assert (one == other).all()
    main(["export", "--checkpoint", str(paths[1]), "--output", str(tmp_path)])
    for name in ("config.json", "model.safetensors"):
        assert (tmp_path / name).read_bytes() == (paths[1] / name).read_bytes()


def test_transformers_does_not_take_it_for_one_of_its_own(paths):
    with pytest.raises(ValueError, match="rlvr_world"):
        AutoModelForCausalLM.from_pretrained(paths[1])


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("codec", "subprocess.Popen", "names the class subprocess.Popen, which is no Codec"),
        ("backbone", "os.system", "names the class os.system, which is no SequenceModel"),
    ],
)
def test_a_folder_makes_known_classes_only(copy, key, value, said):
    config = json.loads((copy / "config.json").read_text())
    config["hyper_parameters"][key]["class_path"] = value
    (copy / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match=re.escape(said)):
        rlvr_world.load(copy)


def test_a_folder_that_is_not_whole_is_one_sentence(copy):
    file = copy / "model.safetensors"
    weights = load_file(file)
    name = next(name for name in weights if name.startswith("state_dict/"))
    save_file({n: w for n, w in weights.items() if n != name}, file)
    with pytest.raises(ValueError, match=f"lacks {re.escape(name.partition('/')[2])}"):
        rlvr_world.load(copy)
    save_file(weights | {"else/where": weights[name].clone()}, file)
    with pytest.raises(ValueError, match="are not those of one exported world model"):
        rlvr_world.load(copy)
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(ValueError, match="are not those of one exported world model"):
        rlvr_world.load(copy)

import json

import published
import pytest
import torch
from published import (
    COMPRESSIVE,
    FRAME,
    LLAMA,
    MULTI_STEP_LLAMA,
    SMALL_CLIPS,
    SMALL_FRAME,
    SMALL_LLAMA,
)  # fmt: skip
from published_shapes import shapes
from safetensors.torch import load_file, save_file

from rlvr_world.nn.llama import ONLY
from rlvr_world.video.published.configs import from_published_config
from rlvr_world.video.published.folders import published_weights, read_published, write_published
from rlvr_world.video.tokenizer.compressive import CompressiveVQModel
from rlvr_world.video.tokenizer.vq_model import VQModel

SIZES = [(FRAME, 104.41), (COMPRESSIVE, 129.45), (LLAMA, 120.38), (MULTI_STEP_LLAMA, 127.10)]
UNREAD = {"_diffusers_version", "force_upcast", "lookup_from_codebook", "sample_size"}
UNREAD |= {"scaling_factor"}
SMALL = {"frame": SMALL_FRAME, "compressive": SMALL_CLIPS, "llama": SMALL_LLAMA}


@pytest.fixture(params=SMALL)
def config(request):
    return SMALL[request.param]


@pytest.fixture
def folder(config, tmp_path):
    return published.write(tmp_path / "source", config, published.random_weights(config))


def weights_file(folder):
    (file,) = folder.glob("*.safetensors")
    return file


def rewritten(folder, **changes):
    """The folder with tensors changed, or left out where None."""
    file = weights_file(folder)
    tensors = load_file(file) | {name.replace("__", "."): t for name, t in changes.items()}
    save_file({name: t for name, t in tensors.items() if t is not None}, file)
    return folder


@pytest.mark.parametrize(("config", "millions"), SIZES)
def test_names_shapes_and_size_are_those_published(config, millions, tmp_path):
    with torch.device("meta"):
        model = from_published_config(config, tmp_path)
    weights = published_weights(model)
    assert {name: weight.shape for name, weight in weights.items()} == shapes(config)
    assert all(w.view.numel() == torch.Size(w.shape).numel() for w in weights.values())
    total = sum(parameter.numel() for parameter in model.parameters())
    assert sum(weight.view.numel() for weight in weights.values()) == total
    assert total / 1e6 == pytest.approx(millions, abs=0.005)


def test_the_published_settings_are_our_defaults(tmp_path):
    with torch.device("meta"):
        assert from_published_config(FRAME, tmp_path).config == VQModel().config
        assert from_published_config(COMPRESSIVE, tmp_path).config == CompressiveVQModel().config


def test_reading_and_writing_changes_nothing(folder, tmp_path):
    after_folder = tmp_path / "again"
    write_published(read_published(folder), after_folder)
    before = load_file(weights_file(folder))
    after = load_file(after_folder / weights_file(folder).name)
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    source, again = (json.loads((f / "config.json").read_text()) for f in (folder, after_folder))
    assert again == {name: source.get(name, ONLY.get(name)) for name in again}
    assert source.keys() - again.keys() <= UNREAD


def test_every_parameter_is_read(folder, config):
    model = read_published(folder)
    assert all(p.dtype == torch.float32 and p.device.type == "cpu" for p in model.parameters())
    values = torch.cat([p.detach().flatten() for p in model.parameters()]).sort().values
    theirs = [tensor.flatten() for tensor in published.random_weights(config).values()]
    assert torch.equal(values, torch.cat(theirs).sort().values)


def test_parts_are_read_as_one_file(folder, config, tmp_path):
    parts = published.write(tmp_path / "parts", config, published.random_weights(config), parts=3)
    assert len(list(parts.glob("*.safetensors"))) == 3
    whole = read_published(folder).state_dict()
    assert all(torch.equal(whole[n], t) for n, t in read_published(parts).state_dict().items())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_becomes_float32(config, dtype, tmp_path):
    weights = published.random_weights(config, dtype)
    model = read_published(published.write(tmp_path, config, weights))
    for name, weight in published_weights(model).items():
        assert torch.equal(weight.view.reshape(weight.shape), weights[name].float())


def test_what_follows_from_the_settings_is_ignored(folder):
    before = read_published(folder).state_dict()
    extra = {
        "quantize._levels": torch.tensor([7, 5, 5, 5, 5]),
        "dynamics_quantize._basis": torch.tensor([1, 7, 35, 175, 875]),
        "dynamics_quantize.implicit_codebook": torch.zeros(4375, 5),
        "model.layers.1.self_attn.rotary_emb.inv_freq": torch.ones(4),
    }
    after = read_published(rewritten(folder, **extra)).state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_a_missing_weight_is_named(folder):
    name = min(load_file(weights_file(folder)))
    with pytest.raises(ValueError, match=rf"{weights_file(folder)}: lacks {name}, which config"):
        read_published(rewritten(folder, **{name: None}))


def test_an_unknown_weight_is_named(folder):
    rewritten(folder, loss__weight=torch.ones(2))
    with pytest.raises(ValueError, match=rf"{weights_file(folder)}: has loss.weight, which conf"):
        read_published(folder)


def test_a_weight_of_another_shape_is_named(folder):
    name = max(load_file(weights_file(folder)))
    rewritten(folder, **{name: torch.ones(2, 3, 4)})
    with pytest.raises(ValueError, match=rf"safetensors: {name} has the shape \[2, 3, 4\], but"):
        read_published(folder)


def test_a_weight_of_integers_is_named(folder):
    name, tensor = max(load_file(weights_file(folder)).items())
    rewritten(folder, **{name: tensor.int()})
    with pytest.raises(ValueError, match=rf"safetensors: {name} is of the type I32, not a float"):
        read_published(folder)


def test_a_cut_file_is_named(folder):
    file = weights_file(folder)
    file.write_bytes(file.read_bytes()[:-10])
    with pytest.raises(ValueError, match=rf"{file}: not readable as safetensors"):
        read_published(folder)


def test_files_that_are_not_there_are_named(folder, config, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nothing/config\.json: no such file"):
        read_published(tmp_path / "nothing")
    parts = published.write(tmp_path / "parts", config, published.random_weights(config), parts=2)
    part = max(parts.glob("*.safetensors"))
    part.unlink()
    with pytest.raises(FileNotFoundError, match=rf"{part}: no such file"):
        read_published(parts)
    weights_file(folder).unlink()
    with pytest.raises(FileNotFoundError, match=r"\.safetensors: no such file"):
        read_published(folder)


@pytest.mark.parametrize(
    ("config", "changes", "sentence"),
    [
        (SMALL_FRAME, {"_class_name": "VQModel"}, "describes VQModel, not a CNNFSQModel256"),
        (SMALL_LLAMA, {"model_type": "gpt2", "architectures": None}, "describes nothing known"),
        (SMALL_FRAME, {"norm_type": "spatial"}, "norm_type is 'spatial', but a CNNFSQModel256"),
        (SMALL_CLIPS, {"context_length": 2}, "context_length is 2, but a CompressiveVQModelFSQ"),
        (SMALL_FRAME, {"block_out_channels": [32, 40]}, "are not all multiples of 32"),
        (SMALL_FRAME, {"fsq_levels": 11}, "levels for 11 bits are not known"),
        (SMALL_FRAME, {"layers_per_block": "two"}, "not the settings of a CNNFSQModel256"),
        (SMALL_LLAMA, {"tie_word_embeddings": True}, "tie_word_embeddings is True, but"),
        (SMALL_LLAMA, {"bos_token_id": 1}, "bos_token_id is 1, but of 4633 ids it is 4631"),
        (SMALL_LLAMA, {"head_dim": 6}, "only plain rotary positions"),
    ],
)
def test_another_config_is_named(config, changes, sentence, tmp_path):
    folder = published.write(tmp_path, config | changes, {})
    with pytest.raises(ValueError, match=rf"{folder}/config\.json: .*{sentence}"):
        read_published(folder)


def test_a_setting_that_lacks_and_a_broken_config_are_named(folder, config):
    name = "hidden_size" if "model_type" in config else "latent_channels"
    (folder / "config.json").write_text(json.dumps({k: config[k] for k in config.keys() - {name}}))
    with pytest.raises(ValueError, match=rf"config\.json: lacks '{name}'"):
        read_published(folder)
    (folder / "config.json").write_text("{")
    with pytest.raises(ValueError, match=r"config\.json: not readable as JSON"):
        read_published(folder)


@pytest.mark.parametrize(
    ("model", "setting"),
    [
        (lambda: VQModel(channels=[32], levels=[7, 5, 5, 5, 5], stem=4), "stem of 4"),
        (lambda: VQModel(channels=[32], levels=[5, 3]), r"levels of \[5, 3\]"),
        (lambda: VQModel(channels=[8]), r"channels of \[8\]"),
        (lambda: CompressiveVQModel((64, 64), [32, 32]), r"frame_size of \[64, 64\]"),
    ],
)
def test_what_the_published_classes_lack_is_not_written(model, setting, tmp_path):
    with pytest.raises(ValueError, match=f"they have no {setting}"):
        write_published(model(), tmp_path)
    assert not list(tmp_path.iterdir())

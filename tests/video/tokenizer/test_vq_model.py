import json

import pytest
import torch
from safetensors.torch import load_file
from torch.testing import assert_close

from rlvr_world.video.codecs.frame import FrameCodec
from rlvr_world.video.tokenizer import CompressiveVQModel, TokenizerModel, VQModel
from rlvr_world.video.tokenizer.vq_model import waves

SMALL = {
    "channels": [8, 16],
    "levels": [5, 5, 3],
    "latent_channels": 8,
    "layers": 1,
    "stem": 4,
    "norm": "batch",
    "attention": False,
    "normalize_codes": True,
}


def small_model(seed=0):
    torch.manual_seed(seed)
    model = VQModel(**SMALL)
    model(torch.rand(8, 3, 32, 48))
    return model.eval()


def checkpoint_of(model):
    weights = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    weights["discriminator.weight"] = torch.zeros(2)
    return {"vq_model": model.config, "state_dict": weights, "epoch": 3}


def test_the_default_is_the_published_size():
    with torch.device("meta"):
        model = VQModel()
    assert sum(p.numel() for p in model.parameters()) == 61_057_472 + 43_355_907 + 325 + 384
    assert (model.downscale, model.num_codes) == (16, 4375)


def test_encode_and_decode_agree_with_the_reconstruction():
    model = small_model()
    frames = torch.rand(2, 3, 32, 48)
    reconstruction = model(frames)
    indices = model.encode(frames)
    assert (model.downscale, model.num_codes) == (8, 75)
    assert indices.shape == (2, 4, 6)
    assert indices.dtype == torch.long
    torch.testing.assert_close(reconstruction.indices, indices)
    torch.testing.assert_close(reconstruction.frames.clamp(0, 1), model.decode(indices))


def test_gradients_reach_the_encoder():
    model = VQModel(**SMALL)
    model(torch.rand(4, 3, 32, 32)).frames.square().mean().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_features_of_codes_tell_how_alike_they_look():
    model = small_model()
    features = model.code_features()
    assert features.shape[0] == model.num_codes == len(features.unique(dim=0))
    assert_close(features, model.code_features())
    side = model.downscale
    codes = torch.arange(model.num_codes)[:, None, None].expand(-1, 3, 3)
    looks = model.decode(codes)[..., side : 2 * side, side : 2 * side].flatten(1)
    spread = features[:, model.quantizer.features().shape[1] :]
    assert_close(spread.square().sum(dim=1).mean().sqrt(), torch.tensor(6.0))
    apart, far = torch.pdist(spread), torch.pdist(looks)
    assert torch.corrcoef(torch.stack([apart, far]))[0, 1] > 0.9


def test_a_flat_patch_has_one_frequency():
    flat = torch.ones(1, 3, 8, 8) * torch.tensor([0.3, 0.6, 0.9])[:, None, None]
    brightness, warm, green = waves(flat).view(3, -1)
    assert_close(torch.stack([c[0] for c in (brightness, warm, green)]) / 8,
                 torch.tensor([0.6, -0.6, 0.0]))  # fmt: skip
    assert_close(torch.stack([brightness, warm, green])[:, 1:].abs().max(), torch.tensor(0.0))


def test_a_size_that_does_not_divide_is_refused():
    with pytest.raises(ValueError, match="60 x 64 pixels do not divide into codes of 8 x 8"):
        small_model().encode(torch.rand(1, 3, 60, 64))


def test_an_exported_folder_and_a_checkpoint_give_the_same_model(tmp_path):
    model = small_model()
    model.export(tmp_path / "exported")
    torch.save(checkpoint_of(model), tmp_path / "tokenizer.ckpt")
    frames = torch.rand(2, 3, 32, 32)
    for path in (tmp_path / "exported", tmp_path / "tokenizer.ckpt"):
        loaded = VQModel.load(path).eval()
        assert loaded.config == model.config
        assert loaded.fingerprint == model.fingerprint
        torch.testing.assert_close(loaded.encode(frames), model.encode(frames))
    assert sorted(p.name for p in (tmp_path / "exported").iterdir()) == [
        "config.json",
        "model.safetensors",
    ]
    assert set(load_file(tmp_path / "exported/model.safetensors")) == set(model.state_dict())
    written = json.loads((tmp_path / "exported/config.json").read_text())
    assert written == {"kind": "vq_model"} | model.config
    (tmp_path / "exported/config.json").write_text(json.dumps(model.config))
    assert VQModel.load(tmp_path / "exported").fingerprint == model.fingerprint


def test_a_world_model_holds_its_tokenizer(tmp_path):
    model, path = small_model(), tmp_path / "world_model.ckpt"
    codec = FrameCodec(model, (32, 48), [0, -1], [1, 2], context_frames=1)
    checkpoint = {"state_dict": {}, "codec": {"fingerprint": codec.fingerprint} | codec.packed()}
    torch.save(checkpoint, path)
    packed = torch.load(path, weights_only=True)["codec"]
    assert VQModel.load(path).fingerprint == model.fingerprint
    assert TokenizerModel.load(path).eval().config == model.config
    again = FrameCodec(path, (32, 48), context_frames=1, action_range=path)
    assert again.fingerprint == packed["fingerprint"] == codec.fingerprint
    with pytest.raises(ValueError, match="of the kind vq_model, but a compressive_vq_model"):
        CompressiveVQModel.load(path)


def test_the_fingerprint_tells_weights_and_arguments_apart():
    model = small_model()
    assert model.fingerprint == small_model().fingerprint
    assert model.fingerprint != small_model(seed=1).fingerprint
    other = VQModel(**SMALL | {"levels": [3, 5, 5]})
    other.load_state_dict(model.state_dict())
    assert other.fingerprint != model.fingerprint


def test_a_missing_file_is_named_with_the_stage_that_makes_it(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.ckpt.*tokenizer stage makes it"):
        VQModel.load(tmp_path / "none.ckpt")


def test_a_checkpoint_of_another_kind_is_refused(tmp_path):
    torch.save({"state_dict": {"backbone.weight": torch.zeros(1)}}, tmp_path / "world_model.ckpt")
    with pytest.raises(ValueError, match=r"world_model\.ckpt: not a tokenizer checkpoint"):
        VQModel.load(tmp_path / "world_model.ckpt")


@pytest.mark.parametrize("length", [0, 100, 5000])
def test_a_truncated_checkpoint_is_refused(tmp_path, length):
    torch.save(checkpoint_of(small_model()), tmp_path / "whole.ckpt")
    (tmp_path / "cut.ckpt").write_bytes((tmp_path / "whole.ckpt").read_bytes()[:length])
    with pytest.raises(ValueError, match=r"cut\.ckpt: (is empty|not a readable checkpoint)"):
        VQModel.load(tmp_path / "cut.ckpt")


def test_a_truncated_exported_folder_is_refused(tmp_path):
    small_model().export(tmp_path)
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:200])
    with pytest.raises(ValueError, match="cannot be read as a tokenizer"):
        VQModel.load(tmp_path)


def test_a_folder_without_a_model_is_refused(tmp_path):
    said = r"without a tokenizer's config.json; of a run give .*best\.ckpt"
    with pytest.raises(ValueError, match=said):
        VQModel.load(tmp_path)

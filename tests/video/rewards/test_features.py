import json

import pytest
import torch
from image_backbones import MEAN, SMALL, STD, dinov2, saved_backbone
from torchvision.transforms import v2
from transformers import (
    BertConfig,
    BertModel,
    CLIPConfig,
    CLIPModel,
    Dinov2Model,
    PreTrainedModel,
    ResNetConfig,
    ResNetModel,
    ViTConfig,
    ViTForImageClassification,
    ViTMAEConfig,
    ViTMAEModel,
)

from rlvr_world.rl.credit import Credit
from rlvr_world.video.rewards.features import FeatureDistance

TEXT = SMALL | {"intermediate_size": 32, "vocab_size": 50}
VISION = SMALL | {"intermediate_size": 32, "image_size": 28, "patch_size": 14}
FRAMES = torch.rand(2, 3, 3, 40, 48, generator=torch.Generator().manual_seed(0))
OTHERS = torch.rand(4, 3, 3, 40, 48, generator=torch.Generator().manual_seed(1))


def others() -> list[PreTrainedModel]:
    torch.manual_seed(0)
    return [
        ViTForImageClassification(ViTConfig(**VISION)),
        ResNetModel(ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1])),
        CLIPModel(CLIPConfig(text_config=TEXT, vision_config=VISION, projection_dim=8)),
    ]


def test_it_is_the_squared_difference_of_the_last_hidden_states(tmp_path):
    folder = dinov2(tmp_path)
    model = Dinov2Model.from_pretrained(folder).eval()
    look = v2.Compose([v2.Resize((56, 56), antialias=True), v2.Normalize(MEAN, STD)])
    with torch.no_grad():
        true, seen = (model(look(x[:, 1])).last_hidden_state for x in (FRAMES, OTHERS))
    expected = (seen - true.repeat_interleave(2, 0)).square().mean(dim=(1, 2))
    found = FeatureDistance(folder, size=56, chunk=5).frame_scores(OTHERS, FRAMES)
    assert found.shape == (4, 3)
    torch.testing.assert_close(found[:, 1], expected)


@pytest.mark.parametrize("model", others(), ids=lambda model: type(model).__name__)
def test_other_models_of_pictures_see_as_well(model, tmp_path):
    reward = FeatureDistance(saved_backbone(tmp_path, model), size=56)
    assert (reward.score(FRAMES, FRAMES) == 0).all()
    assert (reward.score(OTHERS, FRAMES) > 0).all()


def test_gradients_reach_the_frames_and_no_weights(tmp_path):
    reward = FeatureDistance(dinov2(tmp_path), size=28)
    frames = OTHERS.clone().requires_grad_()
    detail = Credit(gradient=1.0, samples=0.0).detail((2, 2))
    reward.scores(frames, FRAMES, {}, detail).sum().backward()
    assert frames.grad.abs().amax(dim=(1, 2, 3, 4)).min() > 0
    assert all(weight.grad is None for weight in reward.backbone.module.parameters())


def test_what_is_no_backbone_of_pictures_is_refused_by_name(tmp_path):
    text = saved_backbone(tmp_path / "text", BertModel(BertConfig(**TEXT)))
    with pytest.raises(ValueError, match="text: BertModel is no model of pictures"):
        FeatureDistance(text)
    with pytest.raises(FileNotFoundError, match="none: no model in transformers' form"):
        FeatureDistance(tmp_path / "none")
    folder = dinov2(tmp_path / "dinov2")
    for wrong, message in (
        ({"size": 64}, "multiple of the 14 of a patch, got 64"),
        ({"size": 0}, "size must be above 0, got 0"),
        ({"chunk": 0}, "chunk must be above 0, got 0"),
    ):
        with pytest.raises(ValueError, match=message):
            FeatureDistance(folder, **wrong)
    with pytest.raises(ValueError, match="reads frames of 3 channels, not 4"):
        FeatureDistance(folder, size=28).score(FRAMES[:, :, [0, 1, 2, 0]], FRAMES[:, :, [0] * 4])


WRONG = {
    "mean of one": {"image_mean": [0.5], "image_std": STD},
    "mean of words": {"image_mean": ["a", "b", "c"], "image_std": STD},
    "no deviation": {"image_mean": MEAN, "image_std": [0, 0, 0]},
    "no number": {"image_mean": [float("nan")] * 3, "image_std": STD},
    "null": {"image_mean": None, "image_std": STD},
    "list": [1, 2],
    "nothing": {},
}


@pytest.mark.parametrize("kind", [*WRONG, "no file", "no JSON"])
def test_mean_and_deviation_of_pictures_must_be_known(tmp_path, kind):
    file = dinov2(tmp_path) / "preprocessor_config.json"
    if kind in WRONG:
        file.write_text(json.dumps(WRONG[kind]))
    elif kind == "no JSON":
        file.write_bytes(b"{\xff")
    else:
        file.unlink()
    message = r": its preprocessor_config\.json must hold image_mean and image_std, three numbers"
    with pytest.raises(ValueError, match=message):
        FeatureDistance(tmp_path, size=28)


def test_a_backbone_that_hides_parts_at_random_is_refused(tmp_path):
    masked = ViTMAEModel(ViTMAEConfig(**VISION))
    with pytest.raises(ValueError, match="does not see the same frame alike"):
        FeatureDistance(saved_backbone(tmp_path, masked), size=56)


def test_weights_that_are_not_there_are_not_made_up(tmp_path):
    folder = dinov2(tmp_path)
    config = (folder / "config.json").read_text()
    (folder / "config.json").write_text(config.replace('_layers": 2', '_layers": 3'))
    with pytest.raises(ValueError, match=r"\d+ weights of Dinov2Model are not there"):
        FeatureDistance(folder, size=28)

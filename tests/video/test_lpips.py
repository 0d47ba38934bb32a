import pickle
import re
from importlib.util import find_spec
from urllib.error import URLError

import pytest
import torch
import torch.nn.functional as F
import torchmetrics.functional.image.lpips as torchmetrics_lpips
from torch import Tensor, nn

from rlvr_world.video.lpips.lpips import PerceptualDistance
from rlvr_world.video.lpips.trunks import BACKBONES, BlurredConv

PUBLISHED = ["alex", "vgg", "squeeze"]
needs_lpips = pytest.mark.skipif(
    find_spec("lpips") is None, reason="the package lpips, which holds linear layers, is missing"
)


def waves(height: int = 64, width: int = 64) -> Tensor:
    """Three smooth pictures [3, 3, H, W] in [0, 1], in closed form."""
    y = torch.arange(height)[:, None] / 64
    x = torch.arange(width)[None] / 64
    phase = torch.arange(9.0).view(3, 3, 1, 1)
    return 0.5 + 0.5 * torch.sin(phase + (5 + phase) * x + (9 - phase) * y + 6 * x * y)


def distortions(images: Tensor) -> dict[str, Tensor]:
    stripes = torch.arange(images.shape[-1]) % 2
    return {
        "shift": images.roll(2, dims=3),
        "blur": F.avg_pool2d(images, 9, stride=1, padding=4, count_include_pad=False),
        "stripes": 0.8 * images + 0.2 * stripes,
        "other image": images.roll(1, dims=0),
    }


@pytest.fixture(scope="module")
def st_alex() -> PerceptualDistance:
    return PerceptualDistance("st-alex").eval().requires_grad_(False)


@pytest.fixture
def random_weights(request, tmp_path):
    """A file with torchvision's keys and random weights for the requested published backbone."""
    torch.manual_seed(0)
    trunk = nn.Sequential(*BACKBONES[request.param].layers())
    state = {f"features.{name}": value for name, value in trunk.state_dict().items()}
    path = tmp_path / "trunk.pth"
    torch.save({**state, "classifier.1.bias": torch.zeros(3)}, path)
    return request.param, path, trunk


# Values of the package stlpips-pytorch 0.0.2 itself, LPIPS(net, variant="shift_tolerant").
ORIGINAL = {
    "st-alex": {
        "shift": [0.0289143, 0.0278722, 0.0422379],
        "blur": [0.0066134, 0.0074039, 0.0092789],
        "stripes": [0.0076355, 0.0080368, 0.008047],
        "other image": [0.2147605, 0.2685336, 0.2756227],
    },
    "st-vgg": {
        "shift": [0.0919973, 0.1041438, 0.1098696],
        "blur": [0.0303257, 0.0340628, 0.0477356],
        "stripes": [0.5239445, 0.4955947, 0.5089178],
        "other image": [0.3247299, 0.4947504, 0.4449855],
    },
}


@pytest.mark.parametrize("backbone", ORIGINAL)
def test_shift_tolerant_form_gives_the_numbers_of_its_package(backbone):
    distance = PerceptualDistance(backbone)
    for name, distorted in distortions(waves()).items():
        expected = torch.tensor(ORIGINAL[backbone][name])
        torch.testing.assert_close(
            distance(distorted, waves()).detach(), expected, atol=1e-6, rtol=0
        )


@needs_lpips
@pytest.mark.parametrize("random_weights", PUBLISHED, indirect=True)
def test_published_form_equals_torchmetrics_on_the_same_trunk(random_weights, monkeypatch):
    backbone, path, trunk = random_weights
    monkeypatch.setattr(torchmetrics_lpips, "_get_tv_model_features", lambda *_: trunk)
    reference = torchmetrics_lpips._LPIPS(net=backbone, pnet_rand=True)
    distance = PerceptualDistance(backbone, path)
    for distorted in distortions(waves(70, 90)).values():
        expected = reference(distorted, waves(70, 90), normalize=True).flatten()
        torch.testing.assert_close(distance(distorted, waves(70, 90)), expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("backbone", PUBLISHED)
def test_published_form_equals_the_lpips_package(backbone, tmp_path):
    lpips = pytest.importorskip("lpips", reason="the package lpips is not installed")
    reference = lpips.LPIPS(net=backbone, pnet_rand=True, verbose=False).eval()
    trunk = re.compile(r"net\.slice\d\.")
    state = reference.state_dict()
    torch.save(
        {trunk.sub("features.", k): v for k, v in state.items() if trunk.match(k)}, tmp_path / "t"
    )
    distance = PerceptualDistance(backbone, tmp_path / "t")
    for distorted in distortions(waves()).values():
        expected = reference(distorted, waves(), normalize=True).flatten()
        torch.testing.assert_close(distance(distorted, waves()), expected, atol=1e-6, rtol=0)


def test_equal_images_are_at_distance_zero_and_more_distortion_is_farther(st_alex):
    images = waves()
    assert st_alex(images, images).abs().max() == 0
    noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(0))
    noisy = [st_alex(images + s * noise, images).mean() for s in (0.01, 0.03, 0.1, 0.3)]
    assert sorted(noisy) == noisy
    shifted = [st_alex(images.roll(s, dims=3), images).mean() for s in (1, 2, 4, 8)]
    assert sorted(shifted) == shifted


@pytest.mark.parametrize("size", [(32, 32), (40, 66), (33, 64)])
def test_blurred_convolution_equals_its_two_steps(size):
    torch.manual_seed(0)
    layer = BlurredConv(3, 8, 11, padding=2).double()
    line = torch.tensor([0.25, 0.5, 0.25]).double()
    blur = torch.outer(line, line).expand(8, 1, 3, 3)
    image = torch.rand(2, 3, *size).double().requires_grad_()
    full = F.conv2d(image, layer.weight, layer.bias, padding=2)
    expected = F.conv2d(F.pad(full, (2,) * 4, mode="reflect"), blur, stride=2, groups=8)
    actual = layer(image)
    torch.testing.assert_close(actual, expected)
    cotangent = torch.rand_like(expected)
    gradients = [torch.autograd.grad(y, image, cotangent)[0] for y in (actual, expected)]
    torch.testing.assert_close(*gradients)


def test_a_group_shares_the_features_of_its_target(st_alex):
    targets = waves()[:2]
    predictions = torch.cat([distortions(waves())["blur"], distortions(waves())["stripes"]])
    expected = st_alex(predictions, targets.repeat_interleave(3, dim=0))
    torch.testing.assert_close(st_alex(predictions, targets), expected)
    stored = st_alex.features(targets)
    shared = st_alex.distance_from_features(st_alex.features(predictions), stored)
    torch.testing.assert_close(shared, expected)


def test_bfloat16_autocast_is_within_two_percent(st_alex):
    for distorted in distortions(waves()).values():
        expected = st_alex(distorted, waves())
        with torch.autocast("cpu", torch.bfloat16):
            actual = st_alex(distorted, waves())
        assert actual.dtype == torch.float32
        torch.testing.assert_close(actual, expected, rtol=0.02, atol=2e-4)


def test_gradient_is_finite_and_descends(st_alex):
    target = waves()[:1]
    image = torch.zeros_like(target).requires_grad_()
    before = st_alex(image, target).sum()
    (gradient,) = torch.autograd.grad(before, image)
    assert gradient.isfinite().all()
    assert st_alex(image - 0.01 * gradient.sign(), target) < before
    (at_minimum,) = torch.autograd.grad(st_alex(target.requires_grad_(), target).sum(), target)
    assert at_minimum.isfinite().all()


@pytest.mark.parametrize("size", [(32, 32), (33, 47)])
def test_smallest_and_odd_sizes(size, st_alex):
    assert st_alex(waves(*size), waves(*size).flip(0)).isfinite().all()


@needs_lpips
@pytest.mark.parametrize("size", [(32, 32), (33, 47)])
@pytest.mark.parametrize("random_weights", PUBLISHED, indirect=True)
def test_smallest_and_odd_sizes_of_published_forms(size, random_weights):
    backbone, path, _ = random_weights
    distance = PerceptualDistance(backbone, path)
    assert distance(waves(*size), waves(*size).flip(0)).isfinite().all()


def test_wrong_shapes_are_named(st_alex):
    for shape in ((1, 3, 31, 64), (1, 1, 64, 64), (3, 64, 64)):
        with pytest.raises(ValueError, match=r"at least 32 pixels, got \["):
            st_alex.features(torch.zeros(shape))


def test_missing_published_weights_name_the_file_and_the_place(tmp_path, monkeypatch):
    def unreachable(*_, **__):
        raise URLError("no network")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", unreachable)
    place = re.escape(str(tmp_path / "hub" / "checkpoints" / "vgg16-397923af.pth"))
    with pytest.raises(FileNotFoundError, match=rf"LPIPS \(VGG\).*https://.*to {place}.*`weights`"):
        PerceptualDistance("vgg")


@needs_lpips
@pytest.mark.parametrize("random_weights", ["squeeze"], indirect=True)
def test_cached_published_weights_are_found(random_weights, tmp_path, monkeypatch):
    backbone, path, _ = random_weights
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    cached = tmp_path / "hub" / "checkpoints" / BACKBONES[backbone].file
    cached.parent.mkdir(parents=True)
    path.rename(cached)
    assert PerceptualDistance(backbone).label == "SqueezeNet"


def test_missing_package_and_unusable_files_are_named(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match=r"absent\.pth: there is no such weight file"):
        PerceptualDistance("vgg", tmp_path / "absent.pth")
    (tmp_path / "text.pth").write_text("not weights")
    with pytest.raises(ValueError, match=r"text\.pth: not a PyTorch weight file"):
        PerceptualDistance("vgg", tmp_path / "text.pth")
    torch.save({"features.0.weight": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(ValueError, match=r"other\.pth: .* not the weights of LPIPS \(ST-alex\)"):
        PerceptualDistance("st-alex", tmp_path / "other.pth")
    with pytest.raises(ValueError, match="backbone: 'resnet' is none of st-alex"):
        PerceptualDistance("resnet")
    monkeypatch.setattr("rlvr_world.video.lpips.lpips.find_spec", lambda _: None)
    with pytest.raises(FileNotFoundError, match="pip install stlpips-pytorch"):
        PerceptualDistance("st-alex")


@pytest.mark.parametrize("random_weights", ["vgg"], indirect=True)
def test_missing_linear_layers_are_named(random_weights, monkeypatch):
    backbone, path, _ = random_weights
    monkeypatch.setattr("rlvr_world.video.lpips.lpips.find_spec", lambda _: None)
    with pytest.raises(FileNotFoundError, match=r"v0\.1/vgg\.pth .* `pip install lpips`"):
        PerceptualDistance(backbone, path)


def test_construction_leaves_the_random_state_and_pickles(st_alex):
    before = torch.get_rng_state()
    copy = pickle.loads(pickle.dumps(PerceptualDistance("st-alex")))
    assert torch.equal(before, torch.get_rng_state())
    torch.testing.assert_close(copy(waves(), waves().flip(0)), st_alex(waves(), waves().flip(0)))

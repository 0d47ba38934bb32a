"""The convolutional trunks of LPIPS, layer by layer as torchvision and stlpips number them."""

from collections.abc import Callable
from functools import partial
from typing import Literal, NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

BackboneName = Literal["st-alex", "st-vgg", "alex", "vgg", "squeeze"]


class BlurPool(nn.Module):
    """Halves the resolution after a binomial blur (Zhang, ICML 2019), with two reflected pixels.

    Takes [N, C, H, W] to [N, C, H // 2 + 1, W // 2 + 1].
    """

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):  # which would pad in float32
            padded = F.pad(x, (2, 2, 2, 2), mode="reflect")
            return F.avg_pool2d(F.avg_pool2d(padded, 2, stride=1), 2)  # weighs (1, 2, 1) / 4


class BlurredConv(nn.Conv2d):
    """A square convolution followed by a ``BlurPool``, computed as one convolution of stride 2.

    Both are linear. The first row (column) of the result equals the second, since the blur is
    symmetric, and the last one, where the blur folds back at the border, has a kernel of its own.
    The pixels are taken in blocks of 2 x 2, since few input channels make for a slow gradient.
    """

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] to [N, outputs, h // 2 + 1, w // 2 + 1], where h, w follow the conv."""
        if x.shape[-2] % 2 or x.shape[-1] % 2:
            return BlurPool()(super().forward(x))
        inner, last = self.weight.new_tensor([[0.25, 0.5, 0.25], [0.5, 0.5, 0.0]])
        x = F.pad(x, cast(tuple[int, int], self.padding) * 2)
        edge = self.kernel_size[0] + 1
        rows = []
        for part, row in ((x, inner), (x[..., -edge:, :], last)):
            right = self.blurred(part[..., -edge:], row, last)
            rows.append(torch.cat([self.blurred(part, row, inner), right], dim=3))
        y = torch.cat([rows[0][:, :, :1], *rows], dim=2)
        return torch.cat([y[..., :1], y], dim=3)

    def blurred(self, x: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        """The convolution and the blur with the given weights of 3 rows and 3 columns."""
        with torch.autocast(x.device.type, enabled=False):
            blur = torch.outer(rows.flip(0), columns.flip(0))[None, None]
            kernel = F.conv2d(self.weight.flatten(0, 1)[:, None], blur, padding=2)
        kernel = F.pad(kernel.view(*self.weight.shape[:2], *kernel.shape[2:]), (0, 1, 0, 1))
        kernel = kernel[..., : x.shape[-2], : x.shape[-1]]
        blocks = F.pixel_unshuffle(x, 2).contiguous(memory_format=torch.channels_last)
        return F.conv2d(blocks, F.pixel_unshuffle(kernel, 2), self.bias)


class Fire(nn.Module):
    """The module of SqueezeNet: a 1x1 bottleneck, then 1x1 and 3x3 filters side by side."""

    def __init__(self, inputs: int, bottleneck: int, outputs: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(inputs, bottleneck, 1)
        self.expand1x1 = nn.Conv2d(bottleneck, outputs // 2, 1)
        self.expand3x3 = nn.Conv2d(bottleneck, outputs // 2, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.squeeze(x).relu()
        return torch.cat([self.expand1x1(x), self.expand3x3(x)], dim=1).relu()


def _relu_conv(
    inputs: int, outputs: int, kernel: int, stride: int = 1, padding: int = 0
) -> list[nn.Module]:
    return [nn.Conv2d(inputs, outputs, kernel, stride, padding), nn.ReLU(inplace=True)]


def _alexnet_tail() -> list[nn.Module]:
    return [*_relu_conv(384, 256, 3, padding=1), *_relu_conv(256, 256, 3, padding=1)]


def _alexnet() -> list[nn.Module]:
    return [
        *_relu_conv(3, 64, 11, stride=4, padding=2),
        nn.MaxPool2d(3, stride=2),
        *_relu_conv(64, 192, 5, padding=2),
        nn.MaxPool2d(3, stride=2),
        *_relu_conv(192, 384, 3, padding=1),
        *_alexnet_tail(),
    ]


def _shift_tolerant_alexnet() -> list[nn.Module]:
    return [
        *(BlurredConv(3, 64, 11, padding=2), nn.Identity(), nn.ReLU(inplace=True)),
        *(nn.MaxPool2d(3, stride=1), BlurPool()),
        *_relu_conv(64, 192, 5, padding=2),
        *(nn.MaxPool2d(3, stride=1), BlurPool()),
        *_relu_conv(192, 384, 3, padding=1),
        *_alexnet_tail(),
    ]


def _vgg16(shift_tolerant: bool = False) -> list[nn.Module]:
    layers: list[nn.Module] = []
    channels = 3
    for width, depth in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        if layers and shift_tolerant:
            layers += [nn.MaxPool2d(2, stride=1), BlurPool()]
        elif layers:
            layers += [nn.MaxPool2d(2)]
        for _ in range(depth):
            layers += _relu_conv(channels, width, 3, padding=1)
            channels = width
    return layers


def _squeezenet() -> list[nn.Module]:
    pool = nn.MaxPool2d(3, stride=2, ceil_mode=True)
    return [
        *(*_relu_conv(3, 64, 3, stride=2), pool),
        *(Fire(64, 16, 128), Fire(128, 16, 128), pool),
        *(Fire(128, 32, 256), Fire(256, 32, 256), pool),
        *(Fire(256, 48, 384), Fire(384, 48, 384), Fire(384, 64, 512), Fire(512, 64, 512)),
    ]


class Backbone(NamedTuple):
    """A trunk whose layers bear torchvision's numbers, and where its weights are found."""

    label: str  # the name that stands beside a number
    file: str
    layers: Callable[[], list[nn.Module]]
    taps: tuple[int, ...]  # the layers whose outputs are compared

    @property
    def complete(self) -> bool:
        """Whether the file holds the linear layers as well as the trunk."""
        return self.label.startswith("ST")


BACKBONES: dict[str, Backbone] = {
    "st-alex": Backbone(
        "ST-alex", "alex_shift_tolerant.pth", _shift_tolerant_alexnet, (2, 6, 10, 12, 14)
    ),
    "st-vgg": Backbone(
        "ST-VGG", "vgg_shift_tolerant.pth", partial(_vgg16, shift_tolerant=True), (3, 9, 17, 25, 33)
    ),
    "alex": Backbone("AlexNet", "alexnet-owt-7be5be79.pth", _alexnet, (1, 4, 7, 9, 11)),
    "vgg": Backbone("VGG", "vgg16-397923af.pth", _vgg16, (3, 8, 15, 22, 29)),
    "squeeze": Backbone(
        "SqueezeNet", "squeezenet1_1-b8a52dc0.pth", _squeezenet, (1, 4, 7, 9, 10, 11, 12)
    ),
}

"""Start states of a data set: given frames, the actions between them, and their context."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from lightning import LightningDataModule
from torch import Tensor

from rlvr_world.types import Batch
from rlvr_world.video.codecs.context import ContextVideoCodec
from rlvr_world.video.codecs.video_codec import VideoCodec
from rlvr_world.video.data.video import VideoDataModule


def start_states(
    data: str | Path | LightningDataModule, codec: VideoCodec, split: str = "test"
) -> Batch:
    """The evaluation clips of a split, with as many frames as the codec is given.

    Args:
        data: Folder of shards with frames, or a data module whose clips have the given frames.
        codec: The codec of the model that they are for.
        split: ``test``, another split for tests of the data, or ``val``.

    Raises:
        ValueError: There are none.
    """
    if not isinstance(data, LightningDataModule):
        gap = 0 if isinstance(codec, ContextVideoCodec) else None
        data = VideoDataModule(
            str(data), codec.window, codec.stride, context_gap=gap, test_split=split, num_workers=0
        )
    data.setup("validate" if split == "val" else "test")
    batches = list(data.val_dataloader() if split == "val" else data.test_dataloader())
    if not batches:
        raise ValueError(f"data: the split {split} holds no start states; record some")
    return {name: joined([batch[name] for batch in batches]) for name in batches[0]}


def joined(parts: Sequence[Tensor | list[Any]]) -> Tensor | list[Any]:
    """The entries of several batches in one."""
    if isinstance(parts[0], Tensor):
        return torch.cat([torch.as_tensor(part) for part in parts])
    return [value for part in parts for value in part]


def chosen(batch: Batch, rows: Sequence[int], device: torch.device) -> Batch:
    """The samples of a batch with the given indices, on a device."""
    return {
        name: field[list(rows)].to(device)
        if isinstance(field, Tensor)
        else [field[row] for row in rows]
        for name, field in batch.items()
    }

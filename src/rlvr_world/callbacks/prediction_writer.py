"""What ``predict`` predicts, as files."""

import hashlib
import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, TextIO
from urllib.parse import quote

import numpy as np
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import BasePredictionWriter
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from rlvr_world.codec import check_count
from rlvr_world.extras import require
from rlvr_world.files import whole
from rlvr_world.types import Batch, Prediction

FrameFormat = Literal["png", "mp4", "npy"]

log = logging.getLogger("lightning.pytorch")


class PredictionWriter(BasePredictionWriter):
    """Writes what ``predict`` predicts.

    ``predictions.jsonl`` has a line for each transition: its ``key``, and its ``prediction`` in
    words, or the ``file`` that holds it as frames or numbers. Of several processes each writes its
    own, ``predictions-0.jsonl`` and so on. A file is named like the key, with ``%`` and two hex
    digits for what names of files should not hold.

    Args:
        folder: Where to write.
        frames: How to write frames: ``png``, one below the other; ``mp4``, 5 a second; ``npy``,
            uint8 [F, H, W, 3]. Other tensors are written as ``npy`` as they are.
    """

    def __init__(self, folder: Path, frames: FrameFormat = "png") -> None:
        super().__init__("batch")
        self.folder, self.frames = folder, frames
        self.lines: TextIO | None = None
        self.count = 0

    def on_predict_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin the list of this process anew.

        Raises:
            OSError: Nothing can be written into the folder.
        """
        if self.frames == "mp4":
            require("av", "video", "Writing MP4")
        part = f"-{trainer.global_rank}" if trainer.world_size > 1 else ""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            path = self.folder / f"predictions{part}.jsonl"
            self.lines, self.count = path.open("w", encoding="utf-8"), 0
        except OSError as error:
            raise OSError(
                f"output: {self.folder} cannot be written to ({error.strerror}); choose another"
            ) from error

    def write_on_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        prediction: Prediction,
        batch_indices: Sequence[int] | None,
        batch: Batch,
        batch_idx: int,
        dataloader_idx: int,
    ) -> None:
        """Write the predictions of a batch."""
        assert self.lines is not None
        keys = batch["key"]
        check_count(f"{type(pl_module).__name__}.predict_step", prediction, len(keys))
        for key, state in zip(keys, prediction, strict=True):
            line = {"key": key}
            if isinstance(state, Tensor):
                line["file"] = self.write(safe_name(str(key)), state)
            else:
                line["prediction"] = state
            self.lines.write(json.dumps(line, ensure_ascii=False, default=str) + "\n")
        self.lines.flush()
        self.count += len(keys)

    def on_predict_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Say where the predictions are."""
        assert self.lines is not None
        self.lines.close()
        log.info("%d predictions are in %s", self.count, self.lines.name)

    def write(self, name: str, state: Tensor) -> str:
        """Write a state to a file of this name, and return the name with its ending."""
        array = state.detach().float().cpu().numpy()
        is_video = array.ndim == 4 and array.shape[1] == 3  # [F, 3, H, W]
        name = f"{name}.{self.frames if is_video else 'npy'}"
        if is_video:
            array = np.rint(array.clip(0, 1) * 255).astype(np.uint8).transpose(0, 2, 3, 1)
        with whole(self.folder / name) as unfinished:
            if name.endswith(".npy"):
                with unfinished.open("wb") as file:
                    np.save(file, array, allow_pickle=False)
            elif name.endswith(".png"):
                Image.fromarray(np.concatenate(array)).save(unfinished, "PNG")
            else:
                write_mp4(unfinished, array)
        return name


def safe_name(key: str) -> str:
    """A file's name for a key, no two keys having the same one."""
    name = quote(key, safe="").replace(".", "%2E", key.startswith("."))
    if len(name) > 200:
        name = f"{name[:180]}-{hashlib.sha256(key.encode()).hexdigest()[:16]}"
    return name


def write_mp4(path: Path, frames: NDArray[np.uint8], per_second: int = 5) -> None:
    """Frames [T, H, W, 3] as H.264, which wants even sizes: the last row or column is repeated."""
    av: Any = require("av", "video", "Writing MP4")
    _, height, width, _ = frames.shape
    frames = np.pad(frames, ((0, 0), (0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=per_second, options={"crf": "10"})
        stream.height, stream.width, stream.pix_fmt = *frames.shape[1:3], "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())

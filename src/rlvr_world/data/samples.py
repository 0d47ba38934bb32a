"""What a sample is: plain files in a tar that share a key; how it is written, read and skipped."""

import io
import json
import tarfile
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from rlvr_world.files import whole

Sample = tuple[str, Mapping[str, Any]]
"""A key, and the sample's arrays and JSON by file extension, ``{"actions.npy": array}``."""

JPEG_QUALITY = 95  # of frames that come as arrays


class BadSample(ValueError):
    """A sample, or a whole shard, that cannot be used; its text names the shard and the key."""


def write_shard(path: str | Path, samples: Iterable[Sample]) -> None:
    """Write samples to a tar: whole or not at all, and the same bytes for the same samples.

    Args:
        path: The tar to write. It is replaced if it exists.
        samples: Keys and members; the end of an extension says how to encode, see ``encode``.
    """
    with (
        whole(Path(path)) as unfinished,
        tarfile.open(unfinished, "w", format=tarfile.USTAR_FORMAT) as tar,
    ):
        for key, members in samples:
            for extension, value in members.items():
                data = encode(extension, value)
                info = tarfile.TarInfo(f"{key}.{extension}")
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))


def read_members(path: Path, only: Collection[str] | None = None) -> Iterator[dict[str, Any]]:
    """The raw samples of a sound shard, as WebDataset would group them.

    Args:
        path: The shard.
        only: The extensions of the files that are read; all if not given.
    """
    sample: dict[str, Any] = {}
    with tarfile.open(path) as tar:
        for member in tar:
            key, extension = member.name.split(".", 1)
            if sample and sample["__key__"] != key:
                yield sample
                sample = {}
            sample |= {"__key__": key, "__url__": str(path)}
            if only is None or extension in only:
                content = tar.extractfile(member)
                sample[extension] = content and content.read()
    if sample:
        yield sample


def encode(extension: str, value: Any) -> bytes:
    """The bytes of one file of a sample.

    Args:
        extension: Ends in ``png``, ``jpg``, ``npy`` or ``json``.
        value: uint8 frames [T, H, W, 3] for ``png``, one frame [H, W, 3] or a whole JPEG file as
            bytes for ``jpg``, an array for ``npy``, plain data for ``json``.
    """
    buffer = io.BytesIO()
    kind = extension.rsplit(".", 1)[-1]
    if kind == "png":
        _, _, width, channels = value.shape
        Image.fromarray(value.reshape(-1, width, channels)).save(buffer, "PNG")
    elif kind == "jpg":
        if isinstance(value, bytes):
            return value
        Image.fromarray(value).save(buffer, "JPEG", quality=JPEG_QUALITY)
    elif kind == "npy":
        np.save(buffer, value, allow_pickle=False)
    elif kind == "json":
        return json.dumps(value, sort_keys=True).encode()
    else:
        raise ValueError(f"{extension}: a sample holds png, jpg, npy and json files only")
    return buffer.getvalue()


class Read(NamedTuple):
    """Samples that were read and, if they had to be skipped, why."""

    samples: int
    reason: str | None = None


@dataclass
class Skips:
    """Counts samples that were read and those of them that had to be skipped.

    Args:
        what: The data, as messages name it.
        total: Samples in one pass over the data.
        max_share: The largest share of samples that may be skipped.
    """

    what: str
    total: int
    max_share: float
    read: int = 0
    skipped: int = 0
    reasons: list[str] = field(default_factory=list)

    @property
    def too_many(self) -> bool:
        """Whether more were skipped than may be, of a whole pass or of what was read so far."""
        return self.skipped > self.max_share * max(self.read, self.total)

    def add(self, read: Read) -> None:
        """Count samples; the first five reasons are kept."""
        self.read += read.samples
        if read.reason is not None:
            self.skipped += read.samples
            if read.reason not in self.reasons and len(self.reasons) < 5:
                self.reasons.append(read.reason)

    def __str__(self) -> str:
        reasons = "; ".join(self.reasons)
        return f"{self.what}: {self.skipped} of {self.read} samples had to be skipped: {reasons}"

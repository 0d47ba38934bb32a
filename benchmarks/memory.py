"""The memory that work takes: a GPU's allocated bytes, or resident pages with those of workers."""

import ctypes
import gc
import os
import threading
from multiprocessing import active_children
from pathlib import Path
from types import TracebackType

import torch

INTERVAL = 0.01  # seconds between two samples of the resident pages
PAGE = os.sysconf("SC_PAGE_SIZE")


def held(device: torch.device) -> int | None:
    """Bytes held now, after garbage and freed pages were given back; None where not known."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
        return torch.cuda.memory_allocated(device)
    libc = ctypes.CDLL(None)
    if hasattr(libc, "malloc_trim"):
        libc.malloc_trim(0)
    return resident()


def resident() -> int | None:
    """Bytes of this process and what its workers hold beside it; None without ``/proc``."""
    statistics = Path("/proc/self/statm")
    if not statistics.exists():
        return None
    own = int(statistics.read_text().split()[1]) * PAGE
    return own + sum(private(Path(f"/proc/{child.pid}")) for child in active_children())


def private(process: Path) -> int:
    """Bytes that only this process holds, by its folder in ``/proc``; 0 once it is gone."""
    try:
        lines = [line.split() for line in (process / "smaps_rollup").read_text().splitlines()]
    except OSError:
        return 0
    return 1024 * sum(int(line[1]) for line in lines if line[0].startswith("Private_"))


class Peak:
    """The largest memory within a ``with`` block: ``bytes``, None where it is not known."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.bytes: int | None = None
        self._done = threading.Event()
        self._sampler = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> "Peak":
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)
        else:
            self.bytes = resident()
            self._sampler.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.device.type == "cuda":
            self.bytes = torch.cuda.max_memory_allocated(self.device)
        else:
            self._done.set()
            self._sampler.join()

    def _sample(self) -> None:
        while self.bytes is not None and not self._done.wait(INTERVAL):
            self.bytes = max(self.bytes, resident() or 0)

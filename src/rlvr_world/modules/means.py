"""Means over all samples of all ranks."""

import torch.distributed as dist
from torch import Tensor


class Means:
    """Sums that become means when a pass is over.

    Ranks talk to each other once, so that each may have as many batches as it has, or none.
    """

    def __init__(self) -> None:
        self.sums: dict[str, tuple[float, float]] = {}

    def add(self, name: str, mean: Tensor | float, count: float) -> None:
        """Count a mean of so many samples."""
        total, before = self.sums.get(name, (0.0, 0.0))
        self.sums[name] = (total + float(mean) * count, before + count)

    def collect(self) -> dict[str, float]:
        """The means over what all ranks have counted, by name; then begin new ones.

        To be called by all ranks.
        """
        ranks = [self.sums]
        if dist.is_available() and dist.is_initialized():
            ranks = [{}] * dist.get_world_size()
            dist.all_gather_object(ranks, self.sums)
        self.sums = {}
        found = {}
        for name in dict.fromkeys(name for rank in ranks for name in rank):
            counted = [rank[name] for rank in ranks if name in rank]
            total, count = (sum(values) for values in zip(*counted, strict=True))
            found[name] = total / count if count else float("nan")
        return found

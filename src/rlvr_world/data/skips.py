"""The count of samples that could not be used."""

from dataclasses import dataclass, field
from typing import NamedTuple


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

"""What a conversion has finished so far, so that it can go on after a stop."""

import json
from pathlib import Path
from typing import NamedTuple


class Finished(NamedTuple):
    """A finished shard: its file name, its episodes, and the episodes that were skipped and why.

    A shard without episodes has no file.
    """

    name: str
    episodes: int
    skipped: list[str]


class Journal:
    """A line of JSON for each finished shard; a line that was cut short does not count.

    Args:
        path: The file, which may be missing.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> dict[str, Finished]:
        """The shards that are finished and there, by name."""
        found = {}
        lines = self.path.read_text().splitlines() if self.path.exists() else []
        for line in lines:
            try:
                shard = Finished(**json.loads(line))
            except ValueError:
                continue
            if not shard.episodes or (self.path.parent / shard.name).exists():
                found[shard.name] = shard
        return found

    def rewrite(self, shards: list[Finished]) -> None:
        """Keep only these lines, so that the next one starts on a line of its own."""
        self.path.write_text("".join(self._line(shard) for shard in shards))

    def add(self, shard: Finished) -> None:
        """Note one more."""
        with self.path.open("a") as file:
            file.write(self._line(shard))

    def remove(self) -> None:
        """Delete the file, which is not needed once there is a manifest."""
        self.path.unlink(missing_ok=True)

    @staticmethod
    def _line(shard: Finished) -> str:
        return json.dumps(shard._asdict()) + "\n"

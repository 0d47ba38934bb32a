"""What a person said of clips: lines of JSON, of which the last one of a clip counts."""

import json
from base64 import b64encode
from pathlib import Path
from typing import Any

from rlvr_world.applications.loopback_server import Calls
from rlvr_world.applications.policies.labelling.clips import ORIGIN
from rlvr_world.files import read_json

FILE = "labels.jsonl"
SAID = ("success", "failure", "unclear")


class Labels:
    """The clips of a folder and what was said of them.

    Args:
        folder: The folder of clips that ``rlvr-world policies`` wrote.

    Raises:
        FileNotFoundError: There are none.
        ValueError: A line of the labels is of no clip, or says something else than it can.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.said = Path(folder), dict[str, str]()
        if not (self.folder / ORIGIN).is_file():
            raise FileNotFoundError(
                f"{folder} holds no {ORIGIN}: give the folder `clips` that `rlvr-world policies "
                "--clips 60` wrote"
            )
        self.origin: dict[str, Any] = read_json(self.folder / ORIGIN)
        file = self.folder / FILE
        for line in file.read_text().splitlines() if file.is_file() else []:
            given = json.loads(line)
            self.check(given)
            self.said[given["clip"]] = given["label"]

    @property
    def calls(self) -> Calls:
        """What the page can ask for: nothing says where a clip comes from."""
        return {
            ("GET", "/clips"): lambda _: [
                {"clip": name, "task": about["task"], "label": self.said.get(name)}
                for name, about in self.origin.items()
            ],
            ("POST", "/clip"): self.clip,
            ("POST", "/label"): self.add,
        }

    def check(self, given: dict[str, Any]) -> None:
        """Raise ``ValueError`` unless a label is one, and of a clip."""
        if given.get("clip") not in self.origin or given.get("label") not in SAID:
            raise ValueError(
                f"{self.folder / FILE}: a label has a clip of the folder and one of "
                f"{', '.join(SAID)}, not {given}"
            )

    def clip(self, given: dict[str, Any]) -> str:
        """A clip as an address that holds it."""
        name = given.get("clip")
        if not isinstance(name, str) or name not in self.origin:
            raise ValueError(f"there is no clip {name}")
        return "data:image/webp;base64," + b64encode((self.folder / name).read_bytes()).decode()

    def add(self, given: dict[str, Any]) -> int:
        """Write a label; how many clips have one."""
        self.check(given)
        line = json.dumps({"clip": given["clip"], "label": given["label"]})
        with (self.folder / FILE).open("a") as file:
            file.write(line + "\n")
        self.said[given["clip"]] = given["label"]
        return len(self.said)


def agreements(labels: Labels) -> dict[str, tuple[int, float, float, float]]:
    """By world, and of all: how many clips are labelled success or failure, and three percentages.

    They are how often the label is the judge's, and the successes by hand and by the judge.
    """
    pairs: dict[str, list[tuple[bool, bool]]] = {}
    for name, said in labels.said.items():
        if said != "unclear":
            about = labels.origin[name]
            for world in (about["world"], "all"):
                pairs.setdefault(world, []).append((said == "success", about["success"]))
    return {
        world: (
            len(found),
            100 * sum(hand == judge for hand, judge in found) / len(found),
            100 * sum(hand for hand, _ in found) / len(found),
            100 * sum(judge for _, judge in found) / len(found),
        )
        for world, found in sorted(pairs.items())
    }

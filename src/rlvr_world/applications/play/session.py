"""What a person has seen of a world model: moments, each of which can be gone on from."""

import io
from abc import ABC, abstractmethod
from base64 import b64encode
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from rlvr_world.applications.loopback_server import Calls

MOST_MOMENTS = 2000


class Moment(NamedTuple):
    """A state of a world.

    Args:
        shown: What the page is told of it, as plain data.
        inner: What the world needs to go on from it.
    """

    shown: dict[str, Any]
    inner: Any


class World(ABC):
    """A world model of one modality, with its start states."""

    @abstractmethod
    def about(self) -> dict[str, Any]:
        """What the page needs to know once: ``kind``, ``starts`` and how actions are chosen."""

    @abstractmethod
    def begin(self, start: int) -> Moment:
        """The start state with that number."""

    @abstractmethod
    def step(self, moment: Moment, action: Any, rng: np.random.Generator) -> Moment:
        """What the model predicts after an action; the moment can be gone on from again.

        Raises:
            ValueError: There is no such action.
        """


class Session:
    """Moments in a tree: going on from an earlier one is a branch.

    Args:
        world: The world.
        seed: Where all randomness comes from; the same steps in the same order look the same.
    """

    def __init__(self, world: World, seed: int = 0) -> None:
        self.world, self.seed = world, seed
        self.moments: list[Moment] = []
        self.begin(0)

    @property
    def calls(self) -> Calls:
        """What the page can ask for."""
        return {
            ("GET", "/about"): lambda _: self.world.about(),
            ("GET", "/moments"): lambda _: [moment.shown for moment in self.moments],
            ("POST", "/begin"): lambda given: self.begin(given.get("start")),
            ("POST", "/step"): lambda given: self.step(given.get("parent"), given.get("action")),
        }

    def begin(self, start: Any) -> list[dict[str, Any]]:
        """Forget all moments and begin at another start state."""
        count = self.world.about()["starts"]
        self.moments = [self.world.begin(checked("start", start, count))]
        return self.shown(None)

    def step(self, parent: Any, action: Any) -> list[dict[str, Any]]:
        """Go on from the moment with the number ``parent``."""
        moment = self.moments[checked("parent", parent, len(self.moments))]
        if len(self.moments) >= MOST_MOMENTS:
            raise ValueError(f"there are {MOST_MOMENTS} moments already; begin anew")
        rng = np.random.default_rng([self.seed, len(self.moments)])
        self.moments.append(self.world.step(moment, action, rng))
        return self.shown(parent)[-1:]

    def shown(self, parent: int | None) -> list[dict[str, Any]]:
        """What the page is told; the newest moment is noted as a child of ``parent``."""
        newest = len(self.moments) - 1
        self.moments[-1].shown.update(id=newest, parent=parent)
        return [moment.shown for moment in self.moments]


def checked(name: str, value: Any, count: int) -> int:
    """A number of one of ``count`` things that came from outside.

    Raises:
        ValueError: It is none.
    """
    if type(value) is not int or not 0 <= value < count:
        raise ValueError(f"{name} must be a number from 0 to {count - 1}, got {value!r}")
    return value


def picture(pixels: NDArray[np.uint8]) -> str:
    """A picture uint8 [H, W, 3] as an address that holds it."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return f"data:image/png;base64,{b64encode(file.getvalue()).decode()}"

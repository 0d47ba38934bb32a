"""What foresees the changes of actions: a world model in a checkpoint, or the true simulator."""

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from rlvr_world.files import sha256
from rlvr_world.language.judge import BadAnswer
from rlvr_world.modules.saved import load_world_model
from rlvr_world.modules.world_model import WorldModel
from rlvr_world.rl.sampler import Sampler
from rlvr_world.web.action import Action
from rlvr_world.web.agent.components import Imagined, Imaginer, Situation
from rlvr_world.web.answer import changes_text, read_changes
from rlvr_world.web.browser.chromium import BrowserLost
from rlvr_world.web.browser.environment import WebEnvironment
from rlvr_world.web.changes import extract
from rlvr_world.web.sites.site import AnySite, Site

LONGEST_ANSWER = 65_536


class WorldModelImaginer(Imaginer):
    """A web world model in a checkpoint of the MLE or the RLVR stage.

    All candidates of a step are predicted in one batch; predictions that cannot be read are drawn
    again.

    Args:
        checkpoint: The checkpoint.
        temperature: Of sampling; 0 takes the most likely token, and what cannot be read is then
            drawn again at temperature 1.
        attempts: How often a prediction is drawn until it can be read, at most.
        device: Where the model runs.
    """

    def __init__(
        self,
        checkpoint: Path,
        temperature: float = 0.0,
        attempts: int = 3,
        device: str = "cpu",
    ) -> None:
        if attempts < 1:
            raise ValueError(f"attempts must be at least 1, got {attempts}")
        Sampler(temperature)
        self.checkpoint = Path(checkpoint)
        self.temperature, self.attempts, self.device = temperature, attempts, device
        self._model: WorldModel | None = None

    @property
    def settings(self) -> dict[str, Any]:
        """Those of any component, and the hash of the checkpoint."""
        if not self.checkpoint.is_file():
            raise FileNotFoundError(
                f"{self.checkpoint}: no such checkpoint; train the stage that writes it first, or "
                "correct the path"
            )
        digest = sha256(self.checkpoint)
        return super().settings | {"checkpoint": str(self.checkpoint), "sha256": digest}

    def open(self, site: Site, chromium: str) -> None:
        self._model = load_world_model(self.checkpoint, self.device)

    def close(self) -> None:
        self._model = None

    def imagine(self, situation: Situation, actions: Sequence[Action]) -> list[Imagined]:
        assert self._model is not None, "the imaginer is not open"
        outcomes = [Imagined(error="there was no time for a prediction") for _ in actions]
        steps = [situation.transition(action) for action in actions]
        codec: Any = self._model.codec
        if not all(codec.fits({"transition": steps})):
            return [Imagined(error="the page is too long for the model") for _ in actions]
        generator = torch.Generator(self._model.device)
        for attempt in range(self.attempts):
            left = [n for n, imagined in enumerate(outcomes) if imagined.changes is None]
            if not left or situation.seconds_left <= 0:
                break
            sampler = Sampler(self.temperature if attempt == 0 else self.temperature or 1.0)
            generator.manual_seed(situation.rng.getrandbits(63))
            chosen = [steps[n] for n in left]
            batch = {"transition": chosen, "key": [step.action for step in chosen]}
            texts = self._model.predict(batch, sampler, generator)
            for n, text in zip(left, texts, strict=True):
                outcomes[n] = read_prediction(text)
        return outcomes


class TrueSimulator(Imaginer):
    """The upper bound: does each action in a second browser, in a replay of the episode.

    It knows the page that really follows and, where the action ends the episode, its true reward;
    no world model knows either. Only sites that can start an episode anew are replayed; a replay
    that does not come to the same page foresees nothing.
    """

    def __init__(self) -> None:
        self._environment: WebEnvironment | None = None

    def open(self, site: Site, chromium: str) -> None:
        """Get a second environment ready.

        Raises:
            ValueError: An episode of the site cannot be replayed.
        """
        if isinstance(site, AnySite):
            raise ValueError(
                "TrueSimulator: a site that is not run here cannot be put back to its start"
            )
        self._environment = WebEnvironment(site, chromium)

    def close(self) -> None:
        if self._environment is not None:
            self._environment.close()
            self._environment = None

    def imagine(self, situation: Situation, actions: Sequence[Action]) -> list[Imagined]:
        return [self._outcome(situation, action) for action in actions]

    def _outcome(self, situation: Situation, action: Action) -> Imagined:
        assert self._environment is not None, "the imaginer is not open"
        if situation.seconds_left <= 0:
            return Imagined(error="there was no time for a replay")
        past = [done.action for done in situation.history]
        try:
            here = self._environment.replay(situation.task, situation.seed, past).observation
            if here.tree != situation.observation.tree:
                return Imagined(error="the replay came to another page")
            step = self._environment.step(action)
        except BrowserLost as error:
            return Imagined(error=f"the replay failed: {error}")
        changes = extract(here.elements, step.observation.elements)
        reward = step.reward if step.done else None
        return Imagined(changes, changes_text(changes, "long"), reward=reward)


def read_prediction(text: str) -> Imagined:
    """The changes that a prediction says, if it can be read."""
    if len(text) > LONGEST_ANSWER:
        return Imagined(text=text[:LONGEST_ANSWER], error="the prediction is too long")
    with contextlib.suppress(BadAnswer):
        return Imagined(read_changes(text), text)
    return Imagined(text=text, error="the prediction cannot be read")

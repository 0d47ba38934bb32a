"""World models of text games and web pages, as a person steps them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from rlvr_world.applications.play.session import Moment, World
from rlvr_world.applications.words.word_world import Sample, batch
from rlvr_world.applications.words.worlds import word_world
from rlvr_world.modules.world_model import WorldModel
from rlvr_world.reward import Reward, RewardSet
from rlvr_world.rl.sampler import Sampler


class TextWorld(World):
    """Answers about the next state, beside the recording's where it holds that step.

    Args:
        model: A world model of text games or of web pages.
        data: Folder of the recording, whose states are the start states.
        split: Their split.
        sampler: How to sample; the model's own distribution if not given.
        rewards: What is measured against the recorded next state.
    """

    def __init__(
        self,
        model: WorldModel,
        data: Path,
        split: str = "test",
        sampler: Sampler | None = None,
        rewards: Mapping[str, Reward] | None = None,
    ) -> None:
        self.words = word_world(model, data, split, sampler)
        self.device, self.codec, self.rewards = model.device, model.codec, RewardSet(rewards)

    def about(self) -> dict[str, Any]:
        return {"kind": "text", "starts": len(self.words.starts), "without": ""}

    def begin(self, start: int) -> Moment:
        here = self.words.starts[start]
        return self.moment(here, {"key": here["key"], "text": "", "action": None})

    def step(self, moment: Moment, action: Any, rng: np.random.Generator) -> Moment:
        here: Sample = moment.inner
        asked = self.words.question(here, action)
        generator = torch.Generator(self.device).manual_seed(int(rng.integers(2**62)))
        (answer,) = self.words.answers([asked], generator)
        words = [self.words.codec.tokenizer.decode([token]) for token in answer.ids]
        shown: dict[str, Any] = {"text": answer.text, "action": action}
        shown["certainty"] = list(zip(words, answer.probs, strict=True))
        if action in self.words.recorded(here["transition"]):
            given = batch([asked])
            scores = self.rewards.scores(
                [answer.text], self.codec.target(given), given, finite=False
            )
            shown["rewards"] = {name: float(score[0]) for name, score in scores.items()}
            (shown["truth"],) = self.codec.decode(self.codec.encode(given))
        if answer.step is None:
            shown["note"] = f"The state stays, since the answer is bad: {answer.problem}"
        return self.moment(self.words.onward(here, answer), shown)

    def moment(self, here: Sample, shown: dict[str, Any]) -> Moment:
        """What is shown, with the state and the actions that were recorded in it."""
        step = here["transition"]
        shown |= {"state": self.words.state(step), "actions": sorted(self.words.recorded(step))}
        return Moment(shown, here)

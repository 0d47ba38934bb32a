"""World models of text games, as a person steps them."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from rlvr_world.applications.play.session import Moment, World
from rlvr_world.language.judge import BadAnswer
from rlvr_world.modules.world_model import WorldModel
from rlvr_world.reward import Reward, RewardSet
from rlvr_world.rl.sampler import Sampler
from rlvr_world.text_game.answer import read_answer
from rlvr_world.text_game.codec import TextGameCodec
from rlvr_world.text_game.data import TextDataModule
from rlvr_world.text_game.game_state import GameState, canonical
from rlvr_world.text_game.transition import Transition, apply, kept
from rlvr_world.types import Batch

LONGEST_ACTION = 500


class Situation(NamedTuple):
    """Where a game is: the recorded step it began with, its game's rules, and the state now."""

    step: Transition
    rules: Mapping[str, str] | None
    state: GameState


class TextWorld(World):
    """Answers about the next state, beside the recording's where it holds that step.

    Args:
        model: A world model of text games.
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
        if not isinstance(model.codec, TextGameCodec):
            raise ValueError(
                f"the model's codec is {type(model.codec).__name__}; a page can be played on with "
                "world models of video and of text games"
            )
        self.model, self.codec = model, model.codec
        self.sampler, self.rewards = sampler or Sampler(), RewardSet(rewards)
        batches = list(TextDataModule(str(data), test_split=split, num_workers=0).once(split))
        steps = [step for batch in batches for step in batch["transition"]]
        self.keys = [key for batch in batches for key in batch["key"]]
        rules = [each for batch in batches for each in batch["rules"]]
        self.starts = [Situation(s, r, s.state) for s, r in zip(steps, rules, strict=True)]
        if not steps:
            raise ValueError(f"data: the split {split} of {data} holds no steps; record some")
        self.known: dict[tuple[str, str], dict[str, Transition]] = {}
        for step in steps:
            here = self.known.setdefault((step.game, canonical(step.state)), {})
            here[step.action] = step

    def about(self) -> dict[str, Any]:
        return {"kind": "text", "starts": len(self.starts), "without": ""}

    def begin(self, start: int) -> Moment:
        return self.moment(
            self.starts[start], {"key": self.keys[start], "text": "", "action": None}
        )

    def step(self, moment: Moment, action: Any, rng: np.random.Generator) -> Moment:
        if not isinstance(action, str) or not 0 < len(action) <= LONGEST_ACTION:
            raise ValueError(f"action must be a text of 1 to {LONGEST_ACTION} characters")
        here: Situation = moment.inner
        recorded = self.recorded(here).get(action)
        taken = recorded or unknown(here, action)
        batch: Batch = {"key": ["now"], "rules": [here.rules], "transition": [taken]}
        if self.codec.too_long(batch)["prompt"]:
            raise ValueError("the state and the action are longer than the model's prompt may be")
        generator = torch.Generator(self.model.device).manual_seed(int(rng.integers(2**62)))
        sequence, log_probs = self.model.sample(batch, self.sampler, generator=generator)
        (answer,) = self.codec.decode(sequence)
        ids, sure = sequence.ids[sequence.target_mask], log_probs[sequence.target_mask].exp()
        words = [self.codec.tokenizer.decode([token]) for token in ids.tolist()]
        shown: dict[str, Any] = {"text": answer, "action": action}
        shown["certainty"] = list(zip(words, sure.tolist(), strict=True))
        if recorded is not None:
            scores = self.rewards.scores([answer], self.codec.target(batch), batch, finite=False)
            shown["rewards"] = {name: float(score[0]) for name, score in scores.items()}
            (shown["truth"],) = self.codec.decode(self.codec.encode(batch))
        try:
            state = self.state_after(answer, taken)
        except BadAnswer as error:
            state, shown["note"] = here.state, f"The state stays, since the answer is bad: {error}"
        return self.moment(here._replace(state=state), shown)

    def state_after(self, answer: str, step: Transition) -> GameState:
        """The state that an answer leads to."""
        found = read_answer(answer, self.codec.form, kept(step, self.codec.form))
        if self.codec.form == "difference":
            return apply(step.state, found)
        return {"objects": found["objects"], "score": found["score"] or step.state["score"]}

    def moment(self, here: Situation, shown: dict[str, Any]) -> Moment:
        """What is shown, with the state and the actions that were recorded in it."""
        shown |= {"state": state_lines(here.state), "actions": sorted(self.recorded(here))}
        return Moment(shown, here)

    def recorded(self, here: Situation) -> dict[str, Transition]:
        """The recorded steps from a state, by action."""
        return self.known.get((here.step.game, canonical(here.state)), {})


def unknown(here: Situation, action: str) -> Transition:
    """A step whose end nobody knows."""
    free = max((item["uuid"] + 1 for item in here.state["objects"]), default=0)
    return replace(
        here.step, action=action, state=here.state, target=here.state, reasoning="",
        uuid_base=max(free, here.step.uuid_base),
    )  # fmt: skip


def state_lines(state: GameState) -> str:
    """A state for people: one line for each object, and the score."""
    lines = [
        f"{item['name']}: {json.dumps(item['properties'])}"
        + (f", holds {', '.join(item['contains'])}" if item["contains"] else "")
        for item in state["objects"]
    ]
    return "\n".join([*lines, f"score: {json.dumps(state['score'])}"])

"""Worlds in words as environments of gymnasium: states and actions are texts."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from rlvr_world.applications.environment_arguments import (
    check_actions,
    check_whole,
    each_row,
    row_seeds,
    start_numbers,
)
from rlvr_world.applications.words.word_world import Answer, Sample
from rlvr_world.applications.words.worlds import word_world
from rlvr_world.extras import require
from rlvr_world.language.data import TransitionDataModule
from rlvr_world.modules.saved import load_world_model
from rlvr_world.modules.world_model import WorldModel
from rlvr_world.rl.sampler import Sampler

require("gymnasium", "environments", "A world model as an environment")
import gymnasium  # noqa: E402
from gymnasium.vector import AutoresetMode, VectorEnv  # noqa: E402
from gymnasium.vector.utils import batch_space  # noqa: E402

OfStep = Callable[[Any], float]
"""Of a step whose end is what the model says: a number."""


class Texts(gymnasium.Space[str]):
    """Any text; what is sampled is one of some examples, such as recorded actions.

    Args:
        examples: What is sampled.
        seed: Of the sampling.
    """

    def __init__(self, examples: Sequence[str], seed: int | None = None) -> None:
        super().__init__(dtype=str, seed=seed)
        self.examples = tuple(examples)

    @property
    def is_np_flattenable(self) -> bool:
        return False

    def sample(self, mask: Any = None, probability: Any = None) -> str:
        return self.examples[int(self.np_random.integers(len(self.examples)))]

    def contains(self, x: Any) -> bool:
        return isinstance(x, str)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Texts) and self.examples == other.examples

    def __hash__(self) -> int:
        return hash(self.examples)

    def __repr__(self) -> str:
        return f"Texts({len(self.examples)} examples)"


class WordVectorEnvironment(VectorEnv):
    """Many copies of a world model of text games or web pages; their answers are one batch.

    An action that does not exist in its state, and an answer that cannot be read, leave the state
    as it is; ``info`` says so. Where state and action have become longer than the model's prompt
    may be, they do so, too.

    Args:
        checkpoint: Checkpoint of a world model of text games or of web pages, or the model.
        data: Folder of the recording whose states are the start states, or its data module.
        num_envs: The number of copies.
        split: The split that start states come from.
        time_limit: Steps until an episode is truncated.
        reward: The reward of each step; if not given, what a game's score gains.
        terminal: Where an episode ends; if not given, where a game says that it is over.
        sampler: How answers are sampled; by the model's own distribution if not given.
        device: Where a model from a checkpoint goes.
        render_mode: ``ansi`` or None.
    """

    metadata: dict[str, Any] = {  # noqa: RUF012
        "render_modes": ["ansi"],
        "autoreset_mode": AutoresetMode.NEXT_STEP,
    }

    def __init__(
        self,
        checkpoint: str | Path | WorldModel,
        data: str | Path | TransitionDataModule,
        num_envs: int = 1,
        split: str = "test",
        time_limit: int = 100,
        reward: OfStep | None = None,
        terminal: Callable[[Any], bool] | None = None,
        sampler: Sampler | None = None,
        device: str = "cpu",
        render_mode: str | None = None,
    ) -> None:
        check_whole(num_envs=num_envs, time_limit=time_limit)
        for name, judge in {"reward": reward, "terminal": terminal}.items():
            if judge is not None and not callable(judge):
                raise ValueError(f"{name} must be a function of a step, got {judge!r}")
        if sampler is not None and not callable(sampler):
            raise ValueError(f"sampler must be a Sampler, got {sampler!r}")
        if render_mode not in (None, "ansi"):
            raise ValueError(f"render_mode must be ansi or None, got {render_mode}")
        if not isinstance(checkpoint, WorldModel):
            checkpoint = load_world_model(Path(checkpoint), device)
        self.world = word_world(checkpoint, data, split, sampler)
        self.reward, self.terminal = reward or self.world.score, terminal or self.world.over
        self.num_envs, self.time_limit, self.render_mode = num_envs, time_limit, render_mode
        actions = sorted({action for steps in self.world.known.values() for action in steps})
        self.single_observation_space = Texts([self.world.state(self.start(0)["transition"])])
        self.single_action_space = Texts(actions)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.rng = np.random.default_rng()
        self.places: list[Sample] = []

    def start(self, number: int) -> Sample:
        """The start state with that number."""
        if not 0 <= number < len(self.world.starts):
            last = len(self.world.starts) - 1
            raise ValueError(f"options: start must be from 0 to {last}, got {number}")
        return self.world.starts[number]

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: Any = None
    ) -> tuple[tuple[str, ...], dict[str, Any]]:
        """Begin anew in all rows.

        Args:
            seed: One for each row, or the first of consecutive ones; all rows share their source.
            options: ``start``, the number of a start state, for all rows or one for each; they are
                drawn at random without it.

        Returns:
            The states of all rows, and the ``start``, its ``key``, the ``transition`` that begins
            in it and the recorded ``actions`` of each row.
        """
        seeds = row_seeds(seed, self.num_envs)
        if any(each is not None for each in seeds):
            self.rng = np.random.default_rng([0 if each is None else each for each in seeds])
        numbers = start_numbers(options, self.num_envs)
        if numbers is None:
            numbers = self.rng.integers(len(self.world.starts), size=self.num_envs)
        self.places = [self.start(int(number)) for number in numbers]
        self.time = np.zeros(self.num_envs, int)
        self.ended = np.zeros(self.num_envs, bool)
        keys = each_row(place["key"] for place in self.places)
        return self.states(), {"start": numbers, "key": keys, **self.situation()}

    def states(self) -> tuple[str, ...]:
        """The present state of each row."""
        return tuple(self.world.state(place["transition"]) for place in self.places)

    def situation(self) -> dict[str, NDArray[Any]]:
        """A step that begins in the present state of each row, and the actions recorded there."""
        steps = [place["transition"] for place in self.places]
        known = (sorted(self.world.recorded(step)) for step in steps)
        return {"transition": each_row(steps), "actions": each_row(known)}

    def step(
        self, actions: Sequence[str]
    ) -> tuple[tuple[str, ...], NDArray[Any], NDArray[Any], NDArray[Any], dict[str, Any]]:
        """Ask the model what one action of each row does; rows that had ended begin anew instead.

        Returns:
            States, rewards, terminations and truncations of B rows; ``began``, the rows that began
            anew, the ``answer`` of each row, its ``problem`` where the state stays, and what
            ``reset`` says of the states.
        """
        if not self.places:
            raise gymnasium.error.ResetNeeded("call reset before step")
        check_actions(actions, self.num_envs)
        began, answers = self.ended, self.answers(actions)
        rewards = np.zeros(self.num_envs)
        terminated = np.zeros(self.num_envs, bool)
        for row, answer in enumerate(answers):
            if answer.step is not None:
                rewards[row] = float(self.reward(answer.step))
                terminated[row] = bool(self.terminal(answer.step))
        self.places = list(map(self.world.onward, self.places, answers))
        self.time += 1
        for row in np.flatnonzero(began).tolist():
            self.places[row] = self.start(int(self.rng.integers(len(self.world.starts))))
            self.time[row] = 0
        truncated = self.time >= self.time_limit
        self.ended = terminated | truncated
        info = {
            "began": began,
            "answer": each_row(answer.text for answer in answers),
            "problem": each_row(answer.problem for answer in answers),
        }
        return self.states(), rewards, terminated, truncated, info | self.situation()

    def answers(self, actions: Sequence[str]) -> list[Answer[Any]]:
        """What the model says in each row; nothing in rows that begin anew or cannot be asked."""
        found = [Answer[Any]("", None, "") for _ in actions]
        asked: dict[int, Sample] = {}
        for row in np.flatnonzero(~self.ended).tolist():
            try:
                asked[row] = self.world.question(self.places[row], actions[row])
            except ValueError as error:
                found[row] = Answer("", None, str(error))
        if asked:
            generator = torch.Generator(self.world.model.device)
            generator.manual_seed(int(self.rng.integers(2**62)))
            said = self.world.answers(list(asked.values()), generator)
            for row, answer in zip(asked, said, strict=True):
                found[row] = answer
        return found

    def render(self) -> tuple[str, ...] | None:
        """The present state of each row."""
        return None if self.render_mode is None else self.states()


class WordEnvironment(gymnasium.Env):
    """A world model of text games or web pages that an agent steps like the real environment.

    Args:
        checkpoint: Checkpoint of a world model of text games or of web pages, or the model.
        data: Folder of the recording whose states are the start states, or its data module.
        render_mode: ``ansi`` or None.
        **options: See ``WordVectorEnvironment``.
    """

    metadata: dict[str, Any] = {"render_modes": ["ansi"], "render_fps": 1}  # noqa: RUF012

    def __init__(
        self,
        checkpoint: str | Path | WorldModel,
        data: str | Path | TransitionDataModule,
        render_mode: str | None = None,
        **options: Any,
    ) -> None:
        self.rows = WordVectorEnvironment(checkpoint, data, 1, render_mode=render_mode, **options)
        self.render_mode = render_mode
        self.observation_space = self.rows.single_observation_space
        self.action_space = self.rows.single_action_space

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[str, dict[str, Any]]:
        """Begin anew at ``options["start"]``, or at a random start state."""
        super().reset(seed=seed)
        self.rows.rng = self.np_random
        states, info = self.rows.reset(options=options)
        return states[0], {name: value[0] for name, value in info.items()}

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        """Ask the model what an action does; see ``WordVectorEnvironment``."""
        if not self.rows.places:
            raise gymnasium.error.ResetNeeded("call reset before step")
        self.rows.ended[:] = False
        states, rewards, ended, truncated, info = self.rows.step([action])
        said = {name: value[0] for name, value in info.items() if name != "began"}
        return states[0], float(rewards[0]), bool(ended[0]), bool(truncated[0]), said

    def render(self) -> str | None:
        """The present state."""
        return None if self.render_mode is None else self.rows.states()[0]

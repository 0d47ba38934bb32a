"""A world in words, whose steps a model says, whatever its states look like."""

import warnings
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar

import torch

from rlvr_world.language.codec import TextCodec
from rlvr_world.language.data import TransitionDataModule
from rlvr_world.language.judge import BadAnswer
from rlvr_world.language.transition import TextTransition
from rlvr_world.modules.world_model import WorldModel
from rlvr_world.rl.sampler import Sampler

LONGEST_ACTION = 500
Step = TypeVar("Step", bound=TextTransition)
Sample = dict[str, Any]
"""One sample of a batch: its ``transition`` begins in the state that is meant, and what its data
module gives beside it."""


class Answer(NamedTuple, Generic[Step]):
    """What a model says of a step.

    ``step`` has the end that it says, None if it says none, and ``problem`` is why. ``ids`` are its
    tokens, ``probs`` how probable the model held each of them.
    """

    text: str
    step: Step | None
    problem: str
    ids: Sequence[int] = ()
    probs: Sequence[float] = ()


class WordWorld(ABC, Generic[Step]):
    """Steps from recorded states, and on from what the model says.

    Args:
        model: A world model of this modality.
        data: Folder of the recording whose states are the start states, or its data module.
        split: Their split.
        sampler: How to sample; the model's own distribution if not given.
    """

    data_module: ClassVar[type[TransitionDataModule]]

    def __init__(
        self,
        model: WorldModel,
        data: str | Path | TransitionDataModule,
        split: str = "test",
        sampler: Sampler | None = None,
    ) -> None:
        codec = model.codec
        assert isinstance(codec, TextCodec)
        self.model, self.codec, self.sampler = model, codec, sampler or Sampler()
        if not isinstance(data, TransitionDataModule):
            data = self.data_module(root=str(data), test_split=split, num_workers=0)
        if not isinstance(data, self.data_module):
            raise ValueError(
                f"data: the model is read with {self.data_module.__name__}, got "
                f"{type(data).__name__}"
            )
        self.starts = self.fitting(data, split)
        self.known: dict[Any, dict[str, Step]] = {}
        for start in self.starts:
            step: Step = start["transition"]
            self.known.setdefault(self.place(step), {})[step.to_json()["action"]] = step

    def fitting(self, data: TransitionDataModule, split: str) -> list[Sample]:
        """The recorded steps that fit into a prompt; the others are warned of."""
        recorded: list[Sample] = [
            dict(zip(batch, fields, strict=True))
            for batch in data.once(split)
            for fields in zip(*batch.values(), strict=True)
        ]
        found = [sample for sample in recorded if self.fits(sample)]
        if not found:
            raise ValueError(
                f"data: the split {split} of {data.root} holds no steps that fit into a prompt"
            )
        if left_out := len(recorded) - len(found):
            warnings.warn(
                f"{left_out} of {len(recorded)} start states are left out: with their recorded "
                "action they are longer than the model's prompt may be",
                stacklevel=4,
            )
        return found

    def recorded(self, step: Step) -> Mapping[str, Step]:
        """The recorded steps from the state in which a step begins, by action."""
        return self.known.get(self.place(step), {})

    def question(self, here: Sample, action: Any) -> Sample:
        """What the model is asked: the recorded step if there is one, else one without an end.

        Raises:
            ValueError: There is no such action here, or no room for it in a prompt.
        """
        if not isinstance(action, str) or not is_one_line(action):
            raise ValueError(
                f"action must be a text of 1 to {LONGEST_ACTION} characters on one line"
            )
        asked = here | {"transition": self.asked(here["transition"], action.strip())}
        if not self.fits(asked):
            raise ValueError("the state and the action are longer than the model's prompt may be")
        return asked

    def fits(self, sample: Sample) -> bool:
        """Whether a prompt has room for the state and the action of a sample."""
        return not self.codec.too_long(batch([sample]))["prompt"]

    def answers(
        self, questions: Sequence[Sample], generator: torch.Generator | None = None
    ) -> list[Answer[Step]]:
        """What the model says, sampled as one batch."""
        sequence, log_probs = self.model.sample(batch(questions), self.sampler, generator=generator)
        found: list[Answer[Step]] = []
        for row, (text, asked) in enumerate(
            zip(self.codec.decode(sequence), questions, strict=True)
        ):
            own = sequence.target_mask[row]
            drawn = sequence.ids[row, own].tolist(), log_probs[row, own].exp().tolist()
            try:
                end = self.ended(asked["transition"], text)
                if not is_writable(self.state(self.begun(end))):
                    raise BadAnswer("wrong shape", "it holds letters that cannot be written")
                found.append(Answer(text, end, "", *drawn))
            except BadAnswer as error:
                found.append(Answer(text, None, str(error), *drawn))
        return found

    def onward(self, here: Sample, answer: Answer[Step]) -> Sample:
        """Where an answer leads; an answer that cannot be read leads nowhere."""
        if answer.step is None:
            return here
        return here | {"transition": self.begun(answer.step)}

    def ended(self, step: Step, text: str) -> Step:
        """The step with the end that an answer says.

        Raises:
            BadAnswer: It says none.
        """
        end: Step = self.codec.answered(step, text)
        return end

    def score(self, step: Step) -> float:
        """What a step earns by its end; nothing in a world without scores."""
        return 0.0

    def over(self, step: Step) -> bool:
        """Whether a step ends the world; never in a world without an end."""
        return False

    @abstractmethod
    def place(self, step: Step) -> Any:
        """What is the same for steps that begin in the same state."""

    @abstractmethod
    def asked(self, step: Step, action: str) -> Step:
        """The step with another action, as it was recorded or without an end.

        Raises:
            ValueError: There is no such action.
        """

    @abstractmethod
    def begun(self, step: Step) -> Step:
        """A step that begins where another one ends."""

    @abstractmethod
    def state(self, step: Step) -> str:
        """The state in which a step begins, for people."""


def is_one_line(action: str) -> bool:
    """Whether an action can stand in a prompt; a game's own time passes with an empty one."""
    return len(action) <= LONGEST_ACTION and len(action.splitlines()) <= 1 and is_writable(action)


def is_writable(text: str) -> bool:
    """Whether a text has no half of a pair of code units in it."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def batch(samples: Sequence[Sample]) -> dict[str, list[Any]]:
    """Samples as a batch."""
    return {name: [sample[name] for sample in samples] for name in samples[0]}

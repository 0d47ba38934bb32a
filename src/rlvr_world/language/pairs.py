"""Pairs of steps that go on from one state with other actions: does a model follow the action?"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations
from typing import Any, Literal, cast, get_args

from lightning import LightningDataModule
from torch.utils.data import DataLoader, Dataset

from rlvr_world.data.example_reader import Example
from rlvr_world.data.stream import Fitting
from rlvr_world.language.data import TransitionDataModule
from rlvr_world.language.transition import TextTransition
from rlvr_world.types import Batch

Side = Literal["changing", "other"]


class TransitionPairs(LightningDataModule):
    """Test steps of one state whose actions and next states differ, in all pairs.

    The first step of a pair changes something, the other one may. Both start from the state of the
    first, with what led to it, so that nothing but the action tells them apart. Those whose prompts
    are too long for the codec are left out. Batches of either side have the keys
    ``<key of the first>+<key of the other>``.

    Args:
        transitions: Where the steps come from; its ``test_split`` says which are paired.
        test_split: The side of each pair to read, ``changing`` or ``other``.
    """

    def __init__(self, transitions: TransitionDataModule, test_split: Side = "changing") -> None:
        super().__init__()
        self.transitions, self.test_split = transitions, test_split
        self.fitting: Fitting | None = None

    @property
    def fingerprint(self) -> str:
        """Identifies the data, down to the bytes."""
        return self.transitions.fingerprint

    def prepare_data(self) -> None:
        self.transitions.prepare_data()

    def setup(self, stage: str) -> None:
        self.transitions.setup(stage)

    def test_dataloader(self) -> DataLoader[Example]:
        if self.test_split not in get_args(Side):
            raise ValueError(
                f"splits: pairs have the sides {' and '.join(get_args(Side))}, not "
                f"{self.test_split}"
            )
        data, split = self.transitions, self.transitions.test_split
        side = get_args(Side).index(self.test_split)
        data.fitting, reader = self.fitting, data.reader(split)
        found = []
        for first, other in same_starts(data, split):
            key = f"{first['key']}+{other['key']}"
            steps = first["transition"], redone(first["transition"], other["transition"])
            sides = [{"key": key, "transition": step} for step in steps]
            if self.fitting is None or all(self.fitting(reader.collate(sides))):
                found.append(sides[side])
        if not found:
            raise ValueError(
                f"data: no two steps of the {split} split have one state, other actions and other "
                "results: record more, or give another test_split of its transitions"
            )
        examples = cast("Dataset[Example]", found)
        return DataLoader(examples, data.eval_batch_size, collate_fn=reader.collate)

    def transfer_batch_to_device(self, batch: Batch, device: Any, dataloader_idx: int) -> Batch:
        """The batch as it is: it holds no tensors."""
        return batch


def same_starts(data: TransitionDataModule, split: str) -> Iterator[tuple[Example, Example]]:
    """Two examples of a split for each pair, the first one of which changes something."""
    states = defaultdict(list)
    for batch in data.once(split):
        for key, step in zip(batch["key"], batch["transition"], strict=True):
            traits = step.traits()
            start = traits.group, traits.subject, traits.before
            states[start].append((not step.changed, key, traits.after, step))
    for members in states.values():
        for first, other in combinations(sorted(members, key=lambda member: member[:2]), 2):
            (still, key, after, step), (_, other_key, other_after, other_step) = first, other
            if still or after == other_after:
                continue
            if redone(step, other_step).traits() == other_step.traits():
                yield (
                    {"key": key, "transition": step},
                    {"key": other_key, "transition": other_step},
                )


def redone(step: TextTransition, other: TextTransition) -> TextTransition:
    """What the other step's action does, from the start of a step."""
    return replace(step, **{key: getattr(other, key) for key in (*other.outcome, "reasoning")})

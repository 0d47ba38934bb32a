"""The command ``data rejection``: a model's own right answers as data to train on."""

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import torch

from rlvr_world.data.shard_file import ALL
from rlvr_world.files import sha256
from rlvr_world.jobs import progress_bar
from rlvr_world.language.codec import TextCodec
from rlvr_world.language.data import TransitionDataModule
from rlvr_world.language.manifest import TransitionManifest
from rlvr_world.language.recorded import recording
from rlvr_world.language.rewards import AnswerReward
from rlvr_world.language.transition import TextTransition
from rlvr_world.modules.saved import load_world_model
from rlvr_world.modules.world_model import WorldModel
from rlvr_world.rl.sampler import Sampler
from rlvr_world.types import Batch


def rejection(
    data: TransitionDataModule,
    checkpoint: Path,
    reward: AnswerReward,
    root: Path,
    samples: int = 8,
    keep: int = 1,
    least: float = 1.0,
    share: float = 1.0,
    temperature: float = 1.0,
    seed: int = 0,
    device: str = "auto",
) -> TransitionManifest:
    """Sample answers to the training split and keep the right ones (RAFT, Dong et al., 2023).

    Each step that is answered right becomes a step to train on, with the reasoning of that answer;
    the answer to learn is the true one. The other splits are taken over as they are.

    Args:
        data: Transitions of text games or of web pages; its ``part`` counts.
        checkpoint: Checkpoint of the MLE or the RLVR stage.
        reward: Judges the answers.
        root: Folder for the shards.
        samples: Answers that are sampled for each step.
        keep: How many of them are kept at most, if they differ in reasoning.
        least: The smallest reward of an answer that is kept.
        share: Share of the training steps to answer, chosen at random.
        temperature: Temperature of the sampler.
        seed: Where samples, choice and order come from.
        device: Where to run; ``auto`` takes a GPU if there is one.

    Raises:
        ValueError: No answer is right, or ``root`` holds other data.
    """
    if samples < 1 or keep < 1 or not 0 < share <= 1:
        raise ValueError("samples and keep must be at least 1, share above 0 and at most 1")
    data.setup("fit")
    settings = {
        "checkpoint": sha256(checkpoint), "data": data.fingerprint, "reward": reward.label,
        "samples": samples, "keep": keep, "least": least, "share": share,
        "temperature": temperature, "seed": seed,
    }  # fmt: skip
    if data.part != ALL:
        settings["part"] = list(data.part)
    manifest = TransitionManifest.finished(root, "rejection", settings)
    if manifest is not None:
        return manifest
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    model = load_world_model(checkpoint, device)
    data.fitting = model.codec.fitting
    judged = RightAnswers(model, reward, Sampler(temperature), samples, keep, least)
    with recording(root) as spool:
        for step in judged.steps(chosen(data, share, seed), seed):
            spool.add(step, "train", scope=f"train {step.reasoning}")
        if not spool.entries:
            raise ValueError(f"{checkpoint}: none of {judged.counts['answers']} answers is right")
        for split in data.manifest.splits.keys() - {"train"}:
            for step in data.steps(split):
                spool.add(step, split, scope=split)
        return spool.finish(
            lambda entry: entry.unit, seed, source="rejection", settings=settings,
            rows=judged.counts, documents=data.documents(),
        )  # fmt: skip


def chosen(data: TransitionDataModule, share: float, seed: int) -> Iterator[Batch]:
    """The batches of the data's part of the training split, with a share of their steps."""
    rng = random.Random(seed)
    for batch in data.once("train"):
        mine = [rng.random() < share and data.part.holds(key) for key in batch["key"]]
        if any(mine):
            yield {
                name: [value for value, own in zip(values, mine, strict=True) if own]
                for name, values in batch.items()
            }


class RightAnswers:
    """Samples answers to steps and counts those that are right."""

    def __init__(
        self,
        model: WorldModel,
        reward: AnswerReward,
        sampler: Sampler,
        samples: int,
        keep: int,
        least: float,
    ) -> None:
        self.model, self.reward, self.sampler = model, reward, sampler
        self.samples, self.keep, self.least = samples, keep, least
        self.counts: Counter[str] = Counter(steps=0, answers=0, right=0, solved=0)

    def steps(self, batches: Iterator[Batch], seed: int) -> Iterator[TextTransition]:
        """The steps of the right answers, with their reasoning."""
        with progress_bar() as progress:
            for number, batch in enumerate(progress.track(batches, description="sampling")):
                yield from self.of_batch(batch, hash((seed, number)) % 2**63)

    @torch.no_grad()
    def of_batch(self, batch: Batch, seed: int) -> Iterator[TextTransition]:
        source = torch.Generator(self.model.device).manual_seed(seed)
        sequence, _ = self.model.sample(batch, self.sampler, self.samples, source)
        codec = cast(TextCodec, self.model.codec)
        texts: list[str] = codec.decode(sequence)
        for place, step in enumerate(batch["transition"]):
            mine = texts[place * self.samples : (place + 1) * self.samples]
            scores = self.reward.score(mine, [step] * self.samples).tolist()
            right = [t for t, score in zip(mine, scores, strict=True) if score >= self.least]
            thoughts: dict[str, Any] = dict.fromkeys(map(codec.reasoning_of, right))
            self.counts.update(
                steps=1, answers=self.samples, right=len(right), solved=int(bool(right))
            )
            for reasoning in list(thoughts)[: self.keep]:
                yield replace(step, reasoning=reasoning)

"""How far the decoder's gradient points the way that policy gradients of many samples point.

``python -m benchmarks credit CHECKPOINT ROOT`` prints the cosine between the gradient with respect
to all weights by ``credit.gradient`` and by GRPO's samples. Two halves of the samples give what
their noise leaves of a cosine with themselves; the cosine is also printed free of that noise.
"""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from rlvr_world.evaluation.comparison import rewards_of
from rlvr_world.frozen import Frozen
from rlvr_world.modules.checkpoint import load_checkpoint, load_matching
from rlvr_world.modules.rlvr import RLVRWorldModel
from rlvr_world.modules.saved import parts
from rlvr_world.rl.credit import Credit
from rlvr_world.types import Batch
from rlvr_world.video.data.video import VideoDataModule

GROUP = 16


class Policy(RLVRWorldModel):
    """A trained policy without a trainer; its own reference, so that no KL term pulls it."""

    batches_seen = 0

    @classmethod
    def load(cls, path: Path, rewards: Path) -> "Policy":
        checkpoint = load_checkpoint(path)
        model = cls(**parts(checkpoint, path), rewards=rewards_of([rewards]), group_size=GROUP)
        load_matching(model, checkpoint["state_dict"], path)
        model.objective = replace(model.objective, kl_weight=0.0)
        model.reference = Frozen(model.backbone)
        model.backbone.requires_grad_(True)
        return model.eval()

    def gradient(self, batches: Sequence[Batch], rounds: range, credit: Credit) -> Tensor:
        """The mean gradient of the loss over rounds of rollouts of all batches, [D]."""
        self.credit, self.detail = credit, credit.detail(self.codec.patch_grid)
        self.backbone.zero_grad()
        for seed in rounds:
            for index, batch in enumerate(batches):
                self.batches_seen = seed * len(batches) + index
                rollout = self.rollout(batch)
                logits = self.logits(rollout.sequence, GROUP, self.backbone)
                loss, _ = self.objective.loss(logits, rollout, self.bonus(logits, rollout))
                loss.backward()
        grads = [p.grad.flatten() for p in self.backbone.parameters() if p.grad is not None]
        return torch.cat(grads) / (len(rounds) * len(batches))


def main(arguments: Sequence[str]) -> None:
    """Print the cosines for one checkpoint."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks credit", description=__doc__)
    parser.add_argument("checkpoint", type=Path, help="of the MLE or the RLVR stage")
    parser.add_argument("root", help="folder of the shards with frames")
    parser.add_argument("--rewards", type=Path, help="checkpoint whose rewards count; its own")
    parser.add_argument("--clip_length", type=int, default=3)
    parser.add_argument("--context_gap", type=int, help="of a compressive tokenizer")
    parser.add_argument("--prompts", type=int, default=32)
    parser.add_argument("--samples", type=int, default=4096, help="GRPO's, of all prompts")
    args = parser.parse_args(arguments)
    policy = Policy.load(args.checkpoint, args.rewards or args.checkpoint)
    together = min(8, args.prompts)
    clips = {"clip_length": args.clip_length, "context_gap": args.context_gap}
    data = VideoDataModule(args.root, **clips, eval_batch_size=together)
    data.setup("validate")
    stream = iter(data.val_dataloader())
    batches = [next(stream) for _ in range(args.prompts // together)]
    half = max(1, args.samples // (2 * args.prompts * GROUP))
    first, second = (
        policy.gradient(batches, range(start, start + half), Credit()) for start in (0, half)
    )
    decoder = Credit(samples=0.0, gradient=1.0)
    slope = policy.gradient(batches, range(2 * half, 2 * half + 1), decoder)
    again = policy.gradient(batches, range(2 * half + 1, 2 * half + 2), decoder)
    report(first, second, slope, again, 2 * half * args.prompts * GROUP, args.prompts * GROUP)


def report(first: Tensor, second: Tensor, slope: Tensor, again: Tensor, n: int, m: int) -> None:
    """Cosines of two halves of GRPO's samples, two estimates of the decoder, and across."""
    own = cosine(first, second)
    whole = 2 * own / (1 + own)  # of both halves with as many others (Spearman-Brown)
    decoder, across = cosine(slope, again), cosine(first + second, slope)
    print(f"GRPO, {n // 2} samples with {n // 2} others: {own:.3f}; {n} with {n}: {whole:.3f}")
    print(f"decoder's gradient, {m} samples with {m} others: {decoder:.3f}")
    print(f"GRPO, {n} samples, with the decoder's gradient, {m} samples: {across:.3f}")
    if min(whole, decoder) > 0:
        print(f"free of the noise of both: {across / (whole * decoder) ** 0.5:.3f}")


def cosine(first: Tensor, second: Tensor) -> float:
    return float(torch.cosine_similarity(first, second, dim=0))

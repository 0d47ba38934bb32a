"""Seconds of one whole RLVR step, beside ``GRPOTrainer`` of ``trl``, and of an update alone."""

import argparse
from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor

from benchmarks.fit import our_step
from benchmarks.grpo_trainer import their_step
from benchmarks.harness import Case, Contender, Work
from benchmarks.problem import Problem
from rlvr_world.nn.transformer import Transformer

FULL = Problem(1256, 256, 4, 4, 688, prompts=16, length=272, group=16, new=64, minibatches=4)
TINY = Problem(64, 32, 2, 2, 64, prompts=4, length=8, group=4, new=6, minibatches=2)
SHARES = {"1/2": 0.5, "4/5": 0.8, "9/10": 0.9}
"""Parts of a sequence that a group shares."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """``--cases``."""
    parser.add_argument("--cases", nargs="+", choices=("step", "update"), default=None)


def cases(args: argparse.Namespace) -> Iterator[Case]:
    """The whole step, then updates with more and more of the sequence shared."""
    problem = TINY if args.scale == "tiny" else FULL
    chosen = args.cases or ("step", "update")
    if "step" in chosen:
        yield Case(
            "GRPO step",
            str(problem),
            "tokens",
            Contender("RLVRWorldModel", partial(our_step, problem, args.device)),
            (Contender("GRPOTrainer", partial(their_step, problem, args.device), ("trl",)),),
        )
    if "update" in chosen:
        for name, share in SHARES.items():
            yield update_case(name, share, problem, args.device)


def update_case(name: str, share: float, problem: Problem, device: torch.device) -> Case:
    """Forward and backward of four prompts' groups, the prompt computed once or by each member."""
    total = problem.length + problem.new
    length = round(total * share)
    sizes = problem.replace(prompts=4, length=length, new=total - length)
    return Case(
        f"update, {name} shared",
        str(sizes),
        "tokens",
        Contender("shared prompt", partial(update, sizes, device, shared=True)),
        (Contender("repeated prompt", partial(update, sizes, device, shared=False)),),
    )


def update(problem: Problem, device: torch.device, shared: bool) -> Work:
    """Gradients of the log-probabilities of the members' own tokens."""
    torch.manual_seed(0)
    model = Transformer(**problem.model).to(device)
    shape = (problem.prompts, problem.length)
    prompts = torch.randint(problem.vocab_size, shape, device=device)
    rows = problem.prompts * problem.group
    own = torch.randint(problem.vocab_size, (rows, problem.new), device=device)

    def work() -> int:
        model.zero_grad()
        member_log_probs(model, prompts, own, shared).mean().backward()
        return rows * problem.new

    return work


def member_log_probs(model: Transformer, prompts: Tensor, own: Tensor, shared: bool) -> Tensor:
    """Log-probabilities of the members' tokens [B * G, N] after their prompts [B, P]."""
    group = len(own) // len(prompts)
    if shared:
        cache = model.prompt_cache(prompts[:, :-1])
        last = prompts[:, -1:].repeat_interleave(group, 0)
        hidden = model(torch.cat([last, own[:, :-1]], dim=1), cache)
    else:
        whole = torch.cat([prompts.repeat_interleave(group, 0), own[:, :-1]], dim=1)
        hidden = model(whole)[:, -own.shape[1] :]
    return model.logits(hidden).log_softmax(-1).gather(2, own[..., None])

"""``python -m benchmarks NAME``: one table each; NAME is one of ``NAMES``."""

import argparse
import logging
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

import torch
from rich.progress import track

from benchmarks import report
from benchmarks.harness import Row, measure
from rlvr_world.files import write_json

NAMES = {
    "rollout": "the sampler beside transformers' generate",
    "step": "one whole RLVR step beside trl's GRPOTrainer",
    "data": "clips from shards beside plain webdataset",
    "rlds": "TFRecords into shards beside TFRecords into NPZ files",
    "tokenizer": "the frame tokenizer beside diffusers' VQModel",
    "rewards": "text-game rewards beside a comparison of states with deepdiff",
    "environment": "steps of a world model beside whole prompts and the simulator",
    "paper": "rollouts and RLVR steps at the paper's sizes, beside the device's floors",
    "kill": "runs that are killed and resumed, bit for bit",
    "credit": "the decoder's gradient beside policy gradients of many samples",
    "soak": "memory, open files and threads of a long run",
    "trace": "Chrome traces of a rollout and of an update",
    "gpu-page": "docs/speed_gpu.md from what gpu.sh has left",
    "scaling": "the model of a step's time and memory beside measured steps",
}
WITH_OWN_ARGUMENTS = ("kill", "soak", "credit", "trace", "gpu-page", "scaling")


def main(arguments: Sequence[str] | None = None) -> list[Row]:
    """Run one benchmark: print its table, and write it as JSON after each case if asked to."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    outer = argparse.ArgumentParser(prog="python -m benchmarks", epilog=_listing())
    outer.add_argument("benchmark", choices=NAMES, help=_listing())
    chosen = outer.parse_args(arguments[:1]).benchmark
    benchmark = import_module(f"benchmarks.{chosen.replace('-', '_')}")
    if chosen in WITH_OWN_ARGUMENTS:
        benchmark.main(arguments[1:])
        return []
    parser = _parser(chosen)
    benchmark.add_arguments(parser)
    args = parser.parse_args(arguments[1:])
    if args.threads is not None:
        torch.set_num_threads(args.threads)
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    rows: list[Row] = []
    for case in track(benchmark.cases(args), description=chosen, transient=True):
        if args.only is None or args.only in case.name:
            rows += measure(case, args.device, args.rounds, args.warm_ups)
        if args.json is not None:
            write_json(args.json, report.document(chosen, rows, args.device))
    report.show(chosen, rows, args.device)
    return rows


def _parser(benchmark: str) -> argparse.ArgumentParser:
    """The arguments that all benchmarks have."""
    parser = argparse.ArgumentParser(
        prog=f"python -m benchmarks {benchmark}", description=NAMES[benchmark]
    )
    device = "cuda" if torch.cuda.is_available() else "cpu"
    parser.add_argument("--json", type=Path, help="also write the rows to this file")
    parser.add_argument("--scale", choices=("tiny", "full"), default="full")
    parser.add_argument("--device", type=torch.device, default=torch.device(device))
    parser.add_argument("--threads", type=int, help="of PyTorch on the CPU")
    parser.add_argument("--only", help="measure only the cases whose name has this text")
    parser.add_argument("--rounds", type=int, default=3, help="measured runs of each contender")
    parser.add_argument(
        "--warm-ups", type=int, default=1, help="runs of each before that of its memory"
    )
    return parser


def _listing() -> str:
    return "; ".join(f"{name}: {text}" for name, text in NAMES.items())


if __name__ == "__main__":
    main()

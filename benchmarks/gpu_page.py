"""The page ``docs/speed_gpu.md`` from what ``benchmarks/gpu.sh`` has left in a folder."""

import argparse
import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from benchmarks.report import number
from rlvr_world.files import read_json, write_text

PAGE = Path(__file__).parents[1] / "docs" / "speed_gpu.md"
INTRODUCTION = """# Speed on a GPU

```bash
benchmarks/gpu.sh                                     # one GPU, offline, 30 minutes at most
python -m benchmarks gpu-page benchmarks/gpu_results  # fills this page
```

`benchmarks/gpu.sh --scale tiny` tries all of it out on the CPU; `--help` lists the options. A stage
that is done is kept, one that was stopped runs again with the same command. Where nothing is
trained, networks have random weights and frames are noise: speed does not depend on them.

The original takes 252 A100-seconds for a single-step RLVR step and 720 for a multi-step one. Floors
are what the device's memory bandwidth and arithmetic, measured in the same run, would allow.
"""
STAGES = {
    "tests": "the tests marked `gpu`: CUDA graphs, `torch.compile`",
    "single_step": "the paper's single-step RLVR step: 128 prompts x 16, LPIPS with a VGG trunk",
    "multi_step": "its multi-step step, seven frames through the compressive decoder",
    "pusht": "`rlvr-world demo pusht` on the GPU, to its table, 15 minutes at most",
    "bytesized32": "MLE and RLVR of SmolLM2-135M on ByteSized32 (`--bytesized32 FOLDER`)",
    "rollouts": "rollouts at the paper's sizes beside `generate`, and vLLM if it is installed",
    "trace": "Chrome traces of a rollout and of an update",
}
STEPS = {"single_step": "single-step", "multi_step": "multi-step"}
GOALS = {
    "step, s": "20, then 10; multi-step 30",
    "sampled tokens per second": "100,000",
    "times the floor of decoding": "2",
    "times the floor of the update": "2",
}
Rows = Sequence[Sequence[str]]


def main(arguments: Sequence[str]) -> None:
    """Write the page; without a folder, what would be measured."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks gpu-page", description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", help="output folder of gpu.sh")
    parser.add_argument("--output", type=Path, default=PAGE)
    args = parser.parse_args(arguments)
    if args.folder is not None and not any(args.folder.glob("*.done")):
        parser.error(f"{args.folder}: no stage is done there; run benchmarks/gpu.sh first")
    write_text(args.output, page(args.folder))


def page(folder: Path | None) -> str:
    """The page in Markdown."""
    if folder is None:
        said = (
            "**No GPU has run any of this yet.** These are the stages, and what steps are to reach."
        )
        return "\n".join([INTRODUCTION, said, "", *stages({}), *steps({})]).rstrip() + "\n"
    seconds = {path.stem: path.read_text().strip() for path in folder.glob("*.done")}
    measured = [name for name in (*STEPS, "rollouts") if name in seconds]
    found = {name: read_json(folder / f"{name}.json") for name in measured}
    parts = [INTRODUCTION, *origin(found), *stages(seconds, tests(folder, seconds))]
    parts += [*steps(found), *rollouts(found)]
    for name in ("pusht", "bytesized32"):
        if name in seconds:
            with (folder / name / "table.csv").open() as lines:
                parts += [f"## {name}", "", *table(list(csv.reader(lines)))]
    if "trace" in seconds:
        parts += slowest(read_json(folder / "trace" / "slowest.json"))
    return "\n".join(parts).rstrip() + "\n"


def origin(found: Mapping[str, Any]) -> Iterator[str]:
    """Where it was measured."""
    places = {(d["device"], d["torch"], d["commit"]): None for d in found.values()}
    for device, torch, commit in places:
        yield f"Measured on {device}, torch {torch}, commit {commit}."
    yield ""


def stages(seconds: Mapping[str, str], tested: str = "") -> list[str]:
    """What is measured, and which stages are done."""
    rows = [["stage", "what", "seconds"]]
    for name, text in STAGES.items():
        result = f"; {tested}" if name == "tests" and tested else ""
        rows.append([f"`{name}`", text + result, seconds.get(name, "not measured")])
    return ["## Stages", "", *table(rows)]


def tests(folder: Path, seconds: Mapping[str, str]) -> str:
    """How many tests passed and were skipped."""
    if "tests" not in seconds:
        return ""
    suite = ElementTree.parse(folder / "tests.xml").getroot()[0]
    skipped = int(suite.get("skipped", 0))
    return f"{int(suite.get('tests', 0)) - skipped} passed, {skipped} skipped"


def steps(found: Mapping[str, Any]) -> list[str]:
    """Whole RLVR steps by part, beside the goals."""
    measured = {name: found[name]["rows"][0] for name in STEPS if name in found}
    notes = {name: row["notes"] | memory(row["ours"]) for name, row in measured.items()}
    parts = list(dict.fromkeys(key for each in notes.values() for key in each)) or list(GOALS)
    rows = [["", *STEPS.values(), "goal"]]
    for part in parts:
        cells = [number(notes[name][part]) if name in notes else "not measured" for name in STEPS]
        rows.append([part, *cells, GOALS.get(part, "")])
    shapes = [f"{STEPS[name]}: {row['shape']}." for name, row in measured.items()]
    return ["## RLVR steps", "", *shapes, *[""] * bool(shapes), *table(rows)]


def memory(measurement: Mapping[str, Any]) -> dict[str, float]:
    """The peak, where it is known."""
    mib = measurement["memory_mib"]
    return {} if mib is None else {"memory, GiB": mib / 1024}


def rollouts(found: Mapping[str, Any]) -> list[str]:
    """Tokens per second beside alternatives."""
    if "rollouts" not in found:
        return []
    rows = [["rollout", "tokens/s", "beside", "tokens/s", "ratio"]]
    for row in found["rollouts"]["rows"]:
        ours, theirs = row["ours"], row["theirs"]
        beside = [row["reason"] or "", "", ""]
        if theirs:
            beside = [theirs["name"], number(theirs["units_per_second"]), number(row["ratio"])]
        rows.append([f"{row['case']}: {row['shape']}", number(ours["units_per_second"]), *beside])
    return ["## Rollouts", "", *table(rows)]


def slowest(found: Mapping[str, Any]) -> list[str]:
    """The operations that take longest."""
    parts = []
    for name in ("rollout", "update"):
        rows = [["operation", "seconds"], *([f"`{k}`", number(v)] for k, v in found[name].items())]
        parts += [f"## Slowest operations: {name}", "", *table(rows[:9])]
    return parts


def table(rows: Rows) -> list[str]:
    """A Markdown table whose first row is the header, and an empty line."""
    header, *body = rows
    lines = [header, ["---"] * len(header), *body]
    return [f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines] + [""]

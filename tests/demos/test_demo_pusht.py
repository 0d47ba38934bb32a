"""The demo on PushT as a user runs it, for a few steps; rewards of the user's reach every place."""

import json

import pytest
import torch

from rlvr_world.cli import main

EDGES = """
from rlvr_world.reward import Reward


class EdgeError(Reward):
    higher_is_better = False

    def score(self, prediction, target, given):
        gap = prediction.diff(dim=-1) - target.diff(dim=-1)
        return gap.abs().flatten(1).mean(dim=1)
"""
OVERLAY = """
model:
  init_args:
    rewards:
      mae: {class_path: MAE}
      edges: {class_path: edges_of_demo.EdgeError, init_args: {weight: 0.5}}
"""
RUNS = ("tokenizer", "mle", "rlvr", "mle_equal_time")


def demo(*options):
    main(["demo", "pusht", "--overlay", "configs/trainer/debug.yaml", *options])


@pytest.fixture
def with_edges(workplace):
    """A folder with rewards of the user's, of which the tokenizer needs to know nothing."""
    (workplace / "edges_of_demo.py").write_text(EDGES)
    (workplace / "edges.yaml").write_text(OVERLAY)
    return workplace


def times(folder):
    return {r: (folder / r / "checkpoints/last.ckpt").stat().st_mtime_ns for r in RUNS}


def test_demo_goes_from_nothing_to_the_table_and_keeps_what_is_finished(workplace):
    demo("--folder", "checkpoints/small")
    folder = workplace / "checkpoints/small"
    table = json.loads((folder / "table.json").read_text())
    assert list(table["rows"]) == [
        "velocity", "states_and_action",
        "copy_last", "reconstruction", "mle", "mle_tuned_sampling", "mle_mbr",
        "mle_equal_time", "rlvr", "rlvr_tuned_sampling",
    ]  # fmt: skip
    assert all(table["seconds"][run] > 0 for run in RUNS)
    first = times(folder)
    (folder / "mle/finished.json").unlink()
    demo("--folder", "checkpoints/small")
    assert times(folder) == first
    assert (folder / "mle/finished.json").exists()


@pytest.mark.slow  # what README says of an overlay is run by its test
def test_rewards_of_an_overlay_reach_training_validation_the_kept_checkpoint_and_the_table(
    with_edges,
):
    options = ("--folder", "checkpoints/edges", "--overlay", "edges.yaml")
    demo(*options)
    folder = with_edges / "checkpoints/edges"
    for run in ("mle", "rlvr", "mle_equal_time"):
        saved = torch.load(folder / run / "checkpoints/last.ckpt", weights_only=True)
        assert set(saved["hyper_parameters"]["rewards"]) == {"mae", "edges"}
    saved = torch.load(folder / "rlvr/checkpoints/best.ckpt", weights_only=True)
    kept = next(v for k, v in saved["callbacks"].items() if "'monitor': 'val/reward'" in k)
    table = json.loads((folder / "table.json").read_text())
    assert table["rewards"] == {"mae": 1.0, "edges": 0.5}
    events = logged(folder / "rlvr")
    assert {"train/reward/edges", "val/reward/edges", "val/reward"} <= set(events)
    mae, edges, reward = (events[f"val/reward{name}"] for name in ("/mae", "/edges", ""))
    assert reward == pytest.approx([-m - 0.5 * e for m, e in zip(mae, edges, strict=True)])
    assert kept["best_model_score"].item() == pytest.approx(max(reward))


def logged(folder):
    """The scalars of a run by name."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder))
    events.Reload()
    return {tag: [e.value for e in events.Scalars(tag)] for tag in events.Tags()["scalars"]}

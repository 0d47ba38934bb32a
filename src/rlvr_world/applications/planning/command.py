"""The command ``plan``: do plans that are made in a world model reach their goals?"""

import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from rich.console import Console
from torch import Tensor

from rlvr_world.applications.interactive_rollout import video_codec
from rlvr_world.applications.planning.goal_cost import GoalCost
from rlvr_world.applications.planning.planners import Planner
from rlvr_world.applications.planning.pusht_trials import Trial, trials
from rlvr_world.evaluation.comparison import check_names, device_name
from rlvr_world.evaluation.rows import load_models
from rlvr_world.evaluation.table import Table, cells, score_frame
from rlvr_world.files import write_text
from rlvr_world.jobs import progress_bar
from rlvr_world.modules.checkpoint import code_commit
from rlvr_world.reward import Reward
from rlvr_world.rl.budget import check_positive
from rlvr_world.rl.sampler import Sampler
from rlvr_world.video.data.manifest import Manifest

LABELS = {
    "success": "success %",
    "block": "block to goal, px",
    "agent": "agent to goal, px",
    "seconds": "s per decision",
}
Costs = Callable[[list[Trial], Tensor], Tensor]
"""The costs [B, S] of candidates [B, S, H, A] of B trials."""


def plan(
    output: Path,
    data: Path,
    models: dict[str, Path],
    planner: Planner,
    distance: Reward | None = None,
    samplers: dict[str, Sampler] | None = None,
    goals: int = 50,
    horizon: int = 6,
    replan_every: int = 2,
    model_horizon: int = 1,
    simulator: Reward | None = None,
    token_budget: int | None = None,
    seed: int = 0,
    device: str = "auto",
) -> Table:
    """Plan actions in world models of PushT, do them in the simulator, and count goals reached.

    A goal is the frame that a test episode of the recording shows ``horizon`` frames later. The
    simulator goes on from the episode's own state. Every ``replan_every`` frames a planner searches
    the actions to the end of the horizon anew, from what the simulator shows then. Rows beside the
    models are ``still`` (the last action goes on), ``random`` (the planner's first candidates,
    unchosen) and ``simulator``. Writes table.json, table.csv and table.md, anew after each row.

    Args:
        output: Folder for the table.
        data: Folder of the recording.
        models: Checkpoints by the name of their row.
        planner: How actions are searched.
        distance: The metric of the predicted frame against the goal that plans make small; the
            share of tokens that differ if not given.
        samplers: Samplers by row; the model's own distribution if not given.
        goals: How many goals.
        horizon: Frames until a goal has to be reached.
        replan_every: Frames after which the rest is planned anew.
        model_horizon: Frames that a model predicts before its window slides.
        simulator: The metric by which the planner searches in the simulator itself, the bound for
            every model; that row is left out if not given.
        token_budget: The most tokens whose keys and values are held at once.
        seed: Which goals, and where the planner's candidates come from.
        device: Where to run, such as ``cpu`` or ``cuda``; ``auto`` takes a GPU if there is one.
    """
    check_positive(goals=goals, horizon=horizon, replan_every=replan_every)
    samplers = samplers or {}
    check_names(models, samplers, {})
    if taken := {"still", "random", "simulator"} & models.keys():
        raise ValueError(f"models: there is a row {taken.pop()} already; use another name")
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    loaded = load_models(models, torch.device(device))
    codec = video_codec(next(iter(loaded.values())))
    costs: dict[str, Costs | None] = {"still": None, "random": None}
    for name, model in loaded.items():
        options = (model_horizon, samplers.get(name), token_budget, seed)
        costs[name] = model_costs(GoalCost(model, distance, *options))
    if simulator is not None:
        costs["simulator"] = simulator_costs(simulator)
    search = Search(planner, codec.action_low, codec.action_high, horizon, replan_every, seed)
    about = {
        "labels": LABELS,
        "higher_is_better": {name: name == "success" for name in LABELS},
        "split": "test",
        "commit": code_commit(),
        "device": device_name(torch.device(device)),
        "data": Manifest.load(data).fingerprint,
        "checkpoints": {name: str(path) for name, path in models.items()},
        "samplers": {name: vars(sampler) for name, sampler in samplers.items()},
        "seeds": 1,
        "samples": goals,
    }
    attempts = partial(trials, data, goals, codec.window, horizon, seed)
    for table in tables(search, costs, attempts, about):
        table.save(output)
        write_text(output / "table.md", markdown(table))
    Console().print(table.block(list(LABELS)))
    return table


def tables(
    search: "Search",
    costs: Mapping[str, Costs | None],
    attempts: Callable[[], list[Trial]],
    about: Mapping[str, Any],
) -> Iterator[Table]:
    """The table after each row."""
    scores = []
    with progress_bar() as progress:
        for name in progress.track(costs, description="planning"):
            found = search.run(name, attempts(), costs[name])
            scores.append(score_frame(name, found, ["all"] * about["samples"]))
            yield Table(**about, cells=cells(pd.concat(scores)))


class Search:
    """Plans, and does what was planned.

    Args:
        planner: How actions are searched.
        low: The least actions, [A].
        high: The largest actions, [A].
        horizon: Frames until a goal has to be reached.
        replan_every: Frames after which the rest is planned anew.
        seed: Where the candidates come from.
    """

    def __init__(
        self,
        planner: Planner,
        low: Tensor,
        high: Tensor,
        horizon: int,
        replan_every: int,
        seed: int,
    ) -> None:
        self.planner, self.low, self.high = planner, low, high
        self.horizon, self.replan_every, self.seed = horizon, replan_every, seed

    def run(self, name: str, attempts: list[Trial], cost: Costs | None) -> dict[str, Tensor]:
        """The scores [B, 1] of B trials, after all of them."""
        generator = torch.Generator(self.low.device).manual_seed(self.seed)
        seconds, decisions = 0.0, 0
        plans = self.stay(attempts)
        if name == "random":
            spread = self.planner.deviation(self.high - self.low, self.horizon)
            noise = self.planner.steps((len(plans), 1, *plans.shape[1:]), generator)[:, 0]
            plans = (plans + spread * noise).clamp(self.low, self.high)
        for _ in range(0, self.horizon, self.replan_every):
            begin = time.perf_counter()
            if cost is not None:
                ask = lambda actions: cost(attempts, actions)  # noqa: E731
                plans = self.planner.plan(ask, plans, self.low, self.high, generator)
            seconds, decisions = seconds + time.perf_counter() - begin, decisions + len(plans)
            for trial, actions in zip(attempts, plans, strict=True):
                trial.act(actions[: self.replan_every])
            plans = plans[:, self.replan_every :]  # the next search begins with the rest
        rows = [
            {"success": 100.0 * trial.reached, **trial.distances, "seconds": seconds / decisions}
            for trial in attempts
        ]
        return {name: torch.tensor([[row[name]] for row in rows]) for name in LABELS}

    def stay(self, attempts: list[Trial]) -> Tensor:
        """The agent's place, as an action for the whole horizon, [B, H, A]."""
        places = torch.from_numpy(np.stack([trial.state[:2] for trial in attempts]))
        places = places.to(self.low)[:, None].repeat(1, self.horizon, 1)
        return places.clamp(self.low, self.high)


def model_costs(cost: GoalCost) -> Costs:
    """Costs in a world model, from what the simulator shows now."""

    def ask(attempts: list[Trial], actions: Tensor) -> Tensor:
        count, dims = cost.codec.window - 1, actions.shape[-1]
        past = [np.reshape(t.actions[len(t.actions) - count :], (count, dims)) for t in attempts]
        info = {
            "frames": torch.stack([trial.frames for trial in attempts]),
            "actions": torch.from_numpy(np.stack(past)).float(),
            "context": torch.stack([trial.frames[0] for trial in attempts]),
            "goal": torch.stack([trial.goal_frame for trial in attempts]),
        }
        return cost.get_cost(info, actions)

    return ask


def simulator_costs(distance: Reward) -> Costs:
    """Costs in the simulator itself."""

    def ask(attempts: list[Trial], actions: Tensor) -> Tensor:
        pairs = zip(attempts, actions, strict=True)
        return torch.stack([trial.true_costs(each, distance) for trial, each in pairs])

    return ask


def markdown(table: Table) -> str:
    """The means as a table of Markdown."""
    rows = [["row", *map(table.heading, table.labels)], ["---"] * (len(table.labels) + 1)]
    for row in table.cells.index.unique("row"):
        means = [table.cells.loc[(row, metric), "mean"] for metric in table.labels]
        rows.append([row, *(f"{mean:.3g}" for mean in means)])
    return "".join(f"| {' | '.join(cells)} |\n" for cells in rows)

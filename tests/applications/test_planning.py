"""Plans: the searches, their costs in a world model, and goals in PushT."""

import json

import numpy as np
import pytest
import torch
from tiny_video import TinyVideo, export_tokenizer, save_untrained

from rlvr_world.applications.interactive_rollout import InteractiveRollout
from rlvr_world.applications.planning.command import Search
from rlvr_world.applications.planning.goal_cost import GoalCost
from rlvr_world.applications.planning.planners import CEM, ICEM, MPPI
from rlvr_world.applications.start_states import chosen, start_states
from rlvr_world.modules.saved import load_world_model
from rlvr_world.rl.sampler import Sampler
from rlvr_world.video.rewards.frames import MSE, PSNR

GOALS = torch.tensor([[0.9, 0.1], [0.2, 0.7]])  # of two problems with two dimensions


def quadratic(actions):
    return (actions - GOALS[:, None, None]).square().sum(dim=(2, 3))


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny")
    path = save_untrained(folder / "mle.ckpt", export_tokenizer(folder / "tokenizer"))
    return load_world_model(path)


@pytest.fixture
def info(model):
    start = chosen(start_states(TinyVideo(), model.codec), [0, 3], model.device)
    frames, actions = start["frames"][:, :2], start["actions"][:, :1]
    return {"frames": frames, "actions": actions, "goal": start["frames"][:, 2], "key": [0, 1]}


@pytest.mark.parametrize("kind", [CEM, ICEM, MPPI])
def test_a_search_ends_near_what_costs_least(kind):
    generator = torch.Generator().manual_seed(0)
    planner = kind(candidates=200, iterations=15, elites=20, spread=0.3)
    start = torch.full((2, 4, 2), 0.5)
    found = planner.plan(quadratic, start, torch.zeros(2), torch.ones(2), generator)
    assert quadratic(found[:, None]).max() < 0.1 * quadratic(start[:, None]).min()
    within = planner.plan(quadratic, start, torch.zeros(2), torch.full((2,), 0.6), generator)
    assert 0 <= within.min() <= within.max() <= torch.tensor(0.6)


@pytest.mark.parametrize("length", [1, 4, 5])
def test_coloured_noise_has_unit_variance_and_neighbours_alike(length):
    noise = ICEM(colour=2).noise((50, 40, length, 3), torch.Generator().manual_seed(0))
    assert noise.std().item() == pytest.approx(1, abs=0.05)
    if length > 1:
        assert (noise[:, :, 1:] * noise[:, :, :-1]).mean() > 0.2


@pytest.mark.parametrize("options", [{}, {"colour": 0}])
def test_candidates_of_a_walk_spread_the_farther_the_later_they_are(options):
    kind, drawn = ICEM if options else CEM, []
    planner = kind(candidates=4000, iterations=1, elites=8, spread=0.1, walk=True, **options)

    def watched(actions):
        drawn.append(actions)
        return actions.flatten(2).sum(dim=2)

    middle = torch.full((1, 4, 1), 0.5)
    limits = (torch.full((1,), -9.5), torch.full((1,), 10.5))
    planner.plan(watched, middle, *limits, torch.Generator().manual_seed(0))
    steps = (drawn[0][0, 1:, :, 0] - 0.5) / 2
    torch.testing.assert_close(
        steps.std(dim=0), torch.tensor([1, 2, 3, 4]).sqrt(), rtol=0.1, atol=0
    )
    own = steps.diff(dim=1)
    assert abs(torch.corrcoef(torch.stack([steps[:, 0], own[:, 0]]))[0, 1]) < 0.1


def test_the_rest_of_a_plan_is_where_the_next_search_begins():
    class Attempt:
        state, reached, distances = np.zeros(5), False, {"block": 0.0, "agent": 0.0}

        def __init__(self):
            self.done = []

        def act(self, actions):
            self.done += actions.tolist()

    asked = []

    def cost(attempts, actions):
        asked.append(actions[:, 0])  # the mean is the first candidate
        return (actions - 0.7).square().sum(dim=(2, 3))

    planner = CEM(candidates=60, iterations=4, elites=6, spread=0.3)
    low, high = torch.zeros(2), torch.ones(2)
    attempts = [Attempt(), Attempt()]
    Search(planner, low, high, horizon=5, replan_every=2, seed=0).run("model", attempts, cost)
    first, second, third = asked[0], asked[4], asked[8]
    assert [each.shape[1] for each in (first, second, third)] == [5, 3, 1]
    assert not first.any()
    assert (second - 0.7).abs().mean() < 0.4
    done = torch.tensor([attempt.done for attempt in attempts])
    assert done.shape == (2, 5, 2)
    assert (done[:, -1] - 0.7).abs().max() < (done[:, 0] - 0.7).abs().max()


@pytest.mark.parametrize("distance", [None, MSE(), PSNR()])
def test_a_cost_is_that_of_the_predicted_frame(model, info, distance):
    actions = torch.rand(2, 3, 2, 2, generator=torch.Generator().manual_seed(1))
    likeliest = Sampler(temperature=0)
    cost = GoalCost(model, distance, sampler=likeliest).get_cost(info, actions)
    assert cost.shape == (2, 3)
    rollout = InteractiveRollout(model, info, sampler=likeliest)
    uniforms = torch.zeros(2, model.codec.tokens_per_frame, dtype=torch.float64)
    rollout.step(actions[:, 1, 0], uniforms)
    window = rollout.advance(actions[:, 1, 1], uniforms)
    if distance is None:
        goal = model.codec.frame_tokens(info | {"frames": info["goal"][:, None]})
        expected = (model.codec.predicted_tokens(window) != goal).float().mean(dim=(1, 2))
    else:
        goal = info["goal"][:, None].float() / 255
        sign = -1 if distance.higher_is_better else 1
        expected = sign * distance.score(model.codec.decode(window), goal, {})
    torch.testing.assert_close(cost[:, 1], expected)


def test_a_cost_that_is_no_number_is_no_plan(model, info):
    class Broken(MSE):
        def error(self, difference):
            return difference * float("nan")

    with pytest.raises(ValueError, match="distance: Broken of predicted frames and goals is not"):
        GoalCost(model, Broken()).get_cost(info, torch.rand(2, 3, 2, 2))


def test_neither_budget_nor_form_changes_a_cost(model, info):
    """Rows a few at a time; each entry once for each candidate; actions from -1 to 1."""
    actions = torch.rand(2, 5, 2, 2, generator=torch.Generator().manual_seed(1))
    whole = GoalCost(model, MSE())
    expected = whole.get_cost(info, actions)
    assert len(expected.unique()) > 4
    torch.testing.assert_close(whole.get_cost(info, actions), expected, rtol=0, atol=0)
    few = GoalCost(model, MSE(), token_budget=600)
    assert 1 < few.rows_at_once(InteractiveRollout(model, info)) < 5
    torch.testing.assert_close(few.get_cost(info, actions), expected)
    theirs = {
        "pixels": info["frames"][:, None].expand(-1, 5, -1, -1, -1, -1),
        "action": info["actions"][:, None].expand(-1, 5, -1, -1) * 2 - 1,
        "goal": info["goal"][:, None, None].expand(-1, 5, 1, -1, -1, -1),
    }
    normalized = GoalCost(model, MSE(), normalized=True)
    torch.testing.assert_close(normalized.get_cost(theirs, actions * 2 - 1), expected)


def test_what_a_cost_needs_is_said(model, info):
    actions = torch.rand(2, 3, 2, 2)
    with pytest.raises(ValueError, match="it needs frames"):
        GoalCost(model).get_cost({"goal": info["goal"]}, actions)
    with pytest.raises(ValueError, match="the model is given 2 frames, there are 1"):
        GoalCost(model).get_cost(info | {"frames": info["frames"][:, :1]}, actions)


def test_the_solvers_of_stable_worldmodel_take_a_cost(model, info):
    solver = pytest.importorskip(
        "stable_worldmodel.solver", reason="stable-worldmodel is not installed"
    )
    import gymnasium
    from stable_worldmodel import PlanConfig

    cost = GoalCost(model, MSE(), normalized=True)
    search = solver.CEMSolver(cost, batch_size=2, num_samples=6, n_steps=2, topk=2)
    config = PlanConfig(horizon=2, receding_horizon=1)
    box = gymnasium.spaces.Box(-1, 1, (2, 2))
    search.configure(action_space=box, n_envs=2, config=config)
    theirs = {"pixels": info["frames"], "action": info["actions"] * 2 - 1}
    found = search.solve(theirs | {"goal": info["goal"]})
    assert found["actions"].shape == (2, 2, 2)


def test_plan_writes_a_table(workplace, tmp_path):
    from rlvr_world.cli import main

    main(["plan", "-c", "configs/pusht/planning.yaml", "--output", str(tmp_path), "--goals", "1",
          "--horizon", "4", "--models", '{"rlvr": "rlvr"}', "--samplers", "{}",
          "--planner.candidates", "4", "--planner.iterations", "1",
          "--planner.elites", "2"])  # fmt: skip
    rows = json.loads((tmp_path / "table.json").read_text())["rows"]
    assert list(rows) == ["still", "random", "rlvr", "simulator"]
    assert set(rows["rlvr"]) == {"success", "block", "agent", "seconds"}
    assert rows["still"]["success"][0] == 0 < rows["still"]["block"][0]
    assert (tmp_path / "table.md").read_text().startswith("| row | success % ↑ |")

"""Policies judged in worlds: measures of agreement, rollouts, the table."""

from types import SimpleNamespace

import numpy as np
import pytest
import scipy.stats
import torch
from tiny_video import SIZE, export_tokenizer, save_untrained

from rlvr_world.applications.policies.agreement import (
    agreement,
    correlation,
    mean_difference,
    rank_violation,
)
from rlvr_world.applications.policies.command import judged, table_of
from rlvr_world.applications.policies.labelling.clips import save_clips
from rlvr_world.applications.policies.policy import Policy, demonstrations
from rlvr_world.applications.policies.rollouts import imagined_film, outcomes, real_film
from rlvr_world.applications.policies.table import HIGHER, LABELS
from rlvr_world.applications.policies.worlds import Trial, unrecorded
from rlvr_world.data.samples import write_shard
from rlvr_world.files import read_json
from rlvr_world.modules.saved import load_world_model
from rlvr_world.rl.sampler import Sampler
from rlvr_world.video.data.manifest import Manifest


def slow_rank_violation(real, other):
    worst = [0.0] * len(real)
    for i in range(len(real)):
        for j in range(len(real)):
            if (other[i] < other[j]) != (real[i] < real[j]):
                worst[i] = max(worst[i], abs(real[i] - real[j]))
    return sum(worst) / len(worst)


def test_measures_are_those_computed_otherwise():
    rng = np.random.default_rng(0)
    for _ in range(20):
        real, other = rng.integers(0, 6, (2, 5)) / 5
        assert rank_violation(real, other) == pytest.approx(slow_rank_violation(real, other))
        assert mean_difference(real, other) == pytest.approx(np.mean(np.abs(real - other)))
        if real.std() and other.std():
            expected = scipy.stats.pearsonr(real, other).statistic
            assert correlation(real, other) == pytest.approx(expected)
    assert np.isnan(correlation(np.array([0.1, 0.1]), np.array([0.2, 0.4])))
    assert rank_violation(np.array([0.2, 0.7]), np.array([0.9, 0.1])) == pytest.approx(0.5)
    assert rank_violation(np.array([0.2, 0.7]), np.array([0.0, 0.9])) == 0


def test_intervals_cover_the_truth_and_shrink_with_more_starts():
    rng, shares = np.random.default_rng(0), np.array([[0.1], [0.4], [0.8]])
    widths = []
    for starts in (30, 480):
        real = {task: (rng.random((3, starts)) < shares) * 1.0 for task in "ab"}
        other = {task: (rng.random((3, starts)) < shares + 0.15) * 1.0 for task in "ab"}
        value, low, high = agreement(real, other, draws=400)["difference"]
        assert low < value < high
        widths.append(high - low)
    assert low < 0.15 < high
    assert widths[1] < 0.5 * widths[0]
    same = agreement(real, real, draws=50)
    assert same["difference"] == same["rank_violation"] == (0, 0, 0)
    assert same["correlation"] == pytest.approx((1, 1, 1))


class Slider:
    """A frame as bright as a place from 0 to 1, which actions move; at 0.5 and over it is done."""

    def begin(self, split, index):
        self.place = index % 7 / 40

    def step(self, action):
        self.place = float(np.clip(self.place + 0.1 * action[0], 0, 1))

    def policy(self):
        return np.array([0.9, 0.0], np.float32)

    def frame(self):
        return np.full((SIZE, SIZE, 3), 40 + round(200 * self.place), np.uint8)

    @property
    def success(self):
        return self.place >= 0.5


class Steady(Policy):
    """Moves by the same amount each time, whatever it sees."""

    def __init__(self, amount):
        self.amount = amount

    def __call__(self, frames, task):
        assert frames.dtype == torch.uint8
        return torch.tensor([[self.amount, 0.0]]).repeat(len(frames), 1)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny")
    return load_world_model(save_untrained(folder / "mle.ckpt", export_tokenizer(folder / "vq")))


MANIFEST = SimpleNamespace(settings={"tasks": ["x", "slide"], "episodes": {"test": 3, "val": 3}})


@pytest.fixture(scope="module")
def trials():
    policies = {"still": Steady(0.0), "slow": Steady(0.65), "fast": Steady(1.0)}
    return {"slide": Trial(Slider(), MANIFEST, "slide", policies, 7, 4, 6, 150)}


def test_starts_are_of_the_task_and_were_never_recorded():
    assert unrecorded(MANIFEST, "slide", "test", 3) == [5, 7, 9]
    assert unrecorded(MANIFEST, "x", "val", 2) == [4, 6]
    with pytest.raises(ValueError, match=r"tasks: pull is none of the recording's \(x, slide\)"):
        unrecorded(MANIFEST, "pull", "test", 1)


def test_the_table_and_the_clips_of_a_toy_world(trials, model, tmp_path):
    *_, results = judged(trials, {"mle": model}, {}, horizon=1, seed=0)
    about = {
        "labels": LABELS, "higher_is_better": HIGHER, "split": "test", "commit": None,
        "device": "cpu", "seeds": 1, "samples": 21, "grouping": "cell",
        "group_sizes": {f"slide: {name}": 7 for name in ("still", "slow", "fast")},
    }  # fmt: skip
    table = table_of(results, trials, ["still", "slow", "fast"], about, seed=0)
    table.save(tmp_path)
    saved = read_json(tmp_path / "table.json")
    cells = saved["breakdown"]["cells"]
    rates = [cells[f"slide: {name}"]["real"]["success"][0] for name in ("still", "slow", "fast")]
    assert rates[0] == 0 < rates[1] < rates[2] == 100
    assert saved["classifier"]["slide"]["accuracy"] >= 90
    assert saved["rows"]["real_classified"]["difference"][0] <= 10
    assert saved["rows"]["copy_last"]["success"][0] == 0
    assert "correlation" not in saved["rows"]["copy_last"]
    expected = np.mean(rates)
    assert saved["rows"]["copy_last"]["difference"][0] == pytest.approx(expected)
    low, high = saved["intervals"]["copy_last"]["difference"]
    assert low <= expected <= high
    assert (tmp_path / "table.md").read_text().startswith("| success % | slide: still |")
    save_clips(tmp_path / "clips", results, ["still", "slow", "fast"], 10, seed=0)
    origin = read_json(tmp_path / "clips/origin.json")
    assert sorted(each["world"] for each in origin.values()) == ["mle"] * 5 + ["real"] * 5
    assert len(list((tmp_path / "clips").glob("*.webp"))) == len(origin) == 10


def test_the_same_actions_end_alike_in_the_simulator():
    film = real_film(Slider(), "test", [1, 6], lambda frames: torch.ones(1, 2), 4)
    assert film.frames.shape == (2, 5, 3, SIZE, SIZE)
    assert film.success[:, -1].tolist() == [False, True]
    assert outcomes(Slider(), "test", [1, 6], film.actions).tolist() == [False, True]


def test_a_policy_in_a_world_model_sees_what_the_model_predicts(model):
    seen = []

    def act(frames):
        seen.append(frames)
        return torch.full((2, 2), 0.5)

    first = torch.randint(256, (2, 3, SIZE, SIZE), dtype=torch.uint8)
    film = imagined_film(model, first, act, steps=3, sampler=Sampler(temperature=0))
    assert torch.equal(film.frames[:, 0], first)
    assert [frames.shape[1] for frames in seen] == [1, 2, 3]
    assert torch.equal(seen[-1], film.frames[:, :3])
    alone = imagined_film(model, first[1:], lambda _: torch.full((1, 2), 0.5), steps=3,
                          sampler=Sampler(temperature=0))  # fmt: skip
    gap = (alone.frames[0].int() - film.frames[1].int()).abs()
    assert gap.max() <= 1  # a product over fewer rows rounds otherwise


def test_demonstrations_are_of_the_task(tmp_path):
    def sample(index):
        frames = np.full((3, 8, 8, 3), index, np.uint8)
        actions = np.full((3, 2), index, np.float32)
        info = {"task": ["x", "slide"][index % 2]}
        return f"train-{index}", {"frames.npy": frames, "actions.npy": actions, "json": info}

    write_shard(tmp_path / "train-000000.tar", map(sample, range(6)))
    Manifest.build(tmp_path, "toy", {}).save(tmp_path)
    frames, actions = demonstrations(tmp_path, "slide", 2)
    assert frames.shape == (6, 3, 8, 8)
    assert actions.unique().tolist() == [1, 3]
    with pytest.raises(ValueError, match="no training episodes of pull"):
        demonstrations(tmp_path, "pull", 2)

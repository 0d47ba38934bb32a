import pytest
import torch

from rlvr_world.evaluation.columns import Scorer
from rlvr_world.reward import Reward
from rlvr_world.video.rewards.frames import MAE, MSE, PSNR
from rlvr_world.video.scenes.pusht_scene import PushTScene

TARGET = torch.zeros(2, 1, 3, 16, 16)
BATCH = {"key": ["a", "b"]}


class Counting(Reward):
    """Counts its calls; its score is the mean, times ``scale``."""

    def __init__(self, weight=1.0, scale=1.0):
        super().__init__(weight)
        self.scale = scale
        self._calls = []

    def score(self, prediction, target, given):
        self._calls.append(1)
        return self.scale * prediction.flatten(1).mean(dim=1)


def test_reward_is_the_weighted_signed_sum():
    scorer = Scorer({"psnr": PSNR()}, {"mae": MAE(2.0), "mse": MSE(0.5)})
    prediction = torch.stack([torch.full((1, 3, 16, 16), v) for v in (0.0, 0.2, 0.4, 1.0)])
    scores = scorer.scores(prediction, TARGET, BATCH)  # groups of 2
    values = torch.tensor([0.0, 0.2, 0.4, 1.0])
    torch.testing.assert_close(scores["reward"], -2 * values - 0.5 * values**2)
    assert set(scores) == {"psnr", "reward"}


def test_a_term_that_is_also_a_metric_is_computed_once():
    metric, term = Counting(), Counting(weight=3.0)
    scores = Scorer({"x": metric}, {"x": term}).scores(TARGET + 0.5, TARGET, BATCH)
    assert (len(metric._calls), len(term._calls)) == (1, 0)
    torch.testing.assert_close(scores["reward"], torch.full((2,), 1.5))


def test_a_term_with_other_settings_is_computed_for_itself():
    scores = Scorer({"x": Counting()}, {"x": Counting(scale=2.0)}).scores(
        TARGET + 0.5, TARGET, BATCH
    )
    torch.testing.assert_close(scores["x"], torch.full((2,), 0.5))
    torch.testing.assert_close(scores["reward"], torch.full((2,), 1.0))


def test_columns_are_in_order_with_labels():
    scorer = Scorer({"mse": MSE()}, {"mae": MAE()}, PushTScene())
    columns = [
        "mse",
        "nll",
        "reward",
        "agent_missing",
        "agent_error",
        "block_missing",
        "block_error",
        "block_iou",
    ]
    assert list(scorer.labels) == list(scorer.higher_is_better) == columns
    assert scorer.higher_is_better["reward"]
    assert not scorer.higher_is_better["mse"]


def test_without_rewards_there_is_no_such_column():
    scorer = Scorer({"mse": MSE()}, {})
    assert list(scorer.labels) == list(scorer.higher_is_better) == ["mse", "nll"]
    assert set(scorer.scores(TARGET, TARGET, BATCH)) == {"mse"}


def test_names_of_columns_must_differ():
    with pytest.raises(ValueError, match="nll"):
        Scorer({"nll": MSE()}, {"mae": MAE()})
    with pytest.raises(ValueError, match="block_iou"):
        Scorer({"block_iou": MSE()}, {"mae": MAE()}, PushTScene())


def test_a_score_that_is_not_finite_raises():
    with pytest.raises(
        ValueError, match=r"rewards\.\w+ is inf for a; a reward must return finite numbers"
    ):
        Scorer({"x": Counting(scale=float("inf"))}, {"mae": MAE()}).scores(
            TARGET + 0.5, TARGET, BATCH
        )

import csv
import json
from itertools import combinations
from statistics import mean

import pytest
import torch
from PIL import Image
from tiny_video import TinyVideo, export_tokenizer, save_untrained

from rlvr_world.evaluation.best_of import Draws, best_of, expected_best
from rlvr_world.evaluation.evaluate import evaluate
from rlvr_world.video.rewards.frames import MAE, MSE, PSNR


@pytest.mark.parametrize("size", range(1, 7))
@pytest.mark.parametrize("higher", [True, False])
def test_the_estimate_is_the_mean_over_all_choices(size, higher):
    torch.manual_seed(size)
    scores = torch.randint(4, (3, 6)) / 4  # with ties
    best = max if higher else min
    expected = [mean(map(best, combinations(row, size))) for row in scores.tolist()]
    assert expected_best(scores, size, higher).tolist() == pytest.approx(expected)


def test_it_is_unbiased():
    """The best of 3 uniform numbers is 3/4 in the mean, whatever the number of samples."""
    torch.manual_seed(0)
    for samples in (3, 10):
        found = expected_best(torch.rand(20_000, samples), 3, True)
        assert float(found.mean()) == pytest.approx(3 / 4, abs=0.005)


def test_many_samples_do_not_overflow():
    scores = torch.arange(1000.0)
    assert float(expected_best(scores, 1000, True)) == 999
    assert float(expected_best(scores, 500, False)) == pytest.approx(1001 / 501 - 1)
    with pytest.raises(ValueError, match="the best of 3 cannot be estimated from 2 samples"):
        expected_best(scores[:2], 3, True)


def test_transitions_to_which_a_metric_does_not_apply_are_left_out():
    nan = float("nan")
    draws = Draws(sizes=(1, 2), samples=2)
    batches = [
        {"a": torch.tensor([[0.0, 1.0]]), "b": torch.tensor([[nan, nan]])},
        {"a": torch.tensor([[nan, nan], [1.0, 1.0]]), "b": torch.full((2, 2), nan)},
    ]
    means = draws.means(batches, {"a": True, "b": True})
    assert means.T.to_dict() == {"a": {1: 0.75, 2: 1.0}}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"sizes": (1, 5), "samples": 4}, "the best of 5 needs as many samples, got 4"),
        ({"sizes": (0, 1)}, "sizes, at_once and limit must be at least 1"),
        ({"sizes": ()}, "sizes, at_once and limit"),
        ({"at_once": 0}, "sizes, at_once and limit"),
    ],
)
def test_draws_that_make_no_sense_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        Draws(**settings)


def test_the_command_writes_a_table_and_a_plot(tmp_path):
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    tokenizer = export_tokenizer(tmp_path / "tokenizer")
    models = {"mle": save_untrained(tmp_path / "mle.ckpt", tokenizer, seed=1)}
    metrics, rewards = {"mse": MSE(), "psnr": PSNR()}, {"mae": MAE(2.0)}
    common = {"metrics": metrics, "rewards": rewards, "output": tmp_path / "out", "device": "cpu"}
    draws = Draws(sizes=(1, 2, 7), samples=7, at_once=3, limit=4)
    table = best_of(TinyVideo(), models, draws=draws, **common)
    saved = json.loads((tmp_path / "out/best_of.json").read_text())
    assert (saved["samples"], saved["examples"], saved["data"]) == (7, 4, "noise")
    assert saved["sizes"] == table.sizes == [1, 2, 7]
    assert saved["rewards"] == {"mae": 2.0}
    one, two, seven = saved["rows"]["mle"]["mse"]
    assert one > two > seven
    one, two, seven = saved["rows"]["mle"]["reward"]
    assert one < two < seven < 0
    with (tmp_path / "out/best_of.csv").open() as file:
        lines = list(csv.reader(file))
    assert lines[0] == ["metric", "row", "best of 1", "best of 2", "best of 7"]
    assert [line[:2] for line in lines[1:]] == [["mse", "mle"], ["psnr", "mle"], ["reward", "mle"]]
    with Image.open(tmp_path / "out/best_of.png") as picture:
        assert picture.size[0] > 2 * picture.size[1]
    first = evaluate(TinyVideo(test_clips=4), models, seeds=7, **common)
    mean = first.cells.loc[("mle", "mse"), "mean"]
    assert table.best.loc[("mle", "mse"), 1] == pytest.approx(mean, rel=0.05)

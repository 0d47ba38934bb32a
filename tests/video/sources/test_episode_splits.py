import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlvr_world.video.sources.episodes import TEST, TRAIN, VAL, assign_splits


def test_the_paper_tests_on_every_hundredth():
    splits = assign_splits(["train"] * 87_212, "paper", 0.01, 0.5, 0)
    assert np.flatnonzero(splits == TEST).tolist() == list(range(0, 87_212, 100))
    assert (splits == TEST).sum() == 873
    assert (splits == VAL).sum() == 872
    assert (splits == TRAIN).sum() == 86_339 - 872


def test_the_names_of_the_source():
    named = ["train"] * 6 + ["val"] * 2
    splits = assign_splits(named, "file", 0.2, 0.5, 0)
    assert (splits[6:] == TEST).all()
    assert (splits[:6] == VAL).sum() == 2
    splits = assign_splits([*named, "validation", "test"], "file", 0.2, 0.5, 0)
    assert splits.tolist() == [TRAIN] * 6 + [VAL] * 3 + [TEST]


@given(
    count=st.integers(3, 400),
    val=st.floats(0, 0.4),
    test=st.floats(0, 0.4),
    seed=st.integers(0, 9),
)
def test_shares_of_drawn_episodes(count, val, test, seed):
    splits = assign_splits(["train"] * count, "episode", val, test, seed)
    left = count
    for split, share in ((TEST, test), (VAL, val)):
        expected = min(max(round(share * count), 1) if share else 0, left - 1)
        assert (splits == split).sum() == expected
        left -= expected
    assert (splits == TRAIN).any()
    again = assign_splits(["train"] * count, "episode", val, test, seed)
    np.testing.assert_array_equal(splits, again)


def test_another_seed_draws_others():
    draws = [assign_splits(["train"] * 300, "episode", 0.1, 0.1, seed) for seed in (0, 1)]
    assert (draws[0] != draws[1]).any()


@pytest.mark.parametrize("shares", [(0.5, 0.5), (-0.1, 0.1)])
def test_bad_shares(shares):
    with pytest.raises(ValueError, match="leave something to train on"):
        assign_splits(["train"] * 9, "episode", *shares, 0)

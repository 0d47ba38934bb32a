import numpy as np
import pytest

from rlvr_world.video.data import action_ranges
from rlvr_world.video.data.action_ranges import SAMPLE, ActionRanges


def chunks(rows, length):
    return np.array_split(rows, len(rows) // length)


def test_few_actions_give_the_exact_quantiles():
    rows = np.random.default_rng(3).normal(size=(1000, 4)).astype(np.float32)
    ranges = ActionRanges()
    for part in chunks(rows, 37):
        ranges.add(part)
    ranges.add(rows[:0])
    found = ranges.ranges()
    np.testing.assert_array_equal(found["min"], rows.min(axis=0))
    np.testing.assert_array_equal(found["max"], rows.max(axis=0))
    np.testing.assert_allclose(found["q01"], np.quantile(rows, 0.01, axis=0), rtol=1e-6)
    np.testing.assert_allclose(found["q99"], np.quantile(rows, 0.99, axis=0), rtol=1e-6)


def test_many_actions_give_quantiles_of_a_sample():
    rng = np.random.default_rng(4)
    count = 5 * SAMPLE
    rows = np.stack([rng.permutation(count), np.arange(count)], axis=1).astype(np.float32) / count
    rows[7] = (-50, 60)
    ranges, again = ActionRanges(), ActionRanges()
    for part in chunks(rows, 5000):
        ranges.add(part)
        again.add(part)
        assert ranges.waiting <= 2 * SAMPLE + len(part)
    found = ranges.ranges()
    assert found == again.ranges()
    assert found["min"][0] == -50
    assert found["max"][1] == 60
    for name, share in (("q01", 0.01), ("q99", 0.99)):
        assert found[name] == pytest.approx([share, share], abs=1e-3)


def test_every_action_is_as_likely_to_be_kept(monkeypatch):
    monkeypatch.setattr(action_ranges, "SAMPLE", 500)
    ranges = ActionRanges()
    for start in range(0, 50_000, 100):
        ranges.add(np.arange(start, start + 100, dtype=np.float32)[:, None])
    ranges.ranges()
    (kept,) = ranges.rows
    assert len(kept) == 500
    counts, _ = np.histogram(kept, bins=10, range=(0, 50_000))
    assert counts.min() > 25
    assert counts.max() < 80

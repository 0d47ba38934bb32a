import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlvr_world.rl.budget import split_groups

COUNT = st.integers(1, 9)


@given(COUNT, COUNT, COUNT, COUNT, st.none() | st.integers(1, 200))
def test_parts_cover_every_row_once_and_keep_to_the_budget(prompts, group, prompt, own, budget):
    parts = list(split_groups(prompts, group, prompt, own, budget))
    rows = [row for part in parts for row in range(prompts * group)[part.rows]]
    assert rows == list(range(prompts * group))
    for part in parts:
        members = part.rows.stop - part.rows.start
        assert members % part.group_size == 0
        groups = range(prompts)[part.prompts(group)]
        assert len(groups) == members // part.group_size
        assert all(row // group in groups for row in range(part.rows.start, part.rows.stop))
        tokens = len(groups) * prompt + members * own
        assert budget is None or tokens <= budget or members == 1


@pytest.mark.parametrize(
    ("budget", "sizes"),
    [(None, [12]), (100, [12]), (28, [8, 4]), (14, [4, 4, 4]), (13, [3, 1] * 3), (1, [1] * 12)],
)
def test_parts_by_hand(budget, sizes):
    """Three groups of four members with two tokens each, behind prompts of six."""
    parts = split_groups(3, 4, 6, 2, budget)
    assert [part.rows.stop - part.rows.start for part in parts] == sizes

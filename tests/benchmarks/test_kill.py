"""The kills of tiny runs: which runs they need, and a few of them."""

import multiprocessing

import pytest

from benchmarks.kill import main
from benchmarks.tiny_runs import STAGES, with_parents


def test_a_stage_needs_those_that_it_starts_from():
    assert with_parents(["page_rlvr", "rlvr"]) == [
        "tokenizer",
        "mle",
        "rlvr",
        "page_mle",
        "page_rlvr",
    ]
    assert with_parents([*STAGES]) == [*STAGES]


@pytest.mark.slow
@pytest.mark.skipif(
    "forkserver" not in multiprocessing.get_all_start_methods(), reason="needs a fork server"
)
def test_runs_of_each_modality_are_killed_and_end_alike(tmp_path):
    stages = ["rlvr", "text_rlvr", "page_mle"]
    kills = main(["--kills", "2", "--stages", *stages, "--json", str(tmp_path / "kills.json")])
    assert [kill.stage for kill in kills] == [stage for stage in stages for _ in range(2)]
    assert [kill.moment.startswith("in write") for kill in kills] == [False, True] * len(stages)
    for kill in kills:
        found = (kill.lost, kill.unreadable, kill.left_behind, kill.differs, kill.best_differs)
        assert found == (0, 0, 0, 0, 0)

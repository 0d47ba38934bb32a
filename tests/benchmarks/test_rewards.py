import json
from statistics import mean

import pytest

from benchmarks.__main__ import main
from benchmarks.answers import GROUP, answers, generated, slow_answers
from benchmarks.rewards import compared, fresh, slow_case
from rlvr_world.text_game.rewards import StateMatch


def test_generated_steps_have_the_size_of_the_published_ones():
    steps = generated(20)
    assert 1900 < mean(len(json.dumps(step.state)) for step in steps) < 2200
    for step in steps:
        assert len(step.state["objects"]) == 8
        assert len(step.changed_facts) == 2


def test_the_rival_gives_the_same_rewards():
    pytest.importorskip("deepdiff", reason="deepdiff is not installed")
    steps = generated(3)
    texts = [text for step in steps for text in answers(step)]
    ours = StateMatch().scores(texts, fresh(steps), {}).tolist()
    assert ours == compared(steps, texts) == [1, 1, 0, 0, 0] * 3
    assert len(set(texts[:GROUP])) == GROUP


@pytest.mark.parametrize("characters", [2_000, 20_000])
def test_slow_answers_are_stopped_and_counted(characters):
    texts = slow_answers(characters)
    assert all(0.7 < len(text) / characters < 1.3 for text in texts)
    notes = slow_case(generated(1)[0], "strict", 1e-9, [characters]).notes
    assert notes["stopped at 1000 ms"] == 0
    assert notes["stopped at 1e-06 ms"] == len(texts)
    notes = slow_case(generated(1)[0], "strict", 9, [100_000]).notes
    assert notes["too long to be read"] == len(texts)
    assert notes["stopped at 9000 ms"] == 0


@pytest.mark.slow
def test_every_rule_and_number_of_processes_has_a_row(tmp_path):
    pytest.importorskip("json_repair", reason="needs the extra upstream")
    path = tmp_path / "rows.json"
    main(["rewards", "--scale", "tiny", "--rounds", "1", "--device", "cpu", "--json", str(path)])
    rows = {row["case"]: row for row in json.loads(path.read_text())["rows"]}
    assert [name for name in rows if "2 processes" in name] == [
        f"{rule} {reward}, 2 processes"
        for rule in ("strict", "upstream")
        for reward in ("StateMatch", "TaskSpecific")
    ]
    assert rows["strict StateMatch, 1 process"]["notes"] == {
        "right": "40%", "wrong state": "40%", "not JSON": "20%",
    }  # fmt: skip
    assert all(row["units"] == 6 * GROUP for name, row in rows.items() if "slow" not in name)

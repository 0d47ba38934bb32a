"""Published reasoning about ByteSized32, in rows of the form that the original's scripts write."""

import json

import pytest
from text_states import LAMP, NOTHING, TABLE

from rlvr_world.cli import main
from rlvr_world.language.manifest import TransitionManifest
from rlvr_world.text_game.data import TextDataModule

RULES = {"object": "Lamps shine.\n==========\nBulbs are hot.", "action": "Switch.", "score": "1."}


def entries(state):
    return json.dumps({"game_state": [*state["objects"], state["score"]]})


def row(step=LAMP, thoughts="It is on.", answer=None, **changes):
    """A row; the prompt holds an example game, then the game."""
    answer = json.dumps(step.difference) if answer is None else answer
    prompt = (
        f"Example.\nTask Description:\nWash.\nOther rules.\nThe current game UUID base is 3\n"
        f"Task Description:\n{step.task}\nLamps shine.\n\nBulbs are hot.\n"
        f"The current game UUID base is {step.uuid_base}\nThe action to take is:\n{step.action}"
    )
    return {
        "prompt": [{"role": "user", "content": prompt}],
        "reward_model": {"style": "rule", "ground_truth": entries(step.target)},
        "extra_info": {"data_state": entries(step.state), "data_action": step.action},
        "reasoning_content": thoughts,
        "content": f"The final answer is:\n```json\n{answer}\n```",
    } | changes


def write(folder, rows, ending="jsonl"):
    folder.mkdir()
    for kind, text in RULES.items():
        games = {"toy": text, "dish": "Other rules."}
        (folder / f"{kind}_rules.json").write_text(json.dumps(games))
    path = folder / f"generated_cot.{ending}"
    if ending == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return
    pyarrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    from pyarrow import parquet

    parquet.write_table(pyarrow.Table.from_pylist(rows), path)


def steps(root):
    data = TextDataModule(str(root), test_split="train")
    return [step for batch in data.test_dataloader() for step in batch["transition"]]


@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
def test_steps_carry_the_reasoning(tmp_path, ending):
    joined = "Think.\n\nSo it changes. **The final answer is:** " + json.dumps(TABLE.difference)
    rows = [row(), row(thoughts="Other."), row(), row(answer=json.dumps(NOTHING)),
            row(TABLE, reasoning_content=None, content=None, answer=joined)]  # fmt: skip
    rows = [{"response": None} | each for each in rows]
    rows[-1] |= {"answer": None, "response": joined, "content": None}
    write(tmp_path / "source", rows, ending)
    root = tmp_path / "root"
    main(["data", "bytesized32-cot", str(tmp_path / "source"), "--root", str(root),
          "--val_share", "0"])  # fmt: skip
    found = {step.reasoning: step for step in steps(root)}
    assert set(found) == {"It is on.", "Other.", "Think.\n\nSo it changes."}
    step = found["It is on."]
    assert (step.game, step.action, step.task, step.uuid_base) == ("toy", "wait", "Play.", 9)
    assert step.state == LAMP.state
    assert step.target == LAMP.target
    counts = TransitionManifest.load(root).rows
    assert (counts["wrong_answers"], counts["duplicates"], counts["unknown_games"]) == (1, 1, 0)
    assert json.loads((root / "rules.json").read_text()).keys() == {"toy"}


def test_wrong_answers_are_kept_on_request_with_the_true_answer(tmp_path):
    write(tmp_path / "source", [row(answer=json.dumps(NOTHING))])
    main(["data", "bytesized32-cot", str(tmp_path / "source"), "--root", str(tmp_path / "root"),
          "--only_right", "false", "--val_share", "0"])  # fmt: skip
    (step,) = steps(tmp_path / "root")
    assert step.difference == LAMP.difference


BROKEN = {
    "is no row of generated_cot: StopIteration": {"content": None},
    "is no row of generated_cot: KeyError": {"extra_info": {}},
    "is no row of generated_cot: ValueError": {"reward_model": {"ground_truth": "{"}},
    "score must hold exactly the keys": {
        "reward_model": {"ground_truth": entries(LAMP.target | {"score": {"score": "1"}})}
    },
}  # fmt: skip


@pytest.mark.parametrize("message", BROKEN)
def test_broken_rows_are_named(tmp_path, message):
    write(tmp_path / "source", [row() | BROKEN[message]])
    with pytest.raises(ValueError, match=rf"row 1.*(?:{message})"):
        main(["data", "bytesized32-cot", str(tmp_path / "source"), "--root", str(tmp_path / "r")])


def test_a_folder_without_the_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"holds neither generated_cot\.parquet nor"):
        main(["data", "bytesized32-cot", str(tmp_path), "--root", str(tmp_path / "root")])

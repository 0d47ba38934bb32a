import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from page_steps import CART, any_text, page_elements, page_step
from stages import ROOT

from rlvr_world.cli import main
from rlvr_world.data.samples import BadSample
from rlvr_world.language.manifest import TransitionManifest
from rlvr_world.web.data import WebDataModule
from rlvr_world.web.judge import WebJudge
from rlvr_world.web.prompt import page_answer, page_prompt
from rlvr_world.web.sources.page_lines import LeftOut
from rlvr_world.web.sources.webarena import webarena
from rlvr_world.web.sources.webarena_rows import (
    action_text,
    published_truth,
    sections,
    transition,
)
from rlvr_world.web.tree import tree_text

SHARED = ROOT.parent / "shared/cases/language/webarena_question.txt"

QUESTION = """You get these parts.
URL: where the page is.
CURRENT OBSERVATION: the page.

URL: {url}
OBJECTIVE: {objective}
PREVIOUS ACTION: {previous}
CURRENT OBSERVATION:
{tree}
CURRENT ACTION: {action}

Please give the result directly in the format of the next state prediction."""

ORIGINAL = """You get these parts: the URL, the objective.

Here's the task for you:
URL: {url}
 OBJECTIVE: {objective}
 PREVIOUS ACTION: {previous}
 CURRENT OBSERVATION: Tab 0 (current): Cart

{tree}
 CURRENT ACTION: {action}
 
 Please give the result directly in the format of the next state prediction."""
"""The layout of the original's template, with its blanks."""


def row(task=1, step=CART, previous="None", template=QUESTION, **changes):
    question = template.format(
        url=step.url, objective=step.objective, previous=previous, tree=step.tree,
        action=step.action,
    )  # fmt: skip
    given = {"task_id": task, "question": question, "next_state_acctree": step.next_tree}
    return given | {"answer": "...", "step_idx": 0} | changes


def numbered(number):
    """A step that no other number has."""
    return page_step(CART.tree.replace("1 cup", f"{number} cups"), CART.next_tree)


def write(folder, name, rows, ending="jsonl"):
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.{ending}"
    if ending == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return
    pyarrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    from pyarrow import parquet

    parquet.write_table(pyarrow.Table.from_pylist(rows), path)


def steps(root, split):
    data = WebDataModule(str(root), test_split=split)
    return [step for batch in data.test_dataloader() for step in batch["transition"]]


@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
def test_rows_become_steps_as_they_are(tmp_path, ending):
    source, root = tmp_path / "source", tmp_path / "root"
    tabs = "Tab 0 (current): Cart | Shop\n\n" + CART.next_tree + "\n"
    write(source, "test", [row(7, previous="click [2]", next_state_acctree=tabs)], ending)
    write(source, "train", [row(task, numbered(task)) for task in range(20)], ending)
    main(["data", "webarena", str(source), "--root", str(root), "--val_share", "0.1"])
    (step,) = steps(root, "test")
    assert step.changes == CART.changes
    assert (step.site, step.task, step.next_url) == ("shop", "webarena-7", "")
    assert (step.url, step.objective, step.action) == (CART.url, CART.objective, CART.action)
    assert (step.tree, step.next_tree) == (CART.tree, CART.next_tree)
    assert step.previous_action == "click [2]"
    train, val = steps(root, "train"), steps(root, "val")
    assert (len(train), len(val)) == (18, 2)
    assert len({step.task for step in train + val}) == 20
    assert {step.previous_action for step in train} == {""}
    rows = TransitionManifest.load(root).rows
    assert rows["train_rows"] == 20
    assert (rows["broken_rows"], rows["lines_left_out"], rows["duplicates"]) == (0, 0, 0)
    assert rows["first_line_left_out"] == ""


def test_the_template_of_the_original_is_read(tmp_path):
    acts = "type [3] [two cups\n] where [3] is button 'Add'"
    said = {"template": ORIGINAL, "previous": "hover [2] where [2] is heading 'x'"}
    write(tmp_path / "source", "test", [row(step=replace(CART, action=acts), **said)])
    write(tmp_path / "source", "train", [row(task, numbered(task), **said) for task in range(3)])
    manifest = webarena(tmp_path / "source", tmp_path / "root", max_skip_share=0)
    assert (manifest.rows["broken_rows"], manifest.rows["lines_left_out"]) == (0, 0)
    (step,) = steps(tmp_path / "root", "test")
    assert (step.url, step.objective, step.tree) == (CART.url, CART.objective, CART.tree)
    assert step.action == "type [3] [two cups] [1] where [3] is button 'Add'"
    assert step.previous_action == "hover [2] where [2] is heading 'x'"


@pytest.mark.skipif(not SHARED.exists(), reason=f"{SHARED} is not at hand")
def test_the_shared_question_is_read():
    parts = sections(SHARED.read_text(), "the question")
    assert (parts["URL"], parts["OBJECTIVE"]) == ("http://shop:7770", "find a desk")
    assert parts["CURRENT OBSERVATION"].endswith("[14] textbox 'Search' required: False")
    assert action_text(parts["CURRENT ACTION"]) == "type [14] [desk] [1]"


def test_a_step_of_another_kind_of_line_is_updated(tmp_path):
    """Values that are empty, have blanks or an open quote are no reason to lose a line."""
    lines = ["valuetext: ", "placeholder: 'open required: False", "valuetext: a  b"]
    before = "\n".join(f"[{n}] spinbutton 'Qty' {line}" for n, line in enumerate(lines))
    after = before.replace("Qty", "Number")
    page = page_step(before, after, "click [0]")
    write(tmp_path / "source", "test", [row(step=page, template=ORIGINAL)])
    write(tmp_path / "source", "train", [row(2, numbered(2))])
    webarena(tmp_path / "source", tmp_path / "root")
    (step,) = steps(tmp_path / "root", "test")
    assert (step.tree, step.next_tree) == (before, after)
    assert [item.id for item in step.changes.updated] == ["0", "1", "2"]
    assert step.changes.total == 3


PUBLISHED = {
    "new": ["[9] alert 'Added' live: polite"],
    "deleted": [],
    "updated": ["[3] button 'Add' focused: true", "[4] StaticText '2 cups'"],
}
TEXT = {name: "\n".join(lines) or "None" for name, lines in PUBLISHED.items()}
IN_COLUMNS = {f"{name}_items": text for name, text in TEXT.items()}
IN_MODEL = {
    "reward_model": {
        "style": "rule",
        "ground_truth": "\n\n".join(f"{n.title()} items:\n{text}" for n, text in TEXT.items()),
    }
}


@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
@pytest.mark.parametrize("items", [IN_COLUMNS, IN_MODEL], ids=["columns", "model"])
def test_a_published_truth_is_the_truth_if_asked(tmp_path, items, ending):
    source = tmp_path / "source"
    write(source, "test", [row(**items)], ending)
    write(source, "train", [row(task, numbered(task), **items) for task in range(3)], ending)
    main(["data", "webarena", str(source), "--root", str(tmp_path / "theirs"), "--truth",
          "published"])  # fmt: skip
    (step,) = steps(tmp_path / "theirs", "test")
    assert step.truth == PUBLISHED
    assert [len(items) for items in step.changes] == [1, 0, 2]
    answer = page_answer(step, "long")
    assert "[9] alert" in answer
    assert WebJudge("upstream")(answer, step).f1 == WebJudge("strict")(answer, step).f1 == 1
    webarena(source, tmp_path / "ours")
    (ours,) = steps(tmp_path / "ours", "test")
    assert ours.truth == {}
    assert ours.changes == CART.changes
    assert WebJudge("strict")(answer, ours).recall == 0.75
    with pytest.raises(ValueError, match="was made with truth published, not None"):
        webarena(source, tmp_path / "theirs")


@settings(max_examples=100, deadline=None)
@given(page_elements, page_elements, any_text, st.sampled_from(["None", "scroll [up]", "Oh: no"]))
def test_any_page_and_truth_in_the_template_come_back(before, after, objective, previous):
    said = " ".join(objective.split())
    pages = [tree_text(elements) for elements in (before, after)]
    truth = {"new": pages[1].split("\n"), "deleted": [], "updated": pages[0].split("\n")}
    lines = {name: [line.strip() for line in part if line] for name, part in truth.items()}
    columns = {f"{name}_items": "\n".join(part) or "None" for name, part in lines.items()}
    step = page_step(*pages, objective=said)
    given = row(step=step, template=ORIGINAL, previous=previous, **columns)
    if not before or not after:
        with pytest.raises(BadSample, match="holds no element"):
            transition(given, "row 1", LeftOut(), "published")
        return
    left_out = LeftOut()
    found = transition(given, "row 1", left_out, "published")
    assert left_out.lines == 0
    assert (found.objective, found.truth) == (said, lines)
    assert found.previous_action == ("" if previous == "None" else previous)
    assert (found.elements, found.next_elements) == (tuple(before), tuple(after))


def test_a_truth_that_is_missing_or_cannot_be_read_is_named():
    with pytest.raises(BadSample, match=r"row 1 has neither a reward_model .*--truth pages"):
        published_truth(IN_COLUMNS | {"new_items": None}, "row 1")
    with pytest.raises(BadSample, match="row 1: its new items hold no element in 'oops'"):
        published_truth(IN_COLUMNS | {"new_items": "oops"}, "row 1")


def test_our_own_prompt_is_read_too(tmp_path):
    write(tmp_path / "source", "test", [row(question=page_prompt(CART, "long"))])
    write(tmp_path / "source", "train", [row(task, numbered(task)) for task in range(3)])
    webarena(tmp_path / "source", tmp_path / "root")
    (step,) = steps(tmp_path / "root", "test")
    assert (step.tree, step.action, step.previous_action) == (CART.tree, CART.action, "")


def test_steps_to_test_on_are_not_trained_on(tmp_path):
    write(tmp_path / "source", "test", [row()])
    other_ids = page_step(CART.tree.replace("[4]", "[44]"), CART.next_tree)
    write(tmp_path / "source", "train", [row(), row(1, other_ids), row(1, numbered(5))])
    manifest = webarena(tmp_path / "source", tmp_path / "root")
    assert manifest.rows["duplicates"] == 2
    assert len(steps(tmp_path / "root", "train")) == 1


def test_lines_without_an_element_are_left_out_and_counted(tmp_path):
    page = CART.next_tree + "\n\t[5] link\nno element\n[9] alert 'twice'"
    write(tmp_path / "source", "test", [row(next_state_acctree=page)])
    write(tmp_path / "source", "train", [row(2, numbered(2))])
    first = r"test.jsonl row 1: next_tree: '\[5\] link' holds no element"
    with pytest.warns(UserWarning, match=f"3 lines of pages are left out, first {first}"):
        manifest = webarena(tmp_path / "source", tmp_path / "root")
    assert manifest.rows["lines_left_out"] == 3
    assert steps(tmp_path / "root", "test")[0].next_tree == CART.next_tree


BROKEN = {
    "test.jsonl row 1 has no question": {"question": None},
    "test.jsonl row 1: its question lacks the lines URL: OBJECTIVE:": {"question": "URL: x"},
    "test.jsonl row 1: next_tree holds no element": {"next_state_acctree": "nothing"},
}


@pytest.mark.parametrize("message", BROKEN)
def test_broken_rows_are_skipped_named_and_counted(tmp_path, message):
    source = tmp_path / "source"
    write(source, "train", [row(2, numbered(2))])
    write(source, "test", [row(**BROKEN[message]), row()])
    with pytest.raises(ValueError, match=rf"1 of 2 samples had to be skipped.*{message}"):
        webarena(source, tmp_path / "root")
    with pytest.warns(UserWarning, match=message):
        manifest = webarena(source, tmp_path / "root", max_skip_share=0.5)
    assert manifest.rows["broken_rows"] == 1
    assert len(steps(tmp_path / "root", "test")) == 1


def test_the_same_twice_is_kept_and_other_settings_are_refused(tmp_path):
    source, root = tmp_path / "source", tmp_path / "root"
    write(source, "test", [row()])
    write(source, "train", [row(2, numbered(2))])
    assert webarena(source, root) == webarena(source, root)
    with pytest.raises(ValueError, match="was made with seed 0, not 1"):
        webarena(source, root, seed=1)
    with pytest.raises(ValueError, match="val_share must be at least 0 and below 1, got 1"):
        webarena(source, root, val_share=1)


def test_files_that_are_missing_or_no_such_files_are_named(tmp_path):
    source = tmp_path / "source"
    write(source, "train", [row()])
    with pytest.raises(FileNotFoundError, match=r"neither test.parquet nor test.jsonl"):
        webarena(source, tmp_path / "root")
    (source / "test.jsonl").write_text("{")
    with pytest.raises(ValueError, match=r"test.jsonl line 1 is not JSON"):
        webarena(source, tmp_path / "root")
    pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    (source / "test.parquet").write_bytes(b"no Parquet")
    with pytest.raises(ValueError, match=r"test.parquet is no sound Parquet file"):
        webarena(source, tmp_path / "root")
    write(source, "test", [{"task_id": 1}], "parquet")
    with pytest.raises(ValueError, match=r"test.parquet row 1 has no question"):
        webarena(source, tmp_path / "root")


def test_a_missing_package_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    (tmp_path / "test.parquet").touch()
    (tmp_path / "train.parquet").touch()
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'rlvr-world\[webarena\]'"):
        webarena(tmp_path, tmp_path / "root")

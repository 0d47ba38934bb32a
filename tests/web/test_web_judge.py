import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from page_steps import CART, SAME, page_elements, page_step, similar_elements

from rlvr_world.language.judge import BadAnswer
from rlvr_world.web.answer import changes_text, read_changes
from rlvr_world.web.changes import Changes, apply, content
from rlvr_world.web.judge import WebJudge, WebJudgement
from rlvr_world.web.prompt import NO_CHANGE, page_answer
from rlvr_world.web.tree import line_text, tree_text

RIGHT = """New items:
[n1] alert 'Added' live: polite

Deleted items:
[5] link 'Empty cart'

Updated items:
[3] button 'Add' focused: true
[4] StaticText '2 cups'"""
JUDGE = WebJudge()
PERFECT = WebJudgement("right", 1, 1)


def judged(text, transition=CART):
    return JUDGE(text, transition)


def edited(*pairs):
    text = RIGHT
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new)
    return text


def test_the_answer_is_written_as_the_paper_has_it():
    assert page_answer(CART, "long") == RIGHT
    assert page_answer(CART, "compact") == edited(("[5] link 'Empty cart'", "[5]"))
    assert page_answer(SAME, "long") == page_answer(SAME, "compact") == NO_CHANGE
    assert "\n\n".join(f"{h} items:\nNone" for h in ("New", "Deleted", "Updated")) == NO_CHANGE


@settings(max_examples=200, deadline=None)
@given(page_elements, page_elements, st.sampled_from(["long", "compact"]))
def test_the_true_answer_is_right_and_the_others_are_not(before, after, style):
    transition = page_step(tree_text(before), tree_text(after))
    answer = page_answer(transition, style)
    assert judged(answer, transition) == PERFECT
    assert judged(f"So:\n{RIGHT}\n\nNo:\n\n```\n{answer}\n```\n", transition) == PERFECT
    changes = read_changes(answer)
    found = sorted(content(element) for element in apply(before, changes))
    assert found == sorted(content(element) for element in after)
    expected = WebJudgement("wrong state") if transition.changed else PERFECT
    assert judged(NO_CHANGE, transition) == expected


@settings(max_examples=200, deadline=None)
@given(similar_elements, similar_elements, similar_elements)
def test_precision_and_recall_by_counting(before, after, other):
    transition = page_step(tree_text(before), tree_text(after))
    guess = page_step(tree_text(before), tree_text(other)).changes
    truth = transition.changes
    rest, new = [content(item) for item in truth.new], 0
    for item in guess.new:
        if content(item) in rest:
            rest.remove(content(item))
            new += 1
    right = new + sum(item in truth.deleted for item in guess.deleted)
    right += sum(
        (item.id, *content(item)) in [(e.id, *content(e)) for e in truth.updated]
        for item in guess.updated
    )
    judgement = judged(changes_text(guess, "long"), transition)
    if guess.total and truth.total:
        assert judgement.precision == right / guess.total
        assert judgement.recall == right / truth.total
        assert judgement.f1 == pytest.approx(2 * right / (guess.total + truth.total))
    else:
        assert judgement[1:] == ((0, 0) if guess.total or truth.total else (1, 1))
    assert (judgement.reason == "right") == (right == guess.total == truth.total)


PARTLY = {
    "another id of the new one": ([("[n1]", "[77]")], 4, 4),
    "properties in another order and quotes": ([("live: polite", 'live: "polite"')], 4, 4),
    "the deleted one by its id": ([("[5] link 'Empty cart'", "[5]")], 4, 4),
    "the new one forgotten": ([("[n1] alert 'Added' live: polite", "None")], 3, 3),
    "the new one twice": ([("[n1]", "[n2] alert 'Added' live: polite\n[n1]")], 4, 5),
    "the new one twice, under one id": ([("[n1]", "[n1] alert 'Added' live: polite\n[n1]")], 4, 5),
    "another deleted": ([("[5] link 'Empty cart'", "[2] heading 'Your cart'")], 3, 4),
    "the deleted one as something else": ([("[5] link", "[5] button")], 3, 4),
    "deleted twice": ([("[5] link 'Empty cart'", "[5]\n[5]")], 4, 5),
    "an old name": ([("2 cups", "1 cup")], 3, 4),
    "an updated one under another id": ([("[4]", "[2]")], 3, 4),
    "a lost property": ([(" focused: true", "")], 3, 4),
}


@pytest.mark.parametrize("case", PARTLY)
def test_each_item_counts(case):
    edits, right, given = PARTLY[case]
    reason = "right" if right == given == 4 else "wrong state"
    assert judged(edited(*edits)) == WebJudgement(reason, right / given, right / 4)


def test_items_count_as_often_as_they_occur():
    two = page_step("[1] p 'a'", "[1] p 'a'\n[2] li 'x'\n[3] li 'x'")
    text = "New items:\n{}\n\nDeleted items:\nNone\n\nUpdated items:\nNone"
    assert judged(text.format("[n1] li 'x'"), two) == WebJudgement("wrong state", 1, 0.5)
    assert judged(text.format("[n1] li 'x'\n[n2] li 'x'"), two) == PERFECT


def test_no_change_is_right_or_nothing():
    assert judged(NO_CHANGE) == WebJudgement("wrong state")
    assert judged(NO_CHANGE, SAME) == PERFECT
    assert judged(RIGHT, SAME) == WebJudgement("wrong state")
    assert WebJudgement("wrong state").f1 == 0


MALFORMED = {
    "": "no answer",
    "I do not know": "no answer",
    "New items are None\nDeleted items: None\nUpdated items: None": "no answer",
    "New items:": "wrong shape",
    "New items:\n```": "wrong shape",
    "New items:\nNone\n\nDeleted items:\nNone": "wrong shape",
    RIGHT.replace("Deleted", "Updated"): "wrong shape",
    RIGHT.replace("None", "None\nNone") + "\nUpdated items:\nNone": "wrong shape",
    NO_CHANGE.replace("None", "None\nNone", 1): "wrong shape",
    NO_CHANGE.replace("None", "", 1): "wrong shape",
    NO_CHANGE + "\nThat is all.": "wrong shape",
    RIGHT.replace("[n1] alert", "[n1]"): "wrong shape",
    RIGHT.replace("[4] StaticText '2 cups'", "[4]"): "wrong shape",
    RIGHT.replace("'2 cups'", "2 cups"): "wrong shape",
    RIGHT + "\n\nNew items:\nNone": "wrong shape",
}


@pytest.mark.parametrize("text", MALFORMED)
def test_malformed_answers_score_nothing_and_say_why(text):
    assert judged(text) == WebJudgement(MALFORMED[text])


def test_only_the_last_answer_counts():
    assert judged(f"{RIGHT}\n\nOn reflection:\n\n{NO_CHANGE}") == WebJudgement("wrong state")
    assert judged(f"{NO_CHANGE}\n\n{RIGHT}") == PERFECT


LINES = st.sampled_from([*RIGHT.split("\n"), "None", "```", "[5]", "[n1]", "New items", "x"])


@settings(max_examples=1000, deadline=None)
@given(st.lists(LINES, max_size=14).map("\n".join) | st.text())
def test_any_text_is_judged(text):
    judgement = judged(text)
    assert 0 <= judgement.precision <= 1
    assert 0 <= judgement.recall <= 1
    assert (judgement.f1 == 1) == (judgement.reason == "right")
    answer = _read(text)
    if isinstance(answer, BadAnswer):
        assert judgement == WebJudgement(answer.reason)
    else:
        assert judged(changes_text(answer, "compact")).f1 >= judgement.f1


def _read(text):
    try:
        return read_changes(text)
    except BadAnswer as error:
        return error


@pytest.mark.parametrize(
    "text",
    ["New items:\n" * 6_000, "[1] a ''\n" * 7_000, RIGHT + "\n[4] a 'b'" * 6_000,
     RIGHT + "'\\" * 30_000, RIGHT + "\n" * 60_000, RIGHT + " a: b" * 13_000,
     NO_CHANGE.replace("None", "\n".join(f"[{i}]" for i in range(9_000)))],
)  # fmt: skip
def test_long_answers_are_judged_in_bounded_time(text):
    start = time.thread_time()
    judgement = JUDGE(text, CART)
    assert time.thread_time() - start < 0.3
    assert (judgement == PERFECT) == (text.strip() == RIGHT)


def test_limits():
    assert WebJudge(characters=len(RIGHT))(RIGHT, CART) == PERFECT
    for judge in (WebJudge(characters=len(RIGHT) - 1), WebJudge(seconds=1e-12)):
        assert judge(RIGHT, CART) == WebJudgement("over the limit")
    for limits in ({"characters": 0}, {"seconds": 0.0}):
        with pytest.raises(ValueError, match="a judge needs limits above 0"):
            WebJudge(**limits)


def test_reading_keeps_what_stands_there():
    changes = read_changes(RIGHT.replace("[5] link 'Empty cart'", "[5]"))
    assert [line_text(item) for item in changes.updated] == RIGHT.split("\n")[-2:]
    assert [(item.id, item.role, item.name) for item in changes.deleted] == [("5", "", "")]
    assert read_changes(NO_CHANGE) == Changes()


UPSTREAM = WebJudge("upstream")
ONE_NEW = page_step("[1] p 'a'", "[1] p 'a'\n[2] p 'b'")
TWO_NEW = page_step("[1] p 'a'", "[1] p 'a'\n[2] p 'b'\n[3] p 'c'")
BLOCK = "New items:\n{}\n\nDeleted items:\nNone\n\nUpdated items:\n{}"


def upstream(text, transition):
    return round(UPSTREAM(text, transition).f1, 3)


def test_the_originals_numbers():
    assert upstream(NO_CHANGE, ONE_NEW) == 0.667
    assert upstream(NO_CHANGE, SAME) == 1
    assert upstream("", SAME) == upstream("None", ONE_NEW) == 0
    right = BLOCK.format("[2] p 'b'\n[3] p 'c'", "None")
    assert upstream(right, TWO_NEW) == 1
    assert upstream(right + "<|endoftext|>", TWO_NEW) == 0.75
    assert upstream(right + "\n<|endoftext|>", TWO_NEW) == round(8 / 9, 3)
    draft = BLOCK.format("[2] p 'x'", "None")
    assert upstream("\n\n".join([draft, BLOCK.format("[2] p 'b'", "None")]), ONE_NEW) == 0.857


def test_the_originals_rules():
    assert upstream(BLOCK.format("[9] p 'b'", "None"), ONE_NEW) == 0.667
    assert upstream(BLOCK.format("[2] p 'b'\n[2] p 'b'", "None"), ONE_NEW) == 1
    same_line = "New items: [2] p 'b'\nDeleted items:\nNone\nUpdated items:\nNone"
    assert upstream(same_line, ONE_NEW) == pytest.approx(2 * 2 / 5)
    assert upstream("[2] p 'b'\n" + NO_CHANGE, ONE_NEW) == 0.667
    assert UPSTREAM(NO_CHANGE, SAME).reason == "right"
    assert UPSTREAM("nothing", SAME).reason == "no answer"
    assert UPSTREAM(NO_CHANGE, CART).reason == "wrong state"


@settings(max_examples=200, deadline=None)
@given(page_elements, page_elements)
def test_the_original_takes_the_truth_with_its_true_ids(before, after):
    transition = page_step(tree_text(before), tree_text(after))
    text = page_answer(transition, "long")
    for number, item in reversed(list(enumerate(transition.changes.new, 1))):
        text = text.replace(f"[n{number}] ", f"[{item.id}] ", 1)
    if "[n" not in transition.tree + transition.next_tree:
        assert UPSTREAM(text, transition).f1 == 1

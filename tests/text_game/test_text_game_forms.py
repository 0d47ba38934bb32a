"""The forms in which models write right answers, and that tolerance lets no wrong one score."""

import json
import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from text_states import LAMP, NOTHING

from rlvr_world.text_game.judge import strict_judgement

RIGHT = json.dumps(LAMP.difference)
WRONG = (
    json.dumps(NOTHING),
    RIGHT.replace('"isHot": true', '"isHot": false'),
    json.dumps(LAMP.difference | {"removed": [2], "modified": LAMP.difference["modified"][:1]}),
)

FORMS = [
    "{}", "The final answer is: {}", "`The final answer is:` {}", "**The final answer is:** {}",
    "**The final answer is: {}**", "**The final answer is**: {}", "The final answer is: `{}`",
    "The final answer is: **{}**", "The final answer is:\n\n{}\n", "Final answer: {}",
    "**Final Answer:**\n{}", "### Final answer:\n```json\n{}\n```", "FINAL STATE: {}",
    "```JSON\n{}\n```", "```Json\n{}```", "```\n{}\n```", "So:\n```JSON {}``` as I said",
    "The final answer is: {} because the lamp is on.", "The final answer is: {}\nThat is all.",
    "The final answer is: {}.", "I think.\n</think>\n\n{}", "</think>{}\nThat is all.",
    "I think.\n</think>\n\n**Final answer:** {}", "I think.</think>\n```json\n{}\n```",
    "\\boxed{{}}", "So $\\boxed{{}}$", "Final answer: $$\\boxed{ {} }$$.", "\\[\\boxed{{}}\\]",
    "The final answer is: \\boxed{{}} as asked", "<think>\nLet me see: {a}.\n</think>\n\n{}",
]  # fmt: skip
"""``{}`` stands for the JSON."""


def right(text: str) -> bool:
    return strict_judgement(text, LAMP, "difference").reason == "right"


@pytest.mark.parametrize("form", FORMS)
def test_a_form_changes_nothing(form):
    text = form.replace("{}", RIGHT)
    assert right(text)
    for draft in ("{} hm </think>\n", "```json\n{}\n```\nNo.\n", "The final answer is: {}\nNo.\n"):
        announced = "inal" in form or "</" in form or "box" in form or draft == "{} hm </think>\n"
        assert right(draft.replace("{}", WRONG[0]) + text) or not announced
    for wrong in WRONG:
        judgement = strict_judgement(form.replace("{}", wrong), LAMP, "difference")
        assert judgement.reason == "wrong state"


LOOPHOLES = {
    "a draft alone": "</think>{}\n</think>\nI give up.",
    "a draft before an answer": "The final answer is: {}\nThe final answer is: {wrong}",
    "another behind it": "The final answer is: {} or {wrong}",
    "two of them": "The final answer is: {} {}",
    "another in a fence behind it": "Final answer: {}\n```json\n{wrong}\n```",
    "another behind its fence": "Final answer: ```json\n{}\n``` or {wrong}",
    "another in a fence that is open": "```json\n{}\n```\n```json\n{wrong}",
    "another before its box": "\\boxed{{} {wrong}}",
    "a box that is open": "\\boxed{{}",
    "nested": 'The final answer is: {"answer": {}}',
    "nested in what is broken": 'The final answer is: {"answer": {}',
    "in a list": "The final answer is: [{}]",
    "in a list of two": "The final answer is: [{wrong}, {}]",
    "in a list in a fence": "```json\n[{wrong}, {}]\n```",
    "one brace more": "The final answer is: {}}",
    "more keys behind it": 'The final answer is: {}, "note": 1',
    "words before it": "I think {}",
    "words behind what nothing announces": "{} I think",
    "still thinking": "<think>\nThe final answer is: {}",
    "still thinking in a fence": "<think>\n```json\n{}\n```",
    "thinking again": "<think></think>So <think> Final answer: {}",
    "not yet thought": "{}\n</think>",
    "two fences in one": "```json\n{wrong}\n{}\n```",
}


@pytest.mark.parametrize("case", LOOPHOLES)
def test_tolerance_opens_no_loophole(case):
    text = LOOPHOLES[case].replace("{}", RIGHT).replace("{wrong}", WRONG[0])
    assert not right(text)


def last_said(text: str) -> object:
    """The last whole JSON object of a text that is not part of another; None without one."""
    found, place, text = None, 0, text.rpartition("</think>")[2]
    while (place := text.find("{", place)) >= 0:
        try:
            found, end = json.JSONDecoder().raw_decode(text[place:])
            place += end
        except (ValueError, RecursionError):
            place += 1
    return found


PIECES = ["The final answer is:", "Final answer:", "</think>", "```json", "```", "\\boxed{", "So",
          "**", "`", "\n", " ", "}", "{", "[", "]", "$", ".", ",", '"', "", "hm", ":"]  # fmt: skip


def mutated(rng: random.Random) -> str:
    """Pieces of answers, of forms and of JSON in a row, with letters lost, doubled or replaced."""
    pieces: list[str] = []
    for _ in range(rng.randint(1, 4)):
        form, said = rng.choice(FORMS), rng.choice([RIGHT, RIGHT, *WRONG])
        pieces += [rng.choice(PIECES), form.replace("{}", said), rng.choice(PIECES)]
    text = "".join(pieces)
    for _ in range(rng.choice([0, 0, 1, 1, 2, 8])):
        start, length = rng.randrange(len(text) + 1), rng.randint(0, rng.choice([1, 1, 3, 60]))
        text = text[:start] + rng.choice(PIECES) * rng.randint(0, 1) + text[start + length :]
    return text


def check(text: str) -> bool:
    """Whether a text is right; it may be only if it is as said last."""
    if not right(text):
        return False
    said = last_said(text)
    assert right(json.dumps(said)), text
    return True


def run(choose: Callable[[], str], times: int) -> int:
    return sum(check(choose()) for _ in range(times))


@settings(max_examples=300, deadline=None)
@given(st.randoms(use_true_random=False))
def test_no_wrong_answer_scores(rng):
    check(mutated(rng))


def test_of_20_000_mutated_texts_no_wrong_one_scores():
    rng = random.Random(0)
    found = run(lambda: mutated(rng), 20_000)
    assert 2_000 < found < 12_000


def test_the_property_finds_a_judge_that_takes_drafts(monkeypatch):
    judge = strict_judgement
    lenient = {"strict_judgement": lambda text, *given: judge(RIGHT * (RIGHT in text), *given)}
    monkeypatch.setitem(globals(), *next(iter(lenient.items())))
    rng = random.Random(0)
    with pytest.raises(AssertionError):
        run(lambda: mutated(rng), 500)

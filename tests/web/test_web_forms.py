"""The forms in which models write right answers, and that tolerance lets no wrong one score."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from page_steps import CART

from rlvr_world.language.judge import BadAnswer
from rlvr_world.web.answer import changes_text, read_changes
from rlvr_world.web.judge import WebJudgement, strict_judgement
from rlvr_world.web.prompt import NO_CHANGE, page_answer

RIGHT = page_answer(CART, "long")
WRONG = {
    NO_CHANGE: 0.0,
    RIGHT.replace("2 cups", "3 cups"): 0.75,
    changes_text(CART.changes._replace(new=(), deleted=()), "long"): 2 / 3,
}
"""Answers that are not right, and their F1."""

PERFECT = WebJudgement("right", 1, 1)


def named(before: str, after: str = "", item: str = "", nothing: str = "None"):
    """A form with something around the names of sections, before items and for None."""

    def form(text: str) -> str:
        lines = text.replace("\nNone", f"\n{nothing}").split("\n")
        heads = [f"{before}{x[:-1]}{after}" if x.endswith("items:") else x for x in lines]
        return "\n".join(item + line if line.startswith("[") else line for line in heads)

    return form


FORMS = {
    "as asked": named("", ":"),
    "bold": named("**", ":**"),
    "bold without its colon": named("**", "**:"),
    "headings": named("### ", ":"),
    "bullets": named("", ":", "- "),
    "other bullets": named("- ", ":", "* ", "- None"),
    "numbers": named("1. **", ":**", "  2. "),
    "no empty lines": lambda text: text.replace("\n\n", "\n"),
    "on their lines": lambda text: text.replace(":\n", ": "),
    "only None on its line": lambda text: text.replace(":\nNone", ": None"),
    "bold None": named("**", ":**", "", "*None*"),
    "a fence": lambda text: f"So:\n```JSON\n{text}\n```\n",
    "behind thoughts": lambda text: f"I see.\n</think>\n\n{text}",
    "at once behind thoughts": lambda text: f"I see.\n</think>{text}",
    "in capitals": lambda text: text.replace("items", "Items"),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_form_changes_nothing(form):
    assert strict_judgement(FORMS[form](RIGHT), CART) == PERFECT
    for wrong, f1 in WRONG.items():
        text = FORMS[form](wrong)
        assert strict_judgement(text, CART).f1 == pytest.approx(f1)
        both = strict_judgement(f"{FORMS[form](RIGHT)}\n\nNo:\n\n{text}", CART)
        assert both.f1 in (0, pytest.approx(f1))
        assert strict_judgement(f"{text}\n\nNo:\n\n{FORMS[form](RIGHT)}", CART) == PERFECT


@pytest.mark.parametrize(
    "text",
    [f"{RIGHT}\n</think>\n", f"{RIGHT}</think>", f"{RIGHT}\n\nNew items: as above",
     f"{RIGHT}\n\n{RIGHT.partition('Updated')[0]}", RIGHT.replace("\n\n", " "),
     RIGHT.replace("New", "Some new"), f"{RIGHT}\nThat is all.", RIGHT.replace("[5]", "- - [5]"),
     f"<think>\n{RIGHT}"],
)  # fmt: skip
def test_what_is_not_clear_is_not_read(text):
    assert strict_judgement(text, CART).f1 == 0


JUNK = ["\n", "- ", "**", "None", "New items:", "Deleted items:", "Updated items: None", "```",
        "</think>", ":", " ", "[5]", "[n1]", "1. ", "### ", "'", "hm", *[""] * 40]  # fmt: skip


def mutated(rng: random.Random) -> str:
    """Answers in forms in a row, with letters lost, doubled or replaced."""
    forms, answers = list(FORMS.values()), [RIGHT, RIGHT, *WRONG]
    said = [rng.choice(forms)(rng.choice(answers)) for _ in range(rng.randint(1, 3))]
    text = "\n".join(piece for each in said for piece in (each, rng.choice(JUNK)))
    for _ in range(rng.choice([0, 0, 1, 1, 2, 8])):
        start, length = rng.randrange(len(text) + 1), rng.randint(0, rng.choice([1, 1, 3, 60]))
        text = text[:start] + rng.choice(JUNK) * rng.randint(0, 1) + text[start + length :]
    return text


def sections(text: str) -> list[list[str]]:
    """The lines of each section from the last that names new items on, found in a simple way."""
    found: list[list[str]] = []
    for line in text.split("\n"):
        head = line.partition("[")[0].lower()
        if "new items" in head:
            found = []
        if any(f"{name} items" in head for name in ("new", "deleted", "updated")):
            found.append([])
        if found:
            found[-1].append(line)
    return found


def check(text: str) -> bool:
    """Whether a text is right; it may have right only what its last answer lists, and once."""
    judgement = strict_judgement(text, CART)
    try:
        answer = read_changes(text)
    except BadAnswer:
        assert judgement.f1 == 0
        return False
    for lines, items in zip(sections(text), answer, strict=True):
        listed = [line for line in lines if "[" in line]
        for line, item in zip(listed, items, strict=True):
            assert f"[{item.id}]" in line
            assert item.name in line
    return judgement == PERFECT


@settings(max_examples=200, deadline=None)
@given(st.randoms(use_true_random=False))
def test_no_wrong_answer_scores(rng):
    check(mutated(rng))


def test_of_20_000_mutated_texts_no_wrong_one_scores():
    rng = random.Random(0)
    assert 2_000 < sum(check(mutated(rng)) for _ in range(20_000)) < 12_000

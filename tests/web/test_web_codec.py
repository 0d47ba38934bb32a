from dataclasses import replace

import pytest
import torch
from games import step as game_step
from page_steps import CART, SAME, tick, write_pages

from rlvr_world.data.samples import BadSample
from rlvr_world.language.bpe import learn_bpe
from rlvr_world.web.codec import WebPageCodec
from rlvr_world.web.data import WebDataModule
from rlvr_world.web.prompt import (
    EXAMPLE,
    NO_CHANGE,
    PUBLISHED_EXAMPLE,
    page_answer,
    page_prompt,
)
from rlvr_world.web.rewards import ItemF1

STEPS = [CART, SAME, tick(5, "click [1]")]
PUBLISHED_CART = replace(
    CART, truth={"new": [], "deleted": ["[5] link 'Empty cart'"], "updated": []}
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A tokenizer learnt from a small folder of pages."""
    root = tmp_path_factory.mktemp("boxes")
    kinds = [tick(n, action) for n in range(10) for action in ("click [1]", "hover [2]")]
    write_pages(root / "data", {"train": [*kinds, CART]})
    learn_bpe(WebDataModule(str(root / "data")), root / "tokenizer", vocab_size=400)
    return root / "tokenizer"


def batch(steps=STEPS):
    return {"key": [str(index) for index in range(len(steps))], "transition": steps}


@pytest.mark.parametrize("style", ["long", "compact"])
def test_the_true_answer_comes_back_and_is_right(folder, style):
    codec = WebPageCodec(folder, 4000, 1000, style=style)
    sequence = codec.encode(batch())
    answers = codec.decode(sequence)
    assert answers == [page_answer(step, style) for step in STEPS]
    assert ItemF1().score(answers, codec.target(batch())).tolist() == [1, 1, 1]
    start = sequence.prompt_length
    for row, step in enumerate(STEPS):
        prompt = codec.tokenizer.decode(sequence.ids[row, sequence.padding[row] : start])
        assert prompt == page_prompt(step, style)
    template = codec.template(batch())
    assert torch.equal(template.ids[:, :start], sequence.ids[:, :start])
    assert codec.too_long(batch()) == {"prompt": 0, "answer": 0}


def test_nothing_changes_as_the_baseline(folder):
    codec = WebPageCodec(folder)
    assert codec.copy_last(batch()) == [NO_CHANGE] * 3
    assert ItemF1().score(codec.copy_last(batch()), STEPS).tolist() == [0, 1, 0]


def test_what_is_too_long_is_counted(folder):
    codec = WebPageCodec(folder, prompt_length=40, answer_length=1)
    assert codec.too_long(batch()) == {"prompt": 3, "answer": 3}
    with pytest.raises(ValueError, match=r"the prompt of 0 has .* tokens, more than 40"):
        codec.encode(batch())


def test_the_fingerprint_is_that_of_tokens_and_layout(folder):
    same = [WebPageCodec(folder), WebPageCodec(folder, prompt_length=99)]
    assert same[0].fingerprint == same[1].fingerprint
    assert WebPageCodec(folder, style="long").fingerprint != same[0].fingerprint


def test_steps_of_another_kind_are_named(folder):
    with pytest.raises(BadSample, match="WebPageCodec reads steps of the kind WebTransition, not"):
        WebPageCodec(folder).fits({"key": ["a"], "transition": [game_step(5, "wait")]})


def test_prompts_hold_the_step_and_nothing_of_what_follows():
    for style in ("long", "compact"):
        text = page_prompt(CART, style)
        for part in (CART.url, CART.objective, CART.tree, CART.action):
            assert part in text
        assert "Added" not in text
        assert "2 cups" not in text
    text = page_prompt(CART, "long")
    assert "PREVIOUS ACTION: None\n" in text
    for name in ("click", "type", "hover", "press", "scroll", "new_tab", "tab_focus", "close_tab",
                 "goto", "go_back", "go_forward", "stop"):  # fmt: skip
        assert f"`{name}" in text


def test_what_stands_between_names_is_one_token(folder):
    tokenizer = WebPageCodec(folder).tokenizer
    step = tick(5, "click [1]")
    words = [
        tokenizer.decode([token]) for token in tokenizer(page_answer(step, "compact"))["input_ids"]
    ]
    assert words[0] == "New items:\n[n"
    assert "] checkbox '" in words
    lines = [f"[{number}] button 'ok'" for number in (7, 12, 345)]
    texts = (*lines, "\t[3] link \"it's\" focused: true value: 1.5\n[4] x '[5] y'", "a] [b\n[n")
    for text in texts:
        assert tokenizer.decode(tokenizer(text)["input_ids"]) == text


def test_the_example_of_a_long_prompt_is_right_and_has_all_sections():
    text = page_prompt(CART, "long")
    assert page_answer(EXAMPLE, "long") in text
    assert EXAMPLE.tree in text
    assert all(EXAMPLE.changes)
    assert "alert" not in text.partition("The page to simulate:")[2]


def test_a_published_truth_is_asked_for_by_its_own_rules():
    own, published = page_prompt(CART, "long"), page_prompt(PUBLISHED_CART, "long")
    assert page_answer(PUBLISHED_EXAMPLE, "long") in published
    assert "[28] alert" in published
    assert "properties or id change" in published
    assert "n1" not in published
    assert "[28]" not in own
    assert published.partition("An example:")[0] != own.partition("An example:")[0]
    assert PUBLISHED_EXAMPLE.changes.total == EXAMPLE.changes.total
    assert page_prompt(PUBLISHED_CART, "compact") == page_prompt(CART, "compact")


@pytest.mark.parametrize("style", ["long", "compact"])
def test_an_answer_can_be_the_truth_of_others(folder, style):
    codec = WebPageCodec(folder, style=style)
    right = page_answer(CART, style)
    half = right.replace("[3] button 'Add' focused: true\n", "")
    assert half != right
    invented = NO_CHANGE.replace("Deleted items:\nNone", "Deleted items:\n[99]")
    answers = [right, half, "nothing", invented]
    truths = codec.as_target(answers, batch([CART]))
    assert truths[2] is None
    assert truths[0].changes.total == CART.changes.total
    assert ItemF1().score(answers, [truths[0]] * 4).tolist() == pytest.approx([1, 6 / 7, 0, 0])
    assert ItemF1().score(answers, [truths[1]] * 4).tolist() == pytest.approx([6 / 7, 1, 0, 0])
    assert not truths[3].changed  # no page can lose what it does not have

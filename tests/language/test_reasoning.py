"""Reasoning before an answer, in the forms of the chat templates that models come with."""

import pytest
from games import step, write_root
from transformers import AutoTokenizer

from rlvr_world.language.bpe import learn_bpe
from rlvr_world.language.reasoning import split_reasoning
from rlvr_world.text_game.codec import TextGameCodec
from rlvr_world.text_game.data import TextDataModule
from rlvr_world.text_game.prompt import answer_text
from rlvr_world.text_game.rewards import StateMatch

MESSAGES = "{% for message in messages %}<|user|>{{ message['content'] }}{% endfor %}<|model|>"
TEMPLATES = {
    "distilled": MESSAGES + "{{ '<think>\n' }}",
    "hybrid": MESSAGES + "{% if enable_thinking is false %}<think>\n\n</think>\n\n{% endif %}",
    "plain": MESSAGES,
}
STEP = step(5, "switch 3")
THOUGHT = step(5, "switch 3").from_json(STEP.to_json() | {"reasoning": "Lamp 3 is off <end>."})
ANSWER = answer_text(STEP, "long", "difference")


@pytest.fixture(scope="module", params=["special", "plain tokens", "letters"])
def tokenizer(request, tmp_path_factory):
    """A tokenizer that has tokens for the marks of reasoning, or writes them in letters."""
    root = tmp_path_factory.mktemp("lamps")
    write_root(root / "data", {"train": [step(n, "wait") for n in range(20)]})
    learn_bpe(TextDataModule(str(root / "data")), root / "tokenizer", vocab_size=300)
    tokenizer = AutoTokenizer.from_pretrained(root / "tokenizer")
    if request.param != "letters":
        marks = ["<think>", "</think>"]
        tokenizer.add_tokens(marks, special_tokens=request.param == "special")
    return tokenizer


def sides(tokenizer, template, transition, **options):
    """The prompt's end and the answer of a transition, as text, and its reward."""
    tokenizer.chat_template = TEMPLATES[template]
    codec = TextGameCodec(
        tokenizer, prompt_length=9000, answer_length=3000, style="long", chat=True, **options
    )
    batch = {"key": ["0"], "transition": [transition], "rules": [None]}
    sequence = codec.encode(batch)
    assert codec.legal_tokens()[sequence.ids[sequence.target_mask]].all()
    (answer,) = codec.decode(sequence)
    (prompt,) = codec.texts(sequence.ids, ~sequence.target_mask)
    assert StateMatch().score([answer], [transition]).tolist() == [1]
    return prompt.rpartition("<|model|>")[2], answer


REASON = "Lamp 3 is off <end>."
CASES = {
    "distilled, reasoning": ("distilled", {"reasoning": True}, "<think>\n",
                             f"{REASON}\n</think>\n\n{ANSWER}"),
    "distilled, answers alone": ("distilled", {}, "<think>\n", f"\n</think>\n\n{ANSWER}"),
    "hybrid, reasoning": ("hybrid", {"reasoning": True}, "",
                          f"<think>\n{REASON}\n</think>\n\n{ANSWER}"),
    "hybrid, not thinking": ("hybrid",
                             {"reasoning": True, "chat_options": {"enable_thinking": False}},
                             "<think>\n\n</think>\n\n", ANSWER),
    "plain, reasoning": ("plain", {"reasoning": True}, "",
                         f"<think>\n{REASON}\n</think>\n\n{ANSWER}"),
    "plain, answers alone": ("plain", {}, "", ANSWER),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_an_answer_says_what_the_template_leaves_to_say(tokenizer, case):
    template, options, prompt, answer = CASES[case]
    assert sides(tokenizer, template, THOUGHT, **options) == (prompt, answer)


def test_a_step_without_reasoning_is_answered_at_once(tokenizer):
    prompt, answer = sides(tokenizer, "distilled", STEP, reasoning=True)
    assert prompt + answer == f"<think>\n\n</think>\n\n{ANSWER}"


def test_what_differs_in_layout_has_another_fingerprint(tokenizer):
    tokenizer.chat_template = TEMPLATES["hybrid"]
    options = ({}, {"reasoning": True}, {"chat_options": {"enable_thinking": False}})
    codecs = [TextGameCodec(tokenizer, chat=True, **each) for each in options]
    assert len({codec.fingerprint for codec in codecs}) == 3
    with pytest.raises(ValueError, match="chat_options: they are of a chat template; set chat"):
        TextGameCodec(tokenizer, chat_options={"enable_thinking": False})


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("a\n</think>\n\nb", ("a", "b")), ("<think>\na\n</think>b", ("a", "b")), ("b", ("", "b")),
        ("<think>a</think> no </think> b", ("a</think> no", "b")), ("<think>a", ("", "<think>a")),
    ],
)  # fmt: skip
def test_reasoning_ends_at_the_last_mark(text, parts):
    assert split_reasoning(text) == parts


def test_documents_carry_reasoning():
    assert "reasoning" not in STEP.to_json()
    assert THOUGHT.reasoning == REASON
    assert THOUGHT.from_json(THOUGHT.to_json()) == THOUGHT != STEP
    with pytest.raises(ValueError, match="transition: reasoning must be of type str"):
        STEP.from_json(STEP.to_json() | {"reasoning": 3})

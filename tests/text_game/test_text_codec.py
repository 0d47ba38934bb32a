import json

import pytest
import torch
from games import lamps, step, write_root
from transformers import PreTrainedTokenizerFast

from rlvr_world.language.bpe import learn_bpe
from rlvr_world.nn.transformer import Transformer
from rlvr_world.rl.sampler import Sampler
from rlvr_world.text_game.answer import PHRASES
from rlvr_world.text_game.codec import TextGameCodec
from rlvr_world.text_game.data import TextDataModule
from rlvr_world.text_game.prompt import answer_text, prompt_text
from rlvr_world.text_game.rewards import StateMatch

STEPS = [step(5, "switch 3"), step(900, "wait"), step(2, "switch 0", mode="action")]
RULES = {"objects": "Lamps are lamps.", "actions": "Switching switches.", "score": "None."}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A tokenizer learnt from a small folder of lamps."""
    root = tmp_path_factory.mktemp("lamps")
    kinds = [step(n, action) for n in range(40) for action in ("switch 1", "switch 7", "wait")]
    write_root(root / "data", {"train": kinds})
    learn_bpe(TextDataModule(str(root / "data")), root / "tokenizer", vocab_size=400)
    return root / "tokenizer"


def batch(steps=STEPS, rules=RULES):
    keys = [str(index) for index in range(len(steps))]
    return {"key": keys, "transition": steps, "rules": [rules] * len(steps)}


@pytest.fixture
def codec(folder):
    return TextGameCodec(folder, prompt_length=900, answer_length=300)


@pytest.mark.parametrize("style", ["long", "compact"])
@pytest.mark.parametrize("form", ["difference", "state"])
def test_the_true_answer_comes_back_and_is_right(folder, style, form):
    codec = TextGameCodec(folder, form=form, style=style, prompt_length=4000, answer_length=2000)
    sequence = codec.encode(batch())
    answers = codec.decode(sequence)
    named = [answer_text(transition, "long", form) for transition in STEPS]
    without_phrase = [text.removeprefix(f"{PHRASES[0]} ") for text in named]
    assert answers == (named if style == "long" else without_phrase)
    assert StateMatch(form=form).score(answers, codec.target(batch())).tolist() == [1, 1, 1]


def test_layout_is_padding_prompt_answer_end(codec):
    sequence = codec.encode(batch())
    ids, mask, padding = sequence
    assert padding.min() == 0
    assert padding.max() > 0
    start = sequence.prompt_length
    for row, transition in enumerate(STEPS):
        prompt = codec.tokenizer.decode(ids[row, padding[row] : start])
        assert prompt == prompt_text(transition, RULES, "compact", "difference")
        own = ids[row][mask[row]]
        assert own[-1] == codec.end_token
        assert (own[:-1] != codec.end_token).all()
        assert not mask[row, :start].any()


def test_a_template_asks_for_the_longest_answer_and_shares_the_prompts(codec):
    sequence, template = codec.encode(batch()), codec.template(batch())
    start = template.prompt_length
    assert torch.equal(template.ids[:, :start], sequence.ids[:, :start])
    assert template.target_mask[:, start:].all()
    assert template.ids.shape[1] - start == 300


def test_nothing_changes_as_the_baseline(codec):
    scores = StateMatch().score(codec.copy_last(batch()), codec.target(batch()))
    assert scores.tolist() == [0, 1, 0]


def test_only_text_and_the_end_are_legal(codec):
    legal = codec.legal_tokens()
    assert legal[codec.end_token]
    assert not legal[codec.tokenizer.pad_token_id]
    assert legal.sum() == codec.vocab_size - 1


def test_sampled_answers_are_text_within_the_limit(folder):
    torch.manual_seed(0)
    codec = TextGameCodec(folder, prompt_length=900, answer_length=12)
    model = Transformer(codec.vocab_size, dim=16, depth=1, heads=2)
    sequence, _ = Sampler()(
        model, codec.template(batch()), codec.legal_tokens(), 2, end_token=codec.end_token
    )
    answers = codec.decode(sequence)
    assert len(answers) == 6
    assert all(isinstance(answer, str) for answer in answers)
    assert StateMatch().score(answers, [t for t in STEPS for _ in range(2)]).tolist() == [0] * 6


def test_answers_that_are_too_long_are_cut_counted_and_reported_once(folder):
    codec = TextGameCodec(folder, prompt_length=900, answer_length=2)
    with pytest.warns(UserWarning, match="answer of .* tokens in the batch of 0 is cut to 2"):
        sequence = codec.encode(batch())
    assert codec.cut == 3
    assert codec.too_long(batch()) == {"prompt": 0, "answer": 3}
    assert sequence.target_mask.sum(dim=1).tolist() == [2, 2, 2]


def test_prompts_that_are_too_long_are_told_apart_and_never_cut(folder):
    lengths = [len(ids) for ids in TextGameCodec(folder).whole_prompts(batch())]
    codec = TextGameCodec(folder, prompt_length=sorted(lengths)[1])
    assert codec.fitting(batch()) == [length <= codec.prompt_length for length in lengths]
    assert codec.too_long(batch()) == {"prompt": 1, "answer": 0}
    for method in (codec.encode, codec.template):
        with pytest.raises(ValueError, match=r"the prompt of . has .* tokens, more than .*; raise"):
            method(batch())


def test_the_fingerprint_is_that_of_tokens_and_layout(folder):
    same = [TextGameCodec(folder), TextGameCodec(folder, prompt_length=99)]
    other = TextGameCodec(folder, style="long")
    assert same[0].fingerprint == same[1].fingerprint != other.fingerprint


def test_a_missing_tokenizer_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere: no tokenizer"):
        TextGameCodec(tmp_path / "nowhere")


def test_any_text_can_be_written_with_a_learnt_tokenizer(folder):
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    text = json.dumps(lamps(3)) + "\n> grüße 東京 \t 12345"
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    assert tokenizer.decode(ids, clean_up_tokenization_spaces=False) == text


def test_long_prompts_hold_the_parts_that_matter():
    text = prompt_text(STEPS[0], RULES, "long", "difference")
    for part in ("Light it.", *RULES.values(), "switch 3", "`removed`", "from 10 on"):
        assert part in text
    without = prompt_text(STEPS[2], None, "long", "difference")
    assert "`score`" not in without
    assert "Lamps are lamps." not in without


@pytest.mark.parametrize("form", ["difference", "state"])
def test_an_answer_can_be_the_truth_of_others(folder, form):
    codec = TextGameCodec(folder, form=form)
    given = batch(STEPS[:1])
    right, other = (answer_text(step(5, action), "long", form) for action in ("switch 3", "wait"))
    answers = [right, other, "no JSON", right]
    truths = codec.as_target(answers, given)
    assert truths[2] is None
    scores = [StateMatch(form=form).score(answers, [t] * 4).tolist() for t in truths if t]
    assert scores == [[1, 0, 0, 1], [0, 1, 0, 0], [1, 0, 0, 1]]
    assert truths[0] is truths[3]  # what is judged once need not be judged again
    assert truths[0].target == STEPS[0].target

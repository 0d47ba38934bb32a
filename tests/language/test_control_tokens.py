"""What data says is text: names of control tokens in it are words, as all others."""

import pytest
import torch
from games import step, write_root
from transformers import AutoTokenizer

from rlvr_world.language.bpe import learn_bpe
from rlvr_world.text_game.codec import TextGameCodec
from rlvr_world.text_game.data import TextDataModule
from rlvr_world.text_game.rewards import StateMatch

NAMES = ["<end>", "<pad>", "</s>", "<|im_end|>", "<|im_start|>", "<unk>", "<|endoftext|>"]
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A tokenizer learnt from lamps; with the control tokens of a chat, too."""
    root = tmp_path_factory.mktemp("lamps")
    write_root(root / "data", {"train": [step(n, "wait") for n in range(20)]})
    learn_bpe(TextDataModule(str(root / "data")), root / "tokenizer", vocab_size=300)
    tokenizer = AutoTokenizer.from_pretrained(root / "tokenizer")
    tokenizer.add_special_tokens(
        {"additional_special_tokens": NAMES[2:], "eos_token": "<|im_end|>", "unk_token": "<unk>"}
    )
    tokenizer.chat_template = TEMPLATE
    tokenizer.save_pretrained(root / "chat")
    return root


@pytest.mark.parametrize(("name", "chat"), [("tokenizer", False), ("chat", False), ("chat", True)])
def test_names_of_control_tokens_are_text(folder, name, chat):
    codec = TextGameCodec(folder / name, prompt_length=4000, answer_length=2000, chat=chat)
    special = set(codec.tokenizer.all_special_ids)
    text = " ".join(NAMES) + f" a{NAMES[0]}b{NAMES[3]}"
    (ids,) = codec.tokens([text])
    assert not special & set(ids)
    assert codec.tokenizer.decode(ids, clean_up_tokenization_spaces=False) == text

    transition = step(5, f"say {text}")
    one = {"key": ["0"], "transition": [transition], "rules": [{"objects": text}]}
    sequence = codec.encode(one)
    answer = sequence.ids[sequence.target_mask]
    assert (answer[:-1] != codec.end_token).all()
    assert codec.legal_tokens()[answer].all()
    prompt = sequence.ids[~sequence.target_mask].tolist()
    frame = [*codec.chat_frame[0], *codec.chat_frame[1]] if chat else []
    assert [i for i in prompt if i in special] == [i for i in frame if i in special]
    assert text in codec.tokenizer.decode(prompt, clean_up_tokenization_spaces=False)


def test_an_answer_that_names_an_end_is_whole_and_right(folder, monkeypatch):
    codec = TextGameCodec(folder / "tokenizer", prompt_length=4000, answer_length=2000)
    monkeypatch.setattr(codec, "answer_texts", lambda batch: ["{} <end> and <pad> more"])
    one = {"key": ["0"], "transition": [step(5, "wait")], "rules": [None]}
    sequence = codec.encode(one)
    assert int((sequence.ids[sequence.target_mask] == codec.end_token).sum()) == 1
    assert codec.decode(sequence) == ["{} <end> and <pad> more"]
    right = TextGameCodec(folder / "tokenizer", prompt_length=4000, answer_length=2000)
    assert StateMatch().score(right.decode(right.encode(one)), right.target(one)).tolist() == [1]


def test_a_chat_is_framed_as_its_template_says(folder):
    codec = TextGameCodec(folder / "chat", prompt_length=4000, answer_length=2000, chat=True)
    one = {"key": ["0"], "transition": [step(5, "wait")], "rules": [None]}
    (text,) = codec.prompt_texts(one)
    chat = [{"role": "user", "content": text}]
    whole = codec.tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
    sequence = codec.encode(one)
    prompt = sequence.ids[0, : sequence.prompt_length]
    assert codec.tokenizer.decode(prompt, clean_up_tokenization_spaces=False) == whole
    assert torch.equal(prompt, torch.tensor(codec.tokenizer(whole)["input_ids"]))


def test_a_template_that_changes_messages_is_refused(folder):
    tokenizer = AutoTokenizer.from_pretrained(folder / "chat")
    tokenizer.chat_template = "{{ messages[0]['content'] | upper }}"
    codec = TextGameCodec(tokenizer, chat=True)
    with pytest.raises(ValueError, match="its chat template does not put a message in as it is"):
        codec.encode({"key": ["0"], "transition": [step(5, "wait")], "rules": [None]})

"""What the ByteSized32 demo prepares before it trains; the training is that of the text demo."""

import pytest

from rlvr_world.demos.bytesized32 import ByteSized32Demo


def demo(folder, calls, pretrained):
    return ByteSized32Demo(
        folder / "published", pretrained, command=calls.append, preset="bytesized32_small",
        folder=folder / "run", data=folder / "data", configs=folder,
    )  # fmt: skip


def test_a_model_from_random_weights_gets_a_tokenizer_learnt_from_the_shards(tmp_path):
    calls = []
    options = demo(tmp_path, calls, pretrained=False).prepare()
    root, tokenizer = ("--root", str(tmp_path / "data")), str(tmp_path / "run/tokenizer")
    assert calls == [
        ("data", "bytesized32", str(tmp_path / "published"), *root),
        ("data", "bpe", "--data=rlvr_world.text_game.data.TextDataModule", "--data.root", root[1],
         "--output", tokenizer),
    ]  # fmt: skip
    assert options == ("--data.root", root[1], "--model.codec.tokenizer", tokenizer)


def test_smollm2_is_converted_and_brings_its_tokenizer(tmp_path):
    calls = []
    options = demo(tmp_path, calls, pretrained=True).prepare()
    model = str(tmp_path / "run/source")
    assert calls[1:] == [("convert", "smollm2", "--output", model)]
    pairs = dict(zip(options[::2], options[1::2], strict=True))
    assert pairs["--model.codec.tokenizer"] == pairs["--model.backbone.source"] == model


@pytest.mark.parametrize("pretrained", [False, True])
def test_what_is_there_is_kept(tmp_path, pretrained):
    for path in ("data/manifest.json", "run/tokenizer/tokenizer.json"):
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).touch()
    calls = []
    demo(tmp_path, calls, pretrained).prepare()
    assert [call[0] for call in calls] == ["convert"] * pretrained

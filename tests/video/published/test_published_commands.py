import json
from pathlib import Path

import published
import pytest
import torch
import yaml
from published import MULTI_STEP_LLAMA, SMALL_CLIPS, SMALL_FRAME, SMALL_LLAMA
from safetensors.torch import load_file
from stages import ROOT
from tiny_video import TinyVideo

from rlvr_world.cli import main
from rlvr_world.modules.rlvr import RLVRWorldModel
from rlvr_world.modules.saved import load_world_model
from rlvr_world.nn.language_model import LanguageModel
from rlvr_world.nn.transformer import Transformer
from rlvr_world.video.codecs.context import ContextVideoCodec
from rlvr_world.video.codecs.frame import FrameCodec
from rlvr_world.video.published.command import SPLIT
from rlvr_world.video.published.folders import read_published
from rlvr_world.video.rewards.frames import MAE
from rlvr_world.video.tokenizer.compressive import CompressiveVQModel
from rlvr_world.video.tokenizer.vq_model import VQModel

STAGE = """
data: tiny_video.TinyVideo
model:
  class_path: rlvr_world.modules.mle.MLEWorldModel
  init_args:
    codec:
      class_path: rlvr_world.video.codecs.frame.FrameCodec
      init_args:
        tokenizer: checkpoints/trained_here.ckpt
        frame_size: [32, 32]
        context_frames: 2
        special_tokens: true
        action_low: [0, 0]
        action_high: [1, 1]
    backbone:
      class_path: rlvr_world.nn.transformer.Transformer
      init_args: {dim: 16, depth: 2, heads: 2, hidden: 24}
    optimizer: {class_path: torch.optim.AdamW, init_args: {lr: 5.0e-5}}
trainer:
  max_steps: 10
  devices: 8
  precision: bf16-mixed
  logger: {class_path: TensorBoardLogger, init_args: {save_dir: logs}}
  callbacks:
    - {class_path: ModelCheckpoint, init_args: {monitor: val/nll}}
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with downloaded checkpoints and the config of a stage."""
    monkeypatch.chdir(tmp_path)
    for name, config in (("frame", SMALL_FRAME), ("clips", SMALL_CLIPS), ("llama", SMALL_LLAMA)):
        published.write(Path(name), config, published.random_weights(config))
    Path("stage.yaml").write_text(STAGE)
    return tmp_path


def same_folder(one, other):
    (left,), (right,) = one.glob("*.safetensors"), other.glob("*.safetensors")
    before, after = load_file(left), load_file(right)
    assert left.name == right.name
    assert before.keys() == after.keys()
    return all(torch.equal(before[name], after[name]) for name in before)


def same_weights(one, other):
    state = one.state_dict()
    return all(torch.equal(state[name], tensor) for name, tensor in other.state_dict().items())


@pytest.mark.parametrize("name", ["frame", "clips"])
def test_a_tokenizer_goes_to_a_codec_and_back(place, name):
    main(["convert", "rt1", name, "--output", "ours"])
    config = json.loads(Path("ours/config.json").read_text())
    assert config["kind"] == ("vq_model" if name == "frame" else "compressive_vq_model")
    if name == "frame":
        codec = FrameCodec("ours", (32, 32), [0, 0], [1, 1], context_frames=2)
    else:
        codec = ContextVideoCodec("ours", [0, 0], [1, 1])
    assert codec.tokenizer_fingerprint == read_published(Path(name)).fingerprint
    main(["export", "--checkpoint", "ours", "--output", "theirs"])
    assert same_folder(Path(name), Path("theirs"))


def test_a_transformer_becomes_a_source(place):
    main(["convert", "rt1", "llama"])
    assert same_folder(Path("llama"), Path("checkpoints/published/llama"))
    backbone = LanguageModel(4633, source=Path("checkpoints/published/llama")).eval()
    ours, ids = read_published(Path("llama")), torch.randint(4633, (2, 30))
    expected = ours.logits(ours(ids))
    torch.testing.assert_close(backbone.logits(backbone(ids)), expected, atol=1e-4, rtol=0)


def test_a_transformer_becomes_a_checkpoint(place):
    main(["convert", "rt1", "frame", "--output", "tokenizer"])
    options = ["--stage", "stage.yaml", "--tokenizer", "tokenizer"]
    main(["convert", "rt1", "llama", "--output", "world_model", *options])
    path = Path("world_model/model.ckpt")
    model = load_world_model(path)
    theirs = read_published(Path("llama"))
    assert all(
        torch.equal(model.backbone.state_dict()[n], t) for n, t in theirs.state_dict().items()
    )
    provenance = torch.load(path, weights_only=True)["provenance"]
    assert provenance["stage"] == "MLEWorldModel"
    assert provenance["parent"]["path"] == "llama/model.safetensors"
    assert provenance["parent"]["split"] == SPLIT
    batch = next(iter(TinyVideo().test_dataloader()))
    prediction = model.predict(batch)
    assert prediction.shape == (3, 1, 3, 32, 32)
    rlvr = RLVRWorldModel(
        codec=model.codec,
        backbone=lambda size: Transformer(size, 16, 2, 2, hidden=24),
        rewards={"mae": MAE()},
        weights=path,
    )
    rlvr.load_weights(path)
    assert rlvr.parent["split"] == SPLIT  # its training episodes are known to what goes on from it
    assert all(
        torch.equal(rlvr.backbone.state_dict()[n], t) for n, t in theirs.state_dict().items()
    )
    main(["export", "--checkpoint", str(path), "--output", "theirs"])
    assert same_folder(Path("llama"), Path("theirs"))
    config = json.loads(Path("theirs/config.json").read_text())
    assert (config["bos_token_id"], config["eos_token_id"]) == (4631, 4632)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["frame", "--stage", "stage.yaml"], "frame is a tokenizer: stage and tokenizer are for"),
        (["llama", "--stage", "stage.yaml"], "stage and tokenizer go together"),
        (["frame", "--output", "clips"], "clips holds files: use another output"),
    ],
)
def test_wrong_options_are_named(place, arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        main(["convert", "rt1", *arguments])


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (("hidden: 24", "hidden: 32"), "llama: intermediate_size is 24, but stage.yaml has 32"),
        (("heads: 2", "heads: 4"), "llama: num_attention_heads is 2, but stage.yaml has 4"),
        (
            ("special_tokens: true", "special_tokens: false"),
            "llama: vocab_size is 4633, but stage.yaml has 4631",
        ),
    ],
)
def test_a_stage_for_another_transformer_is_named(place, change, sentence):
    main(["convert", "rt1", "frame", "--output", "tokenizer"])
    Path("stage.yaml").write_text(STAGE.replace(*change))
    options = ["--stage", "stage.yaml", "--tokenizer", "tokenizer"]
    with pytest.raises(ValueError, match=sentence):
        main(["convert", "rt1", "llama", "--output", "world_model", *options])
    assert not Path("world_model").exists()


def rt1_codec(preset, kind, tokenizer):
    """The codec of a config of ours, with a small tokenizer of the published codes."""
    config = yaml.safe_load((ROOT / f"configs/{preset}/codec.yaml").read_text())
    assert config["class_path"] == kind.__name__
    return kind(**config["init_args"] | {"tokenizer": tokenizer})


def rt1_clip(frames):
    random = torch.Generator().manual_seed(0)
    clip = torch.randint(256, (1, frames + 1, 3, 256, 320), generator=random).byte()
    actions = torch.rand(1, frames, 13, generator=random)
    return {"context": clip[:, 0], "frames": clip[:, 1:], "actions": actions, "key": ["clip"]}


def test_ids_of_a_single_step_are_those_published():
    """``[f0(320) a0(13)] x 4, 4631, f4(320), 4632``: 1654 ids, of which 1333 are given."""
    codec = rt1_codec("rt1", FrameCodec, VQModel([8], latent_channels=8, layers=1, stem=16))
    sequence = codec.encode(rt1_clip(5))
    frames, last = sequence.ids[0, :1332].view(4, 333), sequence.ids[0, 1332:]
    assert codec.vocab_size == SMALL_LLAMA["vocab_size"]
    assert (sequence.ids.shape[1], sequence.prompt_length) == (1654, 1333)
    assert [int(last[0]), int(last[-1])] == [
        SMALL_LLAMA[f"{end}_token_id"] for end in ("bos", "eos")
    ]
    assert torch.cat([frames[:, :320].flatten(), last[1:-1]]).max() < 4375
    assert 4375 <= frames[:, 320:].min() <= frames[:, 320:].max() < 4631
    assert torch.equal(sequence.target_mask[0].nonzero()[:, 0], torch.arange(1333, 1653))


def test_ids_of_many_steps_are_those_published():
    """``ctx(1280)``, then 8 times a frame (80) and its action (13), with no BOS or EOS."""
    model = CompressiveVQModel(channels=[8], stem=8, latent_channels=8, layers=1)
    codec = rt1_codec("rt1/multi_step", ContextVideoCodec, model.eval())
    sequence = codec.encode(rt1_clip(8))
    context, frames = sequence.ids[0, :1280], sequence.ids[0, 1280:].view(8, 93)
    assert codec.vocab_size == MULTI_STEP_LLAMA["vocab_size"]
    assert 4375 <= context.min() <= context.max() < 8750
    assert frames[:, :80].max() < 4375
    assert 8750 <= frames[:, 80:].min() <= frames[:, 80:].max() < 9006
    targets = sequence.target_mask[0, 1280:].view(8, 93)
    assert not sequence.target_mask[0, :1280].any()
    assert not targets[0].any()
    assert not targets[:, 80:].any()
    assert targets[1:, :80].all()

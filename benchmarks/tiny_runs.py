"""The tiny runs that are killed and soaked: data of each modality and the options of each stage."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from rlvr_world.data.samples import write_shard
from rlvr_world.language.bpe import learn_bpe
from rlvr_world.language.recorded import recording
from rlvr_world.text_game.data import TextDataModule
from rlvr_world.text_game.transition import Transition
from rlvr_world.video.data.manifest import Manifest
from rlvr_world.web.data import WebDataModule
from rlvr_world.web.page import WebTransition

SIZE, FRAMES = 32, 4
SPLITS = {"train": range(12), "val": range(12, 15)}


class TinyRun(NamedTuple):
    """The stage before it, if any, the folder of its data and its options of ``fit``."""

    parent: str | None
    data: str
    options: str


OF_ALL = """
--data.batch_size 2 --data.samples_per_epoch 14 --data.shuffle 8
--trainer.accelerator cpu --trainer.max_epochs 2 --trainer.enable_progress_bar false
--trainer.enable_model_summary false --trainer.logger false --trainer.num_sanity_val_steps 0
--trainer.val_check_interval 3 --checkpoint.every_n_train_steps 2
"""
CLIPS = "--data VideoDataModule --data.clip_length 3 --data.eval_clips_per_episode 1"
NETWORK = """
--model.backbone Transformer --model.backbone.dim 16 --model.backbone.depth 1
--model.backbone.heads 2 --model.schedule cosine --model.warmup_steps 4 --checkpoint.monitor val/nll
"""
FRAME_CODEC = f"""
--model.codec FrameCodec --model.codec.tokenizer tokenizer --model.codec.context_frames 2
--model.codec.frame_size [{SIZE},{SIZE}]
--model.codec.action_low [0,0] --model.codec.action_high [1,1] {NETWORK}
"""
WORDS = f"--model.codec.prompt_length 400 --model.codec.answer_length 24 {NETWORK}"
GAME = f"""--data TextDataModule --model.codec TextGameCodec
--model.codec.tokenizer games_words {WORDS}"""
PAGE = f"""--data WebDataModule --model.codec WebPageCodec
--model.codec.tokenizer pages_words {WORDS}"""
MLE = "--model MLEWorldModel --trainer.accumulate_grad_batches 2"
RLVR = "--model RLVRWorldModel --model.group_size 2 --model.num_minibatches 2"

STAGES = {
    "tokenizer": TinyRun(
        None,
        "data",
        f"""{CLIPS} --model VQTokenizer --model.model VQModel --model.model.channels [8,8]
        --model.model.levels [5,3] --model.model.latent_channels 8 --model.model.layers 1
        --model.discriminator PatchDiscriminator --model.discriminator.channels [4,4]
        --model.perceptual null --checkpoint.monitor val/psnr --checkpoint.mode max
        --trainer.callbacks EMAWeightAveraging --trainer.callbacks.decay 0.9""",
    ),
    "mle": TinyRun("tokenizer", "data", f"{MLE} {CLIPS} --data.num_workers 1 {FRAME_CODEC}"),
    "rlvr": TinyRun(
        "mle", "data", f"{RLVR} {CLIPS} {FRAME_CODEC} --model.weights mle --model.rewards.mae MAE"
    ),
    "text_mle": TinyRun(None, "games", f"{MLE} {GAME}"),
    "text_rlvr": TinyRun(
        "text_mle",
        "games",
        f"{RLVR} {GAME} --model.weights text_mle --model.rewards.task TaskSpecific",
    ),
    "page_mle": TinyRun(None, "pages", f"{MLE} {PAGE}"),
    "page_rlvr": TinyRun(
        "page_mle", "pages", f"{RLVR} {PAGE} --model.weights page_mle --model.rewards.f1 ItemF1"
    ),
}


def with_parents(stages: Sequence[str]) -> list[str]:
    """Some stages and those that they start from, in order."""
    needed = set(stages)
    for name in reversed(STAGES):
        parent = STAGES[name].parent
        if name in needed and parent is not None:
            needed.add(parent)
    return [name for name in STAGES if name in needed]


def options(stage: str, folder: Path, run: str) -> list[str]:
    """The options of ``fit`` for a stage."""
    own = STAGES[stage]
    where = f"--folder {folder} --run {run} --data.root {folder / own.data}"
    return f"fit {own.options} {OF_ALL} {where}".split()


def write_data(folder: Path) -> None:
    """Data of each modality, and tokenizers of what is in words."""
    write_clips(folder / "data")
    for name, step in {"games": lamp, "pages": box}.items():
        with recording(folder / name) as spool:
            for split, numbers in SPLITS.items():
                for number in numbers:
                    for switched in range(4):
                        spool.add(step(number, switched), split, scope=split)
            documents = {
                "rules.json": {"lamps": dict.fromkeys(("objects", "actions", "score"), "")}
            }
            spool.finish(
                lambda entry: entry.unit, 0, source="toy", settings={}, rows={},
                documents=documents if name == "games" else {},
            )  # fmt: skip
    for data, words in ((TextDataModule, "games"), (WebDataModule, "pages")):
        learn_bpe(data(str(folder / words)), folder / f"{words}_words", vocab_size=300)


def write_clips(root: Path, train: int = 8, val: int = 4, seed: int = 0) -> Path:
    """Shards of noise with actions; their folder."""
    draw = np.random.default_rng(seed)
    for split, count in {"train": train, "val": val}.items():
        for index in range(count):
            frames = draw.integers(256, size=(FRAMES, SIZE, SIZE, 3), dtype=np.uint8)
            members = {
                "frames.png": frames,
                "actions.npy": draw.random((FRAMES, 2), dtype=np.float32),
                "json": {"episode": index},
            }
            write_shard(root / f"{split}-{index:06d}.tar", [(f"{split}-{index:03d}", members)])
    Manifest.build(root, "noise", {}).save(root)
    return root


def lamp(on: int, switched: int) -> Transition:
    """A step of a game of lamps, lit as the bits of ``on`` say, one of which is switched."""

    def state(bits: int) -> dict[str, object]:
        known = {"score": 0, "gameOver": False, "gameWon": False}
        lamps = [
            {"name": f"lamp (ID: {i})", "uuid": i, "type": "lamp", "contains": [],
             "properties": {"isOn": bool(bits >> i & 1)}}
            for i in range(4)
        ]  # fmt: skip
        return {"objects": lamps, "score": known}

    after = state(on ^ 1 << switched)
    return Transition("lamps", "full", f"switch {switched}", state(on), after, 4, "Light it.")


def box(on: int, clicked: int) -> WebTransition:
    """A step on a page of boxes, ticked as the bits of ``on`` say, one of which is clicked."""

    def page(bits: int) -> str:
        boxes = (f"[{i}] checkbox 'box {i}' checked: {bool(bits >> i & 1)}" for i in range(4))
        return "\n".join(boxes)

    url, after = "http://toy", page(on ^ 1 << clicked)
    return WebTransition(
        "toy", "boxes", url, "Tick all.", "", f"click [{clicked}]", page(on), url, after
    )

"""A toy text game: lamps in a row, of which each action switches one or none."""

import torch

from rlvr_world.cli import main
from rlvr_world.language.bpe import learn_bpe
from rlvr_world.language.recorded import recording
from rlvr_world.modules.world_model import WorldModel
from rlvr_world.nn.transformer import Transformer
from rlvr_world.text_game.codec import TextGameCodec
from rlvr_world.text_game.data import TextDataModule
from rlvr_world.text_game.transition import Transition


def lamps(on, score=True):
    objects = [
        {
            "name": f"lamp (ID: {i})",
            "uuid": i,
            "type": "lamp",
            "properties": {"isOn": bool(on >> i & 1)},
            "contains": [],
        }
        for i in range(10)
    ]
    known = {"score": 0, "gameOver": False, "gameWon": False}
    return {"objects": objects, "score": known if score else None}


def step(on, action, game="lamps", mode="full"):
    """A transition from the state numbered ``on``; ``switch i`` changes it, all else does not."""
    verb, _, number = action.partition(" ")
    after = on ^ (1 << int(number)) if verb == "switch" else on
    score = mode not in ("action", "tick")
    return Transition(game, mode, action, lamps(on, score), lamps(after, score), 10, "Light it.")


def write_root(root, splits, rules=None, seed=0):
    """A folder as the recorders write it, from lists of transitions by split."""
    if rules is None:
        rules = {"lamps": {"objects": "o", "actions": "a", "score": "s"}}
    with recording(root) as spool:
        for split, transitions in splits.items():
            for transition in transitions:
                spool.add(transition, split, scope=split)
        return spool.finish(
            lambda entry: entry.unit, seed, source="toy", settings={}, rows={},
            documents={"rules.json": rules},
        )  # fmt: skip


def untrained(root):
    """An untrained model, and a recording of three steps, of which two follow each other."""
    known = [step(5, "switch 3"), step(13, "switch 0"), step(5, "wait")]
    write_root(root / "data", {"train": [step(n, "switch 1") for n in range(9)], "test": known})
    learn_bpe(TextDataModule(str(root / "data")), root / "tokenizer", vocab_size=400)
    codec = TextGameCodec(root / "tokenizer", prompt_length=900, answer_length=60)
    torch.manual_seed(0)
    model = WorldModel(codec, lambda vocab: Transformer(vocab, dim=16, depth=1, heads=2))
    return model.eval(), root / "data"


def train_briefly(root, folder):
    """A recording of four steps, and a checkpoint of one training step on it."""
    steps = [step(n, "switch 1") for n in range(4)]
    write_root(root, {split: steps for split in ("train", "val", "test")})
    data = ("--data", "TextDataModule", "--data.root", str(root), "--data.num_workers", "0")
    tokenizer = folder / "tokenizer"
    main(["data", "bpe", *data, "--vocab_size", "300", "--output", str(tokenizer)])
    codec, backbone = "--model.codec", "--model.backbone"
    main([
        "fit", "--run", "mle", "--folder", str(folder), "--model", "MLEWorldModel",
        codec, "TextGameCodec", f"{codec}.tokenizer", str(tokenizer),
        f"{codec}.prompt_length", "900", f"{codec}.answer_length", "60",
        backbone, "Transformer",
        f"{backbone}.dim", "16", f"{backbone}.depth", "1", f"{backbone}.heads", "2",
        *data, "--data.batch_size", "2", "--data.samples_per_epoch", "2",
        "--trainer.max_steps", "1", "--trainer.limit_val_batches", "1",
        "--trainer.accelerator", "cpu",
    ])  # fmt: skip

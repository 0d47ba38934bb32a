"""A small model learns to reason and then answer, RLVR goes on from it, and so does RAFT."""

import json
import re
import shutil

import pytest
from games import step, write_root
from stages import ROOT
from transformers import AutoTokenizer

from rlvr_world.cli import main
from rlvr_world.language.manifest import TransitionManifest
from rlvr_world.language.rejection import chosen
from rlvr_world.modules.saved import load_world_model
from rlvr_world.rl.sampler import Sampler
from rlvr_world.text_game.data import TextDataModule
from rlvr_world.text_game.rewards import StateMatch

TEMPLATE = (
    "{% for message in messages %}<|user|>{{ message['content'] }}{% endfor %}"
    "{{ '<|model|><think>\\n' }}"
)
THOUGHTS = {"switch 1": "Lamp 1 goes on.", "switch 2": "Lamp 2 goes off.", "wait": "Nothing."}
SMALL = ("--data.root", "data/lamps", "--data.batch_size", "3", "--data.eval_batch_size", "3",
         "--data.renumber_objects", "false", "--model.codec.prompt_length", "200",
         "--model.codec.answer_length", "80", "--model.codec.chat", "true",
         "--model.codec.reasoning", "true", "--trainer.precision", "32-true", "--folder",
         "runs")  # fmt: skip
TINY = '{"class_path": "Transformer", "init_args": {"dim": 64, "depth": 2, "heads": 2}}'


def fit(stage, steps, *options):
    main(["fit", "-c", f"configs/textworld/{stage}.yaml", *SMALL, "--model.backbone", TINY,
          "--model.warmup_steps", "5", "--trainer.max_steps", str(steps),
          "--data.samples_per_epoch", str(3 * steps), "--trainer.limit_val_batches", "1",
          "--trainer.enable_progress_bar", "false", *options])  # fmt: skip


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A folder in which MLE, RLVR and rejection sampling ran on three steps with reasoning."""
    folder = tmp_path_factory.mktemp("reasoning_runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        shutil.copytree(ROOT / "configs", folder / "configs")
        steps = [step(4, action) for action in THOUGHTS]
        thought = [s.from_json(s.to_json() | {"reasoning": THOUGHTS[s.action]}) for s in steps]
        write_root(folder / "data/lamps", {"train": thought, "val": thought, "test": steps})
        main(["data", "bpe", "--data=rlvr_world.text_game.data.TextDataModule", "--data.root",
              "data/lamps", "--output", "runs/tokenizer", "--vocab_size", "700"])  # fmt: skip
        tokenizer = AutoTokenizer.from_pretrained("runs/tokenizer")
        tokenizer.add_tokens(["<think>", "</think>"])
        tokenizer.chat_template = TEMPLATE
        tokenizer.save_pretrained("runs/tokenizer")
        fit("world_model", 150, "--model.optimizer.init_args.lr", "4.0e-3")
        fit("rlvr", 4, "--model.group_size", "4", "--model.num_minibatches", "1")
        main(["data", "rejection", "--data", "configs/textworld/data.yaml",
              "--data.root", "data/lamps", "--checkpoint", "runs/mle/checkpoints/last.ckpt",
              "--reward", "StateMatch", "--root", "data/right", "--samples", "3"])  # fmt: skip
    return folder


def answers(path, data):
    """What the model at a path says at its most likely, and whether it is right."""
    model = load_world_model(path)
    batch = next(iter(data.test_dataloader()))
    texts = model.predict(batch, Sampler(0.0))
    return texts, StateMatch().score(texts, batch["transition"]).tolist(), batch["transition"]


@pytest.mark.parametrize("stage", ["mle", "rlvr"])
def test_a_model_reasons_and_then_answers(runs, stage):
    data = TextDataModule(str(runs / "data/lamps"), batch_size=3)
    texts, scores, _ = answers(runs / f"runs/{stage}/checkpoints/last.ckpt", data)
    assert sum(scores) >= 2
    thought = r"(Lamp \d goes (on|off)|Nothing)\.\n</think>\n\n"
    for text, score in zip(texts, scores, strict=True):
        assert re.match(thought, text) or not score


def test_rlvr_learns_from_answers_after_reasoning(runs):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(runs / "runs/rlvr")).Reload()
    assert max(event.value for event in found.Scalars("train/reward")) > 0


def test_right_answers_become_data_with_the_reasoning_that_led_to_them(runs):
    manifest = TransitionManifest.load(runs / "data/right")
    assert manifest.rows["steps"] == 3
    assert manifest.rows["answers"] == 9
    assert 1 <= manifest.rows["solved"] <= manifest.rows["right"] <= 9
    data = TextDataModule(str(runs / "data/right"))
    kept = list(data.steps("train"))
    assert len(kept) == manifest.rows["solved"]
    assert all(each.reasoning.strip() for each in kept)
    assert [each.reasoning for each in data.steps("test")] == ["", "", ""]
    assert (runs / "data/right/rules.json").read_text() == (
        runs / "data/lamps/rules.json"
    ).read_text()


def test_data_is_made_once_and_a_model_that_knows_nothing_makes_none(runs, monkeypatch):
    monkeypatch.chdir(runs)
    ask = ["data", "rejection", "--data", "configs/textworld/data.yaml", "--data.root",
           "data/lamps", "--checkpoint", "runs/mle/checkpoints/last.ckpt", "--reward",
           "StateMatch"]  # fmt: skip
    before = json.loads((runs / "data/right/manifest.json").read_text())
    main([*ask, "--root", "data/right", "--samples", "3"])
    assert json.loads((runs / "data/right/manifest.json").read_text()) == before
    with pytest.raises(ValueError, match="was made with samples 3, not 2"):
        main([*ask, "--root", "data/right", "--samples", "2"])
    with pytest.raises(ValueError, match="none of 3 answers is right"):
        main([*ask, "--root", "data/none", "--samples", "1", "--least", "2"])
    assert not (runs / "data/none").exists()


def test_answers_are_drawn_to_the_steps_of_the_part_alone(tmp_path):
    write_root(tmp_path, {"train": [step(n, "switch 1") for n in range(16)]})

    def keys(part):
        batches = chosen(TextDataModule(str(tmp_path), part=part), share=1.0, seed=0)
        return {key for batch in batches for key in batch["key"]}

    first, second = keys((0, 0.5)), keys((0.5, 1))
    assert first
    assert second
    assert not first & second
    assert first | second == keys((0, 1))

"""World models in checkpoints as the imagination of an agent."""

import json
import shutil

import pytest
from page_steps import boxes, tick, write_pages
from stages import ROOT
from web_agents import situation

from rlvr_world.cli import main
from rlvr_world.language.bpe import learn_bpe
from rlvr_world.web.action import Action
from rlvr_world.web.agent import imaginers
from rlvr_world.web.agent.imaginers import (
    TrueSimulator,
    WorldModelImaginer,
    read_prediction,
)
from rlvr_world.web.data import WebDataModule
from rlvr_world.web.sites.site import AnySite

ACTIONS = [Action("click", "1"), Action("hover", "2"), Action("click", "3")]
ANSWER = "New items:\nNone\n\nDeleted items:\nNone\n\nUpdated items:\n[1] checkbox 'box 1'"


pytestmark = pytest.mark.filterwarnings("ignore:a .* is cut to")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A model of random weights, from two steps on boxes."""
    folder = tmp_path_factory.mktemp("imaginer")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        shutil.copytree(ROOT / "configs", folder / "configs")
        steps = [tick(n, action) for n in range(8) for action in ("click [1]", "hover [2]")]
        write_pages(folder / "data", {"train": steps, "val": steps[:4]})
        learn_bpe(WebDataModule("data"), folder / "tokenizer", vocab_size=300)
        main(["fit", "-c", "configs/miniwob/world_model.yaml", "-c", "configs/trainer/debug.yaml",
              "--model.codec.tokenizer", str(folder / "tokenizer"), "--data.root", "data",
              "--model.codec.prompt_length", "300", "--model.codec.answer_length", "24",
              "--data.batch_size", "4", "--folder", "runs"])  # fmt: skip
    return folder / "runs/mle/checkpoints/last.ckpt"


@pytest.fixture
def here():
    return situation(boxes(5), "Tick all.")


class Answers:
    """Takes the place of a model: gives texts in turn and keeps what it was asked."""

    device = "cpu"
    longest = 10_000

    def __init__(self, *texts):
        self.texts, self.batches = list(texts), []

    @property
    def codec(self):
        return self

    def fits(self, batch):
        return [len(step.tree) <= self.longest for step in batch["transition"]]

    def predict(self, batch, sampler, generator):
        self.batches.append((batch, sampler.temperature))
        return [self.texts.pop(0) for _ in batch["key"]]


def opened(monkeypatch, *texts, **settings):
    model = Answers(*texts)
    monkeypatch.setattr(imaginers, "load_world_model", lambda *_: model)
    imaginer = WorldModelImaginer("somewhere.ckpt", **settings)
    imaginer.open(AnySite("http://here/"), "")
    return imaginer, model


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_checkpoint_predicts_all_candidates(checkpoint, here, temperature):
    imaginer = WorldModelImaginer(checkpoint, temperature, attempts=2)
    imaginer.open(AnySite("http://here/"), "")
    found = imaginer.imagine(here, ACTIONS)
    assert len(found) == 3
    assert all(imagined.changes is not None or imagined.error for imagined in found)
    assert all(imagined.text for imagined in found)
    imaginer.close()


def test_candidates_are_one_batch_and_unreadable_ones_are_drawn_again(monkeypatch, here):
    imaginer, model = opened(monkeypatch, ANSWER, "hm", ANSWER, "hm", ANSWER, attempts=3)
    found = imaginer.imagine(here, ACTIONS)
    assert [imagined.text for imagined in found] == [ANSWER] * 3
    asked = [[step.action for step in batch["transition"]] for batch, _ in model.batches]
    assert asked == [["click [1]", "hover [2]", "click [3]"], ["hover [2]"], ["hover [2]"]]
    assert [temperature for _, temperature in model.batches] == [0, 1, 1]
    step = model.batches[0][0]["transition"][0]
    assert (step.tree, step.objective) == (here.observation.tree, "Tick all.")


def test_attempts_end_and_the_unread_text_is_kept(monkeypatch, here):
    imaginer, model = opened(monkeypatch, *["hm"] * 4, attempts=2)
    (imagined,) = imaginer.imagine(here, ACTIONS[:1])
    assert (imagined.changes, imagined.text) == (None, "hm")
    assert imagined.error == "the prediction cannot be read"
    assert len(model.batches) == 2


def test_no_time_is_no_prediction(monkeypatch, here):
    imaginer, model = opened(monkeypatch)
    here.deadline = 0.0
    (imagined,) = imaginer.imagine(here, ACTIONS[:1])
    assert imagined.changes is None
    assert "no time" in imagined.error
    assert not model.batches


def test_settings_tell_checkpoints_apart(checkpoint, tmp_path):
    settings = WorldModelImaginer(checkpoint).settings
    assert json.loads(json.dumps(settings))["checkpoint"] == str(checkpoint)
    other = tmp_path / "other.ckpt"
    other.write_bytes(checkpoint.read_bytes() + b" ")
    assert WorldModelImaginer(other).settings["sha256"] != settings["sha256"]
    with pytest.raises(FileNotFoundError, match="no such checkpoint"):
        _ = WorldModelImaginer(tmp_path / "none.ckpt").settings


def test_settings_are_checked():
    with pytest.raises(ValueError, match="attempts"):
        WorldModelImaginer("x", attempts=0)
    with pytest.raises(ValueError, match="temperature"):
        WorldModelImaginer("x", temperature=-1)


def test_endless_predictions_are_not_read():
    imagined = read_prediction(ANSWER + "x" * 100_000)
    assert imagined.changes is None
    assert len(imagined.text) < 70_000


def test_a_site_that_cannot_be_put_back_has_no_simulator():
    with pytest.raises(ValueError, match="cannot be put back"):
        TrueSimulator().open(AnySite("http://here/"), "chromium")


def test_a_page_that_is_too_long_is_not_asked_about(monkeypatch, here):
    imaginer, model = opened(monkeypatch)
    model.longest = 3
    (imagined,) = imaginer.imagine(here, [Action("click", "1")])
    assert (imagined.changes, imagined.error) == (None, "the page is too long for the model")
    assert model.batches == []

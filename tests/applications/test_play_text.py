"""A text game whose next states a model says, as a person plays it."""

import pytest
import torch
from games import lamps, step, untrained

from rlvr_world.applications.play.session import Session
from rlvr_world.applications.play.text_world import TextWorld
from rlvr_world.text_game.game_state import canonical
from rlvr_world.text_game.rewards import StateMatch


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Recorded are three steps, the first two of which follow each other."""
    model, data = untrained(tmp_path_factory.mktemp("lamps"))
    return TextWorld(model, data, rewards={"match": StateMatch()})


def says(world, monkeypatch, answered):
    """Let the model be certain of the right answer of a step."""
    sequence = world.codec.encode({"key": ["0"], "transition": [answered], "rules": [None]})
    log_probs = torch.zeros(sequence.ids.shape)
    monkeypatch.setattr(world.words.model, "sample", lambda *_, **__: (sequence, log_probs))


def begun(world, action):
    """A session at the step that was recorded with an action."""
    session = Session(world)
    starts = [start["transition"].action for start in world.words.starts]
    session.begin(starts.index(action))
    return session


def test_a_game_goes_on_in_the_states_that_are_said(world, monkeypatch):
    session = begun(world, "switch 3")
    assert session.moments[0].shown["actions"] == ["switch 3", "wait"]
    says(world, monkeypatch, step(5, "switch 3"))
    (shown,) = session.step(0, "switch 3")
    assert shown["text"] == shown["truth"]
    assert shown["rewards"] == {"match": 1}
    assert "".join(word for word, _ in shown["certainty"]).startswith('{"modified":')
    assert canonical(session.moments[1].inner["transition"].state) == canonical(lamps(13))
    assert shown["actions"] == ["switch 0"]
    assert 'lamp (ID: 3): {"isOn": true}' in shown["state"]
    (other,) = session.step(0, "dance")
    assert "truth" not in other
    assert other["parent"] == 0


def test_an_answer_that_cannot_be_read_changes_nothing(world, monkeypatch):
    session = begun(world, "wait")
    (shown,) = session.step(0, "wait")
    assert shown["note"].startswith("The state stays, since the answer is bad: ")
    assert shown["rewards"] == {"match": 0}
    assert session.moments[1].inner == session.moments[0].inner
    with pytest.raises(ValueError, match="action must not be empty"):
        session.step(0, "")
    monkeypatch.setattr(world.codec, "prompt_length", 10)
    with pytest.raises(ValueError, match="longer than the model's prompt may be"):
        session.step(0, "wait")

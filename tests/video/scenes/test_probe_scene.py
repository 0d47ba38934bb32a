import numpy as np
import pytest
import torch
from dots import CentroidProbe, draw, random_states

from rlvr_world.data.samples import write_shard
from rlvr_world.video.data.manifest import Manifest
from rlvr_world.video.scenes.probe_scene import ProbeScene


def batch_of(states):
    return {"states": states, "frames": (draw(states) * 255).round().byte()}


@pytest.fixture
def still():
    """Two clips of 4 frames in which nothing moves."""
    return random_states((2, 1), seed=0).repeat(1, 4, 1)


def test_a_dot_in_the_wrong_place_is_as_far_off_as_it_was_put(still):
    wrong = still[:, 1:].clone()
    wrong[0, :, 0] += 3  # red, in all frames of the first clip
    wrong[0, :, 1] -= 4
    wrong[1, 2, 4] += 3  # green, in one of three frames of the second
    scores = ProbeScene(CentroidProbe(), unit="px", per_state_unit=10).score(
        draw(wrong), batch_of(still)
    )
    near = {"abs": 0.5}
    assert scores["red_error"].tolist() == [pytest.approx(50, **near), pytest.approx(0, **near)]
    assert scores["green_error"].tolist() == [pytest.approx(0, **near), pytest.approx(10, **near)]


def test_the_floor_is_the_probe_on_true_frames_for_every_member_of_a_group(still):
    batch = batch_of(still)
    batch["frames"][1, 1:] = (draw(still[1, 1:] + 2) * 255).round().byte()
    prediction = draw(still[:, 1:]).repeat_interleave(3, dim=0)
    scores = ProbeScene(CentroidProbe(), per_state_unit=1).score(prediction, batch)
    assert set(scores) == {
        f"{name}{part}_{kind}"
        for part in ("red", "green")
        for name, kind in (("", "error"), ("moving_", "error"), ("", "floor"))
    }
    expected = torch.tensor([0.0, 0.0, 0.0, 8**0.5, 8**0.5, 8**0.5])
    torch.testing.assert_close(scores["red_floor"], expected, atol=0.05, rtol=0)
    torch.testing.assert_close(scores["red_error"], torch.zeros(6), atol=0.05, rtol=0)


def test_moving_counts_from_the_last_given_frame(still):
    states = still.clone()
    states[1, 1:, 0] += 2.0  # one step away right after the given frame, and it stays there
    scores = ProbeScene(CentroidProbe(), per_state_unit=1, moving=1.5).score(
        draw(still[:, 1:]), batch_of(states)
    )
    assert scores["moving_red_error"].isnan().tolist() == [True, False]
    assert scores["moving_red_error"][1] == pytest.approx(2.0, abs=0.05)
    assert scores["moving_green_error"].isnan().all()
    lazy = ProbeScene(CentroidProbe(), per_state_unit=1, moving=2.5)
    assert lazy.score(draw(still[:, 1:]), batch_of(states))["moving_red_error"].isnan().all()


def test_labels_notes_and_errors(still):
    scene = ProbeScene(CentroidProbe())
    assert scene.labels["green_error"] == "green error cm"
    assert set(scene.labels) == set(scene.higher_is_better)
    scores = {name: value.item() for name, value in
              scene.score(draw(still[:1, 1:]), batch_of(still[:1])).items()}  # fmt: skip
    assert scene.note(scores | {"red_error": 1.26}).startswith("red 1.3 cm, green ")
    with pytest.raises(ValueError, match="ProbeScene needs the simulator's states"):
        scene.score(draw(still[:, 1:]), {})


def test_what_is_knowable_of_the_controlled_part(still, tmp_path):
    samples = []
    for index in range(4):
        states = random_states((12,), seed=index).numpy()
        actions = np.roll(states[:, :2], -1, axis=0)  # where red will be
        frames = np.zeros((12, 8, 8, 3), np.uint8)
        members = {"frames.png": frames, "actions.npy": actions, "states.npy": states, "json": {}}
        samples.append((str(index), members))
    write_shard(tmp_path / "train-000000.tar", samples)
    Manifest.build(tmp_path, "toy", {}).save(tmp_path)
    scene = ProbeScene(CentroidProbe(), per_state_unit=1, controlled="red", training=tmp_path)
    states = random_states((3, 4), seed=9)
    batch = batch_of(states) | {"actions": states[..., :2].roll(-1, dims=1)}
    known = scene.references(batch, draw(states[:, 1:]))
    assert list(known) == ["states_and_action"]
    assert known["states_and_action"]["red_error"].max() < 1e-3
    with pytest.raises(ValueError, match=r"scene\.controlled: give one of red, green"):
        ProbeScene(CentroidProbe(), training=tmp_path)


def test_the_controlled_part_has_an_error_in_each_frame(still):
    wrong = still[:, 1:].clone()
    wrong[1, 2, 4] += 3  # green, in the last frame of the second clip
    scene = ProbeScene(CentroidProbe(), per_state_unit=1, controlled="green", frames=3)
    scores = scene.score(draw(wrong), batch_of(still))
    assert [name for name in scene.labels if name[-1].isdigit()] == [
        f"green_error_{frame}" for frame in (1, 2, 3)
    ]
    found = torch.stack([scores[f"green_error_{frame}"] for frame in (1, 2, 3)], dim=1)
    expected = torch.tensor([[0.0, 0.0, 0.0], [0.0, 0.0, 3.0]])
    torch.testing.assert_close(found, expected, atol=0.05, rtol=0)
    torch.testing.assert_close(found.mean(dim=1), scores["green_error"])


def test_frames_that_are_not_there_and_a_part_that_is_not_there_are_refused(still):
    with pytest.raises(ValueError, match=r"scene.controlled: give one of red, green"):
        ProbeScene(CentroidProbe(), frames=3)
    scene = ProbeScene(CentroidProbe(), controlled="red", frames=4)
    with pytest.raises(ValueError, match=r"scene.frames is 4, but only 3 frames"):
        scene.score(draw(still[:, 1:]), batch_of(still))

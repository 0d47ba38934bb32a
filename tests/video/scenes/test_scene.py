import math
from dataclasses import asdict

import numpy as np
import pytest
import torch

from rlvr_world.data.samples import write_shard
from rlvr_world.video.data.manifest import Manifest
from rlvr_world.video.scenes.pusht import AGENT, BLOCK, View, agent_mask, block_mask, pixels_of
from rlvr_world.video.scenes.pusht_scene import PushTScene

VIEW = View()
STATE = [120.0, 120.0, 256.0, 220.0, 0.3]  # the agent is far from the block


def drawn(states):
    """White frames [N, F, 3, H, W] with the block and the agent of states [N, F, 5]."""
    states = np.asarray(states)
    frames = np.full((*states.shape[:2], 3, 64, 64), 255.0)
    block = block_mask(states[..., 2:], VIEW, samples=1) > 0
    for mask, colour in ((block, BLOCK), (agent_mask(states[..., :2], VIEW), AGENT)):
        frames = np.where(mask[..., None, :, :], np.array(colour)[:, None, None], frames)
    return torch.from_numpy(frames / 255).float()


def batch_of(states):
    return {"states": torch.tensor(states, dtype=torch.float32)}


def test_the_true_picture_is_perfect():
    scores = PushTScene().score(drawn([[STATE]]), batch_of([[STATE]]))
    assert {name: value.tolist() for name, value in scores.items()} == {
        "agent_missing": [0.0],
        "agent_error": [0.0],
        "block_missing": [0.0],
        "block_error": [0.0],
        "block_iou": [1.0],
    }


def test_a_shifted_agent_is_as_far_off_and_one_that_is_lost_is_missing():
    there, lost = drawn([[STATE, STATE]]), drawn([[STATE, STATE]])
    for frames in (there, lost):
        frames[:, 0] = drawn([[[120.0 + 15, 120.0 + 20, *STATE[2:]]]])[:, 0]
    lost[:, 1, :, :32, :16] = 1.0
    both = torch.cat([there, lost])
    scores = PushTScene().score(both, batch_of([[STATE, STATE]]))
    assert scores["agent_error"].tolist() == pytest.approx([2.5, 5.0], abs=0.2)
    assert scores["agent_missing"].tolist() == [0.0, 0.5]
    nowhere = PushTScene().score(torch.ones(1, 1, 3, 64, 64), batch_of([[STATE]]))
    assert nowhere["agent_error"].isnan().item()
    assert nowhere["agent_missing"].item() == 1


def test_the_agent_has_an_error_in_each_frame():
    frames = drawn([[STATE, STATE]])
    frames[:, 1] = drawn([[[120.0 + 15, 120.0 + 20, *STATE[2:]]]])[:, 0]
    scene = PushTScene(frames=2)
    scores = scene.score(frames, batch_of([[STATE, STATE]]))
    assert scores["agent_error_1"].tolist() == [0.0]
    assert scores["agent_error_2"].tolist() == pytest.approx([5.0], abs=0.2)
    assert scene.labels["agent_error_2"] == "agent error px, frame 2"
    assert scene.higher_is_better["agent_error_2"] is False
    with pytest.raises(ValueError, match=r"scene.frames is 2, but only 1 frames"):
        scene.score(frames[:, :1], batch_of([[STATE]]))


def test_what_is_knowable_of_the_agent(tmp_path):
    """Of an agent that follows its action exactly, states and action say all."""
    rng = np.random.default_rng(0)
    write_episodes(tmp_path, rng)
    target = rng.uniform(150, 350, (4, 3, 2))
    states = np.concatenate([followed(target), np.broadcast_to(STATE[2:], (4, 3, 3))], axis=-1)
    batch = batch_of(states.tolist()) | {"actions": torch.from_numpy(target)}
    scene = PushTScene(training=tmp_path)
    known = scene.references(batch, torch.zeros(4, 1, 3, 64, 64))
    assert list(known) == ["velocity", "states_and_action"]
    assert known["states_and_action"]["agent_error"].max() < 1e-3
    assert known["velocity"]["agent_error"].mean() > 1
    assert list(scene.references(batch, torch.zeros(4, 2, 3, 64, 64))) == ["states_and_action"]
    assert PushTScene().references(batch, torch.zeros(4, 1, 3, 64, 64)) == {}


def followed(target):
    """Places [N, T, 2] of an agent that goes half of the way to each target."""
    places = [np.full_like(target[:, 0], 250.0)]
    for time in range(target.shape[1] - 1):
        places.append((places[-1] + target[:, time]) / 2)
    return np.stack(places, axis=1)


def write_episodes(root, rng):
    target = rng.uniform(150, 350, (5, 12, 2)).astype(np.float32)
    places = followed(target).astype(np.float32)
    samples = []
    for index, actions in enumerate(target):
        states = np.concatenate([places[index], np.zeros((12, 3), np.float32)], axis=1)
        frames = np.zeros((12, 8, 8, 3), np.uint8)
        members = {"frames.png": frames, "actions.npy": actions, "states.npy": states, "json": {}}
        samples.append((str(index), members))
    write_shard(root / "train-000000.tar", samples)
    Manifest.build(root, "toy", {}).save(root)


def test_a_shifted_block_is_as_far_off_as_it_was_shifted():
    shifted = drawn([[STATE]]).roll((3, 4), dims=(-2, -1))
    scores = PushTScene().score(shifted, batch_of([[STATE]]))
    assert scores["block_error"].item() == pytest.approx(5.0, abs=1e-4)
    assert 0 < scores["block_iou"].item() < 0.6
    assert scores["block_missing"].item() == 0


def test_an_erased_block_is_missing_and_costs_half_the_diagonal():
    scores = PushTScene().score(torch.ones(1, 1, 3, 64, 64), batch_of([[STATE]]))
    assert scores["block_missing"].item() == 1
    assert scores["block_error"].item() == pytest.approx(32 * math.sqrt(2))
    assert scores["block_iou"].item() == 0


@pytest.mark.parametrize(("kept", "missing"), [(0.2, 1.0), (0.3, 0.0)])
def test_a_block_is_missing_below_a_quarter_of_its_pixels(kept, missing):
    frame = drawn([[STATE]])
    rows, columns = torch.from_numpy(pixels_of("block", frame)[0, 0]).nonzero(as_tuple=True)
    erased = slice(int(kept * len(rows)), None)
    frame[..., rows[erased], columns[erased]] = 1.0
    assert PushTScene().score(frame, batch_of([[STATE]]))["block_missing"].item() == missing


def test_what_the_agent_hides_counts_in_neither_mask():
    state = [256.0, 240.0, *STATE[2:]]  # the agent on the block
    frame = drawn([[state]])
    disc = torch.from_numpy(agent_mask(np.array(state[:2]), VIEW))
    assert disc.sum() == pytest.approx(math.pi * 3**2, rel=0.1)  # radius 15 at 5 px per pixel
    frame[..., disc] = 1.0
    scores = PushTScene().score(frame, batch_of([[state]]))
    assert (scores["block_iou"].item(), scores["block_error"].item()) == (1.0, 0.0)


def test_means_are_over_the_last_frames_and_groups_are_neighbours():
    other = [120.0, 120.0, 300.0, 260.0, -1.0]
    states = [[other, STATE, STATE], [STATE, other, other]]
    perfect = drawn([states[0][1:], states[1][1:]])
    group = perfect.repeat_interleave(2, dim=0)
    group[1, 0] = 1.0  # the second member of the first group lacks the block in one of 2 frames
    scores = PushTScene().score(group, batch_of(states))
    assert scores["block_missing"].tolist() == [0.0, 0.5, 0.0, 0.0]
    assert scores["block_iou"].tolist() == [1.0, 0.5, 1.0, 1.0]


def test_a_block_out_of_view_does_not_count():
    away = [120.0, 120.0, 30.0, 10.0, 0.0]
    scores = PushTScene().score(torch.ones(1, 1, 3, 64, 64), batch_of([[away]]))
    assert all(scores[name].isnan().all() for name in scores if name.startswith("block"))


def test_clear_errors():
    with pytest.raises(ValueError, match="states"):
        PushTScene().score(torch.ones(1, 1, 3, 64, 64), {})
    with pytest.raises(ValueError, match="image_size"):
        PushTScene().score(torch.ones(1, 1, 3, 32, 32), batch_of([[STATE]]))


def test_notes_name_the_loss_of_the_block():
    scores = {"agent_missing": 0.0, "agent_error": 0.4, "block_missing": 0.0, "block_error": 1.26}
    assert PushTScene().note(scores) == "agent 0.4, block 1.3 px"
    assert PushTScene().note(scores | {"block_missing": 1.0}) == "block missing"
    both = scores | {"block_missing": 1.0, "agent_missing": 1.0}
    assert PushTScene().note(both) == "agent and block missing"


def test_frames_of_the_real_simulator_score_as_true():
    pytest.importorskip("gym_pusht")
    from rlvr_world.video.sources.pusht import PushTSimulator

    simulator = PushTSimulator({"action_repeat": 2, "view": asdict(VIEW), "seed": 0})
    simulator.begin("train", 0)
    episode = simulator.film(40)
    frames = torch.from_numpy(episode["frames.png"]).permute(0, 3, 1, 2)[:, None] / 255
    scores = PushTScene().score(frames, batch_of(episode["states.npy"][:, None].tolist()))
    assert scores["block_missing"].max() == scores["agent_missing"].max() == 0
    assert scores["agent_error"].mean() < 0.3
    assert scores["block_iou"].mean() > 0.93
    assert scores["block_iou"].min() > 0.8
    assert scores["block_error"].mean() < 0.3

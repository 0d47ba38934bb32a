import math
from dataclasses import asdict

import numpy as np
import pytest
import torch

from rlvr_world.video.scenes.pusht import BLOCK, PushTScene, View, agent_mask, block_mask

VIEW = View()
STATE = [120.0, 120.0, 256.0, 220.0, 0.3]  # the agent is far from the block


def drawn(states):
    """White frames [N, F, 3, H, W] with the block of states [N, F, 5] in its colour."""
    mask = block_mask(np.asarray(states)[..., 2:], VIEW, samples=1)[..., None, :, :] > 0
    frames = np.where(mask, np.array(BLOCK)[:, None, None], 255) / 255
    return torch.from_numpy(frames).float()


def batch_of(states):
    return {"states": torch.tensor(states, dtype=torch.float32)}


def test_the_true_picture_is_perfect():
    scores = PushTScene().score(drawn([[STATE]]), batch_of([[STATE]]))
    assert {name: value.tolist() for name, value in scores.items()} == {
        "block_missing": [0.0],
        "block_error": [0.0],
        "block_iou": [1.0],
    }


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
    rows, columns = torch.nonzero(frame[0, 0, 0] < 1, as_tuple=True)
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
    assert all(value.isnan().all() for value in scores.values())


def test_clear_errors():
    with pytest.raises(ValueError, match="states"):
        PushTScene().score(torch.ones(1, 1, 3, 64, 64), {})
    with pytest.raises(ValueError, match="image_size"):
        PushTScene().score(torch.ones(1, 1, 3, 32, 32), batch_of([[STATE]]))


def test_notes_name_the_loss_of_the_block():
    scores = {"block_missing": 0.0, "block_error": 1.26, "block_iou": 0.834}
    assert PushTScene().note(scores) == "IoU 0.83, 1.3 px"
    assert PushTScene().note(scores | {"block_missing": 1.0}) == "block missing"


def test_frames_of_the_real_simulator_score_as_true():
    pytest.importorskip("gym_pusht")
    from rlvr_world.video.sources.pusht import PushTSimulator

    simulator = PushTSimulator({"action_repeat": 2, "view": asdict(VIEW), "seed": 0})
    simulator.begin("train", 0)
    episode = simulator.film(40)
    frames = torch.from_numpy(episode["frames.png"]).permute(0, 3, 1, 2)[:, None] / 255
    scores = PushTScene().score(frames, batch_of(episode["states.npy"][:, None].tolist()))
    assert scores["block_missing"].max() == 0
    assert scores["block_iou"].mean() > 0.93
    assert scores["block_iou"].min() > 0.8
    assert scores["block_error"].mean() < 0.3

import pytest
import torch
from dots import CentroidProbe, draw, random_states

from rlvr_world.video.rewards.physics import ProbedDistance


def test_the_distance_is_that_of_the_thing_and_of_nothing_else():
    states = random_states((2, 3), seed=0)
    wrong = states.clone()
    wrong[0, :, 0] += 3
    wrong[0, :, 1] += 4
    wrong[:, :, 3] += 2
    for part, expected in (("red", [5.0, 0.0]), ("green", [2.0, 2.0])):
        scores = ProbedDistance(CentroidProbe(), part).score(draw(wrong), draw(states))
        torch.testing.assert_close(scores, torch.tensor(expected), atol=0.05, rtol=0)


def test_each_frame_has_its_own_distance():
    states = random_states((1, 3), seed=1)
    wrong = states.clone()
    wrong[0, 2, 0] += 3
    frames = ProbedDistance(CentroidProbe(), "red").frame_scores(draw(wrong), draw(states))
    torch.testing.assert_close(frames, torch.tensor([[0.0, 0.0, 3.0]]), atol=0.05, rtol=0)


def test_an_unknown_thing_is_named():
    with pytest.raises(ValueError, match="no part 'blue', only red, green"):
        ProbedDistance(CentroidProbe(), "blue")

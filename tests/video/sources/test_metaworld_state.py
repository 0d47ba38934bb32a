import numpy as np

from rlvr_world.video.sources.metaworld_scene import object_moves


def test_the_object_moves_if_it_gets_over_a_millimetre_away():
    states = np.zeros((5, 7))
    states[:, :4] = np.arange(5)[:, None]  # the gripper does not count
    states[2:, 4] += 0.0011
    states[3:, 5:] += 0.0007  # 0.99 mm along the diagonal
    states[4, 6] += 0.01
    assert object_moves(states).tolist() == [False, True, False, True]
    assert object_moves(np.stack([states, 0 * states])).shape == (2, 4)

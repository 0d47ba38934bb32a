import numpy as np
import pytest

from rlvr_world.video.scenes.pusht import (
    AGENT,
    BLOCK,
    BLOCK_EDGE,
    GOAL,
    WHITE,
    View,
    block_centre,
    block_mask,
    block_moves,
    block_vertices,
    mask_centroid,
    mask_iou,
    pixels_of,
)


def test_vertices_upright_and_turned():
    upright = block_vertices((100.0, 200.0, 0.0))
    assert upright.tolist() == [
        [40, 200],
        [160, 200],
        [160, 230],
        [115, 230],
        [115, 320],
        [85, 320],
        [85, 230],
        [40, 230],
    ]
    turned = block_vertices([[100.0, 200.0, np.pi / 2]])
    assert turned.shape == (1, 8, 2)
    np.testing.assert_allclose(turned[0, 0], [100, 140], atol=1e-9)
    np.testing.assert_allclose(turned[0, 4], [-20, 215], atol=1e-9)


def test_centre_turns_with_the_block():
    poses = [(100.0, 200.0, 0.0), (100.0, 200.0, np.pi / 2)]
    np.testing.assert_allclose(block_centre(poses), [(100, 245), (55, 200)], atol=1e-9)


def test_mask_covers_the_drawn_area_at_the_drawn_place():
    poses = np.array([(256.0, 230.0, angle) for angle in (0.0, 0.4, 2.0)])
    masks = block_mask(poses, View(), samples=8)
    drawn = 124 * 34 + 34 * 90  # the bar, and the stem below it, each with its outline
    np.testing.assert_allclose(masks.sum(axis=(1, 2)) * 25, drawn, rtol=0.01)
    bar_column, stem_column = masks[0, :, 22], masks[0, :, 32]
    rows = np.arange(64)
    np.testing.assert_array_equal(rows[bar_column > 0.5], np.arange(26, 33))  # y 228 to 262
    np.testing.assert_array_equal(rows[stem_column > 0.5], np.arange(26, 51))  # y 228 to 352


def test_block_pixels_by_colour():
    colours = [WHITE, GOAL, AGENT, BLOCK, BLOCK_EDGE, (211, 211, 211)]
    picture = np.array(colours, np.uint8).T[:, None, :]  # [3, 1, 6]
    expected = [[False, False, False, True, True, False]]
    assert pixels_of("block", picture).tolist() == expected
    assert pixels_of("block", picture / np.float32(255)).tolist() == expected


@pytest.mark.parametrize("ground", [WHITE, GOAL])
def test_a_mixed_pixel_is_what_it_holds_most_of(ground):
    for share, expected in ((0.2, False), (0.35, False), (0.65, True), (0.9, True)):
        mixed = share * np.array(BLOCK) + (1 - share) * np.array(ground)
        assert pixels_of("block", mixed.reshape(3, 1, 1) / 255).item() is expected
    for share in (0.25, 0.5, 0.75, 1.0):
        mixed = share * np.array(AGENT) + (1 - share) * np.array(ground)
        assert not pixels_of("block", mixed.reshape(3, 1, 1) / 255).item()
        assert pixels_of("agent", mixed.reshape(3, 1, 1) / 255).item() is (share > 0.3)


def test_centroid_and_iou():
    first, second = np.zeros((2, 4, 6), bool)
    first[1:3, 2:4] = True
    second[1:3, 3:5] = True
    assert mask_centroid(first).tolist() == [2.5, 1.5]
    assert mask_iou(first, second) == pytest.approx(2 / 6)
    empty = np.zeros((4, 6), bool)
    assert np.isnan(mask_centroid(empty)).all()
    assert mask_iou(empty, empty) == 0


def test_moves_by_distance_and_by_angle_over_the_wrap():
    states = np.zeros((5, 5))
    states[1:, 2] = 0.9
    states[2:, 3] = 1.1
    states[:3, 4] = 2 * np.pi - 0.002
    states[3:, 4] = 0.002
    states[4:, 4] = 0.02
    assert block_moves(states).tolist() == [False, True, False, True]


def test_view_must_fit():
    with pytest.raises(ValueError, match="multiple of image_size"):
        View(side=300, image_size=64)
    with pytest.raises(ValueError, match="side must be"):
        View(side=576, image_size=64)

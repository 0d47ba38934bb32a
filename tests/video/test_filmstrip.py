import numpy as np
import pytest
import torch

from rlvr_world.video.filmstrip import (
    GAP,
    LINE,
    MARGIN,
    draw_clips,
    error_pixels,
    filmstrip,
    to_pixels,
)


def frames(clips, length, value=0.0):
    return np.full((clips, length, 3, 8, 8), value, dtype=np.float32)


def test_error_is_white_without_a_difference_and_black_at_the_largest():
    white, black = np.full((1, 1, 3), 255, np.uint8), np.zeros((1, 1, 3), np.uint8)
    assert error_pixels(white, white).tolist() == [[[255, 255, 255]]]
    assert error_pixels(white, black).tolist() == [[[20, 0, 0]]]
    red, _, blue = error_pixels(white, np.full((1, 1, 3), 128, np.uint8))[0, 0].tolist()
    assert red > 200
    assert blue < 60


def test_floats_and_bytes_draw_the_same():
    pixels = np.random.default_rng(0).integers(0, 256, (2, 3, 3, 8, 8), dtype=np.uint8)
    np.testing.assert_array_equal(to_pixels(pixels / 255), to_pixels(pixels))
    assert to_pixels(pixels).shape == (2, 3, 8, 8, 3)


def test_single_step_shows_truth_prediction_and_error_in_their_places():
    context, truth = frames(1, 2, 0.2), frames(1, 1, 1.0)
    picture = filmstrip(context, truth, {"a": frames(1, 1, 1.0), "b": frames(1, 1, 0.0)}, None, 16)
    tile, top = 16 + GAP, MARGIN + LINE
    middles = [picture[top + 8, MARGIN + column * tile + 8].tolist() for column in range(5)]
    assert middles == [[51] * 3, [51] * 3, [255] * 3, [255] * 3, [0] * 3]
    below = top + 16 + GAP + LINE + 8
    assert picture[below, MARGIN + 3 * tile + 8].tolist() == [255, 255, 255]
    assert picture[below, MARGIN + 4 * tile + 8].tolist() == [20, 0, 0]


def test_several_steps_put_each_prediction_on_a_line_with_its_errors():
    picture = filmstrip(frames(2, 2), frames(2, 3, 1.0), {"a": frames(2, 3, 0.0)}, None, 8)
    assert picture.shape == (
        MARGIN + 2 * (2 * (LINE + 8 + GAP) + MARGIN),
        2 * MARGIN + 8 * (8 + GAP) - GAP,
        3,
    )


def test_notes_are_written_above_the_prediction():
    arguments = frames(1, 1), frames(1, 1), {"a": frames(1, 1)}
    plain, noted = filmstrip(*arguments), filmstrip(*arguments, {"a": ["IoU 0.9"]})
    assert noted.shape[0] == plain.shape[0] + LINE


def test_clips_without_context_are_drawn():
    assert filmstrip(frames(1, 0), frames(1, 1), {"a": frames(1, 1)}).ndim == 3


def test_a_prediction_of_another_shape_is_refused():
    with pytest.raises(ValueError, match="wide"):
        filmstrip(frames(1, 1), frames(1, 1), {"wide": frames(1, 2)})


def test_some_clips_of_a_batch_are_drawn_with_what_was_given():
    pixels = torch.arange(4 * 3, dtype=torch.uint8)[:, None, None, None].expand(12, 3, 8, 8)
    clips = 20 * pixels.unflatten(0, (4, 3))
    truth = clips[:, 2:].float() / 255
    noted = {"copy": ["a", "b", "c", "d"]}
    picture = draw_clips(clips, truth, {"copy": truth}, [1, 3], noted)
    chosen = [1, 3]
    expected = filmstrip(
        clips[chosen, :2], truth[chosen], {"copy": truth[chosen]}, {"copy": ["b", "d"]}
    )
    np.testing.assert_array_equal(picture, expected)

import pytest
import torch
from dots import PARTS, RANGES, CentroidProbe, draw, random_states

from rlvr_world.video.scenes.state_probe import StateProbe, distances


def test_reading_undoes_the_scaling_of_the_target():
    states = random_states((2, 3), seed=0)
    probe = CentroidProbe()
    target = probe.target(states)
    assert target.shape == (2, 3, 4)
    torch.testing.assert_close(target[..., 2], 2 * states[..., 3] / 31 - 1)
    found = probe.read(draw(states), chunk=4)
    torch.testing.assert_close(found["red"], states[..., :2], atol=0.05, rtol=0)
    torch.testing.assert_close(found["green"], states[..., 3:], atol=0.05, rtol=0)
    assert probe.truth(states)["green"].equal(states[..., 3:])


def test_distances_are_euclidean():
    first = {"red": torch.tensor([[0.0, 0.0], [1.0, 1.0]])}
    second = {"red": torch.tensor([[3.0, 4.0], [1.0, 0.0]])}
    assert distances(first, second)["red"].tolist() == [5.0, 1.0]


def test_clear_errors(tmp_path):
    with pytest.raises(ValueError, match="parts name 4 columns of the state"):
        StateProbe(PARTS, [0.0] * 3, [1.0] * 4)
    with pytest.raises(ValueError, match="low below high"):
        StateProbe(PARTS, [0.0] * 4, [1.0, 1.0, 1.0, 0.0])
    for size in ([64, 60], [64], [-8, 8]):
        with pytest.raises(ValueError, match="must be two multiples of 8"):
            StateProbe(PARTS, [0.0] * 4, [1.0] * 4, frame_size=size)
    with pytest.raises(ValueError, match="reads frames of 32x32, but these are 64x32"):
        StateProbe(PARTS, **RANGES).read(torch.zeros(1, 3, 64, 32))
    with pytest.raises(FileNotFoundError, match=r"no\.ckpt: no such checkpoint"):
        StateProbe.load(tmp_path / "no.ckpt")
    (tmp_path / "cut.ckpt").write_bytes(b"PK\x03\x04")
    with pytest.raises(ValueError, match=r"cut\.ckpt: not a readable checkpoint"):
        StateProbe.load(tmp_path / "cut.ckpt")
    torch.save({"state_dict": {}}, tmp_path / "other.ckpt")
    with pytest.raises(ValueError, match=r"other\.ckpt: not the checkpoint of a state probe"):
        StateProbe.load(tmp_path / "other.ckpt")

"""The model of a step: what it counts, what it fits, and what it is printed beside."""

import json

import pytest
import torch

from benchmarks import scaling
from benchmarks.__main__ import main
from benchmarks.rollout import Shape, cache_bytes
from benchmarks.step_model import (
    Cost,
    Device,
    Fleet,
    Network,
    activations,
    cache,
    fitted,
    rollout,
    split,
    update,
)
from rlvr_world.nn.transformer import Transformer

NET = Network(48, 32, 3, 4, 80)
SHAPE = Shape(4, 24, 24, 4, 8)


def model(net):
    return Transformer(net.vocab_size, dim=net.dim, depth=net.depth, heads=4, hidden=net.hidden)


def test_weights_and_cache_are_those_of_the_transformer():
    norms = (2 * NET.depth + 1) * NET.dim
    assert NET.weights + norms == sum(p.numel() for p in model(NET).parameters())
    assert cache(NET, SHAPE) == cache_bytes(model(NET), SHAPE)


@pytest.mark.parametrize("change", [{}, {"length": 256}, {"depth": 4}, {"group": 2, "new": 64}])
def test_what_an_update_keeps_is_counted_to_5_percent(change):
    net, shape = scaling.sizes(scaling.BASE | {"prompts": 2} | change)
    prompts = torch.zeros(shape.prompts, shape.longest, dtype=torch.long)
    own = torch.zeros(shape.prompts * shape.group, shape.new, dtype=torch.long)
    kept = scaling.kept(model(net), prompts, own)
    assert activations(net, shape) == pytest.approx(kept, rel=0.05)


def test_the_constants_of_a_device_are_found_again():
    device = Device(2e9, 3e10, 1e-4)
    points = [scaling.sizes(scaling.BASE | change) for change in scaling.FIT]
    costs = [cost(*point) for point in points for cost in (rollout, update)]
    found = fitted(costs, [device.seconds(cost) for cost in costs])
    assert found.bandwidth == pytest.approx(2e9)
    assert found.arithmetic == pytest.approx(3e10)
    assert found.layer_call == pytest.approx(1e-4)
    with pytest.raises(ValueError, match="do not tell the constants apart"):
        fitted([Cost(1, 0, 0), Cost(0, 1, 0), Cost(1, 1, 1)], [1.0, 1.0, 0.5])


def test_what_stays_of_a_rollout_is_what_infinitely_small_shares_take():
    """By the rollout of one prompt beside that of two, whose difference is one prompt's own."""
    fleet = Fleet(2, Device(2e9, 3e10, 1e-4), 1e9)
    one, two = (fleet.device.seconds(rollout(NET, Shape(n, 24, 24, 4, 8))) for n in (1, 2))
    assert fleet.fixed(NET, SHAPE) == pytest.approx(2 * one - two)
    alone, shared = (Fleet(n, fleet.device, 1e9).step(NET, SHAPE, 1e6) for n in (1, 2))
    assert shared["decode and reward"] == alone["decode and reward"] / 2
    assert shared["gradients over the link"] > alone["gradients over the link"] == 0
    with pytest.raises(ValueError, match="4 prompts cannot be shared by 3 GPUs"):
        split(SHAPE, 3)


def test_points_are_printed_beside_the_model(tmp_path, capsys, monkeypatch):
    """With a clock of constant speed, so that the fit does not depend on the machine."""
    device = Device(2e9, 3e10, 1e-4)

    def timed(points, _):
        for net, shape in points:
            seconds = [device.seconds(cost(net, shape)) for cost in (rollout, update)]
            yield scaling.Measured(*seconds, int(activations(net, shape)))

    monkeypatch.setattr(scaling, "measured", lambda *args: list(timed(*args)))
    main(["scaling", "--json", str(tmp_path / "points.json")])
    printed = capsys.readouterr().out
    assert "Of 15 points that were not fitted, time is off by 0% in the median" in printed
    assert len(json.loads((tmp_path / "points.json").read_text())) == 22
    assert printed.count("| multi-step |") == 3 + 1


def test_a_point_is_measured():
    net, shape = scaling.sizes(scaling.BASE | {"prompts": 2, "length": 8, "group": 2, "new": 4})
    (found,) = scaling.measured([(net, shape)], repeats=1)
    assert min(found) > 0

"""An inverse model, and what it says of predictions."""

import pytest
import torch
from torch import nn

from rlvr_world.video.scenes.action_probe import (
    ActionProbe,
    ActionProbeRegression,
    read_errors,
)
from rlvr_world.video.scenes.action_scene import ActionScene


class Brightness(ActionProbe):
    """Reads an action off the change of brightness, which it is."""

    def __init__(self):
        super().__init__([-1.0], [1.0], frame_size=(8, 8), hidden=4)
        self.layers = nn.Identity()

    def forward(self, frames):
        return frames.mean(dim=(2, 3, 4)).diff(dim=1)[..., None]


def clips(actions, start=0.5):
    """Grey frames [B, T + 1, 3, 8, 8] whose brightness changes as actions [B, T] say."""
    levels = torch.cat([torch.full((len(actions), 1), start), start + actions.cumsum(1)], dim=1)
    return levels[..., None, None, None].expand(-1, -1, 3, 8, 8)


@pytest.fixture
def batch():
    actions = torch.tensor([[0.2, -0.4], [-0.2, 0.4], [0.2, 0.0], [0.4, -0.4]])
    frames = (clips(actions) * 255).round().byte()
    return {"frames": frames, "actions": torch.cat([actions, torch.zeros(4, 1)], 1)[..., None]}


def test_the_truth_tells_its_action_and_a_copy_does_not(batch):
    scene, frames = ActionScene(Brightness()), batch["frames"].float() / 255
    true = scene.score(frames[:, 1:], batch)
    assert true["action_error"].tolist() == pytest.approx([0.0] * 4, abs=0.01)
    assert true["action_told"].tolist() == [1.0, 1.0, 1.0, 1.0]
    torch.testing.assert_close(true["action_floor"], true["action_error"])
    copied = scene.score(frames[:, :1].expand(-1, 2, -1, -1, -1), batch)
    assert copied["action_error"].tolist() == pytest.approx([0.3, 0.3, 0.1, 0.4], abs=0.01)
    assert copied["action_told"].mean() < 0.6
    assert set(true) == set(scene.labels) == set(scene.higher_is_better)


def test_predictions_of_a_group_are_compared_with_their_own_transition(batch):
    frames = batch["frames"].float() / 255
    both = torch.stack([frames[:, 1:], frames[:, :1].expand(-1, 2, -1, -1, -1)], dim=1)
    scores = ActionScene(Brightness()).score(both.flatten(0, 1), batch)
    assert scores["action_error"][::2].max() < 0.01
    assert scores["action_error"][1::2].min() > 0.09


def test_two_transitions_with_the_same_action_say_nothing():
    done = torch.zeros(2, 1, 3)
    error, told = read_errors(torch.ones(2, 1, 3), done)
    assert error.flatten().tolist() == pytest.approx([3**0.5] * 2)
    assert told.isnan().all()


def test_a_probe_learns_its_actions_and_is_loaded_again(tmp_path):
    torch.manual_seed(0)
    stage = ActionProbeRegression(ActionProbe([-1], [1], frame_size=(8, 8), hidden=16))
    optimizer = torch.optim.Adam(stage.probe.parameters(), lr=3e-3)
    stage.log = lambda *_, **__: None
    losses = []
    for step in range(60):
        actions = torch.rand(32, 1, generator=torch.Generator().manual_seed(step)) - 0.5
        batch = {"frames": (clips(actions) * 255).byte(), "actions": actions[..., None]}
        batch["actions"] = torch.cat([batch["actions"], torch.zeros(32, 1, 1)], dim=1)
        loss = stage.training_step(batch, step)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss))
    assert losses[-1] < 0.4 * losses[0]
    weights = {f"probe.{name}": tensor for name, tensor in stage.probe.state_dict().items()}
    checkpoint = {"state_dict": weights, "action_probe": stage.probe.config}
    torch.save(checkpoint, tmp_path / "probe.ckpt")
    again = ActionProbe.load(tmp_path / "probe.ckpt")
    frames = clips(torch.tensor([[0.3]]))
    torch.testing.assert_close(again(frames), stage.probe.eval()(frames))


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="low and high must be as long"):
        ActionProbe([0.0], [0.0])
    probe = ActionProbe([-1, -1], [1, 1])
    with pytest.raises(ValueError, match="ranges of 2 numbers, but the data's actions have 3"):
        probe.scaled(torch.zeros(1, 3))
    with pytest.raises(ValueError, match=r"reads frames of 64x64"):
        probe(torch.zeros(1, 2, 3, 32, 32))

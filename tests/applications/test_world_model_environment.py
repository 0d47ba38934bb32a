"""World models as environments of gymnasium."""

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import check_env
from tiny_video import TinyVideo, export_tokenizer, save_untrained

from rlvr_world.applications import gymnasium_ids
from rlvr_world.applications.interactive_rollout import InteractiveRollout
from rlvr_world.applications.start_states import chosen, start_states
from rlvr_world.applications.world_model_environment import (
    WorldModelEnvironment,
    WorldModelVectorEnvironment,
)
from rlvr_world.modules.saved import load_world_model
from rlvr_world.rl.sampler import Sampler
from rlvr_world.video.long_rollout import long_rollout

DATA = TinyVideo()

pytestmark = pytest.mark.filterwarnings("ignore:.*action space.*", "ignore:.*WARN.*")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny")
    return save_untrained(folder / "mle.ckpt", export_tokenizer(folder / "tokenizer"))


@pytest.fixture(scope="module")
def model(checkpoint):
    return load_world_model(checkpoint)


def walk(environment, seed, actions, **options):
    """The frames of one episode, and its start."""
    frame, info = environment.reset(seed=seed, **options)
    return np.stack([frame, *(environment.step(action)[0] for action in actions)]), info["start"]


def test_gymnasium_finds_no_fault(model):
    check_env(WorldModelEnvironment(model, DATA, render_mode="rgb_array"), skip_render_check=False)


def test_ids_make_environments_from_checkpoints(checkpoint):
    gymnasium.register_envs(gymnasium_ids)
    environment = gymnasium.make(
        "rlvr_world/WorldModel-v0", checkpoint=checkpoint, data=DATA, time_limit=2
    )
    frame, info = environment.reset(seed=1, options={"start": 3})
    assert info["start"] == 3
    first = start_states(DATA, environment.unwrapped.rows.codec)
    assert (frame == first["frames"][3, 1].permute(1, 2, 0).numpy()).all()
    action = environment.action_space.sample()
    assert [environment.step(action)[3] for _ in range(2)] == [False, True]
    many = gymnasium.make_vec("rlvr_world/PushT-v0", num_envs=3, checkpoint=checkpoint, data=DATA)
    assert many.reset(seed=0)[0].shape == (3, 32, 32, 3)
    assert many.single_action_space.high.tolist() == [1, 1]


def test_a_row_is_the_environment_of_its_own_seed(model):
    single = WorldModelEnvironment(model, DATA)
    many = WorldModelVectorEnvironment(model, DATA, num_envs=3)
    many.action_space.seed(0)
    actions = [many.action_space.sample() for _ in range(3)]
    frames, starts = walk(many, 5, actions)
    for row in range(3):
        alone, start = walk(single, 5 + row, [action[row] for action in actions])
        assert start == starts[row]
        np.testing.assert_allclose(alone.astype(int), frames[:, row].astype(int), atol=1)
    again, _ = walk(many, [5, 6, 8], actions)
    assert (again[:, :2] == frames[:, :2]).all()
    assert (again[1:, 2] != frames[1:, 2]).any()


def test_rows_end_at_the_limit_or_where_told_and_begin_anew(model):
    terminal = torch.tensor([True, False])
    environment = WorldModelVectorEnvironment(
        model, DATA, num_envs=2, time_limit=3,
        reward=lambda frames, actions: frames.mean(dim=(1, 2, 3)) + actions[:, 0],
        terminal=lambda frames, _: terminal,
    )  # fmt: skip
    environment.reset(seed=0, options={"start": [0, 1]})
    action = np.full((2, 2), 0.5, np.float32)
    frames, rewards, ended, truncated, _ = environment.step(action)
    expected = 0.5 + frames.mean(axis=(1, 2, 3)) / 255
    assert rewards == pytest.approx(expected, abs=0.005)
    assert (ended.tolist(), truncated.tolist()) == ([True, False], [False, False])
    terminal[0] = False
    frames, rewards, ended, truncated, info = environment.step(action)
    assert info["began"].tolist() == [True, False]
    assert rewards[0] == 0 < rewards[1]
    starts = environment.starts["frames"][:, 1].permute(0, 2, 3, 1).numpy()
    assert (starts == frames[0]).all(axis=(1, 2, 3)).any()
    assert [environment.step(action)[3].tolist() for _ in range(2)] == [
        [False, True], [False, False],
    ]  # fmt: skip


@pytest.mark.parametrize("horizon", [1, 2])
def test_frames_are_those_of_a_long_rollout(model, horizon):
    """The likeliest tokens, so that it does not matter which numbers are drawn."""
    sampler, window = Sampler(temperature=0), model.codec.window
    batch = chosen(start_states(DATA, model.codec), [0, 2], model.device)
    batch["actions"] = torch.rand(2, 7, 2, generator=torch.Generator().manual_seed(0))
    expected = long_rollout(model, batch, horizon, sampler)
    rollout = InteractiveRollout(model, batch, horizon, sampler)
    uniforms = torch.zeros(2, model.codec.tokens_per_frame, dtype=torch.float64)
    frames = [rollout.step(batch["actions"][:, t], uniforms) for t in range(window - 1, 6)]
    torch.testing.assert_close(torch.stack(frames, dim=1), expected)
    assert rollout.frames.shape[1] <= window + horizon


def test_what_cannot_be_is_one_sentence(model):
    with pytest.raises(ValueError, match="time_limit must be a whole number of at least 1, got 0"):
        WorldModelEnvironment(model, DATA, time_limit=0)
    with pytest.raises(ValueError, match="render_mode must be rgb_array or None, got human"):
        WorldModelEnvironment(model, DATA, render_mode="human")
    environment = WorldModelEnvironment(model, DATA)
    with pytest.raises(ValueError, match="start must be from 0 to"):
        environment.reset(options={"start": 10**6})

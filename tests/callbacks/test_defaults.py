from pathlib import Path

import pytest
from lightning.pytorch.callbacks import ModelCheckpoint, Timer
from line_world import Line, Numbers, Unvalidated

from rlvr_world.callbacks.defaults import KeptBest, default_callbacks
from rlvr_world.callbacks.reward_monitor import RewardMonitor
from rlvr_world.callbacks.throughput import Throughput
from rlvr_world.reward import RewardSet
from rlvr_world.video.rewards.frames import MAE

FOLDER = Path("checkpoints/mine/rlvr/checkpoints")


def names(callbacks):
    return {type(callback).__name__ for callback in callbacks}


def kept(callbacks):
    checkpoints = [c for c in callbacks if isinstance(c, ModelCheckpoint)]
    assert all(Path(c.dirpath) == FOLDER.absolute() for c in checkpoints)
    return [(c.filename, c.monitor, c.mode) for c in checkpoints]


def test_every_stage_keeps_its_last_and_its_best_state():
    callbacks = default_callbacks(Line(), Numbers(), {}, FOLDER)
    assert names(callbacks) == {
        "GradientNorm", "Throughput", "Timer", "LearningRateMonitor", "ModelCheckpoint",
        "LastCheckpoint", "Interruption",
    }  # fmt: skip
    assert kept(callbacks) == [("best", "val/loss", "min"), ("last", None, "min")]


def test_another_metric_can_choose():
    chosen = KeptBest("val/reward", "max")
    callbacks = default_callbacks(Line(), Numbers(), {}, FOLDER, chosen)
    assert kept(callbacks)[0] == ("best", "val/reward", "max")


@pytest.mark.parametrize("data", [Unvalidated(), Numbers()])
def test_without_validation_or_monitor_only_the_last_state_is_kept(data):
    module = Line()
    if isinstance(data, Numbers) and not isinstance(data, Unvalidated):
        module.monitor = None
    assert [name for name, *_ in kept(default_callbacks(module, data, {}, FOLDER))] == ["last"]


def test_the_users_callbacks_and_settings_win():
    own = [ModelCheckpoint(), Throughput()]
    callbacks = default_callbacks(Line(), None, {"callbacks": own}, FOLDER)
    assert names(callbacks) == {"GradientNorm", "Interruption", "Timer", "LearningRateMonitor"}
    settings = {"callbacks": Timer(), "logger": False, "enable_checkpointing": False}
    assert names(default_callbacks(Line(), None, settings, FOLDER)) == {
        "GradientNorm",
        "Interruption",
        "Throughput",
    }
    assert "Timer" not in names(default_callbacks(Line(), None, {"max_time": "1:0:0:0"}, FOLDER))
    assert default_callbacks(Line(), None, {"barebones": True}, FOLDER) == []


def test_rewards_of_the_module_are_watched():
    module = Line()
    module.rewards = RewardSet({"mae": MAE()})
    (monitor,) = [
        c for c in default_callbacks(module, None, {}, FOLDER) if isinstance(c, RewardMonitor)
    ]
    monitor.setup(None, module, "fit")
    assert monitor.rewards is module.rewards

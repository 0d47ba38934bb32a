"""The ids of gymnasium for world models: ``gymnasium.register_envs`` of this module.

``rlvr_world/WorldModel-v0`` needs ``checkpoint`` and ``data``; ``rlvr_world/PushT-v0`` and
``rlvr_world/TextWorld-v0`` need a ``checkpoint`` and take the folder of that recording as ``data``.
All are also vector environments (``make_vec``).
"""

from pathlib import Path
from typing import Any

from rlvr_world.applications.words.environment import WordEnvironment, WordVectorEnvironment
from rlvr_world.applications.world_model_environment import (
    WorldModelEnvironment,
    WorldModelVectorEnvironment,
)
from rlvr_world.extras import require
from rlvr_world.modules.saved import load_world_model
from rlvr_world.modules.world_model import WorldModel
from rlvr_world.video.codecs.video_codec import VideoCodec

DEFAULTS: dict[str, dict[str, Any]] = {
    "WorldModel": {},
    "PushT": {"data": "data/pusht"},
    "TextWorld": {"data": "data/textworld"},
}


def environment(
    checkpoint: str | Path | WorldModel, *, device: str = "cpu", **options: Any
) -> WorldModelEnvironment | WordEnvironment:
    """The environment of a model of any modality."""
    model = loaded(checkpoint, device)
    return (WorldModelEnvironment if is_video(model) else WordEnvironment)(model, **options)


def vector_environment(
    checkpoint: str | Path | WorldModel, *, device: str = "cpu", **options: Any
) -> WorldModelVectorEnvironment | WordVectorEnvironment:
    """The vector environment of a model of any modality."""
    model = loaded(checkpoint, device)
    kind = WorldModelVectorEnvironment if is_video(model) else WordVectorEnvironment
    return kind(model, **options)


def loaded(checkpoint: str | Path | WorldModel, device: str) -> WorldModel:
    """The model of a checkpoint, or the model."""
    if isinstance(checkpoint, WorldModel):
        return checkpoint
    return load_world_model(Path(checkpoint), device)


def is_video(model: WorldModel) -> bool:
    """Whether a model predicts frames."""
    return isinstance(model.codec, VideoCodec)


gymnasium = require("gymnasium", "environments", "A world model as an environment")
for name, given in DEFAULTS.items():
    gymnasium.register(
        f"rlvr_world/{name}-v0",
        entry_point=environment,
        vector_entry_point=vector_environment,
        kwargs=given,
    )

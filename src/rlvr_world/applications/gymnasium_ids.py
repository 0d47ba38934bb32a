"""The ids of gymnasium for world models: ``gymnasium.register_envs`` of this module.

``rlvr_world/WorldModel-v0`` needs ``checkpoint`` and ``data``; ``rlvr_world/PushT-v0`` needs a
``checkpoint`` and takes ``data/pusht``. Both are also vector environments (``make_vec``).
"""

from rlvr_world.extras import require

MODULE = "rlvr_world.applications.world_model_environment"
DEFAULTS = {"WorldModel": {}, "PushT": {"data": "data/pusht"}}

gymnasium = require("gymnasium", "environments", "A world model as an environment")
for name, given in DEFAULTS.items():
    gymnasium.register(
        f"rlvr_world/{name}-v0",
        entry_point=f"{MODULE}:WorldModelEnvironment",
        vector_entry_point=f"{MODULE}:WorldModelVectorEnvironment",
        kwargs=given,
    )

"""A task of Meta-World with a fast camera: no screen, no shadows, simplified meshes.

A state is ``gripper x, y, z, opening, object x, y, z``: positions in metres in the simulator's
frame, the opening from 0 (closed) to 1. The object is what the task moves: the drawer's or the
door's handle, the button, the puck, the faucet's handle.
"""

import atexit
import os
import sys
import warnings
from ctypes.util import find_library
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rlvr_world.extras import require

STATE_SIZE = 7
OBJECT = slice(4, 7)
MOVING = 1e-3  # metres between two frames
MESH_FACES = 300  # a mesh with more triangles is simplified towards as many
CAMERA = {"azimuth": 140.0, "elevation": -34.0, "distance": 1.0, "lookat": (0.02, 0.68, 0.17)}


def import_metaworld() -> SimpleNamespace:
    """Meta-World's ``environments`` and ``policies`` by task, and the modules ``mujoco`` and more.

    On Linux, pictures are drawn without a screen: by EGL, or OSMesa where there is no EGL, unless
    MUJOCO_GL says otherwise.
    """
    if sys.platform == "linux":
        os.environ.setdefault("MUJOCO_GL", "egl" if find_library("EGL") else "osmesa")
    try:
        names = ("mujoco", "trimesh", "fast_simplification", "metaworld.env_dict")
        mujoco, trimesh, simplifier, tasks, policies = (
            require(name, "metaworld", "Meta-World") for name in (*names, "metaworld.policies")
        )
        return SimpleNamespace(
            environments=tasks.ALL_V3_ENVIRONMENTS_GOAL_OBSERVABLE,
            policies=policies.ENV_POLICY_MAP,
            mujoco=mujoco,
            trimesh=trimesh,
            fast_simplification=simplifier,
        )
    except ModuleNotFoundError:
        raise
    except (ImportError, AttributeError) as error:
        raise ModuleNotFoundError(
            f"Meta-World needs a graphics library that draws without a screen ({error}): install "
            "libegl1 or libosmesa6, and set MUJOCO_GL to egl or osmesa"
        ) from error


@cache
def open_scene(task: str, image_size: int) -> "MetaWorldScene":
    """The scene of a task, which is kept until the process ends.

    OSMesa draws garbage after a renderer was freed while another one was in use, so none is freed
    before the end.
    """
    scene = MetaWorldScene(task, image_size)
    atexit.register(scene.renderer.close)
    return scene


class MetaWorldScene:
    """One task of Meta-World: its simulator, its scripted policy and a camera.

    The camera draws a second model with the same bodies and simplified meshes, into which it
    copies the pose of every body; physics never sees it. A task is named without its version, such
    as ``drawer-open``.
    """

    def __init__(self, task: str, image_size: int) -> None:
        metaworld = import_metaworld()
        known = [name.removesuffix("-v3") for name in metaworld.policies]
        if task not in known:
            raise ValueError(
                f"tasks: Meta-World has no task {task!r}; it has {', '.join(sorted(known))}"
            )
        self.env = metaworld.environments[f"{task}-v3-goal-observable"](seed=0)
        self.env._freeze_rand_vec, self.env.seeded_rand_vec = False, True
        self.policy = metaworld.policies[f"{task}-v3"]()
        self.observation, self.success = np.zeros(0), False
        self.mujoco = metaworld.mujoco
        self.model = simple_model(metaworld, self.env)
        self.data = self.mujoco.MjData(self.model)
        self._set_up_camera(image_size)

    def _set_up_camera(self, image_size: int) -> None:
        """A free camera without shadows, reflections, antialiasing and marks of the goal."""
        quality, offscreen = self.model.vis.quality, self.model.vis.global_
        quality.offsamples = 0
        offscreen.offwidth = offscreen.offheight = image_size
        self.renderer = self.mujoco.Renderer(self.model, image_size, image_size)
        for flag in ("mjRND_SHADOW", "mjRND_REFLECTION"):
            self.renderer.scene.flags[getattr(self.mujoco.mjtRndFlag, flag)] = 0
        self.camera, self.shown = self.mujoco.MjvCamera(), self.mujoco.MjvOption()
        for name, value in CAMERA.items():
            setattr(self.camera, name, value)
        self.shown.sitegroup[:] = 0

    def reset(self, seed: int) -> None:
        """Start an episode in which the places of things follow from the seed."""
        self.env.seed(seed)  # reset(seed=...) ignores its argument
        self.observation, _ = self.env.reset()
        self.success = False

    def scripted_action(self) -> NDArray[np.float32]:
        """What the scripted policy does now, [4]: gripper velocity x, y, z and closing."""
        with warnings.catch_warnings(action="ignore"):
            return self.policy.get_action(self.observation)

    def step(self, action: NDArray[np.float32], repeat: int) -> None:
        """Hold an action [4] in [-1, 1] for ``repeat`` control steps of 0.0125 s."""
        for _ in range(repeat):
            self.observation, *_, info = self.env.step(action.astype(np.float64))
            self.success = bool(info["success"])

    @property
    def state(self) -> NDArray[np.float32]:
        """The state [7] as this module describes it."""
        return self.observation[:STATE_SIZE].astype(np.float32)

    def frame(self) -> NDArray[np.uint8]:
        """A picture of the scene, [image_size, image_size, 3]."""
        for name in ("body_pos", "body_quat"):
            getattr(self.model, name)[:] = getattr(self.env.model, name)
        for name in ("qpos", "mocap_pos", "mocap_quat"):
            getattr(self.data, name)[:] = getattr(self.env.data, name)
        self.mujoco.mj_kinematics(self.model, self.data)
        self.mujoco.mj_camlight(self.model, self.data)
        self.renderer.update_scene(self.data, self.camera, self.shown)
        return self.renderer.render()


def simple_model(metaworld: SimpleNamespace, env: Any) -> Any:
    """The environment's model with meshes simplified towards ``MESH_FACES`` triangles.

    The simplifier stops earlier at meshes that it cannot simplify further.
    """
    spec = metaworld.mujoco.MjSpec.from_file(env.model_name)
    folder = Path(env.model_name).parent / spec.meshdir
    for mesh in spec.meshes:
        if env.model.mesh_facenum[env.model.mesh(mesh.name).id] <= MESH_FACES:
            continue
        full = metaworld.trimesh.load(folder / mesh.file, force="mesh")
        vertices, faces = metaworld.fast_simplification.simplify(
            np.asarray(full.vertices, np.float32),
            np.asarray(full.faces, np.int32),
            target_count=MESH_FACES,
        )
        mesh.file = ""
        mesh.uservert, mesh.userface = vertices.ravel().tolist(), faces.ravel().tolist()
    return spec.compile()


def object_moves(states: ArrayLike) -> NDArray[np.bool_]:
    """Whether the object moves by over 1 mm, [..., T - 1], from states [..., T, 7]."""
    step = np.diff(np.asarray(states, np.float64)[..., OBJECT], axis=-2)
    return np.linalg.norm(step, axis=-1) > MOVING

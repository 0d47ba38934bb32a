"""The behaviour that recordings of PushT show: walk to the block, push it, keep it in view."""

import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike, NDArray

from rlvr_world.video.scenes.pusht import (
    AGENT_RADIUS,
    ARENA,
    BLOCK_CENTRE,
    BLOCK_PARTS,
    View,
    block_centre,
    inside_block,
    rotate,
)

Vector = NDArray[np.float64]  # [2], or [5] for a state

MIDDLE = np.full(2, ARENA / 2)
ORBIT = 100.0  # an agent this far from the block's centre touches it at no angle
BLOCK_REACH = 78.0  # from the block's centre to its farthest corner
WALK = 48.0  # how far ahead the target lies while walking, in simulator pixels
CANDIDATES = 24


def unit(vector: Vector) -> Vector:
    """The vector at length 1."""
    return vector / max(float(np.linalg.norm(vector)), 1e-6)


class Pusher:
    """Seeded random pushes: choose a contact, walk around the block to it, push through it.

    Of several random contacts the one is taken that promises the largest share of time spent
    pushing, which is one that is near and from which the block has far to go within the view, in
    which agent and block are kept.
    """

    def __init__(self, rng: Generator, view: View) -> None:
        self.rng = rng
        self.half = view.side / 2
        self.roam = max(self.half - BLOCK_REACH - 35, 0)  # how far the block's centre may get
        self.aim: ArrayLike = BLOCK_CENTRE
        self.frames_left = 0
        self.walking = False
        self.last_agent = MIDDLE

    def start(self) -> Vector:
        """A first state [5]: a block at any angle near the middle and an agent beside it."""
        centre = MIDDLE + self.rng.uniform(-self.roam, self.roam, size=2)
        angle = self.rng.uniform(-np.pi, np.pi)
        pose = np.array([*(centre - rotate(BLOCK_CENTRE, angle)), angle])
        while True:
            agent = centre + 0.8 * ORBIT * rotate((1.0, 0.0), self.rng.uniform(-np.pi, np.pi))
            agent = self._keep_in_view(agent)
            if not inside_block(agent, pose, AGENT_RADIUS + 3):
                return np.concatenate([agent, pose])

    def act(self, state: Vector) -> Vector:
        """The next target position [2] of the agent in a state [5]."""
        agent, pose = state[:2], state[2:]
        offset = block_centre(pose) - MIDDLE
        aim = self._world(pose)
        leaving = np.linalg.norm(offset) > self.roam + 10 and offset @ (aim - agent) > 0
        stuck = np.linalg.norm(agent - self.last_agent) < 1.5
        if self.frames_left <= 0 or stuck or (leaving and not self.walking):
            self._plan(agent, pose)
            aim = self._world(pose)
        self.last_agent = agent
        if self.walking:
            contact = self._contact(aim, self.direction, pose)
            if np.linalg.norm(contact - agent) > AGENT_RADIUS:
                step = self._walk(agent, contact, pose)
                return self._keep_in_view(agent + step + self.rng.normal(0, 2, size=2))
            self.walking = False
        self.frames_left -= 1
        sideways = rotate(unit(aim - agent), np.pi / 2) * self.rng.normal(0, 5)
        return self._keep_in_view(agent + self.stride * unit(aim - agent) + sideways)

    def _world(self, pose: Vector) -> Vector:
        """Where the point that is aimed at, which is fixed to the block, is now."""
        return pose[:2] + rotate(self.aim, pose[2])

    def _plan(self, agent: Vector, pose: Vector) -> None:
        self.stride = self.rng.uniform(11, 24)
        self.frames_left = int(self.rng.integers(20, 40))
        self.walking = True
        best = -np.inf
        for _ in range(CANDIDATES):
            x0, y0, x1, y1 = BLOCK_PARTS[self.rng.integers(2)]
            aim = self.rng.uniform((x0 * 0.8, y0), (x1 * 0.8, y1))
            direction = rotate((1.0, 0.0), self.rng.uniform(-np.pi, np.pi))
            contact = self._contact(pose[:2] + rotate(aim, pose[2]), direction, pose)
            walk = self._distance(agent, contact, pose) / 30
            push = self._room(block_centre(pose) - MIDDLE, direction) / (0.6 * self.stride)
            hidden = bool((contact != self._keep_in_view(contact)).any())
            merit = push / (push + walk + 0.5) - hidden + self.rng.uniform(0, 0.1)
            if merit > best:
                best, self.aim, self.direction = merit, aim, direction

    def _room(self, offset: Vector, direction: Vector) -> float:
        """How far the block can go in a direction before it leaves the place it may be in."""
        along = offset @ direction
        root = along**2 - offset @ offset + (self.roam + 10) ** 2
        return max(float(np.sqrt(root) - along), 0.0) if root > 0 else 0.0

    def _contact(self, aim: Vector, direction: Vector, pose: Vector) -> Vector:
        """The place just outside the block from which pushing along ``direction`` hits ``aim``."""
        distances = np.arange(0.0, 160.0, 4.0)
        points = aim - distances[:, None] * direction
        last = np.flatnonzero(inside_block(points, pose, AGENT_RADIUS))[-1]
        return points[min(last + 1, len(points) - 1)]

    def _blocked(self, start: Vector, end: Vector, pose: Vector) -> bool:
        points = start + np.linspace(0.15, 0.95, 12)[:, None] * (end - start)
        return bool(inside_block(points, pose, AGENT_RADIUS - 3).any())

    def _distance(self, agent: Vector, contact: Vector, pose: Vector) -> float:
        if not self._blocked(agent, contact, pose):
            return float(np.linalg.norm(contact - agent))
        return ORBIT * abs(self._turn(agent, contact, pose)[1]) + 30

    def _walk(self, agent: Vector, contact: Vector, pose: Vector) -> Vector:
        way = contact - agent
        if not self._blocked(agent, contact, pose):
            return unit(way) * min(WALK, float(np.linalg.norm(way)) + 4)
        here, turn = self._turn(agent, contact, pose)
        bearing = here + np.clip(turn, -0.75, 0.75)
        goal = block_centre(pose) + ORBIT * rotate((1.0, 0.0), bearing)
        return unit(goal - agent) * WALK

    def _turn(self, agent: Vector, contact: Vector, pose: Vector) -> tuple[float, float]:
        """The agent's bearing from the block's centre, and the angle from there to the contact."""
        centre = block_centre(pose)
        here, there = (np.arctan2(*(point - centre)[::-1]) for point in (agent, contact))
        return here, (there - here + np.pi) % (2 * np.pi) - np.pi

    def _keep_in_view(self, point: Vector) -> Vector:
        """The nearest point at which most of the agent is visible."""
        reach = self.half - 0.6 * AGENT_RADIUS
        return np.clip(point, MIDDLE - reach, MIDDLE + reach)

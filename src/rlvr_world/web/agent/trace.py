"""What happened in a step, as plain data."""

from typing import Any

from rlvr_world.web.agent.agent import Candidate, Decision
from rlvr_world.web.answer import changes_text
from rlvr_world.web.browser.environment import Step
from rlvr_world.web.browser.session import Observation
from rlvr_world.web.changes import extract


def described(decision: Decision) -> dict[str, Any]:
    """A decision as plain data."""
    chosen = decision.chosen if decision.candidates else None
    return {"candidates": list(map(_candidate, decision.candidates)), "chosen": chosen}


def _candidate(candidate: Candidate) -> dict[str, Any]:
    imagined = candidate.imagined
    about = {"action": str(candidate.action), "frequency": candidate.frequency}
    if imagined is None:
        return about
    return about | {
        "prediction": imagined.text,
        "prediction_error": imagined.error,
        "known_reward": imagined.reward,
        "summary": candidate.summary,
        "scores": candidate.scores,
        "value": candidate.value,
    }


def outcome(seen: Observation, step: Step) -> dict[str, Any]:
    """What an action really led to, as plain data."""
    true = changes_text(extract(seen.elements, step.observation.elements), "long")
    facts = {"true_changes": true, "reward": step.reward, "done": step.done}
    return facts | ({"error": step.info["error"]} if "error" in step.info else {})

"""The judge of answers about text games, and its strict rule: the whole next state must be right.

Objects may not be missing or invented, nor may any property; ``contains`` has no order, lists
among the properties have one; 1 is 1.0 but not true. Equation 4 is taken over ``facts``, so that
added and removed objects and the score count among what changes, and only a right answer reaches
the most: 1.3, or 0.3 where nothing changes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rlvr_world.language.judge import BadAnswer, Judge, Reason, Rule
from rlvr_world.language.transition import Form
from rlvr_world.text_game.answer import read_answer
from rlvr_world.text_game.facts import Facts, Judgement, equation_4, has, state_facts
from rlvr_world.text_game.game_state import GameState
from rlvr_world.text_game.transition import Transition, apply, kept
from rlvr_world.text_game.upstream import repair_tools, upstream_judgement


def strict_judgement(text: str, transition: Transition, form: Form) -> Judgement:
    """Judge the answer in a text."""
    try:
        facts = _answer_facts(text, transition, form)
    except BadAnswer as answer:
        return Judgement(answer.reason)
    truth, changes = transition.target_facts, transition.changed_facts
    right = [fact for fact, value in truth.items() if has(facts, fact, value)]
    total = len(truth.keys() | facts.keys())
    scores = len(transition.target["score"] or ())
    right_scores = sum(fact[0] == "score" for fact in right)
    all_right = len(right) == total
    return Judgement(
        "right" if all_right else "wrong state",
        _share(len(right), total),
        equation_4(
            _share(len(right) - right_scores, total - scores),
            _share(right_scores, scores),
            all_right,
            _share(sum(has(facts, *change) for change in changes.items()), len(changes))
            if changes
            else None,
        ),
    )


def _share(part: int, whole: int) -> float:
    """A share, 1 of nothing."""
    return part / whole if whole else 1.0


def _answer_facts(text: str, transition: Transition, form: Form) -> Facts:
    """The facts of the state that an answer says.

    The removal of an object that was not there is one more fact, which no state holds.
    """
    state, removed = answered_state(text, transition, form)
    facts = state_facts(state)
    for uuid in removed:
        if (uuid, "object") not in transition.state_facts:
            facts[uuid, "removed"] = True
    return facts


def answered_state(
    text: str, transition: Transition, form: Form
) -> tuple[GameState, Sequence[int]]:
    """The next state that an answer says, and the uuids of the objects that it removes.

    Raises:
        BadAnswer: It says no next state.
    """
    answer = read_answer(text, form, kept(transition, form))
    scored, score = transition.target["score"] is not None, answer["score"]
    if scored and score is None:
        raise BadAnswer("wrong shape", "the answer must say the score")
    if score and not scored:
        raise BadAnswer("wrong shape", f"there is no score in mode {transition.mode}")
    if form == "state":
        return answer, ()
    return apply(transition.state, answer), answer["removed"]


RULES: dict[Rule, Callable[[str, Transition, Form], Judgement]] = {
    "strict": strict_judgement,
    "upstream": upstream_judgement,
}


@dataclass(frozen=True)
class TextGameJudge(Judge[Judgement]):
    """Judges answers of a form about text games, see ``Judge``."""

    form: Form = "difference"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.rule == "upstream":
            repair_tools()

    def judgement(self, text: str, transition: Transition) -> Judgement:
        return RULES[self.rule](text, transition, self.form)

    def unread(self, reason: Reason) -> Judgement:
        return Judgement(reason)

"""What a reward or a codec returns is held to its contract on the first batch, in one sentence."""

import signal
from functools import partial

import pytest
import torch
from dials import DIGITS, DialCodec, DialData, DialsRight
from lightning import Trainer

from rlvr_world.codec import check_codec
from rlvr_world.modules.mle import MLEWorldModel
from rlvr_world.nn.transformer import Transformer
from rlvr_world.reward import Reward, RewardSet, not_finite
from rlvr_world.types import Detail

GIVEN = {"key": ["first", "second"], "speed": torch.tensor([3.0, 5.0])}


class Speed(Reward):
    """A reward that looks at what was given."""

    def score(self, prediction, target, given):
        return (prediction - target).abs() / given["speed"]


class Broken(Reward):
    """Returns whatever it was made with."""

    def __init__(self, value):
        super().__init__()
        self.value = value

    def score(self, prediction, target, given):
        return self.value


class BrokenFrames(Broken):
    """The same, where frames are asked for."""

    def scores(self, prediction, target, given, detail):
        return self.value


def test_a_reward_sees_what_was_given_to_each_member_of_a_group():
    scores = RewardSet({"speed": Speed()}).scores(
        torch.tensor([3.0, 6.0, 5.0, 0.0]), torch.zeros(2), GIVEN
    )
    assert scores["speed"].tolist() == [1, 2, 1, 0]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (torch.zeros(4, 1), r"its shape is \[4, 1\]"),
        (torch.tensor(0.5), r"its shape is \[\]"),
        (torch.zeros(2), r"its shape is \[2\]"),
        (torch.zeros(4, dtype=torch.long), r"it holds torch.int64: use \.float\(\)"),
        (torch.zeros(4, dtype=torch.bool), r"it holds torch.bool: use \.float\(\)"),
        ([0.0] * 4, "it returned list"),
        (None, "it returned NoneType"),
    ],
    ids=str,
)
def test_wrong_scores_are_named_with_the_reward_and_what_is_asked(value, said):
    start = r"^rewards\.mine: Broken\.score must return "
    with pytest.raises(ValueError, match=start) as error:
        RewardSet({"mine": Broken(value)}).scores(torch.zeros(4), torch.zeros(2), GIVEN)
    assert error.match(said)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (torch.tensor([0, 0, torch.nan, 0]), "rewards.mine is nan for second; a reward must"),
        (torch.tensor([0, torch.inf, 0, 0]), "rewards.mine is inf for first; a reward must"),
    ],
)
def test_scores_that_are_not_finite_are_named_with_the_sample(value, said):
    rewards = RewardSet({"fine": Broken(torch.zeros(4)), "mine": Broken(value)})
    asked = (torch.zeros(4), torch.zeros(2), GIVEN)
    with pytest.raises(ValueError, match=said):
        rewards.scores(*asked)
    scores = rewards.scores(*asked, finite=False)
    assert not_finite(scores, GIVEN) in said
    assert not_finite({"fine": scores["fine"]}, GIVEN) is None


class Faulty(Reward):
    def score(self, prediction, target, given):
        raise KeyError("no such colour")


class Hanging(Reward):
    def score(self, prediction, target, given):
        while True:
            pass


def test_a_reward_that_raises_names_itself_and_the_samples():
    with pytest.raises(KeyError, match="no such colour") as error:
        RewardSet({"mine": Faulty()}).scores(torch.zeros(4), torch.zeros(2), GIVEN)
    (note,) = error.value.__notes__
    assert note == "rewards.mine: Faulty.score failed for samples among first, second"


def test_a_reward_that_hangs_is_stopped(monkeypatch):
    monkeypatch.setattr(Hanging, "seconds", 0.2)
    with pytest.raises(TimeoutError, match=r"rewards\.mine: Hanging\.score took longer than 0\.2"):
        RewardSet({"mine": Hanging()}).scores(torch.zeros(4), torch.zeros(2), GIVEN)
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)


@pytest.mark.parametrize("value", [torch.zeros(4), torch.zeros(4, 3, 2, 2), torch.zeros(3, 3)])
def test_wrong_scores_of_frames_are_named(value):
    with pytest.raises(ValueError, match="one float for each frame of the 4 predictions"):
        RewardSet({"mine": BrokenFrames(value)}).scores(
            torch.zeros(4), torch.zeros(2), GIVEN, Detail("frame")
        )


def batch():
    return next(iter(DialData(batch_size=4).train_dataloader()))


def changed(**fields):
    """A codec some of whose answers are others."""
    codec = DialCodec()
    for name, value in fields.items():
        setattr(codec, name, value)
    return codec


def encoded(**fields):
    return lambda batch: DialCodec().encode(batch)._replace(**fields)


def first_illegal():
    legal = torch.ones(DIGITS, dtype=torch.bool)
    legal[DialCodec().encode(batch()).ids[0, -1]] = False
    return legal


NOTHING = torch.zeros(4, 8, dtype=torch.bool)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"vocab_size": 2}, r"DialCodec\.encode returned the token \d, but vocab_size 2 allows"),
        ({"encode": encoded(target_mask=NOTHING)}, r"DialCodec\.encode leaves nothing to predict"),
        ({"encode": encoded(target_mask=NOTHING.float())}, r"a boolean target_mask"),
        ({"encode": encoded(target_mask=NOTHING[:, 1:])}, r"must return ids \[4, T\]"),
        ({"fingerprint": None}, r"DialCodec\.fingerprint must be a text .* it is None"),
        ({"decode": lambda sequence: sequence.ids[1:]}, r"DialCodec\.decode .* 4 states.* 3"),
        ({"decode": lambda _: None}, r"DialCodec\.decode must return 4 states.* NoneType"),
        ({"legal_tokens": first_illegal}, r"DialCodec\.legal_tokens rules out the token \d"),
        ({"legal_tokens": lambda: torch.ones(3)}, r"must return \[6\] bool, one for each token"),
    ],
)
def test_codecs_that_break_their_contract_are_named(fields, said):
    with pytest.raises(ValueError, match=said) as error:
        check_codec(changed(**fields), batch())
    assert "\n" not in str(error.value)


def test_samples_need_a_name():
    nameless = batch()
    del nameless["key"]
    with pytest.raises(ValueError, match="batch has no `key`: give each sample a name"):
        check_codec(DialCodec(), nameless)


def test_a_sound_codec_passes():
    check_codec(DialCodec(), batch())


@pytest.mark.parametrize("loop", ["fit", "validate"])
def test_the_first_batch_is_checked(loop, tmp_path):
    codec = changed(decode=lambda sequence: sequence.ids[1:])
    model = MLEWorldModel(
        codec=codec,
        backbone=partial(Transformer, dim=16, depth=1, heads=2),
        rewards={"right": DialsRight()},
    )
    quiet = {"enable_progress_bar": False, "enable_model_summary": False, "logger": False}
    runner = Trainer(
        max_steps=1, accelerator="cpu", num_sanity_val_steps=0, default_root_dir=tmp_path, **quiet
    )
    with pytest.raises(ValueError, match=r"DialCodec\.decode must return \d+ states"):
        getattr(runner, loop)(model, DialData())

"""What the gain of an RLVR row is made of, in a sentence."""

import math

import pytest

from rlvr_world.evaluation.decomposition import decomposed

REWARDS = {
    "mle": (-0.0552, 0.0001), "tuned": (-0.0518, 0.0), "likeliest": (-0.0530, 0.0),
    "mbr": (-0.0512, 0.0001), "rlvr": (-0.0498, 0.0003),
}  # fmt: skip


def said(**changes):
    rows = {name: cell for name, cell in (REWARDS | changes).items() if cell is not None}
    return decomposed(rows, "rlvr", "mle", ["likeliest", "tuned"], ["mbr", "sharpen"])


def test_a_gain_is_sharpening_and_what_is_beyond():
    assert said() == (
        "rlvr: +0.0054 ± 0.0003 in reward over mle, of which 63 % is sharpening (tuned has it "
        "without training) and 37 % is beyond, +0.002 ± 0.0003; mbr has 74 %."
    )
    assert said(sharpen=(-0.0525, 0.0)).endswith("; mbr has 74 %; sharpen has 50 %.")


@pytest.mark.parametrize(
    ("rlvr", "message"),
    [
        ((-0.0552, 0.0001), "+0 ± 0.0001 in reward over mle, within noise, so no gain."),
        ((-0.0554, 0.0001), "-0.0002 ± 0.0001 in reward over mle, within noise, so no gain."),
        ((-0.0561, 0.0001), "-0.0009 ± 0.0001 in reward over mle, a loss."),
        ((-0.0515, 0.0002), "what is beyond, +0.0003 ± 0.0002, is within noise; mbr has 108 %."),
        ((-0.0522, 0.0001), "rlvr: +0.003 ± 0.0001 in reward over mle, less than tuned has without "
                            "training, +0.0034 ± 0.0001; mbr has 133 %."),
    ],
)  # fmt: skip
def test_noise_and_loss_are_called_so(rlvr, message):
    assert message in said(rlvr=rlvr)


def test_without_a_better_sampling_all_is_beyond():
    sentence = said(tuned=(-0.06, 0.0), likeliest=(-0.06, 0.0))
    assert "of which 0 % is sharpening and 100 % is beyond, +0.0054 ± 0.0003" in sentence


def test_a_single_seed_knows_no_noise():
    sentence = said(rlvr=(-0.0517, math.nan))
    assert "+0.0035 in reward over mle, of which 97 % is sharpening" in sentence
    assert "and 3 % is beyond, +0.0001;" in sentence


@pytest.mark.parametrize("row", ["rlvr", "mle"])
@pytest.mark.parametrize("cell", [None, (math.nan, math.nan)])
def test_a_row_without_a_reward_says_nothing(row, cell):
    assert said(**{row: cell}) is None


def test_other_samplings_that_are_missing_say_nothing():
    assert said(tuned=None, likeliest=None) is None
    assert "mbr" not in said(mbr=(math.nan, 0.0))
    assert "is sharpening (likeliest has it" in said(tuned=None)

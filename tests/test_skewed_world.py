"""What RLVR is worth beyond a temperature, in a world where that can be computed exactly.

``pytest tests/test_skewed_world.py --log-cli-level INFO`` prints the numbers of docs/rlvr.md.
"""

import logging
from functools import partial

import pytest
import torch
from lightning import Trainer
from slips import (
    ACTIONS,
    PLACES,
    SKEWED,
    STARTS,
    SYMMETRIC,
    Likelihood,
    PlaceCodec,
    SquaredError,
    all_moves,
    moves,
)
from torch.nn.functional import one_hot

from rlvr_world.modules.mle import MLEWorldModel
from rlvr_world.modules.rlvr import RLVRWorldModel
from rlvr_world.nn.transformer import Transformer
from rlvr_world.rl.grpo import GRPO
from rlvr_world.video.rewards.energy import EnergyScore

BACKBONE = partial(Transformer, dim=48, depth=1, heads=4)
DISTANCES = (torch.arange(PLACES)[:, None] - torch.arange(PLACES)).float().square()
TEMPERATURES = (0.5, 0.7, 0.8, 0.9, 1.0, 1.1, 1.3)
MLE_STEPS, RL_STEPS = 300, 60
LOG = logging.getLogger(__name__)


def fit(model, data, steps):
    runner = Trainer(
        max_steps=steps, accelerator="cpu", logger=False, enable_progress_bar=False,
        enable_model_summary=False, enable_checkpointing=False,
    )  # fmt: skip
    runner.fit(model, data)
    return runner


@pytest.fixture(scope="module")
def mle(tmp_path_factory):
    """An MLE checkpoint and the model, by the slips of its world."""
    folder, trained = tmp_path_factory.mktemp("mle"), {}
    for name, slips in (("skewed", SKEWED), ("symmetric", SYMMETRIC)):
        torch.manual_seed(0)
        fast = partial(torch.optim.AdamW, lr=1e-2)
        model = MLEWorldModel(
            codec=PlaceCodec(), backbone=BACKBONE, optimizer=fast, schedule="cosine"
        )
        runner = fit(model, moves(slips, MLE_STEPS, 256, seed=0), MLE_STEPS)
        runner.save_checkpoint(folder / name)
        trained[name] = model, folder / name
    return trained


@torch.no_grad()
def log_probs(model):
    """What a model holds possible after each move, [N, PLACES]."""
    return model.logits(model.codec.encode(all_moves())).log_softmax(-1)


def rlvr(weights, reward, slips):
    """What RLVR from an MLE checkpoint holds possible after each move."""
    torch.manual_seed(0)
    model = RLVRWorldModel(
        codec=PlaceCodec(),
        backbone=BACKBONE,
        weights=weights,
        rewards={"reward": reward},
        optimizer=partial(torch.optim.AdamW, lr=3e-3),
        schedule="cosine",
        warmup_steps=10,
        num_minibatches=2,
        objective=GRPO(kl_weight=0.0, normalize_advantages=False),
        temperature_lr=0.02,
    )
    fit(model, moves(slips, RL_STEPS, 64, seed=1), 2 * RL_STEPS)
    return log_probs(model).exp()


def risk(probs, slips):
    """The expected squared error of answers that are drawn from some probabilities [N, PLACES]."""
    return float(torch.einsum("na,ab,nb->n", probs, DISTANCES, slips.ends(all_moves())).mean())


def energy(probs, slips):
    """The expected energy score of answers that are drawn from some probabilities [N, PLACES]."""
    gaps = DISTANCES.sqrt()
    own = torch.einsum("na,ab,nb->n", probs, gaps, probs)
    return float(
        (torch.einsum("na,ab,nb->n", probs, gaps, slips.ends(all_moves())) - own / 2).mean()
    )


def rows(model, slips):
    """The risk of an MLE model by how its answers are chosen."""
    believed = log_probs(model)
    sampled = {t: risk((believed / t).softmax(-1), slips) for t in TEMPERATURES}
    likeliest = one_hot(believed.argmax(-1), PLACES).float()
    least = one_hot((believed.exp() @ DISTANCES).argmin(-1), PLACES).float()
    ideal = one_hot((slips.ends(all_moves()) @ DISTANCES).argmin(-1), PLACES).float()
    return {
        "mle": sampled[1.0],
        "likeliest": risk(likeliest, slips),
        "best_sampling": min(*sampled.values(), risk(likeliest, slips)),
        "mbr": risk(least, slips),
        "floor": risk(ideal, slips),
    }


def shown(found):
    return ", ".join(f"{name} {value:.1f}" for name, value in found.items())


def test_rlvr_goes_where_no_temperature_and_no_sharpening_goes(mle):
    model, weights = mle["skewed"]
    found = rows(model, SKEWED)
    table = log_probs(model).view(STARTS, ACTIONS, PLACES)
    for name, reward in (("rlvr", SquaredError()), ("sharpened", Likelihood(table))):
        found[name] = risk(rlvr(weights, reward, SKEWED), SKEWED)
    LOG.info(shown(found))
    assert found["best_sampling"] > 1.5 * found["mbr"]
    assert found["rlvr"] < 1.15 * found["mbr"]
    assert found["sharpened"] > found["best_sampling"]


def test_where_the_likeliest_answer_is_the_best_nothing_is_left_to_gain(mle):
    model, weights = mle["symmetric"]
    found = rows(model, SYMMETRIC)
    found["rlvr"] = risk(rlvr(weights, SquaredError(), SYMMETRIC), SYMMETRIC)
    LOG.info(shown(found))
    assert found["best_sampling"] < 1.1 * found["floor"]
    assert found["best_sampling"] < found["rlvr"] < 0.7 * found["mle"]


def test_the_energy_score_gives_back_the_spread_that_sharpening_takes(mle, tmp_path):
    model, weights = mle["skewed"]
    checkpoint = torch.load(weights, weights_only=True)
    checkpoint["state_dict"]["backbone.norm.weight"] *= 2
    torch.save(checkpoint, tmp_path / "sharp")
    sharp = energy((2 * log_probs(model)).softmax(-1), SKEWED)
    found = energy(rlvr(tmp_path / "sharp", EnergyScore(SquaredError()), SKEWED), SKEWED)
    least = energy(SKEWED.ends(all_moves()), SKEWED)
    LOG.info(shown({"energy_sharp": sharp, "energy_rlvr": found, "energy_least": least}))
    assert found - least < (sharp - least) / 2

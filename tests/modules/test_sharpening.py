"""RL towards what MLE holds likely: its advantages are by hand, and no reward changes them."""

from functools import partial

import pytest
import torch
from dials import DIALS, DialCodec, DialsRight, Transitions
from lightning import Trainer
from torch.utils.data import DataLoader

from rlvr_world.modules.sharpening import SharpeningWorldModel
from rlvr_world.nn.transformer import Transformer

PROMPTS, GROUP = 8, 4


class Pretrained(Transformer):
    """A backbone that RLVR may start from without a checkpoint."""

    is_pretrained = True


class Spy(SharpeningWorldModel):
    rolled = ()

    def rollout(self, batch):
        rollout = super().rollout(batch)
        self.rolled = (*self.rolled, rollout)
        return rollout


def trained(weight, steps):
    torch.manual_seed(0)
    model = Spy(
        codec=DialCodec(), backbone=partial(Pretrained, dim=16, depth=1, heads=2),
        rewards={"right": DialsRight(weight)}, group_size=GROUP, num_minibatches=1,
        optimizer=partial(torch.optim.AdamW, lr=1e-2),
    )  # fmt: skip
    batch = next(iter(DataLoader(Transitions(PROMPTS, 0, slip=0.4), PROMPTS)))
    Trainer(
        accelerator="cpu", enable_checkpointing=False, logger=False, max_steps=steps,
        enable_progress_bar=False, enable_model_summary=False,
    ).fit(model, DataLoader([batch] * steps, batch_size=None))  # fmt: skip
    return model


@pytest.fixture(scope="module")
def sharpened():
    return trained(1.0, 30)


def test_a_token_is_worth_the_likelihood_from_itself_on(sharpened):
    rollout = sharpened.rolled[0]
    own = rollout.reference_log_probs[:, -DIALS:]
    for token in range(DIALS):
        ahead = own[:, token:].sum(dim=1).unflatten(0, (PROMPTS, GROUP))
        centred = ahead - ahead.mean(dim=1, keepdim=True)
        expected = (centred / (ahead.std(dim=1, keepdim=True) + 1e-6)).flatten()
        torch.testing.assert_close(rollout.advantages[:, token - DIALS], expected)
    assert not rollout.advantages[:, :-DIALS].any()


def test_predictions_become_what_mle_holds_likely(sharpened):
    means = [rollout.reference_log_probs.sum(dim=1).mean() for rollout in sharpened.rolled]
    assert torch.stack(means[-5:]).mean() > torch.stack(means[:5]).mean() + 0.2


def test_no_reward_changes_what_is_learned(sharpened):
    other = trained(100.0, 30)
    for mine, theirs in zip(sharpened.parameters(), other.parameters(), strict=True):
        assert torch.equal(mine, theirs)

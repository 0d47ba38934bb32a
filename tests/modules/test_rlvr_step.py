"""One RLVR step against what the paper's algorithm prescribes, on a toy world."""

import copy
from functools import partial

import pytest
import torch
from dials import DIALS, DialCodec, DialsRight, Transitions
from lightning import Trainer
from torch.utils.data import DataLoader

from rlvr_world.modules.rlvr import RLVRWorldModel
from rlvr_world.nn.transformer import Transformer
from rlvr_world.reward import Reward
from rlvr_world.rl.grpo import GRPO
from rlvr_world.rl.sampler import Sampler

PROMPTS, GROUP = 6, 4
SGD = partial(torch.optim.SGD, lr=1.0)


class Pretrained(Transformer):
    """A backbone that RLVR may start from without a checkpoint."""

    is_pretrained = True


BACKBONE = partial(Pretrained, dim=16, depth=1, heads=2)


class Engine(Sampler):
    """An engine that reports two thirds of the probability of each token that it draws."""

    needs_correction = True

    def __call__(self, *arguments):
        sequence, log_probs = super().__call__(*arguments)
        return sequence, (log_probs - torch.tensor(1.5).log()).where(sequence.target_mask, 0.0)


class EvenPrompts(Reward):
    """As ``DialsRight``, but 1 for whatever is predicted after an odd first dial."""

    def score(self, prediction, target, given):
        right = (prediction == target).float().mean(dim=1)
        return torch.where(given["state"][:, 0] % 2 == 0, right, 1.0)


class Spy(RLVRWorldModel):
    """Remembers its rollouts, and for each optimizer step the minibatch and the learning rate."""

    def __init__(self, **options):
        torch.manual_seed(0)
        settings = {
            "codec": DialCodec(), "backbone": BACKBONE, "rewards": {"right": DialsRight()},
            "group_size": GROUP, "num_minibatches": 2, "optimizer": SGD,
        }  # fmt: skip
        super().__init__(**(settings | options))
        self.rollouts, self.minibatches, self.rates = [], [], []

    def rollout(self, batch):
        self.rollouts.append(super().rollout(batch))
        return self.rollouts[-1]

    def improve(self, minibatch):
        self.minibatches.append(minibatch)
        self.rates.append(self.optimizers().param_groups[0]["lr"])
        return super().improve(minibatch)


@pytest.fixture
def batch():
    return next(iter(DataLoader(Transitions(PROMPTS, 0, slip=0.4), PROMPTS)))


def trainer(**options):
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    return Trainer(accelerator="cpu", enable_checkpointing=False, **quiet, **options)


def trained(batch, rl_steps, **options):
    """A model after some RL steps on one and the same batch, and its weights before them."""
    model = Spy(**options)
    before = copy.deepcopy(model.backbone)
    steps = rl_steps * model.num_minibatches
    trainer(max_steps=steps).fit(model, DataLoader([batch] * rl_steps, batch_size=None))
    return model, before


def log_probs(backbone, sequence):
    """The log-probability of every predicted token: whole rows, no prompt shared."""
    logits = backbone.logits(backbone(sequence.ids[:, :-1])).float()
    chosen = logits.log_softmax(-1).gather(2, sequence.ids[:, 1:, None])[..., 0]
    return torch.nn.functional.pad(chosen, (1, 0)).where(sequence.target_mask, 0.0)


def flat(backbone):
    return torch.cat([parameter.detach().flatten() for parameter in backbone.parameters()])


def truth(batch, sequence):
    """The true next state of each row, looked up by its prompt."""
    known = torch.cat([batch["state"], batch["action"]], dim=1)
    rows = (sequence.ids[:, None, :-DIALS] == known).all(2).int().argmax(1)
    return batch["next_state"][rows]


def loss_by_hand(policy, old_policy, reference, sequence, batch, spreadless):
    """GRPO's loss of ``EvenPrompts``, a KL weight of 0.5 and ratios clipped to 0.95 and 1.1."""
    new, old = log_probs(policy, sequence), log_probs(old_policy, sequence).detach()
    away = log_probs(reference, sequence).detach() - new
    right = (sequence.ids[:, -DIALS:] == truth(batch, sequence)).float().mean(1)
    groups = right.where(sequence.ids[:, 0] % 2 == 0, 1.0).view(-1, GROUP)
    advantages = (groups - groups.mean(1, True)) / (groups.std(1, keepdim=True) + 1e-6)
    ratio, advantages = (new - old).exp(), advantages.view(-1, 1)
    surrogate = torch.minimum(ratio * advantages, ratio.clamp(0.95, 1.1) * advantages)
    mask = sequence.target_mask
    if spreadless == "drop":
        mask = mask & (groups.std(1) > 0).repeat_interleave(GROUP)[:, None]
    return ((0.5 * (away.exp() - away - 1) - surrogate) * mask).sum() / mask.sum().clamp(min=1)


@pytest.mark.parametrize("spreadless", ["keep", "drop"])
def test_the_weights_are_those_that_the_formula_gives(batch, spreadless):
    """Three RL steps of two optimizer steps each, replayed by a plain loop."""
    objective = GRPO(kl_weight=0.5, clip_low=0.05, clip_high=0.1, spreadless=spreadless)
    model, reference = trained(
        batch, 3, objective=objective, rewards={"even": EvenPrompts()}, schedule="linear",
        clip_norm=0.3, token_budget=40,
    )  # fmt: skip
    policy = copy.deepcopy(reference)
    for step, minibatch in enumerate(model.minibatches):
        if step % 2 == 0:
            old_policy = copy.deepcopy(policy)
        policies = policy, old_policy, reference
        loss = loss_by_hand(*policies, minibatch.sequence, batch, spreadless)
        gradients = torch.autograd.grad(loss, list(policy.parameters()))
        norm = torch.cat([gradient.flatten() for gradient in gradients]).norm()
        with torch.no_grad():
            for parameter, gradient in zip(policy.parameters(), gradients, strict=True):
                parameter -= (1 - step / 6) * gradient * min(1.0, 0.3 / norm)
    torch.testing.assert_close(flat(model.backbone), flat(policy), atol=2e-5, rtol=0)
    assert (flat(policy) - flat(reference)).norm() > 0.1


def test_the_reference_stays_the_policy_at_the_start(batch):
    model, before = trained(batch, 3)
    for rollout in model.rollouts:
        expected = log_probs(before, rollout.sequence).detach()
        torch.testing.assert_close(rollout.reference_log_probs, expected, atol=1e-5, rtol=1e-4)
    moved = model.rollouts[-1]
    assert (moved.log_probs - moved.reference_log_probs).abs().max() > 0.01


def test_a_step_is_no_longer_than_the_clipped_gradient(batch):
    for norm in (1e-2, 1e-3):
        model, before = trained(batch, 1, num_minibatches=1, clip_norm=norm)
        moved = (flat(model.backbone) - flat(before)).norm()
        torch.testing.assert_close(moved, torch.tensor(norm), rtol=1e-2, atol=0)


@pytest.mark.parametrize(
    ("schedule", "warmup", "rates"),
    [("linear", 0, [1, 3 / 4, 2 / 4, 1 / 4]), ("constant_with_warmup", 2, [0, 1 / 2, 1, 1])],
)
def test_the_schedule_steps_with_the_optimizer(batch, schedule, warmup, rates):
    model, _ = trained(batch, 2, schedule=schedule, warmup_steps=warmup)
    assert model.rates == pytest.approx(rates)


def test_each_rl_step_draws_samples_and_minibatches_of_its_own(batch):
    still = partial(torch.optim.SGD, lr=0.0)
    model, _ = trained(batch, 3, optimizer=still)
    draws, firsts = [], []
    for step, rollout in enumerate(model.rollouts):
        expected, _ = model.sample(batch, Sampler(), GROUP, model.generator(step))
        assert torch.equal(rollout.sequence.ids, expected.ids)
        draws.append(rollout.sequence.ids[:, -DIALS:])
        order = torch.randperm(PROMPTS, generator=model.generator(step, 1))[: PROMPTS // 2]
        firsts.append(order.tolist())
        prompts = model.minibatches[2 * step].sequence.ids[::GROUP, :-DIALS]
        assert torch.equal(prompts, rollout.sequence.ids[::GROUP, :-DIALS][order])
    assert not torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[1], draws[2])
    assert len(set(map(tuple, firsts))) > 1


def test_each_rank_draws_samples_of_its_own(batch, monkeypatch):
    model, draws = Spy(), []
    for rank in (0, 1):
        monkeypatch.setattr(Spy, "global_rank", rank)
        sequence, _ = model.sample(batch, Sampler(), GROUP, model.generator(0))
        draws.append(sequence.ids)
    assert not torch.equal(*draws)
    monkeypatch.setattr(Spy, "global_rank", 0)
    again, _ = model.sample(batch, Sampler(), GROUP, model.generator(0))
    assert torch.equal(again.ids, draws[0])


def test_groups_without_spread_are_not_trained_on_where_they_are_dropped(batch):
    dropped = GRPO(spreadless="drop", entropy_weight=1.0)
    model, _ = trained(batch, 1, objective=dropped, rewards={"even": EvenPrompts()})
    (rollout,) = model.rollouts
    spread = rollout.rewards.view(PROMPTS, GROUP).std(1) > 0
    assert 0 < spread.sum() < PROMPTS
    expected = rollout.sequence.target_mask & spread.repeat_interleave(GROUP)[:, None]
    assert torch.equal(rollout.trained, expected)
    odd = batch | {"state": torch.ones_like(batch["state"])}
    model, before = trained(odd, 1, objective=dropped, rewards={"even": EvenPrompts()})
    assert torch.equal(flat(model.backbone), flat(before))


def test_an_engines_tokens_weigh_policy_over_engine(batch):
    model, before = trained(batch, 1, sampler=Engine())
    (rollout,) = model.rollouts
    mask = rollout.sequence.target_mask
    torch.testing.assert_close(rollout.importance, torch.where(mask, 1.5, 1.0))
    expected = log_probs(before, rollout.sequence).detach()
    torch.testing.assert_close(rollout.log_probs, expected, atol=1e-5, rtol=1e-4)

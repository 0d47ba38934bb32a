"""Tables that tokens share by their features, and embeddings of places."""

import copy

import pytest
import torch
from torch.testing import assert_close
from transformers import LlamaForCausalLM

from rlvr_world.nn.geometry import latest_actions
from rlvr_world.nn.transformer import Transformer
from rlvr_world.rl.sampler import Sampler
from rlvr_world.types import TokenSequence

TOKENS, FRAMES, LENGTH = 12, 3, 15
FEATURES = torch.randn(TOKENS, 4, generator=torch.Generator().manual_seed(0))
NONE = [[0, 0, 0]]
PLACES = torch.tensor(
    [row for frame in (1, 2, 3) for row in [[1, 1, frame], [2, 1, frame], [3, 1, frame]] + 2 * NONE]
)
"""Three frames of three codes, each with two tokens of an action after it."""


class Grid:
    def features(self):
        return FEATURES

    def places(self, frames):
        return PLACES[: 5 * frames]


class Words:
    def features(self):
        return None

    def places(self, frames):
        return None


GRID, WORDS = Grid(), Words()


def model(codec=GRID, **options):
    torch.manual_seed(0)
    made = Transformer(TOKENS, dim=16, depth=2, heads=2, **options)
    made.learn_geometry(codec)
    return made.eval()


def ids(rows=2, length=LENGTH, seed=0):
    return torch.randint(TOKENS, (rows, length), generator=torch.Generator().manual_seed(seed))


def test_rows_are_their_own_plus_what_their_features_share():
    shared = model(features=True)
    for layer in (shared.embedding, shared.head):
        own = layer.parametrizations.weight
        assert_close(layer.weight, own.original + FEATURES @ own[0].matrix)
    hidden = torch.randn(5, 16)
    own = shared.head.parametrizations.weight
    expected = hidden @ own.original.T + (hidden @ own[0].matrix.T) @ FEATURES.T
    assert_close(shared.logits(hidden), expected)


def test_shared_tables_fold_into_those_of_a_llama(tmp_path):
    shared = model(features=True)
    shared.export(tmp_path)
    llama = LlamaForCausalLM.from_pretrained(tmp_path)
    with torch.no_grad():
        assert_close(llama(ids()).logits, shared.logits(shared(ids())), rtol=1e-4, atol=1e-5)


def test_without_options_nothing_changes():
    plain = Transformer(TOKENS, dim=16, depth=2, heads=2)
    names = plain.state_dict().keys()
    plain.learn_geometry(GRID)
    assert plain.state_dict().keys() == names


def test_an_input_knows_the_place_that_it_predicts():
    placed = model(frames=FRAMES)
    table = placed.places.table.weight
    rows, columns = 4, 2
    first = placed.places(0, LENGTH)[0]
    row, _, frame = PLACES[1]
    assert_close(first, table[row] + table[rows + 1] + table[rows + columns + frame])
    last = placed.places(LENGTH - 1, 1)[0]
    assert_close(last, table[0] + table[rows] + table[rows + columns])


def test_the_latest_actions_of_each_position():
    latest = latest_actions(PLACES)
    assert latest[2].tolist() == [[-1, -1], [-1, -1]]
    assert latest[3].tolist() == [[-1, -1], [3, -1]]
    assert latest[6].tolist() == [[-1, -1], [3, 4]]
    assert latest[11].tolist() == [[3, 4], [8, 9]]
    assert latest[14].tolist() == [[8, 9], [13, 14]]


def test_an_input_hears_the_actions_before_the_frame_that_it_predicts_and_no_later_ones():
    told = model(frames=FRAMES, actions=True).placed_actions
    given = ids(rows=1)
    heard = told(given, 0, LENGTH)
    silent = [0, 1, 2, 3, 7, 8, 12, 13, 14]  # they predict actions, or a frame before any action
    assert not heard[0, silent].any()
    assert heard[0, [4, 5, 6, 9, 10, 11]].abs().sum(dim=-1).min() > 0
    assert not torch.allclose(heard[0, 4], heard[0, 5])
    for changed, positions in ((3, [4, 5, 6, 9, 10, 11]), (9, [9, 10, 11]), (5, []), (13, [])):
        other = given.clone()
        other[0, changed] = (given[0, changed] + 1) % TOKENS
        differs = (told(other, 0, LENGTH) != heard).any(dim=-1)[0]
        assert differs.nonzero().flatten().tolist() == positions


@pytest.mark.parametrize("static", [False, True])
@pytest.mark.parametrize("options", [{}, {"actions": True}])
def test_sampling_sees_the_places_and_actions_that_training_sees(options, static, monkeypatch):
    monkeypatch.setattr(Sampler, "static", lambda self, ids: static)
    placed = model(features=True, frames=FRAMES, **options)
    mask = torch.zeros(2, LENGTH, dtype=torch.bool)
    mask[:, 5:8] = mask[:, 10:13] = True
    template = TokenSequence(ids().masked_fill(mask, 0), mask)
    legal = torch.ones(TOKENS, dtype=torch.bool)
    source = torch.Generator().manual_seed(0)
    sequence, log_probs = Sampler()(placed, template, legal, 3, source)
    with torch.no_grad():
        logits = placed.logits(placed(sequence.ids[:, :-1]))
    expected = logits.log_softmax(-1).gather(-1, sequence.ids[:, 1:, None]).squeeze(-1)
    known = sequence.target_mask[:, 1:]
    assert_close(log_probs[:, 1:][known], expected[known], rtol=1e-4, atol=1e-4)


def test_a_shared_prompt_keeps_its_actions():
    told = model(frames=FRAMES, actions=True)
    prompts, members = ids(rows=2, length=7), ids(rows=6, length=8, seed=1)
    whole = torch.cat([prompts.repeat_interleave(3, 0), members], dim=1)
    with torch.no_grad():
        hidden = told(members, told.prompt_cache(prompts))
        assert_close(hidden, told(whole)[:, 7:], rtol=1e-4, atol=1e-5)


def test_a_copy_is_a_model_of_its_own():
    shared = model(features=True, frames=FRAMES)
    twin = copy.deepcopy(shared)
    with torch.no_grad():
        shared.embedding.parametrizations.weight[0].matrix.zero_()
    assert not torch.equal(twin.embedding.weight, shared.embedding.weight)
    assert_close(twin.state_dict()["head.parametrizations.weight.original"],
                 shared.state_dict()["head.parametrizations.weight.original"])  # fmt: skip


def test_what_cannot_be_is_one_sentence(tmp_path):
    with pytest.raises(ValueError, match=r"backbone\.features: Words knows none"):
        model(WORDS, features=True)
    with pytest.raises(ValueError, match=r"backbone\.frames: Words knows none"):
        model(WORDS, frames=2)
    with pytest.raises(ValueError, match=r"backbone\.frames: a sequence of 15 tokens .* take 10"):
        model(frames=2)(ids())
    with pytest.raises(ValueError, match=r"backbone\.actions needs backbone\.frames"):
        model(actions=True)
    with pytest.raises(ValueError, match=r"backbone\.frames: a model that learns places"):
        model(frames=FRAMES).export(tmp_path)

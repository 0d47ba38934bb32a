import copy
import os
import random
import sys

import pytest
import torch
import vllm_stand_in
from jsonargparse import ArgumentParser
from sequences import LEGAL, VOCAB, decided_model, seeded, teacher_forced, template
from torch import distributed

from rlvr_world.nn.llama import to_llama
from rlvr_world.nn.transformer import Transformer
from rlvr_world.rl.sampler import Sampler
from rlvr_world.rl.vllm.engine import make_llm
from rlvr_world.rl.vllm.sampler import VLLMSampler


@pytest.fixture
def model():
    return decided_model()


@pytest.fixture
def folder(model, tmp_path, monkeypatch):
    """A folder with a config alone, and the stand-in where vLLM would be."""
    monkeypatch.setitem(sys.modules, "vllm", vllm_stand_in.module())
    monkeypatch.setenv("VLLM_ENABLE_V1_MULTIPROCESSING", "1")
    to_llama(model).config.save_pretrained(tmp_path)
    return tmp_path


def make(folder, **arguments):
    return VLLMSampler(folder, dtype="float32", **arguments)


def llm():
    (engine,) = vllm_stand_in.LLM.made
    return engine


@pytest.mark.parametrize("padding", [(0, 0), (0, 2, 1)])
@pytest.mark.parametrize("pattern", ["....____", "...__..__.__", "...___.", "..._._..._"])
def test_given_tokens_stay_and_log_probs_equal_teacher_forcing(model, folder, pattern, padding):
    blank = template(pattern, padding)
    sequence, log_probs = make(folder)(model, blank, LEGAL, 5, seeded(1))
    expected = blank.repeat(5)
    assert torch.equal(sequence.target_mask, expected.target_mask)
    assert torch.equal(sequence.ids[~sequence.target_mask], expected.ids[~expected.target_mask])
    assert LEGAL[sequence.ids[sequence.target_mask]].all()
    assert (sequence.padding is None) == (not any(padding))
    assert not any(padding) or torch.equal(sequence.padding, expected.padding)
    assert log_probs.dtype == torch.float32
    torch.testing.assert_close(log_probs, teacher_forced(model, sequence), atol=1e-4, rtol=0)


def test_a_run_is_a_round_and_the_first_one_shares_its_prompt(model, folder):
    blank = template("...__..__.__", (0, 1))
    sequence, _ = make(folder)(model, blank, LEGAL, 3, seeded(1))
    rounds = llm().requests
    assert [len(prompts) for prompts, _ in rounds] == [2, 6, 6]
    assert [params[0].n for _, params in rounds] == [3, 1, 1]
    assert all(params.max_tokens == 2 for _, group in rounds for params in group)
    assert rounds[0][0][1]["prompt_token_ids"] == blank.ids[1, 1:3].tolist()
    assert rounds[2][0][4]["prompt_token_ids"] == sequence.ids[4, 1:10].tolist()


def test_samples_follow_the_model_where_not_all_tokens_are_legal(model, folder):
    blank = template("..._", padding=(0,))
    sequence, _ = make(folder)(model, blank, LEGAL, 5_000, seeded(0))
    logits = model.logits(model(blank.ids))[0, 2].masked_fill(~LEGAL, float("-inf"))
    expected = logits.softmax(-1)
    counts = torch.bincount(sequence.ids[:, 3], minlength=VOCAB) / 5_000
    assert (counts - expected).abs().max() < 4 * (expected.max() / 5_000).sqrt()
    assert counts[2] > 0, "the token that config.json calls the end of a sequence"


def test_all_tokens_legal_sends_no_list(model, folder):
    make(folder)(model, template("..__"), torch.ones(VOCAB, dtype=torch.bool))
    assert llm().requests[0][1][0].allowed_token_ids is None


@pytest.mark.parametrize("pattern", ["...________", "..____..____."])
def test_a_row_that_draws_the_end_token_is_finished(model, folder, pattern):
    blank = template(pattern, (0, 1))
    sequence, log_probs = make(folder)(model, blank, LEGAL, 8, seeded(3), end_token=4)
    given = blank.repeat(8)
    lengths = set()
    for ids, mask, row, said in zip(*sequence[:2], given.target_mask, log_probs, strict=True):
        drawn = ((ids == 4) & row).nonzero().flatten()
        last = int(drawn[0]) if len(drawn) else len(ids) - 1
        assert torch.equal(mask[: last + 1], row[: last + 1])
        assert not mask[last + 1 :].any()
        assert (ids[last + 1 :] == 4).all()
        assert (said[last + 1 :] == 0).all()
        lengths.add(last)
    assert len(lengths) > 3
    assert len(ids) - 1 in lengths
    torch.testing.assert_close(log_probs, teacher_forced(model, sequence), atol=1e-4, rtol=0)


def test_seeds_reproduce_and_every_sample_has_noise_of_its_own(model, folder):
    blank = template(".." + "_" * 20, padding=(0,)).repeat(2)
    sampler = make(folder)
    draws = [sampler(model, blank, LEGAL, 4, seeded(seed))[0].ids for seed in (7, 7, 8)]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])
    assert len(draws[0].unique(dim=0)) == 8
    torch.manual_seed(5)
    sampler(model, blank, LEGAL)


def test_weights_are_handed_over_when_they_have_changed_and_only_then(model, folder):
    sampler, blank = make(folder), template("....____")
    before = sampler(model, blank, LEGAL, 2, seeded(1))[0].ids
    assert torch.equal(sampler(model, blank, LEGAL, 2, seeded(1))[0].ids, before)
    handed_over = ["reload_weights", "reset_prefix_cache"]
    assert llm().calls == handed_over
    model.head.weight.data[3, 5] += 1e-6  # as a kernel of its own writes: unseen by autograd
    sampler(model, blank, LEGAL, 2, seeded(1))
    assert llm().calls == handed_over * 2
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    model.logits(model(blank.ids)).square().sum().backward()
    optimizer.step()
    sequence, log_probs = sampler(model, blank, LEGAL, 2, seeded(1))
    assert not torch.equal(sequence.ids, before)
    torch.testing.assert_close(log_probs, teacher_forced(model, sequence), atol=1e-4, rtol=0)


def test_another_model_takes_over_the_engine(model, folder):
    sampler, blank = make(folder), template("..____")
    sampler(model, blank, LEGAL)
    other = Transformer(VOCAB, dim=32, depth=2, heads=4)
    sequence, log_probs = sampler(other, blank, LEGAL)
    torch.testing.assert_close(log_probs, teacher_forced(other, sequence), atol=1e-4, rtol=0)


def test_an_engine_that_sleeps_between_calls_wakes_with_the_weights(model, folder):
    sampler, blank = make(folder, sleep=True), template("..__.__")
    for _ in range(2):
        sequence, log_probs = sampler(model, blank, LEGAL, 2, seeded(1))
        torch.testing.assert_close(log_probs, teacher_forced(model, sequence), atol=1e-4, rtol=0)
    first = ["reload_weights", "reset_prefix_cache", "sleep 2"]
    again = ["wake weights", "reload_weights", "wake kv_cache", "reset_prefix_cache", "sleep 2"]
    assert llm().calls == first + again


def test_weights_travel_to_other_processes_as_a_list(model, folder):
    sampler, blank = make(folder, tensor_parallel_size=2), template("..__")
    sequence, log_probs = sampler(model, blank, LEGAL)
    torch.testing.assert_close(log_probs, teacher_forced(model, sequence), atol=1e-4, rtol=0)


def test_making_the_engine_leaves_global_random_states_alone(folder):
    states = torch.random.get_rng_state(), random.getstate()
    make_llm(make(folder).engine.arguments)
    assert torch.equal(torch.random.get_rng_state(), states[0])
    assert random.getstate() == states[1]


def test_where_training_has_several_processes_each_has_an_engine(
    model, folder, tmp_path, monkeypatch
):
    names = ("RANK", "LOCAL_RANK", "WORLD_SIZE")
    for name in names:
        monkeypatch.setenv(name, "")  # so that it is restored, whatever it was
        monkeypatch.delenv(name)
    store = distributed.FileStore(str(tmp_path / "store"), 1)
    distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    try:
        make(folder)(model, template("..__"), LEGAL)
        with pytest.raises(ValueError, match="tensor_parallel_size"):
            make(folder, tensor_parallel_size=2)(model, template("..__"), LEGAL)
    finally:
        distributed.destroy_process_group()
    assert llm().arguments["distributed_executor_backend"] == "external_launcher"
    assert [os.environ[name] for name in names] == ["0", "0", "1"]


def test_further_arguments_reach_the_engine(model, folder):
    make(folder, engine={"max_num_seqs": 8, "enforce_eager": True})(model, template(".._"), LEGAL)
    assert llm().arguments["max_num_seqs"] == 8
    assert llm().arguments["enforce_eager"]


def test_yaml_chooses_either_sampler_by_class_path(folder):
    parser = ArgumentParser()
    parser.add_argument("--sampler", type=Sampler | VLLMSampler)
    path = f"{VLLMSampler.__module__}.VLLMSampler"
    entry = {"class_path": path, "init_args": {"model": str(folder), "sleep": True}}
    sampler = parser.instantiate(parser.parse_object({"sampler": entry})).sampler
    assert isinstance(sampler, VLLMSampler)
    assert sampler.engine.arguments["enable_sleep_mode"]
    assert sampler.needs_correction


def test_a_copy_makes_an_engine_of_its_own(model, folder):
    sampler = make(folder)
    sampler(model, template("..__"), LEGAL)
    twin = copy.deepcopy(sampler)
    twin(model, template("..__"), LEGAL)
    assert len(vllm_stand_in.LLM.made) == 2
    assert twin.engine.llm is not sampler.engine.llm


def test_missing_vllm_is_one_clear_sentence(model, folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "vllm", None)
    said = r"VLLMSampler needs the package vllm: pip install 'rlvr-world\[vllm\]'"
    with pytest.raises(ModuleNotFoundError, match=said):
        make(folder)(model, template("..__"), LEGAL)


def test_a_sequence_that_is_too_long_is_named_before_anything_is_sampled(model, folder):
    sampler = make(folder, max_model_len=8)
    sampler(model, template("..____.....", (0, 0)), LEGAL)
    sampler(model, template("....______", (3, 2)), LEGAL)
    with pytest.raises(ValueError, match="max_model_len: a sequence of 9 tokens does not fit"):
        sampler(model, template("....______", (3, 1)), LEGAL)
    assert len(llm().requests) == 2


def test_a_row_without_given_tokens_is_refused(model, folder):
    with pytest.raises(ValueError, match="given position and a predicted one"):
        make(folder)(model, template("..__", (0, 2)), LEGAL)


def test_another_vocabulary_is_named(model, folder):
    with pytest.raises(ValueError, match="names 23 tokens, but the codec has 30"):
        make(folder)(model, template("..__"), torch.ones(30, dtype=torch.bool))


def test_a_folder_without_a_config_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"config\.json"):
        VLLMSampler(tmp_path)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        VLLMSampler(tmp_path / "nowhere")
    assert str(VLLMSampler("owner/name").path) == "owner/name"

import json
from types import SimpleNamespace

import pytest
import torch

from benchmarks import paper
from benchmarks.__main__ import main
from benchmarks.floors import decode_bytes, update_operations
from benchmarks.generate import generated
from benchmarks.rollout import SHAPES, Shape, cache_bytes
from benchmarks.step import member_log_probs
from rlvr_world.nn.llama import to_llama
from rlvr_world.nn.transformer import Transformer


def tiny(name, tmp_path, *options):
    path = tmp_path / "rows.json"
    main(
        [name, "--scale", "tiny", "--rounds", "1", "--device", "cpu", "--json", str(path), *options]
    )
    return {row["case"]: row for row in json.loads(path.read_text())["rows"]}


def test_rollout_compares_every_shape_with_generate(tmp_path):
    rows = tiny("rollout", tmp_path)
    assert {"single-step", "multi-step", "text"} < set(rows)
    assert all(rows[name]["ratio"] > 0 for name in ("single-step", "multi-step", "text"))
    assert rows["single-step"]["units"] == 2 * 3 * 6


def test_steps_of_an_environment_are_compared_with_whole_prompts(tmp_path):
    rows = tiny("environment", tmp_path, "--batches", "1", "2")
    units = {name: row["units"] for name, row in rows.items()}
    for tokens in (16, 4):
        assert [units[f"batch {n}, {tokens} tokens"] for n in (1, 2)] == [3, 6]
        assert [units[f"batch {n}, {tokens} tokens, last step"] for n in (1, 2)] == [1, 2]
    assert len(units) == 8
    assert all(row["theirs"]["name"] == "whole prompt each step" for row in rows.values())


def test_generate_fills_what_a_template_leaves_blank():
    torch.manual_seed(0)
    shape = Shape(3, 4, 9, 2, 5, rounds=3, given=2)
    model = Transformer(64, dim=32, depth=2, heads=2).eval()
    template = shape.template(64)
    assert template.padding.tolist() == [5, 3, 0]
    assert generated(to_llama(model).eval(), template, 2) == shape.tokens == 3 * 2 * 5 * 3


def test_the_cache_on_paper_is_the_cache_in_memory():
    shape = Shape(3, 8, 8, 2, 5)
    model = Transformer(64, dim=32, depth=2, heads=2).eval()
    _, cache = model.sampling_cache(shape.template(64).ids[:, :8], 2, 5)
    parts = [
        part
        for layer in cache.layers
        for part in (layer.prompt_key, layer.prompt_value, *layer.keys, *layer.values)
    ]
    assert sum(part.nbytes for part in parts) == cache_bytes(model, shape)


def test_paper_measures_rollouts_beside_generate(tmp_path):
    rows = tiny("paper", tmp_path, "--cases", "rollout", "generate")
    assert rows["rollout beside generate"]["ratio"] > 0
    assert rows["multi-step rollout"]["units"] == 4 * 4 * 4 * 3


def test_the_multi_step_sequence_is_the_papers():
    codec = SimpleNamespace(tokens_per_frame=80, prefix_places=range(32 * 40))
    shape = paper.shape_of("multi-step", codec, paper.FULL)
    assert shape == paper.FULL["rollouts"]["multi-step"]


def test_floors_of_a_model_counted_by_hand():
    """Without layers and members' own history, decoding reads the weights once for each token."""
    model = Transformer(10, dim=8, depth=1, heads=1, hidden=4)
    shape = Shape(1, 3, 3, 1, 1)
    weights = 4 * sum(p.numel() for p in model.parameters())
    cache = 4 * 2 * 8 * (3 + 0.5)
    assert decode_bytes(model, shape, 4) == pytest.approx(weights + cache)
    multiplied = sum(p.numel() for p in model.parameters()) - 80
    attention = 4 * 8 * (3 * 3 / 2 + 1 * (3 + 0.5))
    assert update_operations(model, shape) == pytest.approx(4 * (2 * multiplied * 4 + attention))


def test_shared_and_repeated_prompts_have_the_same_gradients():
    torch.manual_seed(0)
    model = Transformer(64, dim=32, depth=2, heads=2)
    prompts, own = torch.randint(64, (2, 9)), torch.randint(64, (6, 5))
    gradients = []
    for shared in (True, False):
        model.zero_grad()
        member_log_probs(model, prompts, own, shared).mean().backward()
        gradients.append(torch.cat([p.grad.flatten() for p in model.parameters()]))
    torch.testing.assert_close(*gradients, atol=1e-4, rtol=0)
    assert gradients[0].abs().max() > 1e-3


def test_step_compares_whole_steps_with_trl(tmp_path):
    pytest.importorskip("trl", reason="trl is not installed: pip install -e '.[benchmarks]'")
    rows = tiny("step", tmp_path)
    assert rows["GRPO step"]["ratio"] > 0
    assert sum(name.startswith("update") for name in rows) == 3


def test_the_shapes_are_those_of_the_claims():
    assert str(SHAPES["single-step"]) == "16 prompts of 272 tokens x 16 members, 64 new"
    assert SHAPES["multi-step"].own == 7 * 20 - 4

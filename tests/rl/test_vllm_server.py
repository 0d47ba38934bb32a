import copy
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
import torch
from dials import DIALS
from sequences import LEGAL, VOCAB, decided_model, seeded, teacher_forced, template
from server_ranks import GROUP, train, write_config
from vllm_server_stand_in import Server, modules

from rlvr_world.nn.llama import to_llama
from rlvr_world.nn.transformer import Transformer
from rlvr_world.rl.vllm.sampler import VLLMSampler

SCRIPT = Path(__file__).with_name("server_ranks.py")
UPDATE = [
    "pause", "update_weight_version", "start_weight_update", "update_weights",
    "finish_weight_update", "reset_prefix_cache", "resume",
]  # fmt: skip
FIRST = ["get_models", "get_world_size", "init_weight_transfer_engine", *UPDATE]


@pytest.fixture
def model():
    return decided_model()


@pytest.fixture
def folder(model, tmp_path, monkeypatch):
    """A folder with a config alone, and the stand-in where vLLM's trainer side would be."""
    for name, module in modules().items():
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setenv("VLLM_ENABLE_V1_MULTIPROCESSING", "1")
    to_llama(model).config.save_pretrained(tmp_path / "served")
    return tmp_path / "served"


@pytest.fixture
def serve(folder):
    """Starts servers, which end with the test."""
    running, release = [], threading.Event()

    def start(folder=folder, **options):
        running.append(Server(folder, **options))
        running[-1].hang = lambda handler: release.wait(30)
        return running[-1]

    yield start
    release.set()
    for server in running:
        server.stop()


def make(folder, server, timeout=10.0):
    return VLLMSampler(folder, server=getattr(server, "url", server), timeout=timeout)


def step(model, blank):
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.05)
    model.logits(model(blank.ids)).square().sum().backward()
    optimizer.step()
    optimizer.zero_grad()


@pytest.mark.parametrize("pattern", ["....____", "...__..__.__"])
def test_samples_are_those_of_an_engine_in_this_process(model, folder, serve, pattern):
    blank = template(pattern, (0, 2, 1))
    ask = (model, blank, LEGAL, 4)
    sequence, log_probs = make(folder, serve())(*ask, seeded(1), end_token=4)
    inside = VLLMSampler(folder, dtype="float32")
    expected, expected_log_probs = inside(*ask, seeded(1), end_token=4)
    for name in ("ids", "target_mask", "padding"):
        assert torch.equal(getattr(sequence, name), getattr(expected, name))
    torch.testing.assert_close(log_probs, expected_log_probs, atol=1e-4, rtol=0)


def test_log_probs_are_the_models_own_after_each_update(model, folder, serve):
    server, blank = serve(), template("...__..__.__", (0, 1))
    sampler, asked = make(folder, server), FIRST
    for _ in range(3):
        sequence, log_probs = sampler(model, blank, LEGAL, 5, seeded(1))
        torch.testing.assert_close(log_probs, teacher_forced(model, sequence), atol=1e-4, rtol=0)
        assert log_probs[sequence.target_mask].std() > 0.1
        again = sampler(model, blank, LEGAL, 5, seeded(1))[0]
        assert torch.equal(again.ids, sequence.ids), "the weights are the same"
        assert server.paths == asked
        asked = asked + UPDATE
        step(model, blank)


def test_all_weights_arrive_whatever_they_are(model, folder, serve):
    server = serve()
    make(folder, server)(model, template("..__"), LEGAL)
    served = server.llm.model.state_dict()
    for name, tensor in to_llama(model).state_dict().items():
        assert torch.equal(served[name], tensor), name


def test_no_request_is_answered_from_half_of_the_weights(model, folder, serve):
    server, blank, answers = serve(), template("..__"), []
    sampler = make(folder, server)
    sampler(model, blank, LEGAL)
    before = server.version

    def ask():
        params = {"seed": 0, "logprobs": 0, "detokenize": False, "ignore_eos": True}
        body = json.dumps({"token_ids": [1, 2], "sampling_params": params}).encode()
        with urlopen(Request(f"{server.url}/inference/v1/generate", body), timeout=10) as response:
            answers.append(json.load(response)["choices"][0]["weight_versions"][0]["version"])

    def meanwhile(name):
        if name == "model.norm.weight":
            other.start()
            other.join(0.3)
            assert not answers
            assert server.version == "incomplete"

    other = threading.Thread(target=ask)
    server.faults["update_weights/tensor"] = meanwhile
    step(model, blank)
    sampler(model, blank, LEGAL)
    other.join(10)
    assert answers == [server.version]
    assert server.version not in (before, "incomplete")


def fails(sampler, model, *said, kind=ConnectionError):
    """Sampling is refused in one sentence that names the server."""
    with pytest.raises(kind) as error:
        sampler(model, template("..__"), LEGAL, 3)
    text = str(error.value)
    assert "\n" not in text
    for each in (*said, sampler.engine.client.url):
        assert each in text


@pytest.mark.parametrize("has_learnt", [False, True])
def test_a_server_that_was_restarted_is_refused(model, folder, serve, has_learnt):
    server, blank = serve(), template("..__")
    sampler = make(folder, server)
    sampler(model, blank, LEGAL)
    server.stop()
    again = serve(port=server.server_port)
    if has_learnt:
        step(model, blank)
    fails(sampler, model, "'default'", "was restarted")
    assert "update_weights" not in again.paths


def test_a_server_that_another_run_uses_is_refused(model, folder, serve):
    server = serve()
    first, second = make(folder, server), make(folder, server)
    first(model, template("..__"), LEGAL)
    other = Transformer(VOCAB, dim=32, depth=2, heads=4)
    second(other, template("..__"), LEGAL)
    fails(first, model, "another run uses it")


def test_weights_that_did_not_all_arrive_are_never_sampled(model, folder, serve):
    def break_off(name):
        if name == "model.norm.weight":
            raise ValueError("out of memory")

    server, blank = serve(), template("..__")
    sampler = make(folder, server, timeout=2.0)
    sampler(model, blank, LEGAL)
    server.faults["update_weights/tensor"] = break_off
    step(model, blank)
    count = len(server.seen)
    fails(sampler, model, "update_weights answered 500", "out of memory")
    assert server.version == "incomplete"
    fails(sampler, model, "'incomplete'")
    assert len(server.seen) == count


def drop(handler):
    handler.close_connection = True
    return True


REFUSALS = {
    "nothing listens": (None, None, ConnectionError, "cannot be reached"),
    "no samples": ("generate", lambda h: h.answer(500, {"error": "died"}), ConnectionError, "died"),
    "no transfer": (
        "init_weight_transfer_engine",
        lambda h: h.answer(500, {"error": "Weight transfer not configured"}),
        ConnectionError,
        "not configured",
    ),
    "no developer mode": ("get_world_size", lambda h: h.answer(404, {}), ConnectionError, "docs/"),
    "no JSON": ("get_models", lambda h: h.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n<p>") or drop(h),
                ConnectionError, "no vLLM server"),
    "cache is kept": ("reset_prefix_cache", lambda h: h.answer(200, {"success": False}),
                      ConnectionError, "did not drop"),
    "cuts answers": ("generate", drop, ConnectionError, "cannot be reached"),
    "an older vLLM": (
        "generate",
        lambda h: h.answer(200, {"choices": [{"index": 0, "token_ids": [1]}]}),
        ConnectionError,
        "older than vLLM 0.32",
    ),
    "hangs at samples": ("generate", "hang", TimeoutError, "within 2 s"),
    "hangs at weights": ("update_weights", "hang", TimeoutError, "within 2 s"),
    "hangs at pause": ("pause", "hang", TimeoutError, "within 2 s"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSALS)
def test_what_a_server_refuses_is_one_sentence(model, folder, serve, case):
    path, fault, kind, said = REFUSALS[case]
    server = serve()
    sampler = make(folder, server, timeout=2.0)
    if path is None:
        server.stop()
    else:
        server.faults[path] = server.hang if fault == "hang" else fault
    fails(sampler, model, said, kind=kind)


def test_another_model_is_named(model, folder, serve, tmp_path):
    wide = Transformer(VOCAB, dim=64, depth=2, heads=4)
    to_llama(wide).config.save_pretrained(tmp_path / "wide")
    said = (str(tmp_path / "wide"), str(folder))
    fails(make(folder, serve(tmp_path / "wide")), model, *said, kind=ValueError)
    fails(make(folder, serve(), timeout=2.0), wide, "answered 500", "no module or parameter")


def test_raw_log_probabilities_are_refused(model, folder, serve):
    server = serve(logprobs_mode="raw_logprobs")
    fails(make(folder, server), model, "--logprobs-mode processed_logprobs", kind=ValueError)


def test_no_address_is_named(folder):
    with pytest.raises(ValueError, match="127:8000 is no address"):
        make(folder, "127:8000")


def test_missing_vllm_is_one_clear_sentence(model, folder, serve, monkeypatch):
    monkeypatch.setitem(sys.modules, "vllm.distributed.weight_transfer", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'rlvr-world\[vllm\]'"):
        make(folder, serve())(model, template("..__"), LEGAL)


def test_connection_errors_are_tried_again_but_a_transfer_is_not(model, folder, serve):
    server, asked = serve(), []

    def drop_the_first(handler):
        asked.append(handler.path)
        return drop(handler) if asked.count(handler.path) == 1 else None

    for path in ("get_models", "generate", "pause", "resume"):
        server.faults[path] = drop_the_first
    sampler, blank = make(folder, server), template("..__")
    sequence, log_probs = sampler(model, blank, LEGAL)
    torch.testing.assert_close(log_probs, teacher_forced(model, sequence), atol=1e-4, rtol=0)
    assert asked.count("/v1/models") == 2
    server.faults["start_weight_update"] = drop_the_first
    step(model, blank)
    fails(sampler, model, "start_weight_update cannot be reached")


def test_sequences_that_the_server_cannot_hold_are_named(model, folder, serve):
    sampler = make(folder, serve(max_model_len=8))
    with pytest.raises(ValueError, match="a sequence of 9 tokens does not fit into 8"):
        sampler(model, template("....______", (3, 1)), LEGAL)
    with pytest.raises(ValueError, match="names 23 tokens, but the codec has 30"):
        sampler(model, template("..__"), torch.ones(30, dtype=torch.bool))


def test_a_copy_connects_anew(model, folder, serve):
    server, blank = serve(), template("..__")
    sampler = make(folder, server)
    sampler(model, blank, LEGAL)
    copy.deepcopy(sampler)(model, blank, LEGAL)
    assert server.paths == FIRST * 2


def test_rlvr_trains_two_steps(serve, tmp_path):
    write_config(tmp_path / "dials")
    server = serve(tmp_path / "dials")
    rlvr, steps = train(tmp_path / "dials", server.url)
    assert server.paths == FIRST + UPDATE
    assert len({step["version"] for step in steps}) == 2
    assert max(step["gap"] for step in steps) < 1e-4
    _, *asked = (params for _, params in server.seen)
    assert [(each.n, each.max_tokens) for each in asked] == [(GROUP, DIALS)] * 8
    served = server.llm.model.state_dict()["model.norm.weight"]
    assert not torch.equal(served, rlvr.backbone.norm.weight), "the last step came after it"


@pytest.mark.slow
def test_one_server_serves_all_ranks(serve, tmp_path):
    folder = tmp_path / "dials"
    write_config(folder)
    server = serve(folder)
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST", "SLURM"))}
    paths = (str(SCRIPT.parent), str(SCRIPT.parents[1]), environment.get("PYTHONPATH", ""))
    environment |= {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(paths)}
    result = subprocess.run(
        [sys.executable, SCRIPT, folder, server.url, "2"], env=environment, timeout=120,
        capture_output=True, text=True,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr[-3000:]
    ranks = [json.loads((folder / f"rank{rank}.json").read_text()) for rank in (0, 1)]
    for one, two in zip(*ranks, strict=True):
        assert one["version"] == two["version"]
        assert one["ids"] != two["ids"]
        assert max(one["gap"], two["gap"]) < 1e-4
    changes = [path for path in server.paths if not path.startswith("get_")]
    assert changes == [FIRST[2], *UPDATE, *UPDATE]

import json
from multiprocessing import Pipe, get_context
from pathlib import Path
from threading import Condition

import pytest
import torch

from benchmarks import data, harness, memory, tokenizer
from benchmarks.__main__ import main
from benchmarks.diffusers_vq import diffusers_model
from benchmarks.harness import Case, Contender, Unavailable, measure
from rlvr_world.video.tokenizer.vq_model import VQModel

CPU = torch.device("cpu")
MIB = 2**20
needs_proc = pytest.mark.skipif(
    not Path("/proc/self/statm").exists(), reason="resident memory is read from /proc"
)


@pytest.fixture
def clock(monkeypatch):
    """A clock that only the contenders of a test move."""
    now = [0.0]
    monkeypatch.setattr(harness.time, "perf_counter", lambda: now[0])
    return now


def timed(name, clock, calls, seconds, units=6):
    """A contender whose runs take these seconds; a warm-up and a run for memory come first."""
    ahead = iter([1000.0, 1000.0, *seconds])

    def work():
        calls.append(name)
        clock[0] += next(ahead)
        return units

    return Contender(name, lambda: work)


def test_contenders_run_in_turn_and_medians_are_compared(clock):
    calls = []
    case = Case(
        "c",
        "6 tokens",
        "tokens",
        timed("A", clock, calls, [2.0, 1.0, 9.0]),
        (timed("B", clock, calls, [4.0, 100.0, 6.0]), timed("C", clock, calls, [1.0, 1.0, 1.0])),
    )
    with_b, with_c = measure(case, CPU, rounds=3)
    assert "".join(calls) == "AABBCC" + "ABC" * 3
    assert (with_b.ratio, with_c.ratio) == (3.0, 0.5)
    record = with_b.record()
    assert record["ours"]["units_per_second"] == 3.0
    assert record["theirs"]["rounds"] == [4.0, 100.0, 6.0]


def test_a_case_without_rivals_has_a_row_without_ratio(clock):
    (row,) = measure(Case("c", "", "clips", timed("A", clock, [], [2.0])), CPU, rounds=1)
    assert row.record()["ratio"] is None
    assert row.record()["ours"]["seconds"] == 2.0


def refuse():
    raise Unavailable("it needs a GPU")


@pytest.mark.parametrize(
    ("rival", "reason"),
    [
        (Contender("B", refuse), "B is not available: it needs a GPU"),
        (Contender("B", refuse, ("no_such_package",)), "B is not available: No module named"),
    ],
)
def test_a_missing_rival_leaves_a_row_with_the_reason(clock, rival, reason):
    (row,) = measure(Case("c", "", "clips", timed("A", clock, [], [2.0]), (rival,)), CPU, rounds=1)
    assert row.ratio is None
    assert row.reason.startswith(reason)
    with pytest.raises((Unavailable, ImportError)):
        measure(Case("c", "", "clips", rival), CPU)


def test_contenders_must_do_the_same_work(clock):
    case = Case("c", "", "clips", timed("A", clock, [], []), (timed("B", clock, [], [], units=5),))
    with pytest.raises(ValueError, match=r"c: contenders must make the same clips, .*'B': 5"):
        measure(case, CPU)


def test_memory_is_the_rise_of_each_contender(monkeypatch):
    """Memory is 100 MiB, and what a contender holds until somebody has looked twice."""
    used, looks, looked = [100], [0], Condition()

    def resident():
        with looked:
            looks[0] += 1
            looked.notify_all()
        return used[0] * MIB

    def holding(mib):
        def work():
            used[0] += mib
            with looked:
                seen = looks[0]
                assert looked.wait_for(lambda: looks[0] > seen + 1, timeout=60)
            used[0] -= mib
            return 1

        return work

    monkeypatch.setattr(memory, "resident", resident)
    rival = Contender("B", lambda: holding(60))
    case = Case("c", "", "blocks", Contender("A", lambda: holding(1)), (rival,))
    (row,) = measure(case, CPU, rounds=0, warm_ups=0)
    assert row.ours.memory == 1 * MIB
    assert row.theirs.memory == 60 * MIB


def hold(pipe):
    """Hold 40 MiB, say so, and end when the other end of the pipe answers."""
    block = bytearray(b"x") * (40 * MIB)
    pipe.send(len(block))
    pipe.recv()


@needs_proc
def test_what_workers_hold_counts():
    before = memory.resident()
    ours, theirs = Pipe()
    worker = get_context("fork").Process(target=hold, args=(theirs,), daemon=True)
    worker.start()
    ours.recv()
    held = memory.private(Path(f"/proc/{worker.pid}"))
    during = memory.resident()
    ours.send(None)
    worker.join()
    assert held >= 40 * MIB
    assert during >= before + 30 * MIB
    assert memory.private(Path(f"/proc/{worker.pid}")) == 0


@pytest.mark.slow
def test_data_prints_and_writes_its_rows(tmp_path, capsys):
    path = tmp_path / "data.json"
    arguments = ["--scale", "tiny", "--workers", "0", "--rounds", "1", "--json", str(path)]
    main(["data", *arguments])
    written = json.loads(path.read_text())
    assert written["benchmark"] == "data"
    assert written["torch"] == torch.__version__
    assert {"device", "commit"} <= set(written)
    names = [f"{kind} {size}, 0 workers" for size in ("16x16", "32x40") for kind in data.KINDS]
    assert [row["case"] for row in written["rows"]] == names
    for row in written["rows"]:
        assert row["units"] == 8
        expected = row["theirs"]["seconds"] / row["ours"]["seconds"]
        assert row["ratio"] == pytest.approx(expected)
    assert "jpg 32x40, 0 workers" in capsys.readouterr().out


@pytest.mark.parametrize("kind", data.KINDS)
def test_both_loaders_give_batches_of_the_same_form(tmp_path, kind):
    shape = data.SHAPES["tiny"]["16x16"]
    data.write(tmp_path, shape, kind)
    mine = next(iter(data.ours(tmp_path, shape, 0)()))
    theirs = next(iter(data.theirs(tmp_path, shape, 0)()))
    assert set(theirs) == {"actions", "tokens" if kind == "tokens" else "frames"}
    for name, tensor in theirs.items():
        assert tensor.dtype == mine[name].dtype
        assert tensor.shape == mine[name].shape
        assert tensor.shape[:2] == (shape.batch, shape.clip)


@pytest.mark.slow
def test_tokenizer_writes_a_row_for_each_direction_and_precision(tmp_path):
    path = tmp_path / "tokenizer.json"
    main(["tokenizer", "--scale", "tiny", "--device", "cpu", "--rounds", "1", "--json", str(path)])
    rows = {row["case"]: row for row in json.loads(path.read_text())["rows"]}
    assert set(rows) == {
        f"{direction} {network}, {precision}"
        for direction in ("encode", "decode")
        for network in ("demo", "tiny")
        for precision in ("float32", "bf16")
    }
    for name, row in rows.items():
        assert row["ours"]["units_per_second"] > 0
        if "demo" in name:
            assert row["theirs"] is None
        else:
            assert row["ratio"] or "diffusers is not available" in row["reason"]


@pytest.mark.parametrize("name", ["rt1_frame", "pusht_demo"])
def test_the_rival_is_the_same_network(name):
    pytest.importorskip("diffusers")
    config = tokenizer.config(name) | tokenizer.COMMON
    with torch.device("meta"):
        mine, theirs = VQModel(**config), diffusers_model(**config)
    for part in ("encoder", "decoder"):
        counts = [sum(p.numel() for p in getattr(m, part).parameters()) for m in (mine, theirs)]
        assert counts[0] == counts[1]


def test_only_chosen_cases_are_measured():
    arguments = ["--scale", "tiny", "--device", "cpu", "--rounds", "1", "--precisions", "bf16"]
    rows = main(["tokenizer", *arguments, "--only", "encode demo"])
    assert [row.case.name for row in rows] == ["encode demo, bf16"]


def test_an_unknown_benchmark_is_refused(capsys):
    with pytest.raises(SystemExit):
        main(["sorting"])
    assert "invalid choice: 'sorting'" in capsys.readouterr().err

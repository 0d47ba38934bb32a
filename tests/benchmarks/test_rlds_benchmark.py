import json

import pytest

from benchmarks.__main__ import main

pytest.importorskip("tfrecord", reason="tfrecord is not installed")


@pytest.mark.slow
def test_rlds_counts_frames_and_memory(tmp_path):
    path = tmp_path / "rlds.json"
    main(["rlds", "--scale", "tiny", "--rounds", "1", "--device", "cpu", "--json", str(path)])
    rows = json.loads(path.read_text())["rows"]
    assert [row["case"] for row in rows] == ["as received", "halved"]
    for row in rows:
        assert row["units"] == 20
        assert row["ratio"] > 0
        assert row["notes"]["frames per CPU second"] > 0
        assert {"MiB for 20 frames", "MiB for 200 frames"} <= set(row["notes"])

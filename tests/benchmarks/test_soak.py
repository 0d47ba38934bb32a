"""The soak: what it measures, and a short one."""

import mmap
import os
import sys

import pytest

from benchmarks.soak import Held, grown, soak

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="what it reads is in /proc")


def test_it_measures_what_a_process_holds():
    before = Held.now(200)
    files = [os.pipe() for _ in range(50)]
    kept = mmap.mmap(-1, 20 * 2**20)
    for _ in range(20):
        kept.write(bytes(2**20))
    after = Held.now(2000)
    for pair in files:
        os.close(pair[0])
        os.close(pair[1])
    assert after.files == before.files + 100
    assert 19 < after.resident_mb - before.resident_mb < 25
    assert after.threads >= before.threads > 0
    shares = grown([Held(100, 9, 9, 9, 9, 9, 9), before, after])
    assert shares["files"] == pytest.approx(100 / before.files)
    kept.close()


@pytest.mark.slow
def test_a_short_soak_is_flat(tmp_path):
    held = soak(tmp_path, 120, every=10)
    assert [each.step for each in held] == list(range(10, 121, 10))
    late = [each for each in held if each.step > 60]
    assert max(each.resident_mb for each in late) < 1.03 * min(each.resident_mb for each in late)
    assert len({each.threads for each in late}) == 1
    assert all(each.processes >= 2 for each in held)

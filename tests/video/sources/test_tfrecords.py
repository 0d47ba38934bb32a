import gzip
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("tfrecord", reason="tfrecord is not installed")

from rlds_records import write_records

from rlvr_world.video.sources.tfrecords import BadRecord, find_records, masked_crc, read_record


def read_all(path):
    """The payloads of a file as far as they are whole, and what was noticed."""
    records = find_records(path)
    found, bad = {}, []
    for number, offset in enumerate(records.offsets):
        try:
            found[number] = read_record(path, offset)
        except BadRecord:
            bad.append(number)
    return found, bad, records.problem


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("records") / "three.tfrecord"
    write_records(path, [{"x": ([b"a" * size], "byte")} for size in (3, 200, 41)])
    return path


def test_reads_what_the_public_writer_wrote(file):
    found, bad, problem = read_all(file)
    assert [len(payload) for payload in found.values()] == sorted_lengths(file)
    assert b"a" * 200 in found[1]
    assert (bad, problem) == ([], None)


def sorted_lengths(file):
    """The lengths in the heads, by the format's definition."""
    data, offset, lengths = file.read_bytes(), 0, []
    while offset < len(data):
        (length,) = struct.unpack_from("<Q", data, offset)
        lengths.append(length)
        offset += 16 + length
    return lengths


def test_checksum_of_the_published_check_value():
    crc = 0xE3069283  # CRC-32C of the digits 1 to 9
    rotated = (crc >> 15) | (crc << 17 & 0xFFFFFFFF)
    assert masked_crc(b"123456789") == (rotated + 0xA282EAD8) % 2**32


def test_gzipped_files_hold_the_same_records(file, tmp_path):
    data, path = file.read_bytes(), tmp_path / "three.tfrecord.gz"
    path.write_bytes(gzip.compress(data))
    assert read_all(path) == read_all(file)
    backwards = [read_record(path, offset) for offset in find_records(path).offsets[::-1]]
    assert backwards == [*read_all(file)[0].values()][::-1]


@pytest.mark.parametrize("cut", [-1, -9, 30])
def test_a_gzipped_file_that_is_cut_or_broken_keeps_its_first_records(file, tmp_path, cut):
    packed, path = gzip.compress(file.read_bytes(), 0), tmp_path / "cut.tfrecord.gz"
    path.write_bytes(packed[:cut])
    found, bad, problem = read_all(path)
    assert not bad
    assert problem.startswith(f"cut.tfrecord.gz, record {len(found)}: the file is cut here")
    broken = bytearray(gzip.compress(file.read_bytes()[:-1]))
    path.write_bytes(broken)
    assert read_all(path)[2] == "cut.tfrecord.gz, record 2: the file is cut here"


def test_a_gzipped_file_cannot_claim_more_than_it_can_hold(tmp_path):
    size = (10**12).to_bytes(8, "little")
    path = tmp_path / "claim.tfrecord.gz"
    path.write_bytes(gzip.compress(size + masked_crc(size).to_bytes(4, "little") + bytes(100)))
    assert find_records(path).problem == "claim.tfrecord.gz, record 0: the file is cut here"


@settings(max_examples=150, deadline=None)
@given(place=st.integers(0, 10**9), bit=st.integers(0, 7))
def test_no_flipped_bit_goes_unnoticed(file, tmp_path_factory, place, bit):
    whole = read_all(file)[0]
    data = bytearray(file.read_bytes())
    place %= len(data)
    data[place] ^= 1 << bit
    path = tmp_path_factory.getbasetemp() / "flipped.tfrecord"
    path.write_bytes(data)
    found, bad, problem = read_all(path)
    assert all(whole[number] == payload for number, payload in found.items())
    assert (len(bad) == 1) != (problem is not None)
    assert len(found) + len(bad) + (problem is not None) >= 1


@settings(max_examples=60, deadline=None)
@given(length=st.integers(0, 10**9))
def test_a_cut_file_keeps_its_whole_records(file, tmp_path_factory, length):
    data = file.read_bytes()
    length %= len(data)
    path = tmp_path_factory.getbasetemp() / "cut.tfrecord"
    path.write_bytes(data[:length])
    whole, left = 0, length
    for size in sorted_lengths(file):
        left -= 16 + size
        whole += left >= 0
    found, bad, problem = read_all(path)
    assert len(found) == whole
    assert bad == []
    ends = [0, *(sum(16 + s for s in sorted_lengths(file)[: n + 1]) for n in range(2))]
    assert (problem is None) == (length in ends)
    if problem:
        assert problem == f"cut.tfrecord, record {whole}: the file is cut here"

"""Random faults in every kind of file that readers open: nothing but named skips and sentences."""

import json
import random
import resource
import warnings

import numpy as np
import pytest
from games import step, write_root
from hostile import mutated, npy, picture, read_tar, write_tar
from hypothesis import given, settings
from hypothesis import strategies as st
from page_steps import tick, write_pages
from toy_shards import toy_sample

from rlvr_world.data.decode import parse_json, read_array, read_picture
from rlvr_world.data.samples import Skips, read_members, write_shard
from rlvr_world.data.shard_file import ShardFile
from rlvr_world.data.stream import EvaluationStream
from rlvr_world.language.manifest import TransitionManifest
from rlvr_world.text_game.data import TextDataModule
from rlvr_world.video.data.manifest import Manifest
from rlvr_world.video.data.video import VideoDataModule
from rlvr_world.web.data import WebDataModule

SAMPLES = 6


class Room:
    """A shard of one room as names and bytes, and what reads it."""

    def __init__(self, folder, kind):
        root = folder / kind
        if kind == "video":
            samples = [toy_sample("val", index, length=4) for index in range(SAMPLES)]
            write_shard(root / "val-000000.tar", samples)
            Manifest.build(root, "toy", {}).save(root)
            self.data = VideoDataModule(str(root), clip_length=2)
        elif kind == "text game":
            write_root(root, {"val": [step(n, f"switch {n}") for n in range(SAMPLES)]})
            self.data = TextDataModule(str(root))
        else:
            write_pages(root, {"val": [tick(n, "click [1]") for n in range(SAMPLES)]})
            self.data = WebDataModule(str(root))
        (path,) = [shard.path for shard in self.data.shards("val")]
        self.tar, self.members = path.read_bytes(), read_tar(path)
        self.path = folder / "fuzzed.tar"
        self.reader = self.data.reader("val")

    def read(self):
        """The keys of the samples that are used, and the reasons of all skips."""
        skips = Skips("fuzzed", SAMPLES, 1.0)
        stream = EvaluationStream([ShardFile(self.path, SAMPLES)], self.reader, 2, skips)
        keys = []
        for batch, _ in stream:
            if batch is not None:
                keys += [key.split(":")[0] for key in batch["key"]]
                if "transition" in batch:
                    for form in ("difference", "state"):
                        assert all(t.encode() for t in self.data.texts(batch, "long", form))
        return keys, stream.skips

    def fuzz_member(self, rng):
        """Mutate one member: all other samples are read, and the skip names shard and key."""
        members = list(self.members)
        name, content = members[place := rng.randrange(len(members))]
        members[place] = (name, mutated(content, rng))
        write_tar(self.path, members)
        keys, skips = self.read()
        broken = name.split(".")[0]
        others = {n.split(".")[0] for n, _ in members} - {broken}
        assert others <= set(keys) <= others | {broken}
        assert skips.skipped == (broken not in keys)
        for reason in skips.reasons:
            assert reason.startswith(f"{self.path}: {broken}")
        return skips.skipped

    def fuzz_tar(self, rng):
        """Mutate the bytes of the tar itself: whatever is lost is counted and names the shard."""
        self.path.write_bytes(mutated(self.tar, rng))
        _, skips = self.read()
        assert skips.read >= SAMPLES
        assert all(str(self.path) in reason for reason in skips.reasons)
        return skips.skipped > 0


def sentence(call, *arguments):
    """Whether a call fails, which must be by a ``ValueError``."""
    try:
        call(*arguments)
    except ValueError:
        return True
    return False


FILES = {
    "npy": (read_array, npy(np.ones((8, 2), np.float32))),
    "png": (read_picture, picture(np.random.default_rng(0).integers(0, 9, (9, 8, 4), np.uint8))),
    "jpeg": (read_picture, picture(np.zeros((9, 8, 3), np.uint8), "JPEG")),
    "json": (parse_json, json.dumps({"a": [1.5, "\ud83d\ude00", None, {"b": []}]}).encode()),
}


class Manifests:
    """Manifests of both kinds with a random fault in their text, or in one of their values."""

    def __init__(self, folder):
        Room(folder, "video")
        Room(folder, "web")
        self.folder = folder / "fuzzed manifest"
        self.folder.mkdir()
        self.texts = [
            (kind, (folder / name / "manifest.json").read_bytes())
            for kind, name in ((Manifest, "video"), (TransitionManifest, "web"))
        ]

    def fuzz(self, rng):
        kind, text = rng.choice(self.texts)
        if rng.random() < 0.5:
            text = mutated(text, rng)
        else:
            document = json.loads(text)
            replace_somewhere(document, rng)
            text = json.dumps(document).encode()
        (self.folder / "manifest.json").write_bytes(text)
        failed = sentence(kind.load, self.folder)
        if not failed:
            data = (VideoDataModule if kind is Manifest else WebDataModule)(str(self.folder))
            for split in data.manifest.splits:
                assert sum(shard.samples for shard in data.shards(split)) >= 0
                assert all(isinstance(length, int) for length in data.lengths(split))
        return failed


def replace_somewhere(document, rng):
    """Give one value of a JSON document, at any depth, another one."""
    while True:
        places = list(document) if isinstance(document, dict) else range(len(document))
        place = rng.choice(places)
        inner = document[place]
        if isinstance(inner, dict | list) and inner and rng.random() < 0.9:
            document = inner
            continue
        document[place] = rng.choice((None, -1, 0, 1e300, True, "x", [], {}, [[]], "../x", 2**70))
        return


class Records:
    """A file of TFRecords, plain or gzipped, with random faults, read as RLDS episodes."""

    def __init__(self, folder):
        import gzip

        rlds = pytest.importorskip("rlds_records")
        from rlvr_world.video.sources.rlds import Features

        features = []
        for seed in range(3):
            each, _ = rlds.rt1_episode(seed, length=3, height=8, width=8)
            features.append(each)
        rlds.write_records(folder / "whole.tfrecord", features)
        self.folder = folder
        plain = (folder / "whole.tfrecord").read_bytes()
        self.contents = (plain, gzip.compress(plain, 1))
        self.payloads = None
        self.features = Features(
            "steps/observation/image",
            {"steps/action/world_vector": 3, "steps/action/terminate_episode": 3},
            instruction="steps/observation/natural_language_instruction",
        )

    def fuzz(self, rng):
        from rlvr_world.video.sources.conversion import sample
        from rlvr_world.video.sources.episodes import BadEpisode
        from rlvr_world.video.sources.rlds import RLDSReader
        from rlvr_world.video.sources.tfrecords import HEAD, TAIL, find_records, masked_crc

        path = self.folder / f"fuzzed-{rng.random()}.tfrecord"
        if rng.random() < 0.5:
            content = mutated(rng.choice(self.contents), rng)
        else:  # a payload whose checksums are right
            (length,) = np.frombuffer(self.contents[0][:8], "<u8").tolist()
            payload = mutated(self.contents[0][12 : 12 + length], rng)
            size = len(payload).to_bytes(8, "little")
            head = HEAD.pack(len(payload), masked_crc(size))
            content = head + payload + TAIL.pack(masked_crc(payload)) + self.contents[0]
        path.write_bytes(content)
        records = find_records(path)
        offsets = np.array(records.offsets, np.int64)
        reader = RLDSReader([path], [0, len(offsets)], offsets, self.features, [])
        bad = records.problem is not None
        for index in range(len(offsets)):
            try:
                sample(reader.read(index), rng.choice(("png", "jpg")), None)
            except BadEpisode as error:
                bad |= bool(str(error))
        path.unlink()
        return bad


@pytest.fixture(scope="module")
def targets(tmp_path_factory):
    """By name, functions that take a source of randomness, and say whether something broke."""
    folder = tmp_path_factory.mktemp("fuzz")
    found = {
        kind: lambda rng, of=of: sentence(of[0], mutated(of[1], rng)) for kind, of in FILES.items()
    }
    for kind in ("video", "text game", "web"):
        room = Room(folder, kind)
        found |= {f"{kind} member": room.fuzz_member, f"{kind} tar": room.fuzz_tar}
    return found | {"manifest": Manifests(folder / "m").fuzz, "records": Records(folder).fuzz}


NAMES = [*FILES, *(f"{room} {what}" for room in ("video", "text game", "web")
                   for what in ("member", "tar")), "manifest", "records"]  # fmt: skip


def run(target, seeds):
    """How many inputs broke something."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return sum(bool(target(random.Random(seed))) for seed in seeds)


@pytest.mark.parametrize("name", NAMES)
def test_some_hundred_faults(targets, name):
    assert run(targets[name], range(60)) > 5


SHARE = {"npy": 20_000, "png": 15_000, "jpeg": 10_000, "json": 20_000, "manifest": 10_000}
"""Inputs of the long run; those not named get equal shares of the rest of 100,000."""


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_100_000_faults(targets, name):
    count = SHARE.get(name, (100_000 - sum(SHARE.values())) // (len(NAMES) - len(SHARE)) + 1)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    broken = run(targets[name], range(10**6, 10**6 + count))
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    warnings.warn(f"{name}: {count} inputs, {broken} broken, {grown:.0f} MB more", stacklevel=1)
    assert broken
    assert grown < 300


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_a_sentence(content):
    for read, _ in FILES.values():
        sentence(read, content)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.text(max_size=40), st.binary(max_size=20)), max_size=6))
def test_any_names_make_samples(tmp_path_factory, members):
    path = tmp_path_factory.getbasetemp() / "names.tar"
    write_tar(path, [(name.replace("\0", ""), content) for name, content in members])
    for sample in read_members(path):
        key = sample["__key__"]
        assert key
        assert key.isprintable() or not set(key) & set("\n\r\t\0\x1b")
        assert ".." not in key.split("/")
        assert not key.startswith("/")

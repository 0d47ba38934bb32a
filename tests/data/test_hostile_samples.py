"""A broken sample of any kind is skipped by name, and costs the others nothing."""

import pickle
import subprocess
import tarfile

import numpy as np
import pytest
from hostile import NAMES, VIDEO, npy, picture, read_tar, write_tar

from rlvr_world.data.samples import read_members
from rlvr_world.video.data.clip_reader import ClipReader
from rlvr_world.video.data.video import VideoDataModule

OTHERS = ["val-000", "val-002"]


def read(root, message, workers=0, samples=3):
    """The keys of the samples that are read while one is skipped with that message."""
    data = VideoDataModule(str(root), clip_length=3, max_skip_share=0.5, num_workers=workers)
    with pytest.warns(UserWarning, match=rf"1 of {samples} samples .*val-000000.tar: .*{message}"):
        found = [key for batch in data.val_dataloader() for key in batch["key"]]
    assert data.skipped["val"].skipped == 1
    return sorted({key.split(":")[0] for key in found})


def change(root, edit):
    """Let a function change the members of the sample val-001."""
    path = root / "val-000000.tar"
    members = read_tar(path)
    edit(members, {name.removeprefix("val-001."): n for n, (name, _) in enumerate(members)})
    write_tar(path, members)


@pytest.mark.parametrize("kind", VIDEO)
def test_a_broken_file_costs_its_sample(make_root, kind):
    root = make_root(train=2, val=3, per_shard=3)
    file, content, message = VIDEO[kind]

    def edit(members, place):
        members[place[file]] = (f"val-001.{file}", content)

    change(root, edit)
    assert read(root, f"val-001.*{message}") == OTHERS


@pytest.mark.parametrize("name", NAMES)
def test_a_hostile_name_costs_its_sample(make_root, name):
    root = make_root(train=2, val=3, per_shard=3)

    def edit(members, place):
        old, content = members[place["actions.npy"]]
        if name == "{}":
            members.insert(place["actions.npy"], (old, content))
        members[place["actions.npy"]] = (name.format(old), content)

    change(root, edit)
    assert read(root, f"val-001.*{NAMES[name]}") == OTHERS


@pytest.mark.parametrize("kind", ["png", "jpeg"])
@pytest.mark.parametrize("keep", [0.3, 0.9])
def test_a_cut_picture_costs_its_sample(make_root, kind, keep):
    root = make_root(train=2, val=3, per_shard=3)
    strip = picture(np.random.default_rng(0).integers(0, 255, (64, 8, 3), np.uint8), kind)

    def edit(members, place):
        members[place["frames.png"]] = ("val-001.frames.png", strip[: int(len(strip) * keep)])

    change(root, edit)
    assert read(root, "val-001: a file is broken .frames.png") == OTHERS


@pytest.mark.parametrize("field", [slice(148, 156), slice(257, 263), slice(124, 136)])
@pytest.mark.parametrize("value", [b"\xff", b"7", b"\x80"])
def test_a_broken_header_costs_its_sample(make_root, field, value):
    """The header of one file of a sample: its checksum, its magic word or its size."""
    root = make_root(train=2, val=3, per_shard=3)
    path = root / "val-000000.tar"
    with tarfile.open(path) as tar:
        at = next(m.offset for m in tar if m.name == "val-001.actions.npy")
    content = bytearray(path.read_bytes())
    content[at + field.start : at + field.stop] = value * (field.stop - field.start)
    header = content[at : at + 512]
    if field.start == 124:  # a size that its checksum vouches for
        header[148:156] = b" " * 8
        content[at + 148 : at + 156] = b"%06o\0 " % sum(header)
    path.write_bytes(content)
    assert read(root, "val-001") == OTHERS


def test_nothing_is_unpickled(make_root, tmp_path):
    class Trap:
        def __reduce__(self):
            return (tmp_path.joinpath("sprung").touch, ())

    root = make_root(train=2, val=3, per_shard=3)

    def edit(members, place):
        trap = np.empty((8, 2), object)
        trap[:] = Trap()
        members[place["actions.npy"]] = ("val-001.actions.npy", npy(trap))
        members.append(("val-002.states.pkl", pickle.dumps(Trap())))

    change(root, edit)
    assert read(root, "its values are object") == OTHERS
    assert not (tmp_path / "sprung").exists()


def test_a_reader_that_fails_names_the_sample(make_root, monkeypatch):
    root = make_root(train=2, val=3, per_shard=3)
    spread = ClipReader.spread

    def failing(self, sample):
        return None + 1 if sample["__key__"] == "val-001" else spread(self, sample)

    monkeypatch.setattr(ClipReader, "spread", failing)
    assert read(root, "val-001 is broken .TypeError: unsupported operand") == OTHERS


def test_each_skip_is_logged_once(make_root, caplog):
    bad = [("train", index, lambda members: members.pop("actions.npy")) for index in range(7)]
    root = make_root(train=14, change=bad)
    data = VideoDataModule(str(root), clip_length=3, batch_size=1, samples_per_epoch=8,
                           max_skip_share=0.95, clips_per_episode=1)  # fmt: skip
    loader = data.train_dataloader()
    for _ in range(3):
        with pytest.warns(UserWarning, match="train: "):
            list(loader)
    with pytest.warns(UserWarning, match="train: .* and 2 more, which the log names"):
        list(loader)
    said = [record.message for record in caplog.records]
    assert len(said) == 7
    for index in range(7):
        assert sum(f"train-00{index} has no actions" in message for message in said) == 1
    assert sum(data.skipped["train"].reasons.values()) == data.skipped["train"].skipped > 7


@pytest.mark.parametrize("options", [(), ("--format=gnu",), ("--format=pax",), ("--format=v7",)])
def test_tars_of_the_tar_command(tmp_path, options):
    """``./`` in front, folders with dots, keys with dots, entries of folders, long names."""
    folder = tmp_path / "in"
    keys = ["a.b/take.two", "a.b/take.three", "plain"]
    if options != ("--format=v7",):
        keys.append("long/" + "n" * 150)
    for key in keys:
        (folder / key).parent.mkdir(parents=True, exist_ok=True)
        for ending, content in (("json", b"{}"), ("actions.npy", b"x"), ("frames.0000.jpg", b"y")):
            (folder / f"{key}.{ending}").write_bytes(content)
    (folder / ".hidden.json").write_bytes(b"{}")
    (folder / "README").write_bytes(b"Read me.")
    command = ["tar", "-cf", tmp_path / "s.tar", "--sort=name", *options, "-C", folder, "."]
    subprocess.run(command, check=True, timeout=60)
    found = {sample.pop("__key__"): sample for sample in read_members(tmp_path / "s.tar")}
    assert sorted(found) == sorted(keys)
    for sample in found.values():
        assert sample == {
            "__url__": str(tmp_path / "s.tar"),
            "json": b"{}", "actions.npy": b"x", "frames.0000.jpg": b"y",
        }  # fmt: skip

"""Data sets that the library ``datasets`` wrote become the same episodes, without the library."""

import numpy as np
import pytest
import robot_data
from PIL import Image

from rlvr_world.cli import main
from rlvr_world.video.data.manifest import Manifest
from rlvr_world.video.data.video import episodes
from rlvr_world.video.sources.huggingface import HuggingFaceConverter

datasets = pytest.importorskip("datasets", reason="datasets is not installed")


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    return robot_data.record(tmp_path_factory.mktemp("recorded") / "pusht")


def table(recorded, numbers):
    columns = robot_data.rows(recorded, numbers)
    frames = [Image.fromarray(frame) for n in numbers for frame in recorded[n]["frames"]]
    features = {"image": datasets.Image(), "action": datasets.Sequence(datasets.Value("float32")),
                "observation.state": datasets.Sequence(datasets.Value("float32")),
                "episode_index": datasets.Value("int64")}  # fmt: skip
    values = columns | {"image": frames}
    return datasets.Dataset.from_dict(
        {name: values[name] for name in features}, datasets.Features(features)
    )


def write_parquet(parts, folder):
    folder.mkdir()
    for split, part in parts.items():
        part.to_parquet(folder / f"{split}-00000-of-00001.parquet")


def write_arrow(parts, folder):
    datasets.DatasetDict(parts).save_to_disk(folder)


@pytest.mark.parametrize("write", [write_parquet, write_arrow])
def test_the_same_episodes_and_splits_come_out(tmp_path, recorded, write):
    parts = {"train": table(recorded, [0, 1, 2, 3]), "test": table(recorded, [4, 5])}
    write(parts, tmp_path / "in")
    options = ["--image_format=png", "--split_by=file", "--val_share=0.2", "--processes=1"]
    main(["data", "huggingface", str(tmp_path / "in"), "--root", str(tmp_path / "out"), *options])
    found = {
        int(each["json"]["episode"].split()[1]): each | {"split": split}
        for split in Manifest.load(tmp_path / "out").splits
        for each in episodes(tmp_path / "out", split)
    }
    assert sorted(found) == list(range(len(recorded)))
    for number, truth in enumerate(recorded):
        assert (found[number]["split"] == "test") == (number > 3)
        np.testing.assert_array_equal(
            found[number]["frames"], truth["frames"].transpose(0, 3, 1, 2)
        )
        for name in ("actions", "states"):
            np.testing.assert_array_equal(found[number][name], truth[name])


def test_what_cannot_be_read_is_one_sentence(tmp_path, recorded):
    with pytest.raises(FileNotFoundError, match=r"holds no \*\.arrow"):
        HuggingFaceConverter(tmp_path, tmp_path / "out").record()
    write_parquet({"train": table(recorded, [0, 1])}, tmp_path / "in")
    with pytest.raises(ValueError, match=r"action: .* has no moves; there are: image, action"):
        HuggingFaceConverter(tmp_path / "in", tmp_path / "out", action="moves").record()
    (tmp_path / "in/validation.parquet").write_bytes(b"no table")
    with pytest.raises(ValueError, match=r"validation\.parquet cannot be read"):
        HuggingFaceConverter(tmp_path / "in", tmp_path / "out").record()
    (tmp_path / "in/validation.parquet").unlink()
    (tmp_path / "in/a.arrow").write_bytes(b"no table")
    with pytest.raises(ValueError, match=r"a\.arrow cannot be read"):
        HuggingFaceConverter(tmp_path / "in", tmp_path / "out").record()

"""Recordings of the PushT simulator in the formats that users of robots hold."""

import json

import numpy as np
import pytest

from rlvr_world.video.data.video import episodes
from rlvr_world.video.sources.pusht import PushTRecorder
from rlvr_world.video.sources.recorder import Episodes

FPS, TOP, SIDE = 10, "observation.images.top", "observation.images.side"


def record(folder, count=6, length=9):
    """Episodes of the simulator: frames uint8 [T, H, W, 3], actions and states float32."""
    pytest.importorskip("gym_pusht", reason="gym-pusht is not installed")
    sizes = Episodes(train=count, val=0, test=0)
    PushTRecorder(str(folder), sizes, length=length, processes=1).record()
    return [
        each | {"frames": each["frames"].transpose(0, 2, 3, 1)}
        for each in episodes(folder, "train")
    ]


def write_video(path, frames):
    av = pytest.importorskip("av", reason="av is not installed")
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS, options={"crf": "10", "g": "4"})
        stream.height, stream.width, stream.pix_fmt = *frames.shape[1:3], "yuv444p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())


def write_table(path, columns):
    pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    parquet = pytest.importorskip("pyarrow.parquet")
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(pa.table(columns), path)


def rows(recorded, numbers):
    """The table of some episodes, one after the other."""
    lengths = [len(recorded[n]["actions"]) for n in numbers]
    return {
        "observation.state": [list(r) for n in numbers for r in recorded[n]["states"].tolist()],
        "action": [list(r) for n in numbers for r in recorded[n]["actions"].tolist()],
        "timestamp": [t / FPS for length in lengths for t in range(length)],
        "episode_index": [n for n, length in zip(numbers, lengths, strict=True)
                          for _ in range(length)],
    }  # fmt: skip


def write_info(folder, version, recorded, kind="video", cameras=(TOP,)):
    numbers = {"dtype": "float32", "shape": [2]}
    info = {
        "codebase_version": version, "fps": FPS, "chunks_size": 1000,
        "total_episodes": len(recorded), "splits": {"train": f"0:{len(recorded)}"},
        "features": {"action": numbers, "observation.state": numbers,
                     **{camera: {"dtype": kind, "shape": [64, 64, 3]} for camera in cameras}},
    }  # fmt: skip
    (folder / "meta").mkdir(parents=True, exist_ok=True)
    (folder / "meta/info.json").write_text(json.dumps(info))


def write_lerobot_v3(folder, recorded, cameras=(TOP,)):
    """Two files of the same number of episodes each; further cameras see upside down."""
    write_info(folder, "v3.0", recorded, cameras=cameras)
    half = len(recorded) // 2
    listed = []
    for file, numbers in enumerate((range(half), range(half, len(recorded)))):
        write_table(folder / f"data/chunk-000/file-{file:03d}.parquet", rows(recorded, numbers))
        frames = np.concatenate([recorded[n]["frames"] for n in numbers])
        for camera in cameras:
            view = frames if camera == TOP else frames[:, ::-1].copy()
            write_video(folder / f"videos/{camera}/chunk-000/file-{file:03d}.mp4", view)
        start = 0
        for number in numbers:
            length = len(recorded[number]["actions"])
            row = {"episode_index": number, "length": length, "data/chunk_index": 0,
                   "data/file_index": file}  # fmt: skip
            for camera in cameras:
                row |= {f"videos/{camera}/chunk_index": 0, f"videos/{camera}/file_index": file,
                        f"videos/{camera}/from_timestamp": start / FPS}  # fmt: skip
            listed.append(row)
            start += length
    columns = {name: [row[name] for row in listed] for name in listed[0]}
    write_table(folder / "meta/episodes/chunk-000/file-000.parquet", columns)


def write_lerobot_v2(folder, recorded, kind="video"):
    """A file for each episode; pictures in the table where ``kind`` is ``image``."""
    from hostile import picture

    write_info(folder, "v2.1", recorded, kind)
    lines = []
    for number, each in enumerate(recorded):
        table = rows(recorded, [number])
        if kind == "image":
            table[TOP] = [{"bytes": picture(frame), "path": None} for frame in each["frames"]]
        else:
            name = f"videos/chunk-000/{TOP}/episode_{number:06d}.mp4"
            write_video(folder / name, each["frames"])
        write_table(folder / f"data/chunk-000/episode_{number:06d}.parquet", table)
        lines.append(json.dumps({"episode_index": number, "length": len(each["actions"])}))
    (folder / "meta/episodes.jsonl").write_text("\n".join(lines))


def write_hdf5(path, recorded):
    """As robomimic has it, with two cameras."""
    h5py = pytest.importorskip("h5py", reason="h5py is not installed")
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        for number, each in enumerate(recorded):
            demo = file.create_group(f"data/demo_{number}")
            demo["actions"] = each["actions"].astype(np.float64)
            demo["states"] = each["states"].astype(np.float64)
            demo["obs/agentview_image"] = each["frames"]
            demo["obs/eye_in_hand_rgb"] = each["frames"][:, ::-1]
            demo["obs/joint_pos"] = each["states"]
        names = [f"demo_{number}".encode() for number in range(len(recorded))]
        file["mask/train"], file["mask/valid"] = names[:-2], names[-2:]


def write_zarr(path, recorded, version=2):
    """As diffusion policy has PushT: frames are whole numbers in float32."""
    zarr = pytest.importorskip("zarr", reason="zarr is not installed")
    root = zarr.open_group(str(path), mode="w", zarr_format=version)
    joined = {n: np.concatenate([e[n] for e in recorded]) for n in ("frames", "actions", "states")}
    ends = np.cumsum([len(each["actions"]) for each in recorded])
    arrays = {"data/img": joined["frames"].astype(np.float32), "data/action": joined["actions"],
              "data/state": joined["states"], "meta/episode_ends": ends}  # fmt: skip
    for name, values in arrays.items():
        root.create_array(name, data=values)


def write_videos(folder, recorded):
    """An MP4 file of each episode, with a CSV file of its actions and one of its states."""
    for number, each in enumerate(recorded):
        path = folder / f"drive_{number}.mp4"
        write_video(path, each["frames"])
        for ending, name in ((".csv", "actions"), (".states.csv", "states")):
            lines = [",".join(map(repr, row)) for row in each[name].tolist()]
            header = [",".join("abcde"[: each[name].shape[1]])] * (number % 2)
            path.with_suffix(ending).write_text("\n".join([*header, *lines]) + "\n")

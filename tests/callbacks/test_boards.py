"""The same run in several loggers at once: TensorBoard, CSV and files, trackio, MLflow, wandb."""

import io
import json
import sqlite3
import sys
import warnings
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.loggers import CSVLogger, MLFlowLogger, TensorBoardLogger, WandbLogger
from lightning.pytorch.loggers.logger import DummyLogger, Logger
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.util import img_mime_type_detector
from torch.utils.data import DataLoader

from rlvr_world.callbacks.boards import Table, boards
from rlvr_world.callbacks.prediction_logger import PredictionLogger
from rlvr_world.callbacks.trackio_logger import TrackioLogger
from rlvr_world.video.filmstrip import draw_clips, draw_motion

TABLE = Table(("state", "score"), [("a | b\nc <i>", 0.5), ("über", 1.0)])
STEPS = [2, 4]


class Echo(LightningModule):
    """Predicts the first of two frames twice; counts its batches."""

    def __init__(self):
        super().__init__()
        self.save_hyperparameters({"width": 3})

    def training_step(self, batch, batch_idx):
        return None

    def validation_step(self, batch, batch_idx):
        self.log("val/loss", 1 / (1 + self.trainer.fit_loop.total_batch_idx))
        for board in boards(self.trainer):
            board.table("val/answers", TABLE, self.trainer.fit_loop.total_batch_idx + 1)
        frames = batch["frames"] / 255
        return {"prediction": frames[:, :1].repeat(1, 2, 1, 1, 1), "target": frames[:, 1:]}

    def picture(self, batch, target, predictions, rows):
        return draw_clips(batch["frames"], target, predictions, rows)

    def clip(self, batch, target, predictions, rows):
        return draw_motion(batch["frames"], target, predictions, rows)

    def configure_optimizers(self):
        return None


class Numbers(Logger):
    """A logger of a user's own, which knows numbers only."""

    name = version = "own"

    def __init__(self):
        super().__init__()
        self.seen = []

    def log_metrics(self, metrics, step=None):
        self.seen.append((step, dict(metrics)))

    def log_hyperparams(self, *args, **kwargs):
        pass


def fit(loggers, folder, **options):
    frames = torch.randint(256, (4, 3, 3, 16, 16), generator=torch.Generator().manual_seed(0))
    loader = DataLoader([{"frames": frame} for frame in frames.byte()], 2)
    trainer = Trainer(
        accelerator="cpu",
        callbacks=[PredictionLogger(limit=2)],
        logger=loggers,
        default_root_dir=folder,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        **{"max_epochs": 2, "limit_val_batches": 1, "num_sanity_val_steps": 0} | options,
    )
    trainer.fit(Echo(), loader, loader)


def made(folder):
    """A logger of each kind whose package is installed, by its name."""
    found = {"tensorboard": TensorBoardLogger(folder / "tensorboard", "", ""),
             "csv": CSVLogger(folder / "csv", "", "")}  # fmt: skip
    if find_spec("trackio"):
        found["trackio"] = TrackioLogger("tests", "run")
    if find_spec("mlflow"):
        found["mlflow"] = MLFlowLogger("tests", "run", save_dir=str(folder / "mlflow"))
    if find_spec("wandb"):
        found["wandb"] = WandbLogger("run", str(folder), offline=True, anonymous=None)
    return found


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The folder of one run with all loggers at once, and these."""
    folder = tmp_path_factory.mktemp("run")
    quiet = {"DO_NOT_TRACK": "1", "MLFLOW_DISABLE_TELEMETRY": "true", "WANDB_SILENT": "true",
             "WANDB_ERROR_REPORTING": "false", "WANDB_X_DISABLE_STATS": "true",
             "MLFLOW_ALLOW_FILE_STORE": "true", "TRACKIO_DIR": str(folder / "trackio")}  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        for name, value in quiet.items():
            patch.setenv(name, value)
        for name in [name for name in sys.modules if name.partition(".")[0] == "trackio"]:
            patch.delitem(sys.modules, name)  # whose first import reads TRACKIO_DIR
        loggers = made(folder)
        fit(list(loggers.values()), folder)
        if "wandb" in loggers:
            import wandb

            loggers["wandb"].experiment.finish()
            wandb.teardown()
    return folder, loggers


def in_tensorboard(folder, logger):
    events = EventAccumulator(str(folder / "tensorboard"))
    events.Reload()
    texts = events.Tensors("val/answers/text_summary")
    images = {name: [(image.step, image.encoded_image_string) for image in events.Images(name)]
              for name in ("val/predictions", "val/clips")}  # fmt: skip
    rows = texts[0].tensor_proto.string_val[0].decode().splitlines()[2:]
    scalars = [event.value for event in events.Scalars("val/loss")]
    assert [text.step for text in texts] == STEPS
    assert img_mime_type_detector.from_bytes(images["val/clips"][0][1]) == "image/gif"
    return scalars, images, [row.strip("| ").split(" | ") for row in rows]


def in_csv(folder, logger):
    lines = [line.split(",") for line in (folder / "csv/metrics.csv").read_text().split()]
    column = lines[0].index("val/loss")
    rows = [json.loads(line) for line in (folder / "csv/val/answers.jsonl").open()]
    assert [row.pop("step") for row in rows] == [2, 2, 4, 4]
    files = sorted((folder / "csv/val").glob("*/*"))
    images = {}
    for path in files:
        image = int(path.stem), path.read_bytes()
        images.setdefault(f"val/{path.parent.name}", []).append(image)
    return (
        [float(line[column]) for line in lines[1:]],
        images,
        [[*row.values()] for row in rows[:2]],
    )


def in_trackio(folder, logger):
    with sqlite3.connect(folder / "trackio/tests.db") as database:
        logged = database.execute("select step, metrics from metrics order by id").fetchall()
        (config,) = database.execute("select config from configs").fetchone()
    assert json.loads(config)["width"] == 3
    scalars, images, tables = [], {"val/predictions": [], "val/clips": []}, []
    for step, metrics in ((step, json.loads(metrics)) for step, metrics in logged):
        scalars += [metrics["val/loss"]] if "val/loss" in metrics else []
        for name in set(images) & set(metrics):
            path = next((folder / "trackio/media").rglob(Path(metrics[name]["file_path"]).name))
            images[name].append((step, path.read_bytes()))
        tables += [metrics["val/answers"]["_value"]] if "val/answers" in metrics else []
    return scalars, images, [[*row.values()] for row in tables[0]]


def in_mlflow(folder, logger):
    client, run = logger.experiment, logger.run_id
    scalars = [metric.value for metric in client.get_metric_history(run, "val/loss")]
    (artifacts,) = (folder / "mlflow").glob("*/*/artifacts")
    pictures = sorted(artifacts.glob("images/*.png"), key=lambda path: path.name)
    images = {
        "val/predictions": list(zip(STEPS, (path.read_bytes() for path in pictures), strict=True)),
        "val/clips": [(int(p.stem), p.read_bytes()) for p in sorted(artifacts.glob("val/clips/*"))],
    }
    table = json.loads((artifacts / "val/answers.json").read_text())
    assert table["columns"] == ["step", "state", "score"]
    assert [row[0] for row in table["data"]] == [2, 2, 4, 4]
    return scalars, images, [row[1:] for row in table["data"][:2]]


def in_wandb(folder, logger):
    history = wandb_history(next((folder / "wandb").glob("offline-run-*/*.wandb")))
    files = next((folder / "wandb").glob("offline-run-*/files"))
    scalars = [line["val/loss"] for line in history if "val/loss" in line]
    images, tables = {"val/predictions": [], "val/clips": []}, []
    for line in history:
        step = line.get("trainer/global_step")
        for picture in line.get("val/predictions/filenames", ()):
            images["val/predictions"].append((step, (files / picture).read_bytes()))
        for clip in line.get("val/clips/videos", ()):
            images["val/clips"].append((step, (files / clip["path"]).read_bytes()))
        if "val/answers/path" in line:
            tables.append(json.loads((files / line["val/answers/path"]).read_text())["data"])
    return scalars, images, tables[0]


def wandb_history(path):
    """The lines that an offline file holds: records in blocks of 32 KiB, after a header."""
    from wandb.proto.wandb_internal_pb2 import Record

    content, place, record, lines = path.read_bytes(), 7, b"", []
    while place + 7 <= len(content):
        if 32768 - place % 32768 < 7:
            place += 32768 - place % 32768
            continue
        length, kind = int.from_bytes(content[place + 4 : place + 6], "little"), content[place + 6]
        record += content[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):  # the only or the last part of a record
            items, record = Record.FromString(record).history.item, b""
            lines.append({"/".join(i.nested_key) or i.key: json.loads(i.value_json) for i in items})
    return lines


def colours(file):
    return np.asarray(Image.open(io.BytesIO(file)).convert("RGB"))


READERS = {
    "tensorboard": in_tensorboard, "csv": in_csv, "trackio": in_trackio, "mlflow": in_mlflow,
    "wandb": in_wandb,
}  # fmt: skip


@pytest.mark.parametrize("kind", READERS)
def test_the_same_run_is_in_each(run, kind):
    folder, loggers = run
    if kind not in loggers:
        pytest.skip(f"{kind} is not installed")
    scalars, images, rows = READERS[kind](folder, loggers[kind])
    assert scalars == pytest.approx([1 / 2, 1 / 4])
    expected = [["a &#124; b c &lt;i&gt;", "0.5"], ["über", "1"]]
    assert rows == (expected if kind == "tensorboard" else [list(row) for row in TABLE.rows])
    for name, (first, last) in images.items():
        assert (first[0], last[0]) == tuple(STEPS)
        picture, moving = Image.open(io.BytesIO(last[1])), name == "val/clips"
        assert (picture.format, getattr(picture, "n_frames", 1)) == (
            ("GIF", 3) if moving else ("PNG", 1)
        )
        reference = in_csv(folder, loggers["csv"])[1][name][1][1]
        assert np.array_equal(*(colours(file) for file in (last[1], reference)))


def test_at_least_four_kinds_were_run(run):
    if missing := [name for name in ("trackio", "mlflow") if not find_spec(name)]:
        pytest.skip(f"{' and '.join(missing)}, of the extra loggers, are missing")
    assert len(run[1]) >= 4


def test_another_logger_is_named_once_and_training_goes_on(tmp_path):
    logger = Numbers()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fit([logger, CSVLogger(tmp_path, "", "")], tmp_path)
    named = [str(each.message) for each in caught if "Numbers" in str(each.message)]
    assert len(named) == 1
    assert "no pictures" in named[0]
    assert len([metrics for _, metrics in logger.seen if "val/loss" in metrics]) == 2
    assert list(tmp_path.glob("val/predictions/*.png"))


def test_a_run_to_try_things_has_no_board_and_no_warning(recwarn):
    trainer = Trainer(accelerator="cpu", logger=False)
    trainer.loggers = [DummyLogger()]
    assert boards(trainer) == []
    assert not [each for each in recwarn if "pictures" in str(each.message)]

"""A preset is checked on one batch of each stage: what would waste a run is said before."""

from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from rlvr_world.cli import main
from rlvr_world.command_line.check import spread
from rlvr_world.data.samples import write_shard
from rlvr_world.reward import Reward
from rlvr_world.rl.credit import Credit
from rlvr_world.video.data.manifest import Manifest
from rlvr_world.video.tokenizer.vq_model import VQModel

TOKENIZER = {"channels": [8], "latent_channels": 8, "levels": [4, 4]}


class Nought(Reward):
    """The same for all predictions."""

    def score(self, prediction, target, given):
        return torch.zeros(len(prediction))


def write_data(root, still, val=2):
    """Frames of noise that are all the same, or frames that are black and white in turn."""
    rng = np.random.default_rng(0)
    for split, count in {"train": 3, "val": val, "test": 1}.items():
        samples = []
        for number in range(count):
            frames = np.zeros((6, 32, 32, 3), np.uint8)
            frames[1::2] = 255
            if still:
                frames[:] = rng.integers(256, size=(32, 32, 3))
            actions = rng.normal(size=(6, 2)).astype(np.float32)
            members = {"frames.png": frames, "actions.npy": actions, "json": {}}
            samples.append((f"{split}-{number}", members))
        write_shard(Path(root, f"{split}-000000.tar"), samples)
    Manifest.build(root, "noise", {}).save(root)


def change(stem, **settings):
    """Set nested keys of a config of the preset, such as ``init_args__root``."""
    path = Path(f"configs/mine/{stem}.yaml")
    contents = yaml.safe_load(path.read_text())
    for keys, value in settings.items():
        inner = contents
        *outer, last = keys.split("__")
        for key in outer:
            inner = inner[key]
        inner[last] = value
    path.write_text(yaml.safe_dump(contents))


@pytest.fixture
def preset(tmp_path, monkeypatch):
    """A preset of small networks, whose frames stand still."""
    monkeypatch.chdir(tmp_path)
    write_data("data/mine", still=True)
    main(["init", "mine"])
    change(
        "tokenizer", **{f"model__init_args__model__init_args__{k}": v for k, v in TOKENIZER.items()}
    )
    for stage in ("tokenizer", "world_model", "rlvr"):
        change(stage, trainer__accelerator="cpu", trainer__precision="32-true",
               trainer__callbacks=[], trainer__max_steps=2500)  # fmt: skip
    change("backbone", init_args={"dim": 16, "depth": 1, "heads": 2})
    change("rlvr", model__init_args__group_size=2)
    for part in ("data", "stills", "tokens"):
        change(part, init_args__batch_size=2)
    change("rewards", lpips={"class_path": "MSE"})
    return "configs/mine"


def test_a_tokenizer_must_be_better_than_copying(preset, capsys):
    main(["fit", "-c", f"{preset}/tokenizer.yaml", "--trainer.max_steps", "1"])
    with pytest.raises(ValueError, match="dB by copying a frame: train the tokenizer longer"):
        main(["check", preset])
    write_data("data/moving", still=False)
    for part in ("data", "stills", "tokens"):
        change(part, init_args__root="data/moving")
    before = sorted(Path().rglob("*"))
    capsys.readouterr()
    main(["check", preset])
    said = capsys.readouterr().out
    for stage in ("tokenizer", "world_model", "rlvr"):
        assert f"{stage}: 0." in said
    assert said.count("sequences of 52 tokens, 16 of them to predict") == 2
    assert said.count("minutes for 2500 steps") == 3
    assert "note: PSNR is" in said
    assert not [word for word in ("validation has", "without spread", "budget") if word in said]
    assert sorted(Path().rglob("*")) == before


def test_what_would_waste_a_run_is_said(preset, capsys):
    change("codec", init_args__action_range=None, init_args__action_low=[-1, -9],
           init_args__action_high=[1, 9])  # fmt: skip
    change("data", init_args__eval_batch_size=40)
    nought = {"class_path": f"{__name__}.Nought"}
    change("rewards", mae=nought, mse=nought, lpips=nought, moving=nought)
    change("rlvr", model__init_args__credit={"samples": 1})
    with pytest.raises(ValueError, match="100% of RLVR's groups have rewards without spread"):
        main(["check", preset, "--max_tokens", "50"])
    said = capsys.readouterr().out
    assert "not trained: check again" in said
    assert "of the range of dimension 0" in said
    assert "dimension 1" not in said
    assert "warning: validation has 8 samples, less than a batch of 40" in said
    assert "warning: sequences of 52 tokens are beyond the budget of 50" in said


def test_a_tokenizer_from_elsewhere_counts_as_trained(preset, tmp_path):
    VQModel(**TOKENIZER, layers=1).export(tmp_path / "mud")
    change("codec", init_args__tokenizer=str(tmp_path / "mud"))
    for stage in ("tokenizer", "rlvr"):
        Path(preset, f"{stage}.yaml").unlink()
    with pytest.raises(ValueError, match="dB by copying a frame: train the tokenizer longer"):
        main(["check", preset])


@pytest.mark.parametrize(
    ("share", "credit", "kind"),
    [
        (0.5, Credit(), None),
        (0.6, Credit(), "warning"),
        (1.0, Credit(), "problem"),
        (1.0, Credit(gradient=1), "warning"),
        (1.0, Credit(samples=0, gradient=1), None),
    ],
)
def test_the_gradient_of_the_decoder_teaches_groups_without_spread(share, credit, kind):
    assert [found.kind for found in spread(share, credit)] == ([kind] if kind else [])


def test_a_folder_without_stages(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"holds no tokenizer\.yaml"):
        main(["check", str(tmp_path)])

"""The command ``play``: a page on this machine on which a person steps a world model."""

from pathlib import Path

import yaml

from rlvr_world.applications.loopback_server import LoopbackServer
from rlvr_world.applications.play.session import Session, World
from rlvr_world.applications.play.text_world import TextWorld
from rlvr_world.applications.play.video_world import VideoWorld
from rlvr_world.evaluation.comparison import rewards_of
from rlvr_world.modules.saved import load_world_model
from rlvr_world.reward import Reward
from rlvr_world.rl.budget import check_positive
from rlvr_world.rl.sampler import Sampler
from rlvr_world.video.codecs.video_codec import VideoCodec


def play(
    checkpoint: Path,
    data: Path | None = None,
    split: str = "test",
    horizon: int = 1,
    sampler: Sampler | None = None,
    rewards: dict[str, Reward] | None = None,
    seed: int = 0,
    port: int = 8321,
    browser: bool = True,
    device: str = "cpu",
) -> None:
    """Step a world model by hand, on a page that only this machine's browser can open.

    Choose actions, see what the model predicts, beside the simulator where there is one, how
    certain its tokens are, and the reward terms; go back and branch. Ctrl-C ends it.

    Args:
        checkpoint: Checkpoint of a world model.
        data: Folder of the recording with the start states; the one that the run was trained on if
            not given.
        split: The split that start states come from.
        horizon: Frames that the model predicts before its window slides.
        sampler: How predictions are sampled; by the model's own distribution if not given.
        rewards: What is measured where the truth is known; the terms of the checkpoint's training
            reward if not given.
        seed: Of the sampled predictions.
        port: The port of the page; a free one if 0.
        browser: Whether the page is opened in a browser.
        device: Where the model runs, such as ``cpu`` or ``cuda``.
    """
    check_positive(horizon=horizon)
    model = load_world_model(checkpoint, device)
    terms = rewards_of([checkpoint]) if rewards is None else rewards
    root = trained_on(checkpoint) if data is None else data
    world: World
    if isinstance(model.codec, VideoCodec):
        world = VideoWorld(model, root, split, horizon, sampler, terms)
    elif horizon != 1:
        raise ValueError("horizon: a model of words has none; leave it out")
    else:
        world = TextWorld(model, root, split, sampler, terms)
    calls = Session(world, seed).calls
    LoopbackServer(Path(__file__).parent, calls, port).show("the world model", browser)


def trained_on(checkpoint: Path) -> Path:
    """The folder of the data that the run of a checkpoint was trained on."""
    config = checkpoint.parent.parent / "config.yaml"
    try:
        data = yaml.safe_load(config.read_text(encoding="utf-8"))["data"]
        if isinstance(data, str):  # a file that the run has left beside its config
            data = yaml.safe_load(config.with_name(Path(data).name).read_text(encoding="utf-8"))
        return Path(data["init_args"]["root"])
    except (OSError, ValueError, RecursionError, yaml.YAMLError, KeyError, TypeError) as error:
        raise ValueError(f"{config} does not name the data; give it with --data") from error

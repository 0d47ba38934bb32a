"""The command ``check``: a preset's stages on one batch, before hours are spent on them."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, NamedTuple

import torch
import yaml
from rich.console import Console

from rlvr_world.codec import Codec
from rlvr_world.command_line.rehearsal import Rehearsal
from rlvr_world.data.shards import ShardDataModule
from rlvr_world.modules.rlvr import RLVRWorldModel
from rlvr_world.modules.world_model import WorldModel
from rlvr_world.rl.credit import Credit
from rlvr_world.runs import config_path, folder_of
from rlvr_world.types import Batch, TokenSequence

STAGES = ("tokenizer", "world_model", "rlvr")
STAND_IN = "check_"  # how the names of runs begin that stand in for stages to be trained
CLIPPED, SPREADLESS = 0.01, 0.5
TRAIN_BATCHES, VAL_BATCHES = 20, 4


def check(
    preset: Path,
    overlay: list[Path] | None = None,
    folder: Path | None = None,
    max_tokens: int = 4096,
) -> None:
    """Take the first batches through every stage of a preset.

    Prints parameters, memory, time and the length of sequences, and warns of what would waste a
    run. Stages that are trained already are used; in the place of others stand untrained ones.
    Nothing is left behind.

    Args:
        preset: Folder of the configs.
        overlay: YAML that is laid over each stage, such as ``configs/trainer/gpu.yaml``. The option
            may be repeated.
        folder: Where the preset's runs are; as ``fit`` has it if not given.
        max_tokens: Tokens of a sequence over which to warn, if ``token_budget`` is not lower.

    Raises:
        ValueError: RLVR on this tokenizer, or with these rewards, could not learn anything.
    """
    preset = config_path(preset)
    configs = [preset / f"{stage}.yaml" for stage in STAGES]
    configs = [config for config in configs if config.is_file()]
    if not configs:
        raise FileNotFoundError(f"{preset} holds no {STAGES[0]}.yaml or another stage of training")
    runs = folder or folder_of(configs[0])
    layers = [arg for path in overlay or () for arg in ("-c", str(path))]
    problems, looked_at = list[str](), False
    console = Console(soft_wrap=True)
    with TemporaryDirectory() as place:
        names = {run_name(config) for config in configs}
        for other in runs.glob("*/"):
            if other.name not in names and not other.name.startswith(STAND_IN):
                Path(place, other.name).symlink_to(other.absolute())
        for config in configs:
            run = rehearsed(config, layers, runs, Path(place))
            console.print(f"{config.stem}: {run.summary()}", highlight=False)
            for found in findings(run, max_tokens, looked_at):
                problems += [found.text] * (found.kind == "problem")
                console.print(f"  {found.kind}: {found.text}", highlight=False)
            looked_at = looked_at or isinstance(run.model, WorldModel)
    if problems:
        raise ValueError(f"{preset}: {'; '.join(problems)}")


def run_name(config: Path) -> str:
    """The name of a config's run, by which other stages know it."""
    return yaml.safe_load(config.read_text()).get("run", config.stem)


def rehearsed(config: Path, layers: list[str], runs: Path, place: Path) -> Rehearsal:
    """The first batches of a stage in a temporary folder, where later stages find it.

    If it is trained already, they find that run instead.
    """
    name, own = run_name(config), f"{STAND_IN}{config.stem}"
    trained = (runs / name / "checkpoints" / "last.ckpt").is_file()
    (place / name).symlink_to((runs / name).absolute() if trained else own)
    args = ["-c", str(config), *layers, "--folder", str(place), "--run", own]
    return Rehearsal([*args, *frames_for_tokens(config)])


def frames_for_tokens(config: Path) -> list[str]:
    """Options for a stage that learns from tokens, which may not be written: read the frames."""
    parts = [config.with_name(f"{name}.yaml") for name in ("data", "tokens")]
    settings = yaml.safe_load(config.read_text())
    if settings.get("data") != "tokens.yaml" or not all(part.is_file() for part in parts):
        return []
    return ["--data.root", yaml.safe_load(parts[0].read_text())["init_args"]["root"]]


class Finding(NamedTuple):
    """What there is to say: for information, to warn, or to stop."""

    kind: Literal["note", "warning", "problem"]
    text: str


def findings(run: Rehearsal, max_tokens: int, looked_at: bool) -> Iterator[Finding]:
    """What there is to say about a world model, and about its data unless they were looked at."""
    if not isinstance(run.model, WorldModel):
        return
    codec, data = run.model.cpu().codec, run.datamodule
    data.setup("validate")
    loader = data.val_dataloader()
    held_out = list(islice(loader, VAL_BATCHES))
    with torch.no_grad():
        yield from lengths(codec.encode(held_out[0]), run.model, max_tokens)
        if not looked_at and codec.is_lossy and run.has_tokenizer_of(STAND_IN + STAGES[0]):
            yield Finding("note", "the tokenizer is not trained: check again when it is")
        elif not looked_at and codec.is_lossy:
            yield from floor(codec, held_out)
    if not looked_at and hasattr(codec, "action_low"):
        yield from clipped(codec, islice(data.train_dataloader(), TRAIN_BATCHES))
    first, wanted = len(held_out[0]["key"]), getattr(data, "eval_batch_size", 1)
    if first < wanted:
        yield Finding("warning", f"validation has {first} samples, less than a batch of {wanted}")
    left_out = loader.skips.left_out if isinstance(data, ShardDataModule) else 0
    if left_out:
        yield Finding("warning", f"prompts of {left_out} samples are too long and left out")
    if isinstance(run.model, RLVRWorldModel):
        share = float(run.trainer.callback_metrics["train/spreadless_groups"])
        yield from spread(share, run.model.credit)


def lengths(sequence: TokenSequence, model: WorldModel, limit: int) -> Iterator[Finding]:
    """How long sequences are, and whether that is too long."""
    total, predicted = sequence.ids.shape[1], int(sequence.target_mask[0].sum())
    yield Finding("note", f"sequences of {total} tokens, {predicted} of them to predict")
    budget = min(limit, getattr(model, "token_budget", None) or limit)
    if total > budget:
        yield Finding(
            "warning",
            f"sequences of {total} tokens are beyond the budget of {budget}: convert the data to "
            "smaller frames, or let a token stand for more pixels",
        )


def floor(codec: Codec, batches: list[Batch]) -> Iterator[Finding]:
    """What the tokenizer loses beside what copying the last frame does."""
    errors = torch.zeros(2)
    for batch in batches:
        true, copied = codec.target(batch), codec.copy_last(batch)
        decoded = codec.decode(codec.encode(batch))
        errors += torch.stack([(each - true).square().mean() for each in (decoded, copied)])
    through, copy = (-10 * (errors / len(batches)).clamp(min=1e-10).log10()).tolist()
    text = f"PSNR is {through:.1f} dB through the tokenizer, {copy:.1f} dB by copying a frame"
    if through >= copy:
        yield Finding("note", text)
    else:
        yield Finding("problem", f"{text}: train the tokenizer longer, or on smaller patches")


def spread(share: float, credit: Credit) -> Iterator[Finding]:
    """Whether groups have rewards to compare; the decoder's gradient teaches without."""
    if credit.samples and share > SPREADLESS:
        yield Finding(
            "problem" if share == 1 and not credit.gradient else "warning",
            f"{share:.0%} of RLVR's groups have rewards without spread, which teach nothing",
        )


def clipped(codec: Any, batches: Iterator[Batch]) -> Iterator[Finding]:
    """Which dimensions of the action lie outside of their range too often."""
    low, high = codec.action_low, codec.action_high
    actions = torch.cat([batch["actions"].flatten(0, 1) for batch in batches])
    actions = actions.unflatten(1, (-1, len(low))).flatten(0, 1)
    shares = ((actions < low) | (actions > high)).double().mean(dim=0).tolist()
    for dimension, share in enumerate(shares):
        if share > CLIPPED:
            yield Finding(
                "warning",
                f"{share:.1%} of actions lie outside of the range of dimension {dimension} and "
                "fall into its outermost bins: widen action_range, or action_low and action_high",
            )

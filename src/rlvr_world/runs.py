"""Where runs lie: the folder of a preset, the names of its stages, and the configs behind them.

A preset is a folder of configs, such as ``configs/pusht``; its runs go to ``checkpoints/pusht``. A
run is named like its config: ``configs/pusht/rlvr.yaml`` writes ``checkpoints/pusht/rlvr``.
"""

import argparse
import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

CONFIGS = Path(__file__).parent / "configs"
"""The configs that come with the package."""

ARTEFACTS = {"weights", "tokenizer", "probe", "reference", "checkpoint", "ckpt_path"}
"""Keys whose value is the result of a stage; so is each value of ``models``."""

OF_LIGHTNING = {"best", "last", "hpc", "registry"}
"""Words with which ``ckpt_path`` leaves the choice to Lightning."""

STAGE = re.compile(r"\w[\w -]*(:(best|last))?")
MISNAMED = re.compile(r"\w[\w -]*:(?!(best|last)$)[\w-]*")
LANGUAGE_FILES = ("tokenizer.json", "config.json")


def config_path(path: str | Path) -> Path:
    """A config of the user's, or the package's of the same name.

    Args:
        path: Path of a file or folder. If it does not exist and starts with ``configs/``, the
            package is searched for it.
    """
    given = Path(path)
    if given.parts[:1] == ("configs",) and not given.exists():
        packaged = CONFIGS.joinpath(*given.parts[1:])
        return packaged if packaged.exists() else given
    return given


def with_packaged_configs(args: Sequence[str]) -> list[str]:
    """Command-line arguments, in which packaged configs stand for ``configs/...`` that are missing.

    Both ``configs/...`` and ``--option=configs/...`` are understood.
    """
    found = []
    for arg in args:
        option, equals, value = arg.rpartition("=") if arg.startswith("--") else ("", "", arg)
        is_config = value.startswith("configs/")
        found.append(f"{option}{equals}{config_path(value)}" if is_config else arg)
    return found


def config_files(args: Sequence[str]) -> list[Path]:
    """The files that ``-c`` and ``--config`` name, in their order."""
    files, flags = [], ("-c", "--config")
    for arg, following in pairwise([*args, ""]):
        option, equals, value = arg.partition("=")
        if option in flags:
            files.append(Path(value if equals else following))
    return files


def folder_of(config: Path | None) -> Path:
    """Where the runs of a config's preset go.

    ``checkpoints`` and the name of the folder that the config lies in; below a folder ``configs``,
    the whole path from there: ``configs/pusht/multi_step/rlvr.yaml`` has
    ``checkpoints/pusht/multi_step``. The config.yaml that a run has left knows its folder by where
    it lies. Without a config it is ``checkpoints``.
    """
    root = Path("checkpoints")
    if config is None:
        return root
    if is_left_by_run(config):
        return config.absolute().parent.parent
    parts = config.absolute().parent.parts
    below = parts[len(parts) - parts[::-1].index("configs") :] if "configs" in parts else parts[-1:]
    return root.joinpath(*below)


def run_of(config: Path | None) -> str:
    """The name of a config's run: its file name without the ending; ``run`` without a config."""
    if config is not None and is_left_by_run(config):
        return config.absolute().parent.name
    return "run" if config is None else config.stem


def is_left_by_run(config: Path) -> bool:
    """Whether a config is the config.yaml that a run has left beside its checkpoints."""
    return config.name == "config.yaml" and any((config.parent / "checkpoints").glob("*.ckpt"))


def artefact(folder: Path, name: str) -> Path:
    """What a stage has left in the folder of a preset.

    Args:
        folder: The preset's folder, such as ``checkpoints/pusht``.
        name: The stage; ``rlvr`` is its last checkpoint and ``rlvr:best`` its best one. For a
            language tokenizer or model it is the folder of the stage itself.
    """
    stage, _, which = name.partition(":")
    files = [folder / stage / file for file in LANGUAGE_FILES]
    if not which and any(file.exists() for file in files):
        return folder / stage
    return folder / stage / "checkpoints" / f"{which or 'last'}.ckpt"


def relocated(settings: Any, before: Path, now: Path, keys: tuple[str, ...] = ()) -> Any:
    """Parsed settings of a run whose folder has moved, with its artefacts where they are now.

    Args:
        settings: Namespaces, dictionaries and lists in each other; they are not changed.
        before: The preset's folder when the run was made.
        now: Where it is now.
        keys: The keys that lead to ``settings``.
    """
    if isinstance(settings, argparse.Namespace):
        inner = {k: relocated(v, before, now, (*keys, k)) for k, v in vars(settings).items()}
        return type(settings)(**inner)
    if isinstance(settings, Mapping):
        return {k: relocated(v, before, now, (*keys, k)) for k, v in settings.items()}
    if not (isinstance(settings, str | Path) and keys and keys[-1] in {*ARTEFACTS, "source"}):
        return settings
    path = Path(settings)
    if path.is_relative_to(before) and (now / path.relative_to(before)).exists():
        return type(settings)(now / path.relative_to(before))
    return settings


def with_artefacts(settings: Any, folder: Path, unread: Sequence[str] = ()) -> Any:
    """Parsed settings, in which paths stand for the bare names of stages.

    A bare name has no slash and no dot: ``weights: world_model``. Unless the stage has left nothing
    and there is a file or folder of that name in the current folder, it is replaced under the keys
    ``ARTEFACTS``, for ``source`` of a backbone, ``model`` of a sampler, and in ``models``.

    Args:
        settings: Namespaces, dictionaries and lists in each other; they are not changed.
        folder: The preset's folder.
        unread: Keys whose files are not read in this run, so that they need not exist.

    Raises:
        FileNotFoundError: A stage that is named has left nothing yet.
    """
    return _with_artefacts(settings, folder, unread, ())


def _with_artefacts(value: Any, folder: Path, unread: Sequence[str], keys: tuple[str, ...]) -> Any:
    if isinstance(value, argparse.Namespace):
        inner = {k: _with_artefacts(v, folder, unread, (*keys, k)) for k, v in vars(value).items()}
        return type(value)(**inner)
    if isinstance(value, Mapping):
        return {k: _with_artefacts(v, folder, unread, (*keys, k)) for k, v in value.items()}
    if isinstance(value, list):
        return [_with_artefacts(item, folder, unread, keys) for item in value]
    if not (isinstance(value, str | Path) and names_stage(keys, str(value))):
        return value
    path = artefact(folder, str(value))
    if not path.exists() and Path(value).exists():
        return value
    if keys[-1] not in unread and not path.exists():
        stage = str(value).partition(":")[0]
        advice = f"run the stage {stage} of {folder} first, or give a path (a path has a slash)"
        if keys[-1] == "tokenizer":
            advice += f"; a tokenizer of text: rlvr-world data bpe --output {folder / stage}"
        if path.with_name("last.ckpt").exists():
            advice = f"{stage} ended before its first validation; name {stage}, which is its last"
        raise FileNotFoundError(f"{'.'.join(keys)}: {path} does not exist; {advice}")
    return type(value)(path)


def names_stage(keys: tuple[str, ...], value: str) -> bool:
    """Whether the value under nested ``keys`` is the bare name of a stage.

    Raises:
        ValueError: It is one, followed by neither ``best`` nor ``last``.
    """
    if keys and keys[-1] in ARTEFACTS and MISNAMED.fullmatch(value):
        raise ValueError(f"{'.'.join(keys)}: {value}: what follows the colon is best or last")
    if not keys or not STAGE.fullmatch(value):
        return False
    if keys[-1] == "ckpt_path":
        return value not in OF_LIGHTNING
    of_network = {"source": "backbone", "model": "sampler"}.get(keys[-1]) in keys
    return keys[-1] in ARTEFACTS or of_network or keys[-2:-1] == ("models",)

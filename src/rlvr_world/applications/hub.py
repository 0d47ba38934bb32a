"""The commands ``push`` and ``pull``, and what ``load`` fetches: exported models on a hub."""

import re
from pathlib import Path

from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError

FILES = ("*.json", "*.jsonl", "*.safetensors", "*.md", "*.txt", "*.jinja", "*.model")
"""What an exported model consists of: no pickles, and no code."""


def push(folder: Path, repository: str, public: bool = False, endpoint: str | None = None) -> None:
    """Put an exported model on a hub, as the user who is logged in there (``hf auth login``).

    Args:
        folder: What ``export`` wrote.
        repository: The name there, such as ``me/pusht-world-model``; it is made if it is missing.
        public: Whether everybody can see a repository that is made.
        endpoint: Address of the hub; huggingface.co if not given.

    Raises:
        FileNotFoundError: The folder is no exported model.
    """
    if not (folder / "config.json").is_file():
        raise FileNotFoundError(f"{folder}: holds no config.json; give what `export` wrote")
    hub = HfApi(endpoint)
    hub.create_repo(repository, private=not public, exist_ok=True)
    hub.upload_folder(
        repo_id=repository, folder_path=folder, allow_patterns=[*FILES],
        commit_message="Written by rlvr-world export",
    )  # fmt: skip


def pull(
    repository: str, folder: Path, revision: str = "main", endpoint: str | None = None
) -> None:
    """Get an exported model from a hub; pickles and code that lie there stay there.

    Args:
        repository: Its name, such as ``me/pusht-world-model``.
        folder: Folder to write.
        revision: A branch, a tag or a commit.
        endpoint: Address of the hub; huggingface.co if not given.
    """
    HfApi(endpoint).snapshot_download(
        repository, local_dir=folder, revision=revision, allow_patterns=[*FILES]
    )


def local(path: str | Path, revision: str = "main") -> Path:
    """A path as it is, or the folder of this machine's cache that a hub's model is fetched to.

    Only ``owner/name`` is fetched, and only where no folder ``owner`` is here, so that a mistyped
    path asks no hub.

    Raises:
        FileNotFoundError: The hub does not give the model.
    """
    here = Path(path)
    named = isinstance(path, str) and re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", path)
    if not named or here.parent.exists() or here.suffix == ".ckpt":
        return here
    try:
        return Path(
            HfApi().snapshot_download(str(path), revision=revision, allow_patterns=[*FILES])
        )
    except (HfHubHTTPError, OSError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise FileNotFoundError(
            f"{path}: is no path here, and the hub does not give it ({reason}); correct the name, "
            "or give a checkpoint"
        ) from error

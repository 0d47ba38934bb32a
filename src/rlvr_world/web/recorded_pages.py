"""The small recording of web pages that comes with the package, for where there is no browser."""

import tarfile
from pathlib import Path

from rlvr_world.files import whole

ARCHIVE = Path(__file__).with_name("recorded_pages.tar.xz")
"""A folder of shards as ``rlvr-world data web --source pages`` writes it, packed by
``tar --sort=name --owner=0 --group=0 --mtime=@0 -cJf recorded_pages.tar.xz -C FOLDER .``"""


def unpack_recorded_pages(root: Path) -> None:
    """Put the shards and their manifest into a folder, unless it holds a manifest already.

    Raises:
        ValueError: If the folder holds anything else.
    """
    if (root / "manifest.json").exists():
        return
    if root.exists() and any(root.iterdir()):
        raise ValueError(f"{root} holds files but no manifest.json: use another folder for data")
    with whole(root) as folder, tarfile.open(ARCHIVE) as archive:
        archive.extractall(folder, filter="data")

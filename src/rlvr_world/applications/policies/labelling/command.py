"""The command ``label``: a person judges clips without knowing what they are of."""

from pathlib import Path

from rich.console import Console

from rlvr_world.applications.loopback_server import LoopbackServer
from rlvr_world.applications.policies.labelling.labels import Labels, agreements
from rlvr_world.applications.policies.table import markdown_rows


def label(folder: Path, port: int = 8322, browser: bool = True, serve: bool = True) -> None:
    """Judge clips on a page that only this machine's browser can open.

    The page shows one clip after the other in an order that says nothing of where it comes from,
    and the task. Labels go to labels.jsonl in the folder, a line each; labelling goes on where it
    stopped. At the end (Ctrl-C) the agreement with the judges of the table is printed.

    Args:
        folder: The folder ``clips`` that ``rlvr-world policies`` wrote.
        port: The port of the page; a free one if 0.
        browser: Whether the page is opened in a browser.
        serve: Whether there is a page; without it only the agreement is printed.
    """
    labels = Labels(folder)
    if serve:
        LoopbackServer(Path(__file__).parent, labels.calls, port).show("the clips", browser)
    rows = [["world", "labelled", "as the judge %", "success by hand %", "by the judge %"]]
    for world, found in agreements(labels).items():
        rows.append([world, *(f"{value:.4g}" for value in found)])
    Console().print(markdown_rows(rows), soft_wrap=True, markup=False)

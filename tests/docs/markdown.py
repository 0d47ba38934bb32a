"""What the Markdown files of the repository hold: blocks of code by page, and spans of code."""

import re
from pathlib import Path

from stages import ROOT

FILES = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("[dc]*/README.md")]
PAGES = {str(path.relative_to(ROOT)): path.read_text() for path in sorted({*FILES})}
NAME = re.compile(r"# (\S+\.(?:py|yaml))\n")
PAST = ("CHANGELOG.md", "RESULTS.md", "docs/results/")
"""Pages that name commands and files of their time."""


def blocks(text: str, *languages: str) -> list[str]:
    """The fenced blocks of code in some languages."""
    fences = re.findall(r"^```(\w+)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    return [code for language, code in fences if language in languages]


def named_blocks() -> dict[str, str]:
    """The blocks that begin with the name of a file, by that name."""
    found = [block for text in PAGES.values() for block in blocks(text, "python", "yaml")]
    return {match[1]: block for block in found if (match := NAME.match(block))}


def unnamed_blocks(text: str, *languages: str) -> list[str]:
    return [block for block in blocks(text, *languages) if not NAME.match(block)]


def spans(text: str) -> list[str]:
    """Code within the text."""
    return re.findall(
        r"`([^`\n]+)`", re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)
    )


def write_named_blocks(folder: Path) -> None:
    for name, text in named_blocks().items():
        (folder / name).write_text(text)

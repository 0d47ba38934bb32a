"""An episode as a page for people to read: HTML without scripts, in which nothing is trusted."""

import base64
import html
from collections.abc import Mapping
from typing import Any

from rlvr_world.web.agent.episode import Episode
from rlvr_world.web.agent.results import Job

POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; form-action 'none'; "
    "base-uri 'none'"
)
"""What a browser lets the report do: show its own pictures and styles."""

STYLE = """
body { font: 15px/1.4 sans-serif; margin: 2em auto; max-width: 70em; color: #222 }
section { border-top: 1px solid #ccc; padding: 1em 0 }
img { border: 1px solid #ccc; max-width: 32em; display: block; margin: .5em 0 }
table { border-collapse: collapse; width: 100% }
td, th { text-align: left; vertical-align: top; padding: .3em .8em .3em 0 }
tr.chosen { background: #e8f3e8 }
pre { white-space: pre-wrap; overflow-wrap: anywhere; margin: 0 }
.error { color: #a00 }
"""

HEAD = (
    "<!DOCTYPE html>\n<html lang='en'><head><meta charset='utf-8'>"
    f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
    f"<style>{STYLE}</style><title>"
)


def report(job: Job, episode: Episode) -> str:
    """The page, in letters of ASCII."""
    title = f"{job.row}: {job.task}, seed {job.seed}"
    ending = f"{'success' if episode.success else 'no success'}, reward {episode.reward:g}"
    pictures = [*episode.pictures, *[b""] * (len(episode.steps) + 1 - len(episode.pictures))]
    steps = zip(range(1, len(episode.steps) + 1), episode.steps, pictures, strict=False)
    sections = [
        f"{HEAD}{_said(title)}</title></head>",
        f"<body><h1>{_said(title)}</h1><p>Objective: {_said(episode.objective)}</p>",
        f"<p>{_said(ending)} after {len(episode.steps)} steps ({_said(episode.reason)}), "
        f"{episode.seconds:.1f} s</p>",
        *(_step(number, step, picture) for number, step, picture in steps),
        f"<section><h2>At the end</h2>{_picture(pictures[len(episode.steps)])}</section>",
        "</body></html>\n",
    ]
    return "\n".join(sections).encode("ascii", "xmlcharrefreplace").decode()


def _step(number: int, step: Mapping[str, Any], picture: bytes) -> str:
    """One step: the page, the candidates, and what really happened."""
    rows = [
        _candidate(candidate, index == step["chosen"])
        for index, candidate in enumerate(step["candidates"])
    ]
    error = f"<p class='error'>{_said(step['error'])}</p>" if "error" in step else ""
    return (
        f"<section><h2>Step {number}</h2><p>{_said(step['url'])}, decided in "
        f"{step['seconds_to_decide']:.1f} s</p>{_picture(picture)}"
        "<table><tr><th>Action<th>Proposed<th>Value<th>Imagined</tr>"
        f"{''.join(rows)}</table>{error}"
        f"{_folded('What really changed', step.get('true_changes', ''))}"
        f"{_folded('The page', step['page'])}</section>"
    )


def _candidate(candidate: Mapping[str, Any], is_chosen: bool) -> str:
    value = candidate.get("value")
    mark = " class='chosen'" if is_chosen else ""
    said = candidate.get("summary") or candidate.get("prediction_error") or ""
    return (
        f"<tr{mark}><td><pre>{_said(candidate['action'])}</pre><td>{candidate['frequency']}"
        f"<td>{'' if value is None else f'{value:.2f}'}"
        f"<td><pre>{_said(said)}</pre>{_folded('prediction', candidate.get('prediction', ''))}</tr>"
    )


def _folded(title: str, text: str) -> str:
    """Text to unfold; nothing if there is none."""
    if not text:
        return ""
    return f"<details><summary>{_said(title)}</summary><pre>{_said(text)}</pre></details>"


def _picture(png: bytes) -> str:
    if not png:
        return ""
    return f"<img alt='the page' src='data:image/png;base64,{base64.b64encode(png).decode()}'>"


def _said(text: str) -> str:
    return html.escape(str(text), quote=True)

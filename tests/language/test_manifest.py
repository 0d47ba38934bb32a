"""Manifests of transitions: one kind for all rooms, and those of earlier folders."""

import json

import pytest
from games import step, write_root
from page_steps import tick, write_pages

from rlvr_world.language.manifest import TransitionManifest
from rlvr_world.text_game.data import TextDataModule
from rlvr_world.web.data import WebDataModule

NUMBERS = {"transitions": 3, "changed": 1, "verbs": {"look": [3, 1]}, "characters": {"max": 9}}
SHARD = {"name": "val-000000.tar", "transitions": 3, "changed": 1, "sha256": "5"}
EARLIER = {
    "game": ({"modes": {"full": NUMBERS | {"games": {"lamps": [3, 1]}}}}, {"mode": "full"}),
    "page": ({"sites": {"full": NUMBERS | {"tasks": {"lamps": [3, 1]}}}}, {}),
}
"""A split, and what its shard says more, as text games and pages had them."""


def write(folder, split, shard):
    split = split | {"shards": [SHARD | shard]}
    manifest = {"source": "toy", "settings": {"seed": 1}, "versions": {}, "rows": {}}
    document = manifest | {"splits": {"val": split}, "fingerprint": "abc"}
    (folder / "manifest.json").write_text(json.dumps(document))


@pytest.mark.parametrize("kind", EARLIER)
def test_earlier_folders_load_and_are_written_in_the_present_form(tmp_path, kind):
    write(tmp_path, *EARLIER[kind])
    manifest = TransitionManifest.load(tmp_path)
    split = manifest.splits["val"]
    assert split.groups["full"].subjects == {"lamps": [3, 1]}
    assert split.shards[0].samples == 3
    assert split.shards[0].group == ("full" if kind == "game" else "")
    manifest.save(tmp_path)
    assert TransitionManifest.load(tmp_path) == manifest
    assert "groups" in json.loads((tmp_path / "manifest.json").read_text())["splits"]["val"]


def test_a_finished_folder_is_known_by_its_source_and_settings(tmp_path):
    assert TransitionManifest.finished(tmp_path / "none", "toy", {"seed": 1}) is None
    write(tmp_path, *EARLIER["page"])
    assert TransitionManifest.finished(tmp_path, "toy", {"seed": 1}).fingerprint == "abc"
    for source, seed, message in (("web", 1, "source toy, not web"), ("toy", 2, "seed 1, not 2")):
        with pytest.raises(ValueError, match=f"was made with {message}"):
            TransitionManifest.finished(tmp_path, source, {"seed": seed})


def test_games_are_no_pages_and_pages_no_games(tmp_path):
    games, pages = str(tmp_path / "games"), str(tmp_path / "pages")
    write_root(tmp_path / "games", {"val": [step(5, "wait")]})
    write_pages(tmp_path / "pages", {"val": [tick(5, "click [1]")]})
    for module, other in ((TextDataModule, pages), (WebDataModule, games)):
        with pytest.raises(ValueError, match=f"{other} holds no data for {module.__name__}, but"):
            module(other).shards("val")
    assert TextDataModule(games).shards("val")
    assert WebDataModule(pages).shards("val")

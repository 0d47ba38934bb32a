"""The recording that comes with the package: it loads, and its changes lead to the next pages."""

from collections import Counter
from pathlib import Path

import pytest

from rlvr_world.web.changes import apply, content
from rlvr_world.web.data import WebDataModule
from rlvr_world.web.recorded_pages import ARCHIVE, unpack_recorded_pages
from rlvr_world.web.sites.folder_site import OwnPages

SPLITS = ("train", "val", "test", "test_tasks")


@pytest.fixture(scope="module")
def steps(tmp_path_factory):
    """The steps by split."""
    root = tmp_path_factory.mktemp("recorded") / "pages"
    unpack_recorded_pages(root)
    data = WebDataModule(str(root))
    return {
        split: [step for batch in data.once(split) for step in batch["transition"]]
        for split in SPLITS
    }


def test_it_is_small_and_complete(steps):
    assert ARCHIVE.stat().st_size < 300_000
    tasks = {split: {step.task for step in found} for split, found in steps.items()}
    held_out = set(OwnPages.held_out_tasks)
    assert tasks["test_tasks"] == held_out
    assert tasks["train"] == tasks["val"] == tasks["test"] == set(OwnPages().tasks) - held_out
    assert {step.site for found in steps.values() for step in found} == {"pages"}
    assert len(steps["train"]) > 1000
    changed = sum(step.changed for step in steps["train"])
    assert 0.5 < changed / len(steps["train"]) < 1


@pytest.mark.parametrize("split", SPLITS)
def test_the_changes_lead_to_the_next_page(steps, split):
    for step in steps[split]:
        after = apply(step.elements, step.changes)
        assert Counter(map(content, after)) == Counter(map(content, step.next_elements))


def test_a_folder_with_a_manifest_is_kept_and_others_are_refused(tmp_path):
    (tmp_path / "manifest.json").write_text("mine")
    unpack_recorded_pages(tmp_path)
    assert [path.name for path in Path(tmp_path).iterdir()] == ["manifest.json"]
    (tmp_path / "manifest.json").rename(tmp_path / "notes")
    with pytest.raises(ValueError, match="holds files but no manifest"):
        unpack_recorded_pages(tmp_path)

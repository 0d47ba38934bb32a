import json

import pytest
from page_steps import CART, SAME, page_step, tick, write_pages

from rlvr_world.data.samples import read_members, write_shard
from rlvr_world.language.manifest import TransitionManifest
from rlvr_world.language.pairs import redone
from rlvr_world.web.changes import Changes
from rlvr_world.web.data import WebDataModule
from rlvr_world.web.page import WebTransition
from rlvr_world.web.tree import Element


@pytest.fixture
def root(tmp_path):
    """16 changed and 32 unchanged steps to train on, and test splits of one task each."""
    actions = ("click [0]", "hover [1]", "press [Enter]")
    train = [tick(n, action) for n in range(16) for action in actions]
    splits = {
        "train": train,
        "val": train[:7],
        "test": [CART, SAME],
        "test_tasks": [tick(1, "click [2]", "unseen")],
        "test_pages": [page_step(CART.tree, CART.next_tree, task="product")] * 2,
    }
    write_pages(tmp_path / "toy", splits)
    return tmp_path / "toy"


def module(root, **arguments):
    return WebDataModule(str(root), **{"batch_size": 4, "samples_per_epoch": 400} | arguments)


def steps(loader):
    return [step for batch in loader for step in batch["transition"]]


def test_a_batch_holds_keys_and_transitions(root):
    batch = next(iter(module(root, batch_size=30).train_dataloader()))
    assert sorted(batch) == ["key", "transition"]
    for key, step in zip(batch["key"], batch["transition"], strict=True):
        assert step == tick(boxes_of(step), step.action)
        assert key.startswith(f"train-{'changed' if step.changed else 'unchanged'}-")


def boxes_of(step):
    return sum(("checked", "True") in e.properties and 1 << int(e.id) for e in step.elements)


@pytest.mark.parametrize(("share", "expected"), [(None, 1 / 3), (0.8, 0.8), (1.0, 1.0)])
def test_changed_share_mixes_the_training_stream(root, share, expected):
    found = steps(module(root, changed_share=share, samples_per_epoch=1000).train_dataloader())
    deviation = (expected * (1 - expected) / 1000) ** 0.5
    changed = sum(step.changed for step in found) / 1000
    assert changed == pytest.approx(expected, abs=4 * deviation)


def test_each_test_split_is_read_once(root):
    assert len(steps(module(root).val_dataloader())) == 7
    for split, tasks in {
        "test": ["cart"] * 2,
        "test_tasks": ["unseen"],
        "test_pages": ["product"],
    }.items():
        data = module(root, test_split=split)
        for loader in (data.test_dataloader(), data.predict_dataloader()):
            assert [step.task for step in steps(loader)] == tasks


def test_the_manifest_counts_what_is_there(root):
    manifest = TransitionManifest.load(root)
    train = manifest.splits["train"].groups["toy"]
    assert (train.transitions, train.changed) == (48, 16)
    assert train.subjects == {"boxes": [48, 16]}
    assert train.verbs == {"click": [16, 16], "hover": [16, 0], "press": [16, 0]}
    assert manifest.splits["test"].groups["shop"].subjects == {"cart": [2, 1]}
    names = [shard.name for shard in manifest.splits["train"].shards]
    assert names == ["train-changed-000000.tar", "train-unchanged-000000.tar"]
    assert [shard.changed for shard in manifest.splits["train"].shards] == [16, 0]


def test_a_malformed_sample_is_skipped_and_named(root):
    path = root / "val-000000.tar"
    samples = [(s["__key__"], {"json": json.loads(s["json"])}) for s in read_members(path)]
    samples[2][1]["json"]["tree"] = "no tree"
    write_shard(path, samples)
    loader = module(root, max_skip_share=0.5).val_dataloader()
    with pytest.warns(UserWarning, match=r"1 of 7 samples.*val-000002: tree: line 1 is not"):
        found = steps(loader)
    assert len(found) == 6


TRUTH = {"new": ["[9] alert 'Added'"], "deleted": [], "updated": []}


def test_a_truth_of_its_own_is_kept():
    step = WebTransition.from_json(CART.to_json() | {"truth": TRUTH})
    assert step.changes == Changes(new=(Element("9", "alert", "Added"),))
    assert WebTransition.from_json(step.to_json()) == step
    assert "truth" not in CART.to_json()
    assert redone(SAME, step).changes == step.changes
    assert redone(step, SAME).changes == SAME.changes


@pytest.mark.parametrize(
    ("truth", "message"),
    [([], "truth must hold exactly new, deleted, updated"),
     ({"new": []}, "truth must hold exactly new, deleted, updated"),
     (TRUTH | {"deleted": "[5]"}, "truth: deleted must be a list of lines"),
     (TRUTH | {"updated": [5]}, "truth: updated must be a list of lines"),
     (TRUTH | {"new": ["[5]"]}, r"truth: new: not `\[id\] role 'name' key: value`: '\[5\]'")],
)  # fmt: skip
def test_a_malformed_truth_is_named(truth, message):
    with pytest.raises(ValueError, match=message):
        WebTransition.from_json(CART.to_json() | {"truth": truth})


def test_a_missing_folder_and_another_kind_of_data_are_named(root, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"rlvr-world data web .*--root .*nothing"):
        module(tmp_path / "nothing").setup("fit")
    (root / "manifest.json").write_text('{"splits": {"train": {"shards": [], "modes": {}}}}')
    with pytest.raises(ValueError, match="is not a manifest of shards"):
        module(root).setup("fit")

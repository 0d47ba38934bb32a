import json
from collections import Counter
from itertools import chain
from types import SimpleNamespace

import jsonargparse
import numpy as np
import pytest
import torch
from games import lamps, step, write_root
from lightning.pytorch import LightningModule, Trainer
from toy_shards import stand_in_trainer

from rlvr_world.data.samples import read_members, write_shard
from rlvr_world.language.manifest import TransitionManifest
from rlvr_world.text_game.data import TextDataModule, load_rules

VAL = 23


@pytest.fixture
def root(tmp_path):
    """30 changed and 90 unchanged transitions to train on, and VAL of both kinds to validate."""
    train = [step(i, f"switch {i % 10}") for i in range(30)]
    train += [step(i, verb, game) for i in range(30) for verb, game in VERBS]
    val = [step(i, "switch 1" if i % 3 else "look") for i in range(VAL)]
    verbs = [step(i, "dim 1") for i in range(4)]
    write_root(tmp_path / "toy", {"train": train, "val": val, "test": val[:5], "test_verbs": verbs})
    return tmp_path / "toy"


VERBS = (("look", "lamps"), ("listen", "lamps"), ("look", "dark"))


def module(root, rank=0, world=1, **arguments):
    defaults = {"batch_size": 4, "samples_per_epoch": 400, "max_skip_share": 0.5}
    data = TextDataModule(str(root), **defaults | arguments)
    data.trainer = stand_in_trainer(rank, world)
    data.setup("fit")
    return data


def keys(loader):
    batches = list(loader)
    assert len(batches) == len(loader)
    return [key for batch in batches for key in batch["key"]]


def changes(loader):
    return [transition.changed for batch in loader for transition in batch["transition"]]


def test_a_batch_holds_transitions_and_the_rules_of_their_games(root):
    batch = next(iter(module(root, batch_size=60).train_dataloader()))
    assert sorted(batch) == ["key", "rules", "transition"]
    assert [len(values) for values in batch.values()] == [60] * 3
    assert {transition.game for transition in batch["transition"]} == {"lamps", "dark"}
    for key, transition, rules in zip(
        *(batch[k] for k in ("key", "transition", "rules")), strict=True
    ):
        assert transition == step(number(transition), transition.action, transition.game)
        known = {"objects": "o", "actions": "a", "score": "s"}
        assert rules == (known if transition.game == "lamps" else None)
        assert key.startswith(f"train-full-{'changed' if transition.changed else 'unchanged'}-")


def number(transition):
    return sum(o["properties"]["isOn"] << o["uuid"] for o in transition.state["objects"])


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize(("share", "expected"), [(None, 0.25), (0.8, 0.8), (0.0, 0.0), (1.0, 1.0)])
def test_changed_share_mixes_the_training_stream(root, workers, share, expected):
    data = module(root, changed_share=share, num_workers=workers, samples_per_epoch=2000)
    found = changes(data.train_dataloader())
    assert len(found) == 2000
    deviation = (expected * (1 - expected) / 2000) ** 0.5
    assert sum(found) / 2000 == pytest.approx(expected, abs=4 * deviation)


@pytest.mark.parametrize("workers", [0, 2])
def test_training_is_a_function_of_seed_and_rank(root, workers):
    def drawn(**arguments):
        return keys(module(root, num_workers=workers, **arguments).train_dataloader())

    assert drawn() == drawn()
    assert drawn(seed=1) != drawn()
    first, second = (drawn(rank=rank, world=2) for rank in range(2))
    assert len(first) == len(second) == 200
    assert first != second


def test_training_reaches_every_transition(root):
    counts = Counter(keys(module(root, samples_per_epoch=4000).train_dataloader()))
    assert len(counts) == 120
    assert min(counts.values()) > 10


def test_parts_have_nothing_in_common_and_together_everything(root):
    def seen(*part):
        data = module(root, part=part, samples_per_epoch=4000)
        return set(keys(data.train_dataloader()))

    first, second = seen(0, 0.8), seen(0.8, 1)
    assert not first & second
    assert len(first | second) == 120
    assert 75 < len(first) < 115
    assert len(keys(module(root, part=(0, 0.1)).val_dataloader())) == VAL
    with pytest.raises(ValueError, match=r"samples in a row are not in part \[0\.5, 0\.500001\]"):
        seen(0.5, 0.500001)
    with pytest.raises(ValueError, match=r"part must be two rising numbers from 0 to 1, got \(1,"):
        module(root, part=(1, 0))


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("world", [1, 2, 3])
def test_evaluation_reads_each_transition_once(root, workers, world):
    seen, changed = [], []
    for rank in range(world):
        loader = module(root, rank, world, num_workers=workers, changed_share=1.0).val_dataloader()
        seen += keys(loader)
        changed += changes(loader)
    assert sorted(seen) == [f"val-full-{i:06d}" for i in range(VAL)]
    assert sum(changed) == sum(i % 3 > 0 for i in range(VAL))


def test_the_test_split_can_be_chosen(root):
    assert len(keys(module(root).test_dataloader())) == 5
    data = module(root, test_split="test_verbs")
    for loader in (data.test_dataloader(), data.predict_dataloader()):
        (batch,) = loader
        assert [transition.action for transition in batch["transition"]] == ["dim 1"] * 4
    with pytest.raises(ValueError, match="has nothing in its split test_noun"):
        module(root, test_split="test_noun").test_dataloader()


def test_modes_are_kept_apart(tmp_path):
    both = [step(i, "switch 1", mode=mode) for i in range(6) for mode in ("full", "action")]
    write_root(tmp_path, {"train": both, "val": both})
    for modes in (["full"], ["action"], ["full", "action"]):
        data = module(tmp_path, modes=modes)
        for loader in (data.train_dataloader(), data.val_dataloader()):
            found = [t for batch in loader for t in batch["transition"]]
            assert {transition.mode for transition in found} == set(modes)
        assert len(found) == 6 * len(modes)
    with pytest.raises(ValueError, match="has nothing in its split val"):
        module(tmp_path, modes=["tick"]).val_dataloader()


def test_the_manifest_counts_what_is_there(root):
    manifest = TransitionManifest.load(root)
    train = manifest.splits["train"].groups["full"]
    assert (train.transitions, train.changed) == (120, 30)
    assert train.subjects == {"dark": [30, 0], "lamps": [90, 30]}
    assert train.verbs == {"listen": [30, 0], "look": [60, 0], "switch": [30, 30]}
    lengths = [len(json.dumps(lamps(i))) for i in range(30)]
    assert train.characters["max"] == max(lengths)
    assert train.characters["median"] in lengths
    for split in manifest.splits.values():
        for shard in split.shards:
            documents = [json.loads(s["json"]) for s in read_members(root / shard.name)]
            assert len(documents) == shard.transitions
            assert sum(document["changed"] for document in documents) == shard.changed


def test_rules_count_in_the_fingerprint(tmp_path):
    splits = {"train": [step(1, "look")]}
    first = write_root(tmp_path / "a", splits).fingerprint
    assert write_root(tmp_path / "b", splits).fingerprint == first
    assert write_root(tmp_path / "c", splits, rules={}).fingerprint != first


BROKEN = [
    (lambda document: document.pop("task"), "val-full-000001: the key task is missing"),
    (lambda document: document.update(changed=5), "val-full-000001: changed must be of type bool"),
    (lambda document: document["state"].pop("objects"), "val-full-000001: state: a state must"),
]


def edit_val(root, edit):
    path = root / "val-full-000000.tar"
    samples = [(s["__key__"], {"json": json.loads(s["json"])}) for s in read_members(path)]
    edit(samples)
    write_shard(path, samples)


@pytest.mark.parametrize(("edit", "message"), BROKEN)
@pytest.mark.parametrize("workers", [0, 2])
def test_a_malformed_sample_is_skipped_counted_and_reported(root, workers, edit, message):
    edit_val(root, lambda samples: edit(samples[1][1]["json"]))
    data = module(root, num_workers=workers)
    loader = data.val_dataloader()
    with pytest.warns(UserWarning, match=rf"1 of {VAL} samples had to be skipped: .*{message}"):
        found = [key for batch in loader for key in batch["key"]]
    assert len(found) == VAL - 1
    assert data.skipped["val"].skipped == 1


def test_json_that_is_missing_or_cut_short(root):
    other = ("val-full-000001", {"a.npy": np.zeros(1)})
    edit_val(root, lambda samples: samples.__setitem__(1, other))
    with pytest.warns(UserWarning, match="val-full-000001 has no json"):
        list(module(root).val_dataloader())
    path = root / "val-full-000000.tar"
    path.write_bytes(path.read_bytes().replace(b'"action"', b'"action ', 1))
    with pytest.warns(UserWarning, match="val-full-000000: the JSON is broken"):
        list(module(root).val_dataloader())


def test_too_many_malformed_samples_stop_the_run(root):
    edit_val(root, lambda samples: [s[1]["json"].pop("task") for s in samples[:9]])
    with pytest.raises(ValueError, match=r"samples had to be skipped.*max_skip_share is 0.2"):
        list(module(root, max_skip_share=0.2).val_dataloader())


def test_bad_arguments_and_missing_files(root, tmp_path):
    with pytest.raises(ValueError, match="changed_share must be from 0 to 1, got 2"):
        TextDataModule("x", changed_share=2)
    with pytest.raises(ValueError, match="modes must name at least one"):
        TextDataModule("x", modes=[])
    missing = tmp_path / "nothing"
    with pytest.raises(FileNotFoundError, match=rf"rlvr-world data textworld .*--root {missing}"):
        module(missing)
    write_root(tmp_path / "same", {"train": [step(1, "look")]})
    with pytest.raises(ValueError, match=r"no changed transitions .* changed_share is 0.5"):
        module(tmp_path / "same", changed_share=0.5).train_dataloader()
    (root / "rules.json").write_text('{"lamps": {"objects": "o"}}')
    with pytest.raises(ValueError, match=r"rules.json must hold, for each game"):
        module(root).train_dataloader()
    (root / "rules.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"rules.json does not exist"):
        load_rules(root)


class Counting(LightningModule):
    """Trains nothing of interest and counts what it sees."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.seen = Counter()

    def training_step(self, batch, index):
        self.seen["changed"] += sum(transition.changed for transition in batch["transition"])
        return self.weight * len(batch["key"])

    def validation_step(self, batch, index):
        self.seen["val"] += len(batch["key"])

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)


@pytest.mark.parametrize("workers", [0, 2])
def test_lightning_passes_batches_on_as_they_are(root, workers):
    data = TextDataModule(
        str(root), batch_size=4, samples_per_epoch=16, changed_share=1.0, num_workers=workers
    )
    model = Counting()
    trainer = Trainer(
        accelerator="cpu", max_epochs=2, logger=False, enable_progress_bar=False,
        enable_model_summary=False, enable_checkpointing=False, num_sanity_val_steps=0,
    )  # fmt: skip
    trainer.fit(model, data)
    assert model.seen == {"changed": 32, "val": 2 * VAL}


def test_arguments_of_both_classes_reach_the_command_line():
    parser = jsonargparse.ArgumentParser()
    parser.add_class_arguments(TextDataModule, "data")
    parsed = parser.parse_args(["--data.batch_size=3", "--data.modes=[tick]", "--data.seed=4"])
    data = parser.instantiate(parsed).data
    assert (data.batch_size, data.groups, data.seed) == (3, ("tick",), 4)


def test_what_does_not_fit_is_left_out_and_counted(root):
    data = module(root, num_workers=0)
    data.fitting = lambda batch: [step.action != "look" for step in batch["transition"]]
    with pytest.warns(UserWarning, match=r"toy val: 8 of 23 samples are left out: their prompts"):
        kept = [step.action for batch in data.once("val") for step in batch["transition"]]
    assert kept == ["switch 1"] * 15
    assert data.skipped["val"].left_out == 8
    batches = list(data.train_dataloader())
    assert {len(batch["key"]) for batch in batches} == {4}
    actions = {step.action for batch in batches for step in batch["transition"]}
    assert "look" not in actions
    assert "listen" in actions


def test_data_of_which_nothing_fits_is_refused(root):
    data = module(root)
    data.fitting = lambda batch: [False] * len(batch["key"])
    with pytest.raises(ValueError, match="none of 1000 samples fits; raise prompt_length of the"):
        next(iter(data.train_dataloader()))


def test_sorted_batches_hold_examples_of_similar_length(root):
    def lengths(start=0, **arguments):
        data = module(root, samples_per_epoch=400, **arguments)
        loader = data.train_dataloader()
        loader.position = lambda: (0, start)
        return [
            [len(json.dumps(transition.to_json())) for transition in batch["transition"]]
            for batch in loader
        ]

    def spread(batches):
        return sum(max(batch) - min(batch) for batch in batches)

    plain, batches = lengths(), lengths(sort_batches=8)
    assert spread(batches) < 0.5 * spread(plain)
    assert [len(batch) for batch in batches] == [4] * 100
    assert batches == lengths(sort_batches=8)
    assert lengths(37, sort_batches=8) == batches[37:]
    pools = [sorted(chain.from_iterable(batches[i : i + 8])) for i in range(0, 96, 8)]
    firsts = [batches[i] for i in range(0, 96, 8)]
    assert any(min(first) > pool[0] for first, pool in zip(firsts, pools, strict=True))
    for wrong in (0, 10**21):
        with pytest.raises(ValueError, match=f"sort_batches must be from 1 to 1000, got {wrong}"):
            module(root, sort_batches=wrong)


def test_a_resumed_run_is_told_that_batches_were_not_sorted(root):
    data = module(root)
    state = data.state_dict()
    del state["epoch"]["sort_batches"]
    again = module(root, sort_batches=8)
    again.trainer.state = SimpleNamespace(fn="fit")
    with pytest.warns(UserWarning, match="the resumed run had sort_batches 1, now 8"):
        again.load_state_dict(state)

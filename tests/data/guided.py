"""Coverage-guided fuzzing of one reader: ``python guided.py READER FOLDER [options of libFuzzer]``.

FOLDER holds ``seeds``, sound inputs. Whatever a reader raises but ``ValueError`` and ``OSError``,
what it cannot read again that it wrote, a hang and too much memory end the process.
"""

import sys
from contextlib import suppress
from pathlib import Path

import atheris

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "src"), str(ROOT)]
with atheris.instrument_imports(include=["rlvr_world", "yaml", "tarfile", "numpy.lib", "PIL"]):
    from rlvr_world.command_line.configs import check_config
    from rlvr_world.data.decode import parse_json, read_array, read_picture
    from rlvr_world.data.samples import read_members
    from rlvr_world.language.manifest import TransitionManifest
    from rlvr_world.text_game.answer import read_answer
    from rlvr_world.text_game.transition import Transition, apply
    from rlvr_world.video.data.manifest import Manifest
    from rlvr_world.video.sources.tfrecords import find_records, read_record
    from rlvr_world.web.action import Action
    from rlvr_world.web.answer import changes_text, read_changes
    from rlvr_world.web.page import WebTransition
    from rlvr_world.web.tree import parse_tree, tree_text

FOLDER = Path(sys.argv[2])
FILE = FOLDER / "manifest.json"


def write(content):
    FILE.write_bytes(content)
    return FILE


def tar(content):
    for sample in read_members(write(content)):
        assert sample["__key__"]


def manifest(kind):
    def read(content):
        write(content)
        found = kind.load(FOLDER)
        assert all(shard.samples > 0 for split in found.splits.values() for shard in split.shards)

    return read


def state(content):
    step = Transition.from_json(parse_json(content))
    after = apply(step.state, step.difference)
    assert Transition.from_json({**step.to_json(), "target": after}).changed == step.changed


def page(content):
    step = WebTransition.from_json(parse_json(content))
    assert read_changes(changes_text(step.changes, "long")).total == step.changes.total


def tree(content):
    elements = parse_tree(content.decode())
    assert parse_tree(tree_text(elements)) == elements


def action(content):
    found = Action.parse(content.decode())
    assert Action.parse(str(found)) == found


def answer(content):
    for form in ("difference", "state"):
        with suppress(ValueError):
            read_answer(content.decode(), form)


def records(content):
    path = write(content)
    for offset in find_records(path).offsets:
        with suppress(ValueError):
            read_record(path, offset)


READERS = {
    "npy": read_array,
    "png": read_picture,
    "jpeg": read_picture,
    "json": parse_json,
    "tar": tar,
    "manifest of video": manifest(Manifest),
    "manifest of pages": manifest(TransitionManifest),
    "state": state,
    "page": page,
    "tree": tree,
    "action": action,
    "answer": answer,
    "changes": lambda content: read_changes(content.decode()),
    "config": lambda content: check_config(write(content), set()),
    "records": records,
}


def main():
    read = READERS[sys.argv[1]]

    def once(content):
        with suppress(ValueError, OSError):
            read(content)

    atheris.Setup([sys.argv[0], *sys.argv[3:], str(FOLDER / "seeds")], once)
    atheris.Fuzz()


if __name__ == "__main__":
    main()

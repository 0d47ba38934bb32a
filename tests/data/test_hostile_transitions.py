"""Broken transitions of text games and web pages are skipped by name, and cost no others."""

import json

import pytest
from games import step, write_root
from hostile import DEEP, read_tar, write_tar
from page_steps import tick, write_pages

from rlvr_world.text_game.data import TextDataModule
from rlvr_world.web.data import WebDataModule


def game(root):
    write_root(root, {"val": [step(n, f"switch {n}") for n in range(3)]})
    return TextDataModule(str(root), max_skip_share=0.5)


def page(root):
    write_pages(root, {"val": [tick(n, "click [1]") for n in range(3)]})
    return WebDataModule(str(root), max_skip_share=0.5)


def text(**changes):
    return lambda content: json.dumps(json.loads(content) | changes).encode()


def score(value):
    def edit(content):
        document = json.loads(content)
        document["state"]["score"]["score"] = value
        return json.dumps(document).encode()

    return edit


BOTH = {
    "empty": (lambda content: b"", "the JSON is broken"),
    "cut": (lambda content: content[:-9], "the JSON is broken"),
    "deep": (lambda content: DEEP, r"the JSON is broken \(maximum recursion depth"),
    "huge": (lambda content: content + b" " * 2**24, "bytes, more than 16777216"),
    "no UTF-8": (lambda content: content.replace(b'"', b'"\xff', 1), "the JSON is broken"),
    "list": (lambda content: b"[" + content + b"]", "must be a JSON object, got list"),
    "null": (lambda content: b"null", "must be a JSON object, got NoneType"),
    "number as task": (text(task=7), "task must be of type str, got int"),
    "missing": (lambda content: content.replace(b'"action"', b'"act"'), "action is missing"),
}
GAMES = BOTH | {
    "bool as uuid": (text(uuid_base=True), "uuid_base must be of type int, got bool"),
    "state of text": (text(state="lamp"), "state must be of type dict, got str"),
    "no changed": (text(changed=None), "changed must be of type bool, got NoneType"),
    "NaN": (score(float("nan")), "NaN is no number"),
    "infinite": (lambda c: score(1)(c).replace(b'"score": 1', b'"score": 1e999'), "1e999 is no"),
    "10 ** 400": (score(10**400), "score.score must be finite"),
    "half a character": (text(task=chr(0xD800)), "surrogates not allowed"),
}
PAGES = BOTH | {
    "tree of numbers": (text(tree=[1]), "tree must be of type str, got list"),
    "no tree": (text(tree="a page"), "tree: "),
    "url null": (text(url=None), "url must be of type str, got NoneType"),
    "half a character": (text(next_url=chr(0xDFFF)), "surrogates not allowed"),
}


@pytest.mark.parametrize(
    ("make", "edit", "message"),
    [
        pytest.param(make, *case, id=f"{make.__name__} {name}")
        for make, cases in ((game, GAMES), (page, PAGES))
        for name, case in cases.items()
    ],
)
def test_a_broken_transition_is_skipped_by_name(tmp_path, make, edit, message):
    data = make(tmp_path / "toy")
    (shard,) = data.shards("val")
    members = read_tar(shard.path)
    name, content = members[1]
    members[1] = (name, edit(content))
    write_tar(shard.path, members)
    key = name.removesuffix(".json")
    with pytest.warns(UserWarning, match=rf"1 of 3 samples .*{shard.path.name}: {key}.*{message}"):
        found = [key for batch in data.val_dataloader() for key in batch["key"]]
    assert found == [other.removesuffix(".json") for other, _ in (members[0], members[2])]

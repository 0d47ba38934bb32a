"""Shards behind URLs: a server on loopback that fails, stalls, cuts and lies; pipes; patterns."""

import os
import shutil
import sys
import threading
import time
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
from games import step, write_root

from rlvr_world.data import remote
from rlvr_world.text_game.data import TextDataModule
from rlvr_world.video.data.video import VideoDataModule


class Handler(SimpleHTTPRequestHandler):
    """Serves a folder; the next answers for a file may be planned in ``server.plans``."""

    def do_GET(self):
        name = self.path.rsplit("/", 1)[-1]
        self.server.requests.append(name)
        plans = self.server.plans.get(name, [])
        plan = plans.pop(0) if plans else "serve"
        if isinstance(plan, int):
            self.send_error(plan)
        elif plan == "serve":
            super().do_GET()
        else:
            self.badly(plan)

    def badly(self, plan):
        with open(self.translate_path(self.path), "rb") as file:
            content = bytearray(file.read())
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if plan == "lie":
            content[700] ^= 1
            self.wfile.write(content)
            return
        self.wfile.write(content[: len(content) // 2])
        if plan == "stall":
            self.wfile.flush()
            self.server.over.wait(60)
        self.close_connection = True

    def log_message(self, *_):
        pass


@pytest.fixture
def serve(monkeypatch):
    """Serves a folder on 127.0.0.1 and returns the server with its address."""
    monkeypatch.setattr(remote, "WAIT", 0.01)
    monkeypatch.setattr(remote, "STALL", 0.3)
    monkeypatch.delenv("http_proxy", raising=False)
    servers = []

    def start(folder):
        server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
        server.plans, server.requests, server.over = {}, [], threading.Event()
        server.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.over.set()
        server.shutdown()
        server.server_close()


def module(root, cache, **arguments):
    defaults = {"clip_length": 3, "batch_size": 4, "samples_per_epoch": 24, "max_skip_share": 0.5}
    return VideoDataModule(str(root), cache=str(cache), **defaults | arguments)


def keys(loader):
    return [batch["key"] for batch in loader]


SHARD, OTHER = "val-000000.tar", "val-000001.tar"


@pytest.mark.parametrize("workers", [0, 2])
def test_a_url_gives_what_the_folder_gives_and_asks_once_per_shard(
    make_root, serve, tmp_path, workers
):
    root = make_root(per_shard=4)
    server = serve(root)
    here, there = module(root, ""), module(server.url, tmp_path / "cache", num_workers=workers)
    assert there.fingerprint == here.fingerprint
    for _ in range(2):
        assert sorted(keys(there.val_dataloader())) == sorted(keys(here.val_dataloader()))
    assert {SHARD, OTHER} < set(server.requests)
    if not workers:
        assert keys(there.train_dataloader()) == keys(here.train_dataloader())
        assert server.requests.count(SHARD) == 1
    again = module(server.url, tmp_path / "cache")
    server.requests.clear()
    again.setup("fit")
    keys(again.val_dataloader())
    assert server.requests == ["manifest.json"]


@pytest.mark.parametrize("plan", [[503], ["cut"], ["stall"], ["lie"], [500, "cut", "lie"]])
def test_a_server_that_fails_is_asked_again(make_root, serve, tmp_path, plan):
    server = serve(make_root(val=4))
    server.plans = {SHARD: list(plan), "manifest.json": [p for p in plan if p != "lie"]}
    data = module(server.url, tmp_path / "cache")
    found = {key.split(":")[0] for batch in keys(data.val_dataloader()) for key in batch}
    assert found == {"val-000", "val-001", "val-002", "val-003"}
    assert server.requests.count(SHARD) == len(plan) + 1
    assert not list(tmp_path.joinpath("cache").rglob("*.part"))


@pytest.mark.parametrize(("plan", "reason", "tries"), [
    ([503] * 9, "HTTP Error 503", 4),
    ([404], "HTTP Error 404", 1),
    (["cut"] * 9, "the connection was cut [0-9]+ bytes before the end", 4),
    (["lie"] * 9, "its SHA-256 is not the one in the manifest", 4),
    (["stall"] * 9, "timed out", 4),
])  # fmt: skip
def test_a_shard_that_cannot_be_had_is_skipped_by_name(
    make_root, serve, tmp_path, plan, reason, tries
):
    server = serve(make_root(val=4))
    server.plans = {SHARD: plan}
    data = module(server.url, tmp_path / "cache")
    with pytest.warns(UserWarning, match=rf"2 of 4 .*/{SHARD} cannot be downloaded \({reason}"):
        found = {key.split(":")[0] for batch in keys(data.val_dataloader()) for key in batch}
    assert found == {"val-002", "val-003"}
    assert server.requests.count(SHARD) == tries
    cached = [path.name for path in tmp_path.joinpath("cache").rglob("*.*")]
    assert not [name for name in cached if name.endswith((".part", SHARD))]


def test_a_server_that_drips_is_given_up(make_root, serve, tmp_path, monkeypatch):
    server = serve(make_root())
    monkeypatch.setattr(remote, "LIMIT", -1)
    with pytest.raises(OSError, match=r"manifest.json cannot be downloaded \(it takes longer than"):
        module(server.url, tmp_path / "cache").setup("fit")


def test_a_changed_shard_is_another_one(make_root, serve, tmp_path):
    root = make_root(train=2, val=2)
    server = serve(root)
    assert keys(module(server.url, tmp_path / "cache").val_dataloader())
    shutil.rmtree(root)
    make_root(train=2, val=2, length=5)
    found = keys(module(server.url, tmp_path / "cache").val_dataloader())
    assert {int(key.split(":")[1]) for batch in found for key in batch} == {0, 1, 2}


def test_text_games_bring_their_rules(serve, tmp_path):
    steps = [step(n, f"switch {n}") for n in range(6)]
    write_root(tmp_path / "in", {"train": steps, "val": steps[:3]})
    data = TextDataModule(serve(tmp_path / "in").url, cache=str(tmp_path / "cache"))
    (batch,) = data.val_dataloader()
    assert batch["rules"][0] == {"objects": "o", "actions": "a", "score": "s"}


def test_fsspec_opens_other_urls(make_root, tmp_path):
    import fsspec

    root = make_root(per_shard=4)
    memory = fsspec.filesystem("memory")
    memory.put(str(root), "/bucket", recursive=True)
    found = keys(module("memory://bucket", tmp_path / "cache").val_dataloader())
    assert found == keys(module(root, "").val_dataloader())
    with pytest.raises(OSError, match=r"nowhere://x/manifest.json cannot be downloaded .fsspec"):
        module("nowhere://x", tmp_path / "cache").setup("fit")


@pytest.mark.parametrize("scheme", ["s3", "gs"])
def test_buckets_are_opened_by_fsspec(make_root, tmp_path, monkeypatch, scheme):
    import fsspec
    from fsspec.registry import _registry

    root, opened = make_root(per_shard=4), []

    class Bucket(fsspec.AbstractFileSystem):
        """What s3fs and gcsfs are to fsspec."""

        protocol, cachable = scheme, False

        def _open(self, path, mode="rb", **_):
            opened.append(path)
            return open(root / path.removeprefix("bucket/robot/"), mode)

    monkeypatch.setitem(_registry, scheme, Bucket)
    found = keys(module(f"{scheme}://bucket/robot/", tmp_path / "cache").val_dataloader())
    assert found == keys(module(root, "").val_dataloader())
    assert opened == [f"bucket/robot/{name}" for name in ("manifest.json", SHARD, OTHER)]


def test_a_bucket_says_what_opens_it(tmp_path, monkeypatch):
    monkeypatch.setattr(remote, "WAIT", 0.0)
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(OSError, match="fsspec cannot open it: Install s3fs"):
        module("s3://b", tmp_path / "cache").setup("fit")


@pytest.mark.parametrize("workers", [0, 2])
def test_a_cache_keeps_no_more_than_it_may(make_root, serve, tmp_path, workers):
    root = make_root(train=12, per_shard=2)
    size = max(path.stat().st_size for path in root.glob("*.tar"))
    settings = {"cache_gb": 2.5 * size / 1e9, "num_workers": workers}
    server = serve(root)
    data = module(server.url, tmp_path / "cache", **settings)
    for _ in range(3):
        found, expected = (
            keys(each.train_dataloader()) for each in (data, module(root, "", num_workers=workers))
        )
        assert found == expected
    kept = list(tmp_path.joinpath("cache").rglob("*.tar"))
    assert sum(path.stat().st_size for path in kept) <= (2.5 + max(workers, 1)) * size
    assert len(server.requests) > 1 + 6
    assert [path.name for path in tmp_path.joinpath("cache").rglob("*.json")] == ["manifest.json"]


def test_the_cached_shard_goes_that_was_longest_unread(tmp_path):
    origins = {name: remote.Origin(f"memory://shards/{name}.tar", limit=25) for name in "abcd"}
    import fsspec

    for origin in origins.values():
        with fsspec.open(origin.url, "wb") as file:
            file.write(bytes(10))
    for time_, name in enumerate("abac"):
        origins[name].bring(tmp_path / f"{name}.tar")
        os.utime(tmp_path / f"{name}.tar", (time_, time_))
    origins["d"].bring(tmp_path / "d.tar")
    assert sorted(path.stem for path in tmp_path.iterdir()) == ["a", "c", "d"]


def test_a_pipe_runs_only_where_the_environment_allows_it(make_root, tmp_path, monkeypatch):
    root = make_root(per_shard=4)
    data = module(f"pipe:cat {root}/{{name}}", tmp_path / "cache")
    monkeypatch.setattr(remote, "WAIT", 0.01)
    monkeypatch.delenv("RLVR_WORLD_PIPES", raising=False)
    with pytest.raises(OSError, match="needs RLVR_WORLD_PIPES=1 in the environment"):
        data.setup("fit")
    monkeypatch.setenv("RLVR_WORLD_PIPES", "1")
    assert keys(data.val_dataloader()) == keys(module(root, "").val_dataloader())
    with pytest.raises(ValueError, match=r"must hold \{name\}"):
        module("pipe:cat x", tmp_path / "cache").setup("fit")
    assert remote.url_of("pipe:cat {name}", "a b;rm") == "pipe:cat 'a b;rm'"


def test_a_command_that_hangs_or_fails_is_ended(tmp_path, monkeypatch):
    monkeypatch.setenv("RLVR_WORLD_PIPES", "1")
    monkeypatch.setattr(remote, "WAIT", 0.0)
    monkeypatch.setattr(remote, "LIMIT", 0.2)
    begin = time.monotonic()
    with pytest.raises(OSError, match=r"timed out after 0\.2 seconds"):
        remote.Origin("pipe:sleep 1000").download(tmp_path / "x")
    assert time.monotonic() - begin < 100
    with pytest.raises(OSError, match="the command ends with 3"):
        remote.Origin("pipe:exit 3").download(tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


def test_a_pattern_stands_for_several_folders(make_root, serve, tmp_path):
    root = make_root()
    for name in "ab":
        shutil.copytree(root, tmp_path / "sets" / name)
    pattern = f"{serve(tmp_path / 'sets').url}/{{a,b}}"
    data = module(pattern, tmp_path / "cache", batch_size=64)
    data.setup("fit")
    assert [url.rsplit("/", 1)[-1] for url in data.urls.values()] == ["a", "b"]
    here = module(root, "", more_roots=[str(root)], batch_size=64)
    (both,), (expected,) = keys(data.val_dataloader()), keys(here.val_dataloader())
    assert both == expected


@pytest.mark.parametrize("name", ["../x.tar", "/etc/passwd", "a/b.tar", "", "x\0.tar", "..", "a\n"])
def test_a_manifest_cannot_name_files_elsewhere(make_root, name):
    root = make_root()
    path = root / "manifest.json"
    import json

    document = json.loads(path.read_text())
    document["splits"]["train"]["shards"][0]["name"] = name
    path.write_text(json.dumps(document))
    with pytest.raises(ValueError, match=r"not a manifest .* is no name of a shard"):
        module(root, "").setup("fit")

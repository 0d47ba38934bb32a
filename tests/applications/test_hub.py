"""Exported models go to a hub and back; a server on loopback stands in for the hub."""

import base64
import hashlib
import json
from threading import Thread

import huggingface_hub
import numpy as np
import pytest
from tiny_video import TinyClips, export_tokenizer, save_untrained
from werkzeug import Request, Response
from werkzeug.serving import WSGIRequestHandler, make_server

import rlvr_world
from rlvr_world.applications.export import export
from rlvr_world.applications.hub import pull, push

NAME = "me/model"


class Hub:
    """As much of the hub's interface as a push and a pull need; it keeps the files of one model."""

    def __init__(self):
        self.files, self.private = {"evil.py": b"import os", "weights.bin": b"pickle"}, None

    def __call__(self, environ, start):
        request = Request(environ)
        assert request.headers["Authorization"] == "Bearer hf_nobody"
        return self.answer(request)(environ, start)

    def answer(self, request):
        given = request.get_data()
        match request.path.removeprefix(f"/api/models/{NAME}"):
            case "/api/repos/create":
                said = json.loads(given)  # in one of two ways, by the version of the client
                self.private = said.get("visibility") == "private" or said.get("private")
                return reply({"url": f"http://127.0.0.1/{NAME}"})
            case "/api/validate-yaml":
                return reply({"errors": [], "warnings": []})
            case "/preupload/main":
                wanted = json.loads(given)["files"]
                modes = {"uploadMode": "regular", "shouldIgnore": False, "oid": None}
                return reply({"files": [{"path": file["path"], **modes} for file in wanted]})
            case "/commit/main":
                for line in map(json.loads, given.splitlines()):
                    if line["key"] == "file":
                        value = line["value"]
                        self.files[value["path"]] = base64.b64decode(value["content"])
                url = f"http://127.0.0.1/{NAME}/commit/{'0' * 40}"
                return reply({"commitUrl": url, "commitOid": "0" * 40, "success": True})
            case "/revision/main" | "":
                names = [{"rfilename": name} for name in self.files]
                return reply({"id": NAME, "sha": "0" * 40, "siblings": names, "tags": []})
            case path if path.startswith("/tree/"):
                return reply([
                    {"type": "file", "path": name, "size": len(content), "oid": "1"}
                    for name, content in self.files.items()
                ])  # fmt: skip
        content = self.files[request.path.partition(f"/resolve/{'0' * 40}/")[2]]
        etag = hashlib.sha256(content).hexdigest()
        return Response(content, headers={"ETag": f'"{etag}"', "X-Repo-Commit": "0" * 40})


def reply(value):
    return Response(json.dumps(value), content_type="application/json")


class Quiet(WSGIRequestHandler):
    def log_request(self, *_):
        pass


@pytest.fixture
def hub(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_TOKEN", "hf_nobody")
    found = Hub()
    server = make_server("127.0.0.1", 0, found, threaded=True, request_handler=Quiet)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    found.url = f"http://127.0.0.1:{server.server_port}"
    yield found
    server.shutdown()
    thread.join()


def test_a_model_goes_to_the_hub_and_comes_back_without_code(hub, tmp_path):
    model = tmp_path / "model"
    model.mkdir()
    own = {"config.json": b"{}", "model.safetensors": bytes(range(256)), "README.md": b"# A"}
    for name, content in own.items():
        (model / name).write_bytes(content)
    (model / "notes.pkl").write_bytes(b"pickle")
    push(model, NAME, endpoint=hub.url)
    assert hub.private is True
    assert hub.files.keys() - own.keys() == {"evil.py", "weights.bin"}
    pull(NAME, tmp_path / "back", endpoint=hub.url)
    back = {p.name: p.read_bytes() for p in (tmp_path / "back").iterdir() if p.is_file()}
    assert back == own


def test_a_folder_that_is_no_model_is_not_pushed(hub, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"holds no config\.json"):
        push(tmp_path, NAME, endpoint=hub.url)
    assert hub.private is None


@pytest.fixture
def cache(hub, monkeypatch, tmp_path):
    """The hub that the settings of its client name, and the folder for what comes from there."""
    for name, value in {
        "ENDPOINT": hub.url,
        "HUGGINGFACE_CO_URL_TEMPLATE": f"{hub.url}/{{repo_id}}/resolve/{{revision}}/{{filename}}",
        "HF_HUB_CACHE": str(tmp_path / "cache"),
    }.items():
        monkeypatch.setattr(huggingface_hub.constants, name, value)
    return tmp_path / "cache"


def test_a_model_is_loaded_by_its_name_without_code(hub, cache, tmp_path):
    places = ("--model.backbone.frames", "4", "--model.backbone.actions", "true")
    checkpoint = save_untrained(
        tmp_path / "mle.ckpt", export_tokenizer(tmp_path / "tokenizer"), options=places
    )
    export(checkpoint, tmp_path / "exported")
    push(tmp_path / "exported", NAME)
    frames = TinyClips(1, 0).frames[0, :2].permute(0, 2, 3, 1).numpy()
    actions = np.full((3, 2), 0.5)
    predicted = rlvr_world.load(NAME).predict(frames, actions)
    np.testing.assert_array_equal(predicted, rlvr_world.load(checkpoint).predict(frames, actions))
    assert {path.name for path in cache.rglob("snapshots/*/*")} == {
        "config.json", "model.safetensors", "README.md"
    }  # fmt: skip


def test_what_is_no_name_on_the_hub_asks_no_hub(hub, cache, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "checkpoints").mkdir()
    monkeypatch.setattr(hub, "answer", lambda request: pytest.fail(f"asked {request.path}"))
    for path in ("checkpoints/mle", "away/last.ckpt", "a/b/c", "../model"):
        with pytest.raises(FileNotFoundError, match="no such checkpoint"):
            rlvr_world.load(path)


def test_a_name_that_the_hub_does_not_have_is_one_sentence(hub, cache, monkeypatch):
    monkeypatch.setattr(hub, "answer", lambda _: Response(status=404))
    with pytest.raises(FileNotFoundError, match=r"me/model: is no path here, and the hub does not"):
        rlvr_world.load(NAME)

"""Exported models go to a hub and back; a server on loopback stands in for the hub."""

import base64
import hashlib
import json
from threading import Thread

import pytest
from werkzeug import Request, Response
from werkzeug.serving import WSGIRequestHandler, make_server

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

"""The page on which a person steps a world model: its session, its server, and it in a browser."""

import json
import shlex
from base64 import b64decode
from http.client import HTTPConnection
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_video import TinyVideo, export_tokenizer, save_untrained

from rlvr_world.applications.interactive_rollout import InteractiveRollout
from rlvr_world.applications.loopback_server import FILES, LoopbackServer
from rlvr_world.applications.play import command
from rlvr_world.applications.play.session import Session
from rlvr_world.applications.play.video_world import VideoWorld
from rlvr_world.applications.start_states import chosen
from rlvr_world.cli import main
from rlvr_world.demos.presets import PushTDemo
from rlvr_world.modules.saved import load_world_model
from rlvr_world.rl.sampler import Sampler
from rlvr_world.video.data.video import episodes
from rlvr_world.video.rewards.frames import MAE
from rlvr_world.video.scenes.pusht import View
from rlvr_world.video.sources.pusht import PushTRecorder
from rlvr_world.video.sources.recorder import Episodes


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny")
    return save_untrained(folder / "mle.ckpt", export_tokenizer(folder / "vq"))


@pytest.fixture(scope="module")
def model(checkpoint):
    return load_world_model(checkpoint)


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    """Frames as small as the tiny model's."""
    pytest.importorskip("gym_pusht", reason="needs gym-pusht")
    root = tmp_path_factory.mktemp("data") / "pusht"
    PushTRecorder(str(root), Episodes(1, 1, 2), 8, view=View(320, 32), processes=1).record()
    return root


def pixels(address):
    return np.asarray(Image.open(BytesIO(b64decode(address.partition(",")[2]))))


def test_steps_are_those_of_a_rollout_on_each_branch(model):
    """Whatever has been stepped in between, and with keys and values kept or not."""
    likeliest = Sampler(temperature=0)
    session = Session(VideoWorld(model, TinyVideo(), horizon=3, sampler=likeliest))
    session.begin(2)
    plans = [[0.1, 0.9], [0.8, 0.2]], [[0.1, 0.9], [0.4, 0.4]]
    session.step(0, plans[0][0])
    session.step(1, plans[0][1])
    session.step(1, plans[1][1])
    for plan, last in zip(plans, (2, 3), strict=True):
        start = chosen(session.world.starts, [2], model.device)
        rollout = InteractiveRollout(model, start, 3, likeliest)
        uniforms = torch.zeros(1, model.codec.tokens_per_frame, dtype=torch.float64)
        for action in plan:
            expected = rollout.step(torch.tensor([action]), uniforms)
        expected = (expected[0].clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()
        shown = session.moments[last].shown
        assert (pixels(shown["picture"]) == expected).all()
        np.testing.assert_allclose(shown["certainty"], rollout.certainty.view(8, 8), rtol=1e-4)
    assert [moment.shown["parent"] for moment in session.moments] == [None, 0, 1, 1]


def test_the_simulator_goes_on_with_the_same_actions(model, recording):
    world = VideoWorld(model, recording, rewards={"mae": MAE()})
    session = Session(world)
    assert world.about()["pointer"] == {"origin": 96, "side": 320}
    recorded = next(episodes(recording, "test"))
    first = recorded["actions"]  # the tiny model's actions end at 1, the simulator's do not
    world.codec.action_low[:], world.codec.action_high[:] = 96, 416
    try:
        (shown,) = session.step(0, first[1].tolist())
    finally:
        world.codec.action_low[:], world.codec.action_high[:] = 0, 1
    truth = pixels(shown["truth"])
    assert (truth == recorded["frames"][2].transpose(1, 2, 0)).all()
    gap = np.abs(truth / 255 - pixels(shown["picture"]) / 255).mean()
    assert shown["rewards"]["mae"] == pytest.approx(gap, abs=0.005)


def test_what_is_not_there_is_said(model):
    session = Session(VideoWorld(model, TinyVideo()))
    assert "truth" not in session.moments[0].shown
    assert session.world.about()["without"] == "the data is no recording"
    for given, sentence in {
        (9, (0, 0)): "parent must be a number from 0 to 0, got 9",
        (True, (0, 0)): "parent must be a number",
        (0, (0,)): "action must be a list of 2 numbers",
        (0, (0, "1")): "action must be a list of 2 numbers",
        (0, (0, float("nan"))): "action must be finite numbers",
    }.items():
        with pytest.raises(ValueError, match=sentence):
            session.step(given[0], list(given[1]))
    assert len(session.moments) == 1


@pytest.fixture
def session(model):
    return Session(VideoWorld(model, TinyVideo()))


@pytest.fixture
def server(session):
    server = LoopbackServer(Path(command.__file__).parent, session.calls)
    server.start()
    yield server
    server.close()


def asked(server, method, path, body=None, **headers):
    """The status of an answer, and the answer."""
    connection = HTTPConnection("127.0.0.1", server.server.server_port, timeout=20)
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    status, text = answer.status, answer.read().decode()
    connection.close()
    return status, text


def test_only_pages_of_its_own_reach_the_server(server, session):
    json_type, here = {"Content_Type": "application/json"}, server.url.rstrip("/")
    step = json.dumps({"parent": 0, "action": [0.5, 0.5]})
    for path in FILES:
        assert asked(server, "GET", path)[0] == 200
    for name in ("../command.py", "command.py", "%2e%2e/session.py", "/etc/passwd", "page.html"):
        assert asked(server, "GET", f"/{name}")[0] == 404
    assert asked(server, "GET", "/moments", Host="evil.example:80")[0] == 400
    assert asked(server, "POST", "/step", step, Host="evil.example", **json_type)[0] == 400
    for origin in ("http://evil.example", "null", "http://127.0.0.1:1"):
        assert asked(server, "POST", "/step", step, Origin=origin, **json_type)[0] == 403
    assert asked(server, "POST", "/step", step, Content_Type="text/plain")[0] == 403
    assert asked(server, "POST", "/step", "x" * 100_000, **json_type)[0] == 413
    assert asked(server, "GET", "/step")[0] == 404
    for bad in ("[1]", "{", "{}"):
        assert asked(server, "POST", "/step", bad, **json_type)[0] == 400
    assert len(session.moments) == 1
    assert asked(server, "POST", "/step", step, Origin=here, **json_type)[0] == 200
    assert len(session.moments) == 2


def test_a_call_that_fails_says_so_and_the_page_goes_on(server, session, monkeypatch, caplog):
    monkeypatch.setattr(session.world, "step", lambda *_: 1 / 0)
    step = json.dumps({"parent": 0, "action": [0.5, 0.5]})
    status, text = asked(server, "POST", "/step", step, Content_Type="application/json")
    assert status == 500
    assert json.loads(text)["error"].startswith("ZeroDivisionError: division by zero; ")
    assert "Traceback" in caplog.text
    assert asked(server, "GET", "/moments")[0] == 200


@pytest.fixture
def answers(monkeypatch):
    """What pages of commands say about their worlds; each command ends as soon as it has."""

    class Once(LoopbackServer):
        def start(self):
            super().start()
            found.append(json.loads(asked(self, "GET", "/about")[1]))
            self.server.shutdown()

    found = []
    monkeypatch.setattr(command, "LoopbackServer", Once)
    return found


ONCE = ("--port", "0", "--browser", "false")


def test_the_command_serves_until_it_is_ended(checkpoint, recording, answers, capsys):
    main(["play", str(checkpoint), "--data", str(recording), *ONCE])
    assert answers[0]["pointer"] == {"origin": 96, "side": 320}
    assert "shows the world model; Ctrl-C ends it" in capsys.readouterr().out
    with pytest.raises(ValueError, match="does not name the data; give it with --data"):
        main(["play", str(checkpoint), *ONCE])


def test_a_demo_ends_by_saying_how_to_step_its_model(
    checkpoint, recording, answers, tmp_path, monkeypatch, capsys
):
    trained = tmp_path / "a run" / "rlvr/checkpoints/best.ckpt"
    trained.parent.mkdir(parents=True)
    trained.write_bytes(checkpoint.read_bytes())
    monkeypatch.setattr(PushTDemo, "steps", lambda _: None)
    PushTDemo(command=main, folder=tmp_path / "a run", data=recording).run_all()
    line = capsys.readouterr().out.splitlines()[-1]
    main([*shlex.split(line.partition("rlvr-world ")[2]), *ONCE])
    (trained.parents[1] / "config.yaml").write_text("data: data.yaml")
    root = json.dumps(str(recording))
    (trained.parents[1] / "data.yaml").write_text(f"init_args: {{root: {root}}}")
    main(["play", str(trained), *ONCE])
    assert answers[0] == answers[1]
    monkeypatch.setattr(PushTDemo, "by_hand", None)
    PushTDemo(command=main, folder=tmp_path / "a run", data=recording).run_all()
    assert "by hand" not in capsys.readouterr().out

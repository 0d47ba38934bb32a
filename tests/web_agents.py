"""Parts of agents that say what a test wants, and a stand-in for an endpoint."""

import contextlib
import json
import random
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from rlvr_world.web.action import Action
from rlvr_world.web.agent.components import (
    Imagined,
    Imaginer,
    Proposer,
    Situation,
    Value,
)
from rlvr_world.web.browser.session import Observation
from rlvr_world.web.changes import Changes
from rlvr_world.web.tree import Element, parse_tree

FORM = """[1] RootWebArea 'Form'
\t[2] checkbox 'tea' checked: false
\t[3] checkbox 'rice' checked: false
\t[4] textbox 'Name'
\t[5] button 'Submit'
\t[6] StaticText 'Welcome'"""


def situation(tree=FORM, objective='Select tea, enter "Ann" and click Submit.', **about):
    seen = Observation("http://here/form", objective, "", tuple(parse_tree(tree)))
    return Situation("here", "form", 0, seen, **{"rng": random.Random(0), **about})


def says(name):
    """What brings one new element."""
    return Imagined(Changes(new=(Element("n1", "StaticText", name),)), f"text of {name}")


class Proposes(Proposer):
    """Proposes what it was given, each so often as it stands there."""

    def __init__(self, *actions):
        self.actions = actions

    def propose(self, situation, count):
        return [Action.parse(action) for action in self.actions][:count]


class Foresees(Imaginer):
    """Imagines what it was given by action."""

    def __init__(self, outcomes):
        self.outcomes, self.asked = outcomes, []

    def imagine(self, situation, actions):
        self.asked.append([str(action) for action in actions])
        return [self.outcomes[str(action)] for action in actions]


class Likes(Value):
    """Scores what it was given by the name of the new element."""

    def __init__(self, scores):
        self.wanted = scores

    def scores(self, situation, action, imagined, summary):
        return self.wanted[imagined.changes.new[0].name]


class StandIn:
    """An endpoint that answers each request with the next of some replies, the last one for ever.

    A reply is a text, a status, raw bytes, or seconds to wait before an empty completion.
    """

    def __init__(self, *replies):
        self.replies, self.requests, self.headers = list(replies), [], []
        lock, notes = threading.Lock(), self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with lock:
                    notes.requests.append(json.loads(body))
                    notes.headers.append(dict(self.headers))
                    reply = notes.replies.pop(0) if len(notes.replies) > 1 else notes.replies[0]
                self.answer(reply)

            do_GET = do_POST

            def answer(self, reply):
                if isinstance(reply, float):
                    time.sleep(reply)
                    reply = ""
                if isinstance(reply, int):
                    self.send_response(reply)
                    self.send_header("Location", notes.url + "/elsewhere")
                    self.end_headers()
                    return
                if isinstance(reply, str):
                    choice = {"message": {"role": "assistant", "content": reply}}
                    reply = json.dumps({"choices": [choice]}).encode()
                self.send_response(200)
                self.end_headers()
                with contextlib.suppress(OSError):
                    self.wfile.write(reply)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

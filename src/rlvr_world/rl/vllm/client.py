"""Requests to a vLLM server, and what fails of them in one sentence that names the address."""

import json
import time
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import ProxyHandler, Request, build_opener

OPENER = build_opener(ProxyHandler({}))
"""Servers of rollouts are reached directly, whatever proxy there is for the world outside."""

HINT = "; docs/scale.md says how to start it"


class ServerClient:
    """Talks to a vLLM server by HTTP; also the ``VLLMWeightSyncClient`` of its weight transfer.

    Args:
        url: Address of the server, such as ``http://127.0.0.1:8000``.
        timeout: Seconds that an answer may take, and that the server may be out of reach.
    """

    def __init__(self, url: str, timeout: float) -> None:
        if not url.startswith(("http://", "https://")):
            raise ValueError(f"server: {url} is no address; write it as http://HOST:PORT")
        self.url, self.timeout = url.rstrip("/"), timeout
        self.failure: OSError | None = None
        self.version = ""

    def get(self, path: str) -> dict[str, Any]:
        """What the server says under a path."""
        return self.answer(Request(f"{self.url}/{path}"), self.timeout)

    def post(self, path: str, body: Any = None, patience: float | None = None) -> dict[str, Any]:
        """What the server answers; connection errors are retried for ``patience`` seconds."""
        data = json.dumps(body or {}).encode()
        request = Request(f"{self.url}/{path}", data, {"Content-Type": "application/json"})
        return self.answer(request, self.timeout if patience is None else patience)

    def answer(self, request: Request, patience: float) -> dict[str, Any]:
        """The server's answer.

        Raises:
            ConnectionError: It cannot be reached, refuses the request or answers no JSON.
            TimeoutError: It takes too long.
        """
        deadline, pause = time.monotonic() + patience, 0.1
        while True:
            try:
                with OPENER.open(request, timeout=self.timeout) as response:
                    return dict(json.load(response))
            except (OSError, HTTPException, ValueError) as error:
                cause = error.reason if isinstance(error, URLError) else error
                if not isinstance(cause, ConnectionError) or time.monotonic() + pause > deadline:
                    self.failure = self.said(request.full_url, error, cause)
                    raise self.failure from error
            time.sleep(pause)
            pause = min(2 * pause, 10)

    def said(self, address: str, error: Exception, cause: Any) -> OSError:
        """What went wrong."""
        if isinstance(error, HTTPError):
            text = " ".join(error.read(300).decode(errors="replace").split())
            hint = HINT if error.code == 404 else ""
            return ConnectionError(f"{address} answered {error.code}: {text}{hint}")
        if isinstance(cause, TimeoutError):
            return TimeoutError(
                f"{address} gave no answer within {self.timeout:g} s; raise timeout of the "
                "sampler, or look at the server's log"
            )
        if isinstance(cause, ValueError):
            return ConnectionError(f"{address} answered no JSON, so it is no vLLM server{HINT}")
        return ConnectionError(f"{address} cannot be reached: {cause}{HINT}")

    def init_weight_transfer_engine(self, init_info: dict[str, Any]) -> None:
        """Open the channel of the weights."""
        self.post("init_weight_transfer_engine", {"init_info": init_info}, patience=0)

    def start_weight_update(self) -> None:
        """Begin with new weights."""
        self.post("start_weight_update", patience=0)

    def update_weights(self, update_info: Any) -> None:
        """Receive the weights that these names, types and shapes announce."""
        self.post("update_weights", {"update_info": update_info}, patience=0)

    def finish_weight_update(self, weight_version: str | None = None) -> None:
        """End with new weights, which get the name ``version`` if no other is given."""
        named = {"weight_version": weight_version or self.version}
        self.post("finish_weight_update", named, patience=0)

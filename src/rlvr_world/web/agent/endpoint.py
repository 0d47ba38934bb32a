"""Language models behind an OpenAI-compatible endpoint, over plain HTTP."""

import http.client
import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

from rlvr_world.web.browser.chromium import origin_of

T = TypeVar("T")
Message = dict[str, str]

LARGEST_REPLY = 4 << 20
"""Bytes of a reply that are read, at most."""

AGAIN = (408, 409, 425, 429)
"""Statuses besides 500 and above after which asking again may help."""

BACKOFF, MOST_BACKOFF = 0.5, 20.0


class EndpointLost(ValueError):
    """An endpoint refuses, or gave no reply at all; trying the run again later may help."""


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Keeps the key from going elsewhere."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


@dataclass
class Endpoint:
    """Asks a language model for replies, several at a time.

    Args:
        url: The address in front of ``/chat/completions``, such as ``http://127.0.0.1:8000/v1``.
        model: The name of the model there.
        key_variable: The environment variable that holds the key; none is sent if it is not set.
        temperature: Of sampling.
        top_p: Of sampling.
        tokens: Tokens of a reply, at most.
        timeout: Seconds that one request may take.
        retries: How often a request that failed is made again, with growing pauses.
        parallel: Requests at the same time.
    """

    url: str
    model: str
    key_variable: str = "OPENAI_API_KEY"
    temperature: float = 1.0
    top_p: float = 0.95
    tokens: int = 2048
    timeout: float = 60.0
    retries: int = 3
    parallel: int = 8

    def __post_init__(self) -> None:
        self.url = self.url.rstrip("/")
        if not origin_of(self.url):
            raise ValueError(
                f"url: {self.url!r} must be an address such as http://127.0.0.1:8000/v1"
            )
        for name in ("timeout", "parallel", "tokens"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be above 0, got {getattr(self, name)}")

    def collect(
        self,
        messages: Sequence[Message],
        read: Callable[[str], T | None],
        count: int = 1,
        spare: int = 0,
        deadline: float = float("inf"),
    ) -> list[T]:
        """What can be read from ``count`` replies; unreadable ones are asked for again.

        Args:
            messages: The chat so far.
            read: What a reply says; None if it cannot be read.
            count: The number of replies that is wanted.
            spare: The number of further requests in place of unreadable ones, at most.
            deadline: When to stop, on the clock of ``time.monotonic``.

        Raises:
            EndpointLost: It refuses, or there was time and no request got a reply.
        """
        values: list[T] = []
        asked = replies = 0
        with ThreadPoolExecutor(self.parallel) as pool:
            while len(values) < count and asked < count + spare and time.monotonic() < deadline:
                share = min(count - len(values), count + spare - asked)
                texts = pool.map(lambda _: self.reply(messages, deadline), range(share))
                said = [text for text in texts if text is not None]
                values += [value for value in map(read, said) if value is not None]
                asked, replies = asked + share, replies + len(said)
        if asked and not replies and time.monotonic() < deadline:
            raise EndpointLost(f"{self.url}: no reply to {asked} requests; is the server running?")
        return values

    def reply(self, messages: Sequence[Message], deadline: float = float("inf")) -> str | None:
        """One reply; None if there is none after all retries or in time.

        Raises:
            EndpointLost: The endpoint refuses the request itself.
        """
        for attempt in range(self.retries + 1):
            left = deadline - time.monotonic()
            if left <= 0:
                return None
            try:
                return self._request(messages, min(self.timeout, left))
            except urllib.error.HTTPError as error:
                error.close()
                if error.code < 500 and error.code not in AGAIN:
                    raise EndpointLost(
                        f"{self.url} answers with status {error.code}: check url, model and the "
                        f"key in {self.key_variable}"
                    ) from None
            except (OSError, ValueError, http.client.HTTPException):
                pass  # no connection, no reply in time, or none that is a completion
            pause = min(BACKOFF * 2**attempt, MOST_BACKOFF, deadline - time.monotonic())
            if attempt < self.retries and pause > 0:
                time.sleep(pause)
        return None

    def _request(self, messages: Sequence[Message], seconds: float) -> str:
        """The text of one completion; ``ValueError`` if the reply is none."""
        headers = {"Content-Type": "application/json"}
        key = os.environ.get(self.key_variable, "") if self.key_variable else ""
        if key:
            headers["Authorization"] = f"Bearer {key}"
        sampling = {
            "temperature": self.temperature, "top_p": self.top_p, "max_tokens": self.tokens,
        }  # fmt: skip
        document = {"model": self.model, "messages": list(messages), **sampling}
        request = urllib.request.Request(
            f"{self.url}/chat/completions", json.dumps(document).encode(), headers
        )
        end, body = time.monotonic() + seconds, b""
        with urllib.request.build_opener(_NoRedirects).open(request, timeout=seconds) as response:
            while chunk := response.read1(1 << 16):
                body += chunk
                if len(body) > LARGEST_REPLY or time.monotonic() > end:
                    raise ValueError("the reply is too large or too slow")
        return _text(body)


def _text(body: bytes) -> str:
    """The text in a completion; ``ValueError`` if there is none."""
    try:
        text = json.loads(body)["choices"][0]["message"]["content"]
    except (KeyError, IndexError, TypeError, RecursionError):
        raise ValueError("the reply is no completion") from None
    if not isinstance(text, str):
        raise ValueError("the reply has no text")
    return text

"""A server on a socket that admits a number of requests in a second and refuses the others with 429, as providers do."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from typing import TYPE_CHECKING, Any

from tests.streams import plain

from responses_proto.server.uvicorn import serving

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator


class LimitedServer:
    """An ASGI application. It answers each request with the text of its input."""

    def __init__(self, per_second: float, *, burst: int, hold: float = 0.0) -> None:
        self._per_second = per_second
        self._burst = burst
        self._hold = hold  # seconds until an answer
        self._tokens = float(burst)
        self._at = time.monotonic()
        self.url = ""
        self.open = 0
        self.most_open = 0
        self.refused = 0
        self.inputs: list[str] = []
        """The inputs of the requests that were answered, in order."""
        self.idempotency_keys: list[str] = []

    async def __call__(
        self, scope: dict[str, Any], receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]
    ) -> None:
        if scope["type"] == "lifespan":
            while True:
                message = await receive()
                await send({"type": f"{message['type']}.complete"})
                if message["type"] == "lifespan.shutdown":
                    return
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        self.open += 1
        self.most_open = max(self.open, self.most_open)
        status, headers, value = self._answer(scope, json.loads(body))
        if status == 200 and self._hold:
            await asyncio.sleep(self._hold)
        self.open -= 1
        content = json.dumps(value).encode()
        await send(
            {
                "type": "http.response.start",
                "status": status,
                "headers": [(b"content-type", b"application/json"), *headers],
            }
        )
        await send({"type": "http.response.body", "body": content})

    def _answer(self, scope: dict[str, Any], request: dict[str, Any]) -> tuple[int, list[tuple[bytes, bytes]], Any]:
        now = time.monotonic()
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._per_second)
        self._at = now
        if self._tokens < 1:
            self.refused += 1
            error = {"message": "Too many requests.", "type": "rate_limit_error", "code": "rate_limit_exceeded"}
            wait = str((1 - self._tokens) / self._per_second * 1000).encode()
            return 429, [(b"retry-after-ms", wait)], {"error": error}
        self._tokens -= 1
        self.inputs.append(request["input"])
        self.idempotency_keys += [value.decode() for name, value in scope["headers"] if name == b"idempotency-key"]
        return 200, [], plain([request["input"]])[-1]["response"]


@contextlib.contextmanager
def limited(per_second: float, *, burst: int, hold: float = 0.0) -> Generator[LimitedServer]:
    """Serve in a thread while the block runs."""
    server = LimitedServer(per_second, burst=burst, hold=hold)
    with serving(server) as url:
        server.url = url
        yield server

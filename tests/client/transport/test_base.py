from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.streams import plain, wire
from tests.support import both_loops, run

from responses_proto import ResponsesClient, Timeouts
from responses_proto.client.transport import HTTPTransport, Transport, WireReply, WireRequest
from responses_proto.exceptions import ConnectError, DeadlineExceeded, TransportError

if TYPE_CHECKING:
    from collections.abc import Mapping

# Type checkers verify here that the transport of the package fits its own interface.
TRANSPORT: type[Transport] = HTTPTransport


class Canned:
    """A minimal transport, which answers from a list."""

    def __init__(self, *pieces: bytes, error: TransportError | None = None) -> None:
        self.requests: list[WireRequest] = []
        self.replies: list[CannedReply] = []
        self.closed = False
        self._pieces = pieces
        self._error = error

    async def send(self, request: WireRequest) -> WireReply:
        self.requests.append(request)
        if self._error is not None:
            raise self._error
        reply = CannedReply(list(self._pieces))
        self.replies.append(reply)
        return reply

    async def aclose(self) -> None:
        self.closed = True


class CannedReply:
    status = 200
    headers: Mapping[str, str] = {"content-type": "text/event-stream"}

    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = pieces
        self.closed = False

    async def receive(self) -> bytes:
        return self._pieces.pop(0) if self._pieces else b""

    async def aclose(self) -> None:
        self.closed = True


@both_loops
def test_the_client_works_with_any_transport(backend: str) -> None:
    async def test() -> None:
        canned = Canned(wire(plain(["Hel"])), b": comment\n\n")
        async with ResponsesClient("http://h/v1", http_client=canned, timeouts=Timeouts(connect=3)) as client:
            async with client.stream(model="m", input="x") as stream:
                assert (await stream.result()).output_text == "Hel"
            assert canned.replies[0].closed
        assert not canned.closed  # it is the caller's
        request = canned.requests[0]
        assert request.stream
        assert request.url == "http://h/v1/responses"
        assert request.timeouts.connect == 3

    run(backend, test)


@both_loops
@pytest.mark.parametrize("error", [ConnectError("nobody there"), DeadlineExceeded("connect", 1.0, limit=1.0)])
def test_errors_of_a_transport_reach_the_caller_as_they_are(backend: str, error: TransportError) -> None:
    async def test() -> None:
        async with ResponsesClient("http://h/v1", http_client=Canned(error=error)) as client:
            with pytest.raises(type(error)) as caught:
                await client.create(model="m", input="x")
            assert caught.value is error

    run(backend, test)


def test_the_repr_of_a_request_hides_secrets() -> None:
    request = WireRequest(method="POST", url="http://h/v1", headers={"authorization": "Bearer secret"}, body=b"private")
    assert "secret" not in repr(request)
    assert "private" not in repr(request)

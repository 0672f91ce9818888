"""Serving on a socket, in a thread."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import threading
import time
from typing import TYPE_CHECKING

import anyio
import httpx
import pytest
from tests.support import PATIENCE

from responses_proto.exceptions import UsageError
from responses_proto.scripted import Scripted
from responses_proto.server import ResponsesApp, listen, serving, url_of

if TYPE_CHECKING:
    from responses_proto.models.request import CreateResponse
    from responses_proto.server import Reply

BODY = {"model": "m", "input": "hello", "stream": True}


def test_port_0_chooses_a_free_port() -> None:
    with listen() as one, listen() as other:
        assert url_of(one) == f"http://127.0.0.1:{one.getsockname()[1]}/v1"
        assert url_of(one) != url_of(other)


def test_the_url_of_an_ipv6_address_has_brackets() -> None:
    if not socket.has_ipv6:
        pytest.skip("this machine has no IPv6")
    try:
        listener = listen("::1")
    except OSError as error:
        pytest.skip(f"this machine has no IPv6: {error}")
    with listener:
        assert url_of(listener).startswith("http://[::1]:")


def test_a_taken_port_is_refused() -> None:
    with listen() as taken, pytest.raises(OSError, match="in use"):
        listen(port=taken.getsockname()[1])


def test_sockets_have_tcp_nodelay() -> None:
    with listen() as listener, socket.create_connection(listener.getsockname()):
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_a_connection_stays_open_for_as_long_as_clients_keep_it() -> None:
    with serving(ResponsesApp(Scripted())) as url:
        connection = http.client.HTTPConnection(httpx.URL(url).netloc.decode(), timeout=PATIENCE)
        with contextlib.closing(connection):
            for idle in (5.5, 0.0):  # HTTPX, and openai with it, keep one for 5 s
                connection.request("POST", "/v1/responses", json.dumps(BODY), {"content-type": "application/json"})
                assert connection.getresponse().read().endswith(b"data: [DONE]\n\n")
                time.sleep(idle)


def test_serving_ends_with_the_block_and_leaves_no_thread() -> None:
    before = set(threading.enumerate())  # idle ones of other tests may end meanwhile
    with serving(ResponsesApp(Scripted())) as url:
        assert httpx.post(f"{url}/responses", json=BODY, timeout=PATIENCE).status_code == 200
    with pytest.raises(httpx.ConnectError):
        httpx.post(f"{url}/responses", json=BODY, timeout=PATIENCE)
    assert set(threading.enumerate()) <= before


def test_an_application_that_cannot_start_raises(capfd: pytest.CaptureFixture[str]) -> None:
    app = ResponsesApp(Scripted())
    with serving(app), pytest.raises(UsageError, match="did not start"), serving(app):
        pass
    assert "open already" in capfd.readouterr().err


def test_serving_ends_while_a_client_is_streaming() -> None:
    async def handler(_request: CreateResponse, reply: Reply) -> None:
        await reply.start()
        await anyio.sleep_forever()

    with httpx.Client(timeout=PATIENCE) as client:
        with serving(ResponsesApp(handler)) as url:
            answer = client.send(client.build_request("POST", f"{url}/responses", json=BODY), stream=True)
            assert answer.status_code == 200
        answer.close()

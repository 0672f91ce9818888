"""Which web pages may use a server."""

from __future__ import annotations

import json
from typing import Any

import anyio
import pytest
from tests.asgi import Client, body
from tests.support import run

from responses_proto.exceptions import UsageError
from responses_proto.scripted import Scripted
from responses_proto.server import ResponsesApp, serving
from responses_proto.server._origins import OriginPolicy

LOOPBACK = ("127.0.0.1", 8000)


def scope(host: str | None, origin: str | None = None, *, server: Any = LOOPBACK, type: str = "http") -> dict[str, Any]:  # noqa: A002 - ASGI's own name for it
    headers = {"host": host, "origin": origin}
    return {
        "type": type,
        "scheme": {"http": "http", "websocket": "ws"}[type],
        "server": server,
        "headers": [(name.encode(), value.encode()) for name, value in headers.items() if value is not None],
    }


def codes(policy: OriginPolicy, *scopes: dict[str, Any]) -> list[str | None]:
    objections = [policy.objection(one) for one in scopes]
    assert all(error is None or error.status == 403 for error in objections)
    return [None if error is None else error.code for error in objections]


DEFAULT = OriginPolicy(None, None, trusts_callers=False)


@pytest.mark.parametrize("type_", ["http", "websocket"])
@pytest.mark.parametrize("server", [LOOPBACK, ("::1", 8000), ("127.8.8.8", 8000), ("::ffff:127.0.0.1", 8000)])
def test_a_server_on_loopback_answers_to_loopback_names_only(server: tuple[str, int], type_: str) -> None:
    good = [
        "127.0.0.1",
        "127.0.0.1:8000",
        "localhost",
        "LocalHost:8000",
        "app.localhost:1",
        "[::1]:8000",
        "localhost.:8000",
    ]
    bad = [
        "evil.example",
        "evil.example:8000",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "192.0.2.1",
        "",
        "[",
        "a@b",
    ]
    assert codes(DEFAULT, *(scope(host, server=server, type=type_) for host in [*good, None])) == [None] * 8
    refused = codes(DEFAULT, *(scope(host, server=server, type=type_) for host in bad))
    assert refused == ["host_not_allowed"] * len(bad)
    # The page of such a name is of the same origin as the server, for its browser.
    both = scope("evil.example:8000", "http://evil.example:8000", server=server, type=type_)
    assert codes(DEFAULT, both) == ["host_not_allowed"]


@pytest.mark.parametrize("type_", ["http", "websocket"])
def test_a_server_on_loopback_is_for_its_own_pages_only(type_: str) -> None:
    good = ["http://127.0.0.1:8000", "http://localhost:8000", "http://[::1]:8000"]
    bad = [
        "http://evil.example",
        "https://evil.example:8000",
        "http://localhost:3000",
        "http://localhost",
        "https://127.0.0.1:8000",
        "null",
        "",
        "file://",
        "http://127.0.0.1:8000.evil.example",
        "http://127.0.0.1:99999",
        "chrome-extension://abc",
    ]
    for host in ("127.0.0.1:8000", "localhost:8000"):
        assert codes(DEFAULT, *(scope(host, origin, type=type_) for origin in good)) == [None] * len(good)
        refused = codes(DEFAULT, *(scope(host, origin, type=type_) for origin in bad))
        assert refused == ["origin_not_allowed"] * len(bad)
    assert codes(DEFAULT, scope("localhost", "http://localhost", server=("127.0.0.1", 80))) == [None]


@pytest.mark.parametrize(
    "server", [("192.0.2.5", 8000), ("::ffff:192.0.2.5", 8000), ("local", 80), None, ("/run/socket", None)]
)
def test_elsewhere_and_with_keys_nothing_is_checked_by_default(server: Any) -> None:
    foreign = scope("api.example", "https://evil.example", server=server)
    assert codes(DEFAULT, foreign) == [None]
    assert codes(OriginPolicy(None, None, trusts_callers=True), scope("evil.example", "http://evil.example")) == [None]


@pytest.mark.parametrize("server", [LOOPBACK, ("192.0.2.5", 8000)])
def test_an_operator_allows_hosts_and_origins(server: tuple[str, int]) -> None:
    policy = OriginPolicy(["api.example"], ["https://app.example"], trusts_callers=True)
    own = scope("api.example", "http://api.example", server=server)
    assert codes(policy, scope("API.example:443", "https://app.example", server=server), own) == [None, None]
    assert codes(
        policy,
        scope("evil.example", server=server),
        scope("api.example", "https://evil.example", server=server),
        scope("api.example", "http://app.example", server=server),
    ) == ["host_not_allowed", "origin_not_allowed", "origin_not_allowed"]
    all_allowed = OriginPolicy(["*"], ["*"], trusts_callers=False)
    assert codes(all_allowed, scope("evil.example", "http://evil.example", server=server)) == [None]


@pytest.mark.parametrize("value", ["api.example", b"x"])
@pytest.mark.parametrize("name", ["allow_hosts", "allow_origins"])
def test_a_single_string_is_refused(name: str, value: Any) -> None:
    with pytest.raises(UsageError, match=name):
        ResponsesApp(Scripted(), **{name: value})


@pytest.mark.parametrize("origin", ["app.example", "https://", "https://app.example/path", "null"])
def test_an_origin_has_a_scheme_and_a_name(origin: str) -> None:
    with pytest.raises(UsageError, match=r"https://app\.example"):
        ResponsesApp(Scripted(), allow_origins=[origin])


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "Text/Plain; charset=utf-8", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"],
)
@pytest.mark.parametrize(
    "path", ["/v1/responses", "/v1/responses/compact", "/v1/responses/input_tokens", "/v1/conversations"]
)
def test_what_a_form_can_send_is_refused(path: str, content_type: str) -> None:
    async def main() -> None:
        client = await Client(ResponsesApp(Scripted())).request(
            body(), path=path, headers={"content-type": content_type}
        )
        assert (client.status, client.error["code"]) == (415, "unsupported_content_type")

    run("asyncio", main)


HANDSHAKE = "connection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"


def test_a_served_application_refuses_pages_and_answers_programs() -> None:
    async def status(url: str, head: str, content: bytes = b"") -> int:
        port = int(url.split(":")[2].split("/", maxsplit=1)[0])
        length = f"content-length: {len(content)}\r\n" if content else ""
        lines = head.replace("PORT", str(port)) + length + "\r\n"
        async with await anyio.connect_tcp("127.0.0.1", port) as stream:
            await stream.send(lines.encode() + content)
            return int((await stream.receive())[9:12])

    async def main() -> None:
        content = json.dumps({"model": "m", "input": "x"}).encode()
        post = "POST /v1/responses HTTP/1.1\r\ncontent-type: application/json\r\n"
        open_ = f"GET /v1/responses HTTP/1.1\r\n{HANDSHAKE}"
        with serving(ResponsesApp(Scripted())) as url:
            for headers, answered, opened in [
                ("host: 127.0.0.1:PORT\r\n", 200, 101),
                ("host: localhost:PORT\r\norigin: http://localhost:PORT\r\n", 200, 101),
                ("host: localhost:PORT\r\norigin: http://evil.example\r\n", 403, 403),
                ("host: evil.example:PORT\r\n", 403, 403),
            ]:
                assert await status(url, post + headers, content) == answered
                assert await status(url, open_ + headers) == opened

    run("asyncio", main)

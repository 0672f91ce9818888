"""The key is in nothing that people read, however a server writes it."""

from __future__ import annotations

import html
import json
import pickle
import re
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.streams import frame, message, numbered, opening, response
from tests.support import both_loops, run

from responses_proto import ResponsesClient, RetryPolicy, exceptions
from responses_proto.client._secrets import (
    HiddenBytes,
    HiddenStr,
    find,
    hidden_headers,
    redact,
    redact_error,
    secrets_in,
)
from responses_proto.client.transport import WireRequest
from responses_proto.exceptions import (
    APIError,
    DecodeError,
    ResponseNotCompleted,
    ResponsesProtoError,
    StreamTruncated,
    UsageError,
)
from responses_proto.testing import Answer, FakeServer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

KEY: Final = "abc+DEF/ghi&jkl<0123456\"'\\_é=𝄞-end"
"""With every character that some library escapes."""
WIRE_KEY: Final = "abc+DEF/ghi&jkl<0123456_-end="
"""One that a header can hold."""
ONCE: Final = RetryPolicy(attempts=1)
HOME: Final = str(Path(exceptions.__file__).parent)


def escaped(text: str) -> str:
    units = text.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02X}{units[at + 1]:02x}" for at in range(0, len(units), 2))


def some_escaped(signs: str) -> Callable[[str], str]:
    return lambda text: "".join(
        escaped(sign) if sign in signs else sign for sign in json.dumps(text, ensure_ascii=False)[1:-1]
    )


WRITINGS: Final[dict[str, Callable[[str], str]]] = {
    "as it is": lambda text: text,
    "JSON": lambda text: json.dumps(text)[1:-1],
    "JSON in UTF-8": lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
    "JSON with slashes escaped": lambda text: json.dumps(text)[1:-1].replace("/", "\\/"),
    "JSON with + and & escaped": some_escaped("+&<"),
    "JSON with everything escaped": escaped,
    "JSON in JSON": lambda text: json.dumps(json.dumps(text)[1:-1])[1:-1],
    "JSON in JSON, all escaped": lambda text: json.dumps(escaped(text))[1:-1],
    "JSON in JSON in JSON": lambda text: json.dumps(json.dumps(json.dumps(text)[1:-1])[1:-1])[1:-1],
    "HTML": html.escape,
    "HTML, decimal": lambda text: "".join(f"&#{ord(sign)};" for sign in text),
    "HTML, hexadecimal": lambda text: "".join(f"&#x{ord(sign):04X};" for sign in text),
    "HTML, by name": lambda text: text.replace("&", "&amp;").replace("+", "&plus;").replace("/", "&sol;"),
    "HTML in HTML": lambda text: html.escape(html.escape(text)),
    "URL": lambda text: quote(text, safe=""),
    "URL in lower case": lambda text: re.sub("%..", lambda each: each[0].lower(), quote(text, safe="")),
    "URL in a URL": lambda text: quote(quote(text, safe=""), safe=""),
    "URL in JSON in HTML": lambda text: html.escape(json.dumps(quote(text))[1:-1]),
    "repr": lambda text: repr(text)[1:-1],
    "repr in ASCII": lambda text: ascii(text)[1:-1],
    "backslashes": lambda text: re.sub(r"(\W)", r"\\\1", text),
    "hexadecimal escapes": lambda text: "".join(f"\\x{ord(s):02x}" if ord(s) < 256 else escaped(s) for s in text),
    "ECMAScript": lambda text: "".join(f"\\u{{{ord(sign):x}}}" for sign in text),
}  # fmt: skip


@pytest.mark.parametrize("writing", WRITINGS)
def test_a_secret_is_found_however_it_is_written(writing: str) -> None:
    text = f"before {WRITINGS[writing](KEY)} after".encode()
    assert redact(text, KEY.encode()) == b"before *** after"
    assert redact(text * 2, KEY.encode()) == b"before *** afterbefore *** after"


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=6, max_size=40), st.sampled_from(sorted(WRITINGS)))
def test_any_secret_is_found(secret: str, writing: str) -> None:
    written = WRITINGS[writing](secret).encode()
    spans = list(find(b"\n\n" + written + b"\n\n", secret.encode()))
    assert spans
    assert (spans[0][0], spans[-1][1]) == (2, 2 + len(written)) or len(set(secret)) < len(secret)


@pytest.mark.parametrize("text", ["", "abc+DEF", "nothing to see", "abc+DEG/ghi&jkl<0123456", "%61%62%63", "\\" * 500])
def test_other_texts_stay(text: str) -> None:
    assert redact(f"{text}.".encode(), KEY.encode()) == f"{text}.".encode()


@pytest.mark.parametrize("end", ["", "…"])
def test_the_beginning_of_a_secret_counts_where_a_text_was_cut(end: str) -> None:
    assert redact(f"Bad key {WIRE_KEY[:12]}{end}".encode(), WIRE_KEY.encode()) == f"Bad key ***{end}".encode()
    assert redact(f"Bad key {WIRE_KEY[:12]} there".encode(), WIRE_KEY.encode()).startswith(b"Bad key abc")


def test_short_keys_are_not_secret() -> None:
    assert redact(b"none of them", b"none") == b"none of them"


@pytest.mark.parametrize("piece", ["\\", "%25", "&amp;", "abc+DE", WIRE_KEY[:-1], "\\u002"])
def test_a_search_takes_time_in_proportion_to_the_text(piece: str) -> None:
    def cost(size: int) -> float:
        text = (piece * (size // len(piece))).encode()
        began = time.process_time()
        redact(text, WIRE_KEY.encode())
        return time.process_time() - began

    cost(1000)
    small = min(cost(20_000) for _ in range(3))
    assert min(cost(160_000) for _ in range(3)) < 32 * max(small, 0.001)  # eight times as long; quadratic: 64


def test_every_string_of_an_error_is_redacted() -> None:
    error = APIError(
        f"no: {KEY}", status=401, code=KEY, type=f"t_{KEY}", param=f"headers.{KEY}", request_id=f"req_{KEY}",
        headers={"x-key": KEY, f"x-{KEY}": "1"}, body={"error": [KEY, {"deep": (KEY,), KEY: 1}]},
    )  # fmt: skip
    cause = UnicodeDecodeError("utf-8", KEY.encode(), 0, 1, KEY)
    error.__cause__ = ExceptionGroup(f"of {WIRE_KEY}", [StreamTruncated(f"closed: {KEY}")])
    error.__cause__.__context__ = cause
    redact_error(error, KEY.encode(), WIRE_KEY.encode())
    shown = f"{error} {error!r} {vars(error)} {error.__cause__!r} {error.__cause__.exceptions!r} {cause.args}"
    for secret in (KEY, WIRE_KEY, KEY[-7:]):
        assert secret not in shown
        assert secret.encode() not in pickle.dumps(error)
    assert (error.code, error.request_id, error.status) == ("***", "req_***", 401)


def test_a_message_that_quotes_the_beginning_of_a_secret_is_redacted() -> None:
    error = DecodeError("not JSON", type_name="JSON", excerpt=f"'{WIRE_KEY[:15]}")
    redact_error(error, WIRE_KEY.encode())
    assert WIRE_KEY[:8] not in f"{error} {error!r} {error.excerpt}"


def test_an_error_without_secrets_stays_as_it_is() -> None:
    body = {"error": {"message": "no", "at": [1, None, 2.5]}}
    error = APIError("no", status=401, body=body)
    with pytest.raises(APIError) as caught:
        raise error
    redact_error(error, KEY.encode())
    assert error.body is body
    assert caught.value.__traceback__ is not None


def test_secrets_are_hidden_in_a_repr_only() -> None:
    headers = hidden_headers({"authorization": "Bearer secret-key", "x": "y"})
    assert headers["authorization"] == "Bearer secret-key"
    for shown in (headers, HiddenStr("secret-key"), HiddenBytes(b"secret-key"), [HiddenStr("secret-key")]):
        assert "secret" not in repr(shown)
    assert secrets_in({"Authorization": "Bearer secret-key", "idempotency-key": "once", "accept": "text/x"}) == {
        b"secret-key",
        b"Bearer secret-key",
    }
    assert b"pass word" in secrets_in({"authorization": "Basic dXNlcjpwYXNzIHdvcmQ="})


def test_the_repr_of_a_request_has_no_secret() -> None:
    request = WireRequest(
        method="POST", url="https://user:word@h.example/v1/responses?api-key=hidden", headers={"authorization": "Bearer k-1"},
        body=b"private",
    )  # fmt: skip
    assert repr(request).startswith("WireRequest(method='POST', url=https://h.example/v1/responses,")
    for secret in ("word", "hidden", "k-1", "private"):
        assert secret not in repr(request)


# ---- the client


async def create(client: ResponsesClient) -> None:
    await client.create(model="m", input="x")


async def stream(client: ResponsesClient) -> None:
    async with client.stream(model="m", input="x") as events:
        await events.result()


async def retrieve(client: ResponsesClient) -> None:
    await client.retrieve("resp_1")


async def outcome(client: ResponsesClient) -> None:
    async with client.stream(model="m", input="x") as events:
        async for _ in events:
            pass
        assert events.outcome is not None
        error = events.outcome.exception()
        assert error is not None
        raise error


async def connect(client: ResponsesClient) -> None:
    async with client.connect() as session, session.stream(model="m", input="x") as events:
        await events.result()


VERBS: Final[dict[str, Callable[[ResponsesClient], Awaitable[None]]]] = {
    "create": create,
    "stream": stream,
    "retrieve": retrieve,
}


def everything(error: BaseException | None) -> str:
    """Return all that can be seen of an error, the variables of the package's frames included."""
    texts: list[str] = []
    while error is not None:
        texts += [
            str(error),
            repr(error),
            repr({name: value for name, value in vars(error).items() if name != "response"}),
        ]
        for entry in traceback.TracebackException.from_exception(error, capture_locals=True).stack:
            if entry.filename.startswith(HOME):
                texts += [f"{entry.name}: {name}={value}" for name, value in (entry.locals or {}).items()]
        error = error.__cause__ or error.__context__
    return "\n".join(texts)


def refusal(writing: str, kind: str, status: int) -> Answer:
    written = WRITINGS[writing](WIRE_KEY)
    text = f"<html><title>Incorrect key {written} was sent</title></html>"
    if kind == "application/json":
        text = f'{{"error": {{"message": "Incorrect key {written} was sent", "code": "c"}}}}'
    return Answer.body(text.encode(), status, content_type=kind)


@both_loops
@pytest.mark.parametrize(("kind", "writings"), [
    ("application/json", [name for name in WRITINGS if name.startswith("JSON")]),
    ("text/html", [name for name in WRITINGS if name.startswith("HTML") or name == "as it is"]),
])  # fmt: skip
@pytest.mark.parametrize("status", [401, 500, 200, 302])
def test_the_key_that_a_server_quotes_is_in_no_error(backend: str, status: int, kind: str, writings: list[str]) -> None:
    async def test() -> None:
        for writing in writings:
            async with (
                FakeServer(refusal(writing, kind, status)) as server,
                ResponsesClient(server.url, WIRE_KEY, http_client=server.transport, retry=ONCE) as client,
            ):
                for verb in VERBS.values():
                    with pytest.raises(ResponsesProtoError, match="Incorrect key") as caught:
                        await verb(client)
                    assert WIRE_KEY[-7:] not in everything(caught.value), writing

    run(backend, test)


QUOTES: Final[dict[str, list[dict[str, Any]]]] = {
    "message": [{"type": "error", "code": "bad", "message": f"no: {WIRE_KEY}", "param": None}],
    "code": [{"type": "error", "code": WIRE_KEY, "message": "no", "param": None}],
    "param": [{"type": "error", "code": "bad", "message": "no", "param": f"headers.{WIRE_KEY}"}],
    "nested": [{"type": "error", "error": {"code": "bad", "message": f"no: {WIRE_KEY}", "type": WIRE_KEY}}],
    "failed": [
        {
            "type": "response.failed",
            "response": response(status="failed", error={"code": f"bad_{WIRE_KEY}", "message": f"no: {WIRE_KEY}"}),
        }
    ],
    "incomplete": [
        {
            "type": "response.incomplete",
            "response": response(
                status="incomplete", output=[message("x")], incomplete_details={"reason": f"refused {WIRE_KEY}"}
            ),
        }
    ],
}


@both_loops
@pytest.mark.parametrize("place", QUOTES)
def test_the_key_in_an_event_is_in_no_error(backend: str, place: str) -> None:
    async def test() -> None:
        body = b"".join(map(frame, numbered([*opening(), *QUOTES[place]])))
        answer = Answer.body(body, 200, content_type="text/event-stream")
        async with (
            FakeServer(answer) as server,
            ResponsesClient(server.url, WIRE_KEY, http_client=server.transport, retry=ONCE) as client,
        ):
            for verb in (stream, outcome):
                with pytest.raises(ResponsesProtoError) as caught:
                    await verb(client)
                assert WIRE_KEY not in everything(caught.value)
                if isinstance(caught.value, ResponseNotCompleted) and verb is outcome:
                    assert WIRE_KEY not in repr(caught.value.response)

    run(backend, test)


@both_loops
def test_a_credential_in_headers_of_the_callers_is_redacted_too(backend: str) -> None:
    async def test() -> None:
        answer = attrs.evolve(Answer.error(401, f"no: {WIRE_KEY}"), headers={"x-request-id": f"req-{WIRE_KEY}"})
        async with (
            FakeServer(answer) as server,
            ResponsesClient(
                server.url, "", http_client=server.transport, retry=ONCE, headers={"X-Api-Key": WIRE_KEY}
            ) as client,
        ):
            for verb in VERBS.values():
                with pytest.raises(APIError) as caught:
                    await verb(client)
                assert WIRE_KEY not in everything(caught.value)
                assert caught.value.request_id == "req-***"

    run(backend, test)


@both_loops
@pytest.mark.parametrize("verb", [*VERBS.values(), connect])
def test_no_variable_shows_the_key_where_nothing_listens(
    backend: str, verb: Callable[[ResponsesClient], Awaitable[None]]
) -> None:
    async def test() -> None:
        for url in ("http://127.0.0.1:9/v1", "http://host.invalid/v1"):
            async with ResponsesClient(url, WIRE_KEY, retry=ONCE) as client:
                with pytest.raises(ResponsesProtoError) as caught:
                    await verb(client)
                assert WIRE_KEY not in everything(caught.value)

    run(backend, test)


@pytest.mark.parametrize("from_environment", [False, True])
@pytest.mark.parametrize(
    "settings",
    [
        {"base_url": "ftp://h/v1"}, {"base_url": 5}, {"dialect": "nobody"}, {"dialect": "azure"}, {"timeouts": 5},
        {"headers": {"a b": "c"}}, {"headers": {"authorization": f"{WIRE_KEY}\n"}}, {"base_url": "http://u:p@h/v1"},
    ],
)  # fmt: skip
def test_no_variable_shows_the_key_where_no_client_can_be_made(
    settings: dict[str, Any], *, from_environment: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OPENAI_API_KEY", "RESPONSES_API_KEY", "AZURE_OPENAI_API_KEY"):
        monkeypatch.setenv(name, WIRE_KEY)
    key = None if from_environment else WIRE_KEY
    with pytest.raises(UsageError) as caught:
        ResponsesClient(api_key=key, **settings)
    assert WIRE_KEY not in everything(caught.value)

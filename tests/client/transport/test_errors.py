"""The mapping of foreign exceptions, class by class."""

from __future__ import annotations

import errno
import importlib
import os
import sys
from typing import Any

import httpcore
import httpx
import pytest

from responses_proto import Timeouts
from responses_proto.client.transport._errors import (
    _KINDS,  # pyright: ignore[reportPrivateUsage] - the table itself is tested
    origin,
    reading_error,
    sending_error,
)
from responses_proto.exceptions import (
    ConnectError,
    DeadlineExceeded,
    LimitExceeded,
    StreamTruncated,
    TransportError,
    UsageError,
)

URL = "http://user:pass@h.example/v1"
TIMEOUTS = Timeouts(connect=1, write=2, first_byte=3)


@pytest.mark.parametrize("library", ["httpx", "httpx2", "httpcore", "httpcore2", "aiohttp"])
def test_every_name_in_the_table_exists(library: str) -> None:
    module = pytest.importorskip(library)
    names = {name for libraries, names, _ in _KINDS if library in libraries for name in names}
    if library.startswith("httpcore"):
        names -= {"InvalidURL"}  # httpx's own
    assert {name for name in names if not issubclass(getattr(module, name), Exception)} == set()


@pytest.mark.parametrize("library", ["httpx", "httpx2", "httpcore", "httpcore2"])
@pytest.mark.parametrize(
    ("name", "kind", "limit", "retry_safety"),
    [
        ("ConnectTimeout", "connect", 1, "safe"),
        ("PoolTimeout", "connect", 1, "safe"),
        ("WriteTimeout", "write", 2, "unsafe"),
        ("ReadTimeout", "first_byte", 3, "unsafe"),
    ],
)
def test_timeouts_while_sending(library: str, name: str, kind: str, limit: float, retry_safety: str) -> None:
    error = sending_error(getattr(pytest.importorskip(library), name)("late"), URL, TIMEOUTS)
    assert isinstance(error, DeadlineExceeded)
    assert (error.kind, error.limit, error.retry_safety) == (kind, limit, retry_safety)


@pytest.mark.parametrize(
    ("error", "cls", "message", "retry_safety"),
    [
        (httpx.ConnectError("refused"), ConnectError, "cannot connect to http://h.example: refused", "safe"),
        (httpcore.ConnectError("refused"), ConnectError, "cannot connect to http://h.example: refused", "safe"),
        (httpx.ProxyError("403"), ConnectError, "the proxy cannot connect to http://h.example: 403", "safe"),
        (httpx.UnsupportedProtocol("no scheme"), UsageError, "the request cannot be sent: no scheme", None),
        (httpx.InvalidURL("bad port"), UsageError, "the request cannot be sent: bad port", None),
        (httpx.LocalProtocolError("bad header"), UsageError, "the request cannot be sent: bad header", None),
        (httpx.RemoteProtocolError("half"), TransportError, "no answer from http://h.example: half", "unsafe"),
        (httpx.ReadError("gone"), TransportError, "no answer from http://h.example: gone", "unsafe"),
        (OSError(errno.EPIPE, "what the loop says"), TransportError, os.strerror(errno.EPIPE), "unsafe"),
        (RuntimeError(), TransportError, "no answer from http://h.example: RuntimeError", "unsafe"),
    ],
)
def test_errors_while_sending(error: Exception, cls: type, message: str, retry_safety: str | None) -> None:
    mapped = sending_error(error, URL, TIMEOUTS)
    assert type(mapped) is cls
    assert message in str(mapped)
    assert mapped.retry_safety == retry_safety


@pytest.mark.parametrize(
    ("name", "cls"),
    [("RemoteProtocolError", StreamTruncated), ("ReadError", TransportError), ("ConnectError", TransportError)],
)
def test_errors_while_reading(name: str, cls: type) -> None:
    for library in (httpx, httpcore):
        mapped = reading_error(getattr(library, name)("why"))
        assert type(mapped) is cls
        assert (mapped.retry_safety, "why" in str(mapped)) == ("unsafe", True)


def test_a_timeout_while_reading_is_between_bytes() -> None:
    error = reading_error(httpx.ReadTimeout("late"))
    assert isinstance(error, DeadlineExceeded)
    assert (error.kind, error.limit) == ("between_bytes", None)


@pytest.mark.parametrize(
    ("name", "arguments", "cls", "kind"),
    [
        ("ServerDisconnectedError", (), TransportError, None),
        ("ClientOSError", (errno.ECONNRESET, "reset"), TransportError, None),
        ("ClientConnectionResetError", ("closing",), TransportError, None),
        ("ConnectionTimeoutError", ("late",), DeadlineExceeded, "connect"),
        ("SocketTimeoutError", ("late",), DeadlineExceeded, "first_byte"),
        ("InvalidURL", ("http://[",), UsageError, None),
    ],
)
def test_the_error_of_aiohttp_counts_and_not_what_httpx_aiohttp_makes_of_it(
    name: str, arguments: tuple[Any, ...], cls: type, kind: str | None
) -> None:
    error = httpx.ConnectTimeout("everything")
    error.__cause__ = getattr(pytest.importorskip("aiohttp"), name)(*arguments)
    mapped = sending_error(error, URL, TIMEOUTS)
    assert type(mapped) is cls
    assert getattr(mapped, "kind", None) == kind


def test_only_the_message_of_aiohttp_tells_an_early_end_from_a_broken_connection() -> None:
    payload_error: Any = pytest.importorskip("aiohttp").ClientPayloadError
    for message, cls in {
        "Response payload is not completed: <TransferEncodingError: 400, message='Not enough data'>": StreamTruncated,
        "Response payload is not completed: <X: 400>. ConnectionResetError(104, 'reset')": TransportError,
    }.items():
        error = httpx.ReadError("read")
        error.__cause__ = payload_error(message)
        assert type(reading_error(error)) is cls


def test_a_class_is_recognised_and_not_its_name() -> None:
    class ConnectTimeout(Exception):  # noqa: N818 - the name of httpx's exception
        pass

    assert type(sending_error(ConnectTimeout("theirs"), URL, TIMEOUTS)) is TransportError


def test_errors_of_this_package_pass_unchanged() -> None:
    error = LimitExceeded("max_event_bytes", 1)
    assert sending_error(error, URL, TIMEOUTS) is error
    assert reading_error(error) is error


def test_a_library_that_is_not_loaded_is_not_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    for library in ("httpx2", "httpcore2", "aiohttp"):
        monkeypatch.delitem(sys.modules, library, raising=False)
    assert isinstance(sending_error(httpx.ConnectError("refused"), URL, TIMEOUTS), ConnectError)
    assert not {"httpx2", "httpcore2", "aiohttp"} & set(sys.modules)
    assert importlib.import_module("httpx") is httpx


def test_an_origin_is_scheme_host_and_port() -> None:
    assert origin("https://user:pass@H.example:443/a?b#c") == "https://h.example"
    assert origin("http://h:80") == origin("http://h/x") == "http://h"
    assert origin("http://h:8080") == "http://h:8080"
    assert origin("https://[::1]:8/") == "https://[::1]:8"
    assert origin("http://h:443") != origin("https://h:443")

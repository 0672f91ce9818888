"""The exception tree: it is as drawn, needs no HTTP object, and keeps its attributes through copy and pickle."""

from __future__ import annotations

import copy
import inspect
import pickle
import re
from typing import Any

import pytest

from responses_proto import exceptions
from responses_proto.exceptions import (
    APIError,
    BadRequestError,
    ConnectError,
    DeadlineExceeded,
    DecodeError,
    EncodeError,
    LimitExceeded,
    NotAnEventStream,
    RateLimitError,
    RemoteProtocolError,
    ResponseFailedError,
    ResponseNotCompleted,
    ResponsesProtoError,
    ServerError,
    StreamTruncated,
    ToolArgumentsInvalid,
    ToolError,
    UsageError,
    WebhookVerificationError,
)
from responses_proto.models.items import FunctionCall
from responses_proto.protocol import Cursor

CLASSES: dict[str, type[ResponsesProtoError]] = {
    name: thing
    for name, thing in vars(exceptions).items()
    if inspect.isclass(thing) and issubclass(thing, ResponsesProtoError)
}
EXAMPLES: list[ResponsesProtoError] = [
    ResponsesProtoError("m"),
    DecodeError("wrong JSON type", path="$.a", type_name="Response", excerpt="1"),
    EncodeError("m"),
    UsageError("m"),
    RemoteProtocolError("m", sequence_number=3, event_type="x", code="lifecycle"),
    WebhookVerificationError("m", reason="signature_mismatch"),
    LimitExceeded("max_nesting", 300, maximum=256),
    ConnectError("m"),
    DeadlineExceeded("first_byte", 1.5, limit=1.0),
    StreamTruncated("m"),
    NotAnEventStream("m", status=200, headers={"content-type": "text/html"}, body=b"<html>"),
    RateLimitError(
        "m",
        status=429,
        code="c",
        type="t",
        param="p",
        request_id="r",
        retry_after=1.5,
        headers={"a": "b"},
        body={"x": 1},
    ),
    ResponseFailedError("m"),
    ToolArgumentsInvalid("m", call=FunctionCall(call_id="c", name="n", arguments="{")),
]


def drawn() -> dict[str, str]:
    """Return the tree in the docstring of the module: class -> its base."""
    bases: dict[str, str] = {}
    path: list[str] = []
    for line in (exceptions.__doc__ or "").splitlines():
        match = re.match(r"    ((?:[│├└─ ]{4})*)([A-Z]\w+)", line)
        if match is not None:
            depth = len(match[1]) // 4
            path = [*path[:depth], match[2]]
            bases[match[2]] = path[depth - 1] if depth else "Exception"
    return bases


def test_the_tree_is_as_drawn() -> None:
    assert drawn() == {name: cls.__bases__[0].__name__ for name, cls in CLASSES.items()}


def test_every_error_is_exported_and_documented() -> None:
    assert set(CLASSES) <= set(exceptions.__all__)
    assert [name for name, cls in CLASSES.items() if not cls.__doc__] == []


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: type(error).__name__)
def test_errors_survive_copying_and_pickling(error: ResponsesProtoError) -> None:
    error = copy.copy(error)
    error.cursor = Cursor("resp_1", 3)
    error.retry_safety = "resumable"
    for again in (copy.copy(error), copy.deepcopy(error), pickle.loads(pickle.dumps(error))):  # noqa: S301 - our own bytes
        assert type(again) is type(error)
        assert str(again) == str(error)
        assert vars(again) == vars(error)


@pytest.mark.parametrize("name", CLASSES)
def test_every_error_begins_without_a_stream(name: str) -> None:
    cls: Any = CLASSES[name]
    assert (cls.response, cls.cursor) == (None, None)
    assert cls.retry_safety == ("safe" if cls is ConnectError else None)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ResponsesProtoError(), ""),
        (DecodeError("not JSON"), "not JSON @ $"),
        (DecodeError("not JSON", excerpt="'x'"), "not JSON @ $, got 'x'"),
        (
            DecodeError("required field missing", path="$.id", type_name="Response"),
            "required field missing @ $.id (Response)",
        ),
        (DecodeError("wrong JSON type", type_name="Response", excerpt="1"), "wrong JSON type @ $ (Response, got 1)"),
        (LimitExceeded("max_nesting", 3), "max_nesting exceeded: 3"),
        (
            LimitExceeded("max_nesting", 3, maximum=2),
            "max_nesting exceeded: 3 (the limit is 2; raise it with Limits(max_nesting=...))",
        ),
        (DeadlineExceeded("first_byte", 1.23456), "first byte took over 1.23 s"),
        (DeadlineExceeded("write", 2, limit=1.5), "write took over 2 s (1.5 s allowed)"),
        (APIError("m"), "m"),
        (APIError("m", status=400, code="c", type="t"), "m (HTTP 400, c)"),
        (APIError("m", type="t", param="p", request_id="r"), "m (t, param p, request r)"),
    ],
)
def test_the_message_is_one_line(error: ResponsesProtoError, text: str) -> None:
    assert str(error) == text


@pytest.mark.parametrize(
    ("status", "name"),
    [
        (None, "APIError"),
        (302, "APIError"),
        (400, "BadRequestError"),
        (401, "AuthenticationError"),
        (403, "PermissionDeniedError"),
        (404, "NotFoundError"),
        (408, "RequestTimeoutError"),
        (409, "ConflictError"),
        (413, "PayloadTooLargeError"),
        (418, "BadRequestError"),
        (422, "UnprocessableEntityError"),
        (429, "RateLimitError"),
        (500, "ServerError"),
        (529, "ServerError"),
    ],
)
def test_a_status_has_its_class(status: int | None, name: str) -> None:
    assert APIError.for_status(status) is CLASSES[name]
    assert BadRequestError.for_status(status) is CLASSES[name]
    assert issubclass(ServerError, APIError)


def test_a_usage_error_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="must be positive"):
        raise UsageError("width must be positive, got 0")


def test_facts_are_attributes() -> None:
    error = RateLimitError("m", status=429, retry_after=1.5, body={"x": 1})
    assert (error.message, error.status, error.retry_after, error.body, error.headers) == ("m", 429, 1.5, {"x": 1}, {})
    assert issubclass(ResponseFailedError, ResponseNotCompleted)
    assert ResponseFailedError("m").response is None
    assert ToolError("m").call is None

"""What an answer is, and what to say when it is not what was asked for."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final, cast

from ..codec import default_converter
from ..exceptions import APIError, DecodeError
from ..protocol.api_errors import api_error, readable
from ._address import shown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .transport._exchange import Exchange

__all__ = [
    "ERROR_BODY",
    "FIRST_ERROR",
    "FIRST_REDIRECT",
    "description",
    "error_from_reply",
    "hide",
    "is_error",
    "is_json",
    "is_response",
    "media_type",
    "read_object",
    "refused",
    "without",
]

ERROR_BODY: Final = 64 * 1024
"""Bytes of an error's body that are read."""
FIRST_REDIRECT: Final = 300
"""The HTTP status codes from here on say that something is elsewhere …"""
FIRST_ERROR: Final = 400
"""… and from here on that something is wrong."""


def media_type(headers: Mapping[str, str]) -> str:
    return headers.get("content-type", "").partition(";")[0].strip().lower()


def is_json(media_type: str) -> bool:
    return media_type.endswith(("/json", "+json"))


def read_object(body: bytes) -> dict[str, Any] | None:
    try:
        value: Any = default_converter().json.loads(body)
    except DecodeError:
        return None
    return cast("dict[str, Any]", value) if isinstance(value, dict) else None


def is_response(value: Mapping[str, Any]) -> bool:
    """Tell whether an object is a response, be it of a server that leaves out what it is."""
    return value.get("object") == "response" or "output" in value


def is_error(value: Mapping[str, Any]) -> bool:
    """Tell whether an object that came with a good status is an error all the same."""
    return not is_response(value) and bool(value.get("error"))


def without(body: bytes, secret: bytes) -> bytes:
    """Take out the key, which some servers quote when they refuse it."""
    return body.replace(secret, b"***") if len(secret) >= _SHORTEST_SECRET else body


def hide(error: APIError, secret: bytes) -> None:
    """Take the key out of an error that came inside a stream. Idempotent."""
    text = secret.decode()
    if len(secret) < _SHORTEST_SECRET or text not in f"{error} {error.body}":
        return
    json = default_converter().json
    error.args = tuple(str(argument).replace(text, "***") for argument in error.args)
    error.message = error.message.replace(text, "***")
    error.body = json.loads(without(json.dumps(error.body), secret))


_SHORTEST_SECRET: Final = 6  # bytes; "x" or "none", as one gives to servers that take any key, is no secret


def error_from_reply(exchange: Exchange, body: bytes, secret: bytes) -> APIError:
    return refused(exchange.status, exchange.headers, body, secret)


def refused(status: int, headers: Mapping[str, str], body: bytes, secret: bytes) -> APIError:
    error = api_error(status, headers, without(body, secret), now=time.time())
    error.retry_safety = "safe"
    return error


def description(exchange: Exchange, body: bytes) -> str:
    status, target = exchange.status, exchange.headers.get("location")
    if target and status >= FIRST_REDIRECT:
        return f"the server redirects to {shown(target)!r}, which is not followed; is base_url right?"
    kind = media_type(exchange.headers) or "an answer without a content type"
    text = readable(body.decode("utf-8", "replace"), 120)
    quoted = f" ({text!r})" if text else ", empty"
    return f"{kind} came{quoted}; is base_url right?"

"""Classify the server's replies, and create the errors for unexpected ones."""

from __future__ import annotations

import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

from ..codec import default_converter
from ..exceptions import APIError, DecodeError, PermissionDeniedError
from ..protocol.api_errors import api_error, readable
from ..protocol.headers import media_type, request_id
from ..protocol.sse import without_end_marker
from ..typing import UNSET
from ._secrets import redact
from .transport._errors import public_url

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..exceptions import ResponsesProtoError, RetrySafety
    from ..limits import Limits

_BOM: Final = b"\xef\xbb\xbf"
MAX_ERROR_BODY: Final = 64 * 1024
"""Bytes of an error's body that are read and kept."""


class ReplyHead(Protocol):
    """Status and headers of a reply: an ``Exchange`` or a ``WireReply``."""

    @property
    def status(self) -> int:
        """The HTTP status code."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """Names in lower case."""
        ...


# ---- kinds of replies


def read_json(body: bytes, limits: Limits) -> Any:
    """Return the JSON value of a body, or ``UNSET`` if it is not JSON. A ``data: [DONE]`` after it is ignored.

    Raises ``LimitExceeded`` if it is nested too deep, or has too many values.
    """
    text = without_end_marker(body.removeprefix(_BOM))
    try:
        return default_converter().json.loads(text, limits.max_nesting, limits.max_json_values)
    except DecodeError:
        return UNSET


def read_object(body: bytes, limits: Limits) -> dict[str, Any] | None:
    """Return the JSON object of a body, as :func:`read_json` does; ``None`` if the body is anything else."""
    value = read_json(body, limits)
    return cast("dict[str, Any]", value) if isinstance(value, dict) else None


def is_response(value: Mapping[str, Any]) -> bool:
    """Return whether an object is a response. Some servers leave out ``object``."""
    return value.get("object") == "response" or "output" in value


def is_error(value: Mapping[str, Any]) -> bool:
    """Return whether an object is an error, even though it came with a successful status."""
    return not is_response(value) and bool(value.get("error"))


# ---- errors


def error_from_reply(reply: ReplyHead, body: bytes, secret: bytes) -> APIError:
    """Return the error that a reply reports. ``body`` is the start of its body, ``secret`` is removed from it."""
    error = api_error(reply.status, reply.headers, redact(body, secret), now=time.time())
    error.retry_safety = "safe"
    return error


def add_permission(error: ResponsesProtoError, permission: str) -> None:
    """Add the name of the missing permission to an error that reports insufficient permissions without it. Idempotent."""
    lacking = isinstance(error, PermissionDeniedError) and "permission" in error.message.lower()
    if lacking and permission and permission not in str(error):
        error.args = (f"{error}; the token needs the permission {permission}", *error.args[1:])


def unexpected_reply(
    reply: ReplyHead, body: bytes, secret: bytes, *, expected: str, retry_safety: RetrySafety
) -> APIError:
    """Return the error for a reply that is neither what was ``expected`` nor an error itself.

    ``expected`` completes the message "expected ..., but ...": ``"a response"``, ``"a WebSocket"``.
    """
    start = redact(body, secret)[:MAX_ERROR_BODY]
    error = APIError(
        f"expected {expected}, but {describe_reply(reply, start)}",
        status=reply.status,
        request_id=request_id(reply.headers),
        headers=reply.headers,
        body=start.decode("utf-8", "replace"),
    )
    error.retry_safety = retry_safety
    return error


def describe_reply(reply: ReplyHead, body: bytes) -> str:
    """Return a clause that describes the reply, for an error message; ``body`` is redacted already."""
    target = reply.headers.get("location")
    if target and reply.status >= HTTPStatus.MULTIPLE_CHOICES:
        return f"the server redirects to {public_url(target)!r}, which is not followed; is base_url right?"
    kind = media_type(reply.headers) or "a body without a content type"
    text = readable(body.decode("utf-8", "replace"), 120)
    quoted = f" ({text!r})" if text else ", empty"
    return f"the server sent {kind}{quoted}; is base_url right?"

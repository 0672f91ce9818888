"""Return the head of the reply that a value came in: status, headers, request id and rate limits."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, TypeVar, cast

import attrs

from ..exceptions import UsageError
from ..models._base import Extra, Model
from ..protocol.headers import RateLimit, rate_limits, request_id
from ._secrets import redact

if TYPE_CHECKING:
    from collections.abc import Mapping

T = TypeVar("T")


@attrs.frozen(kw_only=True)
class ResponseMeta:
    """The head of the server's reply."""

    status: int
    """The HTTP status code."""
    headers: Mapping[str, str] = attrs.field(repr=False)
    """Names in lower case."""
    request_id: str | None = None
    """The server's id of this exchange, to quote to its support."""
    rate_limits: Mapping[str, RateLimit] = attrs.field(factory=dict[str, RateLimit])
    """The state of the quotas, by name: ``requests``, ``tokens``, …"""

    @classmethod
    def of(cls, status: int, headers: Mapping[str, str], secret: bytes = b"") -> ResponseMeta:
        """Return the head of a reply with this status and these headers, whose names are in lower case.

        ``secret`` is removed from the request id, which people pass on.
        """
        limits = rate_limits(headers, now=time.time())
        name = request_id(headers)
        name = redact(name.encode(), secret).decode() if name and secret else name
        return cls(status=status, headers=headers, request_id=name, rate_limits=limits)


class ReplyObject(dict[str, Any]):
    """A JSON object that a server sent: a ``dict`` whose reply :func:`response_meta` knows."""

    __slots__ = ("meta",)
    meta: ResponseMeta


class ReplyList(list[T]):
    """A JSON array that a server sent: a ``list`` whose reply :func:`response_meta` knows."""

    __slots__ = ("meta",)
    meta: ResponseMeta


def with_meta(value: T, meta: ResponseMeta) -> T:
    """Record the reply that a value came in, for :func:`response_meta`, and return the value."""
    noted: Any = value
    if isinstance(value, Model):
        # Models have only the fields of the wire format; other data is kept with their unknown fields.
        noted.extra = Extra.with_origin(noted.extra, meta)
    elif isinstance(value, (ReplyObject, ReplyList)):
        noted.meta = meta
    return cast("T", noted)


def response_meta(value: object) -> ResponseMeta:
    """Return status, headers, request id and rate limits of the reply that a value came in.

    ``value`` is what a method of the client returned: a response, another object or a page of a list, the result of ``parse``,
    the final response of a stream, or the stream itself. A copy by ``attrs.evolve`` keeps it; pickling drops it.

    Raises ``UsageError`` for a value that did not come from a client.
    """
    if isinstance(value, Model):
        meta: object = getattr(value.extra, "origin", None)
    else:
        meta = getattr(value, "meta", None) or getattr(getattr(value, "response", None), "extra", None)
        meta = getattr(meta, "origin", meta)
    if not isinstance(meta, ResponseMeta):
        raise UsageError(
            f"this {type(value).__name__} is not from a reply to a client: pass the value that a call returned"
        )
    return meta

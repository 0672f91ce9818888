"""Decide whether a failed request is sent again, and after how long. Pure policy: no clock, no socket.

A POST is repeated only if it had no effect: the connection was never established, or the server answered "not now", with a
status or inside a stream before any output. After output, nothing is repeated automatically. A GET changes nothing, so it
is also repeated when the connection broke and it is unknown what the server did.

The delay is the one that the server asks for, plus a random part whose bound doubles with each attempt ("full jitter"). Clients that
were refused together therefore do not retry together.
"""

from __future__ import annotations

import math
import random as _random
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, TypeGuard, cast

import attrs

from ..exceptions import APIError, ConnectError, DeadlineExceeded, ServerError, TransportError, UsageError
from ._settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..exceptions import ResponsesProtoError

__all__ = ["Decision", "GiveUp", "GiveUpReason", "RetryAfter", "RetryPolicy", "is_refusal"]

GiveUpReason: TypeAlias = Literal[
    "output", "permanent", "unsafe", "attempts", "max_total_delay", "deadline", "max_retry_after"
]
"""Why a request is not sent again.

- ``output``: part of the response was delivered already.
- ``permanent``: the same request would get the same error.
- ``unsafe``: the server may have acted on the request.
- ``attempts``, ``max_total_delay``, ``max_retry_after``: this bound of the :class:`RetryPolicy` is reached.
- ``deadline``: ``Timeouts.total`` would run out during the delay."""

_RETRYABLE: Final = frozenset({408, 409, 425, 429})
_PERMANENT: Final = frozenset({501, 505})  # the 5xx that persist
_PERMANENT_CODES: Final = frozenset(
    {
        # Codes of a 429 or 5xx that persists for longer than seconds.
        "insufficient_quota",
        "usage_limit_reached",
        "usage_not_included",
        "billing_hard_limit_reached",
        "billing_not_active",
        "access_terminated",
        "model_not_found",
        "invalid_api_key",
        "context_length_exceeded",
        "invalid_prompt",
    }
)
_REFUSALS: Final = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE, 529})
_REFUSAL_CODES: Final = frozenset({"rate_limit_exceeded", "overloaded_error", "server_overloaded", "slow_down"})
_SHOULD_RETRY: Final = "x-should-retry"  # OpenAI's header; it overrides the status


@attrs.frozen
class RetryAfter:
    """The decision to send the request again."""

    delay: float
    """Seconds to wait first."""


@attrs.frozen
class GiveUp:
    """The decision to raise the error."""

    reason: GiveUpReason


Decision: TypeAlias = RetryAfter | GiveUp
"""The result of :meth:`RetryPolicy.decide`."""


def _at_least(minimum: float) -> Callable[[object, attrs.Attribute[Any], object], None]:
    def check(_policy: object, attribute: attrs.Attribute[Any], value: object) -> None:
        # A bool is an int to Python, but not a number of seconds.
        if type(value) in (int, float) and minimum <= cast("float", value) < math.inf:
            return
        raise UsageError(f"RetryPolicy.{attribute.name} must be at least {minimum:g}, got {value!r}")

    return check


@attrs.frozen(kw_only=True)
class RetryPolicy(Settings):
    """How often a request is sent, and how long the client waits in between. Immutable.

    Pass it to ``ResponsesClient(retry=...)`` or to a single call, where it replaces only the fields that it names.
    ``RetryPolicy(attempts=1)`` never sends anything twice. The defaults last long enough for a restart of the server or a short excess
    over the quota, and give up while a user may still be waiting.

    - ``attempts``: how often a request is sent, including the first time (default 3).
    - ``initial_delay``: bound of the first random delay, in seconds; doubles with each attempt (default 0.5).
    - ``max_delay``: bound of every later random delay, in seconds (default 8).
    - ``max_retry_after``: longest delay that a server may ask for, in seconds (default 60). If it asks for more, its error is
      raised, because an earlier attempt would be useless.
    - ``max_total_delay``: sum of all delays of one call, in seconds (default 120).

    Raises ``UsageError`` for a value that is out of range.
    """

    attempts: int = attrs.field(default=3, validator=_at_least(1))
    """How often a request is sent, including the first time."""
    initial_delay: float = attrs.field(default=0.5, validator=_at_least(0))
    """Bound of the first random delay, in seconds. It doubles with each attempt, up to ``max_delay``."""
    max_delay: float = attrs.field(default=8.0, validator=_at_least(0))
    """Bound of every random delay, in seconds."""
    max_retry_after: float = attrs.field(default=60.0, validator=_at_least(0))
    """Longest delay that a server may ask for, in seconds. If it asks for more, its error is raised."""
    max_total_delay: float = attrs.field(default=120.0, validator=_at_least(0))
    """Sum of all delays of one call, in seconds."""

    def decide(
        self,
        error: ResponsesProtoError,
        *,
        attempt: int,
        method: str = "POST",
        output: bool = False,
        paused: float = 0.0,
        left: float | None = None,
        random: Callable[[], float] = _random.random,
    ) -> Decision:
        """Return whether to send the request again after ``error``.

        - ``attempt``: the number of the attempt that failed, from 1.
        - ``method``: the HTTP method, in capitals.
        - ``output``: whether part of the response was delivered.
        - ``paused``: sum of this call's earlier delays, in seconds.
        - ``left``: seconds until the call's total deadline; ``None`` without one.
        - ``random``: returns a float from 0 to below 1.
        """
        reason = _objection(error, method=method, output=output)
        if reason is not None:
            return GiveUp(reason)
        if attempt >= self.attempts:
            return GiveUp("attempts")
        retry_after = (error.retry_after or 0.0) if isinstance(error, APIError) else 0.0
        if retry_after > self.max_retry_after:
            return GiveUp("max_retry_after")
        # The exponent is bounded because a float would overflow long before the attempts are used up.
        delay = retry_after + random() * min(self.max_delay, self.initial_delay * 2.0 ** min(attempt - 1, 64))
        if paused + delay > self.max_total_delay:
            return GiveUp("max_total_delay")
        if left is not None and delay >= left:
            return GiveUp("deadline")
        return RetryAfter(delay)


def _objection(error: ResponsesProtoError, *, method: str, output: bool) -> GiveUpReason | None:
    """Return why the error itself rules out another attempt; ``None`` if it does not."""
    if output:
        return "output"
    if isinstance(error, APIError):
        return None if _is_temporary(error) else "permanent"
    if isinstance(error, ConnectError):
        return None
    if isinstance(error, TransportError):
        if isinstance(error, DeadlineExceeded) and error.kind == "total":
            return "deadline"
        return None if method == "GET" or error.retry_safety == "safe" else "unsafe"
    return "permanent"


def _is_temporary(error: APIError) -> bool:
    """Return whether the same request may succeed a little later."""
    should_retry = error.headers.get(_SHOULD_RETRY, "").strip().lower()
    if should_retry in ("true", "false"):
        return should_retry == "true"
    if error.code in _PERMANENT_CODES or error.type in _PERMANENT_CODES:
        return False
    status = error.status
    if status is None or status < HTTPStatus.BAD_REQUEST:
        # The error came inside a stream, where its class was derived from its code.
        return isinstance(error, ServerError) or type(error) in {APIError.for_status(s) for s in _RETRYABLE - {425}}
    return status in _RETRYABLE or (status >= HTTPStatus.INTERNAL_SERVER_ERROR and status not in _PERMANENT)


def is_refusal(error: BaseException | None) -> TypeGuard[APIError]:
    """Return whether a server refused a request only because it has too many requests at the moment."""
    if not isinstance(error, APIError) or not _is_temporary(error):
        return False
    return error.status in _REFUSALS or error.code in _REFUSAL_CODES or error.type in _REFUSAL_CODES

"""Whether to send a request again, and when: pure policy, without a clock or a socket.

What may be repeated is a table of facts, not a matter of hope. A POST is repeated only when it did nothing: the
connection never came about, or the server refused with a status that says "not now", outside of a stream or inside it before
any output. After output nothing is repeated by itself. A GET changes nothing, so that it may also be repeated
when nobody knows what became of it.

The pause is what the server asks for plus a random span that doubles its bound each time ("full jitter"), so that many clients
that were turned away together do not come back together.
"""

from __future__ import annotations

import math
import random as _random
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, cast

import attrs

from ..exceptions import APIError, ConnectError, DeadlineExceeded, LocalProtocolError, ServerError, TransportError

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..exceptions import ResponsesProtoError

__all__ = ["Decision", "GiveUp", "GiveUpReason", "RetryAfter", "RetryPolicy"]

GiveUpReason: TypeAlias = Literal["output", "final", "unsafe", "attempts", "budget", "deadline", "hint"]
"""Why a request is not sent again. ``output``: some was delivered; ``final``: the error stays the same whenever one asks;
``unsafe``: the request may have done something; ``attempts``: enough of them; ``max_total_delay``: the pauses would be too long
altogether; ``deadline``: ``Timeouts.total`` would run out; ``hint``: the server asks for a longer pause than is allowed."""

_REPEATABLE: Final = frozenset({408, 409, 425, 429})
_LASTING: Final = frozenset({501, 505})  # 5xx that say the same each time
_FIRST_SERVER_ERROR: Final = 500
_LASTING_CODES: Final = frozenset(
    {
        # A 429 or 5xx that waiting for seconds does not cure.
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
_SHOULD_RETRY: Final = "x-should-retry"  # OpenAI's own word on it, which wins over the status


@attrs.frozen
class RetryAfter:
    """Send it again."""

    after: float
    """Seconds to wait before."""


@attrs.frozen
class GiveUp:
    """Raise the error."""

    reason: GiveUpReason


Decision: TypeAlias = RetryAfter | GiveUp
"""What :meth:`RetryPolicy.decide` says."""


def _at_least(least: float) -> Callable[[object, attrs.Attribute[Any], object], None]:
    def check(_policy: object, attribute: attrs.Attribute[Any], value: object) -> None:
        # Booleans are numbers to Python, and no seconds.
        if type(value) in (int, float) and least <= cast("float", value) < math.inf:
            return
        raise LocalProtocolError(f"RetryPolicy.{attribute.name} has to be {least:g} or more, not {value!r}")

    return check


@attrs.frozen(kw_only=True)
class RetryPolicy:
    """How often and how patiently to try. Immutable; pass it to ``ResponsesClient(retry=...)``.

    ``RetryPolicy(attempts=1)`` never sends anything twice. The defaults ride out a restart of the server or a burst over
    the quota, and give up while somebody may still be waiting. Raises ``LocalProtocolError`` for a field that is out of range.
    """

    attempts: int = attrs.field(default=3, validator=_at_least(1))
    """How often a request is sent at most, the first time included."""
    initial_delay: float = attrs.field(default=0.5, validator=_at_least(0))
    """Seconds: the bound of the first random pause. It doubles with every attempt …"""
    max_delay: float = attrs.field(default=8.0, validator=_at_least(0))
    """… up to this."""
    max_retry_after: float = attrs.field(default=60.0, validator=_at_least(0))
    """Seconds: a server that asks for more is not waited for, and its error raised. Coming back earlier would be no use."""
    max_total_delay: float = attrs.field(default=120.0, validator=_at_least(0))
    """Seconds that all pauses of one call may take together."""

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
        """Say what to do about the error of an attempt (the first is 1).

        ``output``: some was delivered. ``paused``: seconds of this call's earlier pauses. ``left``: seconds until its
        total deadline, ``None`` without one. ``random`` gives numbers from 0 to below 1.
        """
        reason = _objection(error, method=method, output=output)
        if reason is not None:
            return GiveUp(reason)
        if attempt >= self.attempts:
            return GiveUp("attempts")
        hint = (error.retry_after or 0.0) if isinstance(error, APIError) else 0.0
        if hint > self.max_retry_after:
            return GiveUp("hint")
        # The exponent is bounded, or a float would overflow long before the attempts are used up.
        after = hint + random() * min(self.max_delay, self.initial_delay * 2.0 ** min(attempt - 1, 64))
        if paused + after > self.max_total_delay:
            return GiveUp("budget")
        if left is not None and after >= left:
            return GiveUp("deadline")
        return RetryAfter(after)


def _objection(error: ResponsesProtoError, *, method: str, output: bool) -> GiveUpReason | None:
    if output:
        return "output"
    if isinstance(error, APIError):
        return None if _is_passing(error) else "final"
    if isinstance(error, ConnectError):
        return None
    if isinstance(error, TransportError):
        if isinstance(error, DeadlineExceeded) and error.kind == "total":
            return "deadline"
        return None if method == "GET" or error.retry_safety == "safe" else "unsafe"
    return "final"


def _is_passing(error: APIError) -> bool:
    """Whether the same request may be answered otherwise a little later."""
    told = error.headers.get(_SHOULD_RETRY, "").strip().lower()
    if told in ("true", "false"):
        return told == "true"
    if error.code in _LASTING_CODES or error.type in _LASTING_CODES:
        return False
    status = error.status
    if status is None or status < 400:  # noqa: PLR2004 - it came inside a stream: the class was worked out from the code
        return isinstance(error, ServerError) or type(error) in {APIError.for_status(s) for s in _REPEATABLE - {425}}
    return status in _REPEATABLE or (status >= _FIRST_SERVER_ERROR and status not in _LASTING)

"""Read headers: the media type, and for responses the request id, the retry time, and the rate limits.

No clock is read: dates are compared with the ``Date`` header, or with ``now`` from the caller. Header names are in lower case throughout.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from typing import TYPE_CHECKING, Final

import attrs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..typing import JSONValue

__all__ = [
    "REQUEST_ID_HEADERS",
    "RateLimit",
    "is_json",
    "media_type",
    "parse_duration",
    "rate_limits",
    "request_id",
    "retry_after",
]

REQUEST_ID_HEADERS: Final = (
    "x-request-id",
    "request-id",
    "x-ms-request-id",
    "apim-request-id",
    "x-amzn-requestid",
    "x-litellm-call-id",
    "x-trace-id",
    "cf-ray",
)
"""The headers in which servers and proxies send the id of a request, the most specific first."""

# LiteLLM adds this prefix to the headers of the server behind it.
_PREFIXES: Final = ("", "llm_provider-")

_NOTHING: Final[Mapping[str, JSONValue]] = {}


@attrs.frozen(kw_only=True)
class RateLimit:
    """One rate limit from the headers of a response. Fields are ``None`` if the headers do not have them."""

    limit: int | None = None
    """The number of requests or tokens per window."""
    remaining: int | None = None
    """The number of requests or tokens left in the window."""
    reset_after: float | None = None
    """The seconds until the full limit is available again."""


def media_type(headers: Mapping[str, str]) -> str:
    """Return the media type in lower case, without parameters; empty if the headers have none."""
    return headers.get("content-type", "").partition(";")[0].strip().lower()


def is_json(media_type: str) -> bool:
    """Return whether a media type is JSON (RFC 6839 suffixes included)."""
    return media_type.endswith(("/json", "+json"))


def request_id(headers: Mapping[str, str]) -> str | None:
    """Return the id that the server gave the request, which its support asks for; ``None`` if there is none."""
    return next((value for name in REQUEST_ID_HEADERS if (value := headers.get(name))), None)


# ---- durations and dates

_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION: Final = (
    r"(?:\d{1,12}(?:\.\d{1,12})?\s?"
    r"(?:ms|milliseconds?|s(?:ec(?:ond)?s?)?|m(?:in(?:ute)?s?)?|h(?:(?:ou)?rs?)?|d(?:ays?)?)(?![a-z])(?:,? (?:and )?)?)"
)
_PART: Final = re.compile(r"(\d+(?:\.\d+)?)\s?([a-z]+)", re.IGNORECASE)
_SPAN: Final = re.compile(rf"(?:{_DURATION}){{1,5}}", re.IGNORECASE)
_IN_MESSAGE: Final = re.compile(
    rf"\b(?:try|retry|retrying)(?: (?:again|your request))? (?:in|after) ((?:{_DURATION}){{1,5}})", re.IGNORECASE
)


def parse_duration(text: str) -> float | None:
    """Return the seconds of a duration such as ``6m0s``, ``20ms``, ``1.5 seconds`` or ``12``; ``None`` if the text is not a duration."""
    text = text.strip()
    number = _number(text)
    if number is not None:
        return number
    if not _SPAN.fullmatch(text):
        return None
    return sum(float(amount) * _unit(unit) for amount, unit in _PART.findall(text))


def _unit(word: str) -> float:
    word = word.lower()
    return _UNITS["ms"] if word.startswith(("ms", "milli")) else _UNITS[word[0]]


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


_MONTHS: Final = {
    m: i for i, m in enumerate(("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"), 1)
}
_HTTP_DATE: Final = re.compile(r"[A-Z][a-z]{2}, (\d\d) ([A-Z][a-z]{2}) (\d{4}) (\d\d):(\d\d):(\d\d) GMT")


def _date(text: str) -> float | None:
    # Seconds since 1970 of an HTTP date (RFC 9110, 5.6.7) or an ISO date. `email.utils` is not used, because it imports `socket`, which
    # the engine must not do.
    match = _HTTP_DATE.fullmatch(text.strip())
    try:
        if match is not None:
            month = _MONTHS[match[2]]
            year, day, hour, minute, second = (int(match[group]) for group in (3, 1, 4, 5, 6))
            return dt.datetime(year, month, day, hour, minute, min(second, 59), tzinfo=dt.UTC).timestamp()
        parsed = dt.datetime.fromisoformat(text.strip())
    except (ValueError, KeyError, OverflowError):
        return None
    return parsed.timestamp() if parsed.tzinfo is not None else None


_EPOCH_SECONDS: Final = 1e9  # a larger number may be a time since 1970, not a duration of more than thirty years
_EPOCH_MILLISECONDS: Final = 1e12
_DAY: Final = 86400.0
_LONGEST: Final = 1e300  # seconds
_HUGE: Final = re.compile(r"\d+(?:\.\d*)?(?:[eE]\+?\d+)?\Z", re.ASCII)


def _amount(value: object) -> float | None:
    """Return a number; ``_LONGEST`` for a number that is too large for a float."""
    huge = isinstance(value, int) or (isinstance(value, str) and _HUGE.match(value.strip()))
    number = _number(value)
    return _LONGEST if number is None and huge and not isinstance(value, bool) else number


def _wait(value: object, now: float | None) -> float | None:
    # The seconds until a time, or of a duration. A time that has just passed means now. No server means a time years ago, so such a
    # number is a duration.
    seconds = _amount(value)
    if seconds is None and isinstance(value, str):
        seconds = parse_duration(value)
    point: float | None = None
    if seconds is None:
        point = _date(value) if isinstance(value, str) else None
    elif seconds >= _EPOCH_SECONDS:
        point = seconds / 1000 if seconds >= _EPOCH_MILLISECONDS else seconds
        if now is None or point < now - _DAY:
            return seconds
    else:
        return max(0.0, seconds)
    return max(0.0, point - now) if point is not None and now is not None else None


# ---- when to retry


def retry_after(
    headers: Mapping[str, str],
    body: Mapping[str, JSONValue] = _NOTHING,
    message: str = "",
    *,
    exhausted: bool = False,
    now: float | None = None,
) -> float | None:
    """Return the seconds that the server asks to wait before a retry; ``None`` if it does not state them.

    The first of these is used: the header ``retry-after-ms``; the header ``Retry-After`` (seconds or a date); ``resets_in_seconds`` and
    similar fields in ``body``, the error object; words such as "try again in 6.379s" in ``message``; and, if a rate limit is
    ``exhausted``, the headers ``x-ratelimit-reset-*``. Servers send these headers with every response, so the longest wait among the
    exhausted limits is used, or among all limits if none is exhausted. ``now``, in seconds since 1970, is used for times if there is no
    ``Date`` header.
    """
    now = _now(headers, now)
    for prefix in _PREFIXES:
        milliseconds = _amount(headers.get(f"{prefix}retry-after-ms"))
        if milliseconds is not None:
            return max(0.0, milliseconds / 1000)
        seconds = _wait(headers.get(f"{prefix}retry-after"), now)
        if seconds is not None:
            return seconds
    for key, scale in _BODY_HINTS:
        number = _wait(body.get(key), now)
        if number is not None:
            return number * scale
    match = _IN_MESSAGE.search(message[:4096])
    if match is not None:
        return parse_duration(match[1].rstrip(", "))
    if not exhausted:
        return None
    limits = [limit for limit in rate_limits(headers, now=now).values() if limit.reset_after is not None]
    used_up = [limit for limit in limits if limit.remaining == 0]
    return max((limit.reset_after or 0.0 for limit in used_up or limits), default=None)


_BODY_HINTS: Final[tuple[tuple[str, float], ...]] = (
    ("resets_in_seconds", 1.0),
    ("retry_after_ms", 0.001),
    ("retry_after_seconds", 1.0),
    ("retry_after", 1.0),
    ("resets_at", 1.0),
)


def _now(headers: Mapping[str, str], now: float | None) -> float | None:
    # Prefer the clock of the server: its dates refer to that clock, and the local clock may be wrong.
    date = _date(headers.get("date", ""))
    return date if date is not None else now


# ---- rate limits

_LIMIT_HEADER: Final = re.compile(r"(?:llm_provider-)?(?:x-)?ratelimit-(limit|remaining|reset)(?:-(.+))?")
_INTEGER: Final = re.compile(r"\s*(\d{1,18})")


def rate_limits(headers: Mapping[str, str], *, now: float | None = None) -> dict[str, RateLimit]:
    """Return the rate limits by name: ``requests``, ``tokens``, …; an empty string for the limit without a name.

    They are read from ``x-ratelimit-{limit,remaining,reset}[-NAME]``. Resets may be durations, seconds or times; for times, ``now`` is
    used as in :func:`retry_after`.
    """
    now = _now(headers, now)
    found: dict[str, RateLimit] = {}
    for header, value in headers.items():
        match = _LIMIT_HEADER.fullmatch(header)
        if match is None:
            continue
        field, name = match[1], match[2] or ""
        limit = found.get(name, RateLimit())
        if field == "reset":
            limit = attrs.evolve(limit, reset_after=_wait(value, now))
        else:
            digits = _INTEGER.match(value)
            number = int(digits[1]) if digits else None
            limit = attrs.evolve(limit, limit=number) if field == "limit" else attrs.evolve(limit, remaining=number)
        found[name] = limit
    return found

"""What the headers of an answer say beside the answer: the request's id, when to come back, what is left of a quota.

Pure: a date is compared with the ``Date`` header, or with the ``now`` that the caller gives; no clock is read here.
Names of headers are in lower case throughout.
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

__all__ = ["REQUEST_ID_HEADERS", "RateLimit", "parse_duration", "rate_limits", "request_id", "retry_after"]

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
"""Where servers and the proxies before them name an exchange, the most telling first."""

# LiteLLM passes the headers of the server behind it on under this prefix.
_PREFIXES: Final = ("", "llm_provider-")

_NOTHING: Final[Mapping[str, JSONValue]] = {}


@attrs.frozen(kw_only=True)
class RateLimit:
    """One quota, as the headers of an answer state it. ``None`` where they do not."""

    limit: int | None = None
    """How much there is per window."""
    remaining: int | None = None
    """How much of it is left."""
    reset_after: float | None = None
    """Seconds until it is whole again."""


def request_id(headers: Mapping[str, str]) -> str | None:
    """Give the server's name for the exchange: what its support will ask for. ``None`` if it gave none."""
    return next((value for name in REQUEST_ID_HEADERS if (value := headers.get(name))), None)


# ---- durations and dates

_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION: Final = (
    r"(?:\d{1,12}(?:\.\d{1,12})?\s?"
    r"(?:ms|milliseconds?|s(?:ec(?:ond)?s?)?|m(?:in(?:ute)?s?)?|h(?:(?:ou)?rs?)?|d(?:ays?)?)(?![a-z])(?:,? (?:and )?)?)"
)
_PART: Final = re.compile(r"(\d+(?:\.\d+)?)\s?([a-z]+)", re.IGNORECASE)
_WRITTEN: Final = re.compile(rf"(?:{_DURATION}){{1,5}}", re.IGNORECASE)
_IN_MESSAGE: Final = re.compile(
    rf"\b(?:try|retry|retrying)(?: (?:again|your request))? (?:in|after) ((?:{_DURATION}){{1,5}})", re.IGNORECASE
)


def parse_duration(text: str) -> float | None:
    """Read a span of time in seconds: ``6m0s``, ``20ms``, ``1.5 seconds``, ``12``. ``None`` if it is none."""
    text = text.strip()
    number = _number(text)
    if number is not None:
        return number
    if not _WRITTEN.fullmatch(text):
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
    # Seconds since 1970 of an HTTP date (RFC 9110 §5.6.7) or an ISO date. `email.utils` could read the former, but it
    # imports `socket`, which nothing under the engine may.
    match = _HTTP_DATE.fullmatch(text.strip())
    try:
        if match is not None:
            month = _MONTHS[match[2]]
            year, day, hour, minute, second = (int(match[group]) for group in (3, 1, 4, 5, 6))
            return dt.datetime(year, month, day, hour, minute, min(second, 59), tzinfo=dt.UTC).timestamp()
        read = dt.datetime.fromisoformat(text.strip())
    except (ValueError, KeyError, OverflowError):
        return None
    return read.timestamp() if read.tzinfo is not None else None


_EPOCH_SECONDS: Final = 1e9  # a "duration" of over thirty years is a point in time
_EPOCH_MILLISECONDS: Final = 1e12


def _wait(value: object, now: float | None) -> float | None:
    # A span, or a point in time made into one. A point in the past means: at once.
    seconds = parse_duration(value) if isinstance(value, str) else _number(value)
    point: float | None = None
    if seconds is None:
        point = _date(value) if isinstance(value, str) else None
    elif seconds >= _EPOCH_SECONDS:
        point = seconds / 1000 if seconds >= _EPOCH_MILLISECONDS else seconds
    else:
        return max(0.0, seconds)
    return max(0.0, point - now) if point is not None and now is not None else None


# ---- when to come back


def retry_after(
    headers: Mapping[str, str],
    body: Mapping[str, JSONValue] = _NOTHING,
    message: str = "",
    *,
    exhausted: bool = False,
    now: float | None = None,
) -> float | None:
    """Give the seconds that the server asks to wait, ``None`` if it does not say.

    Looked up in this order: ``retry-after-ms``, ``Retry-After`` (seconds or a date), ``resets_in_seconds`` and its like in
    ``body`` (the error object), a phrase such as "try again in 6.379s" in ``message``, and only if a quota is
    ``exhausted`` the ``x-ratelimit-reset-*`` headers, which servers send with every answer: of the quotas
    with nothing left, or else of all, the one that takes longest. ``now`` (seconds since 1970) serves
    points in time when there is no ``Date`` header.
    """
    now = _now(headers, now)
    for prefix in _PREFIXES:
        milliseconds = _number(headers.get(f"{prefix}retry-after-ms"))
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
    quotas = [quota for quota in rate_limits(headers, now=now).values() if quota.reset_after is not None]
    used_up = [quota for quota in quotas if quota.remaining == 0]
    return max((quota.reset_after or 0.0 for quota in used_up or quotas), default=None)


_BODY_HINTS: Final[tuple[tuple[str, float], ...]] = (
    ("resets_in_seconds", 1.0),
    ("retry_after_ms", 0.001),
    ("retry_after_seconds", 1.0),
    ("retry_after", 1.0),
    ("resets_at", 1.0),
)


def _now(headers: Mapping[str, str], now: float | None) -> float | None:
    # The server's own clock, where it tells it: its dates are by that one, and ours may be wrong.
    told = _date(headers.get("date", ""))
    return told if told is not None else now


# ---- what is left

_QUOTA: Final = re.compile(r"(?:llm_provider-)?(?:x-)?ratelimit-(limit|remaining|reset)(?:-(.+))?")
_WHOLE: Final = re.compile(r"\s*(\d{1,18})")


def rate_limits(headers: Mapping[str, str], *, now: float | None = None) -> dict[str, RateLimit]:
    """Give the quotas by name (``requests``, ``tokens``, …; empty for the one without a name).

    Read from ``x-ratelimit-{limit,remaining,reset}[-NAME]``; resets may be spans, seconds or points in time.
    """
    now = _now(headers, now)
    found: dict[str, RateLimit] = {}
    for header, value in headers.items():
        match = _QUOTA.fullmatch(header)
        if match is None:
            continue
        what, name = match[1], match[2] or ""
        quota = found.get(name, RateLimit())
        if what == "reset":
            quota = attrs.evolve(quota, reset_after=_wait(value, now))
        else:
            whole = _WHOLE.match(value)
            number = int(whole[1]) if whole else None
            quota = attrs.evolve(quota, limit=number) if what == "limit" else attrs.evolve(quota, remaining=number)
        found[name] = quota
    return found

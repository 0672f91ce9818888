"""The ``x-ratelimit-*`` headers of the scripted model, whose limits are never enforced.

The headers depend only on the request: each answer reports that the request is the first one of its window.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_LIMITS: Final[Mapping[str, int]] = {"requests": 10_000, "tokens": 2_000_000}  # per minute


def rate_limit_headers(input_tokens: int) -> dict[str, str]:
    """Return the headers of an answer to this many input tokens."""
    spent = {"requests": 1, "tokens": min(input_tokens, _LIMITS["tokens"])}
    return _headers({name: (limit - spent[name], 60 * spent[name] / limit) for name, limit in _LIMITS.items()})


def exceeded_headers(seconds: float) -> dict[str, str]:
    """Return the headers of a refusal. ``seconds``: the time until the next request is admitted."""
    return _headers({"requests": (0, seconds), "tokens": (_LIMITS["tokens"], 0.0)})


def _headers(states: Mapping[str, tuple[int, float]]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for name, (remaining, seconds) in states.items():
        headers[f"x-ratelimit-limit-{name}"] = str(_LIMITS[name])
        headers[f"x-ratelimit-remaining-{name}"] = str(remaining)
        headers[f"x-ratelimit-reset-{name}"] = f"{seconds * 1000:.0f}ms" if seconds < 1 else f"{seconds:g}s"
    return headers

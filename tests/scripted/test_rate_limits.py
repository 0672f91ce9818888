"""The rate limits that the scripted model states: the library's own reader understands them."""

from __future__ import annotations

import pytest

from responses_proto.protocol.headers import RateLimit, rate_limits
from responses_proto.scripted._rate_limits import exceeded_headers, rate_limit_headers


@pytest.mark.parametrize(
    ("tokens", "left", "reset"), [(0, 2_000_000, 0.0), (20_000, 1_980_000, 0.6), (3_000_000, 0, 60.0)]
)
def test_a_request_is_the_first_one_of_its_window(tokens: int, left: int, reset: float) -> None:
    assert rate_limits(rate_limit_headers(tokens)) == {
        "requests": RateLimit(limit=10_000, remaining=9_999, reset_after=0.006),
        "tokens": RateLimit(limit=2_000_000, remaining=left, reset_after=reset),
    }


def test_a_refused_request_is_told_when_the_next_one_is_admitted() -> None:
    assert rate_limits(exceeded_headers(5))["requests"] == RateLimit(limit=10_000, remaining=0, reset_after=5)

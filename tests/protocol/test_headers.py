from __future__ import annotations

import pytest

from responses_proto.protocol import RateLimit, parse_duration, rate_limits, request_id, retry_after

DATE = "Mon, 23 Nov 2026 01:10:07 GMT"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("12", 12.0),
        ("1.5", 1.5),
        ("20ms", 0.02),
        ("6m0s", 360.0),
        ("1h2m3.5s", 3723.5),
        ("1d", 86400.0),
        ("6.379s", 6.379),
        ("5 minutes", 300.0),
        ("1 minute and 3 seconds", 63.0),
        ("2 hrs", 7200.0),
        (" 7 ", 7.0),
    ],
)
def test_spans_of_time_are_read_in_seconds(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "soon", "6x", "1e999", "nan", "m", "1 second ago", "s1"])
def test_other_texts_are_not_durations(text: str) -> None:
    assert parse_duration(text) is None


def test_a_long_run_of_digits_is_read_without_trouble() -> None:
    assert parse_duration("9" * 100_000) is None
    assert retry_after({}, message="try again in " + "1" * 100_000) is None
    assert retry_after({}, message="try again in " + "1s " * 100_000) is not None


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": "-3"}, 0.0),
        ({"retry-after": "Mon, 23 Nov 2026 01:10:17 GMT", "date": DATE}, 10.0),
        ({"retry-after": "Mon, 23 Nov 2026 01:10:00 GMT", "date": DATE}, 0.0),
        ({"retry-after": "Mon, 23 Nov 2026 01:10:17 GMT"}, None),
        ({"retry-after": "Mon, 23 Foo 2026 01:10:17 GMT", "date": DATE}, None),
        ({"retry-after": "2026-11-23T01:10:08Z", "date": DATE}, 1.0),
        ({"retry-after-ms": "250", "retry-after": "7"}, 0.25),
        ({"llm_provider-retry-after": "4"}, 4.0),
        ({"retry-after": "later"}, None),
        ({"retry-after": "1e9", "date": DATE}, 1e9),
        ({"retry-after": "1000000000", "date": DATE}, 1e9),
        ({"retry-after": "1795396208", "date": DATE}, 1.0),
        ({"retry-after": "1795396200", "date": DATE}, 0.0),
        ({"retry-after": "9" * 400}, 1e300),
        ({"retry-after": "1e999"}, 1e300),
        ({"retry-after-ms": "9" * 400}, 1e297),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "nan"}, None),
        ({}, None),
    ],
)
def test_headers_state_when_to_retry(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers) == seconds


def test_a_date_without_the_servers_clock_needs_ours() -> None:
    assert retry_after({"retry-after": "Thu, 01 Jan 1970 00:01:40 GMT"}, now=40.0) == 60.0


@pytest.mark.parametrize(
    ("message", "seconds"),
    [
        ("Rate limit reached. Please try again in 6.379s. Visit …", 6.379),
        ("try again in 20ms.", 0.02),
        ("Try again in 1m30.5s", 90.5),
        ("Please retry after 10 seconds.", 10.0),
        ("try again in a while", None),
        ("I had to try 6 times in 3s", None),
    ],
)
def test_a_message_states_when_to_retry(message: str, seconds: float | None) -> None:
    assert retry_after({}, message=message) == seconds


def test_the_body_states_when_to_retry() -> None:
    assert retry_after({}, {"resets_in_seconds": 90}) == 90.0
    assert retry_after({}, {"retry_after_ms": "1500"}) == 1.5
    assert retry_after({"date": DATE}, {"resets_at": 1_795_396_217}) == 10.0
    assert retry_after({}, {"resets_in_seconds": True}) is None


def test_a_header_wins_over_the_body_and_that_over_the_message() -> None:
    body, message = {"resets_in_seconds": 2}, "try again in 3s"
    assert retry_after({"retry-after": "1"}, body, message) == 1.0
    assert retry_after({}, body, message) == 2.0
    assert retry_after({}, {}, message) == 3.0


QUOTAS = {
    "x-ratelimit-limit-requests": "60",
    "x-ratelimit-remaining-requests": "0",
    "x-ratelimit-reset-requests": "20ms",
    "x-ratelimit-limit-tokens": "150000",
    "x-ratelimit-remaining-tokens": "149984",
    "x-ratelimit-reset-tokens": "6m0s",
}


def test_the_used_up_limit_states_when_to_retry() -> None:
    assert retry_after(QUOTAS, exhausted=True) == 0.02
    assert retry_after({**QUOTAS, "x-ratelimit-remaining-requests": "1"}, exhausted=True) == 360.0


def test_limits_are_ignored_unless_exhausted() -> None:
    assert retry_after(QUOTAS) is None


def test_quotas_are_read_by_name() -> None:
    assert rate_limits(QUOTAS) == {
        "requests": RateLimit(limit=60, remaining=0, reset_after=0.02),
        "tokens": RateLimit(limit=150_000, remaining=149_984, reset_after=360.0),
    }
    assert rate_limits({"ratelimit-remaining": "3", "ratelimit-limit": "10, 10;w=60"}) == {
        "": RateLimit(limit=10, remaining=3)
    }
    assert rate_limits({"x-ratelimit-reset": "1795396217000", "date": DATE}) == {"": RateLimit(reset_after=10.0)}
    assert rate_limits({"x-ratelimit-remaining-tokens": "many"}) == {"tokens": RateLimit()}
    assert rate_limits({"content-type": "text/html"}) == {}


def test_the_most_specific_request_id_counts() -> None:
    assert request_id({"cf-ray": "c", "x-request-id": "r"}) == "r"
    assert request_id({"cf-ray": "c"}) == "c"
    assert request_id({"x-request-id": ""}) is None

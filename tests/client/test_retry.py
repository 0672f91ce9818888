from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from responses_proto import RetryPolicy
from responses_proto.client import GiveUp, RetryAfter
from responses_proto.exceptions import (
    APIError,
    ConnectError,
    DeadlineExceeded,
    DecodeError,
    LimitExceeded,
    LocalProtocolError,
    NotAnEventStream,
    ResponsesProtoError,
    StreamTruncated,
    TransportError,
    UsageError,
)
from responses_proto.protocol import api_error, api_error_from

if TYPE_CHECKING:
    from responses_proto.exceptions import RetrySafety

POLICY = RetryPolicy()


def refused(status: int, body: str = "", **headers: str) -> APIError:
    return api_error(status, {name.replace("_", "-"): value for name, value in headers.items()}, body)


def broken(error: ResponsesProtoError, safety: RetrySafety = "unsafe") -> ResponsesProtoError:
    error.retry_safety = safety
    return error


def decide(
    error: ResponsesProtoError, policy: RetryPolicy = POLICY, *, attempt: int = 1, **more: Any
) -> RetryAfter | GiveUp:
    return policy.decide(error, attempt=attempt, random=lambda: 0.5, **more)


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 502, 503, 504, 529])
def test_a_temporary_status_is_retried(status: int) -> None:
    assert isinstance(decide(refused(status)), RetryAfter)


@pytest.mark.parametrize("status", [200, 302, 400, 401, 403, 404, 413, 422, 501, 505])
def test_a_permanent_status_is_not_retried(status: int) -> None:
    assert decide(refused(status, '{"error": {"message": "No."}}')) == GiveUp("permanent")


@pytest.mark.parametrize(
    ("code", "again"),
    [
        ("rate_limit_exceeded", True),
        ("server_error", True),
        ("server_overloaded", True),
        ("503", True),
        ("insufficient_quota", False),
        ("usage_limit_reached", False),
        ("invalid_prompt", False),
        ("model_not_found", False),
        ("something_new", False),
    ],
)
def test_an_error_inside_a_stream_is_classified_by_its_code(code: str, again: bool) -> None:
    found = decide(api_error_from({"type": "error", "code": code, "message": "Oops."}))
    assert isinstance(found, RetryAfter) is again
    assert again or found == GiveUp("permanent")


def test_an_exhausted_quota_is_permanent() -> None:
    assert decide(refused(429, '{"error": {"code": "insufficient_quota", "message": "Pay."}}')) == GiveUp("permanent")


@pytest.mark.parametrize(("should_retry", "status", "again"), [("true", 400, True), ("false", 503, False)])
def test_the_header_x_should_retry_overrides_the_status(should_retry: str, status: int, again: bool) -> None:
    assert isinstance(decide(refused(status, x_should_retry=should_retry)), RetryAfter) is again


@pytest.mark.parametrize(
    ("error", "method", "expected"),
    [
        (ConnectError("refused"), "POST", None),
        (broken(DeadlineExceeded("connect", 1.0), "safe"), "POST", None),
        (broken(DeadlineExceeded("first_byte", 1.0)), "POST", "unsafe"),
        (broken(DeadlineExceeded("first_byte", 1.0)), "GET", None),
        (broken(DeadlineExceeded("total", 1.0)), "GET", "deadline"),
        (broken(TransportError("reset")), "POST", "unsafe"),
        (broken(TransportError("reset")), "DELETE", "unsafe"),
        (broken(TransportError("reset")), "GET", None),
        (broken(StreamTruncated("cut")), "GET", None),
        (NotAnEventStream("page", status=200, headers={}, body=b""), "POST", "permanent"),
        (LimitExceeded("max_event_bytes", 1), "GET", "permanent"),
        (DecodeError("bad"), "GET", "permanent"),
        (LocalProtocolError("no"), "POST", "permanent"),
    ],
)
def test_only_a_request_that_did_nothing_is_retried(error: ResponsesProtoError, method: str, expected: Any) -> None:
    found = decide(error, method=method)
    assert isinstance(found, RetryAfter) if expected is None else found == GiveUp(expected)


def test_nothing_is_retried_after_output() -> None:
    for error in (refused(503), ConnectError("refused"), broken(TransportError("x"))):
        assert decide(error, method="GET", output=True) == GiveUp("output")


def test_attempts_include_the_first() -> None:
    policy = RetryPolicy(attempts=2)
    assert isinstance(decide(refused(503), policy), RetryAfter)
    assert decide(refused(503), policy, attempt=2) == GiveUp("attempts")
    assert decide(refused(503), RetryPolicy(attempts=1)) == GiveUp("attempts")


def test_the_bound_of_the_delay_doubles_up_to_max_delay() -> None:
    policy = RetryPolicy(attempts=9, initial_delay=1, max_delay=5)
    pauses = [decide(refused(503), policy, attempt=attempt) for attempt in range(1, 6)]
    assert pauses == [RetryAfter(0.5), RetryAfter(1.0), RetryAfter(2.0), RetryAfter(2.5), RetryAfter(2.5)]


def test_the_delay_is_never_shorter_than_retry_after() -> None:
    assert decide(refused(429, retry_after="7")) == RetryAfter(7.25)
    assert decide(refused(429, retry_after_ms="1500")) == RetryAfter(1.75)
    body = '{"error": {"message": "Please try again in 6.379s.", "code": "rate_limit_exceeded"}}'
    assert decide(refused(429, body)) == RetryAfter(6.629)


def test_a_retry_after_above_the_maximum_is_not_waited_for() -> None:
    assert decide(refused(429, retry_after="61")) == GiveUp("max_retry_after")
    assert isinstance(decide(refused(429, retry_after="61"), RetryPolicy(max_retry_after=100)), RetryAfter)


def test_delays_stay_within_max_total_delay_and_the_deadline() -> None:
    assert decide(refused(429, retry_after="7"), RetryPolicy(max_total_delay=10), paused=3.0) == GiveUp(
        "max_total_delay"
    )
    assert isinstance(decide(refused(429, retry_after="7"), RetryPolicy(max_total_delay=10), paused=2.0), RetryAfter)
    assert decide(refused(429, retry_after="7"), left=7.0) == GiveUp("deadline")
    assert isinstance(decide(refused(429, retry_after="7"), left=8.0), RetryAfter)


@given(
    attempt=st.integers(1, 10**6),
    chance=st.floats(0, 1, exclude_max=True),
    hint=st.none() | st.floats(0, 1e6),
    paused=st.floats(0, 1e4),
    left=st.none() | st.floats(-10, 1e4),
)
def test_no_delay_is_outside_its_bounds(
    attempt: int, chance: float, hint: float | None, paused: float, left: float | None
) -> None:
    policy = RetryPolicy(attempts=10**6 + 1)
    error = APIError("x", status=503, retry_after=hint)
    found = policy.decide(error, attempt=attempt, paused=paused, left=left, random=lambda: chance)
    if isinstance(found, RetryAfter):
        assert (hint or 0) <= found.delay <= min(policy.max_retry_after, hint or 0) + policy.max_delay
        assert paused + found.delay <= policy.max_total_delay
        assert left is None or found.delay < left


@pytest.mark.parametrize(
    "fields",
    [{"attempts": 0}, {"attempts": True}, {"max_total_delay": -1}, {"initial_delay": float("nan")}, {"max_delay": "1"}],
)
def test_a_field_out_of_range_is_named(fields: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=rf"RetryPolicy\.{next(iter(fields))} must be"):
        RetryPolicy(**fields)


def test_a_policy_is_a_plain_value() -> None:
    assert pickle.loads(pickle.dumps(POLICY)) == RetryPolicy()  # noqa: S301 - our own bytes
    assert len({POLICY, RetryPolicy()}) == 1

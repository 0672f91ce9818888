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
)
from responses_proto.protocol import api_error, api_error_from

if TYPE_CHECKING:
    from responses_proto.exceptions import RetrySafety

POLICY = RetryPolicy()


def refused(status: int, body: str = "", **headers: str) -> APIError:
    return api_error(status, {name.replace("_", "-"): value for name, value in headers.items()}, body)


def broken(error: ResponsesProtoError, replay: RetrySafety = "unsafe") -> ResponsesProtoError:
    error.retry_safety = replay
    return error


def decide(
    error: ResponsesProtoError, policy: RetryPolicy = POLICY, *, attempt: int = 1, **more: Any
) -> RetryAfter | GiveUp:
    return policy.decide(error, attempt=attempt, random=lambda: 0.5, **more)


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 502, 503, 504, 529])
def test_a_status_that_says_not_now_is_tried_again(status: int) -> None:
    assert isinstance(decide(refused(status)), RetryAfter)


@pytest.mark.parametrize("status", [200, 302, 400, 401, 403, 404, 413, 422, 501, 505])
def test_a_status_that_stays_the_same_is_not(status: int) -> None:
    assert decide(refused(status, '{"error": {"message": "No."}}')) == GiveUp("final")


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
def test_an_error_inside_a_stream_is_told_by_its_code(code: str, again: bool) -> None:
    found = decide(api_error_from({"type": "error", "code": code, "message": "Oops."}))
    assert isinstance(found, RetryAfter) is again
    assert again or found == GiveUp("final")


def test_a_quota_that_is_used_up_is_no_burst() -> None:
    assert decide(refused(429, '{"error": {"code": "insufficient_quota", "message": "Pay."}}')) == GiveUp("final")


@pytest.mark.parametrize(("told", "status", "again"), [("true", 400, True), ("false", 503, False)])
def test_the_servers_own_word_wins_over_the_status(told: str, status: int, again: bool) -> None:
    assert isinstance(decide(refused(status, x_should_retry=told)), RetryAfter) is again


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
        (NotAnEventStream("page", status=200, headers={}, body=b""), "POST", "final"),
        (LimitExceeded("max_event_bytes", 1), "GET", "final"),
        (DecodeError("bad"), "GET", "final"),
        (LocalProtocolError("no"), "POST", "final"),
    ],
)
def test_only_what_did_nothing_is_tried_again(error: ResponsesProtoError, method: str, expected: Any) -> None:
    found = decide(error, method=method)
    assert isinstance(found, RetryAfter) if expected is None else found == GiveUp(expected)


def test_after_output_nothing_is() -> None:
    for error in (refused(503), ConnectError("refused"), broken(TransportError("x"))):
        assert decide(error, method="GET", output=True) == GiveUp("output")


def test_attempts_are_counted_with_the_first() -> None:
    policy = RetryPolicy(attempts=2)
    assert isinstance(decide(refused(503), policy), RetryAfter)
    assert decide(refused(503), policy, attempt=2) == GiveUp("attempts")
    assert decide(refused(503), RetryPolicy(attempts=1)) == GiveUp("attempts")


def test_the_bound_of_the_pause_doubles_up_to_the_longest() -> None:
    policy = RetryPolicy(attempts=9, initial_delay=1, max_delay=5)
    pauses = [decide(refused(503), policy, attempt=attempt) for attempt in range(1, 6)]
    assert pauses == [RetryAfter(0.5), RetryAfter(1.0), RetryAfter(2.0), RetryAfter(2.5), RetryAfter(2.5)]


def test_a_hint_is_waited_for_and_never_undercut() -> None:
    assert decide(refused(429, retry_after="7")) == RetryAfter(7.25)
    assert decide(refused(429, retry_after_ms="1500")) == RetryAfter(1.75)
    body = '{"error": {"message": "Please try again in 6.379s.", "code": "rate_limit_exceeded"}}'
    assert decide(refused(429, body)) == RetryAfter(6.629)


def test_a_hint_that_is_too_long_is_for_the_caller() -> None:
    assert decide(refused(429, retry_after="61")) == GiveUp("hint")
    assert isinstance(decide(refused(429, retry_after="61"), RetryPolicy(max_retry_after=100)), RetryAfter)


def test_pauses_keep_within_the_budget_and_before_the_deadline() -> None:
    assert decide(refused(429, retry_after="7"), RetryPolicy(max_total_delay=10), paused=3.0) == GiveUp("budget")
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
def test_no_pause_is_outside_its_bounds(
    attempt: int, chance: float, hint: float | None, paused: float, left: float | None
) -> None:
    policy = RetryPolicy(attempts=10**6 + 1)
    error = APIError("x", status=503, retry_after=hint)
    found = policy.decide(error, attempt=attempt, paused=paused, left=left, random=lambda: chance)
    if isinstance(found, RetryAfter):
        assert (hint or 0) <= found.after <= min(policy.max_retry_after, hint or 0) + policy.max_delay
        assert paused + found.after <= policy.max_total_delay
        assert left is None or found.after < left


@pytest.mark.parametrize(
    "fields",
    [{"attempts": 0}, {"attempts": True}, {"budget": -1}, {"first_pause": float("nan")}, {"longest_pause": "1"}],
)
def test_a_field_out_of_range_is_named(fields: dict[str, Any]) -> None:
    with pytest.raises(LocalProtocolError, match=f"RetryPolicy.{next(iter(fields))} has to be"):
        RetryPolicy(**fields)


def test_a_policy_is_a_plain_value() -> None:
    assert pickle.loads(pickle.dumps(POLICY)) == RetryPolicy()  # noqa: S301 - our own bytes
    assert len({POLICY, RetryPolicy()}) == 1

"""What the client of a bridge learns of an upstream's failure."""

from __future__ import annotations

import logging

import pytest

from responses_proto.chat._failures import bad_gateway, failure_for_client
from responses_proto.exceptions import (
    APIError,
    ConnectError,
    DeadlineExceeded,
    LimitExceeded,
    ResponsesProtoError,
    StreamTruncated,
)
from responses_proto.protocol import api_error, api_error_from


@pytest.mark.parametrize(
    ("status", "told", "type_", "code"),
    [
        (400, 400, "invalid_request_error", "some_code"),
        (404, 404, "invalid_request_error", "model_not_found"),
        (408, 503, "server_error", "some_code"),
        (409, 503, "server_error", "some_code"),
        (413, 400, "invalid_request_error", "some_code"),
        (422, 400, "invalid_request_error", "some_code"),
        (425, 503, "server_error", "some_code"),
        (429, 429, "rate_limit_error", "some_code"),
        (500, 500, "server_error", "some_code"),
        (503, 503, "server_error", "some_code"),
        (504, 504, "server_error", "some_code"),
        (529, 503, "server_error", "some_code"),
    ],
)
def test_the_error_of_a_provider_becomes_the_fitting_one(status: int, told: int, type_: str, code: str) -> None:
    headers = {"retry-after": "7", "x-ratelimit-limit-requests": "5", "set-cookie": "a=b"}
    body = '{"error": {"message": "Not now.", "code": "some_code", "type": "own_type", "param": "temperature"}}'
    error = failure_for_client(api_error(status, headers, body), "up", forwarded=False)
    assert (error.status, error.type, error.code, error.message) == (told, type_, code, "Not now.")
    assert error.param == "temperature"
    assert error.retry_after == 7
    assert error.headers.keys() == {"retry-after", "x-ratelimit-limit-requests"}
    assert isinstance(error, APIError.for_status(told))


def test_parameters_that_only_the_provider_has_are_not_named() -> None:
    body = '{"error": {"message": "Bad role.", "param": "messages[0].role"}}'
    assert failure_for_client(api_error(400, {}, body), "up", forwarded=False).param is None


@pytest.mark.parametrize(("status", "code"), [(429, "rate_limit_exceeded"), (500, "server_error")])
def test_an_error_without_a_code_gets_one(status: int, code: str) -> None:
    assert failure_for_client(api_error(status, {}, ""), "up", forwarded=False).code == code


@pytest.mark.parametrize("status", [401, 402, 403])
def test_errors_about_an_account_are_for_whose_account_it_is(status: int, caplog: pytest.LogCaptureFixture) -> None:
    error = api_error(status, {}, '{"error": {"message": "Key hf_123 of team Unicorn"}}')
    with caplog.at_level(logging.ERROR):
        own = failure_for_client(error, "up", forwarded=False)
    assert (own.status, own.code) == (502, "upstream_unauthorized")
    assert "Unicorn" not in str(own)
    assert "Unicorn" in caplog.text
    theirs = failure_for_client(error, "up", forwarded=True)
    assert theirs.status == status
    assert "Unicorn" in theirs.message


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (ConnectError("cannot connect to http://10.0.0.5"), 502, "upstream_unreachable"),
        (DeadlineExceeded("first_byte", 3.0), 504, "upstream_timeout"),
        (LimitExceeded("max_event_bytes", 9), 502, "upstream_too_large"),
        (StreamTruncated("10.0.0.5 closed"), 502, "upstream_error"),
    ],
)
def test_failures_of_the_network_are_in_the_log_only(
    error: ResponsesProtoError, status: int, code: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        told = failure_for_client(error, "up", forwarded=False)
    assert (told.status, told.type, told.code) == (status, "server_error", code)
    assert "10.0.0.5" not in str(told)
    assert str(error) in caplog.text


def test_an_answer_that_is_not_one_is_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    error = APIError("expected a chat completion, but the server sent text/html", status=200)
    with caplog.at_level(logging.WARNING):
        told = failure_for_client(error, "up", forwarded=False)
    assert told.status == 502
    assert "text/html" in caplog.text
    assert "text/html" not in told.message


def test_an_error_object_with_the_status_of_a_success_is_an_error() -> None:
    error = api_error(200, {}, '{"error": {"message": "Slow down.", "code": 429}}')
    told = failure_for_client(error, "up", forwarded=False)
    assert (told.status, told.message) == (429, "Slow down.")


def test_an_error_inside_a_stream_has_the_status_of_its_code() -> None:
    error = api_error_from({"error": {"message": "Slow down.", "code": "rate_limit_exceeded"}})
    assert failure_for_client(error, "up", forwarded=False).status == 429


def test_a_bad_gateway() -> None:
    assert bad_gateway("No.").status == 502

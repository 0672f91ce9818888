from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support import NO_SHARED, shared

from responses_proto.exceptions import (
    APIError,
    AuthenticationError,
    BadRequestError,
    NotFoundError,
    RateLimitError,
    ServerError,
)
from responses_proto.protocol import api_error, api_error_from, readable

PAGE = (
    "<!DOCTYPE html><html><head><title>502 Bad Gateway</title><style>p{color:red}</style></head>"
    "<body><script>alert(1)</script><h1>Sorry</h1>\n<p>We&#39;ll be back.</p>"
    + "<p>filler</p>" * 5000
    + "</body></html>"
)


def error_of(status: int | None, body: object, headers: dict[str, str] | None = None) -> APIError:
    text = body if isinstance(body, str) else json.dumps(body)
    return api_error(status, headers or {}, text.encode())


@pytest.mark.parametrize(
    ("body", "message", "code", "kind", "param"),
    [
        # OpenAI, and all that copy it
        (
            {"error": {"message": "No.", "type": "invalid_request_error", "param": "input[2]", "code": "invalid_value"}},
            "No.", "invalid_value", "invalid_request_error", "input[2]",
        ),
        ({"error": {"message": "No.", "type": None, "param": None, "code": None}}, "No.", None, None, None),
        # numbers for codes: LiteLLM, OpenRouter
        ({"error": {"message": "No.", "code": "400"}}, "No.", "400", None, None),
        ({"error": {"message": "No.", "code": 400}}, "No.", "400", None, None),
        # xAI
        ({"code": "invalid-argument", "error": "Model not found"}, "Model not found", "invalid-argument", None, None),
        # llama-stack, FastAPI
        ({"detail": "Not Found"}, "Not Found", None, None, None),
        # MiniMax, with status 200
        ({"base_resp": {"status_code": 1008, "status_msg": "No credit."}}, "No credit.", None, None, None),
        ({"detail": [{"loc": ["body", "input"], "msg": "Field required", "type": "missing"}]},
         "input: Field required", None, "missing", "input"),
        ({"error": {"detail": {"errors": [{"loc": ["body", "input", 0], "msg": "bad", "type": "t"}]}}},
         "input[0]: bad", None, "t", "input[0]"),
        # responses.js
        ({"success": False, "error": [{"code": "invalid_union", "path": ["input"], "message": "Invalid input"}], "details": []},
         "input: Invalid input", "invalid_union", None, "input"),
        ({"success": False, "error": "Internal error"}, "Internal error", None, None, None),
        # others
        ({"error": "invalid_token", "error_description": "It expired."}, "It expired.", "invalid_token", None, None),
        ({"statusCode": 401, "message": "Access denied"}, "Access denied", None, None, None),
        ({"type": "about:blank", "title": "Forbidden", "detail": "Not yours."}, "Not yours.", None, None, None),
        ([{"error": {"message": "Listed.", "code": 3}}], "Listed.", "3", None, None),
        ({"message": "Validation failed", "details": ["a", "b"]}, "Validation failed", None, None, None),
        # the body of another server, quoted by a proxy
        ({"error": {"message": '{"error":{"message":"Inner.","code":"c"}}'}}, "Inner.", "c", None, None),
        # events
        ({"type": "error", "code": "c", "message": "Flat.", "param": None, "sequence_number": 3}, "Flat.", "c", None, None),
        ({"type": "error", "error": {"type": "server_error", "message": "Nested."}}, "Nested.", None, "server_error", None),
        ({"type": "response.failed", "response": {"id": "r", "error": {"code": "server_error", "message": "Failed."}}},
         "Failed.", "server_error", None, None),
    ],
)  # fmt: skip
def test_every_form_has_the_same_facts(
    body: object, message: str, code: str | None, kind: str | None, param: str | None
) -> None:
    error = error_of(400, body)
    assert type(error) is BadRequestError
    assert (error.message, error.code, error.type, error.param) == (message, code, kind, param)
    assert error.body == body
    assert error.status == 400


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("", "Bad Gateway"),
        ("null", "Bad Gateway"),
        ("{}", "Bad Gateway"),
        ("upstream\n\tis  down\n", "upstream is down"),
        ("{broken", "{broken"),
        ('data: {"error": {"message": "As an event."}}\n\n', "As an event."),
        ('"just a string"', "just a string"),
        ("\ufeff" + '{"detail": "With a mark."}', "With a mark."),
    ],
)
def test_other_bodies_give_one_line(body: str, message: str) -> None:
    error = error_of(502, body)
    assert type(error) is ServerError
    assert error.message == message
    assert "\n" not in str(error)


def test_a_page_becomes_one_short_line() -> None:
    error = error_of(502, PAGE)
    assert error.message.startswith("502 Bad Gateway: Sorry We'll be back.")
    assert len(error.message) <= 300
    assert "alert" not in error.message
    assert "color" not in error.message


def test_an_express_page_becomes_its_visible_text() -> None:
    page = "<!DOCTYPE html><html><head><title>Error</title></head><body><pre>Cannot POST /v1/x</pre></body></html>"
    assert error_of(404, page).message == "Error: Cannot POST /v1/x"


def test_a_page_inside_json_becomes_one_line_too() -> None:
    assert len(error_of(500, {"error": PAGE}).message) <= 300


def test_a_long_message_is_cut() -> None:
    assert len(readable("word " * 10_000)) <= 2000


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"error": {"code": 429, "message": "slow"}}, RateLimitError),
        ({"type": "error", "error": {"code": "rate_limit_exceeded", "message": "slow"}}, RateLimitError),
        ({"code": "server_error", "message": "oops"}, ServerError),
        ({"type": "error", "status": 404, "error": {"code": "x", "message": "gone"}}, NotFoundError),
        ({"error": {"type": "authentication_error", "message": "who?"}}, AuthenticationError),
        ({"error": {"message": "mystery"}}, APIError),
    ],
)
def test_an_error_without_a_status_gets_its_class_by_its_code(body: Any, expected: type[APIError]) -> None:
    assert type(api_error_from(body)) is expected
    assert type(api_error_from(body, status=200)) is expected


def test_a_status_stated_in_the_body_counts_where_there_is_no_other() -> None:
    body: Any = {"type": "error", "status": 400, "error": {"message": "m"}}
    assert api_error_from(body).status == 400
    assert api_error_from(body, status=500).status == 500
    assert api_error_from({"error": {"code": 429, "message": "m"}}).status is None


def test_headers_stated_in_the_body_count_like_real_ones() -> None:
    body: Any = {
        "type": "error",
        "status": 429,
        "error": {"message": "m", "headers": {"Retry-After": "3", "X-Request-Id": "r"}},
    }
    error = api_error_from(body)
    assert error.retry_after == 3.0
    assert error.request_id == "r"
    assert api_error_from(body, headers={"retry-after": "5"}).retry_after == 5.0


def test_hints_and_ids_are_attributes() -> None:
    error = error_of(429, {"error": {"message": "Please try again in 6.379s."}}, {"x-request-id": "req_1"})
    assert isinstance(error, RateLimitError)
    assert error.retry_after == 6.379
    assert error.request_id == "req_1"
    assert error.headers == {"x-request-id": "req_1"}
    assert error_of(429, {"error": {"type": "usage_limit_reached", "resets_in_seconds": 60}}).retry_after == 60.0
    assert error_of(400, {"error": {"message": "m"}, "request_id": "req_2"}).request_id == "req_2"


def test_quotas_are_a_hint_for_429_only() -> None:
    headers = {"x-ratelimit-reset-tokens": "6m0s"}
    assert error_of(429, {"error": "slow"}, headers).retry_after == 360.0
    assert error_of(400, {"error": "wrong"}, headers).retry_after is None


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "error",
                    "errors",
                    "detail",
                    "message",
                    "code",
                    "type",
                    "param",
                    "loc",
                    "path",
                    "status",
                    "headers",
                    "response",
                    "title",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(json_values, st.sampled_from([None, 200, 302, 400, 429, 500, 599, 999]))
def test_any_json_makes_an_error_of_one_line(body: Any, status: int | None) -> None:
    error = api_error_from(body, status=status)
    assert error.message
    assert "\n" not in error.message
    assert error.code is None or isinstance(error.code, str)
    assert error.param is None or isinstance(error.param, str)


@given(st.binary(max_size=200))
def test_any_bytes_make_an_error(body: bytes) -> None:
    assert api_error(500, {}, body).message


def test_the_depth_of_nested_errors_is_limited() -> None:
    deep: Any = {"message": "deepest"}
    for _ in range(100):
        deep = {"error": deep}
    assert api_error_from(deep, status=500).message


@pytest.mark.skipif(not shared("corpus").exists(), reason=NO_SHARED)
def test_every_recorded_error_gives_its_own_message() -> None:
    recorded = sorted(shared("corpus", "errors").glob("*.json"))
    assert recorded
    for path in recorded:
        answer = json.loads(path.read_text())
        error = api_error(answer["status"], answer["headers"], json.dumps(answer["body"]).encode())
        body = answer["body"]
        inner = body.get("error", body)
        expected = inner if isinstance(inner, str) else inner.get("message") or inner.get("detail")
        assert error.message == expected
        assert type(error) is APIError.for_status(answer["status"])
        assert error.code == (inner["code"] if isinstance(inner, dict) and "code" in inner else body.get("code"))


def test_json_without_a_message_is_the_message_itself() -> None:
    assert error_of(502, {"error": {"message": '{"trace": 1}'}}).message == '{"trace": 1}'


def test_the_type_counts_where_the_code_is_unknown() -> None:
    error = error_of(None, {"error": {"message": "No.", "code": "e_17", "type": "rate_limit_error"}})
    assert isinstance(error, RateLimitError)


def test_a_title_that_the_page_repeats_appears_once() -> None:
    page = "<html><head><title>Bad Gateway</title></head><body>502 Bad Gateway, sorry</body></html>"
    assert readable(page) == "502 Bad Gateway, sorry"
    assert readable("<html><head><title>Moved</title></head><body></body></html>") == "Moved"
    assert readable("<html><body></body></html>") == ""

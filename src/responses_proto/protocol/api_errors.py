"""Convert the errors of servers, in all their formats, to an :class:`~responses_proto.exceptions.APIError`.

The format is recognized by the content of the body, not by the server (see the tables below): an object with ``error``, ``detail``,
``errors`` or ``message``, nested as deep as proxies nest them; a list of findings of a validator; text; an HTML page.
The functions return the exception; the caller raises it.
"""

from __future__ import annotations

import html
import http
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

import attrs

from ..codec import default_backend
from ..exceptions import APIError, DecodeError, LimitExceeded, RateLimitError
from .headers import request_id, retry_after

if TYPE_CHECKING:
    from ..typing import JSONValue

__all__ = ["ERROR_STATUSES", "api_error", "api_error_from", "readable"]

_MAX_QUOTE: Final = 300  # characters of an HTML page that are quoted in a message
_MAX_MESSAGE: Final = 2_000  # characters of a message
_MAX_TEXT: Final = 64 * 1024  # characters that are read of a body that is not JSON
ERROR_STATUSES: Final = range(400, 600)
"""The HTTP status codes of errors."""
_MAX_DEPTH: Final = 8  # of errors inside errors; chains of proxies stay well below
_MAX_FINDINGS: Final = 3  # of a validator, in one message

# The keys that servers use, the most specific first.
_NESTED: Final = ("error", "errors", "detail", "details", "base_resp", "response", "message")
_MESSAGE: Final = ("message", "msg", "error_description", "error_message", "status_msg")
_FALLBACK_MESSAGE: Final = ("title", "reason")  # used if there is nothing better, not even a `detail`
_OVERRIDING: Final = ("error", "errors")  # their content has priority over a message next to them
_CODE: Final = ("code", "error_code")
_TYPE: Final = ("type", "error_type", "__type")
_STATUS: Final = ("status", "status_code", "statusCode", "http_status")
_REQUEST_ID: Final = ("request_id", "requestId")

_STATUS_OF: Final[Mapping[str, int]] = {
    "rate_limit_exceeded": 429,
    "rate_limit_error": 429,
    "insufficient_quota": 429,
    "usage_limit_reached": 429,
    "too_many_requests": 429,
    "server_error": 500,
    "internal_error": 500,
    "internal_server_error": 500,
    "api_error": 500,
    "overloaded_error": 503,
    "server_overloaded": 503,
    "service_unavailable": 503,
    "invalid_api_key": 401,
    "authentication_error": 401,
    "permission_error": 403,
    "not_found_error": 404,
    "model_not_found": 404,
    "previous_response_not_found": 400,
    "context_length_exceeded": 400,
    "invalid_prompt": 400,
    "invalid_request_error": 400,
}
"""Code or type of an error -> its HTTP status, for errors inside a stream, which have none."""


def api_error(
    status: int | None, headers: Mapping[str, str], body: bytes | str, *, now: float | None = None
) -> APIError:
    """Return the error of an HTTP response. Never raises.

    ``now``: the time in seconds since 1970. It is used to interpret a retry time if the response has no ``Date`` header.
    """
    text = (body if isinstance(body, str) else body.decode("utf-8", "replace")).strip("\ufeff \t\r\n")
    value = _as_json(text)
    if value is None:
        value = _as_event(text)
    if value is None and text not in ("", "null"):
        value = text[:_MAX_TEXT]
    return api_error_from(value, status=status, headers=headers, now=now)


def api_error_from(
    body: JSONValue, *, status: int | None = None, headers: Mapping[str, str] | None = None, now: float | None = None
) -> APIError:
    """Return the error of a JSON value: a decoded body, an ``error`` event, or the ``error`` of a failed response.

    ``status``: the status of the HTTP response. An error inside a stream has none, or the status in its body; without any, its code
    determines its class.
    ``headers``: the headers of the HTTP response. They take precedence over headers inside the body, which WebSocket errors have.
    ``now``: as for :func:`api_error`.
    """
    facts = _read(body, _MAX_DEPTH)
    all_headers = _headers(facts, headers)
    if status is None:
        status = facts.status
    # For an error in the body of a response with status 200, the body determines the class, as in a stream.
    is_error = status is not None and status >= http.HTTPStatus.BAD_REQUEST
    error_class = APIError.for_status(status if is_error else facts.status or _implied_status(facts))
    message = facts.message or _phrase(status)
    return error_class(
        message,
        status=status,
        code=facts.code,
        type=facts.type,
        param=facts.param,
        request_id=request_id(all_headers) or facts.request_id,
        retry_after=retry_after(
            all_headers, facts.hints, facts.message or "", exhausted=error_class is RateLimitError, now=now
        ),
        headers=all_headers,
        body=body,
    )


@attrs.frozen
class _Facts:
    message: str | None = None
    code: str | None = None
    type: str | None = None
    param: str | None = None
    status: int | None = None
    request_id: str | None = None
    headers: Mapping[str, JSONValue] = attrs.field(factory=dict[str, "JSONValue"])
    hints: Mapping[str, JSONValue] = attrs.field(factory=dict[str, "JSONValue"])

    def over(self, outer: _Facts) -> _Facts:
        """Return these facts, completed with those of the enclosing object."""
        return _Facts(
            self.message or outer.message,
            self.code or outer.code,
            self.type or outer.type,
            self.param or outer.param,
            self.status if self.status is not None else outer.status,
            self.request_id or outer.request_id,
            {**outer.headers, **self.headers},
            {**outer.hints, **self.hints},
        )


def _read(value: JSONValue, depth: int) -> _Facts:
    if isinstance(value, str):
        return _read_text(value, depth)
    if isinstance(value, Mapping):
        return _read_object(value, depth)
    if isinstance(value, Sequence):
        return _read_list(value, depth)
    return _Facts()


def _read_text(text: str, depth: int) -> _Facts:
    # Proxies put the JSON of the upstream server into a string.
    inner = _as_json(text) if depth > 0 else None
    if isinstance(inner, (Mapping, list)):
        facts = _read(inner, depth - 1)
        if facts.message:
            return facts
    return _Facts(message=readable(text) or None)


def _read_object(value: Mapping[str, JSONValue], depth: int) -> _Facts:
    message = _first_text(value, _MESSAGE)
    text = message or _first_text(value, _FALLBACK_MESSAGE)
    facts = _own_facts(value)
    if text:
        facts = _read_text(text, depth - 1).over(facts)
    for key in _NESTED if depth > 0 else ():
        nested = value.get(key)
        if not nested or not isinstance(nested, (str, Mapping, Sequence)) or nested == text:
            continue
        if key == "error" and isinstance(nested, str) and message and _is_name(nested):
            return attrs.evolve(
                facts, code=facts.code or nested
            )  # {"error": "invalid_token", "message": "It expired."}
        found = _read(nested, depth - 1)
        facts = found.over(facts) if key in _OVERRIDING or not message else facts.over(found)
        if facts.message:
            break
    return facts


def _own_facts(value: Mapping[str, JSONValue]) -> _Facts:
    """Return the facts that an object itself states, except for its message."""
    type_ = _first_text(value, _TYPE)
    if type_ == "error" or (type_ or "").startswith(("response.", "about:", "http")):
        type_ = None  # the type of an event, or the address of a page about the error (RFC 9457)
    headers = value.get("headers")
    return _Facts(
        code=_code(value),
        type=type_,
        param=_param(value),
        status=next((code for key in _STATUS if (code := _status(value.get(key)))), None),
        request_id=_first_text(value, _REQUEST_ID),
        headers=headers if isinstance(headers, Mapping) else {},
        hints=value,
    )


def _read_list(values: Sequence[JSONValue], depth: int) -> _Facts:
    # The findings of a validator (zod, pydantic), or a list of one error.
    found = [_read(value, depth - 1) for value in values[:_MAX_FINDINGS]] if depth > 0 else []
    messages = [f"{facts.param}: {facts.message}" if facts.param else facts.message for facts in found if facts.message]
    if not messages:
        return _Facts()
    more = f"; and {len(values) - _MAX_FINDINGS} more" if len(values) > _MAX_FINDINGS else ""
    return attrs.evolve(found[0], message="; ".join(messages) + more)


def _first_text(value: Mapping[str, JSONValue], keys: Sequence[str]) -> str | None:
    return next((text for key in keys if isinstance(text := value.get(key), str) and text.strip()), None)


def _code(value: Mapping[str, JSONValue]) -> str | None:
    for key in _CODE:
        code = value.get(key)
        if isinstance(code, str) and code:
            return code
        if isinstance(code, (int, float)) and not isinstance(code, bool):
            return str(int(code)) if code == int(code) else str(code)
    return None


def _param(value: Mapping[str, JSONValue]) -> str | None:
    param = value.get("param")
    if isinstance(param, str) and param:
        return param
    steps = value.get("loc", value.get("path"))  # of pydantic and zod
    if not isinstance(steps, Sequence) or isinstance(steps, str):
        return None
    names = [step for step in steps if isinstance(step, (str, int))]
    if names and names[0] == "body":  # FastAPI's name for the whole request
        names = names[1:]
    path = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in names)
    return path.removeprefix(".") or None


def _status(value: JSONValue) -> int | None:
    if isinstance(value, str) and value.isascii() and value.isdigit():
        value = int(value[:4])
    number = value if isinstance(value, int) and not isinstance(value, bool) else 0
    return number if number in ERROR_STATUSES else None


def _implied_status(facts: _Facts) -> int | None:
    for name in (facts.code, facts.type):
        if name:
            status = _status(name) or _STATUS_OF.get(name)
            if status:
                return status
    return None


def _headers(facts: _Facts, headers: Mapping[str, str] | None) -> dict[str, str]:
    in_body = {
        name.lower(): str(value) for name, value in facts.headers.items() if isinstance(value, (str, int, float))
    }
    return in_body | {name.lower(): value for name, value in (headers or {}).items()}


def _phrase(status: int | None) -> str:
    try:
        return http.HTTPStatus(status).phrase if status is not None else "the server gave no reason"
    except ValueError:
        return "the server gave no reason"


# ---- text

_NAME: Final = re.compile(r"[A-Za-z][\w.:-]{0,79}")
_INVISIBLE: Final = re.compile(r"<(script|style|head)\b.*?(?:</\1\s*>|\Z)|<!--.*?(?:-->|\Z)", re.DOTALL | re.IGNORECASE)
_TITLE: Final = re.compile(r"<title[^<>]*>([^<]*)", re.IGNORECASE)  # linear: a match ends at the next `<` at the latest
_TAG: Final = re.compile(r"<[^>]*>?")
_PAGE: Final = re.compile(r"\s*(?:<!doctype|<html|<head|<body|<\?xml|<[a-z][a-z0-9]*[\s>])", re.IGNORECASE)


def _is_name(text: str) -> bool:
    return _NAME.fullmatch(text) is not None


def readable(text: str, max_length: int | None = None) -> str:
    """Return a text as one line; an HTML page as its title and the beginning of its visible text.

    ``max_length`` is in characters; the default is 2000 for a text, and 300 for a page.
    """
    if not _PAGE.match(text):
        return _shorten(text, max_length or _MAX_MESSAGE)
    max_length = max_length or _MAX_QUOTE
    page = text[:_MAX_TEXT]
    visible = _shorten(html.unescape(_TAG.sub(" ", _INVISIBLE.sub(" ", page))), max_length)
    found = _TITLE.search(page)
    title = _shorten(html.unescape(found[1]), max_length) if found else ""
    if not title or title in visible:
        return visible or title
    return _shorten(f"{title}: {visible}" if visible else title, max_length)


def _shorten(text: str, max_length: int) -> str:
    line = " ".join(text[: 8 * max_length].split())
    return line if len(line) <= max_length else f"{line[: max_length - 1]}…"


def _as_json(text: str) -> JSONValue:
    # None also for values other than objects, lists and strings: `null` and `12` do not describe an error.
    if text.lstrip()[:1] not in ("{", "[", '"'):
        return None
    try:
        value: JSONValue = default_backend().loads(text)
    except (DecodeError, LimitExceeded):
        return None
    return value


_DATA_LINE: Final = re.compile(r"^data: ?(.+)$", re.MULTILINE)


def _as_event(text: str) -> JSONValue:
    # Some servers send an event stream with an error status.
    if not text.lstrip().startswith(("data:", "event:")):
        return None
    return next((value for line in _DATA_LINE.findall(text[:_MAX_TEXT]) if (value := _as_json(line))), None)

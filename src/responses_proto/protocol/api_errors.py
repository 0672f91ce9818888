"""From every shape of error that servers send to one :class:`~responses_proto.exceptions.APIError`.

Bodies are read by what they hold, not by who sent them (see the tables below): an object with ``error``, ``detail``,
``errors`` or ``message``, nested as deep as proxies nest them; a list of findings of a validator; text; a page.
Pure: bytes and headers in, an exception out, which the caller raises or keeps.
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

__all__ = ["api_error", "api_error_from", "readable"]

_SHOWN: Final = 300  # characters of a text or page that a message quotes
_LONGEST_MESSAGE: Final = 2_000  # characters of a message that the server itself calls one
_KEPT: Final = 64 * 1024  # characters of a body that is no JSON
FIRST_ERROR: Final = 400  # of the HTTP status codes
_LAST_ERROR: Final = 599
_DEPTH: Final = 8  # of errors inside errors; proxies of proxies stay well below
_LISTED: Final = 3  # findings of a validator that a message lists

# The words that servers use, the most telling first.
_INNER: Final = ("error", "errors", "detail", "details", "response", "message")
_MESSAGE: Final = ("message", "msg", "error_description", "error_message")
_LESSER_MESSAGE: Final = ("title", "reason")  # taken when there is nothing better, not even a `detail`
_BEFORE_MESSAGE: Final = ("error", "errors")  # what is in these is the error, whatever is said beside it
_CODE: Final = ("code", "error_code")
_TYPE: Final = ("type", "error_type", "__type")
_STATUS: Final = ("status", "status_code", "statusCode", "http_status")
_REQUEST_ID: Final = ("request_id", "requestId")

_CLASSES: Final[Mapping[str, int]] = {
    # Codes and types of errors that come without a status, inside a stream: the status that they have outside of one.
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


def api_error(
    status: int | None, headers: Mapping[str, str], body: bytes | str, *, now: float | None = None
) -> APIError:
    """Make the error of an answer. Never raises, whatever the body is.

    ``now`` (seconds since 1970) turns a point in time at which to try again into a span, where the answer has no ``Date``.
    """
    text = (body if isinstance(body, str) else body.decode("utf-8", "replace")).strip("\ufeff \t\r\n")
    value = _as_json(text)
    if value is None:
        value = _as_event(text)
    if value is None and text not in ("", "null"):
        value = text[:_KEPT]
    return api_error_from(value, status=status, headers=headers, now=now)


def api_error_from(
    body: JSONValue, *, status: int | None = None, headers: Mapping[str, str] | None = None, now: float | None = None
) -> APIError:
    """Make the error of a JSON value: a decoded body, an ``error`` event, or what a failed response has as ``error``.

    ``status`` is that of the HTTP answer. An error inside a stream has none, or the one that its body states; its class is
    then worked out from its code. Headers stated inside the body (as WebSocket errors have them) count like real ones.
    """
    facts = _read(body, _DEPTH)
    known = _headers(facts, headers)
    if status is None:
        status = facts.status
    # A 200 with an error in its body tells no more of the error's class than a stream does.
    is_telling = status is not None and status >= FIRST_ERROR
    error_class = APIError.for_status(status if is_telling else facts.status or _implied(facts))
    message = facts.message or _phrase(status)
    return error_class(
        message,
        status=status,
        code=facts.code,
        type=facts.type,
        param=facts.param,
        request_id=request_id(known) or facts.request_id,
        retry_after=retry_after(
            known, facts.hints, facts.message or "", exhausted=error_class is RateLimitError, now=now
        ),
        headers=known,
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
        """Fill what is missing here from the object around."""
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
    # A proxy that quotes the body of the server behind it quotes JSON.
    inner = _as_json(text) if depth > 0 else None
    if isinstance(inner, (Mapping, list)):
        facts = _read(inner, depth - 1)
        if facts.message:
            return facts
    return _Facts(message=readable(text) or None)


def _read_object(value: Mapping[str, JSONValue], depth: int) -> _Facts:
    message = _first_text(value, _MESSAGE)
    lesser = message or _first_text(value, _LESSER_MESSAGE)
    headers = value.get("headers")
    kind = _first_text(value, _TYPE)
    facts = _Facts(
        code=_code(value),
        # An event's type is no type of error, nor is the address of a page about it (RFC 9457).
        type=None if kind is None or kind == "error" or kind.startswith(("response.", "about:", "http")) else kind,
        param=_param(value),
        status=next((code for key in _STATUS if (code := _status(value.get(key)))), None),
        request_id=_first_text(value, _REQUEST_ID),
        headers=headers if isinstance(headers, Mapping) else {},
        hints=value,
    )
    if lesser:
        facts = _read_text(lesser, depth - 1).over(facts)
    for key in _INNER if depth > 0 else ():
        inner = value.get(key)
        if not inner or not isinstance(inner, (str, Mapping, Sequence)) or inner == lesser:
            continue
        if key == "error" and isinstance(inner, str) and message and _is_name(inner):
            return attrs.evolve(facts, code=facts.code or inner)  # {"error": "invalid_token", "message": "It expired."}
        found = _read(inner, depth - 1)
        facts = found.over(facts) if key in _BEFORE_MESSAGE or not message else facts.over(found)
        if facts.message:
            break
    return facts


def _read_list(values: Sequence[JSONValue], depth: int) -> _Facts:
    # Findings of a validator (zod, pydantic), or one error in brackets.
    found = [_read(value, depth - 1) for value in values[:_LISTED]] if depth > 0 else []
    messages = [f"{facts.param}: {facts.message}" if facts.param else facts.message for facts in found if facts.message]
    if not messages:
        return _Facts()
    more = f"; and {len(values) - _LISTED} more" if len(values) > _LISTED else ""
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
    steps = value.get("loc", value.get("path"))  # pydantic's word, zod's word
    if not isinstance(steps, Sequence) or isinstance(steps, str):
        return None
    names = [step for step in steps if isinstance(step, (str, int))]
    if names and names[0] == "body":  # the whole request, in FastAPI's terms
        names = names[1:]
    path = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in names)
    return path.removeprefix(".") or None


def _status(value: JSONValue) -> int | None:
    if isinstance(value, str) and value.isascii() and value.isdigit():
        value = int(value[:4])
    whole = value if isinstance(value, int) and not isinstance(value, bool) else 0
    return whole if FIRST_ERROR <= whole <= _LAST_ERROR else None


def _implied(facts: _Facts) -> int | None:
    for name in (facts.code, facts.type):
        if name:
            status = _status(name) or _CLASSES.get(name)
            if status:
                return status
    return None


def _headers(facts: _Facts, headers: Mapping[str, str] | None) -> dict[str, str]:
    stated = {name.lower(): str(value) for name, value in facts.headers.items() if isinstance(value, (str, int, float))}
    return stated | {name.lower(): value for name, value in (headers or {}).items()}


def _phrase(status: int | None) -> str:
    try:
        return http.HTTPStatus(status).phrase if status is not None else "the server gave no reason"
    except ValueError:
        return "the server gave no reason"


# ---- text

_NAME: Final = re.compile(r"[A-Za-z][\w.:-]{0,79}")
_INVISIBLE: Final = re.compile(r"<(script|style|head)\b.*?(?:</\1\s*>|\Z)|<!--.*?(?:-->|\Z)", re.DOTALL | re.IGNORECASE)
_TITLE: Final = re.compile(r"<title[^>]*>([^<]*)", re.IGNORECASE)
_TAG: Final = re.compile(r"<[^>]*>?")
_PAGE: Final = re.compile(r"\s*(?:<!doctype|<html|<head|<body|<\?xml|<[a-z][a-z0-9]*[\s>])", re.IGNORECASE)


def _is_name(text: str) -> bool:
    return _NAME.fullmatch(text) is not None


def readable(text: str, longest: int | None = None) -> str:
    """Make one line for people of a text or a page: a page's title and the beginning of what it shows."""
    if not _PAGE.match(text):
        return _cut(text, longest or _LONGEST_MESSAGE)
    page = text[:_KEPT]
    title = _TITLE.search(page)
    seen = _cut(html.unescape(_TAG.sub(" ", _INVISIBLE.sub(" ", page))), longest or _SHOWN)
    named = _cut(html.unescape(title[1]), longest or _SHOWN) if title else ""
    if not named or named in seen:
        return seen or named
    return _cut(f"{named}: {seen}" if seen else named, longest or _SHOWN)


def _cut(text: str, longest: int) -> str:
    line = " ".join(text[: 8 * longest].split())
    return line if len(line) <= longest else f"{line[: longest - 1]}…"


def _as_json(text: str) -> JSONValue:
    # None also for what is no object, list or string: `null` and `12` tell nothing.
    if text.lstrip()[:1] not in ("{", "[", '"'):
        return None
    try:
        value: JSONValue = default_backend().loads(text)
    except (DecodeError, LimitExceeded):
        return None
    return value


_DATA_LINE: Final = re.compile(r"^data: ?(.+)$", re.MULTILINE)


def _as_event(text: str) -> JSONValue:
    # Some servers answer a streaming request with an error status and yet an event stream.
    if not text.lstrip().startswith(("data:", "event:")):
        return None
    return next((value for line in _DATA_LINE.findall(text[:_KEPT]) if (value := _as_json(line))), None)

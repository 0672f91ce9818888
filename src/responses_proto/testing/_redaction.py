"""Keep secrets out of recordings.

Secrets are found where credentials are sent: in headers, queries, certain fields of bodies, and addresses. Each one is then replaced
wherever it occurs, in any encoding, by as many asterisks, so that the pieces of a body keep their boundaries.
"""

from __future__ import annotations

import contextlib
import functools
import json
import re
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import SplitResult, parse_qsl, unquote, urlencode, urlsplit

import attrs

from ..client._secrets import MIN_SECRET_LENGTH, redact, secrets_in
from ..codec._json import compact
from ..models.content import CONTENT_TYPES
from ..models.events import EVENT_TYPES
from ..models.items import ITEM_TYPES
from ..models.response import Response
from ..models.tools import TOOL_TYPES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_SAFE_HEADERS: Final = frozenset(
    {"accept", "accept-encoding", "content-type", "date", "idempotency-key", "openai-processing-ms", "openai-version"}
    | {"request-id", "retry-after", "retry-after-ms", "server", "user-agent", "x-request-id"}
)
_SAFE_PREFIXES: Final = ("x-ratelimit-",)
_PROTOCOL_PARAMETERS: Final = frozenset(
    {"after", "api-version", "before", "include", "include[]", "limit", "order", "starting_after", "stream"}
)
_SECRET_FIELD: Final = re.compile(
    r"(?i)authorization|cookie|secret|password|credential|api[-_]?key|(?:access|auth|bearer)[-_]?token"
)
# ^ narrower than for headers, because bodies have harmless fields such as `token` and `prompt_cache_key`
_SECRET_PARAMETER: Final = re.compile(r"(?i)key|token|sig|secret|pass|pwd|credential|auth|session|policy|jwt|code$")
_RANDOM: Final = re.compile(r"(?=.*[0-9])(?=.*[A-Za-z])[\w.~+/=%-]{16,}", re.ASCII)
"""Matches a value that looks like a key, under any name."""
_ADDRESS: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s\"'<>\\^`{|}]+")
_STRING: Final = re.compile(rb'"(?:[^"\\]|\\.)*+"')


class Redaction:
    """Removes the secrets of one request and its answer."""

    def __init__(self, url: str, headers: Mapping[str, str], body: bytes) -> None:
        parts = urlsplit(url)
        found = {unquote(each) for each in (parts.username, parts.password) if each}
        found |= {value for name, value in _parameters(parts.query) if name not in _PROTOCOL_PARAMETERS}
        with contextlib.suppress(ValueError):
            _mask(json.loads(body or b"null"), found)
        self._found = found
        self._as_sent = secrets_in(headers)
        self._secrets: list[bytes] | None = None

    def add(self, headers: Mapping[str, str], answer: bytes) -> None:
        """Also look for secrets in the headers and the body of the answer."""
        self._as_sent |= secrets_in(headers)
        for text in _strings_of(answer):
            _mask_addresses(text, self._found)
        self._secrets = None

    def __call__(self, data: bytes) -> bytes:
        """Return data without the secrets."""
        if self._secrets is None:
            self._secrets = sorted(self._all(), key=len, reverse=True)
        return redact(data, *self._secrets, mask=lambda length: b"*" * length)

    def body(self, body: bytes) -> bytes:
        """Return the body of a request without the secrets and without the values of its credential fields."""
        return self(_without_credentials(body))

    def headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        """Return the headers that are known to be harmless, without the secrets."""
        return {
            name: self(value.encode("utf-8", "surrogateescape")).decode()
            for name, value in safe_headers(headers).items()
        }

    def _all(self) -> set[bytes]:
        # The words of a value: a key without `Bearer`, a cookie without its name.
        words = self._found | {word for value in self._found for word in re.split(r"[\s;,=]+", value)}
        values = {value.encode("utf-8", "surrogateescape") for value in words - _vocabulary()} | self._as_sent
        return {value for value in values - _vocabulary_bytes() if len(value) >= MIN_SECRET_LENGTH}


def safe_query(query: str) -> str:
    """Return a query in which only the parameters of the protocol keep their values."""
    return urlencode([(name, value if name in _PROTOCOL_PARAMETERS else "***") for name, value in _parameters(query)])


def _parameters(query: str) -> list[tuple[str, str]]:
    return parse_qsl(query, keep_blank_values=True)


def safe_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers that are known to be harmless."""
    return {name: value for name, value in headers.items() if name in _SAFE_HEADERS or name.startswith(_SAFE_PREFIXES)}


@functools.cache
def _vocabulary() -> frozenset[str]:
    """Return the words of the protocol. A credential that equals one of them is only redacted where it was sent as a credential."""
    classes = [Response, *EVENT_TYPES.values(), *ITEM_TYPES.values(), *TOOL_TYPES.values(), *CONTENT_TYPES.values()]
    names = [
        *EVENT_TYPES,
        *ITEM_TYPES,
        *TOOL_TYPES,
        *CONTENT_TYPES,
        *(a.name for cls in classes for a in attrs.fields(cls)),
    ]
    statuses = ["assistant", "completed", "developer", "failed", "in_progress", "incomplete", "message", "system"]
    return frozenset([*names, *statuses, "Bearer", "bearer", "Digest", "application/json"]) | {
        word for name in names for word in re.split(r"[._]", name)
    }


@functools.cache
def _vocabulary_bytes() -> frozenset[bytes]:
    return frozenset(word.encode() for word in _vocabulary())


def _without_credentials(body: bytes) -> bytes:
    """Return a JSON body with its credentials redacted. A body without credentials is returned unchanged."""
    found: set[str] = set()
    try:
        masked = _mask(json.loads(body or b"null"), found)
    except ValueError:
        return body
    return compact(masked).encode("utf-8", "replace") if found else body


def _mask(value: Any, found: set[str], *, field: str = "", inside: bool = False) -> Any:
    """Return a JSON value with its credentials redacted, and add them to ``found``.

    Credentials are all strings below ``headers`` or below a field named like a credential, and the credentials in addresses.
    ``field``: the name of the field that has the value. ``inside``: whether the value is below one of those fields.
    """
    if isinstance(value, dict):
        return {
            name: _mask(each, found, field=name, inside=inside or name == "headers" or bool(_SECRET_FIELD.search(name)))
            for name, each in cast("dict[str, Any]", value).items()
        }
    if isinstance(value, list):
        return [_mask(each, found, field=field, inside=inside) for each in cast("Iterable[Any]", value)]
    if not isinstance(value, str):
        return value
    if inside:
        found.add(value)
        return "*" * len(value)
    return _mask_addresses(value, found, endpoint=field.endswith("server_url"))


def _mask_addresses(text: str, found: set[str], *, endpoint: bool = False) -> str:
    """Return a text with the credentials in addresses redacted, and add them to ``found``. The length stays the same.

    ``endpoint``: whether it is the address of a server, which may have a key in its path.
    """

    def masked(match: re.Match[str]) -> str:
        address = match[0]
        with contextlib.suppress(ValueError):  # not an address
            for secret in sorted(_address_secrets(urlsplit(address), endpoint=endpoint), key=len, reverse=True):
                found.update((secret, unquote(secret)))
                address = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", "*" * len(secret), address)
        return address

    return _ADDRESS.sub(masked, text) if "://" in text else text


def _address_secrets(parts: SplitResult, *, endpoint: bool) -> set[str]:
    """Return the credentials of an address, as they are written in it."""
    found = {each for each in (parts.username, parts.password) if each}
    for pair in re.split("[&;]", f"{parts.query}&{parts.fragment}"):
        name, _, value = pair.partition("=")
        if value and (_SECRET_PARAMETER.search(name) or _RANDOM.fullmatch(value)):
            found.add(value)
    return found | {step for step in parts.path.split("/") if endpoint and _RANDOM.fullmatch(step)}


def _strings_of(body: bytes) -> Iterator[str]:
    """Yield the JSON strings of a body or event stream that may contain addresses."""
    for match in _STRING.finditer(body):
        literal = match[0]
        if b":" in literal or b"\\u003" in literal:
            with contextlib.suppress(ValueError):  # quoted bytes that are not JSON
                yield str(json.loads(literal))

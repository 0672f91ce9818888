"""Keep secrets out of what people read: hide them in a repr, and remove them from errors and recordings, in any encoding.

A server that refuses a key often quotes it, and its JSON, HTML or URL library escapes some of the characters, or all of them. So a
secret is searched for character by character, each in any encoding (see :func:`_writing`).
"""

from __future__ import annotations

import base64
import contextlib
import functools
import html.entities
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, cast

import attrs

from ..exceptions import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from ..protocol.stream import Outcome

MIN_SECRET_LENGTH: Final = 6
"""Length from which a key is redacted. For servers that accept any key, people pass "x" or "none", which are common in text."""
SECRET_NAME: Final = re.compile(r"(?i)auth|cookie|key|token|secret|password|credential|signature")
"""Matches the names of headers that hold secrets."""
_HARMLESS: Final = frozenset({"idempotency-key", "sec-websocket-key"})
_SCHEMES: Final = frozenset({"Bearer", "bearer", "Digest", "Negotiate"})
_SHOWN: Final = "***"
_ELLIPSIS: Final = "…".encode()
_SHORT: Final = {"\b": b"b", "\f": b"f", "\n": b"n", "\r": b"r", "\t": b"t"}
"""Characters that have a short escape in JSON."""
_MAX_CHAIN: Final = 50  # exceptions


# ---- hiding


class HiddenStr(str):
    """A string whose repr does not show it. Tracebacks that show local variables call ``repr()``."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"'{_SHOWN}'"


class HiddenBytes(bytes):
    """Bytes whose repr does not show them."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"b'{_SHOWN}'"


def hidden_headers(headers: Mapping[str, str] | None) -> dict[str, str]:
    """Return headers with values that no repr shows, whether they are valid or not. Raises ``UsageError`` for another type."""
    if headers is None:
        return {}
    if not isinstance(headers, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance] - users pass a list of pairs
        raise UsageError(f"headers must be a mapping of names to values, got {type(headers).__name__}")
    given: Mapping[Any, Any] = headers
    return {name: HiddenStr(value) if isinstance(value, str) else value for name, value in given.items()}


def secrets_in(headers: Mapping[str, str]) -> set[bytes]:
    """Return the secrets that headers hold: their values, and the words of these, such as a key without ``Bearer``."""
    words: set[str] = set()
    for name, value in headers.items():
        if is_secret(name):
            words |= {value, *re.split(r"[\s;,]+", value), *re.split(r"[\s;,=]+", value)}
            scheme, _, credentials = value.partition(" ")
            if scheme.lower() == "basic":
                with contextlib.suppress(ValueError):
                    words.update(base64.b64decode(credentials).decode().split(":", 1))
    return {HiddenBytes(word.encode("utf-8", "surrogateescape")) for word in words - _SCHEMES}


def is_secret(name: str) -> bool:
    """Return whether a header of this name holds a secret."""
    return name.lower() not in _HARMLESS and SECRET_NAME.search(name) is not None


# ---- finding


def find(data: bytes, secret: bytes) -> Iterator[tuple[int, int]]:
    """Yield where a secret begins and ends in a text, in any encoding; nothing for a value that is too short to be a secret.

    At the end of the text and before an ellipsis, where the text was cut, the beginning of the secret matches too.
    """
    text = secret.decode("utf-8", "surrogateescape")
    if len(text) < MIN_SECRET_LENGTH:
        return
    start, rest = _patterns(text)
    at = 0
    while (match := start.search(data, at)) is not None:
        if data.startswith(secret, match.start()):
            end = match.start() + len(secret)
        else:
            end = _end_of(rest, data, match.end())
        if end:
            yield match.start(), end
        at = end or match.start() + 1


def _end_of(patterns: Iterable[re.Pattern[bytes]], data: bytes, at: int) -> int:
    """Return where the characters of these patterns end; 0 if other ones follow."""
    for pattern in patterns:
        match = pattern.match(data, at)
        if match is None:
            return at if at == len(data) or data.startswith(_ELLIPSIS, at) else 0
        at = match.end()
    return at


@functools.lru_cache(maxsize=64)
def _patterns(secret: str) -> tuple[re.Pattern[bytes], list[re.Pattern[bytes]]]:
    """Return a pattern for the first characters of a secret, and one for each other character: one for all would be huge."""
    start = b"".join(map(_writing, secret[:MIN_SECRET_LENGTH]))
    return re.compile(start), [re.compile(_writing(character)) for character in secret[MIN_SECRET_LENGTH:]]


@functools.cache
def _writing(character: str) -> bytes:
    r"""Return a pattern for a character in any encoding: JSON, HTML, URL, Python, and each of them inside another.

    ``+`` is ``+``, ``\+``, ``\u002B``, ``\\u002B``, ``\x2b``, ``\u{2b}``, ``%2B``, ``%252B``, ``&#43;``, ``&#x2B;``, ``&plus;``,
    ``&amp;plus;``.
    """
    code = ord(character)
    plain = character.encode("utf-8", "surrogateescape")
    units = character.encode("utf-16-be", "surrogatepass")
    pairs = [units[at : at + 2].hex().encode() for at in range(0, len(units), 2)]
    names = sorted({re.escape(name) for name, value in html.entities.html5.items() if value == character}, reverse=True)
    forms = [
        rb"&(?:amp;){0,8}#0{0,8}%d;?" % code,
        rb"&(?:amp;){0,8}#[xX]0{0,8}(?i:%x);?" % code,
        rb"&(?:amp;){0,8}(?:%b)" % "|".join(names).encode() if names else b"",
        b"".join(rb"%%(?:25){0,8}(?i:%02x)" % byte for byte in plain),
        b"".join(rb"\\{1,16}u(?i:%b)" % pair for pair in pairs),
        rb"\\{1,16}(?i:u\{0{0,8}%x\}|U%08x)" % (code, code),
        rb"\\{1,16}x(?i:%02x)" % code if code <= 0xFF else b"",  # noqa: PLR2004 - two hexadecimal digits
        rb"\\{1,16}%b" % _SHORT[character] if character in _SHORT else b"",
        rb"\+" if character == " " else b"",
        rb"\\{1,16}" if character == "\\" else (b"" if character.isalnum() else rb"\\{0,16}") + re.escape(plain),
    ]
    return b"(?:%b)" % b"|".join(filter(None, forms))


# ---- redacting


def redact(data: bytes, *secrets: bytes, mask: Callable[[int], bytes] = lambda _length: _SHOWN.encode()) -> bytes:
    """Return a text without the secrets. ``mask`` returns the replacement for a secret from its length in the text."""
    for secret in sorted(secrets, key=len, reverse=True):  # one may be the beginning of another
        pieces: list[bytes] = []
        at = 0
        for start, end in find(data, secret):
            pieces += data[at:start], mask(end - start)
            at = end
        if pieces:
            data = b"".join((*pieces, data[at:]))
    return data


def redact_error(error: BaseException, *secrets: bytes) -> None:
    """Remove secrets from every string of an error and of the errors behind it. Idempotent.

    If an error contains one, its traceback is removed too: the variables of its frames hold what the server sent.
    """
    stack, seen = [error], set[int]()
    while stack and len(seen) < _MAX_CHAIN:
        each = stack.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        _redact_one(each, secrets)
        stack += [behind for behind in (each.__cause__, each.__context__) if behind is not None]
        if isinstance(each, BaseExceptionGroup):
            stack += cast("BaseExceptionGroup[BaseException]", each).exceptions


def _redact_one(error: BaseException, secrets: tuple[bytes, ...]) -> None:
    facts = vars(error)
    changed = {name: (value, new) for name, value in facts.items() if (new := _redacted(value, secrets)) is not value}
    args = error.args
    for name, (value, new) in changed.items():
        facts[name] = new
        if isinstance(value, str) and isinstance(new, str):
            # A message quotes attributes, and one of these may end in the middle of the secret.
            args = tuple(argument.replace(value, new) if isinstance(argument, str) else argument for argument in args)
    args = tuple(_redacted(argument, secrets) for argument in args)
    if changed or args != error.args:
        error.args = args
        error.__traceback__ = None


def _redacted(value: Any, secrets: tuple[bytes, ...]) -> Any:
    """Return a text or JSON value without the secrets; the value itself if it has none."""
    if isinstance(value, str):
        data = value.encode("utf-8", "surrogatepass")
        clean = redact(data, *secrets)
        return value if clean == data else clean.decode("utf-8", "surrogatepass")
    if isinstance(value, bytes):
        clean = redact(value, *secrets)
        return value if clean == value else clean
    if isinstance(value, Mapping):
        fields: Mapping[Any, Any] = cast("Any", value)
        copied = {_redacted(name, secrets): _redacted(field, secrets) for name, field in fields.items()}
        return fields if copied == fields else copied
    if isinstance(value, (list, tuple)):
        elements: list[Any] | tuple[Any, ...] = cast("Any", value)
        cleaned = [_redacted(element, secrets) for element in elements]
        if cleaned == list(elements):
            return elements
        return tuple(cleaned) if isinstance(elements, tuple) else cleaned
    return value


def redact_outcome(outcome: Outcome, *secrets: bytes) -> Outcome:
    """Return an outcome with the secrets removed from the reason why a response failed or is incomplete."""
    if outcome.error is not None:
        redact_error(outcome.error, *secrets)
    changed: dict[str, Any] = {}
    for name in ("error", "incomplete_details"):
        reason: Any = getattr(outcome.response, name)
        texts = {each: getattr(reason, each) for each in ("code", "message", "reason") if hasattr(reason, each)}
        clean = _redacted(texts, secrets)
        if clean is not texts:
            changed[name] = attrs.evolve(reason, **clean)
    return attrs.evolve(outcome, response=attrs.evolve(outcome.response, **changed)) if changed else outcome

"""Where a client sends to, and as whom."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast
from urllib.parse import quote, urlsplit, urlunsplit

from ..exceptions import LocalProtocolError
from ..providers import PROVIDERS, Provider, find_provider
from .transport.http import origin

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["check_headers", "checked_url", "endpoint", "resolve_endpoint", "shown"]

_CUSTOM: Final = Provider(name="server", key_needed=False)
_BASE_URL: Final = "RESPONSES_BASE_URL"
_API_KEY: Final = "RESPONSES_API_KEY"
_OF_WEBSOCKET: Final = {"ws": "http", "wss": "https"}


def resolve_endpoint(
    base_url: str | None, api_key: str | None, dialect: Provider | str | None, env: Mapping[str, str]
) -> tuple[Provider, str, str]:
    """Find the dialect, the address as given, and the key, which may be empty. ``env`` is the environment.

    Raises ``LocalProtocolError`` for a provider that is not known, or that has no address of its own and was given none, and for
    what is no text, or an empty address: a variable that is not set must not send a key elsewhere.
    """
    asked: dict[str, object] = {"base_url": base_url, "api_key": api_key}
    for name, given in asked.items():
        if given is not None and not isinstance(given, str):
            raise LocalProtocolError(f"{name} has to be a str, not {type(given).__name__}")
    if base_url is not None and not base_url.strip():
        raise LocalProtocolError("base_url is empty: leave it out for the default, or say where the server is")
    if dialect is not None:
        found = find_provider(dialect) if isinstance(dialect, str) else dialect
        url = base_url or _first(env, found.base_url_env) or found.base_url
        if not url:
            names = " or ".join(found.base_url_env)
            raise LocalProtocolError(f"{found.name} has no address of its own: pass base_url=..., or set {names}")
        key = api_key if api_key is not None else _first(env, found.key_env)
    else:
        url = base_url or _first(env, (_BASE_URL,))
        found = (_dialect_at(url) or _CUSTOM) if url else PROVIDERS["openai"]
        url = url or _first(env, found.base_url_env) or cast("str", found.base_url)
        key = api_key if api_key is not None else _first(env, (_API_KEY, *found.key_env))
    return found, url, key.strip()


def _first(env: Mapping[str, str], names: tuple[str, ...]) -> str:
    return next((value for name in names if (value := env.get(name, "").strip())), "")


def _as_http(url: str) -> str:
    """Give a WebSocket URL as that of the server it is on: one server speaks both."""
    scheme, mark, rest = url.partition("://")
    return f"{_OF_WEBSOCKET.get(scheme.lower(), scheme)}{mark}{rest}"


def _dialect_at(url: str) -> Provider | None:
    """Find the provider that a URL belongs to: the one that its key may be sent to."""
    url = _as_http(url.strip())
    return next((d for d in PROVIDERS.values() if d.key_needed and d.base_url and _same_origin(d.base_url, url)), None)


def _same_origin(one: str, other: str) -> bool:
    try:
        return origin(one) == origin(other)
    except ValueError:  # no URL at all, which is found out later
        return False


def checked_url(url: str, dialect: Provider) -> str:
    """Give the base URL in one form: with the path that the dialect needs, without a trailing slash.

    Raises ``LocalProtocolError`` for what is no http(s) or ws(s) URL, or is that of an endpoint.
    """
    url = _as_http(url.strip())
    try:
        parts = urlsplit(url)
        fine = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        parts, fine = urlsplit(""), False
    if not fine or parts.fragment or any(character.isspace() or not character.isprintable() for character in url):
        raise LocalProtocolError(f"base_url has to be like https://host/v1, not {shown(url)!r}")
    path = parts.path.rstrip("/") or dialect.base_url_path
    if path.endswith("/responses"):
        raise LocalProtocolError(
            f"base_url is what stands before /responses: {shown(url).rstrip('/').removesuffix('/responses')!r}"
        )
    return urlunsplit((parts.scheme, parts.netloc, path, parts.query, ""))


def endpoint(base_url: str, *segments: str) -> str:
    """Give the URL of an endpoint. Each segment stays one segment, whatever characters are in it.

    Raises ``LocalProtocolError`` for a segment that is empty, ``.`` or ``..``, which no quoting keeps in its place.
    """
    for segment in segments:
        if segment.strip() in ("", ".", ".."):
            raise LocalProtocolError(f"{segment!r} cannot be an id: it is empty, or would lead elsewhere")
    parts = urlsplit(base_url)
    path = "/".join((parts.path, *(quote(segment, safe="") for segment in segments)))
    return urlunsplit((parts.scheme, parts.netloc, path, parts.query, ""))


def shown(url: str) -> str:
    """Give a URL without what it may hold of secrets: user name, password, query."""
    address = url.split("?", maxsplit=1)[0]
    scheme, mark, rest = address.partition("://")
    return f"{scheme}{mark}{rest.rpartition('@')[2]}" if mark else address.rpartition("@")[2]


def check_headers(headers: Mapping[str, str]) -> None:
    """Raise ``LocalProtocolError`` for a header that cannot be sent; the HTTP library's own error would quote its value."""
    for name, value in headers.items():
        given: list[object] = [name, value]
        if [kind for kind in given if not isinstance(kind, str)]:
            raise LocalProtocolError(f"the header {name!r} has to be text, its name as well (its value is not shown)")
        named = name.isascii() and name.isprintable() and name and not set(name) & set(" :")
        if not named or not value.isascii() or set(value) & set("\r\n\0"):
            raise LocalProtocolError(
                f"the header {name!r} has characters that no header may have (its value is not shown)"
            )

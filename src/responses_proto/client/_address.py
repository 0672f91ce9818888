"""Work out where a client sends its requests, and with which key."""

from __future__ import annotations

import base64
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast
from urllib.parse import SplitResult, quote, unquote, urlsplit, urlunsplit

from ..exceptions import UsageError
from ..providers import PROVIDERS, Provider, find_provider
from ._secrets import HiddenStr, hidden_headers, is_secret
from .transport._errors import origin, public_url

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_CUSTOM: Final = Provider(name="server", key_needed=False)
_BASE_URL: Final = "RESPONSES_BASE_URL"
_API_KEY: Final = "RESPONSES_API_KEY"
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_ENDPOINTS: Final = ("/responses", "/chat/completions", "/completions")  # not part of a base URL
_TRUE: Final = frozenset({"1", "on", "yes", "true"})
_VARIABLE: Final = re.compile(r"\$([A-Z_]+)")
_HTTP_SCHEMES: Final = {"ws": "http", "wss": "https"}


def resolve_endpoint(
    base_url: str | None, api_key: str | None, dialect: Provider | str | None, env: Mapping[str, str]
) -> tuple[Provider, str, str]:
    """Return the provider, the base URL as configured, and the API key, which may be empty.

    ``env`` is the environment. Raises ``UsageError`` for an unknown provider, for one that has no default address if none is
    configured, and for a ``base_url`` or ``api_key`` that is not a string. An empty ``base_url`` is refused too: an unset
    variable must not send the key to the default address.
    """
    variable = _reader(env)
    del env  # its repr, in a traceback with variables, would show every key of the environment
    for name, given in (("base_url", base_url), ("api_key", api_key)):
        if given is not None and not isinstance(given, str):  # pyright: ignore[reportUnnecessaryIsInstance] - users pass anything
            raise UsageError(f"{name} must be a str, got {type(given).__name__}")
    given = None
    if base_url is not None and not base_url.strip():
        raise UsageError("base_url is empty: leave it out for the default, or pass the server's address")
    if dialect is not None:
        provider = find_provider(dialect) if isinstance(dialect, str) else dialect
        url = base_url or _first(variable, provider.base_url_env) or provider.base_url
        if not url:
            names = " or ".join(provider.base_url_env)
            raise UsageError(f"{provider.name} has no default address: pass base_url=..., or set {names}")
        key = api_key if api_key is not None else _implicit_key(provider, variable)
    else:
        url = base_url or _first(variable, (_BASE_URL,))
        provider = (_provider_at(url) or _CUSTOM) if url else PROVIDERS["openai"]
        url = url or _first(variable, provider.base_url_env) or cast("str", provider.base_url)
        key = api_key if api_key is not None else _first(variable, (_API_KEY,)) or _implicit_key(provider, variable)
    return provider, url, HiddenStr(key.strip())


def _reader(env: Mapping[str, str]) -> Callable[[str], str]:
    return lambda name: env.get(name, "").strip()


def _first(variable: Callable[[str], str], names: tuple[str, ...]) -> HiddenStr:
    return HiddenStr(next((value for name in names if (value := variable(name))), ""))


def _implicit_key(provider: Provider, variable: Callable[[str], str]) -> HiddenStr:
    """Return the key that the provider's own variables or its file hold; empty if there is none."""
    if provider.key_off_env and variable(provider.key_off_env).lower() in _TRUE:
        return HiddenStr()
    return _first(variable, provider.key_env) or _key_in_file(provider.key_file, variable)


def _key_in_file(paths: tuple[str, ...], variable: Callable[[str], str]) -> HiddenStr:
    for path in paths:
        if not all(variable(name) for name in _VARIABLE.findall(path)):
            continue
        found = _VARIABLE.sub(lambda name: variable(name[1]), path)
        if found.startswith("~/"):
            found = (variable("HOME") or "~") + found[1:]
        try:
            return HiddenStr(Path(found).read_text(encoding="utf-8").strip())
        except (FileNotFoundError, NotADirectoryError):
            break
        except OSError as error:
            raise UsageError(f"the API key cannot be read: {error}") from error
        except ValueError:  # not chained: it quotes the content
            raise UsageError(f"the API key cannot be read: {found!r} is not a text file") from None
    return HiddenStr()


def _as_http(url: str) -> str:
    """Return a WebSocket URL with the scheme of HTTP, for the same server; other URLs unchanged."""
    scheme, mark, rest = url.partition("://")
    return f"{_HTTP_SCHEMES.get(scheme.lower(), scheme)}{mark}{rest}"


def _provider_at(url: str) -> Provider | None:
    """Return the provider at this origin, whose key may be sent there; ``None`` if it is not that of a known provider.

    A local server is recognized by its port.
    """
    try:
        where = _origin_of(_as_http(url.strip()))
    except ValueError:  # not a URL; `normalize_base_url` refuses it later
        return None
    return next((p for p in PROVIDERS.values() if p.base_url and _origin_of(p.base_url) == where), None)


def _origin_of(url: str) -> str:
    """Return the origin of a URL, the same for all names of this host."""
    host = urlsplit(url).hostname
    return origin(url if host not in _LOOPBACK else urlunsplit(urlsplit(url)._replace(netloc=_local_netloc(url))))


def _local_netloc(url: str) -> str:
    port = urlsplit(url).port
    return "localhost" if port is None else f"localhost:{port}"


def _http_parts(url: str) -> SplitResult | None:
    """Return the parts of an HTTP URL; ``None`` for anything else."""
    try:
        parts = urlsplit(url)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return None
    return parts if valid and not any(char.isspace() or not char.isprintable() for char in url) else None


def check_http_url(name: str, url: object) -> None:
    """Raise ``UsageError`` if the argument ``name`` is not an HTTP URL."""
    if not isinstance(url, str) or _http_parts(url) is None:
        shown = repr(public_url(url)) if isinstance(url, str) else type(url).__name__
        raise UsageError(f"{name} must begin with http:// or https:// and name a host, got {shown}")


def normalize_base_url(url: str, provider: Provider) -> str:
    """Return the base URL with the path that the provider needs and without a trailing slash.

    ``ws://`` and ``wss://`` become ``http://`` and ``https://``. Raises ``UsageError`` for anything that is not such a URL, and
    for the URL of an endpoint.
    """
    url = _as_http(url.strip())
    parts = _http_parts(url)
    if parts is None or parts.fragment:
        missing = "" if "://" in url else ": http:// or https:// is missing"
        raise UsageError(f"base_url must look like https://host/v1, got {public_url(url)!r}{missing}")
    path = parts.path.rstrip("/") or provider.base_url_path
    for endpoint in _ENDPOINTS:
        if path.endswith(endpoint):
            before = public_url(url).rstrip("/").removesuffix(endpoint)
            raise UsageError(f"base_url must be the part before {endpoint}: {before!r}")
    return urlunsplit((parts.scheme, parts.netloc, path, parts.query, ""))


def split_userinfo(url: str) -> tuple[str, str]:
    """Return a URL without user name and password, and the value of the header that carries them; empty if it has none."""
    parts = urlsplit(url)
    userinfo, mark, host = parts.netloc.rpartition("@")
    if not mark:
        return url, ""
    user, _, password = userinfo.partition(":")
    credentials = base64.b64encode(f"{unquote(user)}:{unquote(password)}".encode()).decode()
    return urlunsplit(parts._replace(netloc=host)), HiddenStr(f"Basic {credentials}")


def endpoint_url(base_url: str, *segments: str) -> str:
    """Return the URL of an endpoint: ``segments``, each quoted as one segment, appended to the path of ``base_url``.

    Raises ``UsageError`` for a segment that is not a ``str``, has a lone surrogate, or is empty, ``.`` or ``..``, which quoting does
    not change.
    """
    for segment in segments:
        if not isinstance(segment, str):  # pyright: ignore[reportUnnecessaryIsInstance] - users pass an id that was never set
            raise UsageError(f"an id must be a str, got {segment!r:.60}")
        if segment.strip() in ("", ".", ".."):
            raise UsageError(f"{segment!r} cannot be an id: it would address another endpoint")
    parts = urlsplit(base_url)
    try:
        path = "/".join((parts.path, *(quote(segment, safe="") for segment in segments)))
    except UnicodeEncodeError as error:
        raise UsageError(f"{error.object!r} cannot be an id: it has a lone surrogate") from error
    return urlunsplit((parts.scheme, parts.netloc, path, parts.query, ""))


def check_headers(headers: Mapping[str, str] | None) -> dict[str, str]:
    """Return headers with names in lower case, and with secret values hidden from every repr.

    Raises ``UsageError`` for a header that cannot be sent. The HTTP library's own error would quote its value.
    """
    headers = hidden_headers(headers)
    for name, value in headers.items():
        parts: list[object] = [name, value]
        if not all(isinstance(part, str) for part in parts):
            raise UsageError(f"header {name!r}: name and value must be str (its value is not shown)")
        valid_name = name.isascii() and name.isprintable() and name and not set(name) & set(" :")
        if not valid_name or not value.isascii() or set(value) & set("\r\n\0"):
            raise UsageError(f"header {name!r} contains characters that HTTP does not allow (its value is not shown)")
    return {name.lower(): value if is_secret(name) else str(value) for name, value in headers.items()}

"""Checks of the ``Host`` and ``Origin`` headers: which web pages may use a server.

A browser lets any web page send requests to a server on the same machine, and open WebSockets to it. The ``Origin`` header exposes
pages of other origins. The ``Host`` header exposes pages whose domain name was made to resolve to this machine (DNS rebinding).
Programs send no ``Origin``, and send the host name that they were configured with as ``Host``.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from ..exceptions import APIError, UsageError
from ..protocol._requests import INVALID

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ._http import Scope

_SCHEMES: Final = {"ws": "http", "wss": "https"}
_PORTS: Final = {"http": 80, "https": 443}


class OriginPolicy:
    """Decides from the ``Host`` and ``Origin`` headers which requests are answered.

    ``allow_hosts`` are host names, with or without a port, and ``allow_origins`` are origins such as ``https://app.example``;
    ``"*"`` allows all. By default, a request that arrives at a loopback address must have a loopback host in ``Host``, and must not
    come from another origin than the server's own. Other requests are not checked. ``trusts_callers`` turns this default off, for
    servers with API keys, which web pages do not have.

    Raises ``UsageError`` if ``allow_hosts`` or ``allow_origins`` is a string, or if an origin is malformed.
    """

    def __init__(
        self, allow_hosts: Iterable[str] | None, allow_origins: Iterable[str] | None, *, trusts_callers: bool
    ) -> None:
        self._hosts = None if allow_hosts is None else _names("allow_hosts", allow_hosts)
        self._origins = None if allow_origins is None else _names("allow_origins", allow_origins)
        for origin in (self._origins or frozenset()) - {"*"}:
            if _origin_of(origin) is None:
                raise UsageError(f"allow_origins must have origins such as 'https://app.example', got {origin!r}")
        self._trusts_callers = trusts_callers

    def objection(self, scope: Scope) -> APIError | None:
        """Return the error (403) for a request that is not allowed; ``None`` if it is allowed."""
        local = not self._trusts_callers and _is_loopback(str((scope.get("server") or ("",))[0]))
        hosts, origins = _headers(scope, b"host"), _headers(scope, b"origin")
        if not all(self._is_allowed_host(host, local=local) for host in hosts):
            return _forbidden(f"The host name {hosts[0][:80]!r} is not allowed.", "host_not_allowed")
        if not all(self._is_allowed_origin(origin, hosts, scope, local=local) for origin in origins):
            return _forbidden(f"Web pages of {origins[0][:80]!r} may not use this server.", "origin_not_allowed")
        return None

    def _is_allowed_host(self, host: str, *, local: bool) -> bool:
        name = _name_of(host)
        if self._hosts is not None:
            return bool(self._hosts & {"*", name, host.lower()}) or (local and _is_loopback(name))
        return not local or _is_loopback(name)

    def _is_allowed_origin(self, origin: str, hosts: list[str], scope: Scope, *, local: bool) -> bool:
        if self._origins is None and not local:
            return True
        if (self._origins or frozenset()) & {"*", origin.lower()}:
            return True
        # The server's own origin. On loopback, all loopback names are the same server.
        scheme = str(scope.get("scheme") or "http")
        scheme = _SCHEMES.get(scheme, scheme)
        theirs = _origin_of(origin)
        own = [_origin_of(f"{scheme}://{host}") for host in hosts]
        if local and theirs is not None and _is_loopback(theirs[1]):
            return any(one is not None and (one[0], one[2]) == (theirs[0], theirs[2]) for one in own)
        return theirs in own and theirs is not None


def _names(what: str, names: Iterable[str]) -> frozenset[str]:
    if isinstance(names, str | bytes):
        raise UsageError(f"{what} must be a collection of strings, got one string")
    return frozenset(name.lower().rstrip("/") for name in names)


def _headers(scope: Scope, name: bytes) -> list[str]:
    return [value.decode("latin-1") for key, value in scope["headers"] if key == name]


def _name_of(host: str) -> str:
    """Return the host name in a ``Host`` header, without the port."""
    try:
        return (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return ""


def _origin_of(text: str) -> tuple[str, str, int | None] | None:
    """Return the scheme, host name and port of an origin; ``None`` if the text is not an origin."""
    try:
        url = urlsplit(text)
        port = url.port or _PORTS.get(url.scheme)
    except ValueError:
        return None
    if not url.scheme or not url.hostname or url.path.strip("/") or url.query or url.fragment or url.username:
        return None
    return url.scheme, url.hostname, port


def _is_loopback(name: str) -> bool:
    """Return whether a host name or address is a loopback one."""
    name = name.lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


def _forbidden(message: str, code: str) -> APIError:
    message += " The operator can allow it with 'allow_hosts' or 'allow_origins'."
    return APIError.for_status(403)(message, status=403, type=INVALID, code=code)

"""The hosts that a bridge may connect to for a request: the operator's list of names and addresses.

A request contains the URL of an MCP server, so a caller could make the bridge connect to anything that it can reach. Two checks against
one list prevent that:

* **The name.** The host of a URL must be on the list. The host of a redirect must be on it too: each HTTP request is checked.
* **The address.** The address that the name resolves to is checked, and then used for the connection, so that a second resolution
  cannot change it. Addresses that are not public (loopback, private, link-local, …, also as IPv4 embedded in IPv6) must be on the list
  themselves, as an address or network.

An entry is a name (``mcp.example``), all subdomains of a name (``*.example``), any name (``*``), an address (``10.1.2.3``), a network
(``10.0.0.0/8``), or ``localhost``, which includes the loopback networks. ``host:port`` restricts an entry to a port.
"""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING, Final, TypeAlias
from urllib.parse import urlsplit

import attrs

from ..exceptions import ConnectError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

_Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
_Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

_PORTS: Final = {"http": 80, "https": 443}
_MAX_PORT: Final = 65535
_LOOPBACK: Final[tuple[_Network, ...]] = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1"))
_NAME: Final = re.compile(r"(?:\*\.)?[a-z0-9_](?:[a-z0-9._-]{0,252}[a-z0-9])?|\*")
_LITERAL: Final = re.compile(r"\[([^\[\]]*)\](?::(\d{1,5}))?|([^:]*):(\d{1,5})")
_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")
_COMPATIBLE: Final = ipaddress.ip_network("::/96")


@attrs.frozen
class _Entry:
    port: int | None
    name: str = ""
    networks: tuple[_Network, ...] = ()

    def has_port(self, port: int) -> bool:
        return self.port is None or self.port == port

    def has_name(self, name: str) -> bool:
        if self.name.startswith("*."):
            return name.endswith(self.name[1:])
        return self.name in ("*", name) and bool(self.name)

    def has_address(self, address: _Address) -> bool:
        return any(address in network for network in self.networks)


class AllowedHosts:
    """The hosts that a bridge may connect to. ``entries`` are described above; without entries, nothing is allowed.

    Raises ``UsageError`` for an entry that is not a host name, an address or a network.
    """

    def __init__(self, entries: Iterable[str] = ()) -> None:
        if isinstance(entries, str):
            raise UsageError(f"allow_mcp must be a collection of hosts: [{entries!r}]")
        self._entries = [_entry(text) for text in entries]

    def __bool__(self) -> bool:
        return bool(self._entries)

    def check_url(self, url: str) -> None:
        """Raise ``ConnectError`` unless a URL is valid and its host is on the list."""
        host, port = _host_of(url)
        self.check_host(host, port)

    def check_host(self, host: str, port: int) -> None:
        """Raise ``ConnectError`` unless a host, given by name or address, is on the list."""
        address = _address(host)
        for entry in self._entries:
            if not entry.has_port(port):
                continue
            if entry.has_name(host) if address is None else entry.has_address(address):
                return
            # `*` allows every public server, even without a name.
            if address is not None and entry.name == "*" and _is_public(address):
                return
        raise ConnectError(f"the operator of this server does not allow the host {host[:80]!r} (port {port})")

    def check_address(self, host: str, address: str, port: int) -> None:
        """Raise ``ConnectError`` unless the address that ``host`` was resolved to may be connected to."""
        # Python's resolver adds the zone of a link-local address.
        found = _address(address.partition("%")[0])
        if found is None:
            raise ConnectError(f"{host[:80]!r} has no address that can be checked")
        listed = any(entry.has_port(port) and entry.has_address(found) for entry in self._entries)
        if not listed and not _is_public(found):
            raise ConnectError(f"{host[:80]!r} has an address that is not public and that the operator does not allow")


def _entry(text: str) -> _Entry:
    host, port = text.strip().lower(), None
    literal = _LITERAL.fullmatch(host)
    if literal is not None:
        host = literal[1] or literal[3] or ""
        number = literal[2] or literal[4]
        port = int(number) if number else None
    if port is not None and not 0 < port <= _MAX_PORT:
        raise UsageError(f"allow_mcp: {text!r} has an invalid port")
    host = host.rstrip(".")
    if host == "localhost":
        return _Entry(port, name=host, networks=_LOOPBACK)
    try:
        network = ipaddress.ip_network(_address(host) or host)
    except ValueError:
        if not _NAME.fullmatch(host) or _is_number(host):
            message = "is not a host: expected a name, *.name, *, an address or a network, optionally with a port"
            raise UsageError(f"allow_mcp: {text!r} {message}") from None
        return _Entry(port, name=host)
    return _Entry(port, networks=(network,))


def _host_of(url: str) -> tuple[str, int]:
    """Return the host of a URL in lower case, and its port. Raises ``ConnectError`` if the URL is invalid or has credentials."""
    if any(character.isspace() or not character.isprintable() or character == "\\" for character in url):
        raise ConnectError("the URL contains invalid characters")
    try:
        parts = urlsplit(url)
        port = parts.port
        host = (parts.hostname or "").rstrip(".")
    except ValueError:
        raise ConnectError("the URL is not valid") from None
    if parts.scheme not in _PORTS or not host:
        raise ConnectError("the URL must look like https://host/path")
    if "@" in parts.netloc:
        raise ConnectError("the URL must not have a user name or password: send 'authorization' or 'headers'")
    if not host.isascii():
        raise ConnectError("the host of the URL must be written in ASCII (punycode)")
    return host, _PORTS[parts.scheme] if port is None else port


def _address(host: str) -> _Address | None:
    """Return the address in a host, in its simplest form; ``None`` if the host is a name."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    return _inner(address)


def _inner(address: _Address) -> _Address:
    """Return the IPv4 address that is embedded in an IPv6 address; other addresses unchanged."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address in _NAT64 or (address in _COMPATIBLE and int(address) > 1):
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    return address


def _is_public(address: _Address) -> bool:
    if isinstance(address, ipaddress.IPv6Address) and (address.teredo is not None or address.is_site_local):
        return False  # a host behind a Teredo relay, or on a deprecated site-local network
    return address.is_global and not address.is_multicast and not address.is_reserved


def _is_number(host: str) -> bool:
    """Return whether the system's resolver would parse a host as an address (``2130706433``, ``0x7f.1``), not as a name."""
    return re.fullmatch(r"(?:0x[0-9a-f]*|\d+)", host.rpartition(".")[2]) is not None

"""The ways to reach an MCP server, as data that is checked when it is created. Importing this does not import the SDK."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast

import attrs

from ...client._address import check_headers, check_http_url
from ...client.transport._errors import public_url
from ...exceptions import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from os import PathLike
    from typing import TextIO

    from mcp import Client, ClientSession
    from mcp.server import Server
    from mcp.server.mcpserver import MCPServer

    from ...client.transport.http import HTTPClient

McpProtocol: TypeAlias = Literal["auto", "legacy"]
"""How the version of the protocol is negotiated: ``auto`` asks for MCP 2026-07-28 and falls back to older versions;
``legacy`` is for servers of older versions only."""


def _check_protocol(_transport: object, _attribute: object, value: object) -> None:
    if value not in ("auto", "legacy"):
        raise UsageError(f'protocol must be "auto" or "legacy", got {value!r}')


@attrs.frozen
class Stdio:
    """A program to start, which speaks MCP over its standard input and output."""

    command: str
    args: Sequence[str]
    env: Mapping[str, str]
    cwd: str | PathLike[str] | None
    errlog: TextIO | None
    protocol: McpProtocol = attrs.field(default="auto", validator=_check_protocol)

    def __attrs_post_init__(self) -> None:
        """Check the settings here, because later errors would quote the values."""
        args: Any = self.args
        texts: list[object] = [self.command, *args] if isinstance(args, Sequence) else [None]
        if isinstance(args, str) or not self.command or not all(isinstance(text, str) for text in texts):
            raise UsageError('command must be a str and args a list of str: "python", ["server.py"]')
        for name, value in dict[str, object](self.env).items():
            if not isinstance(value, str):
                raise UsageError(f"env[{name!r}] must be a str, got {type(value).__name__} (value not shown)")
        if self.errlog is not None and not has_descriptor(self.errlog):
            raise UsageError("errlog must be a file with a descriptor, because the program writes to it directly")

    @property
    def name(self) -> str:
        return PurePath(self.command).name

    @property
    def secrets(self) -> Sequence[str]:
        return [*self.env.values()]


@attrs.frozen
class HTTP:
    """A server at a URL. ``auth`` is an ``httpx2.Auth``, such as the SDK's ``OAuthClientProvider``.

    ``make_engine`` creates the ``httpx2.AsyncBaseTransport`` below the HTTP client, for a caller that restricts where it connects to.
    """

    url: str
    headers: Mapping[str, str]
    http_client: HTTPClient | None
    auth: object = None
    protocol: McpProtocol = attrs.field(default="auto", validator=_check_protocol)
    make_engine: Callable[[], object] | None = None

    def __attrs_post_init__(self) -> None:
        """Check what the SDK does not check."""
        check_http_url("url", self.url)
        check_headers(self.headers)
        if self.auth is not None and not _is_httpx2s(self.auth, "Auth"):
            raise UsageError(f"auth must be an httpx2.Auth, which the MCP SDK uses, got {_kind(self.auth)}")
        if self.http_client is None:
            return
        if self.headers or self.auth is not None:
            raise UsageError("pass headers and auth, or http_client, not both: set them on your client")
        if not _is_httpx2s(self.http_client, "AsyncClient"):
            raise UsageError(
                f"http_client must be an httpx2.AsyncClient, which the MCP SDK uses, got {_kind(self.http_client)}"
            )

    @property
    def name(self) -> str:
        return public_url(self.url)

    @property
    def secrets(self) -> Sequence[str]:
        user = self.url.partition("://")[2].partition("/")[0].rpartition("@")[0]
        values = [part for value in self.headers.values() for part in (value, value.rpartition(" ")[2])]
        return [*values, user, user.partition(":")[2], self.url.partition("?")[2]]


@attrs.frozen
class InProcess:
    """A server object in this process."""

    server: MCPServer[Any] | Server[Any]
    protocol: McpProtocol = attrs.field(default="auto", validator=_check_protocol)
    secrets: Sequence[str] = ()

    @property
    def name(self) -> str:
        return self.server.name


@attrs.frozen
class ExistingSession:
    """A session that the caller opened and will close."""

    session: Client | ClientSession
    name: str = "session"
    secrets: Sequence[str] = ()


McpTransport: TypeAlias = Stdio | HTTP | InProcess | ExistingSession
"""A way to reach a server. ``name`` is its name in messages; ``secrets`` are texts that no message may contain."""


def has_descriptor(stream: object) -> bool:
    """Return whether a stream is a file of the operating system, so that a program can write to it."""
    try:
        return cast("TextIO", stream).fileno() >= 0
    except (AttributeError, OSError, ValueError):
        return False


def _is_httpx2s(value: object, name: str) -> bool:
    # Such an object exists only if the module was loaded.
    cls = getattr(sys.modules.get("httpx2"), name, None)
    return isinstance(cls, type) and isinstance(value, cls)


def _kind(value: object) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}"

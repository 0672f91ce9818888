"""A minimal HTTP server in a separate process, so that a benchmark measures only the client."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator

HEAD: Final = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
END: Final = b"0\r\n\r\n"


def framed(chunks: list[bytes]) -> bytes:
    """Return the data as HTTP chunks (RFC 9112, section 7.1), without the last chunk, which is :data:`END`."""
    return b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)


async def serve(respond: Callable[[str, bytes, asyncio.StreamWriter], Awaitable[None]]) -> None:
    """Print the port, and answer requests until standard input is closed. ``respond`` gets the path, the body and the connection."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                _, _, length = head.lower().partition(b"\r\ncontent-length:")
                body = await reader.readexactly(int(length.split(b"\r\n", 1)[0]))
                await respond(head.split(b" ", 2)[1].decode(), body, writer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):  # the client closed the connection
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, backlog=2048)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)
    server.close()


@contextmanager
def served(module: str, *arguments: str) -> Generator[str]:
    """Run a module with ``--serve``, which must call :func:`serve`. Yield the origin."""
    command = [sys.executable, "-m", module, "--serve", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True) as server:  # noqa: S603 - our own code
        if server.stdout is None or server.stdin is None:
            raise RuntimeError("no pipes")
        try:
            yield f"http://127.0.0.1:{int(server.stdout.readline())}"
        finally:
            server.stdin.close()  # which ends the server

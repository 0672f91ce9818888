"""A minimal HTTP server in a process of its own, so that a benchmark measures only the client.

    python -m benchmarks.server --deltas 1000

The path of a request says how the events are sent. ``/paced``: one event per packet, as models stream. ``/burst``: each event in an HTTP chunk
of its own, all at once, as a server does that is ahead of its client. ``/many/N``: paced, but not before N requests are there.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import subprocess
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

from benchmarks.streams import frames

if TYPE_CHECKING:
    from collections.abc import Generator

HEAD: Final = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
END: Final = b"0\r\n\r\n"
_PACE: Final = 0.0007  # seconds between two events; longer than any client needs for one
_PACE_OF_MANY: Final = 0.5  # seconds
_PATIENCE: Final = 60.0  # seconds in which all of many requests must be there


def chunk(content: bytes) -> bytes:
    """Return content as an HTTP chunk (RFC 9112, section 7.1)."""
    return b"%x\r\n%b\r\n" % (len(content), content)


class Server:
    """Answers requests with a stream of ``deltas`` deltas."""

    def __init__(self, deltas: int) -> None:
        self._chunks = [chunk(b"event: %b\ndata: %b\n\n" % (name.encode(), data)) for name, data in frames(deltas)]
        self._everybody = asyncio.Event()
        self._waiting = 0

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests on one connection."""
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                _, _, length = head.lower().partition(b"\r\ncontent-length:")
                await reader.readexactly(int(length.split(b"\r\n", 1)[0]))
                writer.write(HEAD)
                await self._stream(head.split(b" ", 2)[1].decode().split("/"), writer)
                writer.write(END)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):  # the client closed the connection
            writer.close()

    async def _stream(self, path: list[str], writer: asyncio.StreamWriter) -> None:
        chunks = self._chunks
        if path[1] == "burst":
            writer.write(b"".join(chunks))
            return
        pace = _PACE
        if path[1] == "many":
            writer.write(chunks[0])
            chunks, pace = chunks[1:], _PACE_OF_MANY
            await self._gather(int(path[2]))
        for each in chunks:
            writer.write(each)
            await asyncio.sleep(pace)

    async def _gather(self, number: int) -> None:
        everybody = self._everybody
        self._waiting += 1
        if self._waiting == number:
            self._waiting, self._everybody = 0, asyncio.Event()
            asyncio.get_running_loop().call_later(1, everybody.set)  # until the clients are quiet
        with suppress(TimeoutError):  # the client counts the streams that are missing
            async with asyncio.timeout(_PATIENCE):
                await everybody.wait()
        await asyncio.sleep(_PACE_OF_MANY * random.random())  # noqa: S311 - so that the events of all streams do not come at once


async def serve(deltas: int) -> None:
    """Print the port, and answer requests until standard input is closed."""
    server = await asyncio.start_server(Server(deltas).answer, "127.0.0.1", 0, backlog=2048)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)
    server.close()


@contextmanager
def served(deltas: int) -> Generator[str]:
    """Run a server in a process of its own, and yield its origin."""
    command = [sys.executable, "-m", "benchmarks.server", "--deltas", str(deltas)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True) as server:  # noqa: S603 - our own code
        if server.stdout is None or server.stdin is None:
            raise RuntimeError("no pipes")
        try:
            yield f"http://127.0.0.1:{int(server.stdout.readline())}"
        finally:
            server.terminate()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Serve streams.")
    parser.add_argument("--deltas", type=int, required=True)
    asyncio.run(serve(parser.parse_args().deltas))

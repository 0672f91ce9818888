"""A minimal HTTP server in a separate process, so that a benchmark measures only the client.

    python -m benchmarks.server --deltas 1000

The path of a request selects how the events are sent. ``/paced``: one event per packet, as models stream. ``/burst``: each event in its
own HTTP chunk, all at once, like a server that is ahead of its client. ``/many/N``: paced, but not before N requests have arrived.

With ``--chat``, it is a provider of Chat Completions, and the model of a request selects the same: ``paced/DELTAS``, ``many/N/DELTAS``.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import json
import random
import subprocess
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

from benchmarks.streams import chat_chunks, frames

if TYPE_CHECKING:
    from collections.abc import Generator

HEAD: Final = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
END: Final = b"0\r\n\r\n"
_PACE: Final = 0.0007  # seconds between two events; longer than any client needs for one
_PACE_OF_MANY: Final = 0.5  # seconds
_CHAT_PACE: Final = 0.02  # seconds between two tokens
_CHAT_PACE_OF_MANY: Final = 0.2  # seconds
_PATIENCE: Final = 60.0  # seconds in which all of many requests must arrive


def chunk(content: bytes) -> bytes:
    """Return content as an HTTP chunk (RFC 9112, section 7.1)."""
    return b"%x\r\n%b\r\n" % (len(content), content)


@functools.cache
def chunks_of(deltas: int) -> list[bytes]:
    """Return the events of a response as HTTP chunks."""
    return [chunk(b"event: %b\ndata: %b\n\n" % (name.encode(), data)) for name, data in frames(deltas)]


@functools.cache
def chat_chunks_of(deltas: int) -> list[bytes]:
    """Return a stream of Chat Completions as HTTP chunks."""
    return [chunk(b"data: %b\n\n" % data) for data in chat_chunks(deltas)]


class Server:
    """Answers requests with a stream of ``deltas`` deltas. With ``chat``, as Chat Completions, and the model sets the number of deltas."""

    def __init__(self, deltas: int, *, chat: bool = False) -> None:
        self._deltas = deltas
        self._chat = chat
        self._everybody = asyncio.Event()
        self._waiting = 0

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests on one connection."""
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                _, _, length = head.lower().partition(b"\r\ncontent-length:")
                body = await reader.readexactly(int(length.split(b"\r\n", 1)[0]))
                how = json.loads(body)["model"] if self._chat else head.split(b" ", 2)[1].decode().removeprefix("/")
                writer.write(HEAD)
                chunks = chat_chunks_of(int(how.rpartition("/")[2])) if self._chat else chunks_of(self._deltas)
                await self._stream(how.split("/"), chunks, writer)
                writer.write(END)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):  # the client closed the connection
            writer.close()

    async def _stream(self, how: list[str], chunks: list[bytes], writer: asyncio.StreamWriter) -> None:
        if how[0] == "burst":
            writer.write(b"".join(chunks))
            return
        pace = _CHAT_PACE if self._chat else _PACE
        if how[0] == "many":
            writer.write(chunks[0])
            chunks, pace = chunks[1:], _CHAT_PACE_OF_MANY if self._chat else _PACE_OF_MANY
            await self._gather(int(how[1]))
        for each in chunks:
            if writer.is_closing():  # the client has left
                return
            writer.write(each)
            await asyncio.sleep(pace)

    async def _gather(self, number: int) -> None:
        everybody = self._everybody
        self._waiting += 1
        if self._waiting == number:
            self._waiting, self._everybody = 0, asyncio.Event()
            asyncio.get_running_loop().call_later(1, everybody.set)  # when the clients have finished sending
        with suppress(TimeoutError):  # the client counts the missing streams
            async with asyncio.timeout(_PATIENCE):
                await everybody.wait()
        await asyncio.sleep(_PACE_OF_MANY * random.random())  # noqa: S311 - so that the events of all streams do not arrive at once


async def serve(what: Server) -> None:
    """Print the port, and answer requests until standard input is closed."""
    server = await asyncio.start_server(what.answer, "127.0.0.1", 0, backlog=2048)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)
    server.close()


@contextmanager
def served(deltas: int = 0, *, chat: bool = False) -> Generator[str]:
    """Run a server in a separate process, and yield its origin."""
    command = [sys.executable, "-m", "benchmarks.server", "--deltas", str(deltas)]
    command += ["--chat"] if chat else []
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
    parser.add_argument("--chat", action="store_true", help="answer as Chat Completions")
    options = parser.parse_args()
    asyncio.run(serve(Server(options.deltas, chat=options.chat)))

"""Decompress a body in steps of bounded size, whatever the server sends.

A few hundred bytes that were compressed twice become hundreds of megabytes. HTTP libraries decode a whole read at once, so that a limit
on the size of a body is checked too late. Here, each step returns at most :data:`STEP` bytes, and the caller counts them before it asks
for more. gzip and deflate can be decoded like this; other codings are refused and never requested.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any, Final

import anyio.lowlevel

from ...exceptions import TransportError
from ._errors import unsafe

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping

    from .base import WireReply

ACCEPTED: Final = "gzip, deflate"
"""The value of ``Accept-Encoding`` for a body that may be compressed."""
STEP: Final = 64 * 1024
"""The largest number of bytes that a step returns."""
_FEED: Final = 16 * 1024  # bytes of input that are decoded at a time, because the rest of them is copied in each step
_MAX_CODINGS: Final = 3  # proxies may compress a compressed body again, but not often
_MAX_RATIO: Final = 1100  # bytes of output for each byte on the wire: a little more than one coding can reach
_UNCHECKED: Final = 16 * 1024 * 1024  # bytes of output before the ratio is checked
_GZIP: Final = 16 + zlib.MAX_WBITS
_GZIP_MAGIC: Final = b"\x1f\x8b"
_UNSUPPORTED: Final = ("br", "zstd", "compress", "x-compress", "dcb", "dcz")


def content_codings(headers: Mapping[str, str]) -> list[str]:
    """Return the codings of a body in the order in which they were applied; ``headers`` have names in lower case.

    Unknown names are left out, because servers put other values there, such as ``utf-8``. Raises ``TransportError`` for
    codings that cannot be decoded within bounds, and for too many of them.
    """
    names = [name.strip().lower() for name in headers.get("content-encoding", "").split(",")]
    for name in names:
        if name in _UNSUPPORTED:
            raise _broken(f"the server compressed its answer with {name}, which was not requested")
    codings = [name.removeprefix("x-") for name in names if name in ("gzip", "x-gzip", "deflate")]
    if len(codings) > _MAX_CODINGS:
        raise _broken(f"the server compressed its answer {len(codings)} times (at most {_MAX_CODINGS})")
    return codings


class DecodedReply:
    """A reply whose body is compressed, as a :class:`~responses_proto.client.transport.WireReply` whose body is not."""

    __slots__ = ("_decoded", "_output", "_reply", "_size", "_stages", "headers", "status")

    def __init__(self, reply: WireReply, codings: list[str]) -> None:
        self._reply = reply
        self._stages = [_Stage(coding) for coding in reversed(codings)]
        self._decoded: Iterator[bytes] = iter(())
        self._size = self._output = 0  # bytes on the wire, and bytes of output
        self.status = reply.status
        self.headers = reply.headers

    async def receive(self) -> bytes:
        """Return the next piece of the body, at most :data:`STEP` bytes; empty at the end of the body.

        Raises ``TransportError`` if the body does not have the coding that its header names, or is compressed beyond any real ratio.
        """
        while True:
            for piece in self._decoded:
                self._output += len(piece)
                if self._output > max(_UNCHECKED, _MAX_RATIO * self._size):
                    raise _broken(f"{self._size} bytes of the server's answer decode to more than {self._output}")
                await (
                    anyio.lowlevel.checkpoint()
                )  # decoding waits for nothing, but deadlines and other tasks have their turn
                return piece
            data = await self._reply.receive()
            if not data:
                return b""
            self._size += len(data)
            self._decoded = _through(self._stages, data)

    async def aclose(self) -> None:
        await self._reply.aclose()


def _through(stages: list[_Stage], data: bytes) -> Iterator[bytes]:
    """Yield the output of data that pass through all of these stages in order."""
    if not stages:
        yield data
        return
    for piece in stages[0].decode(data):
        yield from _through(stages[1:], piece)


class _Stage:
    """The decoder of one coding."""

    def __init__(self, coding: str) -> None:
        self._coding = coding
        self._decoder: Any = None  # of a class that zlib does not export
        self._members = 0
        self._held = b""  # too short to decide how to decode it
        self._ended = False

    def decode(self, data: bytes) -> Iterator[bytes]:
        """Yield the output for the next bytes of input, in steps."""
        for at in range(0, len(data), _FEED):
            rest = self._held + data[at : at + _FEED]
            self._held = b""
            while rest and not self._ended:
                if self._decoder is None and not self._begin(rest):
                    break
                rest = yield from self._decompress(rest)

    def _begin(self, start: bytes) -> bool:
        """Choose how to decode data that begin with ``start``. Return false if it is too short, or the data are to be ignored."""
        if len(start) < len(_GZIP_MAGIC):
            self._held = start
            return False
        if self._coding == "gzip":
            self._ended = self._members > 0 and not start.startswith(_GZIP_MAGIC)  # padding, or anything
            wbits = _GZIP
        else:
            # Some servers send deflate as a raw stream, without zlib's header, which is recognized by its checksum (RFC 1950).
            header = int.from_bytes(start[:2], "big")
            has_header = header >> 8 & 0xF == zlib.DEFLATED and header % 31 == 0
            wbits = zlib.MAX_WBITS if has_header else -zlib.MAX_WBITS
        self._decoder = zlib.decompressobj(wbits)
        self._members += 1
        return not self._ended

    def _decompress(self, data: bytes) -> Generator[bytes, None, bytes]:
        """Yield the output for these bytes. Return the bytes after the end of the compressed data: another gzip member may follow."""
        decoder = self._decoder
        rest, full = data, False
        while (rest or full) and not decoder.eof:
            try:
                piece = decoder.decompress(rest, STEP)
            except zlib.error as error:
                raise _broken(f"the server's answer is not valid {self._coding}: {error}") from error
            rest, full = decoder.unconsumed_tail, len(piece) == STEP
            if piece:
                yield piece
        if not decoder.eof:
            return b""
        self._decoder = None
        self._ended = self._coding != "gzip"
        behind: bytes = decoder.unused_data
        return behind


def _broken(message: str) -> TransportError:
    return unsafe(TransportError(message))

"""Undo the compression of a body in steps that are bounded, whatever the server sends.

A few hundred bytes that were compressed twice become hundreds of megabytes. HTTP libraries decode a whole read at once, so that a limit
on the size of a body is looked at too late. Here, each step returns at most :data:`STEP` bytes, and the caller counts them before it asks
for more. gzip and deflate can be decoded like that; other codings are refused, and never asked for.
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
"""Bytes that a step returns at most."""
_FEED: Final = (
    16 * 1024
)  # bytes of input that are decoded at a time, because what is left of them is copied with each step
_MAX_CODINGS: Final = 3  # proxies compress what is compressed already, but not again and again
_MAX_RATIO: Final = 1100  # bytes for each one on the wire: a little more than one coding can reach
_UNCHECKED: Final = 16 * 1024 * 1024  # bytes of output before the ratio counts
_GZIP: Final = 16 + zlib.MAX_WBITS
_GZIP_MAGIC: Final = b"\x1f\x8b"
_UNSUPPORTED: Final = ("br", "zstd", "compress", "x-compress", "dcb", "dcz")


def content_codings(headers: Mapping[str, str]) -> list[str]:
    """Return the codings of a body in the order in which they were applied; ``headers`` have names in lower case.

    Names that no coding has are left out, because servers put other things there, such as ``utf-8``. Raises ``TransportError`` for
    codings that cannot be undone within bounds, and for too many of them.
    """
    names = [name.strip().lower() for name in headers.get("content-encoding", "").split(",")]
    for name in names:
        if name in _UNSUPPORTED:
            raise _broken(f"the server compressed its answer with {name}, which was not asked for")
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
        self._size = self._output = 0  # bytes on the wire, and what they became
        self.status = reply.status
        self.headers = reply.headers

    async def receive(self) -> bytes:
        """Return the next piece of the body, at most :data:`STEP` bytes; empty at the end of the body.

        Raises ``TransportError`` if the body is not what its codings say, or grows out of all proportion.
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
    """Yield what data become in the first of these stages, and then in the others."""
    if not stages:
        yield data
        return
    for piece in stages[0].decode(data):
        yield from _through(stages[1:], piece)


class _Stage:
    """One coding to undo."""

    def __init__(self, coding: str) -> None:
        self._coding = coding
        self._decoder: Any = None  # of a class that zlib does not export
        self._members = 0
        self._held = b""  # too little to tell how it is to be decoded
        self._ended = False

    def decode(self, data: bytes) -> Iterator[bytes]:
        """Yield what the next bytes of input become, in steps."""
        for at in range(0, len(data), _FEED):
            rest = self._held + data[at : at + _FEED]
            self._held = b""
            while rest and not self._ended:
                if self._decoder is None and not self._begin(rest):
                    break
                rest = yield from self._decompress(rest)

    def _begin(self, start: bytes) -> bool:
        """Choose how to decode what begins like this. Return whether that is possible, and to be done, already."""
        if len(start) < len(_GZIP_MAGIC):
            self._held = start
            return False
        if self._coding == "gzip":
            self._ended = self._members > 0 and not start.startswith(_GZIP_MAGIC)  # padding, or anything
            wbits = _GZIP
        else:
            # Some servers take deflate for a raw stream without zlib's header, which has a check sum (RFC 1950).
            header = int.from_bytes(start[:2], "big")
            has_header = header >> 8 & 0xF == zlib.DEFLATED and header % 31 == 0
            wbits = zlib.MAX_WBITS if has_header else -zlib.MAX_WBITS
        self._decoder = zlib.decompressobj(wbits)
        self._members += 1
        return not self._ended

    def _decompress(self, data: bytes) -> Generator[bytes, None, bytes]:
        """Yield what these bytes become. Return what is behind the end of a gzip file: another one may follow."""
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

"""Decode and encode server-sent events (WHATWG HTML, section 9.2).

:class:`SSEDecoder` works in two steps. The first step cuts the stream into *blocks*, the lines up to a blank line. Chunks may end
anywhere, even inside a character or between CR and LF, so this step changes all line ends to LF and keeps an unfinished block for the
next chunk. A block in many chunks is joined once, at its end, which keeps the cost linear. The second step, :meth:`SSEDecoder.parse`,
reads the fields of a block into a :class:`Frame`. The steps can be used separately: most blocks of the Responses API are an ``event:``
and a ``data:`` line, which the engine recognizes faster than :meth:`~SSEDecoder.parse` does.

The rules of the specification:

* The stream is UTF-8. One byte-order mark at its start is dropped.
* Lines end with LF, CRLF or CR. Other line separators, such as U+2028, are data.
* A blank line ends a frame. A block without a ``data:`` line is not a frame, but its ``id`` is kept.
* An ``id`` is valid until the next one. It is ignored if it contains NUL. ``retry`` is ignored unless it consists of digits.
* Lines that begin with a colon are comments. They are counted, because they show that the server is alive.
* An unfinished last block is not a frame. But some servers end their streams like this, so :meth:`SSEDecoder.eof` returns the block,
  and the caller decides whether it is complete.

The data of a frame stays bytes, because only the caller knows its encoding.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from ..exceptions import LimitExceeded, UsageError
from ..limits import Limits

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "Frame",
    "SSEDecoder",
    "begins_as_events",
    "encode_comment",
    "encode_frame",
    "is_end_marker",
    "without_end_marker",
]

_BOM: Final = b"\xef\xbb\xbf"
_SPACE: Final = b" \t\r\n"
_FIELDS: Final = (b"event:", b"data:", b"id:", b"retry:", b":")
_MAX_SPACE: Final = 4096
_END_MARKERS: Final = (b"[DONE]", b'"[DONE]"')


class Frame(NamedTuple):
    """One event of the stream, with its data as bytes."""

    event: bytes
    """The value of the ``event:`` line; empty if there is none."""
    data: bytes
    """The values of the ``data:`` lines, joined by LF."""
    id: bytes = b""
    """The last ``id:`` in this frame or an earlier one."""
    retry: int | None = None
    """Milliseconds to wait before reconnecting; ``None`` if this frame does not have it."""


class SSEDecoder:
    """Decodes a stream of bytes into frames. Call :meth:`receive` any number of times, then :meth:`eof`.

    Of ``limits``, only ``max_event_bytes`` is used, for complete and unfinished blocks.
    """

    def __init__(self, limits: Limits | None = None) -> None:
        self._maximum = (limits or Limits()).max_event_bytes
        self._rest = bytearray()  # an unfinished block; grows at a constant cost per byte, however small the chunks are
        self._started = False
        self._after_cr = False
        self._between_blocks = False  # whether the last bytes ended with a block, so that the next begin one
        self.last_id: bytes = b""
        """The last ``id:``; empty if there was none."""
        self.retry: int | None = None
        """The last ``retry:``, in milliseconds; ``None`` if there was none."""
        self.comments: int = 0
        """The number of comment lines."""

    def receive(self, data: bytes) -> list[Frame]:
        """Receive the next bytes, and return the frames that are now complete.

        Raises ``LimitExceeded`` if a frame is too long. Call this again with the next bytes, and :meth:`eof` after the last ones.
        """
        return [frame for block in self.blocks(data) if (frame := self.parse(block)) is not None]

    def blocks(self, data: bytes) -> list[bytes]:
        """Receive the next bytes, and return the blocks that are now complete, with LF between lines. Pass them to :meth:`parse`.

        Raises ``LimitExceeded`` if an unfinished block is too long. Returned blocks are not checked; :meth:`parse` does that.
        """
        if self._between_blocks and b"\r" not in data:
            blocks = data.split(b"\n\n")
            if not blocks.pop():  # the last one is complete, too
                return blocks
        return self._complete(data).split(b"\n\n")[:-1]

    def _complete(self, data: bytes) -> bytes:
        """Receive the next bytes, and return all blocks that are now complete: LF between lines, LF LF after each block."""
        self._between_blocks = False
        if not self._started:
            data = self._skip_bom(data)
        if not data:
            return b""
        if self._after_cr or b"\r" in data:
            data = self._with_lf(data)
        rest = self._rest
        if rest:
            # Chunks of one block are joined once, at its end. Only the bytes on both sides of a cut are read twice.
            if not data:
                return b""  # the LF of a CRLF that was cut in two
            complete = b"\n\n" in data or (data[0] == 10 and rest[-1] == 10)  # noqa: PLR2004 - LF
            rest += data
            if not complete:
                self._check(len(rest) - data.endswith(b"\n"))  # the LF may be half of the blank line
                return b""
            data = bytes(rest)
            rest.clear()
        end = data.rfind(b"\n\n") + 2
        if end < 2:  # noqa: PLR2004 - no block is complete
            self._check(len(data) - data.endswith(b"\n"))
            rest += data
            return b""
        if end < len(data):
            rest += data[end:]  # checked later, because the complete blocks are returned first
            return data[:end]
        self._between_blocks = not self._after_cr
        return data

    def parse(self, block: bytes) -> Frame | None:
        """Return the frame of one block; ``None`` if it has no data. Raises ``LimitExceeded`` if the block is too long."""
        self._check(len(block))
        event = b""
        lines: list[bytes] = []
        retry: int | None = None
        for line in block.split(b"\n"):
            if not line:
                continue
            name, _, value = line.partition(b":")
            value = value.removeprefix(b" ")
            if name == b"data":
                lines.append(value)
            elif name == b"event":
                event = value
            elif not name:
                self.comments += 1
            elif name == b"id":
                if b"\0" not in value:
                    self.last_id = value
            elif name == b"retry" and value.isdigit():
                retry = self.retry = int(value[:18])
        if not lines:
            return None
        data = b"\n".join(lines)
        return Frame(event, data, self.last_id, retry)

    def eof(self) -> bytes:
        """End the input, and return the unfinished last block; empty if there is none. Pass the block to :meth:`parse` to use it.

        Raises ``LimitExceeded`` if the block is too long.
        """
        self._check(len(self._rest))
        rest = bytes(self._rest)
        self._rest.clear()
        return rest.strip(b"\n")

    def _skip_bom(self, data: bytes) -> bytes:
        data = bytes(self._rest) + data
        self._rest.clear()
        if len(data) < len(_BOM) and _BOM.startswith(data):
            self._rest += data
            return b""
        self._started = True
        return data.removeprefix(_BOM)

    def _with_lf(self, data: bytes) -> bytes:
        # Safe for the data, because JSON escapes control characters.
        if self._after_cr:
            data = data.removeprefix(b"\n")
        self._after_cr = data[-1:] == b"\r"
        return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _check(self, size: int) -> None:
        if size > self._maximum:
            self._rest.clear()
            raise LimitExceeded("max_event_bytes", size, maximum=self._maximum)


def begins_as_events(start: bytes) -> bool | None:
    """Return whether a body is clearly an event stream: its first line begins with the name of a field, or is a comment.

    ``start``: the body so far. A byte-order mark and whitespace before the first line are ignored. Returns ``None`` if more of the body
    is needed to decide, and false after more than 4 KiB of whitespace.
    """
    if _BOM.startswith(start):
        return None
    line = start.removeprefix(_BOM).lstrip(_SPACE)
    if len(start) - len(line) > _MAX_SPACE:
        return False
    if line.startswith(_FIELDS):
        return True
    return None if any(field.startswith(line) for field in _FIELDS) else False


def is_end_marker(data: bytes) -> bool:
    """Return whether the data of a frame is ``[DONE]``. Some servers encode it as JSON, in quotes."""
    return data.strip() in _END_MARKERS


def without_end_marker(body: bytes) -> bytes:
    """Return a JSON body without the ``data: [DONE]`` frame that some servers append to it."""
    start, marker, end = body.rpartition(b"data:")
    if not marker or not is_end_marker(end):
        return body
    start = start.rstrip()
    before, _, line = start.rpartition(b"\n")
    if line.startswith((b"event:", b"id:", b":")):
        start = before.rstrip()
    return start if start.endswith((b"}", b"]")) else body


def encode_frame(data: bytes, event: str | None = None, *, id: str | None = None, retry: int | None = None) -> bytes:  # noqa: A002 - the field's name
    """Return one frame as bytes. Line ends in ``data`` separate ``data:`` lines, so a decoder reads them as LF.

    ``retry`` is in milliseconds. Raises ``UsageError`` for an ``event`` or ``id`` with line ends, NUL or a lone surrogate, and for a
    negative ``retry``.
    """
    return b"\n".join([*_fields(data, event, id, retry), b"", b""])


def _fields(data: bytes, event: str | None, id_: str | None, retry: int | None) -> Iterator[bytes]:
    for name, text in (("event", event), ("id", id_)):
        if text is not None:
            if any(character in text for character in "\r\n\0"):
                raise UsageError(f"{name} must not contain line ends or NUL, got {text!r}")
            yield f"{name}: ".encode() + _utf8(text)
    if retry is not None:
        if retry < 0:
            raise UsageError(f"retry must be at least 0 milliseconds, got {retry}")
        yield b"retry: %d" % retry
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    for line in data.split(b"\n"):
        yield b"data: " + line


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise UsageError(f"a lone surrogate cannot be encoded as UTF-8: {text!r}") from error


def encode_comment(text: str = "") -> bytes:
    """Return a comment as bytes. Comments keep a quiet connection open. Line ends in the text separate comment lines.

    Raises ``UsageError`` if the text contains a lone surrogate.
    """
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return _utf8("".join(f": {line}\n" if line else ":\n" for line in lines)) + b"\n"

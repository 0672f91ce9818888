"""Server-sent events: bytes to frames and frames to bytes (WHATWG HTML, section 9.2).

The decoder takes chunks cut anywhere, inside a code point or between CR and LF. What it does with them:

* The stream is UTF-8; one byte-order mark at the very start is dropped.
* Lines end with LF, CRLF or CR, and with nothing else: U+2028 and its like are data.
* A blank line ends a frame. A frame without a ``data:`` line is none; it is not reported, though its ``id`` is kept.
* ``id`` holds until another one comes, and is ignored if it contains NUL. ``retry`` is digits only.
* Comments (lines that begin with a colon) are counted, as signs of life.
* An unfinished last frame is not dispatched. Servers do end that way, so :meth:`SSEDecoder.eof` gives it to the caller,
  who knows whether it makes sense.

Data stays bytes: decoding it is the business of whoever knows what it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from ..exceptions import LimitExceeded, LocalProtocolError
from ..limits import Limits

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Frame", "SSEDecoder", "encode_comment", "encode_frame"]

_BOM: Final = b"\xef\xbb\xbf"


class Frame(NamedTuple):
    """One event of the stream, undecoded."""

    event: bytes
    """The ``event:`` line's value; empty if there is none."""
    data: bytes
    """The ``data:`` lines' values, joined by LF."""
    id: bytes = b""
    """The last ``id:`` seen, in this frame or an earlier one."""
    retry: int | None = None
    """Milliseconds to wait before reconnecting, if this frame says so."""


class SSEDecoder:
    """Cuts a stream of bytes into frames. Verbs: :meth:`receive` any number of times, then :meth:`eof`."""

    def __init__(self, limits: Limits | None = None) -> None:
        self._maximum = (limits or Limits()).max_event_bytes
        self._pieces: list[bytes] = []
        self._size = 0
        self._started = False
        self._after_cr = False
        self.last_id: bytes = b""
        """The last ``id:`` seen."""
        self.retry: int | None = None
        """The last ``retry:`` seen, in milliseconds."""
        self.comments: int = 0
        """How many comment lines were seen."""

    def receive(self, data: bytes) -> list[Frame]:
        """Take the next bytes; give the frames that are now whole. Raises ``LimitExceeded``."""
        return [frame for block in self.blocks(data) if (frame := self.parse(block)) is not None]

    def blocks(self, data: bytes) -> list[bytes]:
        """Take the next bytes; give the blocks of lines that are now whole, with LF between lines."""
        return self.complete_blocks(data).split(b"\n\n")[:-1]

    def complete_blocks(self, data: bytes) -> bytes:
        """Take the next bytes; give those of all blocks that are now whole, each with LF between lines and LF LF behind it.

        This is the half of :meth:`receive` that is worth having in bulk: most blocks are an ``event:`` and a ``data:``
        line, which a caller can tell faster than :meth:`parse`.
        """
        if not self._started:
            data = self._skip_bom(data)
        if not data:
            return b""
        if self._after_cr or b"\r" in data:
            data = self._with_lf(data)
        pieces = self._pieces
        if pieces:
            # A frame that comes in many chunks is joined once, at its end, and only the seam is looked at twice.
            if not data:
                return b""  # the LF of a CRLF that was cut in two
            if b"\n\n" not in data and not (data[0] == 10 and pieces[-1][-1] == 10):  # noqa: PLR2004 - LF
                pieces.append(data)
                self._size += len(data)
                self._check(self._size - data.endswith(b"\n"))  # which may be half of the blank line
                return b""
            pieces.append(data)
            data = b"".join(pieces)
            pieces.clear()
        end = data.rfind(b"\n\n") + 2
        if end < 2:  # noqa: PLR2004 - none was found
            end = 0
        rest = data[end:]
        self._size = len(rest)
        if rest:
            pieces.append(rest)
            if not end:  # else what is whole goes first: the next call, or the end, will tell
                self._check(self._size - rest.endswith(b"\n"))
        return data[:end]

    def parse(self, block: bytes) -> Frame | None:
        """Read the lines of one block; ``None`` if there is no data in it. Raises ``LimitExceeded``."""
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
        """Take the end of input; give the lines of the unfinished last frame, empty if there are none.

        Raises ``LimitExceeded`` if these are too long.
        """
        self._check(self._size)
        rest = b"".join(self._pieces)
        self._pieces.clear()
        self._size = 0
        return rest.strip(b"\n")

    def _skip_bom(self, data: bytes) -> bytes:
        data = b"".join(self._pieces) + data
        self._pieces.clear()
        if len(data) < len(_BOM) and _BOM.startswith(data):
            self._pieces = [data] if data else []
            return b""
        self._started = True
        return data.removeprefix(_BOM)

    def _with_lf(self, data: bytes) -> bytes:
        # JSON escapes control characters, so a raw CR is a line end, wherever it stands.
        if self._after_cr:
            data = data.removeprefix(b"\n")
        self._after_cr = data[-1:] == b"\r"
        return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _check(self, size: int) -> None:
        if size > self._maximum:
            self._pieces.clear()
            raise LimitExceeded("max_event_bytes", size, maximum=self._maximum)


def encode_frame(data: bytes, event: str | None = None, *, id: str | None = None, retry: int | None = None) -> bytes:  # noqa: A002 - the field's name
    """Write one frame. ``data`` may contain line ends: they become lines, all read back as LF.

    Raises ``LocalProtocolError`` if a field cannot hold its value.
    """
    return b"\n".join([*_fields(data, event, id, retry), b"", b""])


def _fields(data: bytes, event: str | None, id_: str | None, retry: int | None) -> Iterator[bytes]:
    for name, text in (("event", event), ("id", id_)):
        if text is not None:
            if any(character in text for character in "\r\n\0"):
                raise LocalProtocolError(f"the {name} field of a frame cannot contain line ends or NUL: {text!r}")
            yield f"{name}: ".encode() + _utf8(text)
    if retry is not None:
        if retry < 0:
            raise LocalProtocolError(f"the retry field of a frame is milliseconds, not {retry}")
        yield b"retry: %d" % retry
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    for line in data.split(b"\n"):
        yield b"data: " + line


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise LocalProtocolError(f"half of a character cannot be written as UTF-8: {text!r}") from error


def encode_comment(text: str = "") -> bytes:
    """Write a comment, the sign of life of a quiet stream. Line ends in it become more comment lines.

    Raises ``LocalProtocolError`` if the text has no UTF-8.
    """
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return _utf8("".join(f": {line}\n" if line else ":\n" for line in lines)) + b"\n"

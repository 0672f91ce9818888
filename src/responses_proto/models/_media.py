"""Files as content: reading them, within a bound, and telling what they are by their first bytes."""

from __future__ import annotations

import base64
import mimetypes
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ..exceptions import LocalProtocolError

if TYPE_CHECKING:
    import os

__all__ = ["MAX_BYTES", "check_size", "data_url", "media_type_of", "read_file"]

MAX_BYTES: Final = 50 * 1024 * 1024
"""What the servers that say so take in one request."""

# (offset, first bytes) -> media type. Names can be wrong, and servers look into the file; so do we, before asking the name.
_SIGNATURES: Final = (
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"GIF87a", "image/gif"),
    (0, b"GIF89a", "image/gif"),
    (8, b"WEBP", "image/webp"),
    (0, b"%PDF-", "application/pdf"),
    (8, b"WAVE", "audio/wav"),
    (0, b"ID3", "audio/mpeg"),
    (0, b"\xff\xfb", "audio/mpeg"),
    (0, b"\xff\xf3", "audio/mpeg"),
    (0, b"fLaC", "audio/flac"),
    (0, b"OggS", "audio/ogg"),
)


def read_file(path: str | os.PathLike[str], max_bytes: int) -> bytes:
    """Read a file. Raises ``LocalProtocolError`` if it cannot be read, is empty, or is larger than ``max_bytes``."""
    try:
        size = Path(path).stat().st_size
        if size > max_bytes:
            raise LocalProtocolError(f"{path} has {size} bytes, {max_bytes} are allowed: raise max_bytes, or upload it")
        data = Path(path).read_bytes()
    except OSError as error:
        raise LocalProtocolError(f"cannot read {path}: {error.strerror or error}") from error
    check_size(data, max_bytes, str(path))
    return data


def check_size(data: bytes, max_bytes: int, what: str) -> None:
    """Raise ``LocalProtocolError`` for what is empty or too large."""
    if not data:
        raise LocalProtocolError(f"{what} is empty")
    if len(data) > max_bytes:
        raise LocalProtocolError(
            f"{what} has {len(data)} bytes, {max_bytes} are allowed: raise max_bytes, or upload it"
        )


def media_type_of(data: bytes, name: str = "", *, family: str = "") -> str:
    """Tell the media type by the first bytes, or else by the name.

    Raises ``LocalProtocolError`` if neither tells, or if it is not of the ``family`` that is due (``image``, ``audio``).
    """
    told = (media_type for offset, signature, media_type in _SIGNATURES if data.startswith(signature, offset))
    media_type = next(told, None) or mimetypes.guess_type(name)[0]
    if not media_type:
        raise LocalProtocolError(f"cannot tell what {name or 'this'} is: pass media_type")
    if family and not media_type.startswith(f"{family}/"):
        raise LocalProtocolError(
            f"{name or 'this'} is {media_type}, not {family}: pass media_type if it is one all the same"
        )
    return media_type


def data_url(data: bytes, media_type: str) -> str:
    """Write bytes as a ``data:`` URL in Base64."""
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"

"""Files as content: reading them, within a bound, and telling what they are by their first bytes."""

from __future__ import annotations

import base64
import mimetypes
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import os

__all__ = ["MAX_BYTES", "WHITE_PIXEL", "check_size", "data_url", "media_type_of", "read_file"]

MAX_BYTES: Final = 50 * 1024 * 1024
"""What the servers that say so take in one request."""

WHITE_PIXEL: Final = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGP4DwABAQEAsTj2FAAAAABJRU5ErkJggg=="
"""A PNG of one white pixel, in Base64: a placeholder where the protocol requires an image."""

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
    """Return the bytes of a file. Raises ``OSError`` if it cannot be read, ``ValueError`` if it is empty or too large."""
    size = Path(path).stat().st_size
    if size > max_bytes:
        raise ValueError(f"{path} has {size} bytes; {max_bytes} are allowed: raise max_bytes, or upload the file")
    data = Path(path).read_bytes()
    check_size(data, max_bytes, str(path))
    return data


def check_size(data: bytes, max_bytes: int, what: str) -> None:
    """Raise ``ValueError`` for what is empty or too large."""
    if not data:
        raise ValueError(f"{what} is empty")
    if len(data) > max_bytes:
        raise ValueError(f"{what} has {len(data)} bytes, {max_bytes} are allowed: raise max_bytes, or upload it")


def media_type_of(data: bytes, name: str = "", *, family: str = "") -> str:
    """Tell the media type by the first bytes, or else by the name.

    Raises ``ValueError`` if neither tells, or if it is not of the ``family`` that is due (``image``, ``audio``).
    """
    told = (media_type for offset, signature, media_type in _SIGNATURES if data.startswith(signature, offset))
    media_type = next(told, None) or mimetypes.guess_type(name)[0]
    if not media_type:
        raise ValueError(f"cannot tell what {name or 'this'} is: pass media_type")
    if family and not media_type.startswith(f"{family}/"):
        raise ValueError(f"{name or 'this'} is {media_type}, not {family}: pass media_type if it is one all the same")
    return media_type


def data_url(data: bytes, media_type: str) -> str:
    """Write bytes as a ``data:`` URL in Base64."""
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"

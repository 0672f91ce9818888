"""Read files for content parts: size check, media type detection, ``data:`` URLs."""

from __future__ import annotations

import base64
import mimetypes
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import os

MAX_BYTES: Final = 50 * 1024 * 1024
"""The default size limit: the documented limit of servers for one request."""

WHITE_PIXEL: Final = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGP4DwABAQEAsTj2FAAAAABJRU5ErkJggg=="
"""A PNG of one white pixel, in Base64: a placeholder where the protocol requires an image."""

# (offset, bytes at the offset, media type). Checked before the file name, because servers check the content too.
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
    """Return the bytes of a file.

    Raises ``OSError`` if the file cannot be read, and ``ValueError`` if it is empty or larger than ``max_bytes``.
    """
    _check_size(Path(path).stat().st_size, max_bytes, str(path))
    data = Path(path).read_bytes()
    check_size(data, max_bytes, str(path))
    return data


def check_size(data: bytes, max_bytes: int, name: str) -> None:
    """Raise ``ValueError`` if ``data`` is empty or larger than ``max_bytes``. ``name`` is used in the message."""
    _check_size(len(data), max_bytes, name)


def _check_size(size: int, max_bytes: int, name: str) -> None:
    if size == 0:
        raise ValueError(f"{name} is empty")
    if size > max_bytes:
        raise ValueError(f"{name} has {size} bytes, the limit is {max_bytes}: raise max_bytes, or upload the file")


def media_type_of(data: bytes, name: str = "", *, family: str = "") -> str:
    """Return the media type of a file, determined by its first bytes, or else by its file ``name``.

    Raises ``ValueError`` if neither is known, or if the type does not belong to ``family`` (``image``, ``audio``).
    """
    matches = (media_type for offset, signature, media_type in _SIGNATURES if data.startswith(signature, offset))
    media_type = next(matches, None) or mimetypes.guess_type(name)[0]
    if not media_type:
        raise ValueError(f"cannot detect the media type of {name or 'the data'}: pass it explicitly")
    if family and not media_type.startswith(f"{family}/"):
        raise ValueError(
            f"{name or 'the data'} is {media_type}, expected {family}/*: pass the type explicitly if it is"
        )
    return media_type


def data_url(data: bytes, media_type: str) -> str:
    """Return bytes as a ``data:`` URL in Base64."""
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"

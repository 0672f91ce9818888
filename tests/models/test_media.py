from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import pytest

from responses_proto import UNSET
from responses_proto.models import InputAudio, InputFile, InputImage
from responses_proto.models._media import media_type_of

if TYPE_CHECKING:
    from pathlib import Path

PNG = b"\x89PNG\r\n\x1a\n" + bytes(8)


def held(url: object) -> tuple[str, bytes]:
    """Split a data: URL into media type and data."""
    assert isinstance(url, str)
    head, _, data = url.partition(",")
    return head.removeprefix("data:").removesuffix(";base64"), base64.b64decode(data)


@pytest.mark.parametrize(
    ("start", "media_type"),
    [
        (PNG, "image/png"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"GIF89a", "image/gif"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "image/webp"),
    ],
)
def test_the_media_type_is_that_of_the_first_bytes(start: bytes, media_type: str, tmp_path: Path) -> None:
    path = tmp_path / "misnamed.bmp"
    path.write_bytes(start)
    assert held(InputImage.from_path(path).image_url) == (media_type, start)
    assert held(InputImage.from_bytes(start).image_url) == (media_type, start)


def test_an_unknown_signature_falls_back_to_the_name_or_the_given_type(tmp_path: Path) -> None:
    path = tmp_path / "drawing.svg"
    path.write_bytes(b"<svg/>")
    assert held(InputImage.from_path(path).image_url)[0] == "image/svg+xml"
    assert held(InputImage.from_bytes(b"<svg/>", media_type="image/svg+xml").image_url)[0] == "image/svg+xml"


def test_the_detail_is_passed_on_and_absent_by_default() -> None:
    assert InputImage.from_bytes(PNG, detail="high").detail == "high"
    assert InputImage.from_bytes(PNG).detail is UNSET


def test_a_file_keeps_its_name_and_not_its_folder(tmp_path: Path) -> None:
    path = tmp_path / "report.pdf"
    path.write_bytes(b"%PDF-1.7 ...")
    file = InputFile.from_path(path)
    assert file.filename == "report.pdf"
    assert held(file.file_data) == ("application/pdf", b"%PDF-1.7 ...")
    assert InputFile.from_bytes(b"a,b", "table.csv").filename == "table.csv"


@pytest.mark.parametrize(
    ("start", "format_"), [(b"RIFF\0\0\0\0WAVEfmt ", "wav"), (b"ID3\4", "mp3"), (b"\xff\xfb\x90", "mp3")]
)
def test_the_audio_format_is_that_of_the_first_bytes(start: bytes, format_: str, tmp_path: Path) -> None:
    path = tmp_path / "sound"
    path.write_bytes(start)
    for sound in (InputAudio.from_path(path), InputAudio.from_bytes(start)):
        assert sound.input_audio.format == format_
        assert base64.b64decode(sound.input_audio.data) == start
    assert InputAudio.from_bytes(b"????", format="opus").input_audio.format == "opus"


def test_a_file_that_cannot_be_sent_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "page.html").write_bytes(b"<html>")
    (tmp_path / "large.png").write_bytes(PNG)
    with pytest.raises(FileNotFoundError, match=r"missing\.png"):
        InputImage.from_path(tmp_path / "missing.png")
    with pytest.raises(ValueError, match="is empty"):
        InputImage.from_path(tmp_path / "empty.png")
    with pytest.raises(ValueError, match="is text/html, expected image/"):
        InputImage.from_path(tmp_path / "page.html")
    with pytest.raises(ValueError, match="has 16 bytes, the limit is 10"):
        InputImage.from_path(tmp_path / "large.png", max_bytes=10)
    with pytest.raises(ValueError, match="has 16 bytes, the limit is 10"):
        InputImage.from_bytes(PNG, max_bytes=10)
    with pytest.raises(ValueError, match="cannot detect the media type of the data"):
        media_type_of(b"????")

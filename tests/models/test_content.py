"""Content parts, annotations and log probabilities."""

from __future__ import annotations

import typing
from typing import TYPE_CHECKING

import attrs
import pytest

from responses_proto.models.content import (
    CONTENT_TYPES,
    Annotation,
    ComputerScreenshot,
    ContainerFileCitation,
    Content,
    EncryptedContent,
    FileCitation,
    FilePath,
    InputAudio,
    InputAudioData,
    InputFile,
    InputImage,
    InputText,
    InputVideo,
    LogProb,
    OutputText,
    PromptCacheBreakpoint,
    ReasoningText,
    Refusal,
    SummaryText,
    Text,
    TopLogProb,
    UnknownContent,
    UnknownObject,
    UrlCitation,
)
from responses_proto.typing import UNSET

if TYPE_CHECKING:
    from pathlib import Path

    from responses_proto.models._base import Model

PARTS: dict[str, Content] = {
    "input_text": InputText(text="Hello", prompt_cache_breakpoint=PromptCacheBreakpoint(ttl="12h")),
    "input_image": InputImage(image_url="https://example.org/cat.png", detail="low"),
    "input_file": InputFile(file_data="aGVsbG8=", filename="hello.txt"),
    "input_video": InputVideo(video_url="https://example.org/cat.mp4"),
    "input_audio": InputAudio(input_audio=InputAudioData(data="UklGRg==", format="wav")),
    "output_text": OutputText(
        text="Hi",
        annotations=[UrlCitation(url="https://example.org", title="Example", start_index=0, end_index=2)],
        logprobs=[
            LogProb(
                token="Hi",  # noqa: S106 - a piece of text, no secret
                logprob=-0.5,
                bytes=[72, 105],
                top_logprobs=[TopLogProb(token="Hi", logprob=-0.5)],  # noqa: S106 - as above
            )
        ],
    ),
    "refusal": Refusal(refusal="I would rather not."),
    "text": Text(text="Hello"),
    "summary_text": SummaryText(text="Greets."),
    "reasoning_text": ReasoningText(text="A greeting is due."),
    "computer_screenshot": ComputerScreenshot(file_id="file_1"),
    "encrypted_content": EncryptedContent(encrypted_content="gAAA"),
}

ANNOTATIONS: dict[str, Annotation] = {
    "url_citation": UrlCitation(url="https://example.org", title="Example", start_index=0, end_index=2),
    "file_citation": FileCitation(file_id="file_1", filename="a.txt", index=3),
    "container_file_citation": ContainerFileCitation(
        container_id="cntr_1", file_id="cfile_1", filename="plot.png", start_index=0, end_index=9
    ),
    "file_path": FilePath(file_id="file_1", index=0),
}


def test_registry_has_every_part_under_its_wire_string() -> None:
    assert {tag: type(part) for tag, part in PARTS.items()} == CONTENT_TYPES
    assert all(cls.type == tag for tag, cls in CONTENT_TYPES.items())


def test_unions_are_open() -> None:
    assert typing.get_args(Content)[-1] is UnknownContent
    assert typing.get_args(Annotation)[-1] is UnknownObject


def test_every_annotation_kind_is_in_the_union() -> None:
    assert {cls.type: cls for cls in typing.get_args(Annotation)[:-1]} == {t: type(a) for t, a in ANNOTATIONS.items()}


def test_absent_and_null_differ() -> None:
    assert InputImage().file_id is UNSET
    assert InputImage(file_id=None).file_id is None
    assert InputImage() != InputImage(file_id=None)


@pytest.mark.parametrize(
    ("cls", "required"),
    [
        (InputText, {"text"}),
        (InputImage, set[str]()),
        (InputFile, set[str]()),
        (OutputText, {"text"}),
        (Refusal, {"refusal"}),
        (UrlCitation, {"url", "title", "start_index", "end_index"}),
        (LogProb, {"token", "logprob"}),
        (ComputerScreenshot, set[str]()),
    ],
)
def test_fields_are_required_where_every_specification_says_so(cls: type[Model], required: set[str]) -> None:
    assert {a.name for a in attrs.fields(cls) if a.default is attrs.NOTHING} == required


def test_parts_match_by_class() -> None:
    parts: list[Content] = [OutputText(text="Hi"), UnknownContent(type="hologram", raw={"type": "hologram"})]
    seen: list[str] = []
    for part in parts:
        match part:
            case OutputText(text=text):
                seen.append(text)
            case UnknownContent(type=tag):
                seen.append(tag)
            case _:
                pass
    assert seen == ["Hi", "hologram"]


PNG = b"\x89PNG\r\n\x1a\n" + bytes(8)
WAV = b"RIFF\0\0\0\0WAVEfmt "


def test_an_image_can_be_created_from_bytes_or_a_file(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(PNG)
    made = InputImage.from_bytes(PNG, detail="low")
    assert made == InputImage.from_path(path, detail="low")
    assert str(made.image_url).startswith("data:image/png;base64,")


def test_a_file_can_be_created_from_bytes_or_a_file(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(b"a,b")
    made = InputFile.from_bytes(b"a,b", "table.csv")
    assert made == InputFile.from_path(path)
    assert (made.filename, made.file_data) == ("table.csv", "data:text/csv;base64,YSxi")


def test_audio_can_be_created_from_bytes_or_a_file(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(WAV)
    made = InputAudio.from_bytes(WAV)
    assert made == InputAudio.from_path(path) == InputAudio.from_path(path, format="wav")
    assert made.input_audio.format == "wav"


def test_content_that_is_too_large_is_refused() -> None:
    for make in (InputImage.from_bytes, InputAudio.from_bytes):
        with pytest.raises(ValueError, match=r"has 1[26] bytes, the limit is 4"):
            make(PNG, max_bytes=4)
    with pytest.raises(ValueError, match=r"table\.csv has 5 bytes"):
        InputFile.from_bytes(b"a,b,c", "table.csv", max_bytes=4)

"""What messages, reasoning and tool outputs are made of: content parts, annotations, log probabilities.

One class per wire ``type``, whichever item the part is found in and whichever way it travels. :data:`Content` is the
open union of all parts; a consumer matches on the classes it knows and keeps the rest.
"""

from __future__ import annotations

from base64 import b64encode
from os import PathLike, fspath
from pathlib import Path
from typing import ClassVar, Final, Literal, Self, TypeAlias, get_args

from ..typing import UNSET, Unset
from ._base import Model, Unknown, model
from ._media import MAX_BYTES, check_size, data_url, media_type_of, read_file

__all__ = [
    "CONTENT_TYPES",
    "Annotation",
    "ComputerScreenshot",
    "ContainerFileCitation",
    "Content",
    "FileCitation",
    "FileDetail",
    "FilePath",
    "ImageDetail",
    "InputAudio",
    "InputAudioData",
    "InputFile",
    "InputImage",
    "InputText",
    "InputVideo",
    "LogProb",
    "OutputText",
    "PromptCacheBreakpoint",
    "ReasoningText",
    "Refusal",
    "SummaryText",
    "Text",
    "TopLogProb",
    "UnknownContent",
    "UnknownObject",
    "UrlCitation",
]

ImageDetail: TypeAlias = Literal["low", "high", "auto", "original"] | str
"""How finely the model looks at an image."""

FileDetail: TypeAlias = Literal["low", "high", "auto"] | str
"""How finely the model looks at the pages of a file."""


@model
class UnknownObject(Unknown):
    """A tagged object that is no item, tool, content part or event, and whose ``type`` has no class here."""


@model
class UnknownContent(Unknown):
    """A content part whose ``type`` has no class here."""


# ---- annotations


@model
class UrlCitation(Model):
    """A span of the text rests on a web page: `url_citation` (Content, Annotations)."""

    type: ClassVar[Literal["url_citation"]] = "url_citation"
    url: str
    title: str
    start_index: int
    """First character of the span, counted in the part's text."""
    end_index: int
    """One past the last character of the span."""


@model
class FileCitation(Model):
    """A point of the text rests on an uploaded file: `file_citation` (Content, Annotations)."""

    type: ClassVar[Literal["file_citation"]] = "file_citation"
    file_id: str
    filename: str
    index: int
    """The file's place in the list of files."""


@model
class ContainerFileCitation(Model):
    """A span of the text names a file in a code container: `container_file_citation` (Content, Annotations)."""

    type: ClassVar[Literal["container_file_citation"]] = "container_file_citation"
    container_id: str
    file_id: str
    filename: str
    start_index: int
    """First character of the span, counted in the part's text."""
    end_index: int
    """One past the last character of the span."""


@model
class FilePath(Model):
    """The text points to a generated file: `file_path` (Content, Annotations)."""

    type: ClassVar[Literal["file_path"]] = "file_path"
    file_id: str
    index: int
    """The file's place in the list of files."""


Annotation: TypeAlias = UrlCitation | FileCitation | ContainerFileCitation | FilePath | UnknownObject
"""What is attached to a span of output text; open."""


# ---- log probabilities and cache marks


@model
class TopLogProb(Model):
    """One of the likeliest tokens at a position (Content, Log probabilities)."""

    token: str | None | Unset = UNSET
    logprob: float | None | Unset = UNSET
    """Natural logarithm of the probability."""
    bytes: list[int] | Unset = UNSET
    """The token as UTF-8; a token may hold part of a character."""


@model
class LogProb(Model):
    """A token of the output text with its probability (Content, Log probabilities)."""

    token: str
    logprob: float
    """Natural logarithm of the probability."""
    bytes: list[int] | Unset = UNSET
    """The token as UTF-8; a token may hold part of a character. Text deltas come without."""
    top_logprobs: list[TopLogProb] | None | Unset = UNSET
    """The likeliest tokens here, if the request asked for them."""


@model
class PromptCacheBreakpoint(Model):
    """The prompt up to and including this part is worth caching (Prompt caching)."""

    mode: ClassVar[Literal["explicit"]] = "explicit"
    ttl: Literal["30m", "12h"] | str | None | Unset = UNSET
    """How long the cache keeps it."""


# ---- what is put in


@model
class InputText(Model):
    """Text for the model: `input_text` (Content, Input)."""

    type: ClassVar[Literal["input_text"]] = "input_text"
    text: str
    prompt_cache_breakpoint: PromptCacheBreakpoint | None | Unset = UNSET


@model
class InputImage(Model):
    """An image for the model, by URL or by uploaded file: `input_image` (Content, Input)."""

    type: ClassVar[Literal["input_image"]] = "input_image"
    image_url: str | None | Unset = UNSET
    """A web address, or a `data:` URL that holds the image."""
    file_id: str | None | Unset = UNSET
    detail: ImageDetail | None | Unset = UNSET
    prompt_cache_breakpoint: PromptCacheBreakpoint | None | Unset = UNSET

    @classmethod
    def from_bytes(
        cls, data: bytes, *, media_type: str = "", detail: ImageDetail | Unset = UNSET, max_bytes: int = MAX_BYTES
    ) -> Self:
        """Put an image into a ``data:`` URL; what it is, its first bytes tell. Raises ``ValueError``."""
        check_size(data, max_bytes, "the image")
        return cls(image_url=data_url(data, media_type or media_type_of(data, family="image")), detail=detail)

    @classmethod
    def from_path(
        cls,
        path: str | PathLike[str],
        *,
        media_type: str = "",
        detail: ImageDetail | Unset = UNSET,
        max_bytes: int = MAX_BYTES,
    ) -> Self:
        """Read an image, of ``max_bytes`` at most, into a ``data:`` URL. Raises ``ValueError``."""
        data = read_file(path, max_bytes)
        media_type = media_type or media_type_of(data, fspath(path), family="image")
        return cls.from_bytes(data, media_type=media_type, detail=detail, max_bytes=max_bytes)


@model
class InputFile(Model):
    """A file for the model, by upload, by URL or inline: `input_file` (Content, Input)."""

    type: ClassVar[Literal["input_file"]] = "input_file"
    file_id: str | None | Unset = UNSET
    file_url: str | None | Unset = UNSET
    file_data: str | None | Unset = UNSET
    """The file itself in Base64, plain or as a `data:` URL."""
    filename: str | None | Unset = UNSET
    detail: FileDetail | None | Unset = UNSET
    prompt_cache_breakpoint: PromptCacheBreakpoint | None | Unset = UNSET

    @classmethod
    def from_bytes(cls, data: bytes, filename: str, *, media_type: str = "", max_bytes: int = MAX_BYTES) -> Self:
        """Put a file into the request, under a name. Raises ``ValueError``."""
        check_size(data, max_bytes, filename)
        media_type = media_type or media_type_of(data, filename)
        return cls(file_data=data_url(data, media_type), filename=filename)

    @classmethod
    def from_path(cls, path: str | PathLike[str], *, media_type: str = "", max_bytes: int = MAX_BYTES) -> Self:
        """Read a file, of ``max_bytes`` at most, into the request, under its own name. Raises ``ValueError``."""
        data = read_file(path, max_bytes)
        return cls.from_bytes(data, Path(path).name, media_type=media_type, max_bytes=max_bytes)


@model
class InputVideo(Model):
    """A video for the model: `input_video` (Open Responses: Content, Input)."""

    type: ClassVar[Literal["input_video"]] = "input_video"
    video_url: str
    """A web address, or a `data:` URL that holds the video."""


@model
class InputAudioData(Model):
    """The sound of an :class:`InputAudio`."""

    data: str
    """The sound file in Base64."""
    format: Literal["mp3", "wav"] | str


@model
class InputAudio(Model):
    """Sound for the model: `input_audio` (beyond today's specifications; servers with audio models take it)."""

    type: ClassVar[Literal["input_audio"]] = "input_audio"
    input_audio: InputAudioData

    @classmethod
    def from_bytes(cls, data: bytes, *, format: str = "", max_bytes: int = MAX_BYTES) -> Self:  # noqa: A002 - the wire's own name for it
        """Put sound into the request; its format, its first bytes tell. Raises ``ValueError``."""
        check_size(data, max_bytes, "the sound")
        subtype = format or media_type_of(data, family="audio").removeprefix("audio/")
        sound = b64encode(data).decode()
        return cls(input_audio=InputAudioData(data=sound, format={"mpeg": "mp3"}.get(subtype, subtype)))

    @classmethod
    def from_path(cls, path: str | PathLike[str], *, format: str = "", max_bytes: int = MAX_BYTES) -> Self:  # noqa: A002 - as above
        """Read sound, of ``max_bytes`` at most, into the request. Raises ``ValueError``."""
        data = read_file(path, max_bytes)
        format = format or media_type_of(data, fspath(path), family="audio").removeprefix("audio/")  # noqa: A001 - as above
        return cls.from_bytes(data, format=format, max_bytes=max_bytes)


@model
class ComputerScreenshot(Model):
    """What the screen of a driven computer shows: `computer_screenshot` (Items, Computer use)."""

    type: ClassVar[Literal["computer_screenshot"]] = "computer_screenshot"
    image_url: str | None | Unset = UNSET
    """A web address, or a `data:` URL that holds the image."""
    file_id: str | None | Unset = UNSET
    detail: ImageDetail | None | Unset = UNSET
    prompt_cache_breakpoint: PromptCacheBreakpoint | None | Unset = UNSET


# ---- what comes out


@model
class OutputText(Model):
    """Text from the model: `output_text` (Content, Output)."""

    type: ClassVar[Literal["output_text"]] = "output_text"
    text: str
    annotations: list[Annotation] | Unset = UNSET
    logprobs: list[LogProb] | None | Unset = UNSET


@model
class Refusal(Model):
    """The model declines, and says so in words: `refusal` (Content, Output)."""

    type: ClassVar[Literal["refusal"]] = "refusal"
    refusal: str


@model
class Text(Model):
    """Text of no particular direction, as conversations store it: `text` (Content)."""

    type: ClassVar[Literal["text"]] = "text"
    text: str


@model
class SummaryText(Model):
    """A piece of the summary of the model's reasoning: `summary_text` (Content, Reasoning)."""

    type: ClassVar[Literal["summary_text"]] = "summary_text"
    text: str


@model
class ReasoningText(Model):
    """A piece of the model's reasoning itself: `reasoning_text` (Content, Reasoning)."""

    type: ClassVar[Literal["reasoning_text"]] = "reasoning_text"
    text: str


Content: TypeAlias = (
    OutputText
    | InputText
    | ReasoningText
    | SummaryText
    | Refusal
    | InputImage
    | InputFile
    | InputVideo
    | InputAudio
    | ComputerScreenshot
    | Text
    | UnknownContent
)
"""Any content part, in any direction; open."""

CONTENT_TYPES: Final[dict[str, type[Content]]] = {
    part.type: part for part in get_args(Content) if not issubclass(part, Unknown)
}
"""Wire ``type`` of a content part -> its class."""

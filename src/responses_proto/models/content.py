"""Model content parts, annotations and log probabilities: what messages, reasoning and tool outputs consist of.

There is one class per wire ``type``, for every kind of item and for both directions. :data:`Content` is the open union of
all parts: match on the classes you know and keep the others.
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
    "EncryptedContent",
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
"""The level of detail at which the model processes an image."""

FileDetail: TypeAlias = Literal["low", "high", "auto"] | str
"""The level of detail at which the model processes the pages of a file."""


@model
class UnknownObject(Unknown):
    """An object with an unknown ``type`` in a union other than those of items, tools, content parts and events."""


@model
class UnknownContent(Unknown):
    """A content part with an unknown ``type``."""


# ---- annotations


@model
class UrlCitation(Model):
    """A web page cited by a span of the text: `url_citation` (Content, Annotations)."""

    type: ClassVar[Literal["url_citation"]] = "url_citation"
    url: str
    title: str
    start_index: int
    """First character of the span, counted in the part's text."""
    end_index: int
    """One past the last character of the span."""


@model
class FileCitation(Model):
    """An uploaded file cited at a point of the text: `file_citation` (Content, Annotations)."""

    type: ClassVar[Literal["file_citation"]] = "file_citation"
    file_id: str
    filename: str
    index: int
    """The file's place in the list of files."""


@model
class ContainerFileCitation(Model):
    """A file in a code container, cited by a span of the text: `container_file_citation` (Content, Annotations)."""

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
    """A generated file that the text refers to: `file_path` (Content, Annotations)."""

    type: ClassVar[Literal["file_path"]] = "file_path"
    file_id: str
    index: int
    """The file's place in the list of files."""


Annotation: TypeAlias = UrlCitation | FileCitation | ContainerFileCitation | FilePath | UnknownObject
"""An annotation of output text; an open union."""


# ---- log probabilities and cache marks


@model
class TopLogProb(Model):
    """One of the most likely tokens at a position (Content, Log probabilities)."""

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
    """The token as UTF-8; a token may hold part of a character. Absent in text deltas."""
    top_logprobs: list[TopLogProb] | None | Unset = UNSET
    """The most likely tokens at this position; only if requested."""


@model
class PromptCacheBreakpoint(Model):
    """A mark to cache the prompt up to and including this part (Prompt caching)."""

    mode: ClassVar[Literal["explicit"]] = "explicit"
    ttl: Literal["30m", "12h"] | str | None | Unset = UNSET
    """How long the prompt stays in the cache."""


# ---- input


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
        """Create the part with the image as a ``data:`` URL. Without ``media_type``, the first bytes determine it.

        Raises ``ValueError`` if the data is empty, larger than ``max_bytes`` or not recognized as an image.
        """
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
        """Create the part from an image file, as :meth:`from_bytes` does. Raises ``OSError`` if the file cannot be read."""
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
    """The file in Base64, plain or as a `data:` URL."""
    filename: str | None | Unset = UNSET
    detail: FileDetail | None | Unset = UNSET
    prompt_cache_breakpoint: PromptCacheBreakpoint | None | Unset = UNSET

    @classmethod
    def from_bytes(cls, data: bytes, filename: str, *, media_type: str = "", max_bytes: int = MAX_BYTES) -> Self:
        """Create the part with the file inline. Without ``media_type``, the first bytes or the file name determine it.

        Raises ``ValueError`` if the data is empty, larger than ``max_bytes`` or of an unknown media type.
        """
        check_size(data, max_bytes, filename)
        media_type = media_type or media_type_of(data, filename)
        return cls(file_data=data_url(data, media_type), filename=filename)

    @classmethod
    def from_path(cls, path: str | PathLike[str], *, media_type: str = "", max_bytes: int = MAX_BYTES) -> Self:
        """Create the part from a file, as :meth:`from_bytes` does. Raises ``OSError`` if the file cannot be read."""
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
    """The audio of an :class:`InputAudio`."""

    data: str
    """The audio file in Base64."""
    format: Literal["mp3", "wav"] | str


@model
class InputAudio(Model):
    """Audio for the model: `input_audio` (in no specification yet; servers with audio models accept it)."""

    type: ClassVar[Literal["input_audio"]] = "input_audio"
    input_audio: InputAudioData

    @classmethod
    def from_bytes(cls, data: bytes, *, format: str = "", max_bytes: int = MAX_BYTES) -> Self:  # noqa: A002 - the wire's name
        """Create the part with the audio inline. Without ``format``, the first bytes determine it.

        Raises ``ValueError`` if the data is empty, larger than ``max_bytes`` or not recognized as audio.
        """
        check_size(data, max_bytes, "the audio")
        subtype = format or media_type_of(data, family="audio").removeprefix("audio/")
        encoded = b64encode(data).decode()
        return cls(input_audio=InputAudioData(data=encoded, format={"mpeg": "mp3"}.get(subtype, subtype)))

    @classmethod
    def from_path(cls, path: str | PathLike[str], *, format: str = "", max_bytes: int = MAX_BYTES) -> Self:  # noqa: A002 - as above
        """Create the part from an audio file, as :meth:`from_bytes` does. Raises ``OSError`` if the file cannot be read."""
        data = read_file(path, max_bytes)
        format = format or media_type_of(data, fspath(path), family="audio").removeprefix("audio/")  # noqa: A001 - as above
        return cls.from_bytes(data, format=format, max_bytes=max_bytes)


@model
class ComputerScreenshot(Model):
    """A screenshot of a controlled computer: `computer_screenshot` (Items, Computer use)."""

    type: ClassVar[Literal["computer_screenshot"]] = "computer_screenshot"
    image_url: str | None | Unset = UNSET
    """A web address, or a `data:` URL that holds the image."""
    file_id: str | None | Unset = UNSET
    detail: ImageDetail | None | Unset = UNSET
    prompt_cache_breakpoint: PromptCacheBreakpoint | None | Unset = UNSET


# ---- output


@model
class OutputText(Model):
    """Text from the model: `output_text` (Content, Output)."""

    type: ClassVar[Literal["output_text"]] = "output_text"
    text: str
    annotations: list[Annotation] | None | Unset = UNSET
    logprobs: list[LogProb] | None | Unset = UNSET


@model
class Refusal(Model):
    """The text with which the model declines: `refusal` (Content, Output)."""

    type: ClassVar[Literal["refusal"]] = "refusal"
    refusal: str


@model
class Text(Model):
    """Text in either direction, as stored in conversations: `text` (Content)."""

    type: ClassVar[Literal["text"]] = "text"
    text: str


@model
class SummaryText(Model):
    """A part of the summary of the model's reasoning: `summary_text` (Content, Reasoning)."""

    type: ClassVar[Literal["summary_text"]] = "summary_text"
    text: str


@model
class ReasoningText(Model):
    """A part of the model's reasoning itself: `reasoning_text` (Content, Reasoning)."""

    type: ClassVar[Literal["reasoning_text"]] = "reasoning_text"
    text: str


@model
class EncryptedContent(Model):
    """Content that only the server can read, in messages between agents: `encrypted_content` (Multi-agent beta)."""

    type: ClassVar[Literal["encrypted_content"]] = "encrypted_content"
    encrypted_content: str


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
    | EncryptedContent
    | Text
    | UnknownContent
)
"""Any content part, input or output; an open union."""

CONTENT_TYPES: Final[dict[str, type[Content]]] = {
    part.type: part for part in get_args(Content) if not issubclass(part, Unknown)
}
"""Wire ``type`` of a content part -> its class."""

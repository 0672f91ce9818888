"""What a provider of Chat Completions answers, as the items of a response.

A :class:`ChatDecoder` reads the bytes of a stream, its chunks, or a whole completion, and writes the items into an
:class:`~responses_proto.protocol.Emitter`::

    emitter = Emitter(request, now=time.time())
    events = emitter.start()
    decoder = ChatDecoder(emitter, request, context, profile)
    async for data in body:
        events += decoder.receive_data(data)
    events += decoder.receive_eof()
    events += emitter.complete(decoder.usage)          # or incomplete(decoder.incomplete_reason), or fail(...) for decoder.error

It closes the items at the end of the provider's turn and leaves the response open, because another turn may follow: the caller may run
some of the calls itself, and ask the provider again.

Providers differ in how they write a turn, and the decoder recognizes what they write by its content, not by the provider. It never raises
for what a provider sends: what is wrong with it is in :attr:`ChatDecoder.error`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Literal, cast

from ..codec import default_backend
from ..exceptions import APIError, DecodeError, LimitExceeded
from ..limits import Limits
from ..models.items import ImageGenerationCall
from ..protocol._requests import weight_of
from ..protocol.api_errors import api_error_from, readable
from ..protocol.sse import SSEDecoder, begins_as_events, without_end_marker
from ..typing import UNSET
from ._calls import CallTable
from ._facts import (
    as_usage,
    citations,
    error_in,
    first_choice,
    image_urls,
    logprobs,
    mapping,
    merged_usage,
    objects,
    parts_of,
    reasoning_text,
    string,
    usage_of,
)
from ._think import ThinkSplitter
from ._tools import offered_tools
from .profiles import OPENAI

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..models.content import LogProb, UrlCitation
    from ..models.events import Event
    from ..models.items import CustomToolCall, FunctionCall, Item
    from ..models.request import CreateResponse
    from ..models.response import Usage
    from ..models.tools import FunctionTool
    from ..protocol.emitter import Emitter, MessageWriter, ReasoningWriter
    from ..protocol.sse import Frame
    from ._calls import HostedCallMade, McpCallMade
    from .profiles import ChatProfile

__all__ = ["INCOMPLETE_REASONS", "ChatDecoder"]

INCOMPLETE_REASONS: Final[Mapping[str, Literal["max_output_tokens", "content_filter"]]] = {
    "length": "max_output_tokens",
    "max_tokens": "max_output_tokens",
    "max_output_tokens": "max_output_tokens",
    "model_length": "max_output_tokens",
    "MAX_TOKENS": "max_output_tokens",
    "content_filter": "content_filter",
    "safety": "content_filter",
    "SAFETY": "content_filter",
    "recitation": "content_filter",
    "RECITATION": "content_filter",
    "refusal": "content_filter",
}
"""``finish_reason`` of a turn that ended early -> why the response is incomplete. Any other reason but ``error`` completes it."""

_BAD_GATEWAY: Final = 502


class ChatDecoder:
    """Reads one turn of a provider. Call :meth:`receive_data`, :meth:`receive_chunk` or :meth:`receive_completion`, then :meth:`receive_eof`.

    ``emitter`` must have been started. ``request``, ``context``, ``profile`` and ``hosted`` are those that
    :func:`~responses_proto.chat.to_chat` was called with: they tell the tools that the calls mean. ``limits`` bound what the provider
    sends; exceeding one is an :attr:`error`.
    """

    def __init__(
        self,
        emitter: Emitter,
        request: CreateResponse,
        context: Sequence[Item] = (),
        profile: ChatProfile = OPENAI,
        *,
        hosted: Mapping[str, FunctionTool] | None = None,
        limits: Limits | None = None,
    ) -> None:
        self._emitter = emitter
        self._limits = limits or Limits()
        self._sse = SSEDecoder(self._limits)
        self._start = b""  # of the body, until it is clear whether that is an event stream
        self._body: bytearray | None = None  # of a body that is none
        self._is_stream = False
        self._kept = 0  # bytes of what the provider said, about
        self._splitter = ThinkSplitter(profile.think_tags, is_open=profile.think_open)
        self._events: list[Event] = []
        self._reasoning: ReasoningWriter | None = None
        self._message: MessageWriter | None = None
        self._said = False  # whether any item was written
        self._details: list[Any] = []
        self._audio: dict[str, Any] = {}
        self._logprobs: list[LogProb] = []
        self._citations: list[UrlCitation] = []
        self._calls = CallTable(emitter, offered_tools(request, context, hosted), context)
        self._usage: Mapping[str, Any] = {}
        self.ended: bool = False
        """Whether the turn is over, in any way. What the provider sends after that is ignored."""
        self.finish_reason: str | None = None
        """Why the provider ended its turn, in its own word; ``None`` if it did not say."""
        self.error: APIError | None = None
        """What went wrong: the provider's error, or what is wrong with its answer."""
        self.id: str = ""
        """The provider's id of its answer; empty if it gave none."""
        self.model: str = ""
        """The model that answered, as the provider names it; empty if it does not."""
        self.service_tier: str = ""
        """The class of processing that was used; empty if the provider does not say."""

    # What came of it

    @property
    def usage(self) -> Usage | None:
        """The tokens of this turn; ``None`` if the provider did not say."""
        return as_usage(self._usage) if self._usage else None

    @property
    def incomplete_reason(self) -> str | None:
        """Why the turn ended early: ``max_output_tokens`` or ``content_filter``; ``None`` if it did not."""
        return INCOMPLETE_REASONS.get(self.finish_reason or "")

    @property
    def calls(self) -> list[FunctionCall | CustomToolCall]:
        """The calls that the client must answer."""
        return self._calls.client_calls

    @property
    def mcp_calls(self) -> list[McpCallMade]:
        """The calls of MCP tools, which the server runs."""
        return self._calls.mcp_calls

    @property
    def hosted_calls(self) -> list[HostedCallMade]:
        """The calls of tools of ``hosted``, which the server runs. They have no item yet."""
        return self._calls.hosted_calls

    # Input

    def receive_data(self, data: bytes) -> list[Event]:
        """Receive the next bytes of the body. Return the new events. Call :meth:`receive_eof` after the last ones.

        The body is an event stream, or JSON if the provider does not stream.
        """
        if not self.ended:
            try:
                self._receive(data)
            except LimitExceeded as error:
                self._exceeded(error)
        return self._taken()

    def receive_chunk(self, chunk: Mapping[str, Any]) -> list[Event]:
        """Receive one chunk of a stream, decoded. Return the new events."""
        if not self.ended:
            try:
                self._read(chunk)
            except LimitExceeded as error:
                self._exceeded(error)
        return self._taken()

    def receive_completion(self, completion: Mapping[str, Any]) -> list[Event]:
        """Receive a whole completion, decoded. Return its events. The turn is over."""
        if not self.ended:
            try:
                self._read(completion)
                self._finish(whole=True)
            except LimitExceeded as error:
                self._exceeded(error)
        return self._taken()

    def receive_eof(self) -> list[Event]:
        """End the input, and the turn. Return the last events.

        A turn that ended without a ``finish_reason`` and without ``[DONE]`` is an :attr:`error`.
        """
        if not self.ended:
            try:
                self._receive_rest()
            except LimitExceeded as error:
                self._exceeded(error)
        if not self.ended:
            self._finish(whole=False)
        return self._taken()

    def _taken(self) -> list[Event]:
        events, self._events = self._events, []
        return events

    def _exceeded(self, error: LimitExceeded) -> None:
        self._fail(_bad_answer(f"The provider's answer is too large: {error}", cause=error))

    # Bytes

    def _receive(self, data: bytes) -> None:
        if self._body is not None:
            self._body += data
            self._limits.check("max_buffered_bytes", len(self._body))
            return
        if not self._is_stream:
            data = self._start + data
            self._start = b""
            found = begins_as_events(data)
            if found is None:
                self._start = data
                return
            if not found:
                self._body = bytearray()
                self._receive(data)
                return
            self._is_stream = True
        for block in self._sse.blocks(data):
            self._receive_block(block)

    def _receive_block(self, block: bytes) -> None:
        frame = None if self.ended else self._sse.parse(block)
        if frame is not None:
            self._receive_frame(frame)

    def _receive_frame(self, frame: Frame) -> None:
        data = frame.data.strip()
        if data == b"[DONE]":
            self._finish(whole=True)
            return
        if not data:
            return
        event = frame.event.decode("utf-8", "replace")
        value = self._json(data)
        if isinstance(value, Mapping):
            self._read(cast("Mapping[str, Any]", value), event)
        elif event == "error" or value is UNSET:
            text = data.decode("utf-8", "replace")
            if event == "error":
                self._fail(api_error_from(text))
            else:
                self._fail(_bad_answer(f"The provider sent a chunk that is not JSON: {readable(text, 200)}"))

    def _receive_rest(self) -> None:
        if self._body is None and not self._is_stream:
            self._body = bytearray(self._start)
        if self._body is None:
            rest = self._sse.eof()
            if rest:
                self._receive_block(rest)
            return
        body = without_end_marker(bytes(self._body)).strip()
        value = self._json(body)
        chunk = mapping(value)
        if "choices" in chunk or error_in(chunk) is not None:
            self._read(chunk)
            if not self.ended:
                self._finish(whole=True)
        elif isinstance(value, list):
            self._fail(api_error_from(cast("list[Any]", value)))  # Gemini writes an error so
        elif body:
            text = body.decode("utf-8", "replace")
            self._fail(
                _bad_answer(f"The provider answered with something else than a completion: {readable(text, 200)}")
            )

    def _json(self, data: bytes) -> Any:
        try:
            return default_backend().loads(data, self._limits.max_nesting, self._limits.max_json_values)
        except DecodeError:
            return UNSET

    # Chunks

    def _read(self, chunk: Mapping[str, Any], event: str = "") -> None:
        self.id = self.id or string(chunk.get("id"))
        self.model = string(chunk.get("model")) or self.model
        self.service_tier = string(chunk.get("service_tier")) or self.service_tier
        usage = usage_of(chunk)
        if usage:
            self._usage = merged_usage(self._usage, usage)
        choice = first_choice(chunk)
        whole = isinstance(choice.get("message"), dict)
        delta = mapping(choice.get("message" if whole else "delta"))
        if delta:
            self._read_delta(delta, choice, whole=whole)
        self.finish_reason = string(choice.get("finish_reason")) or self.finish_reason
        error = error_in(chunk, event)
        if error is not None:
            self._fail(api_error_from(error))

    def _read_delta(self, delta: Mapping[str, Any], choice: Mapping[str, Any], *, whole: bool) -> None:
        self._read_reasoning(delta)
        found = logprobs(choice)
        calls = objects(delta.get("tool_calls"))
        legacy = mapping(delta.get("function_call"))
        if found and (delta.get("content") or not (reasoning_text(delta) or calls or legacy)):
            self._keep(found)
            self._logprobs += found
        for kind, text in parts_of(delta.get("content")):
            self._add(kind, text)
        self._add("refusal", string(delta.get("refusal")))
        self._read_audio(mapping(delta.get("audio")))
        for url in image_urls(delta):
            self._add("image", url)
        cited = citations(delta)
        if cited:
            self._keep(cited)
            self._citations += cited
            self._cite()
        for call in [*calls, *([{"type": "function", "function": legacy}] if legacy else ())]:
            self._flush_text()
            self._close_message()
            self._said = True
            self._keep(call)
            self._limits.check("max_output_items", self._calls.size + 1)
            self._events += self._calls.read(call, whole=whole)

    def _read_reasoning(self, delta: Mapping[str, Any]) -> None:
        text = reasoning_text(delta)
        if text:
            self._reason(text)
        details = objects(delta.get("reasoning_details"))
        if details:
            self._keep(details)
            self._details += details
        for detail in () if text else details:
            if detail.get("type") == "reasoning.summary":
                self._summarize(string(detail.get("summary")))
            else:
                self._reason(string(detail.get("text")))

    def _read_audio(self, audio: Mapping[str, Any]) -> None:
        if not audio:
            return
        self._keep(audio)
        data, transcript = string(audio.get("data")), string(audio.get("transcript"))
        for name, value in audio.items():
            if name in ("data", "transcript"):
                self._audio.setdefault(name, []).append(string(value))
            else:
                self._audio[name] = value
        if data or transcript:
            self._events += self._emitter.audio(data, transcript)
        self._say(transcript)
        self._open_message()

    # Text

    def _add(self, kind: str, text: str) -> None:
        if kind == "text":
            for piece, said in self._splitter.feed(text):
                self._reason(said) if piece == "reasoning" else self._say(said)
        elif not text:
            return
        elif kind == "reasoning":
            self._reason(text)
        elif kind == "refusal":
            self._keep(text)
            self._events += self._open_message().refusal(text)
        else:
            self._show(text)

    def _flush_text(self) -> None:
        for piece, said in self._splitter.end():
            self._reason(said) if piece == "reasoning" else self._say(said)

    def _say(self, text: str) -> None:
        if text:
            self._keep(text)
            found, self._logprobs = self._logprobs, []
            self._events += self._open_message().text(text, logprobs=found)
            self._cite()

    def _cite(self) -> None:
        """Add the waiting citations to the text, if there is one."""
        if self._message is not None:
            waiting, self._citations = self._citations, []
            for citation in waiting:
                self._events += self._message.annotation(citation)

    def _reason(self, text: str) -> None:
        if text:
            self._keep(text)
            self._events += self._open_reasoning().text(text)

    def _summarize(self, text: str) -> None:
        if text:
            self._keep(text)
            self._events += self._open_reasoning().summary(text)

    def _show(self, url: str) -> None:
        self._keep(url)
        self._flush_text()
        self._close_message()
        self._said = True
        head, _, data = url.partition(";base64,")
        inline = head.startswith("data:image/") and data
        image = ImageGenerationCall(
            id=self._emitter.ids("ig"),
            status="completed",
            result=data if inline else UNSET,
            output_format=head.removeprefix("data:image/") if inline else UNSET,
            extra={} if inline else {"image_url": url},
        )
        self._events += self._emitter.item(image)

    def _open_message(self) -> MessageWriter:
        self._close_reasoning()
        if self._message is None:
            self._said = True
            self._message = self._emitter.message()
        return self._message

    def _open_reasoning(self) -> ReasoningWriter:
        self._close_message()
        if self._reasoning is None:
            self._said = True
            self._reasoning = self._emitter.reasoning()
        return self._reasoning

    def _close_message(self, status: str = "completed") -> None:
        self._close_reasoning(status)
        message, self._message = self._message, None
        if message is not None:
            message.close(status)
            self._events += self._emitter.events()

    def _close_reasoning(self, status: str = "completed") -> None:
        writer, self._reasoning = self._reasoning, None
        if writer is not None:
            writer.close(status)
            self._events += self._emitter.events()

    def _keep(self, said: object) -> None:
        self._kept += weight_of(said)
        self._limits.check("max_response_bytes", self._kept)

    # The end

    def _finish(self, *, whole: bool) -> None:
        """End the turn. ``whole`` says whether the provider has said that it has ended."""
        if self.finish_reason == "error":
            self._fail(_bad_answer("The provider ended its answer with an error, without saying which."))
            return
        if not whole and self.finish_reason is None:
            self._fail(_bad_answer("The provider's answer ended in the middle."))
            return
        self._flush_text()
        self._close_all("completed" if self.incomplete_reason is None else "incomplete")

    def _fail(self, error: APIError) -> None:
        self._flush_text()
        self.error = error
        self._close_all("incomplete")

    def _close_all(self, status: str) -> None:
        self.ended = True
        self._close_message(status)
        self._events += self._calls.close(status)


def _bad_answer(message: str, *, cause: Exception | None = None) -> APIError:
    error = APIError.for_status(_BAD_GATEWAY)(message, status=_BAD_GATEWAY, type="server_error", code="server_error")
    error.__cause__ = cause
    return error

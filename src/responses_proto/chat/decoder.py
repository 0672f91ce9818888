"""Translate the answers of a provider of Chat Completions into the items of a response.

A :class:`ChatDecoder` reads the bytes of a stream, its chunks, or a whole completion, and writes the items into an
:class:`~responses_proto.protocol.Emitter`::

    emitter = Emitter(request, now=time.time())
    events = emitter.start()
    decoder = ChatDecoder(emitter, request, context, profile)
    async for data in body:
        events += decoder.receive_data(data)
    events += decoder.receive_eof()
    events += emitter.complete(decoder.usage)          # or incomplete(decoder.incomplete_reason), or fail(...) for decoder.error

It closes the items at the end of the provider's turn, and leaves the response open, because another turn may follow: the caller may run
some of the calls itself, and call the provider again.

Providers differ in how they write a turn. The decoder recognizes the variants by their content, not by the provider. It never raises
because of invalid input from a provider: errors are reported in :attr:`ChatDecoder.error`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, ParamSpec, cast

from ..codec import default_backend, dumps
from ..exceptions import APIError, DecodeError, LimitExceeded
from ..limits import Limits
from ..models.items import ImageGenerationCall
from ..protocol._requests import weight_of
from ..protocol.api_errors import api_error_from, readable
from ..protocol.sse import SSEDecoder, begins_as_events, is_end_marker, without_end_marker
from ..typing import UNSET
from ._calls import CallTable, says_something
from ._facts import (
    REASONING_FIELDS,
    as_usage,
    choices_of,
    citations,
    error_in,
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
from ._messages import DETAILS_PREFIX
from ._think import ThinkSplitter
from ._tools import offered_tools
from .profiles import OPENAI

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

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

__all__ = ["ENDINGS", "ChatDecoder"]

ENDINGS: Final[Mapping[str, Literal["max_output_tokens", "content_filter", "error"]]] = {
    "length": "max_output_tokens",
    "max_tokens": "max_output_tokens",
    "max_output_tokens": "max_output_tokens",
    "model_length": "max_output_tokens",
    "model_context_window_exceeded": "max_output_tokens",
    "content_filter": "content_filter",
    "safety": "content_filter",
    "sensitive": "content_filter",
    "recitation": "content_filter",
    "prohibited_content": "content_filter",
    "blocklist": "content_filter",
    "spii": "content_filter",
    "refusal": "content_filter",
    "error": "error",
    "abort": "error",
    "network_error": "error",
    "insufficient_system_resource": "error",
    "malformed_function_call": "error",
    "function_call_filter": "error",
}
"""``finish_reason`` of a turn that ended early -> reason of the incomplete response, or ``error`` if it has failed. With any other
``finish_reason``, the turn is complete. Case, and text after a colon, are ignored."""

_BAD_GATEWAY: Final = 502
_NO_DETAIL: Final[dict[str, Any]] = {}
_REASONING: Final = (*REASONING_FIELDS, "reasoning_details")

P = ParamSpec("P")


class ChatDecoder:
    """Reads one turn of a provider.

    Call :meth:`receive_data`, :meth:`receive_chunk` or :meth:`receive_completion`, then :meth:`receive_eof`. ``emitter`` must have been
    started. ``request``, ``context``, ``profile`` and ``hosted`` must be the arguments of :func:`~responses_proto.chat.to_chat`: they
    determine the tools that the calls refer to. ``limits`` bound the provider's input; exceeding a limit sets :attr:`error`.
    """

    def __init__(
        self,
        emitter: Emitter,
        request: CreateResponse,
        context: Sequence[Item] = (),
        profile: ChatProfile = OPENAI,
        *,
        hosted: Mapping[str, FunctionTool | None] | None = None,
        limits: Limits | None = None,
    ) -> None:
        self._emitter = emitter
        self._limits = limits or Limits()
        self._sse = SSEDecoder(self._limits)
        self._start = b""  # of the body, until it is clear whether the body is an event stream
        self._body: bytearray | None = None  # of a body that is not an event stream
        self._is_stream = False
        self._kept = 0  # approximate bytes of the provider's output
        self._items = 0  # messages, reasoning and images that were opened
        self._parts = 0  # content parts of the message, and its citations
        self._splitter = ThinkSplitter(profile.think_tags, is_open=profile.think_open)
        self._events: list[Event] = []
        self._reasoning: ReasoningWriter | None = None
        self._message: MessageWriter | None = None
        self._in_text = False  # whether the open part of the message is a text
        self._details: list[tuple[dict[str, Any], list[str]]] = []  # each with the pieces of its text
        self._audio: dict[str, Any] = {}
        self._audio_pieces: dict[str, list[str]] = {"data": [], "transcript": []}
        self._logprobs: list[LogProb] = []
        self._citations: list[UrlCitation] = []  # that wait for text
        self._cited: set[tuple[str, str, int, int]] = set()
        self._calls = CallTable(emitter, offered_tools(request, context, hosted), context)
        self._usage: Mapping[str, Any] = {}
        self._choice: object = None  # the index of the choice to read, once known
        self._deltas: set[str] = set()  # the fields that deltas have contained
        self._content: list[str] = []  # the content of all deltas, including reasoning between tags
        self._images: set[str] = set()
        self._last_chunk: Mapping[str, Any] = {}
        self.ended: bool = False
        """Whether the turn is over, for any reason. Later input is ignored."""
        self.finish_reason: str | None = None
        """The provider's ``finish_reason`` for the turn; ``None`` if it sent none."""
        self.error: APIError | None = None
        """The error sent by the provider or found in its answer; ``None`` if there is none."""
        self.id: str = ""
        """The provider's id of the answer; empty if it sent none."""
        self.model: str = ""
        """The provider's name of the model that answered; empty if it sent none."""
        self.service_tier: str = ""
        """The processing tier that was used; empty if the provider sent none."""

    # Results

    @property
    def usage(self) -> Usage | None:
        """The token usage of this turn; ``None`` if the provider sent none."""
        return as_usage(self._usage) if self._usage else None

    @property
    def incomplete_reason(self) -> str | None:
        """Why the turn is incomplete: ``max_output_tokens`` or ``content_filter``; ``None`` if it is not."""
        reason = _ending(self.finish_reason)
        return None if reason == "error" else reason

    @property
    def calls(self) -> list[FunctionCall | CustomToolCall]:
        """The calls that the client must answer."""
        return self._calls.client_calls

    @property
    def mcp_calls(self) -> list[McpCallMade]:
        """The calls of MCP tools, which the server must run."""
        return self._calls.mcp_calls

    @property
    def hosted_calls(self) -> list[HostedCallMade]:
        """The calls of ``hosted`` tools, which the server must run. They have no item yet."""
        return self._calls.hosted_calls

    # Input

    def receive_data(self, data: bytes) -> list[Event]:
        """Receive the next bytes of the body. Return the new events. Call :meth:`receive_eof` after the last bytes.

        The body is an event stream, or JSON if the provider does not stream.
        """
        return self._read_within_limits(self._receive, data)

    def receive_chunk(self, chunk: Mapping[str, Any]) -> list[Event]:
        """Receive one chunk of a stream, decoded. Return the new events."""
        return self._read_within_limits(self._read, chunk)

    def receive_completion(self, completion: Mapping[str, Any]) -> list[Event]:
        """Receive a whole completion, decoded. Return its events. This ends the turn."""
        return self._read_within_limits(self._read_completion, completion)

    def receive_eof(self) -> list[Event]:
        """End the input, and the turn. Return the last events.

        A turn that ends without a ``finish_reason`` or ``[DONE]`` sets :attr:`error`.
        """
        return self._read_within_limits(self._receive_rest)

    def _read_within_limits(self, read: Callable[P, None], *args: P.args, **kwargs: P.kwargs) -> list[Event]:
        """Call ``read``, unless the turn is over. Return the new events, even if a limit was exceeded."""
        if not self.ended:
            try:
                read(*args, **kwargs)
            except LimitExceeded as error:
                self._splitter = ThinkSplitter(())  # pending text is dropped
                self._citations.clear()
                self._logprobs.clear()
                self._fail(_bad_answer(f"The provider's answer is too large: {error}", cause=error))
        events, self._events = self._events, []
        return events

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
        if is_end_marker(data):
            self._finish(whole=True)
            return
        if not data:
            return
        event = frame.event.decode("utf-8", "replace")
        value = self._json(data)
        if isinstance(value, dict):
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
            self._receive_block(self._sse.eof())
            if not self.ended:
                self._finish(whole=False)
            return
        body = without_end_marker(bytes(self._body)).strip()
        value: Any = self._json(body)
        chunk = mapping(value)
        if not body:
            self._finish(whole=False)
        elif "choices" in chunk or error_in(chunk, {}) is not None:
            self._read_completion(chunk)
        elif body.startswith(b"[") and value is not UNSET:
            self._fail(api_error_from(value))  # Gemini sends errors in this form
        else:
            text = body.decode("utf-8", "replace")
            self._fail(
                _bad_answer(f"The provider answered with something other than a completion: {readable(text, 200)}")
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
        self._last_chunk = chunk
        choices = choices_of(chunk, self._choice)
        if choices and self._choice is None:
            self._choice = choices[0].get("index") or 0
        for choice in choices or [_NO_DETAIL]:
            usage = usage_of(chunk, choice)
            if usage:
                self._usage = merged_usage(self._usage, usage)
            self._read_choice(choice)
            reason = string(choice.get("finish_reason"))
            if reason and _ending(self.finish_reason) is None:
                self.finish_reason = reason
            error = error_in(chunk, choice, event)
            if error is not None:
                self._fail(api_error_from(error))
                return
        if chunk.get("citations"):
            self._read_citations(chunk)

    def _read_choice(self, choice: Mapping[str, Any]) -> None:
        delta = mapping(choice.get("delta"))
        said = [name for name, value in delta.items() if value and name != "role"]
        whole = not said and isinstance(choice.get("message"), dict)
        if whole:
            delta = self._unsaid(mapping(choice.get("message")))
            said = [name for name, value in delta.items() if value and name != "role"]
        elif not self._deltas.issuperset(said):
            self._deltas.update(said)
        if said == ["content"] and not choice.get("logprobs"):  # most chunks are like this
            self._read_content(delta["content"])
        elif said:
            self._read_delta(delta, choice, whole=whole)
        elif choice.get("logprobs"):
            self._keep_logprobs(logprobs(choice))
        else:
            self._add("text", string(choice.get("text")))  # as in the legacy completions API

    def _unsaid(self, message: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the parts of a message that no delta has contained. Some providers repeat all deltas as a message at the end."""
        said = self._deltas
        if not said:
            return message
        if any(name in said for name in _REASONING):
            said = said.union(_REASONING)
        if "tool_calls" in said or "function_call" in said:
            said = said.union(("tool_calls", "function_call"))
        rest = {name: value for name, value in message.items() if name not in said}
        content, before = message.get("content"), "".join(self._content)
        if "content" in said and isinstance(content, str) and content.startswith(before):
            rest["content"] = content[len(before) :]
        return rest

    def _read_completion(self, completion: Mapping[str, Any]) -> None:
        self._read(completion)
        if not self.ended:
            self._finish(whole=True)

    def _read_delta(self, delta: Mapping[str, Any], choice: Mapping[str, Any], *, whole: bool) -> None:
        self._read_reasoning(delta)
        found = logprobs(choice)
        single = mapping(delta.get("tool_calls"))  # some providers send a single call without a list
        calls = [call for call in ([single] if single else objects(delta.get("tool_calls"))) if says_something(call)]
        legacy = mapping(delta.get("function_call"))
        if not calls and says_something(legacy):
            calls = [{"type": "function", "function": legacy}]
        if delta.get("content") or not (reasoning_text(delta) or calls):
            self._keep_logprobs(found)
        self._read_content(delta.get("content"))
        self._add("refusal", string(delta.get("refusal")))
        self._read_audio(mapping(delta.get("audio")))
        self._read_citations(delta)
        for url in image_urls(delta):
            if not whole or url not in self._images:
                self._add("image", url)
        for place, call in enumerate(calls):
            self._flush_text()
            self._close_message()
            self._keep(call)
            self._limits.check("max_output_items", self._items + self._calls.size + 1)
            self._events += self._calls.read(call, whole=whole, place=place if len(calls) > 1 else None)

    def _read_citations(self, source: Mapping[str, Any]) -> None:
        # Some providers repeat all citations in each chunk.
        cited: list[UrlCitation] = []
        for one in citations(source):
            key = (one.url, one.title, one.start_index, one.end_index)
            if key not in self._cited:
                self._cited.add(key)
                cited.append(one)
        if cited:
            self._keep(cited)
            self._citations += cited
            self._cite()

    def _read_content(self, content: object) -> None:
        if isinstance(content, str):
            self._content.append(content)
            self._add("text", content)
            return
        for kind, text in parts_of(content):
            self._add(kind, text)

    def _keep_logprobs(self, found: list[LogProb]) -> None:
        self._keep(found)
        self._logprobs += found

    def _read_reasoning(self, delta: Mapping[str, Any]) -> None:
        text = reasoning_text(delta)
        if text:
            self._reason(text)
        for detail in objects(delta.get("reasoning_details")):
            self._keep(detail)
            self._add_detail(dict(detail), said=bool(text))

    def _add_detail(self, detail: dict[str, Any], *, said: bool) -> None:
        """Read one entry of ``reasoning_details``. ``said`` states whether its text has been read from another field."""
        if not said:
            self._summarize(string(detail.get("summary")))
            self._reason(string(detail.get("text")))
        if _is_sealed(detail):
            self._open_reasoning()
        last, pieces = self._details[-1] if self._details else (_NO_DETAIL, [])
        if detail.get("type") == "reasoning.text" and all(
            last.get(key) == detail.get(key) for key in ("type", "index")
        ):
            pieces.append(string(detail.get("text")))
            self._details[-1] = ({**last, **detail}, pieces)
        else:
            self._details.append((detail, [string(detail.get("text"))]))

    def _read_audio(self, audio: Mapping[str, Any]) -> None:
        if not audio:
            return
        self._keep(audio)
        data, transcript = string(audio.get("data")), string(audio.get("transcript"))
        self._audio |= audio
        self._audio_pieces["data"].append(data)
        self._audio_pieces["transcript"].append(transcript)
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
            self._begin_part(text=False)
            self._events += self._open_message().refusal(text)
        else:
            self._show(text)

    def _flush_text(self) -> None:
        for piece, said in self._splitter.end():
            self._reason(said) if piece == "reasoning" else self._say(said)

    def _say(self, text: str) -> None:
        if text:
            self._keep(text)
            self._add_text(text)
            self._cite()

    def _add_text(self, text: str) -> None:
        found, self._logprobs = self._logprobs, []
        self._begin_part(text=True)
        self._events += self._open_message().text(text, logprobs=found)

    def _begin_part(self, *, text: bool) -> None:
        if text is not self._in_text:
            self._in_text = text
            self._count_part()

    def _count_part(self) -> None:
        self._parts += 1
        self._limits.check("max_content_parts", self._parts)

    def _cite(self) -> None:
        """Add the pending citations to the open text part, if there is one."""
        if self._message is not None and self._in_text:
            waiting, self._citations = self._citations, []
            for citation in waiting:
                self._count_part()
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
        self._count_item()
        self._images.add(url)
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
            self._count_item()
            self._message = self._emitter.message()
        return self._message

    def _open_reasoning(self) -> ReasoningWriter:
        if self._reasoning is None:
            self._close_message()
            self._count_item()
            self._reasoning = self._emitter.reasoning()
        return self._reasoning

    def _close_message(self, status: str = "completed") -> None:
        self._close_reasoning(status)
        if self._message is None:
            return
        if self._logprobs or (self._citations and not self._in_text):
            self._add_text("")
        self._cite()
        message, self._message = self._message, None
        self._in_text, self._parts = False, 0
        if self._audio:
            joined = {name: "".join(pieces) for name, pieces in self._audio_pieces.items()}
            message.extend({"audio": {**self._audio, **joined}})
            self._audio = {}
        message.close(status)
        self._events += self._emitter.events()

    def _close_reasoning(self, status: str = "completed") -> None:
        writer, self._reasoning = self._reasoning, None
        if writer is None:
            return
        details, self._details = self._details, []
        if status == "completed" and any(_is_sealed(detail) for detail, _ in details):
            whole = [detail | ({"text": "".join(pieces)} if "text" in detail else {}) for detail, pieces in details]
            sealed = DETAILS_PREFIX + dumps(whole).decode()
            self._events += writer.done(encrypted_content=sealed)
        else:
            writer.close(status)
            self._events += self._emitter.events()

    def _count_item(self) -> None:
        self._items += 1
        self._limits.check("max_output_items", self._items + self._calls.size)

    def _keep(self, said: object) -> None:
        self._kept += len(said) if isinstance(said, str) else weight_of(said)
        self._limits.check("max_response_bytes", self._kept)

    # The end

    def _finish(self, *, whole: bool) -> None:
        """End the turn. ``whole`` states whether the provider has marked its end."""
        if _ending(self.finish_reason) == "error":
            said = "" if self.finish_reason == "error" else f": {readable(self.finish_reason or '', 200)}"
            self._fail(_bad_answer(f"The provider ended its answer with an unspecified error{said}."))
            return
        if not whole and self.finish_reason is None:
            self._fail(_bad_answer("The provider's answer ended in the middle."))
            return
        if self._choice is None:
            said = f": {readable(dumps(self._last_chunk).decode(), 200)}" if self._last_chunk else "."
            self._fail(_bad_answer(f"The answer of the provider has no choices{said}"))
            return
        self._flush_text()
        silent = not self._items and not self._calls.size and self.incomplete_reason is None
        if silent or self._citations:
            self._add_text("")  # an empty answer becomes an empty text
        self._close_all("completed" if self.incomplete_reason is None else "incomplete")

    def _fail(self, error: APIError) -> None:
        self._flush_text()
        self.error = error
        self._close_all("incomplete")

    def _close_all(self, status: str) -> None:
        self.ended = True
        self._close_message(status)
        self._events += self._calls.close(status)


def _ending(reason: str | None) -> Literal["max_output_tokens", "content_filter", "error"] | None:
    return ENDINGS.get((reason or "").partition(":")[0].strip().lower())


def _is_sealed(detail: Mapping[str, Any]) -> bool:
    """Return whether a reasoning detail contains more than text, so that it must be sent back to the provider unchanged."""
    return bool(detail.get("signature") or detail.get("data"))


def _bad_answer(message: str, *, cause: Exception | None = None) -> APIError:
    error = APIError.for_status(_BAD_GATEWAY)(message, status=_BAD_GATEWAY, type="server_error", code="server_error")
    error.__cause__ = cause
    return error

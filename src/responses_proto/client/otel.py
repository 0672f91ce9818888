"""Trace a client's model calls, by OpenTelemetry's semantic conventions for generative AI. Needs the extra ``otel``.

::

    client = ResponsesClient(base_url=..., hooks=otel_hooks())

The span of a call is created after the call has ended, with the start and end times of the call. So no span can be left open or
ended twice, however the call ends. Attributes that need the request are also computed then. The span's parent is the span that was current
when the request was sent.
"""

from __future__ import annotations

import json
import re
import time
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeGuard, cast
from urllib.parse import SplitResult, urlsplit

import attrs

from .._version import __version__
from ..codec import default_converter
from ..codec._json import compact
from ..exceptions import APIError
from ..providers import PROVIDERS
from .hooks import Hooks

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from opentelemetry.context import Context
    from opentelemetry.trace import SpanKind, StatusCode, Tracer, TracerProvider

    from ..models.response import Response, Usage
    from .hooks import CallFinished
    from .transport.base import WireRequest

__all__ = ["otel_hooks"]

_Attributes: TypeAlias = "dict[str, str | bool | int | float | Sequence[str]]"
_Wire: TypeAlias = dict[str, Any]

_OPERATIONS: Final = {"responses.create": "chat", "responses.stream": "chat", "responses.successor": "chat"}
"""Operation of a call -> ``gen_ai.operation.name``. Resuming is not listed, because its tokens would be counted twice."""

_PARAMETERS: Final[Mapping[str, tuple[str, type[str | int | float]]]] = {
    "model": ("gen_ai.request.model", str),
    "max_output_tokens": ("gen_ai.request.max_tokens", int),
    "temperature": ("gen_ai.request.temperature", float),
    "top_p": ("gen_ai.request.top_p", float),
    "frequency_penalty": ("gen_ai.request.frequency_penalty", float),
    "presence_penalty": ("gen_ai.request.presence_penalty", float),
}
"""Field of a request -> the attribute's name and type."""

_OUTPUT_TYPES: Final = {"text": "text", "json_object": "json", "json_schema": "json"}
"""Type of the requested text format -> ``gen_ai.output.type``."""

_PROVIDER_NAMES: Final = {"azure": "azure.ai.openai", "xai": "x_ai"}
"""Name of a provider -> ``gen_ai.provider.name``, where the two differ."""

_FINISH_REASONS: Final = {"max_output_tokens": "length", "content_filter": "content_filter"}
"""Reason of an incomplete response -> finish reason."""

_MAX_PARSED: Final = 64 * 1024
"""Bytes up to which a request is parsed for its parameters, because parsing megabytes would block the event loop. From a longer
request, only the model is read, and only if it is the first field, which is where ``CreateResponse`` writes it."""
_MODEL_FIRST: Final = re.compile(rb'\s*\{\s*"model"\s*:\s*("(?:[^"\\]|\\.){0,1000}+")')

_MAX_REMEMBERED: Final = 10_000
"""The largest number of requests that are kept. Those of streams that are never closed would otherwise be kept for ever."""


def otel_hooks(tracer_provider: TracerProvider | None = None, *, capture_content: bool = False) -> Hooks:
    """Return hooks that create one span for each ``create``, ``parse`` and ``stream``; other calls have none.

    Pass them to ``ResponsesClient(hooks=...)``. A span covers all attempts, from the start of the call to the end of the response,
    and is named ``chat {model}``. The time to the first chunk, in seconds, is that of a stream's first event. Errors are recorded
    by their code or type.

    - ``tracer_provider``: receives the spans; by default the global one.
    - ``capture_content``: also record inputs, outputs and error messages. The content is JSON in
      ``gen_ai.input.messages``, ``gen_ai.system_instructions`` and ``gen_ai.output.messages``, without binary data. Every request
      is then parsed, however large it is.

    Raises ``ImportError`` if the extra ``otel`` is not installed.
    """
    try:
        from opentelemetry import context, trace  # noqa: PLC0415 - an optional dependency
    except ImportError as error:
        raise ImportError("otel_hooks needs opentelemetry-api: pip install 'responses-proto[otel]'") from error

    tracing = _Tracing(
        tracer=trace.get_tracer("responses_proto", __version__, tracer_provider),
        kind=trace.SpanKind.CLIENT,
        error=trace.StatusCode.ERROR,
        current_context=context.get_current,
        capture_content=capture_content,
        providers=_providers(),
    )
    return Hooks(on_request=tracing.on_request, on_outcome=tracing.on_outcome)


@attrs.define(eq=False, kw_only=True)
class _Tracing:
    """The hooks and their shared state."""

    tracer: Tracer
    kind: SpanKind
    error: StatusCode
    current_context: Callable[[], Context]
    capture_content: bool
    providers: Mapping[str, str]
    sent: dict[int, tuple[WireRequest, Context]] = attrs.field(
        factory=dict[int, "tuple[WireRequest, Context]"], repr=False
    )
    """The requests of unfinished calls, with the context in which each was sent. Keyed by ``id()``, which is only unique as long
    as the request is kept."""

    def on_request(self, request: WireRequest) -> None:
        if request.method == "GET":  # a call that has no span
            return
        self.sent[id(request)] = request, self.current_context()
        if len(self.sent) > _MAX_REMEMBERED:
            self.sent.pop(next(iter(self.sent)), None)

    def on_outcome(self, end: CallFinished) -> None:
        now = time.time_ns()
        request = end.request
        _, context = self.sent.pop(id(request), (None, None))
        operation = _OPERATIONS.get(end.operation)
        if operation is None:
            return
        failure = _error_type(end)
        attributes = self._attributes(end)
        attributes["gen_ai.operation.name"] = operation
        if end.first_event is not None:
            attributes["gen_ai.response.time_to_first_chunk"] = end.first_event
        if failure is not None:
            attributes["error.type"] = failure
        model = attributes.get("gen_ai.request.model")
        span = self.tracer.start_span(
            f"{operation} {model}" if model else operation,
            context=context,
            kind=self.kind,
            attributes=attributes,
            start_time=now - round(end.elapsed * 1e9),
        )
        if failure is not None:
            span.set_status(self.error, str(end.error) if self.capture_content and end.error is not None else None)
        span.end(now)

    def _attributes(self, end: CallFinished) -> _Attributes:
        attributes: _Attributes = {"gen_ai.provider.name": "openai"}
        if end.operation == "responses.stream":
            attributes["gen_ai.request.stream"] = True
        if end.request is not None:
            attributes |= _server(urlsplit(end.request.url), self.providers)
            attributes |= _parameters(end.request.body, content=self.capture_content)
        if end.response is not None:
            attributes |= _response(end.response, content=self.capture_content)
        return attributes


# ---- attributes


def _providers() -> Mapping[str, str]:
    """Return ``gen_ai.provider.name`` by host."""
    hosts = {urlsplit(p.base_url).hostname: p.name for p in PROVIDERS.values() if p.base_url}
    return {host: _PROVIDER_NAMES.get(name, name) for host, name in hosts.items() if host and host != "localhost"}


def _server(url: SplitResult, providers: Mapping[str, str]) -> _Attributes:
    host = url.hostname or ""
    # The conventions require a provider. An unknown host at least implements OpenAI's API.
    name = _PROVIDER_NAMES["azure"] if host.endswith(".azure.com") else providers.get(host, "openai")
    return {
        "gen_ai.provider.name": name,
        "server.address": host,
        "server.port": url.port or (443 if url.scheme in ("https", "wss") else 80),
    }


def _parameters(body: bytes, *, content: bool) -> _Attributes:
    if len(body) > _MAX_PARSED and not content:
        found = _MODEL_FIRST.match(body)
        return {"gen_ai.request.model": json.loads(found[1])} if found else {}
    request: object = json.loads(body or b"null")
    if not _is_object(request):
        return {}
    attributes: _Attributes = {}
    for field, (name, kind) in _PARAMETERS.items():
        value = request.get(field)
        if isinstance(value, kind) or (kind is float and isinstance(value, int)):
            attributes[name] = kind(value)
    text = request.get("text")
    text_format = text.get("format") if _is_object(text) else None
    output_type = _OUTPUT_TYPES.get(str(text_format.get("type"))) if _is_object(text_format) else None
    if output_type is not None:
        attributes["gen_ai.output.type"] = output_type
    if content:
        if isinstance(request.get("instructions"), str):
            attributes["gen_ai.system_instructions"] = compact([_text(request["instructions"])])
        source = request.get("input")
        items = [{"role": "user", "content": source}] if isinstance(source, str) else _objects(source)
        attributes["gen_ai.input.messages"] = compact(
            [{"role": role, "parts": parts} for role, parts in map(_message, items)]
        )
    return attributes


def _response(response: Response, *, content: bool) -> _Attributes:
    attributes: _Attributes = {}
    if response.id:
        attributes["gen_ai.response.id"] = response.id
    if response.model:
        attributes["gen_ai.response.model"] = response.model
    if response.conversation:
        attributes["gen_ai.conversation.id"] = response.conversation.id
    finish = _finish_reason(response)
    if finish is not None:
        attributes["gen_ai.response.finish_reasons"] = [finish]
    if response.usage:
        attributes |= _usage(response.usage)
    if content and response.output:
        items = [default_converter().dump(item) for item in response.output]
        parts = [part for item in items for part in _message(item)[1]]
        message = {"role": "assistant", "parts": parts, "finish_reason": finish or ""}
        attributes["gen_ai.output.messages"] = compact([message])
    return attributes


def _usage(usage: Usage) -> _Attributes:
    return {
        "gen_ai.usage.input_tokens": usage.input_tokens,
        "gen_ai.usage.output_tokens": usage.output_tokens,
        "gen_ai.usage.cache_read.input_tokens": usage.input_tokens_details.cached_tokens,
        "gen_ai.usage.reasoning.output_tokens": usage.output_tokens_details.reasoning_tokens,
    }


def _finish_reason(response: Response) -> str | None:
    match response.status:
        case "completed":
            return "tool_call" if response.function_calls else "stop"
        case "incomplete":
            reason = (response.incomplete_details.reason if response.incomplete_details else None) or "incomplete"
            return _FINISH_REASONS.get(reason, reason)
        case "failed":
            return "error"
        case _:
            return None


def _error_type(end: CallFinished) -> str | None:
    """Return ``error.type``, a word of low cardinality; ``None`` if there was no error."""
    match end.how:
        case "abandoned":
            return None
        case "cancelled":
            return "cancelled"  # not the exception's name, because asyncio and trio use different ones
        case "failed":
            return _name_of(end.error) if end.error is not None else "_OTHER"
        case _:  # "ended": an error that the caller's block raised after the response does not count
            if end.outcome is not None and end.outcome.status in ("error", "truncated"):
                return _name_of(cast("BaseException", end.outcome.exception()))
            if end.response is None or end.response.status not in ("failed", "cancelled"):
                return None
            return end.response.error.code if end.response.error else str(end.response.status)


def _name_of(error: BaseException) -> str:
    if isinstance(error, APIError) and (error.code or error.status):
        return error.code or str(error.status)
    return type(error).__name__


# ---- content


def _message(item: _Wire) -> tuple[str, list[_Wire]]:
    """Return an item as the role and the parts of a message."""
    kind, role = item.get("type", "message"), item.get("role", "assistant")
    if kind == "message":
        content = item.get("content")
        if isinstance(content, str):
            return role, [_text(content)]
        return role, [_part(part) for part in _objects(content)]
    if kind == "function_call":
        call = {"id": item.get("call_id"), "name": item.get("name"), "arguments": item.get("arguments")}
        return role, [{"type": "tool_call", **call}]
    if kind == "function_call_output":
        output = item.get("output")
        if isinstance(output, list):
            output = [_part(part) for part in _objects(item["output"])]
        return "tool", [{"type": "tool_call_response", "id": item.get("call_id"), "response": output}]
    if kind == "reasoning":
        texts = [*_objects(item.get("summary")), *_objects(item.get("content"))]
        return role, [{"type": "reasoning", "content": part.get("text", "")} for part in texts]
    return role, [{"type": kind}]


def _part(part: _Wire) -> _Wire:
    text = part.get("text", part.get("refusal"))
    return _text(text) if isinstance(text, str) else {"type": part.get("type")}


def _text(text: str) -> _Wire:
    return {"type": "text", "content": text}


def _is_object(value: object) -> TypeGuard[_Wire]:
    return isinstance(value, dict)


def _objects(value: object) -> list[_Wire]:
    """Return the objects in a list; none for anything else, because the codec keeps any JSON value that a server sent."""
    return [each for each in cast("list[object]", value) if _is_object(each)] if isinstance(value, list) else []

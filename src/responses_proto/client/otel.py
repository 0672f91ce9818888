"""Traces of what a client asks models for, by OpenTelemetry's conventions for generative AI. Needs the extra ``otel``.

::

    client = ResponsesClient(base_url=..., hooks=otel_hooks())

Hooks say when a call is over and how long it took, so that is when its span is made, with the times it had: a span cannot be left
open, nor ended twice, whatever becomes of the call. What only the request knows waits until then. The span's parent is the
span that was current when the request was sent.
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
"""Our calls that ask a model for something -> what the conventions call that. Resuming is not among them: tokens would count twice."""

_PARAMETERS: Final[Mapping[str, tuple[str, type[str | int | float]]]] = {
    "model": ("gen_ai.request.model", str),
    "max_output_tokens": ("gen_ai.request.max_tokens", int),
    "temperature": ("gen_ai.request.temperature", float),
    "top_p": ("gen_ai.request.top_p", float),
    "frequency_penalty": ("gen_ai.request.frequency_penalty", float),
    "presence_penalty": ("gen_ai.request.presence_penalty", float),
}
"""Field of a request -> its attribute and the type of that."""

_OUTPUT_TYPES: Final = {"text": "text", "json_object": "json", "json_schema": "json"}
"""Format of the text that was asked for -> ``gen_ai.output.type``."""

_WELL_KNOWN: Final = {"azure": "azure.ai.openai", "xai": "x_ai"}
"""Our names of providers that have another one in the conventions."""

_FINISH: Final = {"max_output_tokens": "length", "content_filter": "content_filter"}
"""Why a response is incomplete -> its finish reason."""

_READ_WHOLE: Final = 64 * 1024
"""Bytes of a request that are parsed for its parameters. Of a longer one only the model is given, if it is the first field,
where our own models write it: reading megabytes would hold up the event loop."""
_MODEL_FIRST: Final = re.compile(rb'\s*\{\s*"model"\s*:\s*("(?:[^"\\]|\\.){0,1000}+")')

_REMEMBERED: Final = 10_000
"""Requests that are kept at most: those of streams that nobody closes are never asked for."""


def otel_hooks(tracer_provider: TracerProvider | None = None, *, capture_content: bool = False) -> Hooks:
    """Give hooks that make one span for each ``create``, ``parse`` and ``stream`` of a client; other calls have none.

    A span covers all attempts, from the call to the end of the response, and is named ``chat {model}``. Spans go to
    ``tracer_provider``, the global one by default. The time to the first chunk is that of a stream's first event, in seconds.
    An error is told by its code or its type; what it says, and what was asked and answered, is content: it is only
    recorded with ``capture_content``, as JSON in ``gen_ai.input.messages``, ``gen_ai.system_instructions`` and
    ``gen_ai.output.messages``, for which every request is parsed. Binary data is left out.

    Raises ``ImportError`` if the extra ``otel`` is not installed.
    """
    try:
        from opentelemetry import context, trace  # noqa: PLC0415 - an extra: imported when it is needed
    except ImportError as error:
        raise ImportError("traces need opentelemetry-api: pip install 'responses-proto[otel]'") from error

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
    """The hooks, and what they share."""

    tracer: Tracer
    kind: SpanKind
    error: StatusCode
    current_context: Callable[[], Context]
    capture_content: bool
    providers: Mapping[str, str]
    sent: dict[int, tuple[WireRequest, Context]] = attrs.field(
        factory=dict[int, "tuple[WireRequest, Context]"], repr=False
    )
    """Requests whose calls are not over, and where they were sent from; by identity, which is why they are kept."""

    def on_request(self, request: WireRequest) -> None:
        if request.method == "GET":  # which asks no model
            return
        self.sent[id(request)] = request, self.current_context()
        if len(self.sent) > _REMEMBERED:
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
            attributes |= _answer(end.response, content=self.capture_content)
        return attributes


# ---- attributes


def _providers() -> Mapping[str, str]:
    """Give the names of providers by their host."""
    hosts = {urlsplit(dialect.base_url).hostname: dialect.name for dialect in PROVIDERS.values() if dialect.base_url}
    return {host: _WELL_KNOWN.get(name, name) for host, name in hosts.items() if host and host != "localhost"}


def _server(url: SplitResult, providers: Mapping[str, str]) -> _Attributes:
    host = url.hostname or ""
    # The conventions want a provider in any case. Of a host that nobody knows, at least the manner of speaking is OpenAI's.
    name = _WELL_KNOWN["azure"] if host.endswith(".azure.com") else providers.get(host, "openai")
    return {
        "gen_ai.provider.name": name,
        "server.address": host,
        "server.port": url.port or (443 if url.scheme in ("https", "wss") else 80),
    }


def _parameters(body: bytes, *, content: bool) -> _Attributes:
    if len(body) > _READ_WHOLE and not content:
        found = _MODEL_FIRST.match(body)
        return {"gen_ai.request.model": json.loads(found[1])} if found else {}
    asked: object = json.loads(body or b"null")
    if not _is_object(asked):
        return {}
    attributes: _Attributes = {}
    for field, (name, kind) in _PARAMETERS.items():
        value = asked.get(field)
        if isinstance(value, kind) or (kind is float and isinstance(value, int)):
            attributes[name] = kind(value)
    text = asked.get("text")
    shape = text.get("format") if _is_object(text) else None
    kind_of_output = _OUTPUT_TYPES.get(str(shape.get("type"))) if _is_object(shape) else None
    if kind_of_output is not None:
        attributes["gen_ai.output.type"] = kind_of_output
    if content:
        if isinstance(asked.get("instructions"), str):
            attributes["gen_ai.system_instructions"] = _json([_text(asked["instructions"])])
        given = asked.get("input")
        items: list[Any] = [{"role": "user", "content": given}] if isinstance(given, str) else given or []
        attributes["gen_ai.input.messages"] = _json(
            [{"role": role, "parts": parts} for role, parts in map(_message, filter(_is_object, items))]
        )
    return attributes


def _answer(response: Response, *, content: bool) -> _Attributes:
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
        attributes["gen_ai.output.messages"] = _json([message])
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
            return _FINISH.get(reason, reason)
        case "failed":
            return "error"
        case _:
            return None


def _error_type(end: CallFinished) -> str | None:
    """Say what went wrong in a word that is the same each time; ``None`` if nothing did."""
    match end.how:
        case "left":
            return None
        case "cancelled":
            return "cancelled"  # asyncio and trio have exceptions of their own for it
        case "failed":
            return _name_of(end.error) if end.error is not None else "_OTHER"
        case _:  # with an answer: what the caller's block raised after it is not the model's doing
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
    """Give an item as the role and the parts of a message."""
    kind, role = item.get("type", "message"), item.get("role", "assistant")
    if kind == "message":
        inside = item.get("content")
        if isinstance(inside, str):
            return role, [_text(inside)]
        return role, [_part(part) for part in filter(_is_object, inside or [])]
    if kind == "function_call":
        call = {"id": item.get("call_id"), "name": item.get("name"), "arguments": item.get("arguments")}
        return role, [{"type": "tool_call", **call}]
    if kind == "function_call_output":
        output = item.get("output")
        if isinstance(output, list):
            output = [_part(part) for part in filter(_is_object, cast("list[object]", output))]
        return "tool", [{"type": "tool_call_response", "id": item.get("call_id"), "response": output}]
    if kind == "reasoning":
        inside = [*(item.get("summary") or ()), *(item.get("content") or ())]
        return role, [{"type": "reasoning", "content": part.get("text", "")} for part in filter(_is_object, inside)]
    return role, [{"type": kind}]


def _part(part: _Wire) -> _Wire:
    said = part.get("text", part.get("refusal"))
    return _text(said) if isinstance(said, str) else {"type": part.get("type")}


def _text(text: str) -> _Wire:
    return {"type": "text", "content": text}


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _is_object(value: object) -> TypeGuard[_Wire]:
    return isinstance(value, dict)

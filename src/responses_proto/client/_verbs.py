"""Check that a request is made with the method that it needs, and adapt its content to the provider."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, TypeVar, cast

import attrs

from ..exceptions import UsageError
from ..models._base import Model
from ..models.items import Message
from ..typing import UNSET

if TYPE_CHECKING:
    from collections.abc import Callable

Verb: TypeAlias = Literal["create", "parse", "stream", "run", "map"]
"""A method of the client that creates responses."""

Content = TypeVar("Content", bound="Model | dict[str, Any]")


def _is_set(value: object) -> bool:
    return value is not None and value is not UNSET and value is not False


def _is_false(value: object) -> bool:
    return value is False


def _has_function(value: object) -> bool:
    """Return whether the tools include one that only a run can execute: a function or an executor."""
    return isinstance(value, (list, tuple)) and any(
        not isinstance(tool, Model) and (callable(tool) or hasattr(tool, "execute"))
        for tool in cast("Sequence[object]", value)
    )


_EXECUTES_NONE: Final = (
    "executes no tools: call client.run(...), or pass only the definition, tools=[*tool.definitions()]"
)
_WITHOUT_TOOLS: Final[tuple[Verb, ...]] = ("create", "parse", "stream", "map")
_WHOLE: Final = "returns the complete response"
_STREAMS: Final = "streams every response"
_STREAM_OPTIONS: Final = "returns the complete response, and stream_options apply to streams: call client.stream(...)"
_WRONG: Final[tuple[tuple[Verb, str, Callable[[object], bool], str], ...]] = (
    ("create", "stream", _is_set, f"{_WHOLE}: call client.stream(...) for a stream"),
    ("parse", "stream", _is_set, f"{_WHOLE}: call client.stream(..., output=T) for a stream"),
    ("stream", "stream", _is_false, f"{_STREAMS}: call client.create(...) for the complete response"),
    ("run", "stream", _is_false, f"{_STREAMS} of a run: leave out `stream`"),
    ("map", "stream", _is_set, f"{_WHOLE} of each request: leave out `stream`"),
    ("create", "stream_options", _is_set, _STREAM_OPTIONS),
    ("parse", "stream_options", _is_set, _STREAM_OPTIONS),
    (
        "parse",
        "background",
        _is_set,
        "needs the final response: call client.create(..., background=True), client.wait(...), and schema.parse_response(...)",
    ),
    ("map", "background", _is_set, "waits for the final response of each request: leave out `background`"),
    *((verb, "tools", _has_function, _EXECUTES_NONE) for verb in _WITHOUT_TOOLS),
)
"""Method, field, a predicate for the values of the field that the method refuses, and the rest of the error message."""


NAMED_ELSEWHERE: Final = {
    "messages": "pass input=..., a text or a list of items",
    **dict.fromkeys(("system", "system_prompt"), "pass instructions=..."),
    **dict.fromkeys(("max_tokens", "max_completion_tokens"), "pass max_output_tokens=..."),
    **dict.fromkeys(
        ("response_format", "text_format", "response_model", "output_type", "output"), "call client.parse(T, ...)"
    ),
    "functions": "pass tools=[...]",
    "function_call": "pass tool_choice=...",
    "reasoning_effort": 'pass reasoning={"effort": ...}',
    "verbosity": 'pass text={"verbosity": ...}',
    "timeout": "pass timeouts=Timeouts(...)",
    "max_retries": "pass retry=RetryPolicy(...)",
    "extra_headers": "pass headers={...}",
    "extra_body": "pass extra={...}",
}
"""Name of a request field in other APIs and libraries -> the equivalent here."""


def with_stream(content: Content, verb: Verb) -> Content:
    """Return the content of a request with the ``stream`` that the method needs.

    For a complete response, an explicit ``False`` is kept, because some servers stream without it. Raises ``UsageError`` for a
    field whose value needs another method.
    """
    for wrong_verb, name, is_wrong, reason in _WRONG:
        value = _field(content, name)
        if verb == wrong_verb and is_wrong(value):
            raise UsageError(f"{name}={value!r:.40} cannot be used with {verb}(), which {reason}")
    stream: object = True if verb == "stream" else False if _field(content, "stream") is False else UNSET
    if isinstance(content, Model):
        return cast("Content", attrs.evolve(cast("Any", content), stream=stream))
    kept = {name: value for name, value in cast("dict[str, Any]", content).items() if name != "stream"}
    return cast("Content", kept if stream is UNSET else {**kept, "stream": stream})


def with_developer_role(content: Content, role: str) -> Content:
    """Return the content of a request in which messages of the role ``developer`` have the role ``role``."""
    items = _field(content, "input")
    if role == "developer" or not isinstance(items, Sequence) or isinstance(items, str):
        return content
    changed = [_with_role(item, role) for item in cast("Sequence[object]", items)]
    if isinstance(content, Model):
        return cast("Content", attrs.evolve(cast("Any", content), input=changed))
    return cast("Content", {**cast("dict[str, Any]", content), "input": changed})


def _with_role(item: object, role: str) -> object:
    if isinstance(item, Message):
        return attrs.evolve(item, role=role) if item.role == "developer" else item
    if isinstance(item, Mapping):
        wire = cast("Mapping[str, object]", item)
        return {**wire, "role": role} if wire.get("role") == "developer" else wire
    return item


def _field(content: Model | dict[str, Any], name: str) -> object:
    if isinstance(content, Model):
        value = getattr(content, name, UNSET)
        return content.extra.get(name, UNSET) if value is UNSET else value
    return content.get(name, UNSET)

"""The fields that each object must have, as data, and the functions that compare a JSON value with them.

There are two specifications, and a profile selects one of them: Open Responses requires 31 fields of a response; OpenAI requires 14 of
these, and the others may be missing or null. Items, parts and events are the same in both, except that OpenAI has more types of them.
Those types are checked by the classes of :mod:`responses_proto.models`, not here.

A field is written as ``name`` if it is required and ``name?`` if not. Its type is one or more of these, separated by ``|``: a JSON type
(``str``, ``int``, ``num``, ``bool``, ``obj``, ``null``, ``any``), a value in quotes, the name of a row of the table, or any of them in
brackets for a list of it. Lists and unions of rows are open: see :data:`OPEN`.
"""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, cast

import attrs

from ...models.content import CONTENT_TYPES
from ...models.events import EVENT_TYPES
from ...models.items import ITEM_TYPES
from ...models.tools import TOOL_TYPES

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

__all__ = [
    "BODY_ROWS",
    "EVENT_ROWS",
    "EXTENSION",
    "FIELDS",
    "OPEN",
    "PROFILES",
    "FieldFault",
    "Profile",
    "field_faults",
    "row_of_body",
    "row_of_event",
]

Profile: TypeAlias = Literal["openresponses", "openai"]
"""The specification that a server claims to follow."""
PROFILES: Final[tuple[Profile, ...]] = ("openresponses", "openai")

EXTENSION: Final = re.compile(r"[\w.-]+:[\w.-]+")
"""Matches the type of an item or event that a server adds to the specification: ``slug:name``."""

_STATUS: Final = "'in_progress'|'completed'|'incomplete'"
_PART: Final = "InputText|OutputText|Text|SummaryText|ReasoningText|Refusal|InputImage|InputFile"
_AT_ITEM: Final = {"sequence_number": "int", "item_id": "str", "output_index": "int"}
_AT_PART: Final = {**_AT_ITEM, "content_index": "int"}
_AT_SUMMARY: Final = {**_AT_ITEM, "summary_index": "int"}
_LIFE: Final = {"sequence_number": "int", "response": "Response"}

FIELDS: Final[Mapping[str, Mapping[str, str]]] = {
    "Response": {
        "id": "str",
        "object": "'response'",
        "created_at": "int",
        "completed_at": "int|null",
        "status": "str",
        "incomplete_details": "IncompleteDetails|null",
        "model": "str",
        "previous_response_id": "str|null",
        "instructions": "str|null",
        "output": "[Item]",
        "error": "Error|null",
        "tools": "[Tool]",
        "tool_choice": "'none'|'auto'|'required'|ToolChoice",
        "truncation": "'auto'|'disabled'",
        "parallel_tool_calls": "bool",
        "text": "TextConfig",
        "top_p": "num",
        "presence_penalty": "num",
        "frequency_penalty": "num",
        "top_logprobs": "int",
        "temperature": "num",
        "reasoning": "Reasoning|null",
        "usage": "Usage|null",
        "max_output_tokens": "int|null",
        "max_tool_calls": "int|null",
        "store": "bool",
        "background": "bool",
        "service_tier": "str",
        "metadata": "any",
        "safety_identifier": "str|null",
        "prompt_cache_key": "str|null",
    },
    "Compaction": {
        "id": "str",
        "object": "'response.compaction'",
        "output": "[Item]",
        "created_at": "int",
        "usage": "Usage",
    },
    # Parts of a response.
    "IncompleteDetails": {"reason": "str"},
    "Error": {"code": "str", "message": "str"},
    "Usage": {
        "input_tokens": "int",
        "output_tokens": "int",
        "total_tokens": "int",
        "input_tokens_details": "InputTokensDetails",
        "output_tokens_details": "OutputTokensDetails",
    },
    "InputTokensDetails": {"cached_tokens": "int"},
    "OutputTokensDetails": {"reasoning_tokens": "int"},
    "Reasoning": {
        "effort": "'none'|'low'|'medium'|'high'|'xhigh'|null",
        "summary": "'concise'|'detailed'|'auto'|null",
    },
    "TextConfig": {"format": "Format", "verbosity?": "'low'|'medium'|'high'"},
    "Format": {"type": "'text'|'json_object'|'json_schema'"},
    "Format:json_schema": {
        "type": "'json_schema'",
        "name": "str",
        "description": "str|null",
        "schema": "any",  # the schema of Open Responses has null here, but its text says that servers echo the schema
        "strict": "bool",
    },
    "ToolChoice": {"type": "str"},
    "ToolChoice:function": {"type": "'function'", "name?": "str"},
    "ToolChoice:allowed_tools": {
        "type": "'allowed_tools'",
        "tools": "[ToolChoice]",
        "mode": "'none'|'auto'|'required'",
    },
    "Tool": {"type": "str"},
    "Tool:function": {
        "type": "'function'",
        "name": "str",
        "description": "str|null",
        "parameters": "obj|null",
        "strict": "bool|null",
    },
    # Items. A type without a row exists only at OpenAI, or is an extension.
    "Item": {"type": "str"},
    "Item:message": {
        "type": "'message'",
        "id": "str",
        "status": _STATUS,
        "role": "'user'|'assistant'|'system'|'developer'",
        "content": "[Part]",
        "phase?": "'commentary'|'final_answer'",
    },
    "Item:function_call": {
        "type": "'function_call'",
        "id": "str",
        "call_id": "str",
        "name": "str",
        "arguments": "str",
        "status": _STATUS,
    },
    "Item:function_call_output": {
        "type": "'function_call_output'",
        "id": "str",
        "call_id": "str",
        "output": "str|[Part]",
        "status": _STATUS,
    },
    "Item:reasoning": {
        "type": "'reasoning'",
        "id": "str",
        "summary": "[Part]",
        "content?": "[Part]",
        "encrypted_content?": "str",
    },
    "Item:compaction": {"type": "'compaction'", "id": "str", "encrypted_content": "str", "created_by?": "str"},
    # Parts of items.
    "Part": {"type": "str"},
    "Part:input_text": {"type": "'input_text'", "text": "str"},
    "Part:output_text": {
        "type": "'output_text'",
        "text": "str",
        "annotations": "[Annotation]",
        "logprobs?": "[LogProb]",
    },
    "Part:text": {"type": "'text'", "text": "str"},
    "Part:summary_text": {"type": "'summary_text'", "text": "str"},
    "Part:reasoning_text": {"type": "'reasoning_text'", "text": "str"},
    "Part:refusal": {"type": "'refusal'", "refusal": "str"},
    "Part:input_image": {"type": "'input_image'", "image_url": "str|null", "detail": "'low'|'high'|'auto'"},
    "Part:input_file": {"type": "'input_file'", "filename?": "str", "file_url?": "str"},
    "Part:input_video": {"type": "'input_video'", "video_url": "str"},
    "Annotation": {"type": "str"},
    "Annotation:url_citation": {
        "type": "'url_citation'",
        "url": "str",
        "start_index": "int",
        "end_index": "int",
        "title": "str",
    },
    "LogProb": {"token": "str", "logprob": "num", "bytes": "[int]", "top_logprobs": "[TopLogProb]"},
    "TopLogProb": {"token": "str", "logprob": "num", "bytes": "[int]"},
    # Errors.
    "ErrorPayload": {"type": "str", "code": "str|null", "message": "str", "param": "str|null", "headers?": "obj"},
    "Event:error": {"type": "'error'", "sequence_number": "int", "error": "ErrorPayload"},
    "WebSocketError": {"type": "'error'", "status": "int", "error": "obj"},
    # Events.
    "Event:response.created": _LIFE,
    "Event:response.queued": _LIFE,
    "Event:response.in_progress": _LIFE,
    "Event:response.completed": _LIFE,
    "Event:response.incomplete": _LIFE,
    "Event:response.failed": _LIFE,
    "Event:response.output_item.added": {"sequence_number": "int", "output_index": "int", "item": "Item|null"},
    "Event:response.output_item.done": {"sequence_number": "int", "output_index": "int", "item": "Item|null"},
    "Event:response.content_part.added": {**_AT_PART, "part": "Part"},
    "Event:response.content_part.done": {**_AT_PART, "part": "Part"},
    "Event:response.output_text.delta": {**_AT_PART, "delta": "str", "logprobs?": "[LogProb]", "obfuscation?": "str"},
    "Event:response.output_text.done": {**_AT_PART, "text": "str", "logprobs?": "[LogProb]"},
    "Event:response.output_text.annotation.added": {
        **_AT_PART,
        "annotation_index": "int",
        "annotation": "Annotation|null",
    },
    "Event:response.refusal.delta": {**_AT_PART, "delta": "str"},
    "Event:response.refusal.done": {**_AT_PART, "refusal": "str"},
    "Event:response.reasoning.delta": {**_AT_PART, "delta": "str", "obfuscation?": "str"},
    "Event:response.reasoning.done": {**_AT_PART, "text": "str"},
    "Event:response.reasoning_summary_part.added": {**_AT_SUMMARY, "part": "Part"},
    "Event:response.reasoning_summary_part.done": {**_AT_SUMMARY, "part": "Part"},
    "Event:response.reasoning_summary_text.delta": {**_AT_SUMMARY, "delta": "str", "obfuscation?": "str"},
    "Event:response.reasoning_summary_text.done": {**_AT_SUMMARY, "text": "str"},
    "Event:response.function_call_arguments.delta": {**_AT_ITEM, "delta": "str", "obfuscation?": "str"},
    "Event:response.function_call_arguments.done": {**_AT_ITEM, "arguments": "str"},
}
"""Row -> field -> type. An ``Item`` whose ``type`` is ``message`` is described by the row ``Item:message``."""

_OPENAI_RESPONSE: Final = frozenset(
    {"id", "object", "created_at", "error", "incomplete_details", "instructions", "model", "tools", "output"}
    | {"parallel_tool_calls", "metadata", "tool_choice", "temperature", "top_p"}
)
"""The fields that OpenAI requires of a response."""
_OPENAI_NULL: Final = frozenset({"temperature", "top_p", "metadata", "error", "incomplete_details", "instructions"})
"""The required fields of a response that may be null at OpenAI."""

OPEN: Final[Mapping[str, Collection[str]]] = {
    "Item": ITEM_TYPES,
    "Part": CONTENT_TYPES,
    "Annotation": {"file_citation", "container_file_citation", "file_path"},
    "Tool": TOOL_TYPES,
    "ToolChoice": {*TOOL_TYPES, "allowed_tools", "hosted_tool"},
    "Event": EVENT_TYPES,
}
"""Row -> the types that OpenAI adds to it. Their fields are not in the table. Any server may add types of the form ``slug:name``."""

_EXTENSION_FIELDS: Final = {"type": "str", "id": "str", "status": "str"}
"""The fields that an extension item must have (Open Responses, Extending items)."""

BODY_ROWS: Final = {"response": "Response", "response.compaction": "Compaction"}
"""``object`` of a body -> its row."""
EVENT_ROWS: Final = frozenset(row.removeprefix("Event:") for row in FIELDS if row.startswith("Event:"))
"""The types of the events that have a row."""

_NAMES: Final[Mapping[str, tuple[type, ...]]] = {
    "str": (str,),
    "int": (int,),
    "num": (int, float),
    "bool": (bool,),
    "obj": (dict,),
    "null": (type(None),),
}
_WORDS: Final = {
    str: "a string",
    bool: "a boolean",
    int: "an integer",
    float: "a number",
    list: "a list",
    dict: "an object",
    type(None): "null",
}


@attrs.frozen
class FieldFault:
    """One field of a value that does not match the table."""

    rule: str
    """``missing-field``, ``wrong-type``, ``null-field``, ``wrong-value``, ``unknown-item`` or ``extension-fields``."""
    row: str
    """The row and field at fault, such as ``Response.usage``. The same for all values with the same fault."""
    path: str
    """The JSONPath of the value."""
    detail: str = ""


def row_of_body(value: Any) -> str | None:
    """Return the row of a JSON body by its ``object``; ``None`` if it has none."""
    kind: Any = cast("dict[str, Any]", value).get("object") if isinstance(value, dict) else None
    return BODY_ROWS.get(kind) if isinstance(kind, str) else None


def row_of_event(value: Mapping[str, Any], profile: Profile = "openresponses") -> str | None:
    """Return the row of an event by its ``type``; ``None`` if it has none."""
    kind = value.get("type")
    if kind == "error":
        if profile == "openai" and "error" not in value:
            return None  # OpenAI documents the flat form
        return "WebSocketError" if "status" in value else "Event:error"
    return f"Event:{kind}" if isinstance(kind, str) and kind in EVENT_ROWS else None


def field_faults(value: Any, row: str, profile: Profile = "openresponses") -> Iterator[FieldFault]:
    """Yield the faults of a JSON value that should match this row."""
    yield from _object_faults(value, row, "$", profile)


def _object_faults(value: Any, row: str, path: str, profile: Profile) -> Iterator[FieldFault]:
    if not isinstance(value, dict):
        yield FieldFault("wrong-type", row, path, f"expected an object, got {_word(value)}")
        return
    members = cast("dict[str, Any]", value)
    for name, required, types in _row(row, profile):
        if name not in members:
            if required:
                yield FieldFault("missing-field", f"{row}.{name}", f"{path}.{name}")
        elif types is not None:
            yield from _value_faults(members[name], types, f"{row}.{name}", f"{path}.{name}", profile)


def _open_faults(value: Any, row: str, path: str, profile: Profile) -> Iterator[FieldFault]:
    """Yield the faults of a value that matches one of the rows ``row:type``, or has a type that is not in the table."""
    kind: Any = cast("dict[str, Any]", value).get("type") if isinstance(value, dict) else None
    if isinstance(kind, str) and f"{row}:{kind}" in FIELDS:
        yield from _object_faults(value, f"{row}:{kind}", path, profile)
    elif row not in OPEN or not isinstance(kind, str) or kind in OPEN[row]:
        yield from _object_faults(value, row, path, profile)
    elif not EXTENSION.fullmatch(kind):
        yield FieldFault("unknown-item", f"{row}:{kind[:60]}", f"{path}.type", f"{kind[:60]!r} is not `slug:name`")
    elif row == "Item":
        members = cast("dict[str, Any]", value)
        for name in _EXTENSION_FIELDS:
            if not isinstance(members.get(name), str):
                yield FieldFault(
                    "extension-fields", f"{row}:{kind[:60]}.{name}", f"{path}.{name}", f"item {kind[:60]!r}"
                )


def _value_faults(value: Any, types: tuple[str, ...], field: str, path: str, profile: Profile) -> Iterator[FieldFault]:
    if any(_fits(value, one) for one in types):
        return
    for one in types:
        if one.startswith("[") and isinstance(value, list):
            elements = cast("Any", value)
            for number, element in enumerate(elements):
                yield from _value_faults(element, (one[1:-1],), f"{field}[]", f"{path}[{number}]", profile)
            return
        if one[0].isupper() and isinstance(value, dict):
            yield from _open_faults(value, one, path, profile)
            return
    values = [one[1:-1] for one in types if one.startswith("'")]
    if values and isinstance(value, str):
        yield FieldFault("wrong-value", field, path, f"expected {_either(map(repr, values))}, got {value[:60]!r}")
        return
    rule = "null-field" if value is None else "wrong-type"
    yield FieldFault(rule, field, path, f"expected {_either(dict.fromkeys(map(_expected, types)))}, got {_word(value)}")


def _fits(value: Any, one: str) -> bool:
    """Return whether a value is of this type. The caller checks the contents of lists and objects."""
    if one.startswith("'"):
        return bool(value == one[1:-1])
    return one in _NAMES and isinstance(value, _NAMES[one]) and (one == "bool" or not isinstance(value, bool))


def _expected(one: str) -> str:
    """Return a type in words."""
    if one in _NAMES:
        return _WORDS[_NAMES[one][-1]]
    return "a list" if one.startswith("[") else "a string" if one.startswith("'") else "an object"


@functools.cache
def _row(row: str, profile: Profile) -> tuple[tuple[str, bool, tuple[str, ...] | None], ...]:
    """Return the fields of a row: name, whether it is required, and its types; ``None`` for any."""
    found: list[tuple[str, bool, tuple[str, ...] | None]] = []
    for field, written in FIELDS[row].items():
        name, required = field.removesuffix("?"), not field.endswith("?")
        types = tuple(written.split("|"))
        if profile == "openai":
            if row == "Response":
                required = required and name in _OPENAI_RESPONSE
                if not required or name in _OPENAI_NULL:
                    types = (*types, "null")
                if name == "created_at":
                    types = ("num",)
                elif name == "instructions":
                    types = (*types, "[Item]")
            elif row in _LENIENT_AT_OPENAI:
                required = name in _LENIENT_AT_OPENAI[row]
                types = (*types, "null")
        found.append((name, required, None if "any" in types else types))
    return tuple(found)


_LENIENT_AT_OPENAI: Final[Mapping[str, frozenset[str]]] = {
    "Usage": frozenset(FIELDS["Usage"]),
    "Reasoning": frozenset(),
    "TextConfig": frozenset(),
    "Format:json_schema": frozenset({"type", "name"}),
    "Tool:function": frozenset({"type", "name"}),
    "ToolChoice:allowed_tools": frozenset({"type", "mode", "tools"}),
    "Item:function_call": frozenset({"type", "call_id", "name", "arguments"}),
    "Item:function_call_output": frozenset({"type", "call_id", "output"}),
    "Item:message": frozenset({"type", "id", "status", "role", "content"}),
    "Item:reasoning": frozenset({"type", "id", "summary"}),
    "Item:compaction": frozenset({"type", "id", "encrypted_content"}),
    "Part:input_file": frozenset({"type"}),
}
"""Row -> the fields that OpenAI requires, where these are fewer than in the table."""


def _word(value: object) -> str:
    return next((word for kind, word in _WORDS.items() if isinstance(value, kind)), "a value")


def _either(words: Any) -> str:
    *rest, last = words
    return f"{', '.join(rest)} or {last}" if rest else str(last)

"""Refuse requests that OpenAI refuses, so that a client that works with the scripted model also works with a real one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, cast

from ..models.config import JsonSchemaFormat
from ..models.items import Compaction
from ..models.tools import (
    FunctionTool,
    ToolChoiceAllowed,
    ToolChoiceCustom,
    ToolChoiceFunction,
    ToolChoiceHosted,
    ToolChoiceMcp,
)
from ..protocol._requests import invalid
from ..protocol.history import check_history
from ._offers import callable_tools, matches

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..models.request import CreateResponse
    from ._request import ScriptedTurn

_MAX_METADATA: Final = 16  # pairs
_MAX_METADATA_KEY: Final = 64  # characters
_MAX_METADATA_VALUE: Final = 512  # characters


def check_turn(turn: ScriptedTurn) -> None:
    """Raise the ``APIError`` (400) with which OpenAI answers an invalid request."""
    request = turn.request
    if not turn.context and not request.prompt:
        raise invalid(
            "There is no input: send 'input', 'conversation' or 'prompt'.", "input", "missing_required_parameter"
        )
    _check_metadata(request)
    _check_schemas(request)
    _check_tool_choice(request)
    continued = any(isinstance(item, Compaction) for item in turn.context)
    for finding in check_history(turn.context, continued=continued):
        if finding.rule == "call-unanswered":
            raise invalid(f"No tool output found for the call {finding.detail}.", "input", None)


def _check_metadata(request: CreateResponse) -> None:
    metadata = request.metadata or {}
    if len(metadata) > _MAX_METADATA:
        raise invalid(f"'metadata' has more than {_MAX_METADATA} pairs.", "metadata", "object_above_max_properties")
    for key, value in metadata.items():
        if len(key) > _MAX_METADATA_KEY or len(value) > _MAX_METADATA_VALUE:
            message = (
                f"A key of 'metadata' has at most {_MAX_METADATA_KEY} characters, and a value {_MAX_METADATA_VALUE}."
            )
            raise invalid(message, f"metadata.{key[:_MAX_METADATA_KEY]}", "string_above_max_length")


def _check_tool_choice(request: CreateResponse) -> None:
    tools, choice = list(callable_tools(request.tools or ())), request.tool_choice
    chosen: list[Any] = []
    match choice:
        case "required" if not request.tools:
            raise invalid("'tool_choice' is 'required', but no tools are offered.", "tool_choice", None)
        case ToolChoiceFunction() | ToolChoiceCustom() | ToolChoiceMcp() | ToolChoiceHosted():
            chosen = [choice]
        case ToolChoiceAllowed():
            chosen = [*choice.tools]
        case _:
            pass
    for one in chosen:
        if not any(matches(tool, one) for tool in tools):
            name = getattr(one, "name", None) or getattr(one, "server_label", None) or one.type
            raise invalid(f"Tool choice {name!r} not found in 'tools'.", "tool_choice", None)


def _check_schemas(request: CreateResponse) -> None:
    for index, tool in enumerate(request.tools or ()):
        if isinstance(tool, FunctionTool) and tool.strict is True:
            _check_schema(tool.parameters, tool.name, f"tools[{index}].parameters", "invalid_function_parameters")
    shape = request.text.format if request.text else None
    if isinstance(shape, JsonSchemaFormat) and shape.strict is True:
        _check_schema(shape.schema, shape.name or "", "text.format.schema", "invalid_json_schema")


def _check_schema(schema: object, name: str, param: str, code: str) -> None:
    for path, what in _not_strict(schema):
        raise invalid(f"Invalid schema for {name!r}, which is strict: in {path or 'its root'}, {what}.", param, code)


def _not_strict(schema: object) -> Iterator[tuple[str, str]]:
    """Yield the place and a description of each object in a schema that has optional or free keys."""
    waiting: list[tuple[str, object]] = [("", schema)]
    while waiting:
        path, part = waiting.pop()
        if isinstance(part, list):
            waiting += [(f"{path}[{index}]", one) for index, one in enumerate(cast("list[object]", part))]
        if not isinstance(part, Mapping):
            continue
        keywords = cast("Mapping[str, object]", part)
        properties = keywords.get("properties")
        if keywords.get("type") == "object" or isinstance(properties, Mapping):
            names = list(cast("Mapping[str, object]", properties)) if isinstance(properties, Mapping) else []
            required = keywords.get("required")
            if keywords.get("additionalProperties") is not False:
                yield path, "'additionalProperties' must be false"
            missing = [name for name in names if not isinstance(required, list) or name not in required]
            if missing:
                yield path, f"'required' must have every property, and lacks {missing[0]!r}"
        for keyword in ("properties", "$defs", "definitions"):
            named = keywords.get(keyword)
            if isinstance(named, Mapping):
                waiting += [(f"{path}.{name}", one) for name, one in cast("Mapping[str, object]", named).items()]
        waiting += [(f"{path}.{keyword}", keywords[keyword]) for keyword in ("items", "anyOf") if keyword in keywords]

"""Translates MCP to Responses: tools to function tools, results of tools to outputs, content blocks to content parts.

The input is the JSON of the Model Context Protocol (Server features: Tools, Resources), not the classes of an SDK.
"""

from __future__ import annotations

import hashlib
import mimetypes
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, cast
from urllib.parse import urlsplit

import attrs

from ...codec._json import compact
from ...exceptions import ResponsesProtoError
from ...models.content import InputFile, InputImage, InputText
from ...models.tools import FunctionTool
from ...schema._strict import fits_strict
from ...typing import UNSET
from ..output import ToolOutput
from ._json import as_list, as_object, loads

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from ...models.content import Content

StructuredText: TypeAlias = Literal["when_blank", "always"]
"""When the model reads the structured content of a result: if there is no other text, or always."""
_Wire: TypeAlias = Mapping[str, Any]

_MAX_NAME_CHARS: Final = 64
"""The maximum length of a function name (Tools, Function calling). MCP allows longer names and more characters."""
_NOT_IN_NAME: Final = re.compile(r"[^A-Za-z0-9_-]")


# ---- tools


@attrs.frozen
class OfferedTools:
    """The tools of one listing, as they are offered to the model."""

    definitions: Sequence[FunctionTool] = ()
    names: Mapping[str, str] = attrs.field(factory=dict[str, str])
    """The function name that the model calls -> the server's name of the tool."""
    listed: Sequence[str] = ()
    """The server's names of all its tools, including those that are not offered."""
    read_only: Collection[str] = ()
    """The server's names of the tools that it declares to be read-only (``annotations.readOnlyHint``)."""

    def definition(self, name: str) -> FunctionTool | None:
        """Return the tool with a function name; ``None`` if there is none."""
        return next((tool for tool in self.definitions if tool.name == name), None)


def fits_name(text: str) -> bool:
    """Return whether a function name may begin with ``text``."""
    return len(text) <= _MAX_NAME_CHARS and not _NOT_IN_NAME.search(text)


def make_offer(tools: Iterable[_Wire], *, prefix: str = "", allowed: Collection[str] | None = None) -> OfferedTools:
    """Return function tools for the tools of an MCP server, in its order.

    ``tools``: the entries of ``tools/list``. ``prefix``: the beginning of each function name. ``allowed``: the server's
    names of the tools to offer; ``None`` for all. Characters that a function name cannot have become ``_``. A name that
    is then too long or already taken ends in 8 digits of a hash of the server's name, so it is the same in each
    listing.
    """
    listed = {str(tool["name"]): tool for tool in tools}
    kept = [name for name in listed if allowed is None or name in allowed]
    # Names that need no change come first, so that no changed name takes one of them.
    names: dict[str, str] = {prefix + name: name for name in kept if name and fits_name(prefix + name)}
    unchanged = set(names.values())
    for name in kept:
        if name not in unchanged:
            names[_function_name(prefix, name, names)] = name
    function_names = {name: function for function, name in names.items()}
    return OfferedTools(
        [_function_tool(function_names[name], listed[name]) for name in kept],
        names,
        [*listed],
        {name for name in kept if as_object(listed[name].get("annotations")).get("readOnlyHint") is True},
    )


def _function_name(prefix: str, name: str, taken: Mapping[str, str]) -> str:
    candidate = prefix + _NOT_IN_NAME.sub("_", name)
    if name and len(candidate) <= _MAX_NAME_CHARS and candidate not in taken:
        return candidate
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{candidate[: _MAX_NAME_CHARS - len(digest) - 1]}_{digest}"


def _function_tool(name: str, tool: _Wire) -> FunctionTool:
    schema = dict(tool["inputSchema"])
    schema.setdefault("properties", {})  # optional in MCP; some servers refuse a function tool without it
    return FunctionTool(
        name=name,
        description=tool.get("description") or tool.get("title") or UNSET,
        parameters=schema,
        strict=fits_strict(schema),
    )


# ---- results


def output_of(result: _Wire, *, structured: StructuredText = "when_blank") -> ToolOutput:
    """Convert the result of ``tools/call``, as the server sent it, to an output.

    If all content is text, the output is one string, which every server accepts. Structured content becomes the
    output's ``value``. With ``structured="when_blank"``, it is added to the text, as JSON, only if there is no other
    text: usually a text block repeats it (MCP, Tools: Structured content). With ``"always"``, it is left out only if a
    text block is the same JSON. A result that asks for input (MCP 2026-07-28), which cannot be given here, becomes a
    failure that describes the input.
    """
    if result.get("resultType") == "input_required":
        return _output_of_request(result)
    blocks = _blocks(result.get("content"))
    value = result.get("structuredContent")
    parts = parts_of(blocks)
    if value is not None:
        said = [block["text"] for block in blocks if _is_text(block)]
        if not "".join(said).strip():
            parts = [part for part in parts if not isinstance(part, InputText) or part.text.strip()]
            parts.insert(0, InputText(text=compact(value)))
        elif structured == "always" and not any(_repeats(text, value) for text in said):
            parts.insert(0, InputText(text=compact(value)))
    return ToolOutput(_text_or_parts(parts), failed=result.get("isError") is True, value=value)


def _output_of_request(result: _Wire) -> ToolOutput:
    asked = result.get("inputRequests")
    requests: list[Any] = [*cast("_Wire", asked).values()] if isinstance(asked, Mapping) else []
    lines = [line for request in requests for line in _lines_of(as_object(request).get("params"))]
    return ToolOutput(
        "\n".join(["The tool asks for input that this client cannot give.", *lines]), failed=True, value=result
    )


def output_of_error(error: _Wire) -> ToolOutput:
    """Convert an error of JSON-RPC to a failure. The error, with its ``data``, is the output's ``value``.

    The model reads the message, and the addresses that the user must visit first (MCP, Elicitation: URL mode).
    """
    asked: Any = as_object(error.get("data")).get("elicitations")
    lines = [line for request in as_list(asked) or [] for line in _lines_of(request)]
    return ToolOutput("\n".join([str(error.get("message", "")), *lines]), failed=True, value=error)


def _lines_of(request: Any) -> list[str]:
    """Return the message of an elicitation, with its address if it has one; an empty list for anything else."""
    said = [
        text
        for text in (as_object(request).get("message"), as_object(request).get("url"))
        if isinstance(text, str) and text
    ]
    return [": ".join(said)] if said else []


def _blocks(content: Any) -> list[_Wire]:
    """Return the content blocks of a result. Servers that do not follow MCP send a text, a single block, or nothing."""
    if content is None:
        return []
    return [
        cast("_Wire", block)
        if isinstance(block, Mapping)
        else {"type": "text", "text": block if isinstance(block, str) else compact(block)}
        for block in (content if as_list(content) is not None else [content])
    ]


def _is_text(block: _Wire) -> bool:
    return block.get("type") == "text" and isinstance(block.get("text"), str)


def _repeats(text: str, value: Any) -> bool:
    try:
        return bool(loads(text.encode("utf-8", "replace")) == value)
    except ResponsesProtoError:
        return False


def _text_or_parts(parts: list[Content]) -> str | list[Content]:
    texts = [part.text for part in parts if isinstance(part, InputText)]
    return parts if len(texts) < len(parts) else "\n".join(texts)


def parts_of(blocks: Iterable[_Wire]) -> list[Content]:
    """Convert content blocks to content parts. A block of an unknown type or form becomes text: its JSON."""
    return [_part(block) for block in blocks]


def _part(block: _Wire) -> Content:
    try:
        return _PARTS[block["type"]](block)
    except (AttributeError, KeyError, TypeError, ValueError):
        return InputText(text=compact(block))


def _text(block: _Wire) -> Content:
    if not _is_text(block):
        raise TypeError
    return InputText(text=block["text"])


def _image(block: _Wire) -> Content:
    return InputImage(image_url=_data_url(block["data"], block["mimeType"]))


def _audio(block: _Wire) -> Content:
    return _file(block["data"], block["mimeType"], "audio")


def _resource(block: _Wire) -> Content:
    resource = block["resource"]
    if isinstance(resource.get("text"), str):
        return InputText(text=resource["text"])
    media_type = resource.get("mimeType") or "application/octet-stream"
    if media_type.startswith("image/"):
        return InputImage(image_url=_data_url(resource["blob"], media_type))
    uri: str = resource["uri"]
    return _file(resource["blob"], media_type, urlsplit(uri).path.rpartition("/")[2] or "resource")


_LINK_FIELDS: Final = ("uri", "name", "title", "description", "mimeType", "size")


def _link(block: _Wire) -> Content:
    # Not a `file_url`: the Responses server would fetch any address that a tool names, and could not reach most of
    # them.
    return InputText(text=compact({key: block[key] for key in _LINK_FIELDS if block.get(key) is not None}))


_PARTS: Final[Mapping[object, Callable[[_Wire], Content]]] = {
    "text": _text,
    "image": _image,
    "audio": _audio,
    "resource": _resource,
    "resource_link": _link,
}
"""The type of a content block -> the function that converts it."""


def _file(base64: str, media_type: str, name: str) -> InputFile:
    if "." not in name:
        name += mimetypes.guess_extension(media_type) or f".{media_type.rpartition('/')[2]}"
    return InputFile(file_data=_data_url(base64, media_type), filename=name)


def _data_url(base64: Any, media_type: Any) -> str:
    if not isinstance(base64, str) or not isinstance(media_type, str):
        raise TypeError
    return f"data:{media_type};base64,{base64}"

"""Translates MCP to Responses: tools to function tools, results of tools to outputs, content blocks to content parts.

The input is the JSON of the Model Context Protocol (Server features: Tools, Resources), not the classes of an SDK.
"""

from __future__ import annotations

import hashlib
import mimetypes
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from urllib.parse import urlsplit

import attrs

from ...codec import default_backend
from ...models.content import InputFile, InputImage, InputText
from ...models.tools import FunctionTool
from ...schema._strict import fits_strict
from ...typing import UNSET
from ..output import ToolOutput

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from ...models.content import Content

__all__ = ["OfferedTools", "fits_name", "make_offer", "output_of", "parts_of"]

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


def fits_name(text: str) -> bool:
    """Return whether a function name may begin with a text."""
    return len(text) <= _MAX_NAME_CHARS and not _NOT_IN_NAME.search(text)


def make_offer(tools: Iterable[_Wire], *, prefix: str = "", allowed: Collection[str] | None = None) -> OfferedTools:
    """Return function tools for the tools of an MCP server, in its order.

    ``tools``: the entries of ``tools/list``. ``prefix``: what each function name begins with. ``allowed``: the server's
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
    return OfferedTools([_function_tool(function_names[name], listed[name]) for name in kept], names, [*listed])


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


def output_of(result: _Wire) -> ToolOutput:
    """Convert the result of ``tools/call`` to an output.

    If all content is text, the output is one string, which every server accepts. Structured content becomes the
    output's ``value``. It is added to the text, as JSON, only if there is no text block: a text block repeats it (MCP,
    Tools: Structured content).
    """
    blocks: list[_Wire] = result.get("content") or []
    structured = result.get("structuredContent")
    parts = parts_of(blocks)
    if structured is not None and not any(block.get("type") == "text" for block in blocks):
        parts.insert(0, InputText(text=_json(structured)))
    texts = [part.text for part in parts if isinstance(part, InputText)]
    output = parts if len(texts) < len(parts) else "\n".join(texts)
    return ToolOutput(output, failed=result.get("isError") is True, value=structured)


def parts_of(blocks: Iterable[_Wire]) -> list[Content]:
    """Convert content blocks to content parts. A block of an unknown type becomes text: its JSON."""
    return [_PARTS.get(block.get("type"), _as_json)(block) for block in blocks]


def _text(block: _Wire) -> Content:
    return InputText(text=block["text"])


def _image(block: _Wire) -> Content:
    return InputImage(image_url=_data_url(block["data"], block["mimeType"]))


def _audio(block: _Wire) -> Content:
    return _file(block["data"], block["mimeType"], "audio")


def _resource(block: _Wire) -> Content:
    resource = block["resource"]
    if "text" in resource:
        return InputText(text=resource["text"])
    media_type = resource.get("mimeType") or "application/octet-stream"
    if media_type.startswith("image/"):
        return InputImage(image_url=_data_url(resource["blob"], media_type))
    uri: str = resource["uri"]
    return _file(resource["blob"], media_type, urlsplit(uri).path.rpartition("/")[2] or "resource")


def _as_json(block: _Wire) -> Content:
    return InputText(text=_json(block))


_LINK_FIELDS: Final = ("uri", "name", "title", "description", "mimeType", "size")


def _link(block: _Wire) -> Content:
    # Not a `file_url`: the Responses server would fetch any address that a tool names, and could not reach most of
    # them.
    return InputText(text=_json({key: block[key] for key in _LINK_FIELDS if block.get(key) is not None}))


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


def _data_url(base64: str, media_type: str) -> str:
    return f"data:{media_type};base64,{base64}"


def _json(value: Any) -> str:
    return default_backend().dumps(value).decode()

"""What MCP says, in the terms of Responses: its tools as function tools, its results as outputs.

Everything here reads the plain JSON of the Model Context Protocol (Server features: Tools, Resources), not classes of an SDK.
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
from ...schema._strict import is_strict
from ...typing import UNSET
from ..output import ToolOutput

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from ...models.content import Content

__all__ = ["OfferedTool", "fits_name", "make_offer", "output_of", "parts_of"]

_Wire: TypeAlias = Mapping[str, Any]

_LONGEST_NAME: Final = 64
"""Characters that the name of a function may have (Tools, Function calling) …"""
_NOT_IN_NAMES: Final = re.compile(r"[^A-Za-z0-9_-]")
"""… and which ones. MCP allows more of both."""


# ---- tools


@attrs.frozen
class OfferedTool:
    """The tools of one listing, as they are offered to the model."""

    definitions: Sequence[FunctionTool] = ()
    names: Mapping[str, str] = attrs.field(factory=dict[str, str])
    """The name that the model calls -> the name that the server knows."""
    listed: Sequence[str] = ()
    """What the server has, also what is not offered."""


def fits_name(text: str) -> bool:
    """Tell whether a function may have this name, or one that begins with it."""
    return len(text) <= _LONGEST_NAME and not _NOT_IN_NAMES.search(text)


def make_offer(tools: Iterable[_Wire], *, prefix: str = "", allowed: Collection[str] | None = None) -> OfferedTool:
    """Make function tools of the tools of an MCP server, in its order.

    A name that a function cannot have is made one: other characters become ``_``, and what then is too long or the same as
    another name ends in a piece of a hash of the server's name instead, the same one each time.
    """
    listed = {str(tool["name"]): tool for tool in tools}
    kept = [name for name in listed if allowed is None or name in allowed]
    # Names that need no change come first, so that no other one takes them.
    names: dict[str, str] = {prefix + name: name for name in kept if name and fits_name(prefix + name)}
    unchanged = set(names.values())
    for name in kept:
        if name not in unchanged:
            names[_function_name(prefix, name, names)] = name
    called = {name: function for function, name in names.items()}
    return OfferedTool([_function_tool(called[name], listed[name]) for name in kept], names, [*listed])


def _function_name(prefix: str, name: str, taken: Mapping[str, str]) -> str:
    candidate = prefix + _NOT_IN_NAMES.sub("_", name)
    if name and len(candidate) <= _LONGEST_NAME and candidate not in taken:
        return candidate
    mark = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{candidate[: _LONGEST_NAME - len(mark) - 1]}_{mark}"


def _function_tool(name: str, tool: _Wire) -> FunctionTool:
    schema = dict(tool["inputSchema"])
    schema.setdefault("properties", {})  # MCP can do without, the servers that check function tools cannot
    return FunctionTool(
        name=name,
        description=tool.get("description") or tool.get("title") or UNSET,
        parameters=schema,
        strict=is_strict(schema),
    )


# ---- results


def output_of(result: _Wire) -> ToolOutput:
    """Make an output of the result of ``tools/call``.

    Text alone is one string, which every server takes. What comes as structured content only is its JSON; where there is
    text as well, that says the same (Tools, Structured content), and the structured content is the output's ``value``.
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
    """Make content parts of content blocks. A block of a kind that is not known is given as its JSON."""
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


_LINK: Final = ("uri", "name", "title", "description", "mimeType", "size")


def _link(block: _Wire) -> Content:
    # No `file_url`: the model's server would fetch whatever address a tool names, and could not fetch most of them.
    return InputText(text=_json({key: block[key] for key in _LINK if block.get(key) is not None}))


_PARTS: Final[Mapping[object, Callable[[_Wire], Content]]] = {
    "text": _text,
    "image": _image,
    "audio": _audio,
    "resource": _resource,
    "resource_link": _link,
}
"""The type of a content block -> what makes a part of it."""


def _file(base64: str, media_type: str, name: str) -> InputFile:
    if "." not in name:
        name += mimetypes.guess_extension(media_type) or f".{media_type.rpartition('/')[2]}"
    return InputFile(file_data=_data_url(base64, media_type), filename=name)


def _data_url(base64: str, media_type: str) -> str:
    return f"data:{media_type};base64,{base64}"


def _json(value: Any) -> str:
    return default_backend().dumps(value).decode()

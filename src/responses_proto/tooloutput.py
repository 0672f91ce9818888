"""What a tool call is answered with: what the tool gave, as a value, before it is an item of the next request."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import attrs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .models.actions import ShellOutput
    from .models.content import Content
    from .models.items import Item
    from .models.tools import Tool

__all__ = ["ToolOutput", "ToolResult"]

ToolResult: TypeAlias = "str | Content | Sequence[Content] | Sequence[ShellOutput] | Sequence[Tool] | Item"
"""What the model gets to read: text; parts, such as images and files; what commands gave; found tools; or the very item
that answers the call, such as a ``ComputerCallOutput``."""


@attrs.frozen
class ToolOutput:
    """What a call gave. Immutable."""

    output: ToolResult
    """For the model. A ready item has to be of the kind that answers the call, and to name it."""
    failed: bool = False
    """The tool says that it did not work; the model gets to read why, as with any other output."""
    value: object = attrs.field(default=None, kw_only=True, eq=False)
    """For the caller alone, never sent: the structured value behind the text, say."""

"""The life of a response, as tables.

A response is a small machine inside which smaller ones live: it has *items*, an item has *parts*, a part has *text*.
Each is announced, grows, and is closed, and each level says the whole of what it grew when it closes::

    response.created
      response.output_item.added                  an item takes the next slot of `response.output`
        response.content_part.added                 a part takes the next place in the item
          response.output_text.delta*                 its text grows
        response.output_text.done                     the text, whole
        response.content_part.done                  the part, whole
      response.output_item.done                   the item, whole
    response.completed                          the response, whole

So every text is said four times, and the later saying is the better one: what is whole beats what was pieced together. A
reader that trusts only the last word loses everything when the connection breaks; one that trusts only the deltas is
wrong when a server corrects itself. The accumulator keeps the deltas until something whole replaces them.

Three things vary between kinds of items, and they are the three tables here: which text grows under which event
(:data:`CHANNELS`), which events open and close a part (:data:`PART_EVENTS`), and which events merely report progress
(:data:`PROGRESS`). What may follow what is :data:`RESPONSE_LIFE`. The accumulator, the emitter and the checks read the same
tables, so they cannot disagree.

Where the text lives in an item is its *container*: ``content`` or ``summary`` for lists of parts; ``action.commands`` for
the list of strings in a shell call; empty for a field of the item itself (``arguments``, ``code``), which may be inside
another object (``operation.diff``).
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

import attrs

__all__ = [
    "CHANNELS",
    "DELTAS",
    "DONES",
    "ITEM_CHANNELS",
    "OVERRULED_BY",
    "PARTS",
    "PART_EVENTS",
    "PROGRESS",
    "RESPONSE_LIFE",
    "TERMINAL",
    "Channel",
    "PartEvent",
    "Progress",
    "ResponseState",
]


@attrs.frozen
class Channel:
    """One text that grows by deltas."""

    item: str
    """The type of item that it grows in."""
    container: str
    """The list of parts in the item that it grows in; empty for a field of the item itself."""
    part: str
    """The type of part; empty where the container holds plain strings, or there is none."""
    field: str
    """The field that holds the text: of the part, or of the item."""
    index: str
    """The event's attribute that says which part; empty where there is only one text."""
    delta: str
    """The event that adds to it, in its ``delta``."""
    done: str
    """The event that says the whole of it."""
    value: str
    """The attribute of the ``done`` event that has the whole."""


# fmt: off
CHANNELS: Final = (
    #       item                     container          part              field            index            delta                                            done                                            value
    Channel("message",               "content",         "output_text",    "text",          "content_index", "response.output_text.delta",                    "response.output_text.done",                    "text"),
    Channel("message",               "content",         "refusal",        "refusal",       "content_index", "response.refusal.delta",                        "response.refusal.done",                        "refusal"),
    Channel("reasoning",             "content",         "reasoning_text", "text",          "content_index", "response.reasoning_text.delta",                 "response.reasoning_text.done",                 "text"),
    Channel("reasoning",             "content",         "reasoning_text", "text",          "content_index", "response.reasoning.delta",                      "response.reasoning.done",                      "text"),
    Channel("reasoning",             "summary",         "summary_text",   "text",          "summary_index", "response.reasoning_summary_text.delta",         "response.reasoning_summary_text.done",         "text"),
    Channel("function_call",         "",                "",               "arguments",     "",              "response.function_call_arguments.delta",        "response.function_call_arguments.done",        "arguments"),
    Channel("custom_tool_call",      "",                "",               "input",         "",              "response.custom_tool_call_input.delta",         "response.custom_tool_call_input.done",         "input"),
    Channel("mcp_call",              "",                "",               "arguments",     "",              "response.mcp_call_arguments.delta",             "response.mcp_call_arguments.done",             "arguments"),
    Channel("code_interpreter_call", "",                "",               "code",          "",              "response.code_interpreter_call_code.delta",     "response.code_interpreter_call_code.done",     "code"),
    Channel("apply_patch_call",      "",                "",               "operation.diff", "",             "response.apply_patch_call_operation_diff.delta", "response.apply_patch_call_operation_diff.done", "diff"),
    Channel("shell_call",            "action.commands", "",               "",              "command_index", "response.shell_call_command.delta",             "response.shell_call_command.done",             "command"),
)
# fmt: on
"""Every text that grows by deltas of strings."""

DELTAS: Final = {channel.delta: channel for channel in CHANNELS}
"""Delta event -> its channel."""
DONES: Final = {channel.done: channel for channel in CHANNELS}
"""Done event -> its channel."""
ITEM_CHANNELS: Final = {
    item: tuple(channel for channel in CHANNELS if channel.item == item)
    for item in {channel.item for channel in CHANNELS}
}
"""Type of item -> the texts that grow in it. Kinds that are not here come whole."""


@attrs.frozen
class PartEvent:
    """An event that opens or closes a part."""

    container: str
    index: str
    """The event's attribute that says which part."""
    value: str
    """The event's attribute that has the part, or the part's text."""
    items: tuple[str, ...]
    """The types of items that it can belong to; where there are several, the part's type decides."""
    opens: bool
    """Whether it announces the part; if not, it says the whole of it."""


# fmt: off
PART_EVENTS: Final = {
    "response.content_part.added": PartEvent("content", "content_index", "part", ("message", "reasoning"), opens=True),
    "response.content_part.done": PartEvent("content", "content_index", "part", ("message", "reasoning"), opens=False),
    "response.reasoning_part.added": PartEvent("content", "content_index", "part", ("reasoning",), opens=True),
    "response.reasoning_part.done": PartEvent("content", "content_index", "part", ("reasoning",), opens=False),
    "response.reasoning_summary_part.added": PartEvent("summary", "summary_index", "part", ("reasoning",), opens=True),
    "response.reasoning_summary_part.done": PartEvent("summary", "summary_index", "part", ("reasoning",), opens=False),
    "response.shell_call_command.added": PartEvent("action.commands", "command_index", "command", ("shell_call",), opens=True),
}
# fmt: on
"""The events that open and close parts. (A shell command has no event of its own that closes it: its text's does.)"""

PARTS: Final = {(channel.container, channel.part): channel for channel in reversed(CHANNELS) if channel.part}
"""(container, type of part) -> the text that grows in it."""


@attrs.frozen
class Progress:
    """An event that only says how far an item has come."""

    item: str
    status: str
    """The item's status from then on; empty where that kind of item has none."""


PROGRESS: Final = {
    "response.web_search_call.in_progress": Progress("web_search_call", "in_progress"),
    "response.web_search_call.searching": Progress("web_search_call", "searching"),
    "response.web_search_call.completed": Progress("web_search_call", "completed"),
    "response.file_search_call.in_progress": Progress("file_search_call", "in_progress"),
    "response.file_search_call.searching": Progress("file_search_call", "searching"),
    "response.file_search_call.completed": Progress("file_search_call", "completed"),
    "response.code_interpreter_call.in_progress": Progress("code_interpreter_call", "in_progress"),
    "response.code_interpreter_call.interpreting": Progress("code_interpreter_call", "interpreting"),
    "response.code_interpreter_call.completed": Progress("code_interpreter_call", "completed"),
    "response.image_generation_call.in_progress": Progress("image_generation_call", "in_progress"),
    "response.image_generation_call.generating": Progress("image_generation_call", "generating"),
    "response.image_generation_call.completed": Progress("image_generation_call", "completed"),
    "response.mcp_call.in_progress": Progress("mcp_call", "in_progress"),
    "response.mcp_call.completed": Progress("mcp_call", "completed"),
    "response.mcp_call.failed": Progress("mcp_call", "failed"),
    "response.mcp_list_tools.in_progress": Progress("mcp_list_tools", ""),
    "response.mcp_list_tools.completed": Progress("mcp_list_tools", ""),
    "response.mcp_list_tools.failed": Progress("mcp_list_tools", ""),
    "response.compaction.compacting": Progress("compaction", ""),
}
"""The events that report on an item without changing what it says."""

ResponseState: TypeAlias = Literal["awaited", "created", "queued", "in_progress", "ended"]
"""Where a response is in its life, seen from its stream."""

RESPONSE_LIFE: Final[dict[ResponseState, dict[str, ResponseState]]] = {
    "awaited": {"response.created": "created"},
    "created": {
        "response.queued": "queued",
        "response.in_progress": "in_progress",
        "response.completed": "ended",
        "response.incomplete": "ended",
        "response.failed": "ended",
    },
    "queued": {
        "response.in_progress": "in_progress",
        "response.incomplete": "ended",
        "response.failed": "ended",
    },
    "in_progress": {
        "response.completed": "ended",
        "response.incomplete": "ended",
        "response.failed": "ended",
    },
    "ended": {},
}
"""state -> lifecycle event -> next state. What is not here is out of order. Items belong into ``in_progress``."""

TERMINAL: Final[dict[str, Literal["completed", "incomplete", "failed"]]] = {
    "response.completed": "completed",
    "response.incomplete": "incomplete",
    "response.failed": "failed",
}
"""Terminal event -> the outcome's status, unless :data:`OVERRULED_BY` the response's own."""

OVERRULED_BY: Final[dict[str, frozenset[Literal["incomplete", "failed", "cancelled"]]]] = {
    "completed": frozenset({"incomplete", "failed", "cancelled"}),
    "incomplete": frozenset({"failed", "cancelled"}),
    "failed": frozenset({"cancelled"}),
}
"""What the terminal event says -> the statuses of its response that are believed instead, because they are worse.

vLLM sends `response.completed` whatever happened. Cancelling has no event of its own.
"""

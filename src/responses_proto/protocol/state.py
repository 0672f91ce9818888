"""The life of a response, of its items and of their parts, as tables.

A response has *items*, an item has *parts*, and a part has *text*. Each of them is announced, grows, and is closed. The closing event
of each level repeats its complete content::

    response.created
      response.output_item.added                  an item takes the next slot of `response.output`
        response.content_part.added                 a part takes the next place in the item
          response.output_text.delta*                 its text grows
        response.output_text.done                     the complete text
        response.content_part.done                  the complete part
      response.output_item.done                   the complete item
    response.completed                          the complete response

So a server states every text four times. A later statement is more complete: a ``done`` event replaces the deltas before it. A client
that reads only the last statement loses everything when the connection breaks. A client that reads only the deltas is wrong when a
server corrects itself. The accumulator therefore keeps the deltas until a later statement replaces them.

Each level has a table of its states: :data:`RESPONSE_LIFE`, :data:`ITEM_LIFE` and :data:`PART_LIFE`. The table maps a state and a step to
the next state. A step without an entry is not allowed. A second table (:data:`RESPONSE_RULES`, :data:`ITEM_RULES`, :data:`PART_RULES`)
has the rule of :mod:`responses_proto.rules` that such a step breaks. Together the two tables have an entry for every step in every
state, so no input is left undefined.

Kinds of items differ in four ways:

- which events carry the deltas of which text (:data:`DELTA_FIELDS`),
- which events open and close a part (:data:`PART_EVENTS`),
- which events report the progress of the work on an item (:data:`PROGRESS`),
- which other events extend an item (:data:`OTHER_GROWTH_EVENTS`).

:data:`ITEM_STEPS` and :data:`PART_STEPS` map these events to steps. :data:`ITEM_EVENTS` lists the events of each kind of item. A kind
that is not listed has only ``output_item.added`` and ``output_item.done``.

The accumulator, the emitter, the checks and the generator of streams use the same tables, so they cannot disagree. The diagrams in the
documentation are drawn from them. An item that represents work (a search, a call of a remote tool) goes through stages. Stages may be
left out, but an item cannot go back to an earlier one. A text outside of a part has the states of a part. No event announces it, so it
is ``open`` from the start, and it may stay empty.

The place of a text in its item is its *container*: ``content`` or ``summary`` for lists of parts; ``action.commands`` for
the list of strings in a shell call; empty for a field of the item itself (``arguments``, ``code``), which may be inside
another object (``operation.diff``).
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

import attrs

__all__ = [
    "ALSO_IN",
    "DELTA_EVENTS",
    "DELTA_FIELDS",
    "DONE_EVENTS",
    "ITEM_DELTA_FIELDS",
    "ITEM_EVENTS",
    "ITEM_LIFE",
    "ITEM_PROGRESS",
    "ITEM_RULES",
    "ITEM_STEPS",
    "OTHER_GROWTH_EVENTS",
    "PARTS",
    "PART_CLOSERS",
    "PART_EVENTS",
    "PART_LIFE",
    "PART_OPENERS",
    "PART_RULES",
    "PART_STEPS",
    "PROGRESS",
    "RESPONSE_LIFE",
    "RESPONSE_RULES",
    "STATUS_PRECEDENCE",
    "TERMINAL",
    "DeltaField",
    "ItemState",
    "ItemStep",
    "PartEvent",
    "PartState",
    "PartStep",
    "ProgressEvent",
    "ResponseState",
    "ResponseStep",
]


@attrs.frozen
class DeltaField:
    """One text that grows by deltas."""

    item: str
    """The type of the item that has the text."""
    container: str
    """The list of parts in the item that has the text; empty for a field of the item itself."""
    part: str
    """The type of part; empty where the container holds plain strings, or there is none."""
    field: str
    """The field that holds the text: of the part, or of the item."""
    index: str
    """The event's attribute that has the index of the part; empty where there is only one text."""
    delta: str
    """The event whose ``delta`` adds to the text."""
    done: str
    """The event that has the complete text."""
    value: str
    """The attribute of the ``done`` event that has the complete text."""


# fmt: off
DELTA_FIELDS: Final = (
    #       item                     container          part              field            index            delta                                            done                                            value
    DeltaField("message",               "content",         "output_text",    "text",          "content_index", "response.output_text.delta",                    "response.output_text.done",                    "text"),
    DeltaField("message",               "content",         "refusal",        "refusal",       "content_index", "response.refusal.delta",                        "response.refusal.done",                        "refusal"),
    DeltaField("reasoning",             "content",         "reasoning_text", "text",          "content_index", "response.reasoning_text.delta",                 "response.reasoning_text.done",                 "text"),
    DeltaField("reasoning",             "content",         "reasoning_text", "text",          "content_index", "response.reasoning.delta",                      "response.reasoning.done",                      "text"),
    DeltaField("reasoning",             "summary",         "summary_text",   "text",          "summary_index", "response.reasoning_summary_text.delta",         "response.reasoning_summary_text.done",         "text"),
    DeltaField("function_call",         "",                "",               "arguments",     "",              "response.function_call_arguments.delta",        "response.function_call_arguments.done",        "arguments"),
    DeltaField("custom_tool_call",      "",                "",               "input",         "",              "response.custom_tool_call_input.delta",         "response.custom_tool_call_input.done",         "input"),
    DeltaField("mcp_call",              "",                "",               "arguments",     "",              "response.mcp_call_arguments.delta",             "response.mcp_call_arguments.done",             "arguments"),
    DeltaField("code_interpreter_call", "",                "",               "code",          "",              "response.code_interpreter_call_code.delta",     "response.code_interpreter_call_code.done",     "code"),
    DeltaField("apply_patch_call",      "",                "",               "operation.diff", "",             "response.apply_patch_call_operation_diff.delta", "response.apply_patch_call_operation_diff.done", "diff"),
    DeltaField("shell_call",            "action.commands", "",               "",              "command_index", "response.shell_call_command.delta",             "response.shell_call_command.done",             "command"),
)
# fmt: on
"""Every text that grows by deltas of strings."""

DELTA_EVENTS: Final = {channel.delta: channel for channel in DELTA_FIELDS}
"""Delta event -> its channel."""
DONE_EVENTS: Final = {channel.done: channel for channel in DELTA_FIELDS}
"""Done event -> its channel."""
ALSO_IN: Final = {"message": ("message", "agent_message"), "reasoning": ("reasoning", "agent_message")}
"""Type of item -> the types of items in whose ``content`` the events of its parts are also accepted.

As documented, a message between agents is sent as a whole. But it has the same parts, so a server may stream them.
"""
ITEM_DELTA_FIELDS: Final = {
    item: tuple(channel for channel in DELTA_FIELDS if channel.item == item)
    for item in dict.fromkeys(channel.item for channel in DELTA_FIELDS)
}
"""Type of item -> the texts that grow in it. Kinds that are not here have no such texts."""


@attrs.frozen
class PartEvent:
    """An event that opens or closes a part."""

    container: str
    index: str
    """The event's attribute that has the index of the part."""
    value: str
    """The event's attribute that has the part, or the part's text."""
    items: tuple[str, ...]
    """The types of items that the event can belong to. If there are several, the type of the part decides."""
    opens: bool
    """Whether the event announces the part. If not, it closes the part and has its complete content."""


# fmt: off
PART_EVENTS: Final = {
    "response.content_part.added": PartEvent("content", "content_index", "part", ("message", "reasoning", "agent_message"), opens=True),
    "response.content_part.done": PartEvent("content", "content_index", "part", ("message", "reasoning", "agent_message"), opens=False),
    "response.reasoning_part.added": PartEvent("content", "content_index", "part", ("reasoning",), opens=True),
    "response.reasoning_part.done": PartEvent("content", "content_index", "part", ("reasoning",), opens=False),
    "response.reasoning_summary_part.added": PartEvent("summary", "summary_index", "part", ("reasoning",), opens=True),
    "response.reasoning_summary_part.done": PartEvent("summary", "summary_index", "part", ("reasoning",), opens=False),
    "response.shell_call_command.added": PartEvent("action.commands", "command_index", "command", ("shell_call",), opens=True),
}
# fmt: on
"""The events that open and close parts. (A shell command is closed by the event that closes its text.)"""

PARTS: Final = {(channel.container, channel.part): channel for channel in reversed(DELTA_FIELDS) if channel.part}
"""(container, type of part) -> the text that grows in it."""

PART_OPENERS: Final = {
    (item, event.container): name
    for name, event in reversed(PART_EVENTS.items())
    if event.opens
    for item in event.items
}
"""(type of item, container) -> the event that opens a part in it; if there are two names, the one in the specification."""
PART_CLOSERS: Final = {
    (item, event.container): name
    for name, event in reversed(PART_EVENTS.items())
    if not event.opens
    for item in event.items
}
"""(type of item, container) -> the event that closes a part in it."""


@attrs.frozen
class ProgressEvent:
    """An event that only reports the progress of an item."""

    item: str
    status: str
    """The status of the item after the event; empty if that kind of item has none."""
    step: Literal["begins", "works", "ends", "fails"]
    """The step of the item that the event reports."""


PROGRESS: Final = {
    "response.web_search_call.in_progress": ProgressEvent("web_search_call", "in_progress", "begins"),
    "response.web_search_call.searching": ProgressEvent("web_search_call", "searching", "works"),
    "response.web_search_call.completed": ProgressEvent("web_search_call", "completed", "ends"),
    "response.file_search_call.in_progress": ProgressEvent("file_search_call", "in_progress", "begins"),
    "response.file_search_call.searching": ProgressEvent("file_search_call", "searching", "works"),
    "response.file_search_call.completed": ProgressEvent("file_search_call", "completed", "ends"),
    "response.code_interpreter_call.in_progress": ProgressEvent("code_interpreter_call", "in_progress", "begins"),
    "response.code_interpreter_call.interpreting": ProgressEvent("code_interpreter_call", "interpreting", "works"),
    "response.code_interpreter_call.completed": ProgressEvent("code_interpreter_call", "completed", "ends"),
    "response.image_generation_call.in_progress": ProgressEvent("image_generation_call", "in_progress", "begins"),
    "response.image_generation_call.generating": ProgressEvent("image_generation_call", "generating", "works"),
    "response.image_generation_call.completed": ProgressEvent("image_generation_call", "completed", "ends"),
    "response.mcp_call.in_progress": ProgressEvent("mcp_call", "in_progress", "begins"),
    "response.mcp_call.completed": ProgressEvent("mcp_call", "completed", "ends"),
    "response.mcp_call.failed": ProgressEvent("mcp_call", "failed", "fails"),
    "response.mcp_list_tools.in_progress": ProgressEvent("mcp_list_tools", "", "begins"),
    "response.mcp_list_tools.completed": ProgressEvent("mcp_list_tools", "", "ends"),
    "response.mcp_list_tools.failed": ProgressEvent("mcp_list_tools", "", "fails"),
    "response.compaction.compacting": ProgressEvent("compaction", "", "works"),
}
"""The events that report the progress of an item without changing its content, in order for each kind of item."""

ITEM_PROGRESS: Final = {
    item: tuple(name for name, progress in PROGRESS.items() if progress.item == item)
    for item in dict.fromkeys(progress.item for progress in PROGRESS.values())
}
"""Type of item -> the events that report its progress, in order."""

OTHER_GROWTH_EVENTS: Final = {
    "response.output_text.annotation.added": "message",
    "response.image_generation_call.partial_image": "image_generation_call",
    "response.shell_call_output_content.delta": "shell_call_output",
    "response.shell_call_output_content.done": "shell_call_output",
}
"""Events that extend an item other than by deltas of strings -> the type of the item."""

ResponseState: TypeAlias = Literal["awaited", "created", "queued", "in_progress", "ended"]
"""The state of a response, as seen from its stream."""

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
"""State -> lifecycle event -> next state. Other lifecycle events are out of order. Items are only allowed in ``in_progress``."""

ResponseStep: TypeAlias = Literal["lifecycle", "output"]
"""The kinds of events of a response: lifecycle events, and events of items."""

RESPONSE_RULES: Final[dict[ResponseState, dict[ResponseStep, str]]] = {
    "awaited": {"lifecycle": "created-missing", "output": "created-missing"},
    "created": {"lifecycle": "lifecycle", "output": "output-early"},
    "queued": {"lifecycle": "lifecycle", "output": "output-early"},
    "in_progress": {"lifecycle": "lifecycle"},
    "ended": {"lifecycle": "late-event", "output": "late-event"},
}
"""state -> step that is not allowed in it -> the rule that it breaks."""

ItemState: TypeAlias = Literal["awaited", "open", "begun", "working", "worked", "done"]
"""The state of an item. ``begun``, ``working`` and ``worked`` are stages of work, which only some kinds have."""
ItemStep: TypeAlias = Literal["added", "begins", "works", "ends", "fails", "grows", "done"]
"""The steps of an item."""

ITEM_LIFE: Final[dict[ItemState, dict[ItemStep, ItemState]]] = {
    "awaited": {"added": "open"},
    "open": {
        "begins": "begun", "works": "working", "ends": "worked", "fails": "worked", "grows": "open", "done": "done",
    },
    "begun": {
        "begins": "begun", "works": "working", "ends": "worked", "fails": "worked", "grows": "begun", "done": "done",
    },
    "working": {"works": "working", "ends": "worked", "fails": "worked", "grows": "working", "done": "done"},
    "worked": {"done": "done"},
    "done": {},
}  # fmt: skip
"""State -> step -> next state, for items of every kind."""

ITEM_RULES: Final[dict[ItemState, dict[ItemStep, str]]] = {
    "awaited": {
        "begins": "item-implied", "works": "item-implied", "ends": "item-implied", "fails": "item-implied",
        "grows": "item-implied", "done": "item-implied",
    },
    "open": {"added": "item-repeated"},
    "begun": {"added": "item-repeated"},
    "working": {"added": "item-repeated", "begins": "progress-order"},
    "worked": {
        "added": "item-repeated", "begins": "progress-order", "works": "progress-order", "ends": "progress-order",
        "fails": "progress-order", "grows": "progress-order",
    },
    "done": {
        "added": "index-occupied", "begins": "progress-order", "works": "progress-order", "ends": "progress-order",
        "fails": "progress-order", "grows": "delta-after-done", "done": "item-repeated",
    },
}  # fmt: skip
"""state -> step that is not allowed in it -> the rule that it breaks."""

ITEM_STEPS: Final[dict[str, ItemStep]] = {
    "response.output_item.added": "added",
    "response.output_item.done": "done",
    **{name: progress.step for name, progress in PROGRESS.items()},
    **dict.fromkeys((*DELTA_EVENTS, *DONE_EVENTS, *PART_EVENTS, *OTHER_GROWTH_EVENTS), "grows"),
}
"""Event -> the step of the item. The table has all events of items."""

ITEM_EVENTS: Final = {
    item: (
        *ITEM_PROGRESS.get(item, ()),
        *(name for name, event in PART_EVENTS.items() if item in event.items),
        *(name for channel in ITEM_DELTA_FIELDS.get(item, ()) for name in (channel.delta, channel.done)),
        *(name for name, kind in OTHER_GROWTH_EVENTS.items() if kind == item),
    )
    for item in dict.fromkeys((*ITEM_DELTA_FIELDS, *ITEM_PROGRESS, *OTHER_GROWTH_EVENTS.values()))
}
"""Type of item -> its events between ``added`` and ``done``."""

PartState: TypeAlias = Literal["awaited", "open", "growing", "complete", "done"]
"""The state of a part or a text. ``complete``: the ``done`` event of its text was sent."""
PartStep: TypeAlias = Literal["added", "delta", "text_done", "done", "item done"]
"""The steps of a part. ``text_done`` is the ``done`` event of its text; ``item done`` is the end of the item that contains the part."""

PART_LIFE: Final[dict[PartState, dict[PartStep, PartState]]] = {
    "awaited": {"added": "open"},
    "open": {"added": "open", "delta": "growing", "text_done": "complete", "done": "done"},
    "growing": {"delta": "growing", "text_done": "complete"},
    "complete": {"done": "done"},
    "done": {"item done": "done"},
}
"""State -> step -> next state, for parts. (An item can be added with parts in it. These parts are then added again.)

A shell command, which no event closes, and a text outside of a part may be ``open`` or ``complete`` when their item is done.
"""

PART_RULES: Final[dict[PartState, dict[PartStep, str]]] = {
    "awaited": {"delta": "part-implied", "text_done": "part-implied", "done": "part-implied"},
    "open": {"item done": "part-unfinished"},
    "growing": {"added": "part-repeated", "done": "text-unfinished", "item done": "text-unfinished"},
    "complete": {
        "added": "part-repeated", "delta": "delta-after-done", "text_done": "part-repeated", "item done": "part-unfinished",
    },
    "done": {
        "added": "part-repeated", "delta": "delta-after-done", "text_done": "part-repeated", "done": "part-repeated",
    },
}  # fmt: skip
"""state -> step that is not allowed in it -> the rule that it breaks."""

PART_STEPS: Final[dict[str, PartStep]] = {
    **dict.fromkeys(DELTA_EVENTS, "delta"),
    **dict.fromkeys(DONE_EVENTS, "text_done"),
    **{name: "added" if event.opens else "done" for name, event in PART_EVENTS.items()},
}
"""Event -> the step of its part or text."""

TERMINAL: Final[dict[str, Literal["completed", "incomplete", "failed"]]] = {
    "response.completed": "completed",
    "response.incomplete": "incomplete",
    "response.failed": "failed",
}
"""Terminal event -> the status of the outcome, unless the response has a worse status (:data:`STATUS_PRECEDENCE`)."""

STATUS_PRECEDENCE: Final[dict[str, frozenset[Literal["incomplete", "failed", "cancelled"]]]] = {
    "completed": frozenset({"incomplete", "failed", "cancelled"}),
    "incomplete": frozenset({"failed", "cancelled"}),
    "failed": frozenset({"cancelled"}),
}
"""The status of the terminal event -> the worse statuses of its response that take precedence.

vLLM sends `response.completed` for every response, even for failed ones. A cancelled response has no separate event.
"""

"""Model the events of a response stream: one class per event, for SSE and WebSocket.

The wire name is the class attribute ``type``. :data:`EVENT_TYPES` maps a wire name to its class; :data:`Event` is the open
union of all events. A class name is the wire name in CamelCase without ``response.``. If only one segment remains,
``Response`` stays: ``response.completed`` is :class:`ResponseCompleted`.

Events derive from the bases in :mod:`.event_bases`, which hold their common fields. Indices count from 0.
"""

from __future__ import annotations

from typing import ClassVar, Final, Literal, TypeAlias, get_args

from ..typing import UNSET, JSONObject, JSONValue, Unset
from ._base import Unknown, model
from .actions import ShellOutput
from .content import Annotation, Content, LogProb
from .event_bases import (
    ContentEventBase,
    EventBase,
    ItemEventBase,
    OutputEventBase,
    ResponseEventBase,
    SummaryEventBase,
    UnnumberedEventBase,
)
from .event_parts import ErrorBody, FailedSteer, InjectError, RequiredInput, ShellOutputDelta, Steer, SteerError
from .items import Item

__all__ = [
    "DELTA_TYPES",
    "EVENT_TYPES",
    "LIFECYCLE_TYPES",
    "TERMINAL_TYPES",
    "ApplyPatchCallOperationDiffDelta",
    "ApplyPatchCallOperationDiffDone",
    "AudioDelta",
    "AudioDone",
    "AudioTranscriptDelta",
    "AudioTranscriptDone",
    "CodeInterpreterCallCodeDelta",
    "CodeInterpreterCallCodeDone",
    "CodeInterpreterCallCompleted",
    "CodeInterpreterCallInProgress",
    "CodeInterpreterCallInterpreting",
    "CompactionCompacting",
    "ContentPartAdded",
    "ContentPartDone",
    "CustomToolCallInputDelta",
    "CustomToolCallInputDone",
    "ErrorEvent",
    "Event",
    "FileSearchCallCompleted",
    "FileSearchCallInProgress",
    "FileSearchCallSearching",
    "FunctionCallArgumentsDelta",
    "FunctionCallArgumentsDone",
    "ImageGenerationCallCompleted",
    "ImageGenerationCallGenerating",
    "ImageGenerationCallInProgress",
    "ImageGenerationCallPartialImage",
    "InjectCreated",
    "InjectFailed",
    "Keepalive",
    "McpCallArgumentsDelta",
    "McpCallArgumentsDone",
    "McpCallCompleted",
    "McpCallFailed",
    "McpCallInProgress",
    "McpListToolsCompleted",
    "McpListToolsFailed",
    "McpListToolsInProgress",
    "OutputItemAdded",
    "OutputItemDone",
    "OutputTextAnnotationAdded",
    "OutputTextDelta",
    "OutputTextDone",
    "RateLimitsUpdated",
    "ReasoningDelta",
    "ReasoningDone",
    "ReasoningPartAdded",
    "ReasoningPartDone",
    "ReasoningSummaryPartAdded",
    "ReasoningSummaryPartDone",
    "ReasoningSummaryTextDelta",
    "ReasoningSummaryTextDone",
    "ReasoningTextDelta",
    "ReasoningTextDone",
    "RefusalDelta",
    "RefusalDone",
    "ResponseCompleted",
    "ResponseCreated",
    "ResponseFailed",
    "ResponseInProgress",
    "ResponseIncomplete",
    "ResponseQueued",
    "ShellCallCommandAdded",
    "ShellCallCommandDelta",
    "ShellCallCommandDone",
    "ShellCallOutputContentDelta",
    "ShellCallOutputContentDone",
    "SteerAccepted",
    "SteerFailed",
    "SteerPending",
    "UnknownEvent",
    "WebSearchCallCompleted",
    "WebSearchCallInProgress",
    "WebSearchCallSearching",
]


# --- the response -----------------------------------------------------------------------------------------------------


@model
class ResponseCreated(ResponseEventBase):
    """The response exists: `response.created`, the first event (Streaming, Response lifecycle)."""

    type: ClassVar[Literal["response.created"]] = "response.created"


@model
class ResponseQueued(ResponseEventBase):
    """The response waits to be processed: `response.queued` (Streaming, Response lifecycle)."""

    type: ClassVar[Literal["response.queued"]] = "response.queued"


@model
class ResponseInProgress(ResponseEventBase):
    """The model started to work: `response.in_progress` (Streaming, Response lifecycle)."""

    type: ClassVar[Literal["response.in_progress"]] = "response.in_progress"


@model
class ResponseCompleted(ResponseEventBase):
    """The response is complete: `response.completed`, terminal (Streaming, Response lifecycle)."""

    type: ClassVar[Literal["response.completed"]] = "response.completed"


@model
class ResponseIncomplete(ResponseEventBase):
    """The response stopped early: `response.incomplete`, terminal (Streaming, Response lifecycle)."""

    type: ClassVar[Literal["response.incomplete"]] = "response.incomplete"


@model
class ResponseFailed(ResponseEventBase):
    """The response failed, see its ``error``: `response.failed`, terminal (Streaming, Response lifecycle)."""

    type: ClassVar[Literal["response.failed"]] = "response.failed"


# --- items and content parts ------------------------------------------------------------------------------------------


@model
class OutputItemAdded(OutputEventBase):
    """An output item begins: `response.output_item.added` (Streaming, Output items)."""

    type: ClassVar[Literal["response.output_item.added"]] = "response.output_item.added"
    item: Item
    """The item at this point, mostly empty."""


@model
class OutputItemDone(OutputEventBase):
    """An output item is complete: `response.output_item.done` (Streaming, Output items)."""

    type: ClassVar[Literal["response.output_item.done"]] = "response.output_item.done"
    item: Item


@model
class ContentPartAdded(ContentEventBase):
    """A content part begins: `response.content_part.added` (Streaming, Content parts)."""

    type: ClassVar[Literal["response.content_part.added"]] = "response.content_part.added"
    part: Content


@model
class ContentPartDone(ContentEventBase):
    """A content part is complete: `response.content_part.done` (Streaming, Content parts)."""

    type: ClassVar[Literal["response.content_part.done"]] = "response.content_part.done"
    part: Content


# --- text, refusal, audio ---------------------------------------------------------------------------------------------


@model
class OutputTextDelta(ContentEventBase):
    """More text of a message: `response.output_text.delta` (Streaming, Output text)."""

    type: ClassVar[Literal["response.output_text.delta"]] = "response.output_text.delta"
    delta: str
    logprobs: list[LogProb] | Unset = UNSET
    """The tokens of ``delta``; filled only on request."""
    obfuscation: str | None | Unset = UNSET
    """Random padding that hides the length of ``delta`` from an observer of the traffic."""


@model
class OutputTextDone(ContentEventBase):
    """The text of a part is complete: `response.output_text.done` (Streaming, Output text)."""

    type: ClassVar[Literal["response.output_text.done"]] = "response.output_text.done"
    text: str
    logprobs: list[LogProb] | Unset = UNSET


@model
class OutputTextAnnotationAdded(ContentEventBase):
    """The text has a new annotation: `response.output_text.annotation.added` (Streaming, Output text)."""

    type: ClassVar[Literal["response.output_text.annotation.added"]] = "response.output_text.annotation.added"
    annotation: Annotation | None | Unset = UNSET
    annotation_index: int
    """Position in the part's ``annotations``."""


@model
class RefusalDelta(ContentEventBase):
    """More text of a refusal: `response.refusal.delta` (Streaming, Refusal)."""

    type: ClassVar[Literal["response.refusal.delta"]] = "response.refusal.delta"
    delta: str
    obfuscation: str | None | Unset = UNSET


@model
class RefusalDone(ContentEventBase):
    """The refusal is complete: `response.refusal.done` (Streaming, Refusal)."""

    type: ClassVar[Literal["response.refusal.done"]] = "response.refusal.done"
    refusal: str


@model
class AudioDelta(EventBase):
    """More audio: `response.audio.delta` (Streaming, Audio)."""

    type: ClassVar[Literal["response.audio.delta"]] = "response.audio.delta"
    delta: str
    """A piece of the audio in Base64."""
    obfuscation: str | None | Unset = UNSET


@model
class AudioDone(EventBase):
    """The audio is complete: `response.audio.done` (Streaming, Audio)."""

    type: ClassVar[Literal["response.audio.done"]] = "response.audio.done"


@model
class AudioTranscriptDelta(EventBase):
    """More of the transcript of the audio: `response.audio.transcript.delta` (Streaming, Audio)."""

    type: ClassVar[Literal["response.audio.transcript.delta"]] = "response.audio.transcript.delta"
    delta: str
    obfuscation: str | None | Unset = UNSET


@model
class AudioTranscriptDone(EventBase):
    """The transcript is complete: `response.audio.transcript.done` (Streaming, Audio)."""

    type: ClassVar[Literal["response.audio.transcript.done"]] = "response.audio.transcript.done"


# --- reasoning --------------------------------------------------------------------------------------------------------


@model
class ReasoningTextDelta(ContentEventBase):
    """More of the reasoning itself: `response.reasoning_text.delta` (Streaming, Reasoning)."""

    type: ClassVar[Literal["response.reasoning_text.delta"]] = "response.reasoning_text.delta"
    delta: str
    obfuscation: str | None | Unset = UNSET


@model
class ReasoningTextDone(ContentEventBase):
    """A part of the reasoning is complete: `response.reasoning_text.done` (Streaming, Reasoning)."""

    type: ClassVar[Literal["response.reasoning_text.done"]] = "response.reasoning_text.done"
    text: str


@model
class ReasoningDelta(ContentEventBase):
    """More of the reasoning, under the name of Open Responses: `response.reasoning.delta` (Open Responses, Streaming)."""

    type: ClassVar[Literal["response.reasoning.delta"]] = "response.reasoning.delta"
    delta: str
    obfuscation: str | None | Unset = UNSET


@model
class ReasoningDone(ContentEventBase):
    """A part of the reasoning is complete: `response.reasoning.done` (Open Responses, Streaming)."""

    type: ClassVar[Literal["response.reasoning.done"]] = "response.reasoning.done"
    text: str


@model
class ReasoningPartAdded(ContentEventBase):
    """A part of the reasoning begins: `response.reasoning_part.added` (vLLM, llama-stack; in no specification)."""

    type: ClassVar[Literal["response.reasoning_part.added"]] = "response.reasoning_part.added"
    part: Content


@model
class ReasoningPartDone(ContentEventBase):
    """A part of the reasoning is complete: `response.reasoning_part.done` (vLLM, llama-stack; in no specification)."""

    type: ClassVar[Literal["response.reasoning_part.done"]] = "response.reasoning_part.done"
    part: Content


@model
class ReasoningSummaryPartAdded(SummaryEventBase):
    """A part of the summary begins: `response.reasoning_summary_part.added` (Streaming, Reasoning summary)."""

    type: ClassVar[Literal["response.reasoning_summary_part.added"]] = "response.reasoning_summary_part.added"
    part: Content


@model
class ReasoningSummaryPartDone(SummaryEventBase):
    """A part of the summary is complete: `response.reasoning_summary_part.done` (Streaming, Reasoning summary)."""

    type: ClassVar[Literal["response.reasoning_summary_part.done"]] = "response.reasoning_summary_part.done"
    part: Content
    status: Literal["incomplete"] | str | None | Unset = UNSET
    """``incomplete`` if the part was cut short; absent if it is complete."""


@model
class ReasoningSummaryTextDelta(SummaryEventBase):
    """More text of the summary: `response.reasoning_summary_text.delta` (Streaming, Reasoning summary)."""

    type: ClassVar[Literal["response.reasoning_summary_text.delta"]] = "response.reasoning_summary_text.delta"
    delta: str
    obfuscation: str | None | Unset = UNSET


@model
class ReasoningSummaryTextDone(SummaryEventBase):
    """The text of a summary part is complete: `response.reasoning_summary_text.done` (Streaming, Reasoning summary)."""

    type: ClassVar[Literal["response.reasoning_summary_text.done"]] = "response.reasoning_summary_text.done"
    text: str


# --- calls of the caller's tools --------------------------------------------------------------------------------------


@model
class FunctionCallArgumentsDelta(ItemEventBase):
    """More of a call's JSON arguments: `response.function_call_arguments.delta` (Streaming, Function calls)."""

    type: ClassVar[Literal["response.function_call_arguments.delta"]] = "response.function_call_arguments.delta"
    delta: str
    obfuscation: str | None | Unset = UNSET


@model
class FunctionCallArgumentsDone(ItemEventBase):
    """A call's arguments are complete: `response.function_call_arguments.done` (Streaming, Function calls)."""

    type: ClassVar[Literal["response.function_call_arguments.done"]] = "response.function_call_arguments.done"
    arguments: str
    """JSON, as text."""
    name: str | None | Unset = UNSET
    """The function name. The newest servers omit it; the item has it."""


@model
class CustomToolCallInputDelta(ItemEventBase):
    """More of a custom tool's input: `response.custom_tool_call_input.delta` (Streaming, Custom tool calls)."""

    type: ClassVar[Literal["response.custom_tool_call_input.delta"]] = "response.custom_tool_call_input.delta"
    delta: str
    obfuscation: str | None | Unset = UNSET


@model
class CustomToolCallInputDone(ItemEventBase):
    """A custom tool's input is complete: `response.custom_tool_call_input.done` (Streaming, Custom tool calls)."""

    type: ClassVar[Literal["response.custom_tool_call_input.done"]] = "response.custom_tool_call_input.done"
    input: str


@model
class ShellCallCommandAdded(OutputEventBase):
    """A command of a shell call begins: `response.shell_call_command.added` (Streaming, Shell calls)."""

    type: ClassVar[Literal["response.shell_call_command.added"]] = "response.shell_call_command.added"
    command_index: int
    """Position in the call's ``action.commands``."""
    command: str


@model
class ShellCallCommandDelta(OutputEventBase):
    """More of a shell command: `response.shell_call_command.delta` (Streaming, Shell calls)."""

    type: ClassVar[Literal["response.shell_call_command.delta"]] = "response.shell_call_command.delta"
    command_index: int
    delta: str
    obfuscation: str | None | Unset = UNSET


@model
class ShellCallCommandDone(OutputEventBase):
    """A shell command is complete: `response.shell_call_command.done` (Streaming, Shell calls)."""

    type: ClassVar[Literal["response.shell_call_command.done"]] = "response.shell_call_command.done"
    command_index: int
    command: str


@model
class ShellCallOutputContentDelta(ItemEventBase):
    """More output of a command: `response.shell_call_output_content.delta` (Streaming, Shell calls)."""

    type: ClassVar[Literal["response.shell_call_output_content.delta"]] = "response.shell_call_output_content.delta"
    command_index: int
    delta: ShellOutputDelta
    """An object, unlike all other deltas."""
    obfuscation: str | None | Unset = UNSET


@model
class ShellCallOutputContentDone(ItemEventBase):
    """A command's output is complete: `response.shell_call_output_content.done` (Streaming, Shell calls)."""

    type: ClassVar[Literal["response.shell_call_output_content.done"]] = "response.shell_call_output_content.done"
    command_index: int
    output: list[ShellOutput]


@model
class ApplyPatchCallOperationDiffDelta(ItemEventBase):
    """More of a patch: `response.apply_patch_call_operation_diff.delta` (recorded; in no specification)."""

    type: ClassVar[Literal["response.apply_patch_call_operation_diff.delta"]] = (
        "response.apply_patch_call_operation_diff.delta"
    )
    delta: str
    obfuscation: str | None | Unset = UNSET


@model
class ApplyPatchCallOperationDiffDone(ItemEventBase):
    """The patch is complete: `response.apply_patch_call_operation_diff.done` (recorded; in no specification)."""

    type: ClassVar[Literal["response.apply_patch_call_operation_diff.done"]] = (
        "response.apply_patch_call_operation_diff.done"
    )
    diff: str


# --- tools that the server runs ---------------------------------------------------------------------------------------


@model
class WebSearchCallInProgress(ItemEventBase):
    """A web search begins: `response.web_search_call.in_progress` (Streaming, Web search)."""

    type: ClassVar[Literal["response.web_search_call.in_progress"]] = "response.web_search_call.in_progress"


@model
class WebSearchCallSearching(ItemEventBase):
    """A web search runs: `response.web_search_call.searching` (Streaming, Web search)."""

    type: ClassVar[Literal["response.web_search_call.searching"]] = "response.web_search_call.searching"


@model
class WebSearchCallCompleted(ItemEventBase):
    """A web search is over: `response.web_search_call.completed` (Streaming, Web search)."""

    type: ClassVar[Literal["response.web_search_call.completed"]] = "response.web_search_call.completed"


@model
class FileSearchCallInProgress(ItemEventBase):
    """A file search begins: `response.file_search_call.in_progress` (Streaming, File search)."""

    type: ClassVar[Literal["response.file_search_call.in_progress"]] = "response.file_search_call.in_progress"


@model
class FileSearchCallSearching(ItemEventBase):
    """A file search runs: `response.file_search_call.searching` (Streaming, File search)."""

    type: ClassVar[Literal["response.file_search_call.searching"]] = "response.file_search_call.searching"


@model
class FileSearchCallCompleted(ItemEventBase):
    """A file search is over: `response.file_search_call.completed` (Streaming, File search)."""

    type: ClassVar[Literal["response.file_search_call.completed"]] = "response.file_search_call.completed"


@model
class CodeInterpreterCallInProgress(ItemEventBase):
    """A code interpreter call begins: `response.code_interpreter_call.in_progress` (Streaming, Code interpreter)."""

    type: ClassVar[Literal["response.code_interpreter_call.in_progress"]] = "response.code_interpreter_call.in_progress"


@model
class CodeInterpreterCallInterpreting(ItemEventBase):
    """The code runs: `response.code_interpreter_call.interpreting` (Streaming, Code interpreter)."""

    type: ClassVar[Literal["response.code_interpreter_call.interpreting"]] = (
        "response.code_interpreter_call.interpreting"
    )


@model
class CodeInterpreterCallCompleted(ItemEventBase):
    """A code interpreter call is over: `response.code_interpreter_call.completed` (Streaming, Code interpreter)."""

    type: ClassVar[Literal["response.code_interpreter_call.completed"]] = "response.code_interpreter_call.completed"


@model
class CodeInterpreterCallCodeDelta(ItemEventBase):
    """More of the code to run: `response.code_interpreter_call_code.delta` (Streaming, Code interpreter)."""

    type: ClassVar[Literal["response.code_interpreter_call_code.delta"]] = "response.code_interpreter_call_code.delta"
    delta: str
    obfuscation: str | None | Unset = UNSET


@model
class CodeInterpreterCallCodeDone(ItemEventBase):
    """The code to run is complete: `response.code_interpreter_call_code.done` (Streaming, Code interpreter)."""

    type: ClassVar[Literal["response.code_interpreter_call_code.done"]] = "response.code_interpreter_call_code.done"
    code: str


@model
class ImageGenerationCallInProgress(ItemEventBase):
    """An image was requested: `response.image_generation_call.in_progress` (Streaming, Image generation)."""

    type: ClassVar[Literal["response.image_generation_call.in_progress"]] = "response.image_generation_call.in_progress"


@model
class ImageGenerationCallGenerating(ItemEventBase):
    """An image is being generated: `response.image_generation_call.generating` (Streaming, Image generation)."""

    type: ClassVar[Literal["response.image_generation_call.generating"]] = "response.image_generation_call.generating"


@model
class ImageGenerationCallPartialImage(ItemEventBase):
    """A preview of the image: `response.image_generation_call.partial_image` (Streaming, Image generation)."""

    type: ClassVar[Literal["response.image_generation_call.partial_image"]] = (
        "response.image_generation_call.partial_image"
    )
    partial_image_index: int
    """The index of the preview among those of the image."""
    partial_image_b64: str
    """The preview in Base64."""
    size: str | None | Unset = UNSET
    """Width and height in pixels, as in ``1024x1024``."""
    quality: str | None | Unset = UNSET
    background: str | None | Unset = UNSET
    output_format: str | None | Unset = UNSET


@model
class ImageGenerationCallCompleted(ItemEventBase):
    """The image is complete: `response.image_generation_call.completed` (Streaming, Image generation)."""

    type: ClassVar[Literal["response.image_generation_call.completed"]] = "response.image_generation_call.completed"


@model
class McpListToolsInProgress(ItemEventBase):
    """The server lists the tools of an MCP server: `response.mcp_list_tools.in_progress` (Streaming, MCP)."""

    type: ClassVar[Literal["response.mcp_list_tools.in_progress"]] = "response.mcp_list_tools.in_progress"


@model
class McpListToolsCompleted(ItemEventBase):
    """An MCP server listed its tools: `response.mcp_list_tools.completed` (Streaming, MCP)."""

    type: ClassVar[Literal["response.mcp_list_tools.completed"]] = "response.mcp_list_tools.completed"


@model
class McpListToolsFailed(ItemEventBase):
    """An MCP server failed to list its tools: `response.mcp_list_tools.failed` (Streaming, MCP)."""

    type: ClassVar[Literal["response.mcp_list_tools.failed"]] = "response.mcp_list_tools.failed"


@model
class McpCallInProgress(ItemEventBase):
    """An MCP call begins: `response.mcp_call.in_progress` (Streaming, MCP)."""

    type: ClassVar[Literal["response.mcp_call.in_progress"]] = "response.mcp_call.in_progress"


@model
class McpCallCompleted(ItemEventBase):
    """An MCP call succeeded: `response.mcp_call.completed` (Streaming, MCP)."""

    type: ClassVar[Literal["response.mcp_call.completed"]] = "response.mcp_call.completed"


@model
class McpCallFailed(ItemEventBase):
    """An MCP call failed: `response.mcp_call.failed` (Streaming, MCP)."""

    type: ClassVar[Literal["response.mcp_call.failed"]] = "response.mcp_call.failed"


@model
class McpCallArgumentsDelta(ItemEventBase):
    """More of an MCP call's JSON arguments: `response.mcp_call_arguments.delta` (Streaming, MCP)."""

    type: ClassVar[Literal["response.mcp_call_arguments.delta"]] = "response.mcp_call_arguments.delta"
    delta: str
    obfuscation: str | None | Unset = UNSET


@model
class McpCallArgumentsDone(ItemEventBase):
    """An MCP call's arguments are complete: `response.mcp_call_arguments.done` (Streaming, MCP)."""

    type: ClassVar[Literal["response.mcp_call_arguments.done"]] = "response.mcp_call_arguments.done"
    arguments: str
    """JSON, as text."""


@model
class CompactionCompacting(ItemEventBase):
    """The server compacts the history: `response.compaction.compacting` (Streaming, Compaction)."""

    type: ClassVar[Literal["response.compaction.compacting"]] = "response.compaction.compacting"


# --- steering, over WebSocket only ------------------------------------------------------------------------------------


@model
class SteerAccepted(EventBase):
    """The steer was accepted: `response.steer.accepted` (WebSocket, Steering)."""

    type: ClassVar[Literal["response.steer.accepted"]] = "response.steer.accepted"
    steer: Steer


@model
class SteerPending(EventBase):
    """The steer waits for input items that the response requires: `response.steer.pending` (WebSocket, Steering)."""

    type: ClassVar[Literal["response.steer.pending"]] = "response.steer.pending"
    steer: Steer
    reason: Literal["waiting_for_required_input"] | str
    required_input: list[RequiredInput]


@model
class SteerFailed(EventBase):
    """The steer was not accepted: `response.steer.failed` (WebSocket, Steering)."""

    type: ClassVar[Literal["response.steer.failed"]] = "response.steer.failed"
    steer: FailedSteer
    error: SteerError


# --- input for the agents of a running response, over WebSocket only ---------------------------------------------------


@model
class InjectCreated(EventBase):
    """The injected input is part of the response: `response.inject.created` (WebSocket, Multi-agent beta)."""

    type: ClassVar[Literal["response.inject.created"]] = "response.inject.created"
    response_id: str


@model
class InjectFailed(EventBase):
    """The injected input was not accepted: `response.inject.failed` (WebSocket, Multi-agent beta)."""

    type: ClassVar[Literal["response.inject.failed"]] = "response.inject.failed"
    response_id: str
    input: list[Item]
    """The complete input, so that it can be sent again."""
    error: InjectError


# --- outside the sequence ----------------------------------------------------------------------------------------------


@model
class ErrorEvent(UnnumberedEventBase):
    """An error: `error` (Streaming, Errors). `response.failed` may follow, or nothing.

    It has one of three shapes: flat (``code``, ``message``, ``param``), as documented; nested (``error``), as OpenAI sends it;
    and nested with ``status``, over WebSocket.
    """

    type: ClassVar[Literal["error"]] = "error"
    message: str | Unset = UNSET
    code: str | None | Unset = UNSET
    param: str | None | Unset = UNSET
    error: ErrorBody | Unset = UNSET
    status: int | None | Unset = UNSET
    """The HTTP status of the error."""
    headers: JSONObject | None | Unset = UNSET
    """The HTTP headers of the error. Some servers put them here instead of into ``error``."""


@model
class Keepalive(UnnumberedEventBase):
    """A sign that the connection is alive: `keepalive` (recorded; in no specification).

    It may be sent at any time, even after the terminal event.
    """

    type: ClassVar[Literal["keepalive"]] = "keepalive"


@model
class RateLimitsUpdated(UnnumberedEventBase):
    """The remaining quota of the caller: `response.rate_limits.updated` (recorded; in no specification)."""

    type: ClassVar[Literal["response.rate_limits.updated"]] = "response.rate_limits.updated"
    rate_limits: JSONValue | Unset = UNSET
    """A list of limits. Its shape is not specified."""


@model
class UnknownEvent(Unknown):
    """An event with an unknown ``type``, such as a vendor's ``slug:name``. It is kept raw (Open Responses, Extensions)."""


# --- the union, and its registries ------------------------------------------------------------------------------------

Event: TypeAlias = (
    ResponseCreated
    | ResponseQueued
    | ResponseInProgress
    | ResponseCompleted
    | ResponseIncomplete
    | ResponseFailed
    | OutputItemAdded
    | OutputItemDone
    | ContentPartAdded
    | ContentPartDone
    | OutputTextDelta
    | OutputTextDone
    | OutputTextAnnotationAdded
    | RefusalDelta
    | RefusalDone
    | AudioDelta
    | AudioDone
    | AudioTranscriptDelta
    | AudioTranscriptDone
    | ReasoningTextDelta
    | ReasoningTextDone
    | ReasoningDelta
    | ReasoningDone
    | ReasoningPartAdded
    | ReasoningPartDone
    | ReasoningSummaryPartAdded
    | ReasoningSummaryPartDone
    | ReasoningSummaryTextDelta
    | ReasoningSummaryTextDone
    | FunctionCallArgumentsDelta
    | FunctionCallArgumentsDone
    | CustomToolCallInputDelta
    | CustomToolCallInputDone
    | ShellCallCommandAdded
    | ShellCallCommandDelta
    | ShellCallCommandDone
    | ShellCallOutputContentDelta
    | ShellCallOutputContentDone
    | ApplyPatchCallOperationDiffDelta
    | ApplyPatchCallOperationDiffDone
    | WebSearchCallInProgress
    | WebSearchCallSearching
    | WebSearchCallCompleted
    | FileSearchCallInProgress
    | FileSearchCallSearching
    | FileSearchCallCompleted
    | CodeInterpreterCallInProgress
    | CodeInterpreterCallInterpreting
    | CodeInterpreterCallCompleted
    | CodeInterpreterCallCodeDelta
    | CodeInterpreterCallCodeDone
    | ImageGenerationCallInProgress
    | ImageGenerationCallGenerating
    | ImageGenerationCallPartialImage
    | ImageGenerationCallCompleted
    | McpListToolsInProgress
    | McpListToolsCompleted
    | McpListToolsFailed
    | McpCallInProgress
    | McpCallCompleted
    | McpCallFailed
    | McpCallArgumentsDelta
    | McpCallArgumentsDone
    | CompactionCompacting
    | SteerAccepted
    | SteerPending
    | SteerFailed
    | InjectCreated
    | InjectFailed
    | ErrorEvent
    | Keepalive
    | RateLimitsUpdated
    | UnknownEvent
)
"""Any event; an open union: an event of an unknown type is an :class:`UnknownEvent`."""

EVENT_TYPES: Final[dict[str, type[Event]]] = {cls.type: cls for cls in get_args(Event) if cls is not UnknownEvent}
"""Wire name -> class, without :class:`UnknownEvent`."""

TERMINAL_TYPES: Final = frozenset({"response.completed", "response.incomplete", "response.failed"})
"""The events that end a response. (`error` may end a stream, but does not state how the response ended.)"""

LIFECYCLE_TYPES: Final = frozenset({"response.created", "response.queued", "response.in_progress"}) | TERMINAL_TYPES
"""The events with a snapshot of the whole ``response``."""

DELTA_TYPES: Final = frozenset(name for name in EVENT_TYPES if name.endswith(".delta"))
"""The events with a ``delta``, which extends a text."""

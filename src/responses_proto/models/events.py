"""What a server says while it answers: one class per event, over SSE and over WebSocket alike.

The wire name is the class attribute ``type``; :data:`EVENT_TYPES` finds the class for a name, :data:`Event` is the
union of all. A class name is the wire name in CamelCase without ``response.``; where only one segment is left, the
``Response`` stays (``response.completed`` is :class:`ResponseCompleted`).

What an event belongs to is in its private base: the response alone, a slot of ``response.output`` (``output_index``),
the item in it (``item_id``), or a part of that item (``content_index``, ``summary_index``). Indices count from 0.
"""

from __future__ import annotations

from typing import ClassVar, Final, Literal, TypeAlias, get_args

from ..typing import UNSET, JSONObject, JSONValue, Unset
from ._base import Model, Unknown, model
from .actions import ShellOutput
from .content import Annotation, Content, LogProb
from .event_parts import ErrorBody, FailedSteer, RequiredInput, ShellOutputDelta, Steer, SteerError
from .items import Item
from .response import Response

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


# --- bases ------------------------------------------------------------------------------------------------------------


@model
class _LaneEvent(Model):
    """Any event. Over WebSocket, requests that run side by side are told apart by ``stream_id``."""

    stream_id: str | None | Unset = UNSET
    """The lane of the WebSocket connection that the event belongs to; absent over SSE."""


@model
class _UnnumberedEvent(_LaneEvent):
    """An event beside the sequence: it may come without a number."""

    sequence_number: int | None | Unset = UNSET


@model
class _Event(_LaneEvent):
    """An event in the sequence of a response."""

    sequence_number: int
    """Rises by one per event, from 0; what a resumed stream starts after."""


@model
class _ResponseEvent(_Event):
    """A step of the response itself."""

    response: Response
    """The response as of now."""


@model
class _OutputEvent(_Event):
    """An event of one slot of the output."""

    output_index: int
    """Position in ``response.output``."""


@model
class _ItemEvent(_OutputEvent):
    """An event of one output item."""

    item_id: str


@model
class _ContentEvent(_ItemEvent):
    """An event of one content part."""

    content_index: int
    """Position in the item's ``content``."""


@model
class _SummaryEvent(_ItemEvent):
    """An event of one part of a reasoning summary."""

    summary_index: int
    """Position in the item's ``summary``."""


# --- the response -----------------------------------------------------------------------------------------------------


@model
class ResponseCreated(_ResponseEvent):
    """The response exists: `response.created`, the first event (Streaming, Response lifecycle)."""

    type: ClassVar[Literal["response.created"]] = "response.created"


@model
class ResponseQueued(_ResponseEvent):
    """The response waits for its turn: `response.queued` (Streaming, Response lifecycle)."""

    type: ClassVar[Literal["response.queued"]] = "response.queued"


@model
class ResponseInProgress(_ResponseEvent):
    """The model works: `response.in_progress` (Streaming, Response lifecycle)."""

    type: ClassVar[Literal["response.in_progress"]] = "response.in_progress"


@model
class ResponseCompleted(_ResponseEvent):
    """The response is whole: `response.completed`, terminal (Streaming, Response lifecycle)."""

    type: ClassVar[Literal["response.completed"]] = "response.completed"


@model
class ResponseIncomplete(_ResponseEvent):
    """The response was cut short: `response.incomplete`, terminal (Streaming, Response lifecycle)."""

    type: ClassVar[Literal["response.incomplete"]] = "response.incomplete"


@model
class ResponseFailed(_ResponseEvent):
    """The response failed, see its ``error``: `response.failed`, terminal (Streaming, Response lifecycle)."""

    type: ClassVar[Literal["response.failed"]] = "response.failed"


# --- items and content parts ------------------------------------------------------------------------------------------


@model
class OutputItemAdded(_OutputEvent):
    """An output item begins: `response.output_item.added` (Streaming, Output items)."""

    type: ClassVar[Literal["response.output_item.added"]] = "response.output_item.added"
    item: Item
    """The item as of now: mostly empty."""


@model
class OutputItemDone(_OutputEvent):
    """An output item is whole: `response.output_item.done` (Streaming, Output items)."""

    type: ClassVar[Literal["response.output_item.done"]] = "response.output_item.done"
    item: Item


@model
class ContentPartAdded(_ContentEvent):
    """A content part begins: `response.content_part.added` (Streaming, Content parts)."""

    type: ClassVar[Literal["response.content_part.added"]] = "response.content_part.added"
    part: Content


@model
class ContentPartDone(_ContentEvent):
    """A content part is whole: `response.content_part.done` (Streaming, Content parts)."""

    type: ClassVar[Literal["response.content_part.done"]] = "response.content_part.done"
    part: Content


# --- text, refusal, audio ---------------------------------------------------------------------------------------------


@model
class OutputTextDelta(_ContentEvent):
    """More text of a message: `response.output_text.delta` (Streaming, Output text)."""

    type: ClassVar[Literal["response.output_text.delta"]] = "response.output_text.delta"
    delta: str
    logprobs: list[LogProb] | Unset = UNSET
    """The tokens of ``delta``; filled only on request."""
    obfuscation: str | None | Unset = UNSET
    """Random padding that hides the length of ``delta`` from an observer of the traffic. Means nothing."""


@model
class OutputTextDone(_ContentEvent):
    """The text of a part is whole: `response.output_text.done` (Streaming, Output text)."""

    type: ClassVar[Literal["response.output_text.done"]] = "response.output_text.done"
    text: str
    logprobs: list[LogProb] | Unset = UNSET


@model
class OutputTextAnnotationAdded(_ContentEvent):
    """The text got an annotation: `response.output_text.annotation.added` (Streaming, Output text)."""

    type: ClassVar[Literal["response.output_text.annotation.added"]] = "response.output_text.annotation.added"
    annotation: Annotation | None | Unset = UNSET
    annotation_index: int
    """Position in the part's ``annotations``."""


@model
class RefusalDelta(_ContentEvent):
    """More text of a refusal: `response.refusal.delta` (Streaming, Refusal)."""

    type: ClassVar[Literal["response.refusal.delta"]] = "response.refusal.delta"
    delta: str
    obfuscation: str | None | Unset = UNSET


@model
class RefusalDone(_ContentEvent):
    """The refusal is whole: `response.refusal.done` (Streaming, Refusal)."""

    type: ClassVar[Literal["response.refusal.done"]] = "response.refusal.done"
    refusal: str


@model
class AudioDelta(_Event):
    """More sound: `response.audio.delta` (Streaming, Audio)."""

    type: ClassVar[Literal["response.audio.delta"]] = "response.audio.delta"
    delta: str
    """Bytes of sound in Base64."""
    obfuscation: str | None | Unset = UNSET


@model
class AudioDone(_Event):
    """The sound is whole: `response.audio.done` (Streaming, Audio)."""

    type: ClassVar[Literal["response.audio.done"]] = "response.audio.done"


@model
class AudioTranscriptDelta(_Event):
    """More of what the sound says: `response.audio.transcript.delta` (Streaming, Audio)."""

    type: ClassVar[Literal["response.audio.transcript.delta"]] = "response.audio.transcript.delta"
    delta: str
    obfuscation: str | None | Unset = UNSET


@model
class AudioTranscriptDone(_Event):
    """The transcript is whole: `response.audio.transcript.done` (Streaming, Audio)."""

    type: ClassVar[Literal["response.audio.transcript.done"]] = "response.audio.transcript.done"


# --- reasoning --------------------------------------------------------------------------------------------------------


@model
class ReasoningTextDelta(_ContentEvent):
    """More of the reasoning itself: `response.reasoning_text.delta` (Streaming, Reasoning)."""

    type: ClassVar[Literal["response.reasoning_text.delta"]] = "response.reasoning_text.delta"
    delta: str
    obfuscation: str | None | Unset = UNSET


@model
class ReasoningTextDone(_ContentEvent):
    """A part of the reasoning is whole: `response.reasoning_text.done` (Streaming, Reasoning)."""

    type: ClassVar[Literal["response.reasoning_text.done"]] = "response.reasoning_text.done"
    text: str


@model
class ReasoningDelta(_ContentEvent):
    """More of the reasoning, by Open Responses' name: `response.reasoning.delta` (Open Responses, Streaming)."""

    type: ClassVar[Literal["response.reasoning.delta"]] = "response.reasoning.delta"
    delta: str
    obfuscation: str | None | Unset = UNSET


@model
class ReasoningDone(_ContentEvent):
    """A part of the reasoning is whole: `response.reasoning.done` (Open Responses, Streaming)."""

    type: ClassVar[Literal["response.reasoning.done"]] = "response.reasoning.done"
    text: str


@model
class ReasoningPartAdded(_ContentEvent):
    """A part of the reasoning begins: `response.reasoning_part.added` (vLLM, llama-stack; in no specification)."""

    type: ClassVar[Literal["response.reasoning_part.added"]] = "response.reasoning_part.added"
    part: Content


@model
class ReasoningPartDone(_ContentEvent):
    """A part of the reasoning is whole: `response.reasoning_part.done` (vLLM, llama-stack; in no specification)."""

    type: ClassVar[Literal["response.reasoning_part.done"]] = "response.reasoning_part.done"
    part: Content


@model
class ReasoningSummaryPartAdded(_SummaryEvent):
    """A part of the summary begins: `response.reasoning_summary_part.added` (Streaming, Reasoning summary)."""

    type: ClassVar[Literal["response.reasoning_summary_part.added"]] = "response.reasoning_summary_part.added"
    part: Content


@model
class ReasoningSummaryPartDone(_SummaryEvent):
    """A part of the summary is whole: `response.reasoning_summary_part.done` (Streaming, Reasoning summary)."""

    type: ClassVar[Literal["response.reasoning_summary_part.done"]] = "response.reasoning_summary_part.done"
    part: Content
    status: Literal["incomplete"] | str | None | Unset = UNSET
    """``incomplete`` if the part was cut short; absent if it is whole."""


@model
class ReasoningSummaryTextDelta(_SummaryEvent):
    """More text of the summary: `response.reasoning_summary_text.delta` (Streaming, Reasoning summary)."""

    type: ClassVar[Literal["response.reasoning_summary_text.delta"]] = "response.reasoning_summary_text.delta"
    delta: str
    obfuscation: str | None | Unset = UNSET


@model
class ReasoningSummaryTextDone(_SummaryEvent):
    """The text of a summary part is whole: `response.reasoning_summary_text.done` (Streaming, Reasoning summary)."""

    type: ClassVar[Literal["response.reasoning_summary_text.done"]] = "response.reasoning_summary_text.done"
    text: str


# --- calls of the caller's tools --------------------------------------------------------------------------------------


@model
class FunctionCallArgumentsDelta(_ItemEvent):
    """More of a call's JSON arguments: `response.function_call_arguments.delta` (Streaming, Function calls)."""

    type: ClassVar[Literal["response.function_call_arguments.delta"]] = "response.function_call_arguments.delta"
    delta: str
    obfuscation: str | None | Unset = UNSET


@model
class FunctionCallArgumentsDone(_ItemEvent):
    """A call's arguments are whole: `response.function_call_arguments.done` (Streaming, Function calls)."""

    type: ClassVar[Literal["response.function_call_arguments.done"]] = "response.function_call_arguments.done"
    arguments: str
    """JSON, as text."""
    name: str | None | Unset = UNSET
    """The function; the newest servers leave it out, the item has it."""


@model
class CustomToolCallInputDelta(_ItemEvent):
    """More of a custom tool's input: `response.custom_tool_call_input.delta` (Streaming, Custom tool calls)."""

    type: ClassVar[Literal["response.custom_tool_call_input.delta"]] = "response.custom_tool_call_input.delta"
    delta: str
    obfuscation: str | None | Unset = UNSET


@model
class CustomToolCallInputDone(_ItemEvent):
    """A custom tool's input is whole: `response.custom_tool_call_input.done` (Streaming, Custom tool calls)."""

    type: ClassVar[Literal["response.custom_tool_call_input.done"]] = "response.custom_tool_call_input.done"
    input: str


@model
class ShellCallCommandAdded(_OutputEvent):
    """A command of a shell call begins: `response.shell_call_command.added` (Streaming, Shell calls)."""

    type: ClassVar[Literal["response.shell_call_command.added"]] = "response.shell_call_command.added"
    command_index: int
    """Position in the call's ``action.commands``."""
    command: str


@model
class ShellCallCommandDelta(_OutputEvent):
    """More of a shell command: `response.shell_call_command.delta` (Streaming, Shell calls)."""

    type: ClassVar[Literal["response.shell_call_command.delta"]] = "response.shell_call_command.delta"
    command_index: int
    delta: str
    obfuscation: str | None | Unset = UNSET


@model
class ShellCallCommandDone(_OutputEvent):
    """A shell command is whole: `response.shell_call_command.done` (Streaming, Shell calls)."""

    type: ClassVar[Literal["response.shell_call_command.done"]] = "response.shell_call_command.done"
    command_index: int
    command: str


@model
class ShellCallOutputContentDelta(_ItemEvent):
    """More output of a command: `response.shell_call_output_content.delta` (Streaming, Shell calls)."""

    type: ClassVar[Literal["response.shell_call_output_content.delta"]] = "response.shell_call_output_content.delta"
    command_index: int
    delta: ShellOutputDelta
    """An object, unlike every other delta."""
    obfuscation: str | None | Unset = UNSET


@model
class ShellCallOutputContentDone(_ItemEvent):
    """A command's output is whole: `response.shell_call_output_content.done` (Streaming, Shell calls)."""

    type: ClassVar[Literal["response.shell_call_output_content.done"]] = "response.shell_call_output_content.done"
    command_index: int
    output: list[ShellOutput]


@model
class ApplyPatchCallOperationDiffDelta(_ItemEvent):
    """More of a patch: `response.apply_patch_call_operation_diff.delta` (recorded; in no specification)."""

    type: ClassVar[Literal["response.apply_patch_call_operation_diff.delta"]] = (
        "response.apply_patch_call_operation_diff.delta"
    )
    delta: str
    obfuscation: str | None | Unset = UNSET


@model
class ApplyPatchCallOperationDiffDone(_ItemEvent):
    """The patch is whole: `response.apply_patch_call_operation_diff.done` (recorded; in no specification)."""

    type: ClassVar[Literal["response.apply_patch_call_operation_diff.done"]] = (
        "response.apply_patch_call_operation_diff.done"
    )
    diff: str


# --- tools that the server runs ---------------------------------------------------------------------------------------


@model
class WebSearchCallInProgress(_ItemEvent):
    """A web search begins: `response.web_search_call.in_progress` (Streaming, Web search)."""

    type: ClassVar[Literal["response.web_search_call.in_progress"]] = "response.web_search_call.in_progress"


@model
class WebSearchCallSearching(_ItemEvent):
    """A web search runs: `response.web_search_call.searching` (Streaming, Web search)."""

    type: ClassVar[Literal["response.web_search_call.searching"]] = "response.web_search_call.searching"


@model
class WebSearchCallCompleted(_ItemEvent):
    """A web search is over: `response.web_search_call.completed` (Streaming, Web search)."""

    type: ClassVar[Literal["response.web_search_call.completed"]] = "response.web_search_call.completed"


@model
class FileSearchCallInProgress(_ItemEvent):
    """A file search begins: `response.file_search_call.in_progress` (Streaming, File search)."""

    type: ClassVar[Literal["response.file_search_call.in_progress"]] = "response.file_search_call.in_progress"


@model
class FileSearchCallSearching(_ItemEvent):
    """A file search runs: `response.file_search_call.searching` (Streaming, File search)."""

    type: ClassVar[Literal["response.file_search_call.searching"]] = "response.file_search_call.searching"


@model
class FileSearchCallCompleted(_ItemEvent):
    """A file search is over: `response.file_search_call.completed` (Streaming, File search)."""

    type: ClassVar[Literal["response.file_search_call.completed"]] = "response.file_search_call.completed"


@model
class CodeInterpreterCallInProgress(_ItemEvent):
    """A code interpreter call begins: `response.code_interpreter_call.in_progress` (Streaming, Code interpreter)."""

    type: ClassVar[Literal["response.code_interpreter_call.in_progress"]] = "response.code_interpreter_call.in_progress"


@model
class CodeInterpreterCallInterpreting(_ItemEvent):
    """The code runs: `response.code_interpreter_call.interpreting` (Streaming, Code interpreter)."""

    type: ClassVar[Literal["response.code_interpreter_call.interpreting"]] = (
        "response.code_interpreter_call.interpreting"
    )


@model
class CodeInterpreterCallCompleted(_ItemEvent):
    """A code interpreter call is over: `response.code_interpreter_call.completed` (Streaming, Code interpreter)."""

    type: ClassVar[Literal["response.code_interpreter_call.completed"]] = "response.code_interpreter_call.completed"


@model
class CodeInterpreterCallCodeDelta(_ItemEvent):
    """More of the code to run: `response.code_interpreter_call_code.delta` (Streaming, Code interpreter)."""

    type: ClassVar[Literal["response.code_interpreter_call_code.delta"]] = "response.code_interpreter_call_code.delta"
    delta: str
    obfuscation: str | None | Unset = UNSET


@model
class CodeInterpreterCallCodeDone(_ItemEvent):
    """The code to run is whole: `response.code_interpreter_call_code.done` (Streaming, Code interpreter)."""

    type: ClassVar[Literal["response.code_interpreter_call_code.done"]] = "response.code_interpreter_call_code.done"
    code: str


@model
class ImageGenerationCallInProgress(_ItemEvent):
    """An image is asked for: `response.image_generation_call.in_progress` (Streaming, Image generation)."""

    type: ClassVar[Literal["response.image_generation_call.in_progress"]] = "response.image_generation_call.in_progress"


@model
class ImageGenerationCallGenerating(_ItemEvent):
    """An image is being made: `response.image_generation_call.generating` (Streaming, Image generation)."""

    type: ClassVar[Literal["response.image_generation_call.generating"]] = "response.image_generation_call.generating"


@model
class ImageGenerationCallPartialImage(_ItemEvent):
    """The image so far: `response.image_generation_call.partial_image` (Streaming, Image generation)."""

    type: ClassVar[Literal["response.image_generation_call.partial_image"]] = (
        "response.image_generation_call.partial_image"
    )
    partial_image_index: int
    """Counts the previews of one image."""
    partial_image_b64: str
    """The preview in Base64."""
    size: str | None | Unset = UNSET
    """Width and height in pixels, as in ``1024x1024``."""
    quality: str | None | Unset = UNSET
    background: str | None | Unset = UNSET
    output_format: str | None | Unset = UNSET


@model
class ImageGenerationCallCompleted(_ItemEvent):
    """The image is made: `response.image_generation_call.completed` (Streaming, Image generation)."""

    type: ClassVar[Literal["response.image_generation_call.completed"]] = "response.image_generation_call.completed"


@model
class McpListToolsInProgress(_ItemEvent):
    """An MCP server is asked for its tools: `response.mcp_list_tools.in_progress` (Streaming, MCP)."""

    type: ClassVar[Literal["response.mcp_list_tools.in_progress"]] = "response.mcp_list_tools.in_progress"


@model
class McpListToolsCompleted(_ItemEvent):
    """An MCP server has told its tools: `response.mcp_list_tools.completed` (Streaming, MCP)."""

    type: ClassVar[Literal["response.mcp_list_tools.completed"]] = "response.mcp_list_tools.completed"


@model
class McpListToolsFailed(_ItemEvent):
    """An MCP server did not tell its tools: `response.mcp_list_tools.failed` (Streaming, MCP)."""

    type: ClassVar[Literal["response.mcp_list_tools.failed"]] = "response.mcp_list_tools.failed"


@model
class McpCallInProgress(_ItemEvent):
    """An MCP call begins: `response.mcp_call.in_progress` (Streaming, MCP)."""

    type: ClassVar[Literal["response.mcp_call.in_progress"]] = "response.mcp_call.in_progress"


@model
class McpCallCompleted(_ItemEvent):
    """An MCP call went well: `response.mcp_call.completed` (Streaming, MCP)."""

    type: ClassVar[Literal["response.mcp_call.completed"]] = "response.mcp_call.completed"


@model
class McpCallFailed(_ItemEvent):
    """An MCP call failed: `response.mcp_call.failed` (Streaming, MCP)."""

    type: ClassVar[Literal["response.mcp_call.failed"]] = "response.mcp_call.failed"


@model
class McpCallArgumentsDelta(_ItemEvent):
    """More of an MCP call's JSON arguments: `response.mcp_call_arguments.delta` (Streaming, MCP)."""

    type: ClassVar[Literal["response.mcp_call_arguments.delta"]] = "response.mcp_call_arguments.delta"
    delta: str
    obfuscation: str | None | Unset = UNSET


@model
class McpCallArgumentsDone(_ItemEvent):
    """An MCP call's arguments are whole: `response.mcp_call_arguments.done` (Streaming, MCP)."""

    type: ClassVar[Literal["response.mcp_call_arguments.done"]] = "response.mcp_call_arguments.done"
    arguments: str
    """JSON, as text."""


@model
class CompactionCompacting(_ItemEvent):
    """The server shortens the history: `response.compaction.compacting` (Streaming, Compaction)."""

    type: ClassVar[Literal["response.compaction.compacting"]] = "response.compaction.compacting"


# --- steering, over WebSocket only ------------------------------------------------------------------------------------


@model
class SteerAccepted(_Event):
    """The steer will be worked in: `response.steer.accepted` (WebSocket, Steering)."""

    type: ClassVar[Literal["response.steer.accepted"]] = "response.steer.accepted"
    steer: Steer


@model
class SteerPending(_Event):
    """The steer waits for inputs that the response has asked for: `response.steer.pending` (WebSocket, Steering)."""

    type: ClassVar[Literal["response.steer.pending"]] = "response.steer.pending"
    steer: Steer
    reason: Literal["waiting_for_required_input"] | str
    required_input: list[RequiredInput]


@model
class SteerFailed(_Event):
    """The steer was not taken: `response.steer.failed` (WebSocket, Steering)."""

    type: ClassVar[Literal["response.steer.failed"]] = "response.steer.failed"
    steer: FailedSteer
    error: SteerError


# --- beside the sequence ----------------------------------------------------------------------------------------------


@model
class ErrorEvent(_UnnumberedEvent):
    """An error: `error` (Streaming, Errors). `response.failed` may follow, or nothing.

    It comes in three shapes: flat (``code``, ``message``, ``param``, as documented), nested (``error``, as sent), and
    over WebSocket nested with ``status``.
    """

    type: ClassVar[Literal["error"]] = "error"
    message: str | Unset = UNSET
    code: str | None | Unset = UNSET
    param: str | None | Unset = UNSET
    error: ErrorBody | Unset = UNSET
    status: int | None | Unset = UNSET
    """The HTTP status that the error would have had."""
    headers: JSONObject | None | Unset = UNSET
    """HTTP headers that the error would have had; some back ends put them here and not into ``error``."""


@model
class Keepalive(_UnnumberedEvent):
    """A sign of life: `keepalive` (recorded; in no specification). Comes at any time, even after the terminal event."""

    type: ClassVar[Literal["keepalive"]] = "keepalive"


@model
class RateLimitsUpdated(_UnnumberedEvent):
    """What is left of the caller's quota: `response.rate_limits.updated` (recorded; in no specification)."""

    type: ClassVar[Literal["response.rate_limits.updated"]] = "response.rate_limits.updated"
    rate_limits: JSONValue | Unset = UNSET
    """A list of limits, whose shape is not settled."""


@model
class UnknownEvent(Unknown):
    """An event that has no class here, such as a vendor's ``slug:name``: kept whole (Open Responses, Extensions)."""


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
    | ErrorEvent
    | Keepalive
    | RateLimitsUpdated
    | UnknownEvent
)
"""Any event. Open: what is not known is an :class:`UnknownEvent`."""

EVENT_TYPES: Final[dict[str, type[Event]]] = {cls.type: cls for cls in get_args(Event) if cls is not UnknownEvent}
"""Wire name -> class, without :class:`UnknownEvent`."""

TERMINAL_TYPES: Final = frozenset({"response.completed", "response.incomplete", "response.failed"})
"""The events that end a response. (`error` may end a stream, but says nothing about what becomes of the response.)"""

LIFECYCLE_TYPES: Final = frozenset({"response.created", "response.queued", "response.in_progress"}) | TERMINAL_TYPES
"""The events that carry the whole ``response``."""

DELTA_TYPES: Final = frozenset(name for name in EVENT_TYPES if name.endswith(".delta"))
"""The events that carry a ``delta``, which adds to what came before."""

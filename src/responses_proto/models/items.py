"""Model the items of responses and conversations, input and output.

There is one class per wire ``type``, for both directions: an item of ``response.output`` can be sent as an input item
unchanged. :data:`Item` is the open union of all items. Items derive from :class:`ItemBase`; items of a vendor can do so too.
"""

from __future__ import annotations

from typing import ClassVar, Final, Literal, TypeAlias, get_args

import attrs

from ..typing import UNSET, JSONValue, Unset
from ._base import Model, Unknown, model
from .actions import (
    AgentReference,
    ApplyPatchOperation,
    Caller,
    CodeInterpreterOutput,
    ComputerAction,
    FileSearchResult,
    ImageGenerationError,
    LocalShellAction,
    McpError,
    McpListedTool,
    SafetyCheck,
    ShellAction,
    ShellOutput,
    SvgUsage,
    WebSearchAction,
)
from .config import ReasoningConfig, TextConfig
from .content import ComputerScreenshot, Content, InputText, OutputText, ReasoningText, SummaryText, Text, UnknownObject
from .tools import ContainerReference, LocalEnvironment, Tool

__all__ = [
    "CALL_OUTPUT_PAIRS",
    "ITEM_TYPES",
    "PAIR_OF_CALL",
    "PAIR_OF_OUTPUT",
    "AdditionalTools",
    "AgentMessage",
    "ApplyPatchCall",
    "ApplyPatchCallOutput",
    "CodeInterpreterCall",
    "Compaction",
    "CompactionTrigger",
    "ComputerCall",
    "ComputerCallOutput",
    "ConfigurationUpdate",
    "CustomToolCall",
    "CustomToolCallOutput",
    "FileSearchCall",
    "FunctionCall",
    "FunctionCallOutput",
    "ImageGenerationCall",
    "Item",
    "ItemBase",
    "ItemReference",
    "ItemStatus",
    "LocalShellCall",
    "LocalShellCallOutput",
    "McpApprovalRequest",
    "McpApprovalResponse",
    "McpCall",
    "McpListTools",
    "Message",
    "MessagePhase",
    "MessageRole",
    "MultiAgentAction",
    "MultiAgentCall",
    "MultiAgentCallOutput",
    "Pair",
    "Program",
    "ProgramOutput",
    "Reasoning",
    "ShellCall",
    "ShellCallOutput",
    "ToolSearchCall",
    "ToolSearchOutput",
    "UnknownItem",
    "WebSearchCall",
    "XSearchCall",
]

ItemStatus: TypeAlias = Literal["in_progress", "completed", "incomplete"] | str
"""The progress of an item. Types of items with other states list them in the annotation of the field."""

MessageRole: TypeAlias = (
    Literal["user", "assistant", "system", "developer", "tool", "critic", "discriminator", "unknown"] | str
)
"""The author of a message. Requests accept the first four; stored conversations may have the others."""

MessagePhase: TypeAlias = Literal["commentary", "final_answer"] | str
"""Whether a message of the assistant is an intermediate comment or the answer."""

MultiAgentAction: TypeAlias = (
    Literal["spawn_agent", "interrupt_agent", "list_agents", "send_message", "followup_task", "wait_agent"] | str
)
"""An action of an agent on other agents of its response."""


@model
class ItemBase(Model):
    """The base of items: the field that every item has."""

    agent: AgentReference | None | Unset = UNSET
    """The agent that created the item, in a multi-agent response."""


@model
class UnknownItem(Unknown):
    """An item with an unknown ``type``, such as one that a provider defines (`slug:name`)."""


# ---- messages and reasoning


@model(optional=("type",))
class Message(ItemBase):
    """A message of the user, the assistant, the system or the developer: `message` (Items, Message)."""

    type: ClassVar[Literal["message"]] = "message"
    id: str | None | Unset = UNSET
    role: MessageRole
    content: str | list[Content]
    """A string is short for one `input_text` part (`output_text` in a message of the assistant). Output is always a list."""
    status: ItemStatus | None | Unset = UNSET
    phase: MessagePhase | None | Unset = UNSET

    @property
    def text(self) -> str:
        """The text of all ``input_text``, ``output_text`` and ``text`` parts, joined without a separator."""
        if isinstance(self.content, str):
            return self.content
        return "".join(part.text for part in self.content if isinstance(part, OutputText | InputText | Text))

    @property
    def parts(self) -> list[Content]:
        """The content as a list: a string becomes one :class:`InputText`."""
        return [InputText(text=self.content)] if isinstance(self.content, str) else self.content


@model
class Reasoning(ItemBase):
    """The reasoning of the model: `reasoning` (Items, Reasoning). Send it back together with the calls that follow it."""

    type: ClassVar[Literal["reasoning"]] = "reasoning"
    id: str | None | Unset = UNSET
    summary: list[Content]
    """`summary_text` parts; empty if none were requested or generated."""
    content: list[Content] | None | Unset = UNSET
    """`reasoning_text` parts: the reasoning itself, if the model shows it."""
    encrypted_content: str | None | Unset = UNSET
    """The encrypted reasoning, which a client keeps and sends back to a server that does not store responses."""
    status: ItemStatus | None | Unset = UNSET

    @property
    def text(self) -> str:
        """The reasoning in one string, if the model shows it; else its summary, with a blank line between the parts."""
        shown = "".join(part.text for part in self.content or () if isinstance(part, ReasoningText))
        return shown or "\n\n".join(part.text for part in self.summary if isinstance(part, SummaryText))


@model(optional=("type",))
class ItemReference(ItemBase):
    """A reference to an item that the server has stored: `item_reference` (Items, Item reference)."""

    type: ClassVar[Literal["item_reference"]] = "item_reference"
    id: str


# ---- function and custom tools


@model
class FunctionCall(ItemBase):
    """A call of one of the caller's functions: `function_call` (Items, Function calling)."""

    type: ClassVar[Literal["function_call"]] = "function_call"
    id: str | None | Unset = UNSET
    call_id: str
    """The id that the output refers to; different from the item's `id`."""
    name: str
    arguments: str
    """A JSON object as text, written by the model: it may be invalid."""
    namespace: str | None | Unset = UNSET
    """The namespace tool that contains the function."""
    caller: Caller | None | Unset = UNSET
    async_: bool | None | Unset = UNSET
    """Whether the model continues without waiting for the output."""
    status: ItemStatus | None | Unset = UNSET
    created_by: str | None | Unset = UNSET


@model
class FunctionCallOutput(ItemBase):
    """The output of a function call: `function_call_output` (Items, Function calling)."""

    type: ClassVar[Literal["function_call_output"]] = "function_call_output"
    id: str | None | Unset = UNSET
    call_id: str | None | Unset = UNSET
    """The `call_id` of the call; an output without a call has `name` instead."""
    output: str | list[Content]
    name: str | None | Unset = UNSET
    namespace: str | None | Unset = UNSET
    caller: Caller | None | Unset = UNSET
    status: ItemStatus | None | Unset = UNSET
    created_by: str | None | Unset = UNSET


@model
class CustomToolCall(ItemBase):
    """A call of a tool that takes free text: `custom_tool_call` (Items, Custom tools)."""

    type: ClassVar[Literal["custom_tool_call"]] = "custom_tool_call"
    id: str | None | Unset = UNSET
    call_id: str
    """The id that the output refers to; different from the item's `id`."""
    name: str
    input: str
    namespace: str | None | Unset = UNSET
    """The namespace tool that contains the tool."""
    caller: Caller | None | Unset = UNSET
    async_: bool | None | Unset = UNSET
    """Whether the model continues without waiting for the output."""
    status: ItemStatus | None | Unset = UNSET
    created_by: str | None | Unset = UNSET


@model
class CustomToolCallOutput(ItemBase):
    """The output of a custom tool call: `custom_tool_call_output` (Items, Custom tools)."""

    type: ClassVar[Literal["custom_tool_call_output"]] = "custom_tool_call_output"
    id: str | None | Unset = UNSET
    call_id: str
    output: str | list[Content]
    caller: Caller | None | Unset = UNSET
    status: ItemStatus | None | Unset = UNSET
    created_by: str | None | Unset = UNSET


# ---- tools found and tools added


@model
class ToolSearchCall(ItemBase):
    """A search for deferred tools: `tool_search_call` (Items, Tool search)."""

    type: ClassVar[Literal["tool_search_call"]] = "tool_search_call"
    id: str | None | Unset = UNSET
    call_id: str | None | Unset = UNSET
    """Null if the server runs the search."""
    arguments: JSONValue
    """The query: a JSON value, not text as in a function call."""
    execution: Literal["server", "client"] | str | None | Unset = UNSET
    """Who runs the search. If `client`, the caller must answer with a :class:`ToolSearchOutput`."""
    status: ItemStatus | None | Unset = UNSET
    created_by: str | None | Unset = UNSET


@model
class ToolSearchOutput(ItemBase):
    """The tools that a search found, available from here on: `tool_search_output` (Items, Tool search)."""

    type: ClassVar[Literal["tool_search_output"]] = "tool_search_output"
    id: str | None | Unset = UNSET
    call_id: str | None | Unset = UNSET
    tools: list[Tool]
    execution: Literal["server", "client"] | str | None | Unset = UNSET
    status: ItemStatus | None | Unset = UNSET
    created_by: str | None | Unset = UNSET


@model
class AdditionalTools(ItemBase):
    """Tools that are available from here on: `additional_tools` (Items, Tools)."""

    type: ClassVar[Literal["additional_tools"]] = "additional_tools"
    id: str | None | Unset = UNSET
    role: MessageRole
    """Who adds the tools; requests accept only `developer`."""
    tools: list[Tool]


@model
class ConfigurationUpdate(ItemBase):
    """Settings that apply from here on: `configuration_update` (Items, Configuration)."""

    type: ClassVar[Literal["configuration_update"]] = "configuration_update"
    id: str | None | Unset = UNSET
    reasoning: ReasoningConfig | None | Unset = UNSET
    text: TextConfig | None | Unset = UNSET


# ---- the server's searches


@model
class WebSearchCall(ItemBase):
    """A step of a web search by the server: `web_search_call` (Items, Web search)."""

    type: ClassVar[Literal["web_search_call"]] = "web_search_call"
    id: str
    action: WebSearchAction | Unset = UNSET
    """What the step does. Absent while the search is in progress."""
    status: Literal["in_progress", "searching", "completed", "incomplete", "failed"] | str


@model
class XSearchCall(ItemBase):
    """A search on X by xAI's server: `x_search_call` (a provider's item, beyond the specification)."""

    type: ClassVar[Literal["x_search_call"]] = "x_search_call"
    id: str
    call_id: str | None | Unset = UNSET
    name: str | None | Unset = UNSET
    """The search function of the server that was called."""
    arguments: str | None | Unset = UNSET
    """A JSON object as text."""
    status: ItemStatus | None | Unset = UNSET


@model
class FileSearchCall(ItemBase):
    """A search of the caller's vector stores by the server: `file_search_call` (Items, File search)."""

    type: ClassVar[Literal["file_search_call"]] = "file_search_call"
    id: str
    queries: list[str]
    results: list[FileSearchResult] | None | Unset = UNSET
    """The results; only present if the request includes `file_search_call.results`."""
    status: Literal["in_progress", "searching", "completed", "incomplete", "failed"] | str


# ---- computer, shell, code, patches, images


@model
class ComputerCall(ItemBase):
    """Actions on a computer, for the caller to perform: `computer_call` (Items, Computer use)."""

    type: ClassVar[Literal["computer_call"]] = "computer_call"
    id: str
    call_id: str
    action: ComputerAction | None | Unset = UNSET
    """The action; only from the preview tool."""
    actions: list[ComputerAction] | None | Unset = UNSET
    """The actions, to be performed in order; from the current tool."""
    pending_safety_checks: list[SafetyCheck]
    """Warnings that the output must acknowledge."""
    status: ItemStatus


@model
class ComputerCallOutput(ItemBase):
    """A screenshot after a computer call: `computer_call_output` (Items, Computer use)."""

    type: ClassVar[Literal["computer_call_output"]] = "computer_call_output"
    id: str | None | Unset = UNSET
    call_id: str
    output: ComputerScreenshot
    acknowledged_safety_checks: list[SafetyCheck] | None | Unset = UNSET
    status: Literal["in_progress", "completed", "incomplete", "failed"] | str | None | Unset = UNSET
    created_by: str | None | Unset = UNSET


@model
class ShellCall(ItemBase):
    """Commands for a shell, the caller's or a hosted one: `shell_call` (Items, Shell)."""

    type: ClassVar[Literal["shell_call"]] = "shell_call"
    id: str | None | Unset = UNSET
    call_id: str
    action: ShellAction
    environment: LocalEnvironment | ContainerReference | UnknownObject | None | Unset = UNSET
    """Where the commands run. If local, the caller must run them and answer with a :class:`ShellCallOutput`."""
    caller: Caller | None | Unset = UNSET
    status: ItemStatus | None | Unset = UNSET
    created_by: str | None | Unset = UNSET


@model
class ShellCallOutput(ItemBase):
    """The output of shell commands, one entry for each: `shell_call_output` (Items, Shell)."""

    type: ClassVar[Literal["shell_call_output"]] = "shell_call_output"
    id: str | None | Unset = UNSET
    call_id: str
    output: list[ShellOutput]
    max_output_length: int | None | Unset = UNSET
    """The limit of the call, in characters."""
    caller: Caller | None | Unset = UNSET
    status: ItemStatus | None | Unset = UNSET
    created_by: str | None | Unset = UNSET


@model
class LocalShellCall(ItemBase):
    """A command for the caller to run: `local_shell_call` (Items, Local shell; `shell_call` is its successor)."""

    type: ClassVar[Literal["local_shell_call"]] = "local_shell_call"
    id: str
    call_id: str
    action: LocalShellAction
    status: ItemStatus


@model
class LocalShellCallOutput(ItemBase):
    """The output of a local shell command: `local_shell_call_output` (Items, Local shell)."""

    type: ClassVar[Literal["local_shell_call_output"]] = "local_shell_call_output"
    id: str
    """The `call_id` of the call: this item has no `call_id` field."""
    output: str
    status: ItemStatus | None | Unset = UNSET


@model
class ApplyPatchCall(ItemBase):
    """A change to one file, for the caller to make: `apply_patch_call` (Items, Apply patch)."""

    type: ClassVar[Literal["apply_patch_call"]] = "apply_patch_call"
    id: str | None | Unset = UNSET
    call_id: str
    operation: ApplyPatchOperation
    caller: Caller | None | Unset = UNSET
    status: ItemStatus
    created_by: str | None | Unset = UNSET


@model
class ApplyPatchCallOutput(ItemBase):
    """Whether the change was made: `apply_patch_call_output` (Items, Apply patch)."""

    type: ClassVar[Literal["apply_patch_call_output"]] = "apply_patch_call_output"
    id: str | None | Unset = UNSET
    call_id: str
    output: str | None | Unset = UNSET
    """Text for the model, such as an error message."""
    caller: Caller | None | Unset = UNSET
    status: Literal["completed", "failed"] | str
    created_by: str | None | Unset = UNSET


@model
class CodeInterpreterCall(ItemBase):
    """Code that the server ran for the model: `code_interpreter_call` (Items, Code interpreter)."""

    type: ClassVar[Literal["code_interpreter_call"]] = "code_interpreter_call"
    id: str
    container_id: str
    code: str | None | Unset = UNSET
    outputs: list[CodeInterpreterOutput] | None | Unset = UNSET
    """The outputs; only present if the request includes `code_interpreter_call.outputs`."""
    status: Literal["in_progress", "interpreting", "completed", "incomplete", "failed"] | str


@model
class ImageGenerationCall(ItemBase):
    """An image that the server generated for the model: `image_generation_call` (Items, Image generation)."""

    type: ClassVar[Literal["image_generation_call"]] = "image_generation_call"
    id: str
    result: str | None | Unset = UNSET
    """The image in Base64."""
    revised_prompt: str | None | Unset = UNSET
    action: Literal["generate", "edit", "auto"] | str | None | Unset = UNSET
    size: Literal["1024x1024", "1024x1536", "1536x1024"] | str | None | Unset = UNSET
    """Width and height in pixels."""
    quality: Literal["low", "medium", "high", "xhigh", "max", "auto"] | str | None | Unset = UNSET
    background: Literal["transparent", "opaque", "auto"] | str | None | Unset = UNSET
    output_format: Literal["png", "webp", "jpeg", "gif", "svg"] | str | None | Unset = UNSET
    svg_usage: SvgUsage | None | Unset = UNSET
    error: ImageGenerationError | None | Unset = UNSET
    status: Literal["in_progress", "generating", "completed", "failed"] | str


# ---- remote MCP


@model
class McpListTools(ItemBase):
    """The tools of an MCP server, as listed by the model's server: `mcp_list_tools` (Items, MCP)."""

    type: ClassVar[Literal["mcp_list_tools"]] = "mcp_list_tools"
    id: str
    server_label: str
    tools: list[McpListedTool]
    error: McpError | None | Unset = UNSET


@model
class McpCall(ItemBase):
    """A call of an MCP tool by the model's server: `mcp_call` (Items, MCP)."""

    type: ClassVar[Literal["mcp_call"]] = "mcp_call"
    id: str
    server_label: str
    name: str
    arguments: str
    """A JSON object as text, written by the model."""
    output: str | None | Unset = UNSET
    error: McpError | None | Unset = UNSET
    approval_request_id: str | None | Unset = UNSET
    """The approval that the call waits for or has received."""
    status: Literal["in_progress", "calling", "completed", "incomplete", "failed"] | str | None | Unset = UNSET


@model
class McpApprovalRequest(ItemBase):
    """An MCP call that waits for the caller's approval: `mcp_approval_request` (Items, MCP)."""

    type: ClassVar[Literal["mcp_approval_request"]] = "mcp_approval_request"
    id: str
    server_label: str
    name: str
    arguments: str
    """A JSON object as text, written by the model."""


@model
class McpApprovalResponse(ItemBase):
    """The caller's approval or rejection: `mcp_approval_response` (Items, MCP)."""

    type: ClassVar[Literal["mcp_approval_response"]] = "mcp_approval_response"
    id: str | None | Unset = UNSET
    approval_request_id: str
    """The `id` of the request."""
    approve: bool
    reason: str | None | Unset = UNSET


# ---- agents


@model
class MultiAgentCall(ItemBase):
    """An action of an agent on other agents, which the server performs: `multi_agent_call` (Multi-agent beta)."""

    type: ClassVar[Literal["multi_agent_call"]] = "multi_agent_call"
    id: str | None | Unset = UNSET
    call_id: str
    """The id that the output refers to; different from the item's `id`."""
    action: MultiAgentAction
    arguments: str
    """A JSON object as text."""


@model
class MultiAgentCallOutput(ItemBase):
    """The result of an action on other agents: `multi_agent_call_output` (Multi-agent beta)."""

    type: ClassVar[Literal["multi_agent_call_output"]] = "multi_agent_call_output"
    id: str | None | Unset = UNSET
    call_id: str
    action: MultiAgentAction
    output: list[Content]
    """`output_text` parts."""


@model
class AgentMessage(ItemBase):
    """A message from one agent to another: `agent_message` (Multi-agent beta). It is not part of the answer to the user."""

    type: ClassVar[Literal["agent_message"]] = "agent_message"
    id: str | None | Unset = UNSET
    author: str
    """The agent that sends it."""
    recipient: str
    """The agent that receives it."""
    content: list[Content]
    """Text, images, files, and `encrypted_content` parts, which only the server can read."""


# ---- programs, compaction


@model
class Program(ItemBase):
    """Code that the model wrote to call tools: `program` (Items, Programmatic tool calling)."""

    type: ClassVar[Literal["program"]] = "program"
    id: str
    call_id: str
    """The value of `caller.caller_id` in calls that the program makes."""
    code: str
    fingerprint: str
    """The server uses it to check that the program is sent back unchanged."""


@model
class ProgramOutput(ItemBase):
    """The result of a program: `program_output` (Items, Programmatic tool calling)."""

    type: ClassVar[Literal["program_output"]] = "program_output"
    id: str
    call_id: str
    result: str
    status: Literal["completed", "incomplete"] | str


@model
class Compaction(ItemBase):
    """The conversation so far, compacted by the server: `compaction` (Items, Compaction). It replaces the items before it."""

    type: ClassVar[Literal["compaction"]] = "compaction"
    id: str | None | Unset = UNSET
    encrypted_content: str
    created_by: str | None | Unset = UNSET


@model
class CompactionTrigger(ItemBase):
    """A request to compact the conversation at this point: `compaction_trigger` (Items, Compaction)."""

    type: ClassVar[Literal["compaction_trigger"]] = "compaction_trigger"
    id: str | None | Unset = UNSET


Item: TypeAlias = (
    Message
    | Reasoning
    | FunctionCall
    | FunctionCallOutput
    | CustomToolCall
    | CustomToolCallOutput
    | McpListTools
    | McpCall
    | McpApprovalRequest
    | McpApprovalResponse
    | WebSearchCall
    | FileSearchCall
    | CodeInterpreterCall
    | ImageGenerationCall
    | ComputerCall
    | ComputerCallOutput
    | ShellCall
    | ShellCallOutput
    | LocalShellCall
    | LocalShellCallOutput
    | ApplyPatchCall
    | ApplyPatchCallOutput
    | ToolSearchCall
    | ToolSearchOutput
    | AdditionalTools
    | ConfigurationUpdate
    | Program
    | ProgramOutput
    | Compaction
    | CompactionTrigger
    | MultiAgentCall
    | MultiAgentCallOutput
    | AgentMessage
    | XSearchCall
    | ItemReference
    | UnknownItem
)
"""Any item, input or output; an open union."""

ITEM_TYPES: Final[dict[str, type[Item]]] = {item.type: item for item in get_args(Item) if not issubclass(item, Unknown)}
"""Wire ``type`` of an item -> its class."""


@attrs.frozen
class Pair:
    """A type of call, the type of item that answers it, and the fields whose values must be equal."""

    call: str
    output: str
    call_key: str = "call_id"
    output_key: str = "call_id"


CALL_OUTPUT_PAIRS: Final = (
    Pair("function_call", "function_call_output"),
    Pair("custom_tool_call", "custom_tool_call_output"),
    Pair("computer_call", "computer_call_output"),
    Pair("shell_call", "shell_call_output"),
    Pair("local_shell_call", "local_shell_call_output", output_key="id"),
    Pair("apply_patch_call", "apply_patch_call_output"),
    Pair("tool_search_call", "tool_search_output"),
    Pair("program", "program_output"),
    Pair("multi_agent_call", "multi_agent_call_output"),
    Pair("mcp_approval_request", "mcp_approval_response", call_key="id", output_key="approval_request_id"),
)
"""Every type of call that another item answers."""
PAIR_OF_CALL: Final = {pair.call: pair for pair in CALL_OUTPUT_PAIRS}
"""Type of call -> its pair."""
PAIR_OF_OUTPUT: Final = {pair.output: pair for pair in CALL_OUTPUT_PAIRS}
"""Type of the item that answers a call -> its pair."""

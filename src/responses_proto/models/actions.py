"""Model the objects inside tool calls and their outputs: actions, operations, outcomes, results, errors, callers.

Objects with a ``type`` form open unions that end in ``UnknownObject``. Each of the others appears in one place only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal, TypeAlias

from ..typing import UNSET, JSONObject, JSONValue, Unset
from ._base import Model, model
from .content import UnknownObject

__all__ = [
    "AgentReference",
    "ApplyPatchOperation",
    "Caller",
    "ClickAction",
    "CodeInterpreterOutput",
    "ComputerAction",
    "CreateFile",
    "DeleteFile",
    "DirectCaller",
    "DoubleClickAction",
    "DragAction",
    "ExitOutcome",
    "FileSearchResult",
    "FindInPageAction",
    "HttpError",
    "ImageGenerationError",
    "ImageModerationDetails",
    "ImageOutput",
    "KeypressAction",
    "LocalShellAction",
    "LogsOutput",
    "McpError",
    "McpListedTool",
    "McpProtocolError",
    "McpToolExecutionError",
    "MoveAction",
    "OpenPageAction",
    "Point",
    "ProgramCaller",
    "SafetyCheck",
    "ScreenshotAction",
    "ScrollAction",
    "SearchAction",
    "SearchSource",
    "ShellAction",
    "ShellOutcome",
    "ShellOutput",
    "SvgUsage",
    "TimeoutOutcome",
    "TypeAction",
    "UpdateFile",
    "UrlSource",
    "WaitAction",
    "WebSearchAction",
]


# ---- agents


@model
class AgentReference(Model):
    """The agent of a multi-agent response that created an item or an event: `agent` (Multi-agent beta)."""

    agent_name: str
    """The canonical name of the agent, such as `/lead/worker`."""


# ---- callers


@model
class DirectCaller(Model):
    """The model itself made the call: `direct` (Items, Programmatic tool calling)."""

    type: ClassVar[Literal["direct"]] = "direct"


@model
class ProgramCaller(Model):
    """A program that the model wrote made the call: `program` (Items, Programmatic tool calling)."""

    type: ClassVar[Literal["program"]] = "program"
    caller_id: str
    """The `call_id` of the program item."""


Caller: TypeAlias = DirectCaller | ProgramCaller | UnknownObject
"""Who made a tool call; an open union."""


# ---- computer use


@model
class Point(Model):
    """A position on the screen, in pixels from the upper left corner."""

    x: int
    y: int


@model
class ClickAction(Model):
    """Press a mouse button at a point: `click` (Items, Computer use)."""

    type: ClassVar[Literal["click"]] = "click"
    x: int
    y: int
    button: Literal["left", "right", "wheel", "back", "forward"] | str
    keys: list[str] | None | Unset = UNSET
    """Keys held down during the action."""


@model
class DoubleClickAction(Model):
    """Press the left mouse button twice at a point: `double_click` (Items, Computer use)."""

    type: ClassVar[Literal["double_click"]] = "double_click"
    x: int
    y: int
    keys: list[str] | None | Unset = UNSET
    """Keys held down during the action."""


@model
class DragAction(Model):
    """Move along a path with the button held: `drag` (Items, Computer use)."""

    type: ClassVar[Literal["drag"]] = "drag"
    path: list[Point]
    keys: list[str] | None | Unset = UNSET
    """Keys held down during the action."""


@model
class KeypressAction(Model):
    """Press keys together: `keypress` (Items, Computer use)."""

    type: ClassVar[Literal["keypress"]] = "keypress"
    keys: list[str]


@model
class MoveAction(Model):
    """Move the pointer to a point: `move` (Items, Computer use)."""

    type: ClassVar[Literal["move"]] = "move"
    x: int
    y: int
    keys: list[str] | None | Unset = UNSET
    """Keys held down during the action."""


@model
class ScreenshotAction(Model):
    """Take a screenshot: `screenshot` (Items, Computer use)."""

    type: ClassVar[Literal["screenshot"]] = "screenshot"


@model
class ScrollAction(Model):
    """Scroll with the pointer at a point: `scroll` (Items, Computer use)."""

    type: ClassVar[Literal["scroll"]] = "scroll"
    x: int
    y: int
    scroll_x: int
    """Pixels to scroll to the right."""
    scroll_y: int
    """Pixels to scroll down."""
    keys: list[str] | None | Unset = UNSET
    """Keys held down during the action."""


@model
class TypeAction(Model):
    """Type text: `type` (Items, Computer use)."""

    type: ClassVar[Literal["type"]] = "type"
    text: str


@model
class WaitAction(Model):
    """Wait for a moment: `wait` (Items, Computer use)."""

    type: ClassVar[Literal["wait"]] = "wait"


ComputerAction: TypeAlias = (
    ClickAction
    | DoubleClickAction
    | DragAction
    | KeypressAction
    | MoveAction
    | ScreenshotAction
    | ScrollAction
    | TypeAction
    | WaitAction
    | UnknownObject
)
"""An action on the computer; an open union."""


@model
class SafetyCheck(Model):
    """A warning about a computer call, pending in the call, acknowledged in its output (Items, Computer use)."""

    id: str
    code: str | None | Unset = UNSET
    message: str | None | Unset = UNSET


# ---- web and file search


@model
class UrlSource(Model):
    """A web page that a search used: `url` (Items, Web search)."""

    type: ClassVar[Literal["url"]] = "url"
    url: str


SearchSource: TypeAlias = UrlSource | UnknownObject
"""A source of a web search; an open union."""


@model
class SearchAction(Model):
    """Search the web: `search` (Items, Web search)."""

    type: ClassVar[Literal["search"]] = "search"
    query: str | None | Unset = UNSET
    """The query, from older servers; newer servers send `queries`."""
    queries: list[str] | None | Unset = UNSET
    sources: list[SearchSource] | None | Unset = UNSET
    """The pages that the search used; only present if the request includes `web_search_call.action.sources`."""


@model
class OpenPageAction(Model):
    """Open a page of the results: `open_page` (Items, Web search)."""

    type: ClassVar[Literal["open_page"]] = "open_page"
    url: str | None | Unset = UNSET


@model
class FindInPageAction(Model):
    """Find a pattern in an opened page: `find_in_page` (Items, Web search)."""

    type: ClassVar[Literal["find_in_page"]] = "find_in_page"
    url: str | None | Unset = UNSET
    pattern: str


WebSearchAction: TypeAlias = SearchAction | OpenPageAction | FindInPageAction | UnknownObject
"""One step of a web search; an open union."""


@model
class FileSearchResult(Model):
    """A piece of a file that a search found (Items, File search)."""

    file_id: str | None | Unset = UNSET
    filename: str | None | Unset = UNSET
    text: str | None | Unset = UNSET
    score: float | None | Unset = UNSET
    """Relevance, from 0 to 1."""
    attributes: JSONObject | None | Unset = UNSET
    """The attributes that the caller set for the file: name -> string, number or boolean."""


# ---- code, shell, patches


@model
class LogsOutput(Model):
    """The printed output of the code: `logs` (Items, Code interpreter)."""

    type: ClassVar[Literal["logs"]] = "logs"
    logs: str


@model
class ImageOutput(Model):
    """An image that the code produced: `image` (Items, Code interpreter)."""

    type: ClassVar[Literal["image"]] = "image"
    url: str


CodeInterpreterOutput: TypeAlias = LogsOutput | ImageOutput | UnknownObject
"""An output of the code; an open union."""


@model
class ShellAction(Model):
    """Commands to run in the shell, in order (Items, Shell)."""

    commands: list[str]
    timeout_ms: int | None | Unset = UNSET
    """The time limit for all commands together, in milliseconds."""
    max_output_length: int | None | Unset = UNSET
    """The maximum number of characters of output to return."""


@model
class ExitOutcome(Model):
    """The command ended: `exit` (Items, Shell)."""

    type: ClassVar[Literal["exit"]] = "exit"
    exit_code: int


@model
class TimeoutOutcome(Model):
    """The command timed out: `timeout` (Items, Shell)."""

    type: ClassVar[Literal["timeout"]] = "timeout"


ShellOutcome: TypeAlias = ExitOutcome | TimeoutOutcome | UnknownObject
"""How a command ended; an open union."""


@model
class ShellOutput(Model):
    """The output of one command (Items, Shell)."""

    outcome: ShellOutcome
    stdout: str
    stderr: str
    created_by: str | None | Unset = UNSET


@model
class LocalShellAction(Model):
    """A command to run on the caller's machine: `exec` (Items, Local shell)."""

    type: ClassVar[Literal["exec"]] = "exec"
    command: list[str]
    """The program and its arguments."""
    env: Mapping[str, str]
    """Environment variables for the command."""
    working_directory: str | None | Unset = UNSET
    user: str | None | Unset = UNSET
    timeout_ms: int | None | Unset = UNSET


@model
class CreateFile(Model):
    """Create a file: `create_file` (Items, Apply patch)."""

    type: ClassVar[Literal["create_file"]] = "create_file"
    path: str
    diff: str
    """The content, as a diff in the V4A format."""


@model
class UpdateFile(Model):
    """Update a file: `update_file` (Items, Apply patch)."""

    type: ClassVar[Literal["update_file"]] = "update_file"
    path: str
    diff: str
    """The change, as a diff in the V4A format."""


@model
class DeleteFile(Model):
    """Delete a file: `delete_file` (Items, Apply patch)."""

    type: ClassVar[Literal["delete_file"]] = "delete_file"
    path: str


ApplyPatchOperation: TypeAlias = CreateFile | UpdateFile | DeleteFile | UnknownObject
"""A change to one file; an open union."""


# ---- MCP


@model
class McpListedTool(Model):
    """A tool that an MCP server offers (Items, MCP)."""

    name: str
    input_schema: JSONObject
    """JSON Schema of the arguments."""
    description: str | None | Unset = UNSET
    annotations: JSONObject | None | Unset = UNSET
    """The server's hints about the behaviour of the tool."""


@model
class McpProtocolError(Model):
    """The MCP server answered with a JSON-RPC error: `mcp_protocol_error` (Items, MCP)."""

    type: ClassVar[Literal["mcp_protocol_error"]] = "mcp_protocol_error"
    code: int
    message: str


@model
class McpToolExecutionError(Model):
    """The tool ran and failed: `mcp_tool_execution_error` (Items, MCP)."""

    type: ClassVar[Literal["mcp_tool_execution_error"]] = "mcp_tool_execution_error"
    content: JSONValue
    """The result of the tool, usually MCP content blocks."""


@model
class HttpError(Model):
    """The MCP server could not be reached, or refused the request: `http_error` (Items, MCP)."""

    type: ClassVar[Literal["http_error"]] = "http_error"
    code: int
    """The HTTP status."""
    message: str


McpError: TypeAlias = McpProtocolError | McpToolExecutionError | HttpError | str | UnknownObject
"""Why an MCP call or listing failed; an open union. A string comes from servers that follow the older schema."""


# ---- image generation


@model
class ImageModerationDetails(Model):
    """Why an image was withheld (Items, Image generation)."""

    moderation_stage: Literal["input", "output", "unknown"] | str
    categories: list[str]


@model
class ImageGenerationError(Model):
    """Why no image was generated (Items, Image generation)."""

    message: str
    type: str
    code: str | None | Unset = UNSET
    param: str | None | Unset = UNSET
    moderation_details: ImageModerationDetails | None | Unset = UNSET


@model
class SvgUsage(Model):
    """Tokens spent on drawing an SVG (Items, Image generation)."""

    model: str
    input_tokens: int
    output_tokens: int
    reasoning_tokens: int
    total_tokens: int

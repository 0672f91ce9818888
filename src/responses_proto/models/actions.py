"""What tool calls and their outputs carry: actions, operations, outcomes, results, errors, callers.

These are the objects inside items. Tagged families are open unions ending in ``UnknownObject``; the rest are plain
objects that only ever appear in one place.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal, TypeAlias

from ..typing import UNSET, JSONObject, JSONValue, Unset
from ._base import Model, model
from .content import UnknownObject

__all__ = [
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


# ---- who calls


@model
class DirectCaller(Model):
    """The model itself makes the call: `direct` (Items, Programmatic tool calling)."""

    type: ClassVar[Literal["direct"]] = "direct"


@model
class ProgramCaller(Model):
    """A program that the model wrote makes the call: `program` (Items, Programmatic tool calling)."""

    type: ClassVar[Literal["program"]] = "program"
    caller_id: str
    """The `call_id` of the program item."""


Caller: TypeAlias = DirectCaller | ProgramCaller | UnknownObject
"""Who made a tool call; open."""


# ---- computer use


@model
class Point(Model):
    """A place on the screen, in pixels from the upper left corner."""

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
    """Keys held down meanwhile."""


@model
class DoubleClickAction(Model):
    """Press the left mouse button twice at a point: `double_click` (Items, Computer use)."""

    type: ClassVar[Literal["double_click"]] = "double_click"
    x: int
    y: int
    keys: list[str] | None | Unset = UNSET
    """Keys held down meanwhile."""


@model
class DragAction(Model):
    """Move along a path with the button held: `drag` (Items, Computer use)."""

    type: ClassVar[Literal["drag"]] = "drag"
    path: list[Point]
    keys: list[str] | None | Unset = UNSET
    """Keys held down meanwhile."""


@model
class KeypressAction(Model):
    """Press keys, together: `keypress` (Items, Computer use)."""

    type: ClassVar[Literal["keypress"]] = "keypress"
    keys: list[str]


@model
class MoveAction(Model):
    """Move the pointer to a point: `move` (Items, Computer use)."""

    type: ClassVar[Literal["move"]] = "move"
    x: int
    y: int
    keys: list[str] | None | Unset = UNSET
    """Keys held down meanwhile."""


@model
class ScreenshotAction(Model):
    """Take a picture of the screen: `screenshot` (Items, Computer use)."""

    type: ClassVar[Literal["screenshot"]] = "screenshot"


@model
class ScrollAction(Model):
    """Scroll with the pointer at a point: `scroll` (Items, Computer use)."""

    type: ClassVar[Literal["scroll"]] = "scroll"
    x: int
    y: int
    scroll_x: int
    """How far to scroll to the right, in pixels."""
    scroll_y: int
    """How far to scroll down, in pixels."""
    keys: list[str] | None | Unset = UNSET
    """Keys held down meanwhile."""


@model
class TypeAction(Model):
    """Type text: `type` (Items, Computer use)."""

    type: ClassVar[Literal["type"]] = "type"
    text: str


@model
class WaitAction(Model):
    """Do nothing for a moment: `wait` (Items, Computer use)."""

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
"""What to do to the computer; open."""


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
"""What a web search drew on; open."""


@model
class SearchAction(Model):
    """Search the web: `search` (Items, Web search)."""

    type: ClassVar[Literal["search"]] = "search"
    query: str | None | Unset = UNSET
    """The one query of older servers; newer ones give `queries`."""
    queries: list[str] | None | Unset = UNSET
    sources: list[SearchSource] | None | Unset = UNSET
    """Only if the request includes `web_search_call.action.sources`."""


@model
class OpenPageAction(Model):
    """Open a page of the results: `open_page` (Items, Web search)."""

    type: ClassVar[Literal["open_page"]] = "open_page"
    url: str | None | Unset = UNSET


@model
class FindInPageAction(Model):
    """Look for a pattern within an opened page: `find_in_page` (Items, Web search)."""

    type: ClassVar[Literal["find_in_page"]] = "find_in_page"
    url: str
    pattern: str


WebSearchAction: TypeAlias = SearchAction | OpenPageAction | FindInPageAction | UnknownObject
"""One step of a web search; open."""


@model
class FileSearchResult(Model):
    """A piece of a file that a search found (Items, File search)."""

    file_id: str | None | Unset = UNSET
    filename: str | None | Unset = UNSET
    text: str | None | Unset = UNSET
    score: float | None | Unset = UNSET
    """Relevance, from 0 to 1."""
    attributes: JSONObject | None | Unset = UNSET
    """What the caller attached to the file: strings, numbers and booleans by name."""


# ---- code, shell, patches


@model
class LogsOutput(Model):
    """What the code printed: `logs` (Items, Code interpreter)."""

    type: ClassVar[Literal["logs"]] = "logs"
    logs: str


@model
class ImageOutput(Model):
    """A picture that the code drew: `image` (Items, Code interpreter)."""

    type: ClassVar[Literal["image"]] = "image"
    url: str


CodeInterpreterOutput: TypeAlias = LogsOutput | ImageOutput | UnknownObject
"""What running the code gave; open."""


@model
class ShellAction(Model):
    """Commands to run in the shell, each in turn (Items, Shell)."""

    commands: list[str]
    timeout_ms: int | None | Unset = UNSET
    """Time for all the commands, in milliseconds."""
    max_output_length: int | None | Unset = UNSET
    """How many characters of output to return at most."""


@model
class ExitOutcome(Model):
    """The command came to its end: `exit` (Items, Shell)."""

    type: ClassVar[Literal["exit"]] = "exit"
    exit_code: int


@model
class TimeoutOutcome(Model):
    """The command ran out of time: `timeout` (Items, Shell)."""

    type: ClassVar[Literal["timeout"]] = "timeout"


ShellOutcome: TypeAlias = ExitOutcome | TimeoutOutcome | UnknownObject
"""How a command ended; open."""


@model
class ShellOutput(Model):
    """What one command gave (Items, Shell)."""

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
    """Make a new file: `create_file` (Items, Apply patch)."""

    type: ClassVar[Literal["create_file"]] = "create_file"
    path: str
    diff: str
    """The content, as a diff in the V4A format."""


@model
class UpdateFile(Model):
    """Change a file: `update_file` (Items, Apply patch)."""

    type: ClassVar[Literal["update_file"]] = "update_file"
    path: str
    diff: str
    """The change, as a diff in the V4A format."""


@model
class DeleteFile(Model):
    """Remove a file: `delete_file` (Items, Apply patch)."""

    type: ClassVar[Literal["delete_file"]] = "delete_file"
    path: str


ApplyPatchOperation: TypeAlias = CreateFile | UpdateFile | DeleteFile | UnknownObject
"""What a patch does to one file; open."""


# ---- MCP


@model
class McpListedTool(Model):
    """A tool that an MCP server offers (Items, MCP)."""

    name: str
    input_schema: JSONObject
    """JSON Schema of the arguments."""
    description: str | None | Unset = UNSET
    annotations: JSONObject | None | Unset = UNSET
    """What the server says about the tool's behaviour."""


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
    """What the tool returned: MCP content blocks as a rule."""


@model
class HttpError(Model):
    """The MCP server could not be reached or refused: `http_error` (Items, MCP)."""

    type: ClassVar[Literal["http_error"]] = "http_error"
    code: int
    """The HTTP status."""
    message: str


McpError: TypeAlias = McpProtocolError | McpToolExecutionError | HttpError | str | UnknownObject
"""Why an MCP call or listing failed; open. Plain text from servers that follow the older schema."""


# ---- image generation


@model
class ImageModerationDetails(Model):
    """Why an image was withheld (Items, Image generation)."""

    moderation_stage: Literal["input", "output", "unknown"] | str
    categories: list[str]


@model
class ImageGenerationError(Model):
    """Why no image came about (Items, Image generation)."""

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

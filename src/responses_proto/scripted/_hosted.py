"""Simulate hosted tools for the scripted model: emit the items of a call without running anything.

A search finds one page or file, code prints the user message, and an image is one white pixel.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ..models._media import WHITE_PIXEL
from ..models.actions import (
    CodeInterpreterOutput,
    CreateFile,
    ExitOutcome,
    FileSearchResult,
    LocalShellAction,
    LogsOutput,
    ScreenshotAction,
    SearchAction,
    SearchSource,
    ShellAction,
    ShellOutput,
    UrlSource,
)
from ..models.items import (
    ApplyPatchCall,
    CodeInterpreterCall,
    ComputerCall,
    FileSearchCall,
    ImageGenerationCall,
    Item,
    LocalShellCall,
    ShellCall,
    ShellCallOutput,
    ToolSearchCall,
    ToolSearchOutput,
    WebSearchCall,
)
from ..models.tools import (
    ApplyPatchTool,
    CodeInterpreterTool,
    ComputerTool,
    ComputerUsePreviewTool,
    ContainerReference,
    FileSearchTool,
    ImageGenerationTool,
    LocalEnvironment,
    LocalShellTool,
    ShellTool,
    ToolSearchTool,
    WebSearchPreviewTool,
    WebSearchPreviewTool20250311,
    WebSearchTool,
    WebSearchTool20250826,
)
from ..typing import UNSET

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ..models.tools import Tool
    from ..protocol.emitter import Ids
    from ._request import ScriptedTurn

PAGE: Final = "https://example.com/"
"""The page that every search finds and every citation refers to."""

_CONTAINER: Final = "cntr_scripted"


def _web_search(turn: ScriptedTurn, _tool: WebSearchTool, ids: Ids) -> list[Item]:
    sources: list[SearchSource] = [UrlSource(url=PAGE)]
    included = sources if turn.includes("web_search_call.action.sources") else UNSET
    action = SearchAction(query=turn.prompt, queries=[turn.prompt], sources=included)
    return [WebSearchCall(id=ids("ws"), action=action, status="completed")]


def _file_search(turn: ScriptedTurn, _tool: FileSearchTool, ids: Ids) -> list[Item]:
    found = FileSearchResult(
        file_id="file_scripted", filename="scripted.txt", text=turn.prompt, score=1.0, attributes={}
    )
    results = [found] if turn.includes("file_search_call.results") else None
    return [FileSearchCall(id=ids("fs"), queries=[turn.prompt], results=results, status="completed")]


def _code(turn: ScriptedTurn, tool: CodeInterpreterTool, ids: Ids) -> list[Item]:
    printed: list[CodeInterpreterOutput] = [LogsOutput(logs=turn.prompt)]
    call = CodeInterpreterCall(
        id=ids("ci"),
        container_id=tool.container if isinstance(tool.container, str) else _CONTAINER,
        code=f"print({turn.prompt!r})",
        outputs=printed if turn.includes("code_interpreter_call.outputs") else None,
        status="completed",
    )
    return [call]


def _image(_turn: ScriptedTurn, _tool: ImageGenerationTool, ids: Ids) -> list[Item]:
    return [ImageGenerationCall(id=ids("ig"), result=WHITE_PIXEL, status="completed")]


def _shell(turn: ScriptedTurn, tool: ShellTool, ids: Ids) -> list[Item]:
    call_id, action = ids("call"), ShellAction(commands=["date"], timeout_ms=None, max_output_length=None)
    environment = tool.environment
    if not environment or isinstance(environment, LocalEnvironment):  # the client runs it
        local = LocalEnvironment()
        return [ShellCall(id=ids("sh"), call_id=call_id, action=action, environment=local, status="completed")]
    container = (
        environment if isinstance(environment, ContainerReference) else ContainerReference(container_id=_CONTAINER)
    )
    output = ShellOutput(stdout=f"{turn.prompt}\n", stderr="", outcome=ExitOutcome(exit_code=0))
    return [
        ShellCall(id=ids("sh"), call_id=call_id, action=action, environment=container, status="completed"),
        ShellCallOutput(id=ids("sho"), call_id=call_id, output=[output], max_output_length=None, status="completed"),
    ]


def _local_shell(_turn: ScriptedTurn, _tool: LocalShellTool, ids: Ids) -> list[Item]:
    action = LocalShellAction(command=["date"], env={})
    return [LocalShellCall(id=ids("lsh"), call_id=ids("call"), action=action, status="completed")]


def _apply_patch(turn: ScriptedTurn, _tool: ApplyPatchTool, ids: Ids) -> list[Item]:
    operation = CreateFile(path="scripted.txt", diff=f"+{turn.prompt}\n")
    return [ApplyPatchCall(id=ids("apc"), call_id=ids("call"), operation=operation, status="completed")]


def _computer(_turn: ScriptedTurn, tool: ComputerTool | ComputerUsePreviewTool, ids: Ids) -> list[Item]:
    screenshot = ScreenshotAction()
    preview = isinstance(tool, ComputerUsePreviewTool)
    return [
        ComputerCall(
            id=ids("cu"),
            call_id=ids("call"),
            action=screenshot if preview else UNSET,
            actions=UNSET if preview else [screenshot],
            pending_safety_checks=[],
            status="completed",
        )
    ]


def search_tools(turn: ScriptedTurn, tool: ToolSearchTool, ids: Ids, found: Sequence[Tool] = ()) -> list[Item]:
    """Return the items of a tool search. ``found`` are the tools that it finds if the server runs it."""
    query = {"query": turn.prompt}
    if tool.execution == "client":
        call_id = ids("call")
        return [ToolSearchCall(id=ids("tsc"), call_id=call_id, arguments=query, execution="client", status="completed")]
    return [
        ToolSearchCall(id=ids("tsc"), call_id=None, arguments=query, execution="server", status="completed"),
        ToolSearchOutput(id=ids("tso"), call_id=None, tools=[*found], execution="server", status="completed"),
    ]


# `Any` because each function takes the class of its key as second parameter.
HOSTED: Final[Mapping[type, Callable[[ScriptedTurn, Any, Ids], list[Item]]]] = {
    WebSearchTool: _web_search,
    WebSearchTool20250826: _web_search,
    WebSearchPreviewTool: _web_search,
    WebSearchPreviewTool20250311: _web_search,
    FileSearchTool: _file_search,
    CodeInterpreterTool: _code,
    ImageGenerationTool: _image,
    ShellTool: _shell,
    LocalShellTool: _local_shell,
    ApplyPatchTool: _apply_patch,
    ComputerTool: _computer,
    ComputerUsePreviewTool: _computer,
    ToolSearchTool: search_tools,
}
"""Class of a hosted tool -> a function that returns the items of one call."""

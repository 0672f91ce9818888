"""The calls of one turn, in whatever way a provider writes them.

OpenAI numbers the calls of a turn and sends each in pieces: the first has its id and name, the others have more of the arguments. Others
leave out the index, the id, or both, repeat the name, send each call whole, or give all calls the same index. :class:`CallTable` finds
the call that a piece belongs to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import attrs

from ..codec import default_backend, dumps
from ..exceptions import DecodeError, LimitExceeded
from ..models.items import CustomToolCall, FunctionCall, McpCall
from ..models.tools import McpTool
from ..schema.partial import PartialJSON
from ..typing import UNSET
from ._facts import mapping, string
from ._tools import CUSTOM_INPUT, OfferedTool, needs_approval

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..models.events import Event
    from ..models.items import Item
    from ..models.tools import Tool
    from ..protocol.emitter import CallWriter, Emitter

_MAX_NAME: Final = 1000  # characters that a name may have before its last piece; providers allow 64


@attrs.frozen(kw_only=True)
class McpCallMade:
    """A call of an MCP tool, which the server runs."""

    call_id: str
    """The provider's id of the call."""
    server_label: str
    name: str
    """The name of the tool on its server."""
    arguments: str
    """A JSON object as text, written by the model."""
    tool: McpTool
    """The tool of the request."""
    needs_approval: bool
    """Whether the caller must approve the call. It has no item then."""
    writer: CallWriter | None = None
    """The writer of the open ``mcp_call`` item, to be closed with ``done_with(item)``; ``None`` if there is no item yet."""


@attrs.frozen(kw_only=True)
class HostedCallMade:
    """A call of a hosted tool, which the server runs. It has no item yet."""

    call_id: str
    name: str
    """The name of the function that stood for the tool."""
    arguments: str
    """A JSON object as text, written by the model."""
    tool: Tool
    """The tool of the request."""


class _Call:
    """One call, as far as it is known."""

    def __init__(self, number: int, index: object) -> None:
        self.number = number
        self.index = index
        self.id = ""
        self.name = ""
        self.pieces: list[str] = []
        self.whole = False
        self.native_custom = False
        self.extra: dict[str, Any] = {}
        self.offered: OfferedTool | None = None
        self.opened_with: dict[str, Any] | None = None
        """The extra fields that its item was opened with; ``None`` if it is not open."""
        self.call_id = ""
        self.writer: CallWriter | None = None
        self._read = 0
        self._json = PartialJSON()

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    def is_complete(self) -> bool:
        """Return whether the arguments so far are a whole JSON value."""
        try:
            for piece in self.pieces[self._read :]:
                self._json.feed(piece)
        except LimitExceeded:
            return False
        finally:
            self._read = len(self.pieces)
        return self._json.complete


class CallTable:
    """Reads the pieces of calls, and writes their items."""

    def __init__(self, emitter: Emitter, offered: Mapping[str, OfferedTool], context: Sequence[Item]) -> None:
        self._emitter = emitter
        self._offered = offered
        self._settled = {
            name for name in offered if not any(other != name and other.startswith(name) for other in offered)
        }  # names that do not begin another one: they have no more pieces
        self._used = {str(getattr(item, "call_id", "") or "") for item in context}
        self._calls: list[_Call] = []
        self._opened = 0  # how many of them have an item, or will have none
        self._by_index: dict[int, _Call] = {}
        self._by_id: dict[str, _Call] = {}
        self.client_calls: list[FunctionCall | CustomToolCall] = []
        self.mcp_calls: list[McpCallMade] = []
        self.hosted_calls: list[HostedCallMade] = []

    @property
    def size(self) -> int:
        """The number of calls."""
        return len(self._calls)

    def read(self, piece: Mapping[str, Any], *, whole: bool) -> list[Event]:
        """Read one piece of a call. ``whole`` says that it is a call by itself. Return the new events."""
        custom = mapping(piece.get("custom"))
        function = custom or mapping(piece.get("function"))
        name = string(function.get("name"))
        arguments = function.get("input" if custom else "arguments")
        text = arguments if isinstance(arguments, str) else dumps(arguments).decode() if arguments is not None else ""
        call = self._find(piece, name, text, whole=whole)
        call.native_custom = call.native_custom or bool(custom)
        if piece.get("extra_content"):
            call.extra["extra_content"] = piece["extra_content"]
        id_ = string(piece.get("id"))
        if id_:
            call.id = call.id or id_
            self._by_id.setdefault(id_, call)
        self._add_name(call, name)
        call.whole = whole
        was_open = call.opened_with is not None
        if text:
            call.pieces.append(text)
        if was_open:
            return call.writer.write(text) if text and call.writer is not None and self._streams(call) else []
        return self._open_ready()

    # Which call

    def _find(self, piece: Mapping[str, Any], name: str, text: str, *, whole: bool) -> _Call:
        index, id_ = piece.get("index"), string(piece.get("id"))
        index = index if isinstance(index, int) else None
        found: _Call | None = None
        if not whole:
            if index is not None:
                found = self._by_index.get(index)
            elif id_ in self._by_id:
                return self._by_id[id_]
            elif self._calls:
                found = self._calls[-1]
        if found is None or self._begins(found, id_, name, text):
            found = _Call(len(self._calls), index)
            self._calls.append(found)
            if index is not None:
                self._by_index[index] = found
        return found

    def _begins(self, found: _Call, id_: str, name: str, text: str) -> bool:
        """Return whether a piece for the place of a call begins another call there."""
        if not name:
            return False  # some servers give each piece another id
        if id_ and found.id and id_ != found.id:
            return True
        if not found.pieces or (id_ and id_ == found.id):
            return False  # more of the name, or the name again
        if name != found.name:
            return True
        # The same name again, or another call of the same function.
        return (found.index is None or text.lstrip().startswith("{")) and found.is_complete()

    def _add_name(self, call: _Call, name: str) -> None:
        if not name or call.opened_with is not None or name == call.name or len(call.name) > _MAX_NAME:
            return
        joined = call.name + name
        if any(known.startswith(joined) for known in self._offered) or not name.startswith(call.name):
            call.name = joined
        else:
            call.name = name

    # Items

    def _open_ready(self) -> list[Event]:
        """Open the calls whose names are complete, in the order in which they began."""
        events: list[Event] = []
        while self._opened < len(self._calls):
            call = self._calls[self._opened]
            if not (call.pieces or call.whole or (call.id and call.name in self._settled)):
                break
            events += self._open(call)
        return events

    def _open(self, call: _Call) -> list[Event]:
        self._opened += 1
        call.opened_with = {**call.extra}
        call.offered = offered = self._offered.get(call.name)
        taken = call.id in self._used
        call.call_id = self._emitter.ids("call") if not call.id or taken else call.id
        self._used.add(call.call_id)
        kind = offered.kind if offered is not None else "custom" if call.native_custom else "function"
        name = offered.name if offered is not None else call.name
        home = offered.home if offered is not None else ""
        ids = self._emitter.ids
        match kind:
            case "mcp":
                if offered is None or _needs_approval(offered):
                    return []
                item: Item = McpCall(
                    id=ids("mcp"),
                    server_label=home,
                    name=name,
                    arguments="",
                    status="in_progress",
                    extra={**call.extra},
                )
            case "hosted":
                return []
            case "custom":
                item = CustomToolCall(
                    id=ids("ctc"),
                    call_id=call.call_id,
                    name=name,
                    namespace=home or UNSET,
                    input="",
                    status="in_progress",
                    extra={**call.extra},
                )
            case _:
                item = FunctionCall(
                    id=ids("fc"),
                    call_id=call.call_id,
                    name=name,
                    namespace=home or UNSET,
                    arguments="",
                    status="in_progress",
                    extra={**call.extra},
                )
        call.writer = self._emitter.call(item)
        return call.writer.write(call.text) if call.pieces and self._streams(call) else self._emitter.events()

    def _streams(self, call: _Call) -> bool:
        """Return whether the pieces are deltas of the item's text; those of a custom tool that became a function are not."""
        return call.native_custom or call.offered is None or call.offered.kind != "custom"

    def close(self, status: str) -> list[Event]:
        """Close the calls, at the end of the turn, as ``completed`` or ``incomplete``. Return the new events."""
        events: list[Event] = []
        for call in self._calls:
            if call.opened_with is None:
                events += self._open(call)
            cut_off = status == "incomplete" and not call.is_complete()
            events += self._close(call, "incomplete" if cut_off else "completed")
        return events

    def _close(self, call: _Call, status: str) -> list[Event]:
        events = self._end_text(call, status)
        offered, writer = call.offered, call.writer
        arguments = call.text or "{}"
        if offered is not None and offered.kind == "hosted":
            if status == "completed":
                made = HostedCallMade(call_id=call.call_id, name=call.name, arguments=arguments, tool=offered.tool)
                self.hosted_calls.append(made)
            return events
        if offered is not None and isinstance(offered.tool, McpTool) and status == "completed":
            self.mcp_calls.append(
                McpCallMade(
                    call_id=call.call_id,
                    server_label=offered.home,
                    name=offered.name,
                    arguments=arguments,
                    tool=offered.tool,
                    needs_approval=_needs_approval(offered),
                    writer=writer,
                )
            )
            return events + (writer.end_text() if writer is not None else [])
        if writer is not None:
            writer.close(status)
            events += self._emitter.events()
            if isinstance(writer.item, FunctionCall | CustomToolCall):
                self.client_calls.append(writer.item)
        return events

    def _end_text(self, call: _Call, status: str) -> list[Event]:
        """Write what is missing of the item of a call."""
        writer = call.writer
        if writer is None:
            return []
        if call.extra != call.opened_with:
            writer.extend(call.extra)
        if not self._streams(call):
            return writer.write(_custom_input(call.text))
        if not call.pieces and not call.native_custom and status == "completed":
            return writer.write("{}")
        return []


def _needs_approval(offered: OfferedTool) -> bool:
    return (
        isinstance(offered.tool, McpTool)
        and offered.listed is not None
        and needs_approval(offered.tool, offered.listed)
    )


def _custom_input(arguments: str) -> str:
    """Return the input of a custom tool from the arguments of the function that stood for it; these themselves if they are not such."""
    try:
        value: Any = default_backend().loads(arguments)
    except (DecodeError, LimitExceeded):
        return arguments
    found = mapping(value).get(CUSTOM_INPUT)
    return found if isinstance(found, str) else arguments

"""Read the tool calls of one turn, in the various forms that providers use.

OpenAI numbers the calls of a turn and sends each in pieces: the first piece has the id and name, the others continue the arguments. Other
providers leave out the index, the id, or both, repeat the name or the arguments, send each call whole, or give all calls the same index.
:class:`CallTable` finds the call that a piece belongs to, and determines what the piece adds to it.
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

_MAX_DIGITS: Final = 10  # of an index
_MAX_NAME: Final = 1000  # characters after which a name takes no more pieces; providers allow 64


@attrs.frozen(kw_only=True)
class McpCallMade:
    """A call of an MCP tool that the server must run."""

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
    """Whether the caller must approve the call. If so, it has no item."""
    writer: CallWriter | None = None
    """The writer of the open ``mcp_call`` item; close it with ``done_with(item)``. ``None`` if there is no item yet."""


@attrs.frozen(kw_only=True)
class HostedCallMade:
    """A call of a hosted tool that the server must run. It has no item yet."""

    call_id: str
    name: str
    """The name of the function that represents the tool."""
    arguments: str
    """A JSON object as text, written by the model."""
    tool: Tool
    """The tool of the request."""


class _Call:
    """One call, as received so far."""

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
        self._size = 0  # characters of the pieces
        self._grows = False  # whether each piece repeats all earlier ones
        self._held = ""  # a piece that may repeat them
        self._written = 0  # pieces that are in the item
        self._read = 0
        self._json = PartialJSON()

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    def add(self, text: str) -> None:
        """Add the new text in a piece of the arguments. Some providers repeat all earlier pieces in each piece."""
        held, self._held = self._held, ""
        if held and text.startswith(held):
            self._grows = True
        elif held:
            self._append(held)
        if self.is_placeholder() and text.lstrip().startswith("{"):
            self.pieces.clear()
            self._size = self._read = 0
            self._json = PartialJSON()
        elif self._contains_all(text):
            self._grows = self._grows or not _continues(self.text, text)
            if not self._grows:
                self._held = text  # either a value inside the arguments, or all of them again
                return
            text = text[self._size :]
        self._append(text)

    def settle(self) -> None:
        """Decide how to read a piece that is still held. No pieces follow."""
        held, self._held = self._held, ""
        if held:
            is_whole = _ends(held) and not _ends(self.text + held)
            self._append(held[self._size :] if is_whole else held)

    def is_placeholder(self) -> bool:
        """Return whether the arguments so far are ``{}``, which some providers send before the actual arguments."""
        return len(self.pieces) == 1 and not self.native_custom and self.pieces[0].strip() == "{}"

    def _contains_all(self, text: str) -> bool:
        """Return whether a piece begins with all earlier pieces."""
        if not self.pieces or self.native_custom or len(text) < self._size or text[0] != self.pieces[0][0]:
            return False  # decides most cases without comparing whole texts
        return text.startswith(self.text)

    def _append(self, text: str) -> None:
        if text:
            self.pieces.append(text)
            self._size += len(text)

    def unwritten(self) -> str:
        """Return the arguments that the item does not have yet, and mark them as written."""
        start, self._written = self._written, len(self.pieces)
        return "".join(self.pieces[start:])

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
    """Reads pieces of calls, and writes their items."""

    def __init__(self, emitter: Emitter, offered: Mapping[str, OfferedTool], context: Sequence[Item]) -> None:
        self._emitter = emitter
        self._offered = offered
        self._settled = {
            name for name in offered if not any(other != name and other.startswith(name) for other in offered)
        }  # names that are no prefix of another name, and so are complete
        self._used = {str(getattr(item, "call_id", "") or "") for item in context}
        self._calls: list[_Call] = []
        self._opened = 0  # the number of calls that have an item, or will never have one
        self._by_index: dict[int, _Call] = {}
        self._by_id: dict[str, _Call] = {}
        self.client_calls: list[FunctionCall | CustomToolCall] = []
        self.mcp_calls: list[McpCallMade] = []
        self.hosted_calls: list[HostedCallMade] = []

    @property
    def size(self) -> int:
        """The number of calls."""
        return len(self._calls)

    def read(self, piece: Mapping[str, Any], *, whole: bool, place: int | None = None) -> list[Event]:
        """Read one piece of a call, for which :func:`says_something` is true. Return the new events.

        ``whole`` states that the piece is a complete call. ``place`` is its index among pieces that came in the same chunk; ``None`` if it
        came alone.
        """
        custom, function = _function_in(piece)
        name = string(function.get("name"))
        arguments = function.get("input" if custom else "arguments")
        text = arguments if isinstance(arguments, str) else dumps(arguments).decode() if arguments is not None else ""
        call = self._find(piece, name, text, whole=whole, place=place)
        call.native_custom = call.native_custom or custom
        if piece.get("extra_content"):
            call.extra["extra_content"] = piece["extra_content"]
        id_ = string(piece.get("id"))
        if id_:
            call.id = call.id or id_
            self._by_id.setdefault(id_, call)
        self._add_name(call, name)
        call.whole = whole
        if text:
            call.add(text)
        if call.opened_with is not None:
            return self._write(call)
        return self._open_ready()

    # Which call

    def _find(self, piece: Mapping[str, Any], name: str, text: str, *, whole: bool, place: int | None) -> _Call:
        index, id_ = _index(piece.get("index")), string(piece.get("id"))
        if index is None and id_ not in self._by_id:
            index = place
        found: _Call | None = None
        if not whole:
            if id_ in self._by_id and (index is None or not name):
                return self._by_id[id_]
            last = self._calls[-1] if self._calls else None
            if index is None:
                found = last
            elif index in self._by_index:
                found = self._by_index[index]
            elif last is not None and not (name or id_ or last.is_complete()):
                found = self._by_index[index] = last  # some servers number the pieces, not the calls
        if found is None or self._begins(found, id_, name, text):
            found = _Call(len(self._calls), index)
            self._calls.append(found)
            if index is not None:
                self._by_index[index] = found
        return found

    def _begins(self, found: _Call, id_: str, name: str, text: str) -> bool:
        """Return whether a piece with the index of a call begins another call."""
        is_other = bool(id_ and found.id and id_ != found.id)
        if not name:  # some servers give each piece a different id
            return is_other and not text and found.index is None
        if not found.name:
            return False  # the name may come after the arguments
        starts = found.native_custom or not text or text.lstrip().startswith("{")
        if is_other:
            return starts or name != found.name or found.is_complete()
        if id_ and id_ == found.id:
            return False  # more of the name, or the name again
        if not found.pieces:  # more of the name, unless both are names of tools
            return name != found.name and name in self._offered and found.name in self._settled
        # A different name (some servers send "null"), the same name again, or another call.
        return (name != found.name or found.index is None or starts) and found.is_complete()

    def _add_name(self, call: _Call, name: str) -> None:
        is_whole = call.opened_with is not None or call.name in self._settled or len(call.name) > _MAX_NAME
        if not name or is_whole or name == call.name:
            return
        joined = call.name + name
        if any(known.startswith(joined) for known in self._offered) or not name.startswith(call.name):
            call.name = joined
        else:
            call.name = name

    # Items

    def _open_ready(self) -> list[Event]:
        """Open the items of calls whose names are complete, in the order in which the calls began."""
        events: list[Event] = []
        while self._opened < len(self._calls):
            call = self._calls[self._opened]
            if not (call.name and (call.pieces or call.whole or (call.id and call.name in self._settled))):
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
        begun: dict[str, Any] = {"name": name, "status": "in_progress", "extra": {**call.extra}}
        match kind:
            case "hosted":
                return []
            case "mcp":
                tool, listed = (None, None) if offered is None else (offered.tool, offered.listed)
                if not isinstance(tool, McpTool) or listed is None or needs_approval(tool, listed):
                    return []
                item: Item = McpCall(id=ids("mcp"), server_label=home, arguments="", **begun)
            case "custom":
                item = CustomToolCall(id=ids("ctc"), call_id=call.call_id, namespace=home or UNSET, input="", **begun)
            case _:
                item = FunctionCall(id=ids("fc"), call_id=call.call_id, namespace=home or UNSET, arguments="", **begun)
        call.writer = self._emitter.call(item)
        return self._write(call) or self._emitter.events()

    def _write(self, call: _Call) -> list[Event]:
        """Write the new arguments of an open call into its item, if it has one."""
        if call.writer is None or call.is_placeholder() or not self._streams(call):
            return []
        text = call.unwritten()
        return call.writer.write(text) if text else []

    def _streams(self, call: _Call) -> bool:
        """Return whether the pieces are deltas of the item's text. Those of a custom tool that was translated into a function are not."""
        return call.native_custom or call.offered is None or call.offered.kind != "custom"

    def close(self, status: str) -> list[Event]:
        """Close the calls at the end of a turn with the status ``completed`` or ``incomplete``. Return the new events."""
        events: list[Event] = []
        for call in self._calls:
            call.settle()
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
                    needs_approval=writer is None,
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
        """Write the rest of a call into its item."""
        writer = call.writer
        if writer is None:
            return []
        if call.extra != call.opened_with:
            writer.extend(call.extra)
        if not self._streams(call):
            return writer.write(_custom_input(call.text))
        if not call.pieces and not call.native_custom and status == "completed":
            return writer.write("{}")
        text = call.unwritten()
        return writer.write(text) if text else []


def _continues(said: str, text: str) -> bool:
    """Return whether ``text`` can continue the JSON in ``said``. Also true if ``said`` is not JSON."""
    read = PartialJSON()
    try:
        read.feed(said)
        if read.invalid_at is None:
            read.feed(text)
            return read.invalid_at is None
    except LimitExceeded:
        pass
    return True


def _ends(text: str) -> bool:
    """Return whether a text is a complete JSON value."""
    read = PartialJSON()
    try:
        read.feed(text)
    except LimitExceeded:
        return False
    return read.complete


def says_something(piece: Mapping[str, Any]) -> bool:
    """Return whether a piece of a call has any content. Some providers send an empty piece in each delta."""
    _, function = _function_in(piece)
    said = (
        piece.get("id"),
        piece.get("extra_content"),
        function.get("name"),
        function.get("arguments"),
        function.get("input"),
    )
    return any(value not in (None, "") for value in said)


def _function_in(piece: Mapping[str, Any]) -> tuple[bool, Mapping[str, Any]]:
    """Return whether a piece belongs to a custom tool, and the object with its name and arguments. Some providers use the piece itself."""
    custom = mapping(piece.get("custom"))
    return bool(custom), custom or mapping(piece.get("function")) or piece


def _index(value: object) -> int | None:
    """Return the index of a call, which some providers write as a string or a float; ``None`` if there is none."""
    if isinstance(value, str) and value.isdecimal() and len(value) < _MAX_DIGITS:
        return int(value)
    return (
        int(value) if isinstance(value, int | float) and not isinstance(value, bool) and value == value // 1 else None
    )


def _custom_input(arguments: str) -> str:
    """Return the input of a custom tool from the arguments of its function; the arguments themselves if they have another form."""
    try:
        value: Any = default_backend().loads(arguments)
    except (DecodeError, LimitExceeded):
        return arguments
    found = mapping(value).get(CUSTOM_INPUT)
    return found if isinstance(found, str) else arguments

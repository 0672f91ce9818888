"""The agent loop without I/O: a response, the calls in it, their answers, the next request.

::

    loop = ToolLoop(CreateResponse(model=..., input=..., tools=[...]))
    while loop.state == LoopState.ASK:
        response = await client.create(loop.request)      # or a stream, and its outcome
        for call in loop.receive(response):
            loop.answer(call, my_tools(call))             # text, content parts, a ToolOutput, a ready item; an Approval
    loop.stopped                                          # completed | max_turns | incomplete | failed | ...

:attr:`ToolLoop.state` determines the next step:

=================  =================================================================================
``ASK``            send :attr:`~ToolLoop.request`, then pass the response to :meth:`~ToolLoop.receive`
``ANSWER``         :meth:`~ToolLoop.answer` each call in :attr:`~ToolLoop.pending`, in any order
``OVER``           nothing; :attr:`~ToolLoop.stopped` is the reason
=================  =================================================================================

A loop is a plain value. It can be copied and pickled at any point, and :meth:`ToolLoop.dump` returns it as JSON, with
which another process can continue it.

A call that needs approval before it is executed is answered with an :class:`~responses_proto.tools.Approval` first.
If it is approved, it stays pending until it is answered with its output; otherwise the denial is its answer.

The next request refers to the previous turns in one of three ways (:data:`Continuation`):

=================  =================================================================================
``response``       ``previous_response_id`` of the last response; the input is the answers
``history``        the input is all items so far, prepared by ``protocol.as_input``
``conversation``   the input is the answers; the server adds them to the conversation that the request names
=================  =================================================================================
"""

from __future__ import annotations

import enum
import functools
import hashlib
import itertools
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, Self, TypeAlias, TypeVar, cast

import attrs

from ..codec import Converter, default_converter, dump, load
from ..exceptions import DecodeError, LocalProtocolError, RemoteProtocolError, UsageError
from ..models._base import Model
from ..models.items import (
    AdditionalTools,
    CustomToolCall,
    FunctionCall,
    Item,
    McpApprovalRequest,
    McpListTools,
    Message,
    ToolSearchOutput,
)
from ..models.request import CreateResponse
from ..models.response import RUNNING_STATUSES, PendingCall, Response
from ..models.tools import CustomTool, FunctionTool, NamespaceTool, Tool
from ..protocol.history import as_input, check_history
from ..protocol.stream import Outcome
from ..providers import PROVIDERS, Provider, find_provider
from ..typing import UNSET
from .output import Approval, ToolOutput, call_key, output_item
from .turn import LoopTurn, dump_turn, load_turn

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from ..limits import Limits
    from ..models.response import Usage
    from ..protocol.stream import OutcomeStatus
    from ..typing import JSONObject
    from .output import ToolResult

__all__ = [
    "Continuation",
    "LoopState",
    "StopReason",
    "ToolLoop",
    "add_usage",
    "called_name",
    "check_bounds",
    "is_offered",
    "load_tool",
    "outcome_of",
    "tool_names",
]

Continuation: TypeAlias = Literal["response", "history", "conversation"]
"""How the next request refers to the previous turns."""


class LoopState(enum.StrEnum):
    """What a loop waits for. Members equal their strings: ``loop.state == "ask"``."""

    ASK = "ask"
    """The response to :attr:`ToolLoop.request`."""
    ANSWER = "answer"
    """Answers to the calls in :attr:`ToolLoop.pending`."""
    OVER = "over"
    """Nothing."""


LimitReached: TypeAlias = Literal["max_turns", "max_tokens", "max_tool_calls"]
"""The bound of a :class:`ToolLoop` that was reached."""

StopReason: TypeAlias = LimitReached | Literal["completed", "incomplete", "failed", "cancelled", "error", "truncated"]
"""Why no further request follows. ``completed``: the last response calls nothing. ``max_…``: see :class:`ToolLoop`. The
others are the status of the last response's outcome."""

_VERSION: Final = 1
"""The version of the JSON form."""
_NOT_RUN: Final = "The call was not run."
_ANSWERABLE: Final = frozenset({"completed", "incomplete"})
"""The outcomes of turns whose calls the model waits for. After any other outcome no call is executed."""

_M = TypeVar("_M", bound=Model)


class ToolLoop:
    """Turns responses and answers into the next request, until no call is pending.

    Repeat while :attr:`state` is not ``OVER``: send :attr:`request`, pass the response to :meth:`receive`, and
    :meth:`answer` each call that it returns.

    - ``request``: the first request, a model or a raw wire object. Later ones differ in ``input`` and in the fields that
      refer to the previous turns.
    - ``continuation``: how they refer to the previous turns. The default is ``conversation`` if the request names one;
      ``response`` if the last response reports that it was stored (``store`` is true) and the request does not set
      ``store=False``; otherwise ``history``.
    - ``dialect``: the provider or its name. It decides what :attr:`history` leaves out.
    - ``max_turns``: the largest number of responses. The calls of the last one stay pending.
    - ``max_tokens``: a bound on the tokens in :attr:`usage`. The response that reaches it is the last one, and its calls
      stay pending.
    - ``max_tool_calls``: the largest number of calls that may be answered. A response that exceeds it is the last one, and
      its calls stay pending.

    Raises ``UsageError`` for an unknown provider, for ``continuation="conversation"`` if the request names none, and
    for a bound that is too small.
    """

    def __init__(
        self,
        request: CreateResponse | JSONObject,
        *,
        continuation: Continuation | None = None,
        dialect: Provider | str | None = None,
        max_turns: int | None = None,
        max_tokens: int | None = None,
        max_tool_calls: int | None = None,
    ) -> None:
        self.first_request: CreateResponse | JSONObject = request
        """The request that the loop began with."""
        self._continuation: Continuation | None = continuation
        self._provider = find_provider(dialect) if isinstance(dialect, str) else dialect or Provider(name="")
        self._input = _as_list(_field(request, "input"))
        # Remembered approvals, by the type of the call, the server or namespace, and the name of the tool; each with the
        # digest of the tool's definition.
        self._approvals: dict[tuple[str, str, str], tuple[str, Approval]] = {}
        if continuation == "conversation" and not _field(request, "conversation"):
            raise UsageError("continuation='conversation' needs a request that names one: conversation=...")
        check_bounds(max_turns=max_turns, max_tokens=max_tokens, max_tool_calls=max_tool_calls)
        self.max_turns: int | None = max_turns
        """The maximum number of responses; ``None`` for no maximum. Raise it to continue a loop that stopped there."""
        self.max_tokens: int | None = max_tokens
        """The maximum number of tokens; ``None`` for no maximum."""
        self.max_tool_calls: int | None = max_tool_calls
        """The maximum number of calls; ``None`` for no maximum."""
        self.turns: list[LoopTurn] = []
        """The turns so far, in order."""
        self.partial: Response | None = None
        """The part that arrived of a response to :attr:`request` that was left before its end. It is included in
        :attr:`history`, and is dropped when the next response is received."""

    # State

    @property
    def state(self) -> LoopState:
        """What the loop waits for. See the table at the top of this module."""
        if not self.turns:
            return LoopState.ASK
        turn = self.turns[-1]
        if turn.outcome.status not in _ANSWERABLE or not (turn.calls or turn.added):
            return LoopState.OVER
        if turn.pending:
            return LoopState.ANSWER
        return LoopState.OVER if self.limit_reached else LoopState.ASK

    @property
    def stopped(self) -> StopReason | None:
        """Why no request follows; ``None`` if one follows, now or once every pending call is answered."""
        if self.state == LoopState.ASK:
            return None
        turn = self.turns[-1]
        if turn.outcome.status != "completed":
            return turn.outcome.status
        if not turn.calls and not turn.added:
            return "completed"
        return self.limit_reached

    @property
    def limit_reached(self) -> LimitReached | None:
        """The bound that allows no further request; ``None`` if there is none."""
        if self.max_turns is not None and len(self.turns) >= self.max_turns:
            return "max_turns"
        if self.max_tokens is not None and self.tokens >= self.max_tokens:
            return "max_tokens"
        if self.max_tool_calls is not None and self.tool_calls > self.max_tool_calls:
            return "max_tool_calls"
        return None

    def allows_calls(self, count: int) -> bool:
        """Return whether the bounds allow executing ``count`` calls of the next response before it is complete."""
        if self.max_turns is not None and len(self.turns) + 1 >= self.max_turns:
            return False
        return self.max_tool_calls is None or self.tool_calls + count <= self.max_tool_calls

    @property
    def response(self) -> Response | None:
        """The last response; ``None`` before the first."""
        return self.turns[-1].response if self.turns else None

    @property
    def pending(self) -> list[PendingCall]:
        """The calls of the last response without an answer, in order. :meth:`answer` each of them."""
        return self.turns[-1].pending if self.turns else []

    @property
    def items(self) -> list[Item]:
        """All items, unchanged and in order: the input, then the output and the answers of each turn."""
        items = self._input_items()
        for turn in self.turns:
            items += [*turn.response.output, *turn.outputs, *turn.added]
        return items

    @property
    def history(self) -> list[Item]:
        """All items as the input of a new request: prepared for the server, with an answer to every call.

        A call without an answer gets a text answer stating that it was not run. Of a response that was cut off, the text
        that arrived and the answered calls are kept. Items of an earlier response or of a conversation that the first
        request continues are not included.
        """
        items = [*self._input_items(), *self._turn_items()]
        return items if self.partial is None else [*items, *self._prepared(self.partial, (), {})]

    @property
    def usage(self) -> Usage | None:
        """The tokens of all turns, added up; ``None`` if no response reports any."""
        return functools.reduce(add_usage, (turn.response.usage or None for turn in self.turns), None)

    @property
    def tokens(self) -> int:
        """The total number of tokens in :attr:`usage`."""
        return sum(turn.response.usage.total_tokens for turn in self.turns if turn.response.usage)

    @property
    def tool_calls(self) -> int:
        """The number of calls of all turns, not counting requests for approval."""
        return sum(not isinstance(call, McpApprovalRequest) for turn in self.turns for call in turn.calls)

    @property
    def answered_calls(self) -> int:
        """The number of :attr:`tool_calls` that are not pending."""
        return self.tool_calls - sum(not isinstance(call, McpApprovalRequest) for call in self.pending)

    @property
    def tools(self) -> list[Tool]:
        """The tools that the model may call: of the first request, of the last response, and found by tool searches."""
        return [*self._tools()]

    def _tools(self) -> Iterator[Tool]:
        yield from map(load_tool, _field(self.first_request, "tools") or ())
        yield from self.response.tools if self.response is not None else ()
        for item in self.items:
            if isinstance(item, AdditionalTools | ToolSearchOutput):
                yield from item.tools

    @property
    def continuation(self) -> Continuation:
        """How the next request refers to the previous turns."""
        if self._continuation is None:
            if _field(self.first_request, "conversation"):
                return "conversation"
            return "response" if self.turns and self._is_stored(self.turns[-1].response) else "history"
        return self._continuation

    # The steps

    @property
    def request(self) -> CreateResponse | dict[str, Any]:
        """The next request: a model if the first one is, else a raw object. Send it, then call :meth:`receive`.

        Raises ``LocalProtocolError`` if a call is pending, if the loop is over, and if the last response has no id to
        continue from.
        """
        if self.state == LoopState.ANSWER:
            waiting = ", ".join(call_key(call) for call in self.pending)
            raise LocalProtocolError(f"calls without an answer: {waiting}; answer() each of `pending` first")
        if self.state == LoopState.OVER:
            raise LocalProtocolError(
                f"the loop is over ({self.stopped}): raise its bounds, or start a new one with input=loop.history"
            )
        if not self.turns:
            return cast("CreateResponse | dict[str, Any]", self.first_request)
        if self.continuation == "history":
            # If the request itself continues an earlier response, it still does.
            return _with(self.first_request, input=[*self._input, *self._turn_items()])
        turn = self.turns[-1]
        items = [*turn.outputs, *turn.added]
        if self.continuation == "conversation":
            return _with(self.first_request, input=items)
        if not turn.response.id:
            raise LocalProtocolError("the last response has no id to continue from: use continuation='history'")
        return _with(self.first_request, input=items, previous_response_id=turn.response.id)

    def receive(self, response: Response | Outcome, *, tools: Sequence[Tool | JSONObject] = ()) -> list[PendingCall]:
        """Add the response to :attr:`request`, or the outcome of its stream. Return the calls that wait for an answer.

        :meth:`answer` each of them next; if there are none, check :attr:`state`. A response that failed, was
        cancelled or was cut off returns none. ``tools`` are the definitions that were offered besides those in
        :attr:`tools`.

        Raises ``LocalProtocolError`` if :attr:`state` is not ``ASK`` or the response is still in progress, and
        ``RemoteProtocolError`` if two calls have the same id.
        """
        if self.state != LoopState.ASK:
            raise LocalProtocolError(f"receive() in state {self.state.value!r}: no response was requested")
        outcome = response if isinstance(response, Outcome) else outcome_of(response)
        calls = outcome.response.pending_calls
        if outcome.status != "completed":  # calls that are not marked as completed may be cut off
            calls = [call for call in calls if getattr(call, "status", UNSET) == "completed"]
        keys = [call_key(call) for call in calls]
        if len(set(keys)) < len(keys):
            error = RemoteProtocolError(f"the calls of {outcome.response.id} must have different ids, got {keys}")
            error.response = outcome.response
            raise error
        turn = LoopTurn(number=len(self.turns) + 1, outcome=outcome, calls=tuple(calls))
        self.turns.append(turn)
        self.partial = None
        if calls:
            definitions = {call_key(call): self._definition(call, tools) for call in calls}
            self.turns[-1] = attrs.evolve(turn, definitions=definitions)
        return self.pending if outcome.status in _ANSWERABLE else []

    def answer(
        self, call: PendingCall, answer: ToolOutput | ToolResult | Approval, *, limits: Limits | None = None
    ) -> Item | None:
        """Answer a pending call; the order does not matter. Return the item that goes into the next request.

        Once none is pending, :attr:`request` is next. An :class:`~responses_proto.tools.Approval` of a call that is not
        a request for approval allows it to be executed: the call stays pending, and ``None`` is returned. With
        ``remember``, the approval also applies to later calls of the tool. ``limits`` bounds the size of the item.

        Raises ``LocalProtocolError`` if the call is not pending, and what :func:`~responses_proto.tools.output_item`
        raises; the call then stays pending.
        """
        key = call_key(call)
        waiting = next((known for known in self.pending if call_key(known) == key), None)
        if waiting is None:
            raise LocalProtocolError(
                f"{call.type} {key!r} is not pending: the last response does not call it, or it has an answer"
            )
        turn = self.turns[-1]
        item = None
        if isinstance(answer, Approval) and answer.approve and not isinstance(waiting, McpApprovalRequest):
            turn = attrs.evolve(turn, approvals={**turn.approvals, key: answer})
        else:
            item = output_item(waiting, answer, limits=limits)
            turn = attrs.evolve(turn, answers={**turn.answers, key: item})
        self.turns[-1] = turn
        if isinstance(answer, Approval):
            self.remember(waiting, answer)
        return item

    def add_input(self, *items: Item) -> None:
        """Add items to the next request, after the answers, such as another message of the user.

        A loop that is over because the last response calls nothing then continues.

        Raises ``LocalProtocolError`` before the first response, and if the last one failed or was cut off.
        """
        if not self.turns or self.turns[-1].outcome.status not in _ANSWERABLE:
            raise LocalProtocolError("there is no response that further input can follow: start a new loop")
        turn = self.turns[-1]
        self.turns[-1] = attrs.evolve(turn, added=(*turn.added, *items))

    # Approvals

    def approval_of(self, call: PendingCall, *, tools: Sequence[Tool | JSONObject] = ()) -> Approval | None:
        """Return the decision about a call: its own, or a remembered one; ``None`` if there is none.

        It holds only for the definition of the tool that it was made for. ``tools`` are the definitions that are
        offered now, besides those in :attr:`tools`; without them, they are those that were offered with the call.
        """
        turn, key = self.turns[-1] if self.turns else None, call_key(call)
        if turn is not None and key in turn.approvals:
            if not tools or self._definition(call, tools) == turn.definitions.get(key):
                return turn.approvals[key]
            return None
        return self.remembered(call, tools=tools)

    def remember(self, call: PendingCall, approval: Approval, *, tools: Sequence[Tool | JSONObject] = ()) -> None:
        """Keep a decision for later calls of the same tool, if its ``remember`` is true.

        It is bound to the tool's definition. ``tools`` is as in :meth:`approval_of`.
        """
        if approval.remember:
            self._approvals[_tool_key(call)] = self._definition_now(call, tools), approval

    def remembered(self, call: PendingCall, *, tools: Sequence[Tool | JSONObject] = ()) -> Approval | None:
        """Return the remembered decision about calls of this tool, if its definition is still the same, or ``None``.

        ``tools`` is as in :meth:`approval_of`.
        """
        definition, approval = self._approvals.get(_tool_key(call), ("", None))
        return approval if approval is not None and definition == self._definition_now(call, tools) else None

    def _definition_now(self, call: PendingCall, tools: Sequence[Tool | JSONObject]) -> str:
        known = self.turns[-1].definitions.get(call_key(call)) if self.turns and not tools else None
        return self._definition(call, tools) if known is None else known

    def _definition(self, call: PendingCall, tools: Sequence[Tool | JSONObject]) -> str:
        """Return the digest of the definition of the called tool; empty if it is not known."""
        found: object = None
        if isinstance(call, McpApprovalRequest):
            for item in reversed(self.items):
                if isinstance(item, McpListTools) and item.server_label == call.server_label:
                    found = next((tool for tool in item.tools if tool.name == call.name), None)
                    break
        elif (name := called_name(call)) is not None:
            named = _named(itertools.chain(map(load_tool, tools), self._tools()))
            found = next((tool for each, tool in named if each == name), None)
        if found is None:
            return ""
        return hashlib.sha256(json.dumps(dump(found), sort_keys=True).encode()).hexdigest()

    # As a value

    def dump(self) -> dict[str, Any]:
        """Return the loop as a JSON object, which :meth:`load` reads: to keep it in a file or a database.

        It contains the first request and every response and answer in full. Later versions of this library can read it.
        Raises ``EncodeError`` for a request that is not JSON.
        """
        provider = self._provider
        is_known = PROVIDERS.get(provider.name) == provider
        return {
            "version": _VERSION,
            "request": dump(self.first_request),
            "raw": isinstance(self.first_request, Mapping),
            "continuation": self._continuation,
            "provider": provider.name if is_known else _dump_provider(provider),
            "max_turns": self.max_turns,
            "max_tokens": self.max_tokens,
            "max_tool_calls": self.max_tool_calls,
            "approvals": [
                {"tool": [*tool], "definition": definition, **attrs.asdict(approval)}
                for tool, (definition, approval) in self._approvals.items()
            ],
            "turns": [dump_turn(turn) for turn in self.turns],
            "partial": None if self.partial is None else dump(self.partial),
        }

    @classmethod
    def load(cls, value: JSONObject, converter: Converter | None = None) -> Self:
        """Return a loop from the JSON object that :meth:`dump` returned. Load only trusted data: its approvals are used.

        ``converter`` loads the models, with the vendors' classes that were registered in it.

        Raises ``DecodeError`` for a value that is not a dumped loop, and for one of an unknown version.
        """
        version = value.get("version") if isinstance(value, Mapping) else None  # pyright: ignore[reportUnnecessaryIsInstance] - it is read from a file
        if version != _VERSION:
            raise DecodeError(
                f"the version must be {_VERSION}, got {version!r:.40}", path="$.version", type_name=cls.__name__
            )
        try:
            return cls._load(cast("Mapping[str, Any]", value), converter or default_converter())
        except (AttributeError, DecodeError, LookupError, TypeError, ValueError) as error:
            raise DecodeError(f"not a dumped loop: {type(error).__name__}: {error}", type_name=cls.__name__) from error

    @classmethod
    def _load(cls, value: Mapping[str, Any], converter: Converter) -> Self:
        provider = value["provider"]
        request = value["request"]
        loop = cls(
            {**request} if value["raw"] else converter.load(request, CreateResponse),
            continuation=value["continuation"],
            dialect=provider if isinstance(provider, str) else _load_provider(provider),
            max_turns=value["max_turns"],
            max_tokens=value["max_tokens"],
            max_tool_calls=value["max_tool_calls"],
        )
        for approval in value["approvals"]:
            kind, server, name = approval["tool"]
            decision = Approval(approval["approve"], approval["reason"], remember=approval["remember"])
            loop._approvals[kind, server, name] = approval["definition"], decision
        loop.turns = [load_turn(turn, number, converter) for number, turn in enumerate(value["turns"], 1)]
        loop.partial = None if value["partial"] is None else converter.load(value["partial"], Response)
        return loop

    def __eq__(self, other: object) -> bool:
        """Return whether both have the same JSON form."""
        return self.dump() == other.dump() if isinstance(other, ToolLoop) else NotImplemented

    __hash__: ClassVar[None] = None  # type: ignore[assignment] # a loop changes

    def __copy__(self) -> ToolLoop:
        """Return an independent copy."""
        made = type(self).__new__(type(self))
        made.__dict__ |= self.__dict__
        made.turns = [*self.turns]
        made._approvals = {**self._approvals}  # noqa: SLF001 - of the same class
        return made

    def _input_items(self) -> list[Item]:
        return [load(item, Item) if isinstance(item, Mapping) else item for item in self._input]

    def _turn_items(self) -> list[Item]:
        return [
            item
            for turn in self.turns
            for item in (*self._prepared(turn.response, turn.calls, turn.answers, turn.outcome.status), *turn.added)
        ]

    def _prepared(
        self,
        response: Response,
        calls: Sequence[PendingCall],
        answers: Mapping[str, Item],
        status: OutcomeStatus = "truncated",
    ) -> list[Item]:
        """Return the items of a response and an answer to each of its calls, as input."""
        is_whole = status in _ANSWERABLE
        kept = {call_key(call) for call in calls if is_whole or call_key(call) in answers}
        dropped = {id(call) for call in response.pending_calls if call_key(call) not in kept}
        output = [item for item in response.output if id(item) not in dropped]
        if not is_whole:
            output = [item for item in map(_cut_off, output) if item is not None]
            alone = {finding.index for finding in check_history(output) if finding.rule == "reasoning-alone"}
            output = [item for index, item in enumerate(output) if index not in alone]
        outputs = [
            answers.get(call_key(call)) or output_item(call, ToolOutput(_NOT_RUN, failed=True))
            for call in calls
            if call_key(call) in kept
        ]
        # No server stores a response that it did not finish.
        return as_input([*output, *outputs], self._provider, stored=is_whole and self._is_stored(response))

    def _is_stored(self, response: Response) -> bool:
        # If the response does not report that it was stored, the server may not have stored it, and would not find it.
        return response.store is True and bool(response.id) and _field(self.first_request, "store") is not False

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.state} after {len(self.turns)} turns, {len(self.pending)} pending>"


def check_bounds(*, max_turns: int | None, max_tokens: int | None, max_tool_calls: int | None) -> None:
    """Raise ``UsageError`` if a bound of a loop is too small."""
    bounds = (("max_turns", max_turns, 1), ("max_tokens", max_tokens, 1), ("max_tool_calls", max_tool_calls, 0))
    for name, value, least in bounds:
        if value is not None and value < least:
            raise UsageError(f"{name} must be at least {least}, got {value!r}")


def load_tool(tool: Tool | JSONObject) -> Tool:
    """Return a tool's definition as a model."""
    return load(tool, Tool) if isinstance(tool, Mapping) else tool


def tool_names(tools: Iterable[Tool]) -> Iterator[tuple[str, str]]:
    """Yield the namespace, empty if there is none, and the name of each function and custom tool."""
    return (name for name, _ in _named(tools))


def _named(tools: Iterable[Tool], namespace: str = "") -> Iterator[tuple[tuple[str, str], FunctionTool | CustomTool]]:
    for tool in tools:
        if isinstance(tool, FunctionTool | CustomTool):
            yield (namespace, tool.name), tool
        elif isinstance(tool, NamespaceTool):
            yield from _named(tool.tools, tool.name)


def called_name(call: PendingCall) -> tuple[str, str] | None:
    """Return the namespace, empty if there is none, and the name of a called function or custom tool, else ``None``."""
    return (call.namespace or "", call.name) if isinstance(call, FunctionCall | CustomToolCall) else None


def _tool_key(call: PendingCall) -> tuple[str, str, str]:
    if isinstance(call, McpApprovalRequest):
        return call.type, call.server_label, call.name
    namespace, name = called_name(call) or ("", "")
    return call.type, namespace, name


def is_offered(call: PendingCall, tools: Iterable[Tool | JSONObject]) -> bool:
    """Return whether the called tool is among ``tools``; true for calls that name no tool, such as shell calls."""
    if not isinstance(call, FunctionCall | CustomToolCall):
        return True
    return any(name == call.name for _, name in tool_names(map(load_tool, tools)))


def outcome_of(response: Response) -> Outcome:
    """Return how a response ended. Raises ``LocalProtocolError`` if it is still in progress."""
    if response.status in RUNNING_STATUSES:
        raise LocalProtocolError(f"the response is {response.status}: await client.wait(response) first")
    return Outcome.of_response(response)


def _cut_off(item: Item) -> Item | None:
    """Return the part of an item that can be sent after its response was cut off; ``None`` if there is none."""
    status = getattr(item, "status", None)
    if not isinstance(item, Message):
        return None if status in RUNNING_STATUSES else item
    content = item.content
    if not isinstance(content, str):
        content = [part for part in content if getattr(part, "text", None) or getattr(part, "refusal", None)]
    if not content:
        return None
    return attrs.evolve(item, content=content, status="incomplete" if status in RUNNING_STATUSES else item.status)


def _dump_provider(provider: Provider) -> dict[str, Any]:
    return {**attrs.asdict(provider), "input_items": sorted(provider.input_items)}


def _load_provider(value: Mapping[str, Any]) -> Provider:
    fields: dict[str, Any] = {}
    for name, part in value.items():
        fields[name] = tuple(cast("list[str]", part)) if isinstance(part, list) else part
    fields["input_items"] = frozenset(value["input_items"])
    return Provider(**fields)


def _field(request: CreateResponse | JSONObject, name: str) -> Any:
    return request.get(name) if isinstance(request, Mapping) else getattr(request, name)


def _with(request: CreateResponse | JSONObject, **fields: Any) -> CreateResponse | dict[str, Any]:
    return {**request, **fields} if isinstance(request, Mapping) else attrs.evolve(request, **fields)


def _as_list(value: str | Sequence[Item | JSONObject] | None) -> list[Item | JSONObject]:
    if isinstance(value, str):
        return [Message(role="user", content=value)]
    return [*(value or ())]


def add_usage(one: Usage | None, other: Usage | None) -> Usage | None:
    """Return the tokens of both; those of one if the other is ``None``."""
    return _sum(one, other) if one is not None and other is not None else one or other


def _sum(one: _M, other: _M) -> _M:
    """Add the numbers of two models field by field, and those of the models in them."""
    changes: dict[str, Any] = {}
    for field in one.__attrs_attrs__:
        left, right = getattr(one, field.name), getattr(other, field.name)
        if isinstance(right, Model):
            changes[field.name] = _sum(left, right) if isinstance(left, Model) else right
        elif isinstance(right, int):
            changes[field.name] = left + right if isinstance(left, int) else right
    return cast("_M", attrs.evolve(cast("Any", one), **changes))

"""The agent loop without I/O: a response, the calls in it, their answers, the next request.

::

    loop = ToolLoop(CreateResponse(model=..., input=..., tools=[...]))
    while loop.state == LoopState.ASK:
        response = await client.create(loop.request)      # or a stream, and its outcome
        for call in loop.receive(response):
            loop.answer(call, my_tools(call))             # text, content parts, a ToolOutput, a ready item; an Approval
    loop.stopped                                          # completed | max_turns | incomplete | failed | ...

:attr:`ToolLoop.state` says which call comes next:

=================  =================================================================================
``ASK``            send :attr:`~ToolLoop.request`, then pass the response to :meth:`~ToolLoop.receive`
``ANSWER``         :meth:`~ToolLoop.answer` each call in :attr:`~ToolLoop.pending`, in any order
``OVER``           nothing; :attr:`~ToolLoop.stopped` says why
=================  =================================================================================

A loop is a plain value. It can be copied and pickled at any point, and another process can continue it. The next
request refers to what came before it in one of three ways (:data:`Continuation`):

=================  =================================================================================
``response``       ``previous_response_id`` of the last response; the input is the answers
``history``        the input is all items so far, prepared by ``protocol.as_input``; for servers that store nothing
``conversation``   the input is the answers; the server adds them to the conversation that the request names
=================  =================================================================================
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, TypeVar, cast

import attrs

from ..codec import dump, load
from ..exceptions import LocalProtocolError, RemoteProtocolError, UsageError
from ..models._base import Model
from ..models.items import (
    AdditionalTools,
    CustomToolCall,
    FunctionCall,
    Item,
    McpApprovalRequest,
    Message,
    ToolSearchOutput,
)
from ..models.response import RUNNING_STATUSES
from ..models.tools import CustomTool, FunctionTool, NamespaceTool, Tool
from ..protocol.api_errors import api_error_from
from ..protocol.history import as_input
from ..protocol.stream import Outcome
from ..providers import Provider, find_provider
from ..typing import UNSET
from .output import Approval, ToolOutput, call_key, output_item

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from ..limits import Limits
    from ..models.request import CreateResponse
    from ..models.response import PendingCall, Response, Usage
    from ..protocol.stream import OutcomeStatus
    from ..typing import JSONObject
    from .output import ToolResult

__all__ = ["Continuation", "LoopState", "LoopTurn", "StopReason", "ToolLoop", "is_offered", "load_tool", "tool_names"]

Continuation: TypeAlias = Literal["response", "history", "conversation"]
"""How the next request refers to what came before it."""


class LoopState(enum.StrEnum):
    """What a loop waits for. Members equal their strings: ``loop.state == "ask"``."""

    ASK = "ask"
    """The response to :attr:`ToolLoop.request`."""
    ANSWER = "answer"
    """Answers to the calls in :attr:`ToolLoop.pending`."""
    OVER = "over"
    """Nothing."""


StopReason: TypeAlias = Literal["completed", "max_turns", "incomplete", "failed", "cancelled", "error", "truncated"]
"""Why no further request follows. ``completed``: the last response calls nothing. ``max_turns``: see :class:`ToolLoop`.
The others are the status of the last response's outcome."""

_NOT_RUN: Final = "The call was not run."
_OUTCOME_STATUS: Final[Mapping[str, OutcomeStatus]] = {
    "incomplete": "incomplete",
    "failed": "failed",
    "cancelled": "cancelled",
}
"""The status of a response -> that of its outcome. A status that is neither here nor unfinished counts as completed."""
_ANSWERABLE: Final = frozenset({"completed", "incomplete"})
"""The outcomes of turns whose calls the model waits for. After any other outcome no call is executed."""

_M = TypeVar("_M", bound=Model)


@attrs.frozen(kw_only=True)
class LoopTurn:
    """A response and the answers to its calls. Immutable: an answer makes a new one."""

    number: int
    """The number of the turn, from 1."""
    outcome: Outcome
    """How the response ended."""
    calls: tuple[PendingCall, ...] = ()
    """The calls that wait or waited for an answer, in order. Calls that were cut off are left out."""
    answers: Mapping[str, Item] = attrs.field(factory=dict[str, Item])
    """The answers by :func:`~responses_proto.tools.call_key`."""

    @property
    def response(self) -> Response:
        """The response, final or partial."""
        return self.outcome.response

    @property
    def outputs(self) -> list[Item]:
        """The answers so far, in the order of their calls."""
        return [self.answers[key] for call in self.calls if (key := call_key(call)) in self.answers]

    @property
    def pending(self) -> list[PendingCall]:
        """The calls without an answer, in order."""
        return [call for call in self.calls if call_key(call) not in self.answers]


class ToolLoop:
    """Turns responses and answers into the next request, until no call waits.

    Repeat while :attr:`state` is not ``OVER``: send :attr:`request`, pass the response to :meth:`receive`, and
    :meth:`answer` each call that it returns.

    - ``request``: the first request, a model or a raw wire object. Later ones differ in ``input`` and in what they
      continue.
    - ``continuation``: how they continue. The default is ``conversation`` if the request names one; ``history`` if the
      request says ``store=False``, if the server reports that it did not store the response, or if the provider stores
      nothing; else ``response``.
    - ``dialect``: the provider or its name. It decides the default of ``continuation``, and what :attr:`history` leaves
      out.
    - ``max_turns``: the number of responses after which no request follows. The calls of the last one stay pending.

    Raises ``UsageError`` for an unknown provider, for ``continuation="conversation"`` if the request names none, and
    for ``max_turns`` below 1.
    """

    def __init__(
        self,
        request: CreateResponse | JSONObject,
        *,
        continuation: Continuation | None = None,
        dialect: Provider | str | None = None,
        max_turns: int | None = None,
    ) -> None:
        self._first_request = request
        self._continuation: Continuation | None = continuation
        self._provider = find_provider(dialect) if isinstance(dialect, str) else dialect or Provider(name="")
        self._input = _as_list(_field(request, "input"))
        self._approvals: dict[tuple[str, str], Approval] = {}  # remembered ones, by server and tool
        if continuation == "conversation" and not _field(request, "conversation"):
            raise UsageError("continuation='conversation' needs a request that names one: conversation=...")
        if max_turns is not None and max_turns < 1:
            raise UsageError(f"max_turns must be at least 1, got {max_turns!r}")
        self.max_turns: int | None = max_turns
        """The maximum number of responses; ``None`` for no maximum. Raise it to continue a loop that stopped there."""
        self.turns: list[LoopTurn] = []
        """The turns so far, in order."""

    # State

    @property
    def state(self) -> LoopState:
        """What the loop waits for. See the table at the top of this module."""
        if not self.turns:
            return LoopState.ASK
        turn = self.turns[-1]
        if turn.outcome.status not in _ANSWERABLE or not turn.calls:
            return LoopState.OVER
        if turn.pending:
            return LoopState.ANSWER
        return LoopState.ASK if self._may_ask else LoopState.OVER

    @property
    def stopped(self) -> StopReason | None:
        """Why no request follows; ``None`` if one follows, now or once every pending call is answered."""
        if self.state == LoopState.ASK:
            return None
        turn = self.turns[-1]
        if turn.outcome.status != "completed":
            return turn.outcome.status
        if not turn.calls:
            return "completed"
        return None if self._may_ask else "max_turns"

    @property
    def at_last_turn(self) -> bool:
        """Whether the next response is the last one that ``max_turns`` allows. Its calls will not be executed."""
        return self.max_turns is not None and len(self.turns) + 1 >= self.max_turns

    @property
    def _may_ask(self) -> bool:
        return self.max_turns is None or len(self.turns) < self.max_turns

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
            items += [*turn.response.output, *turn.outputs]
        return items

    @property
    def history(self) -> list[Item]:
        """All items as the input of a new request: prepared for the server, with an answer to every call.

        A call without an answer is answered with a text that says that it was not run. Of a turn whose response was cut
        off, only the answered calls are kept, with the items that led to them. Items of an earlier response or of a
        conversation that the first request continues are not included.
        """
        return [*self._input_items(), *self._turn_items()]

    @property
    def usage(self) -> Usage | None:
        """The tokens of all turns, added up; ``None`` if no response reports any."""
        total: Usage | None = None
        for turn in self.turns:
            if turn.response.usage:
                total = turn.response.usage if total is None else _sum(total, turn.response.usage)
        return total

    @property
    def tools(self) -> list[Tool]:
        """The tools that the model may call: of the first request, of the last response, and found by tool searches."""
        tools: list[Tool | JSONObject] = [*(_field(self._first_request, "tools") or ())]
        tools += self.response.tools if self.response is not None else ()
        for item in self.items:
            if isinstance(item, AdditionalTools | ToolSearchOutput):
                tools += item.tools
        return [load_tool(tool) for tool in tools]

    @property
    def continuation(self) -> Continuation:
        """How the next request refers to what came before it."""
        if self._continuation is None:
            default: Continuation = "response" if self._stored else "history"
            return "conversation" if _field(self._first_request, "conversation") else default
        return self._continuation

    @property
    def _stored(self) -> bool:
        response = self.response
        if response is not None and (response.store is False or not response.id):
            return False
        store = _field(self._first_request, "store")
        return store if isinstance(store, bool) else self._provider.stores

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
                f"the loop is over ({self.stopped}): raise max_turns, or start a new one with input=loop.history"
            )
        if not self.turns:
            return cast("CreateResponse | dict[str, Any]", self._first_request)
        if self.continuation == "history":
            return _with(self._first_request, input=[*self._input, *self._turn_items()])
        outputs = self.turns[-1].outputs
        if self.continuation == "conversation":
            return _with(self._first_request, input=outputs)
        response_id = self.turns[-1].response.id
        if not response_id:
            raise LocalProtocolError("the last response has no id to continue from: use continuation='history'")
        return _with(self._first_request, input=outputs, previous_response_id=response_id)

    def receive(self, response: Response | Outcome) -> list[PendingCall]:
        """Add the response to :attr:`request`, or the outcome of its stream. Return the calls that wait for an answer.

        :meth:`answer` each of them next; if there are none, look at :attr:`state`. A response that failed, was
        cancelled or was cut off returns none. Raises ``LocalProtocolError`` if :attr:`state` is not ``ASK`` or the
        response is still in progress, and ``RemoteProtocolError`` if two calls have the same id, or one has none.
        """
        if self.state != LoopState.ASK:
            raise LocalProtocolError(f"receive() in state {self.state.value!r}: no response was requested")
        outcome = response if isinstance(response, Outcome) else _outcome_of(response)
        calls = outcome.response.pending_calls
        if outcome.status != "completed":  # calls that are not marked as completed may be cut off
            calls = [call for call in calls if getattr(call, "status", UNSET) == "completed"]
        keys = [call_key(call) for call in calls]
        if "" in keys or len(set(keys)) < len(keys):
            error = RemoteProtocolError(f"the calls of {outcome.response.id} must have ids that differ, got {keys}")
            error.response = outcome.response
            raise error
        self.turns.append(LoopTurn(number=len(self.turns) + 1, outcome=outcome, calls=tuple(calls)))
        return self.pending if outcome.status in _ANSWERABLE else []

    def answer(
        self, call: PendingCall, answer: ToolOutput | ToolResult | Approval, *, limits: Limits | None = None
    ) -> Item:
        """Answer a pending call; the order does not matter. Return the item that goes into the next request.

        Once none is pending, :attr:`request` is next. An :class:`~responses_proto.tools.Approval` with ``remember`` is
        remembered. ``limits`` bounds the size of the item.

        Raises ``LocalProtocolError`` if the call is not pending, and what :func:`~responses_proto.tools.output_item`
        raises; the call then stays pending.
        """
        key = call_key(call)
        waiting = next((known for known in self.pending if call_key(known) == key), None)
        if waiting is None:
            raise LocalProtocolError(
                f"{call.type} {key!r} is not pending: the last response does not call it, or it has an answer"
            )
        item = output_item(waiting, answer, limits=limits)
        turn = self.turns[-1]
        self.turns[-1] = attrs.evolve(turn, answers={**turn.answers, key: item})
        if isinstance(answer, Approval) and isinstance(waiting, McpApprovalRequest):
            self.remember(waiting, answer)
        return item

    def remember(self, request: McpApprovalRequest, approval: Approval) -> None:
        """Keep an answer for later requests for the same tool of the same server, if its ``remember`` is true."""
        if approval.remember:
            self._approvals[request.server_label, request.name] = approval

    def remembered(self, request: McpApprovalRequest) -> Approval | None:
        """Return the remembered answer to requests for this tool of this server, or ``None``."""
        return self._approvals.get((request.server_label, request.name))

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
        return [item for turn in self.turns for item in self._items_of(turn)]

    def _items_of(self, turn: LoopTurn) -> list[Item]:
        answerable = turn.outcome.status in _ANSWERABLE
        kept = {call_key(call) for call in turn.calls if answerable or call_key(call) in turn.answers}
        if not answerable and not kept:
            return []
        dropped = {id(call) for call in turn.response.pending_calls if call_key(call) not in kept}
        output = [item for item in turn.response.output if id(item) not in dropped]
        answers = [
            turn.answers.get(call_key(call)) or output_item(call, ToolOutput(_NOT_RUN, failed=True))
            for call in turn.calls
            if call_key(call) in kept
        ]
        # No server stores a response that it did not finish.
        return as_input([*output, *answers], self._provider, stored=answerable and self._stored)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.state} after {len(self.turns)} turns, {len(self.pending)} pending>"


def load_tool(tool: Tool | JSONObject) -> Tool:
    """Return a tool's definition as a model."""
    return load(tool, Tool) if isinstance(tool, Mapping) else tool


def tool_names(tools: Iterable[Tool], namespace: str = "") -> Iterator[tuple[str, str]]:
    """Yield the namespace, empty if there is none, and the name of each function and custom tool."""
    for tool in tools:
        if isinstance(tool, FunctionTool | CustomTool):
            yield namespace, tool.name
        elif isinstance(tool, NamespaceTool):
            yield from tool_names(tool.tools, tool.name)


def is_offered(call: PendingCall, tools: Iterable[Tool | JSONObject]) -> bool:
    """Return whether the called tool is among ``tools``; true for calls that name no tool, such as shell calls."""
    if not isinstance(call, FunctionCall | CustomToolCall):
        return True
    return any(name == call.name for _, name in tool_names(map(load_tool, tools)))


def _outcome_of(response: Response) -> Outcome:
    status = response.status or "completed"
    if status in RUNNING_STATUSES:
        raise LocalProtocolError(f"the response is {status}: await client.wait(response) first")
    error = api_error_from(dump(response.error)) if status == "failed" and response.error else None
    return Outcome(status=_OUTCOME_STATUS.get(status, "completed"), response=response, error=error)


def _field(request: CreateResponse | JSONObject, name: str) -> Any:
    return request.get(name) if isinstance(request, Mapping) else getattr(request, name)


def _with(request: CreateResponse | JSONObject, **fields: Any) -> CreateResponse | dict[str, Any]:
    return {**request, **fields} if isinstance(request, Mapping) else attrs.evolve(request, **fields)


def _as_list(value: str | Sequence[Item | JSONObject] | None) -> list[Item | JSONObject]:
    if isinstance(value, str):
        return [Message(role="user", content=value)]
    return [*(value or ())]


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

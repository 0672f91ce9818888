"""The loop of an agent, without I/O: a response, what it waits for, and the next request.

::

    loop = ToolLoop(CreateResponse(model=..., input=..., tools=[...]))
    while loop.state == "ask":
        response = await client.create(loop.request)      # or a stream, and its outcome
        for call in loop.receive(response):
            loop.answer(call, my_tools(call))             # text, parts, a ToolOutput, a ready item; an Approval
    loop.stopped                                          # completed | max_turns | incomplete | failed | ...

A loop is a plain value: it can be copied and pickled at any point, given to somebody else, and gone on with there. What is asked
next is worked out from it, in one of three ways (:data:`Continuation`):

=================  ==========================================================================
``response``       ``previous_response_id`` of the last response, and the answers
``history``        all items so far, made fit by :func:`~responses_proto.protocol.as_input`; for servers that store nothing
``conversation``   the answers alone: the server adds them to the conversation that the request names
=================  ==========================================================================
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, TypeVar, cast

import attrs

from ..codec import dump, load
from ..exceptions import LocalProtocolError, RemoteProtocolError
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
    from collections.abc import Iterable, Sequence

    from ..limits import Limits
    from ..models.request import CreateResponse
    from ..models.response import PendingCall, Response, Usage
    from ..protocol.stream import OutcomeStatus
    from ..typing import JSONObject
    from .output import ToolResult

__all__ = ["Continuation", "LoopState", "LoopTurn", "StopReason", "ToolLoop", "is_offered"]

Continuation: TypeAlias = Literal["response", "history", "conversation"]
"""How the next request says what came before."""

LoopState: TypeAlias = Literal["ask", "answer", "over"]
"""What the loop waits for: a response to its request, answers to calls, or nothing."""

StopReason: TypeAlias = Literal["completed", "max_turns", "incomplete", "failed", "cancelled", "error", "truncated"]
"""Why no further request follows. ``completed``: the model waits for nothing any more."""

_NOT_RUN: Final = "The call was not run."
_STATUS: Final[Mapping[str, OutcomeStatus]] = {
    "incomplete": "incomplete",
    "failed": "failed",
    "cancelled": "cancelled",
}
"""A response's status -> that of its outcome. Anything else is as good as completed, but for what still goes on."""
# The statuses of turns whose calls the model waits for; in all others nothing is begun any more.
_ANSWERABLE: Final = frozenset({"completed", "incomplete"})

_M = TypeVar("_M", bound=Model)


@attrs.frozen(kw_only=True)
class LoopTurn:
    """One response, and the answers to what it waits for. Immutable: an answer makes another one."""

    number: int
    """From 1."""
    outcome: Outcome
    """How the response ended."""
    calls: tuple[PendingCall, ...] = ()
    """What waits for an answer, or did, in order. Without calls that were cut off."""
    answers: Mapping[str, Item] = attrs.field(factory=dict[str, Item])
    """By :func:`~responses_proto.tools.call_key`."""

    @property
    def response(self) -> Response:
        """The response, as far as it came."""
        return self.outcome.response

    @property
    def outputs(self) -> list[Item]:
        """The answers that there are, in the order of their calls."""
        return [self.answers[key] for call in self.calls if (key := call_key(call)) in self.answers]

    @property
    def pending(self) -> list[PendingCall]:
        """The calls that have no answer, in order."""
        return [call for call in self.calls if call_key(call) not in self.answers]


class ToolLoop:
    """Goes from response to request until nothing waits any more. Verbs: :attr:`request`, :meth:`receive`, :meth:`answer`.

    ``request`` is the first request, a model or a raw wire object; those that follow differ in their input and in what they
    continue. ``continuation`` is how; by default ``conversation`` if the request names one, ``history`` if it says ``store=False``,
    if ``dialect`` is a server that stores nothing or if the server says that it stored nothing, else ``response``. After
    ``max_turns`` responses no request follows, and the calls of the last one are left pending.

    Raises ``LocalProtocolError`` for an unknown dialect, for ``conversation`` where the request names none, and for less than one turn.
    """

    def __init__(
        self,
        request: CreateResponse | JSONObject,
        *,
        continuation: Continuation | None = None,
        dialect: Provider | str | None = None,
        max_turns: int | None = None,
    ) -> None:
        self._first = request
        self._continuation: Continuation | None = continuation
        self._dialect = find_provider(dialect) if isinstance(dialect, str) else dialect or Provider(name="")
        self._given = _listed(_field(request, "input"))
        self._approvals: dict[tuple[str, str], Approval] = {}
        if continuation == "conversation" and not _field(request, "conversation"):
            raise LocalProtocolError("to continue a conversation, the request has to name it: conversation=...")
        if max_turns is not None and max_turns < 1:
            raise LocalProtocolError(f"max_turns has to be 1 at least, not {max_turns!r}")
        self.max_turns: int | None = max_turns
        """How many responses there may be; ``None`` for any number. Raise it to go on."""
        self.turns: list[LoopTurn] = []
        """What has been."""

    # What it has

    @property
    def state(self) -> LoopState:
        """What to do next: ``request`` with :attr:`request`, ``answer`` what is :attr:`pending`, or nothing: it is ``over``."""
        if not self.turns:
            return "ask"
        turn = self.turns[-1]
        if turn.outcome.status not in _ANSWERABLE or not turn.calls:
            return "over"
        if turn.pending:
            return "answer"
        return "ask" if self._may_ask else "over"

    @property
    def stopped(self) -> StopReason | None:
        """Why no request follows, unless more is done; ``None`` if one does, once everything is answered."""
        if self.state == "ask":
            return None
        turn = self.turns[-1]
        if turn.outcome.status != "completed":
            return turn.outcome.status
        if not turn.calls:
            return "completed"
        return None if self._may_ask else "max_turns"

    @property
    def at_last_turn(self) -> bool:
        """Whether no other response may follow the next one, so that there is no use in executing what it calls."""
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
        """What waits for an answer, in order."""
        return self.turns[-1].pending if self.turns else []

    @property
    def items(self) -> list[Item]:
        """Everything that was said, as it came: the input, and the output and the answers of each turn."""
        items = [load(item, Item) if isinstance(item, Mapping) else item for item in self._given]
        for turn in self.turns:
            items += [*turn.response.output, *turn.outputs]
        return items

    @property
    def history(self) -> list[Item]:
        """All of it as the input of another request: fit for the server, and every call answered.

        Calls that have no answer are said not to have been run. Of a turn that did not come to its end, only calls that were
        answered are kept, with what led to them. What a previous response or a conversation holds is not in it.
        """
        given = [load(item, Item) if isinstance(item, Mapping) else item for item in self._given]
        return [*given, *self._told()]

    @property
    def usage(self) -> Usage | None:
        """The tokens of all turns together; ``None`` if no response says any."""
        total: Usage | None = None
        for turn in self.turns:
            if turn.response.usage:
                total = turn.response.usage if total is None else _sum(total, turn.response.usage)
        return total

    @property
    def tools(self) -> list[Tool]:
        """The tools that the model may know of: those of the request and of the last response, and those that it found."""
        listed: list[Tool | JSONObject] = [*(_field(self._first, "tools") or ())]
        listed += self.response.tools if self.response is not None else ()
        for item in self.items:
            if isinstance(item, AdditionalTools | ToolSearchOutput):
                listed += item.tools
        return [load(tool, Tool) if isinstance(tool, Mapping) else tool for tool in listed]

    @property
    def continuation(self) -> Continuation:
        """How the next request says what came before."""
        if self._continuation is None:
            stored: Continuation = "response" if self._stored else "history"
            return "conversation" if _field(self._first, "conversation") else stored
        return self._continuation

    @property
    def _stored(self) -> bool:
        response = self.response
        if response is not None and (response.store is False or not response.id):
            return False
        store = _field(self._first, "store")
        return store if isinstance(store, bool) else self._dialect.stores

    @property
    def request(self) -> CreateResponse | dict[str, Any]:
        """The next request: a model if the first one is, else a raw object.

        Raises ``LocalProtocolError`` as long as a call waits for its answer, and when the loop is over.
        """
        if self.state == "answer":
            waiting = ", ".join(call_key(call) for call in self.pending)
            raise LocalProtocolError(f"a call has no answer yet ({waiting}): answer() each of `pending` first")
        if self.state == "over":
            raise LocalProtocolError(
                f"the loop is over ({self.stopped}): raise max_turns, or ask anew with input=[*loop.history, ...]"
            )
        if not self.turns:
            return cast("CreateResponse | dict[str, Any]", self._first)
        if self.continuation == "history":
            return _with(self._first, input=[*self._given, *self._told()])
        outputs = self.turns[-1].outputs
        if self.continuation == "conversation":
            return _with(self._first, input=outputs)
        response_id = self.turns[-1].response.id
        if not response_id:
            raise LocalProtocolError("the response has no id to go on from: use continuation='history'")
        return _with(self._first, input=outputs, previous_response_id=response_id)

    # What it takes

    def receive(self, ended: Response | Outcome) -> list[PendingCall]:
        """Take the response to :attr:`request`, or the outcome of its stream, and give what waits for an answer.

        Nothing does in a response that failed or was cut short. Raises ``LocalProtocolError`` if none was asked for, or if it is not
        over yet, and ``RemoteProtocolError`` for calls that cannot be told apart.
        """
        if self.state != "ask":
            raise LocalProtocolError(f"no response was asked for: the loop is at {self.state!r}")
        outcome = ended if isinstance(ended, Outcome) else _outcome_of(ended)
        calls = outcome.response.pending_calls
        if outcome.status != "completed":  # what is not known to be whole there may be cut off
            calls = [call for call in calls if getattr(call, "status", UNSET) == "completed"]
        keys = [call_key(call) for call in calls]
        if "" in keys or len(set(keys)) < len(keys):
            error = RemoteProtocolError(f"the calls of {outcome.response.id} cannot be told apart by their ids: {keys}")
            error.response = outcome.response
            raise error
        self.turns.append(LoopTurn(number=len(self.turns) + 1, outcome=outcome, calls=tuple(calls)))
        return self.pending if outcome.status in _ANSWERABLE else []

    def answer(
        self, call: PendingCall, given: ToolOutput | ToolResult | Approval, *, limits: Limits | None = None
    ) -> Item:
        """Answer a call, in any order, and give the item that says it. An approval that is to be remembered is.

        Raises ``LocalProtocolError`` for a call that does not wait for an answer, and for one that has got it, and what
        :func:`~responses_proto.tools.output_item` raises; the call then still waits.
        """
        key = call_key(call)
        waiting = next((known for known in self.pending if call_key(known) == key), None)
        if waiting is None:
            raise LocalProtocolError(f"no call {key!r} waits for an answer")
        item = output_item(waiting, given, limits=limits)
        turn = self.turns[-1]
        self.turns[-1] = attrs.evolve(turn, answers={**turn.answers, key: item})
        if isinstance(given, Approval) and isinstance(waiting, McpApprovalRequest):
            self.remember(waiting, given)
        return item

    def remember(self, request: McpApprovalRequest, approval: Approval) -> None:
        """Keep the answer for later requests for the same tool, if it says so."""
        if approval.remember:
            self._approvals[request.server_label, request.name] = approval

    def remembered(self, request: McpApprovalRequest) -> Approval | None:
        """Give the answer to an earlier request for the same tool, if that was to be remembered."""
        return self._approvals.get((request.server_label, request.name))

    def __copy__(self) -> ToolLoop:
        """Give one that goes its own way from here on."""
        made = type(self).__new__(type(self))
        made.__dict__ |= self.__dict__
        made.turns = [*self.turns]
        made._approvals = {**self._approvals}  # noqa: SLF001 - its own
        return made

    # Inside

    def _told(self) -> list[Item]:
        return [item for turn in self.turns for item in self._told_of(turn)]

    def _told_of(self, turn: LoopTurn) -> list[Item]:
        whole = turn.outcome.status in _ANSWERABLE
        kept = {call_key(call) for call in turn.calls if whole or call_key(call) in turn.answers}
        if not whole and not kept:
            return []
        cut_off = {id(call) for call in turn.response.pending_calls if call_key(call) not in kept}
        output = [item for item in turn.response.output if id(item) not in cut_off]
        answers = [
            turn.answers.get(call_key(call)) or output_item(call, ToolOutput(_NOT_RUN, failed=True))
            for call in turn.calls
            if call_key(call) in kept
        ]
        # A response that did not come to its end is in no store.
        return as_input([*output, *answers], self._dialect, stored=whole and self._stored)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.state} after {len(self.turns)} turns, {len(self.pending)} pending>"


def is_offered(call: PendingCall, tools: Iterable[Tool | JSONObject]) -> bool:
    """Tell whether the model was offered what it calls, by its name; a kind of call without names always is."""
    if not isinstance(call, FunctionCall | CustomToolCall):
        return True
    for tool in tools:
        known = load(tool, Tool) if isinstance(tool, Mapping) else tool
        if isinstance(known, NamespaceTool):
            if is_offered(call, known.tools):
                return True
        elif isinstance(known, FunctionTool | CustomTool) and known.name == call.name:
            return True
    return False


def _outcome_of(response: Response) -> Outcome:
    status = response.status or "completed"
    if status in RUNNING_STATUSES:
        raise LocalProtocolError(f"the response is {status}: wait for it, with client.wait(response)")
    error = api_error_from(dump(response.error)) if status == "failed" and response.error else None
    return Outcome(status=_STATUS.get(status, "completed"), response=response, error=error)


def _field(content: CreateResponse | JSONObject, name: str) -> Any:
    return content.get(name) if isinstance(content, Mapping) else getattr(content, name)


def _with(content: CreateResponse | JSONObject, **fields: Any) -> CreateResponse | dict[str, Any]:
    return {**content, **fields} if isinstance(content, Mapping) else attrs.evolve(content, **fields)


def _listed(given: str | Sequence[Item | JSONObject] | None) -> list[Item | JSONObject]:
    if isinstance(given, str):
        return [Message(role="user", content=given)]
    return [*(given or ())]


def _sum(one: _M, other: _M) -> _M:
    """Add up the numbers of two models, and of the models in them."""
    changes: dict[str, Any] = {}
    for field in one.__attrs_attrs__:
        mine, others = getattr(one, field.name), getattr(other, field.name)
        if isinstance(others, Model):
            changes[field.name] = _sum(mine, others) if isinstance(mine, Model) else others
        elif isinstance(others, int):
            changes[field.name] = mine + others if isinstance(mine, int) else others
    return cast("_M", attrs.evolve(cast("Any", one), **changes))

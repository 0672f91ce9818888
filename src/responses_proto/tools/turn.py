"""One turn of a loop: a response, the calls in it and their answers; and its JSON form."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

import attrs

from ..codec import Converter, dump
from ..exceptions import APIError
from ..models.items import Item
from ..models.response import Response
from ..protocol.stream import Outcome
from ..typing import Cursor
from .output import Approval, call_key

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ..models.response import PendingCall

__all__ = ["LoopTurn", "dump_turn", "load_turn"]


@attrs.frozen(kw_only=True)
class LoopTurn:
    """A response and the answers to its calls. Immutable: adding an answer creates a new turn."""

    number: int
    """The number of the turn, from 1."""
    outcome: Outcome
    """How the response ended."""
    calls: tuple[PendingCall, ...] = ()
    """The calls that wait or waited for an answer, in order. Calls that were cut off are left out."""
    answers: Mapping[str, Item] = attrs.field(factory=dict[str, Item])
    """The answers by :func:`~responses_proto.tools.call_key`."""
    approvals: Mapping[str, Approval] = attrs.field(factory=dict[str, Approval])
    """The approvals of calls that are executed here, by the same key. Such a call stays pending until it has been executed.
    """
    definitions: Mapping[str, str] = attrs.field(factory=dict[str, str], repr=False)
    """The digests of the definitions of the called tools, by the same key. Approvals are bound to them."""
    added: tuple[Item, ...] = ()
    """Items that follow the answers; see :meth:`ToolLoop.add_input`."""

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


# ---- the JSON form


def dump_turn(turn: LoopTurn) -> dict[str, Any]:
    """Return the JSON form of a turn."""
    outcome = turn.outcome
    return {
        "status": outcome.status,
        "response": dump(outcome.response),
        "error": None if outcome.error is None else _dump_error(outcome.error),
        "cursor": None if outcome.cursor is None else attrs.asdict(outcome.cursor),
        "calls": [call_key(call) for call in turn.calls],
        "answers": {key: dump(item) for key, item in turn.answers.items()},
        "approvals": {key: attrs.asdict(approval) for key, approval in turn.approvals.items()},
        "definitions": {**turn.definitions},
        "added": dump([*turn.added]),
    }


def load_turn(value: Any, number: int, converter: Converter) -> LoopTurn:
    """Return the turn from its JSON form. May raise any exception for an invalid value."""
    response = converter.load(value["response"], Response)
    error, cursor = value["error"], value["cursor"]
    calls = {call_key(call): call for call in response.pending_calls}
    return LoopTurn(
        number=number,
        outcome=Outcome(
            status=value["status"],
            response=response,
            error=None if error is None else _load_error(error),
            cursor=None if cursor is None else Cursor(**cursor),
        ),
        calls=tuple(calls[key] for key in value["calls"]),
        answers={key: converter.load(item, Item) for key, item in value["answers"].items()},
        approvals={key: Approval(**approval) for key, approval in value["approvals"].items()},
        definitions={**value["definitions"]},
        added=tuple(converter.load(item, Item) for item in value["added"]),
    )


_ERROR_FIELDS: Final = ("message", "status", "code", "type", "param", "request_id", "retry_after", "headers", "body")


def _dump_error(error: APIError) -> dict[str, Any]:
    fields = {name: getattr(error, name) for name in _ERROR_FIELDS}
    return cast("dict[str, Any]", dump({"class": type(error).__name__, **fields, "headers": {**error.headers}}))


def _load_error(value: Mapping[str, Any]) -> APIError:
    classes = {cls.__name__: cls for cls in _subclasses(APIError)}
    fields = {name: value[name] for name in _ERROR_FIELDS}
    return classes[value["class"]](fields.pop("message"), **fields)


def _subclasses(cls: type[APIError]) -> Iterator[type[APIError]]:
    yield cls
    for each in cls.__subclasses__():
        yield from _subclasses(each)

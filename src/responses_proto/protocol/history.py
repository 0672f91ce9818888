"""From the output of one response to the input of the next.

An item that came out of a response may go into the next request as it stands: one class, both directions. Servers are
stricter than that about a few fields and a few kinds of items; :func:`as_input` takes those out, and nothing else.
:func:`check_history` says what a server will refuse about a history, or will not understand, before it is sent.

What is refused where is in the tables: :data:`HISTORY_RULES`, ``models.items.PAIRS``, and the fields of ``Provider``.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final, Literal

import attrs

from ..models._base import Extra
from ..models.content import OutputText
from ..models.items import CALL_OUTPUT_PAIRS, McpApprovalRequest, Message, Reasoning
from ..models.response import PendingCall, Response
from ..providers import Provider, find_provider
from ..typing import UNSET

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ..models.items import Item

__all__ = ["HISTORY_RULES", "HistoryFinding", "HistoryRule", "as_input", "check_history"]


_OF_CALL: Final = {pair.call: pair for pair in CALL_OUTPUT_PAIRS}
_OF_OUTPUT: Final = {pair.output: pair for pair in CALL_OUTPUT_PAIRS}


@attrs.frozen
class HistoryRule:
    """What holds for the items of a request."""

    level: Literal["error", "warning"]
    """``error``: servers refuse the request. ``warning``: some do, or something is lost."""
    text: str


HISTORY_RULES: Final[Mapping[str, HistoryRule]] = {
    "call-unanswered": HistoryRule("error", "A call that the client has to answer has no output."),
    "call-unfinished": HistoryRule(
        "error", "A call was cut off, and can neither be run nor be sent without an output."
    ),
    "call-id-missing": HistoryRule("error", "A call has no id that an output could refer to."),
    "call-id-reused": HistoryRule("error", "Two calls have one call id."),
    "output-orphan": HistoryRule("error", "An output answers no call of the history."),
    "output-early": HistoryRule("error", "An output stands before its call."),
    "output-kind": HistoryRule("error", "An output answers a call of another kind."),
    "output-repeated": HistoryRule("error", "A call has two outputs."),
    "approval-unanswered": HistoryRule("warning", "A request for approval has no response: the call will not be made."),
    "reasoning-alone": HistoryRule("error", "Reasoning is not followed by what it led to."),
    "reasoning-by-id": HistoryRule(
        "warning", "Reasoning has neither text nor encrypted content: it must be in the server's store."
    ),
    "item-id-reused": HistoryRule("error", "Two items have one id."),
    "status-forbidden": HistoryRule(
        "error", "The item says how far it has come, which this kind of item does not in input."
    ),
    "status-missing": HistoryRule(
        "error", "The item does not say how far it has come, which this kind of item has to."
    ),
    "output-only-field": HistoryRule("error", "A field that only servers set is in the way."),
}
"""Rule id -> rule."""

_NO_STATUS: Final = frozenset({"reasoning", "custom_tool_call", "custom_tool_call_output"})
_STATUS_NEEDED: Final = frozenset(
    {
        "apply_patch_call",
        "apply_patch_call_output",
        "code_interpreter_call",
        "computer_call",
        "file_search_call",
        "image_generation_call",
        "local_shell_call",
        "program_output",
        "web_search_call",
    }
)
_SERVER_ONLY: Final = "created_by"
# The fields that input has to have, and that may be null.
_NULLS: Final = frozenset(
    {("code_interpreter_call", "code"), ("code_interpreter_call", "outputs"), ("image_generation_call", "result")}
)
# What no model makes, so that no reasoning leads to it. Of messages, only the assistant's are a model's.
_BY_CLIENT: Final = frozenset(
    {*_OF_OUTPUT, "additional_tools", "configuration_update", "compaction_trigger"} - {"program_output"}
)


@attrs.frozen
class HistoryFinding:
    """Something about a history that a server will not like."""

    rule: str
    """A key of :data:`HISTORY_RULES`."""
    index: int
    """Which item."""
    detail: str = ""
    """For people; its wording is no contract."""

    @property
    def level(self) -> Literal["error", "warning"]:
        """How bad it is; see :class:`HistoryRule`."""
        return HISTORY_RULES[self.rule].level


# ---- making input


def as_input(items: Sequence[Item], dialect: Provider | str | None = None, *, stored: bool | None = None) -> list[Item]:
    """Make the items of a response, or of a whole history, fit to be input. Gives new items; the old ones are not changed.

    For every server: fields that only servers set go, and so do nulls in fields that may be absent; fields that input has to
    have are there; calls that were cut off go. For the server that ``dialect`` names, kinds of items that it does not take go.
    ``stored`` says whether the response was stored, if that is not what the dialect does by itself; where it was not, reasoning
    that is neither said nor encrypted goes, which a server could only have looked up. Where servers check items, reasoning that
    led to nothing goes, and the ids of what was not stored.

    Raises ``LocalProtocolError`` for the name of an unknown dialect.
    """
    taken = find_provider(dialect) if isinstance(dialect, str) else dialect or Provider(name="")
    stored = taken.stores if stored is None else stored
    unfinished = {index for index, _ in _unfinished(items)}
    kept = [
        item
        for index, item in enumerate(items)
        if index not in unfinished
        and (not taken.input_items or item.type in taken.input_items)
        and (stored or not isinstance(item, Reasoning) or _says_something(item, taken))
    ]
    if taken.checks_items:
        alone = set(_alone(kept))
        kept = [item for index, item in enumerate(kept) if index not in alone]
    return [_fit(item, nameless=taken.checks_items and not stored) for item in kept]


def _says_something(item: Reasoning, dialect: Provider) -> bool:
    return bool(item.encrypted_content or (item.content and not dialect.checks_items))


def _fit(item: Item, *, nameless: bool) -> Item:
    changes: dict[str, Any] = {}
    for field in item.__attrs_attrs__:
        if field.default is not UNSET:
            continue
        name, value = field.name, getattr(item, field.name)
        if (value is None and (item.type, name) not in _NULLS) or (
            value and _is_for_servers(item, name, nameless=nameless)
        ):
            changes[name] = UNSET
    if isinstance(item, Message) and not isinstance(item.content, str):
        changes["content"] = [
            attrs.evolve(part, annotations=[]) if isinstance(part, OutputText) and part.annotations is UNSET else part
            for part in item.content
        ]
    if isinstance(item, Reasoning) and isinstance(item.extra, Extra) and "summary" in item.extra.absent:
        changes["extra"] = Extra(item.extra, item.extra.absent - {"summary"})
    return attrs.evolve(item, **changes)


def _is_for_servers(item: Item, name: str, *, nameless: bool) -> bool:
    if name == "id":
        return nameless and not isinstance(item, Reasoning) and item.type != "local_shell_call_output"
    return name == _SERVER_ONLY or (name == "status" and item.type in _NO_STATUS)


# ---- checking it


def check_history(items: Sequence[Item], *, continued: bool = False) -> list[HistoryFinding]:
    """Find what is wrong with the items of a request, in their order.

    ``continued`` says that they follow a response or a conversation that the server has, so that the calls which they answer may
    be there.
    """
    found = [
        *_check_calls(items),
        *_check_outputs(items, continued=continued),
        *_check_reasoning(items),
        *_check_fields(items),
    ]
    return sorted(found, key=lambda finding: finding.index)


def _key(item: Item, name: str) -> str:
    key = getattr(item, name)
    return key if isinstance(key, str) else ""


def _unfinished(items: Sequence[Item]) -> Iterator[tuple[int, str]]:
    answered = {_key(item, pair.output_key) for item in items if (pair := _OF_OUTPUT.get(item.type))}
    for index, item in enumerate(items):
        if isinstance(item, PendingCall) and not isinstance(item, McpApprovalRequest) and item.status == "incomplete":
            call_id = item.call_id or ""
            if call_id not in answered:
                yield index, call_id


def _check_calls(items: Sequence[Item]) -> Iterator[HistoryFinding]:
    for index, call_id in _unfinished(items):
        yield HistoryFinding("call-unfinished", index, call_id)
    pending = {id(call) for call in _pending(items)}
    seen: set[str] = set()
    for index, item in enumerate(items):
        pair = _OF_CALL.get(item.type)
        if pair is None:
            continue
        key = _key(item, pair.call_key)
        if key in seen:
            yield HistoryFinding("call-id-reused", index, key)
        elif key:
            seen.add(key)
        elif id(item) in pending:
            yield HistoryFinding("call-id-missing", index)
        if key and id(item) in pending:
            rule = "approval-unanswered" if isinstance(item, McpApprovalRequest) else "call-unanswered"
            yield HistoryFinding(rule, index, key)


def _pending(items: Sequence[Item]) -> list[PendingCall]:
    """Ask the response, which knows what waits for the client; but for calls that the model does not wait for itself."""
    response = Response(
        id="", model="", output=[*items], created_at=0, tools=[], tool_choice="auto", parallel_tool_calls=True
    )
    return [call for call in response.pending_calls if getattr(call, "async_", False) is not True]


def _check_outputs(items: Sequence[Item], *, continued: bool) -> Iterator[HistoryFinding]:
    calls: dict[str, tuple[int, str]] = {}
    for index, item in enumerate(items):
        if (pair := _OF_CALL.get(item.type)) and (key := _key(item, pair.call_key)):
            calls.setdefault(key, (index, item.type))
    answered: set[str] = set()
    for index, item in enumerate(items):
        pair = _OF_OUTPUT.get(item.type)
        if pair is None or not (key := _key(item, pair.output_key)):
            continue  # an output without a call says which function it is of instead
        if key in answered:
            yield HistoryFinding("output-repeated", index, key)
        answered.add(key)
        if key not in calls:
            if not continued:
                yield HistoryFinding("output-orphan", index, key)
            continue
        place, kind = calls[key]
        if kind != pair.call:
            yield HistoryFinding("output-kind", index, f"{item.type} for {kind}")
        elif place > index:
            yield HistoryFinding("output-early", index, key)


def _alone(items: Sequence[Item]) -> Iterator[int]:
    """Give the places of reasoning that led to nothing."""
    leads = False
    for index in reversed(range(len(items))):
        item = items[index]
        if not isinstance(item, Reasoning):
            leads = item.role == "assistant" if isinstance(item, Message) else item.type not in _BY_CLIENT
        elif not leads:
            yield index


def _check_reasoning(items: Sequence[Item]) -> Iterator[HistoryFinding]:
    for index in _alone(items):
        yield HistoryFinding("reasoning-alone", index)
    for index, item in enumerate(items):
        if isinstance(item, Reasoning) and not item.encrypted_content and not item.content:
            yield HistoryFinding("reasoning-by-id", index)


def _check_fields(items: Sequence[Item]) -> Iterator[HistoryFinding]:
    # The id of a local shell call's output is that of its call: this kind of item has no other place for it.
    ids = [_key(item, "id") if hasattr(item, "id") and item.type != "local_shell_call_output" else "" for item in items]
    seen: Counter[str] = Counter()
    for index, (item, name) in enumerate(zip(items, ids, strict=True)):
        seen[name] += 1
        if name and seen[name] > 1:
            yield HistoryFinding("item-id-reused", index, name)
        status = getattr(item, "status", UNSET)
        if item.type in _NO_STATUS and status is not UNSET:
            yield HistoryFinding("status-forbidden", index, repr(status))
        if item.type in _STATUS_NEEDED and not status:
            yield HistoryFinding("status-missing", index, item.type)
        if getattr(item, _SERVER_ONLY, UNSET) is not UNSET:
            yield HistoryFinding("output-only-field", index, _SERVER_ONLY)

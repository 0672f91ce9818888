"""Use the output of one response as input of the next.

Items have the same classes in both directions, so an item of a response can be sent in the next request. But servers refuse some fields
and some types of items in input: :func:`as_input` removes those. :func:`check_history` finds the parts of a history that a server would
refuse, before it is sent. :func:`fit` makes a history shorter.

The rules are in tables: :data:`HISTORY_RULES`, ``models.items.CALL_OUTPUT_PAIRS``, and the fields of ``Provider``.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final, Literal

import attrs

from ..codec import dumps
from ..exceptions import LimitExceeded
from ..models._base import Extra
from ..models._media import WHITE_PIXEL
from ..models.content import Content, InputImage, InputText, OutputText
from ..models.items import (
    PAIR_OF_CALL,
    PAIR_OF_OUTPUT,
    Compaction,
    ComputerCallOutput,
    CustomToolCallOutput,
    FunctionCallOutput,
    ImageGenerationCall,
    McpApprovalRequest,
    McpCall,
    Message,
    Reasoning,
    UnknownItem,
)
from ..models.response import PendingCall, Response
from ..providers import Provider, find_provider
from ..typing import UNSET

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Mapping, Sequence

    from ..models.items import Item

__all__ = ["HISTORY_RULES", "HistoryFinding", "HistoryRule", "as_input", "check_history", "fit"]


@attrs.frozen
class HistoryRule:
    """A rule for the items of a request."""

    level: Literal["error", "warning"]
    """``error`` if servers refuse the request; ``warning`` if only some do, or if information is lost."""
    text: str
    """A description of a history that breaks the rule."""


HISTORY_RULES: Final[Mapping[str, HistoryRule]] = {
    "call-unanswered": HistoryRule("error", "A call that the client must answer has no output."),
    "call-unfinished": HistoryRule("error", "A call was cut off: it cannot be run, nor sent without an output."),
    "call-id-missing": HistoryRule("error", "A call has no call id, so no output can refer to it."),
    "call-id-reused": HistoryRule("error", "Two calls have the same call id."),
    "output-orphan": HistoryRule("error", "An output refers to a call that is not in the history."),
    "output-early": HistoryRule("error", "An output comes before its call."),
    "output-kind": HistoryRule("error", "An output has a type that does not fit the type of its call."),
    "output-repeated": HistoryRule("error", "A call has two outputs."),
    "approval-unanswered": HistoryRule("warning", "A request for approval has no response, so the call is not made."),
    "reasoning-alone": HistoryRule("error", "Reasoning is not followed by an item of the model."),
    "reasoning-by-id": HistoryRule(
        "warning", "Reasoning has neither text nor encrypted content, so the server must have stored it."
    ),
    "item-id-reused": HistoryRule("error", "Two items have the same id."),
    "item-id-empty": HistoryRule("error", "An item has an empty id. An item without an id has no `id` field."),
    "status-forbidden": HistoryRule("error", "An item has a `status`, which its type must not have in input."),
    "status-missing": HistoryRule("error", "An item has no `status`, which its type must have."),
    "output-only-field": HistoryRule("error", "An item has a field that only servers may set."),
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
# The `id` of this item is that of its call, because it has no `call_id`.
_WITH_ID_OF_CALL: Final = "local_shell_call_output"
# Type and field: these fields are required in input, and may be null.
_NULLS: Final = frozenset(
    {("code_interpreter_call", "code"), ("code_interpreter_call", "outputs"), ("image_generation_call", "result")}
)
# Types of items that models do not create, so they do not follow from reasoning. Neither do messages of roles other than the assistant.
_BY_CLIENT: Final = frozenset(
    {*PAIR_OF_OUTPUT, "additional_tools", "configuration_update", "compaction_trigger"}
    - {"program_output", "multi_agent_call_output"}
)

# A client that runs a tool search with its own function answers with the output of the function.
_SEARCH_BY_FUNCTION: Final = ("tool_search_call", "function_call_output")


@attrs.frozen
class HistoryFinding:
    """A part of a history that breaks a rule."""

    rule: str
    """A key of :data:`HISTORY_RULES`."""
    index: int
    """The index of the item."""
    detail: str = ""
    """Readable details, such as the id."""

    @property
    def level(self) -> Literal["error", "warning"]:
        """The level of the rule, see :class:`HistoryRule`."""
        return HISTORY_RULES[self.rule].level


# ---- making input


def as_input(items: Sequence[Item], dialect: Provider | str | None = None, *, stored: bool | None = None) -> list[Item]:
    """Return the items of a response, or of a whole history, as input for a request. The given items are not changed.

    For every server, this removes fields that only servers set, nulls in optional fields, empty ids, and calls that were cut off. It adds
    the lists that input must have: the ``summary`` of reasoning, and the ``annotations`` of texts.

    ``dialect``: a provider or its name. Types of items that the provider does not accept are removed.
    ``stored``: whether the response was stored; by default, whether the provider stores responses by default. If it was not stored,
    reasoning with neither text nor encrypted content is removed, because the server cannot look it up. If the provider checks items,
    reasoning without an item that follows from it is removed, and so are the ids of items that were not stored.

    Raises ``UsageError`` if ``dialect`` is the name of an unknown provider.
    """
    provider = find_provider(dialect) if isinstance(dialect, str) else dialect or Provider(name="")
    stored = provider.stores if stored is None else stored
    unfinished = {index for index, _ in _unfinished(items)}
    kept = [
        item
        for index, item in enumerate(items)
        if index not in unfinished
        and (not provider.input_items or item.type in provider.input_items)
        and (stored or not isinstance(item, Reasoning) or _has_content(item, provider))
    ]
    if provider.checks_items:
        unfollowed = set(_unfollowed(kept))
        kept = [item for index, item in enumerate(kept) if index not in unfollowed]
    return [_as_input_item(item, without_id=provider.checks_items and not stored) for item in kept]


def _has_content(item: Reasoning, provider: Provider) -> bool:
    return bool(item.encrypted_content or (item.content and not provider.checks_items))


def _as_input_item(item: Item, *, without_id: bool) -> Item:
    changes: dict[str, Any] = {}
    for field in item.__attrs_attrs__:
        if field.default is not UNSET:
            continue
        name, value = field.name, getattr(item, field.name)
        if (value is None and (item.type, name) not in _NULLS) or (
            value and _is_server_only(item, name, without_id=without_id)
        ):
            changes[name] = UNSET
    if _has_empty_id(item):
        # Some servers send empty ids, and others refuse them.
        if isinstance(item, UnknownItem):
            changes["raw"] = {name: value for name, value in _raw_of(item).items() if name != "id"}
        elif attrs.fields_dict(type(item))["id"].default is UNSET:
            changes["id"] = UNSET
        else:
            absent = item.extra.absent if isinstance(item.extra, Extra) else frozenset[str]()
            changes["extra"] = Extra(item.extra, absent | {"id"})
    if isinstance(item, Message) and not isinstance(item.content, str):
        changes["content"] = [
            attrs.evolve(part, annotations=[])
            if isinstance(part, OutputText) and part.annotations in (UNSET, None)
            else part
            for part in item.content
        ]
    if isinstance(item, Reasoning) and isinstance(item.extra, Extra) and "summary" in item.extra.absent:
        changes["extra"] = Extra(item.extra, item.extra.absent - {"summary"})
    return attrs.evolve(item, **changes)


def _has_empty_id(item: Item) -> bool:
    return item.type != _WITH_ID_OF_CALL and (
        _raw_of(item).get("id") == "" if isinstance(item, UnknownItem) else getattr(item, "id", None) == ""
    )


def _raw_of(item: UnknownItem) -> dict[str, Any]:
    return item.raw if isinstance(item.raw, dict) else {}


def _is_server_only(item: Item, name: str, *, without_id: bool) -> bool:
    if name == "id":
        return without_id and not isinstance(item, Reasoning) and item.type != _WITH_ID_OF_CALL
    return name == _SERVER_ONLY or (name == "status" and item.type in _NO_STATUS)


# ---- checking input


def check_history(items: Sequence[Item], *, continued: bool = False) -> list[HistoryFinding]:
    """Return the findings in the items of a request, in the order of the items.

    ``continued``: whether the items follow a response or a conversation that the server has stored. It may contain the calls that
    outputs among the items refer to.
    """
    found = [
        *_check_calls(items),
        *_check_outputs(items, continued=continued),
        *_check_reasoning(items),
        *_check_fields(items),
    ]
    return sorted(found, key=lambda finding: finding.index)


def _text_of(item: Item, name: str) -> str:
    value = getattr(item, name)
    return value if isinstance(value, str) else ""


def _is_absent(item: Item, name: str) -> bool:
    return isinstance(item.extra, Extra) and name in item.extra.absent


def _unfinished(items: Sequence[Item]) -> Iterator[tuple[int, str]]:
    answered = {_text_of(item, pair.output_key) for item in items if (pair := PAIR_OF_OUTPUT.get(item.type))}
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
        pair = PAIR_OF_CALL.get(item.type)
        if pair is None:
            continue
        key = _text_of(item, pair.call_key)
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
    """Return the pending calls, as ``Response.pending_calls`` finds them, without those whose output the model does not wait for."""
    response = Response(
        id="", model="", output=[*items], created_at=0, tools=[], tool_choice="auto", parallel_tool_calls=True
    )
    return [call for call in response.pending_calls if getattr(call, "async_", False) is not True]


def _check_outputs(items: Sequence[Item], *, continued: bool) -> Iterator[HistoryFinding]:
    calls: dict[str, tuple[int, str]] = {}
    for index, item in enumerate(items):
        if (pair := PAIR_OF_CALL.get(item.type)) and (key := _text_of(item, pair.call_key)):
            calls.setdefault(key, (index, item.type))
    answered: set[str] = set()
    for index, item in enumerate(items):
        pair = PAIR_OF_OUTPUT.get(item.type)
        if pair is None or not (key := _text_of(item, pair.output_key)):
            continue  # an output without a call id names its function instead
        if key in answered:
            yield HistoryFinding("output-repeated", index, key)
        answered.add(key)
        if key not in calls:
            if not continued:
                yield HistoryFinding("output-orphan", index, key)
            continue
        call_index, call_type = calls[key]
        if call_type != pair.call and (call_type, item.type) != _SEARCH_BY_FUNCTION:
            yield HistoryFinding("output-kind", index, f"{item.type} for {call_type}")
        elif call_index > index:
            yield HistoryFinding("output-early", index, key)


def _unfollowed(items: Sequence[Item]) -> Iterator[int]:
    """Yield the indices of reasoning that is not followed by an item of the model."""
    is_followed = False
    for index in reversed(range(len(items))):
        item = items[index]
        if not isinstance(item, Reasoning):
            is_followed = not _is_by_client(item)
        elif not is_followed:
            yield index


def _check_reasoning(items: Sequence[Item]) -> Iterator[HistoryFinding]:
    for index in _unfollowed(items):
        yield HistoryFinding("reasoning-alone", index)
    for index, item in enumerate(items):
        if isinstance(item, Reasoning) and not item.encrypted_content and not item.content:
            yield HistoryFinding("reasoning-by-id", index)


def _check_fields(items: Sequence[Item]) -> Iterator[HistoryFinding]:
    ids = [_text_of(item, "id") if hasattr(item, "id") and item.type != _WITH_ID_OF_CALL else "" for item in items]
    seen: Counter[str] = Counter()
    for index, (item, name) in enumerate(zip(items, ids, strict=True)):
        seen[name] += 1
        if name and seen[name] > 1:
            yield HistoryFinding("item-id-reused", index, name)
        if _has_empty_id(item) and not _is_absent(item, "id"):
            yield HistoryFinding("item-id-empty", index, item.type)
        status = getattr(item, "status", UNSET)
        if item.type in _NO_STATUS and status is not UNSET:
            yield HistoryFinding("status-forbidden", index, repr(status))
        if item.type in _STATUS_NEEDED and not status:
            yield HistoryFinding("status-missing", index, item.type)
        if getattr(item, _SERVER_ONLY, UNSET) is not UNSET:
            yield HistoryFinding("output-only-field", index, _SERVER_ONLY)


# ---- making input shorter

_IMAGE_NOTE: Final = "[An older image was removed.]"
_BLANK_IMAGE: Final = f"data:image/png;base64,{WHITE_PIXEL}"


def fit(items: Sequence[Item], *, max_bytes: int | None = None, max_images: int | None = None) -> list[Item]:
    """Return a history that does not exceed the limits. The given items are not changed.

    ``max_images``: the number of images to keep. The last ones are kept. Older images are replaced by a note; screenshots of a computer,
    which must be images, are replaced by a blank image.

    ``max_bytes``: the maximum size of the items as JSON. While they are larger, the oldest exchange is dropped: a message of the user and
    all items up to the next one. Of the last exchange, the message and the last step of the model are kept; the other steps are dropped,
    oldest first. Calls stay together with their outputs, and reasoning with the items that follow from it. Messages of the system and
    the developer, compactions, and outputs of calls that are not among the items, because the server has stored them, are always kept.

    Raises ``LimitExceeded`` if the items that must be kept are larger than ``max_bytes``.
    """
    kept = _without_images(items, max_images)
    if max_bytes is None:
        return kept
    sizes = [len(dumps(item)) + 1 for item in kept]  # with a comma
    total = sum(sizes) + 1
    dropped: set[int] = set()
    for step in _droppable(kept):
        if total <= max_bytes:
            break
        dropped.update(step)
        total -= sum(sizes[index] for index in step)
    if total > max_bytes:
        raise LimitExceeded("max_bytes", total)
    return [item for index, item in enumerate(kept) if index not in dropped]


def _droppable(items: Sequence[Item]) -> Iterator[list[int]]:
    """Yield groups of indices of items that can be dropped together, in the order in which to drop them."""
    known = {_text_of(item, pair.call_key) for item in items if (pair := PAIR_OF_CALL.get(item.type))}
    pinned = {index for index, item in enumerate(items) if _is_pinned(item, known)}
    exchanges: list[list[list[int]]] = []
    for step in _steps(items):
        if not exchanges or _is_message(items[step[0]], "user"):
            exchanges.append([])
        exchanges[-1].append([index for index in step if index not in pinned])
    for exchange in exchanges[:-1]:
        yield [index for step in exchange for index in step]
    for exchange in exchanges[-1:]:
        yield from exchange[1:-1]


def _is_pinned(item: Item, known_calls: Container[str]) -> bool:
    pair = PAIR_OF_OUTPUT.get(item.type)
    answers_stored_call = pair is not None and _text_of(item, pair.output_key) not in known_calls
    return answers_stored_call or isinstance(item, Compaction) or _is_message(item, "system", "developer")


def _steps(items: Sequence[Item]) -> list[list[int]]:
    """Divide the items into messages of the client, and steps of the model with the outputs of their calls."""
    last: dict[str, int] = {}  # key of a call -> the index of the last item that refers to it
    for index, item in enumerate(items):
        pair = PAIR_OF_OUTPUT.get(item.type)
        key = _text_of(item, pair.output_key) if pair else item.approval_request_id if isinstance(item, McpCall) else ""
        if key:
            last[key] = index
    steps: list[list[int]] = []
    end = -1  # the last item that the current step needs
    for index, item in enumerate(items):
        follows_client = index == 0 or _is_by_client(items[index - 1])
        begins = isinstance(item, Message) if _is_by_client(item) else follows_client
        if not steps or (index > end and begins):
            steps.append([])
        steps[-1].append(index)
        pair = PAIR_OF_CALL.get(item.type)
        end = max(end, last.get(_text_of(item, pair.call_key), -1) if pair else -1)
    return steps


def _is_message(item: Item, *roles: str) -> bool:
    return isinstance(item, Message) and item.role in roles


def _is_by_client(item: Item) -> bool:
    return item.role != "assistant" if isinstance(item, Message) else item.type in _BY_CLIENT


def _without_images(items: Sequence[Item], maximum: int | None) -> list[Item]:
    """Return the items with only the last ``maximum`` images; ``None`` keeps all."""
    kept = [*items]
    if maximum is None:
        return kept
    left = maximum
    for index in reversed(range(len(kept))):
        item = kept[index]
        if isinstance(item, ImageGenerationCall) and item.result:
            kept[index] = item if left > 0 else attrs.evolve(item, result=None)
            left -= 1
        elif isinstance(item, ComputerCallOutput):
            screen = attrs.evolve(item.output, image_url=_BLANK_IMAGE, file_id=UNSET)
            kept[index] = item if left > 0 else attrs.evolve(item, output=screen)
            left -= 1
        elif isinstance(item, Message):
            content, left = _without_parts(item.content, left)
            kept[index] = attrs.evolve(item, content=content)
        elif isinstance(item, FunctionCallOutput | CustomToolCallOutput):
            output, left = _without_parts(item.output, left)
            kept[index] = attrs.evolve(item, output=output)
    return kept


def _without_parts(content: str | list[Content], left: int) -> tuple[str | list[Content], int]:
    """Return the content with only the last ``left`` images, and the number of further images that may be kept."""
    if isinstance(content, str):
        return content, left
    parts: list[Content] = []
    for part in reversed(content):
        is_image = isinstance(part, InputImage)
        parts.append(InputText(text=_IMAGE_NOTE) if is_image and left <= 0 else part)
        left -= is_image
    return parts[::-1], left

"""Each rule about streams kills a mutant: a clean stream that was changed so that it breaks the rule."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import pytest

from responses_proto.models.items import FunctionCall
from responses_proto.protocol.sse import encode_frame
from responses_proto.rules import RULES
from responses_proto.testing import Answer, check_stream
from responses_proto.testing.conformance.fields import PROFILES

if TYPE_CHECKING:
    from collections.abc import Callable

    from responses_proto.testing import Profile

Events = list[dict[str, Any]]

DELTA: Final = "response.output_text.delta"
NOT_IN_A_BODY: Final = {
    "content-type": "it is in the head of the reply",
    "unasked-message": "it is about several responses on one WebSocket",
    "progress-order": "tests/testing/conformance/test_streams.py goes through every step of every state",
}
"""Rules that no body can break."""


def clean() -> Events:
    call = FunctionCall(id="fc_1", call_id="call_1", name="f", arguments="{}")
    events: Events = json.loads(json.dumps(Answer.items("Hi there.", call).to_wire().events))
    return events


def at(events: Events, kind: str, number: int = 0) -> int:
    return [place for place, event in enumerate(events) if event["type"] == kind][number]


def numbered(events: Events) -> Events:
    return [{**event, "sequence_number": number} for number, event in enumerate(events)]


def changed(kind: str, number: int = 0, /, **fields: Any) -> Callable[[Events], Events]:
    """Replace fields of an event; a field that is ``...`` is removed."""

    def change(events: Events) -> Events:
        place = at(events, kind, number)
        event = {**events[place], **fields}
        events[place] = {name: value for name, value in event.items() if value is not ...}
        return events

    return change


def inside(kind: str, *path: str | int, to: Any = ...) -> Callable[[Events], Events]:
    """Replace or remove a value within an event."""

    def change(events: Events) -> Events:
        level: Any = events[at(events, kind)]
        for name in path[:-1]:
            level = level[name]
        if to is ...:
            del level[path[-1]]
        else:
            level[path[-1]] = to
        return events

    return change


def each(change: Callable[[int, dict[str, Any]], dict[str, Any]]) -> Callable[[Events], Events]:
    return lambda events: [change(number, event) for number, event in enumerate(events)]


def without(*kinds: str) -> Callable[[Events], Events]:
    return lambda events: numbered([event for event in events if event["type"] not in kinds])


def inserted(place: int, *more: dict[str, Any]) -> Callable[[Events], Events]:
    return lambda events: numbered([*events[:place], *more, *events[place:]])


def doubled(kind: str) -> Callable[[Events], Events]:
    def change(events: Events) -> Events:
        place = at(events, kind)
        return numbered([*events[: place + 1], *events[place:]])

    return change


def moved(kind: str, *, after: str) -> Callable[[Events], Events]:
    def change(events: Events) -> Events:
        event = events.pop(at(events, kind))
        events.insert(at(events, after) + 1, event)
        return numbered(events)

    return change


IN_EVENTS: Final[dict[str, Callable[[Events], Events]]] = {
    "missing-field": inside("response.completed", "response", "tools"),
    "wrong-type": inside("response.created", "response", "model", to=5),
    "wrong-constant": inside("response.created", "response", "object", to="chat.completion"),
    "null-field": inside("response.created", "response", "tools", to=None),
    "wrong-value": inside("response.created", "response", "truncation", to="sometimes"),
    "unknown-item": inside("response.created", "response", "output", to=[{"type": "thing", "id": "t", "status": "completed"}]),
    "extension-fields": inside("response.created", "response", "output", to=[{"type": "acme:thing", "id": "t"}]),
    "missing-type": changed(DELTA, type=...),
    "unknown-type": inserted(2, {"type": "response.brand_new"}),
    "sequence-missing": changed(DELTA, sequence_number=...),
    "sequence-gap": each(lambda number, event: {**event, "sequence_number": number + (number > 3)}),
    "sequence-repeated": each(lambda number, event: {**event, "sequence_number": number - (number > 3)}),
    "sequence-start": each(lambda number, event: {**event, "sequence_number": number + 1}),
    "index-missing": changed(DELTA, output_index=...),
    "index-contradicted": changed("response.function_call_arguments.delta", output_index=0),
    "id-missing": changed(DELTA, item_id=...),
    "id-rotated": each(lambda number, event: {**event, "item": {**event["item"], "id": f"i{number}"}} if "item" in event else event),
    "id-contradicted": changed("response.function_call_arguments.delta", item_id="item_1"),
    "found-by-id": changed(DELTA, output_index=...),
    "found-by-call-id": changed("response.function_call_arguments.delta", output_index=..., item_id="call_1"),
    "found-by-kind": changed(DELTA, output_index=..., item_id=...),
    "item-implied": without("response.output_item.added"),
    "index-occupied": each(lambda _, event: {**event, "output_index": 0} if event["type"] == "response.output_item.added" else event),
    "index-skipped": each(lambda _, event: {**event, "output_index": 5 + event["output_index"]} if event.get("output_index", 0) else event),
    "item-missing": changed("response.output_item.added", item=...),
    "part-index": changed(DELTA, content_index=...),
    "part-implied": without("response.content_part.added"),
    "part-repeated": doubled("response.content_part.done"),
    "lifecycle": doubled("response.in_progress"),
    "created-missing": without("response.created"),
    "response-id-changed": inside("response.completed", "response", "id", to="resp_other"),
    "output-early": without("response.in_progress"),
    "item-unfinished": without("response.output_item.done"),
    "item-repeated": doubled("response.output_item.done"),
    "text-unfinished": without("response.output_text.done"),
    "part-unfinished": without("response.content_part.done"),
    "delta-after-done": moved(DELTA, after="response.output_text.done"),
    "delta-mismatch": changed(DELTA, delta="x"),
    "done-merged": inside("response.output_item.done", "item", "content", to=[]),
    "output-merged": inside("response.completed", "response", "output", 0, "content", to=[]),
    "response-merged": inside("response.completed", "response", "temperature"),
    "output-empty": inside("response.completed", "response", "output", to=[]),
    "status-contradicted": inside("response.completed", "response", "status", to="incomplete"),
    "output-differs": inside("response.completed", "response", "output", 0, "content", 0, "text", to="Something else."),
    "error-untyped": inserted(3, {"error": {"message": "Broken.", "code": "server_error"}}),
    "late-event": inserted(99, {"type": DELTA, "output_index": 0, "item_id": "item_1", "content_index": 0, "delta": "x", "logprobs": []}),
    "no-terminal": without("response.completed"),
}  # fmt: skip
"""Rule -> how the events of a clean stream are changed so that they break it."""


def body(events: Events) -> bytes:
    frames = b"".join(encode_frame(json.dumps(event).encode(), event.get("type")) for event in events)
    return frames + b"data: [DONE]\n\n"


IN_BYTES: Final[dict[str, Callable[[bytes], bytes]]] = {
    "invalid-utf8": lambda data: data.replace(b'"delta": "', b'"delta": "\xff', 1),
    "invalid-json": lambda data: data.replace(b"data: {", b"data: {,", 1),
    "unfinished-frame": lambda data: data.removesuffix(b"data: [DONE]\n\n").removesuffix(b"\n\n"),
    "dropped-frame": lambda data: data.removesuffix(b"data: [DONE]\n\n")[:-30],
    "not-an-object": lambda data: data.replace(b"data: {", b"data: [1]\n\ndata: {", 1),
    "event-name": lambda data: data.replace(b"event: response.created", b"event: response.made", 1),
    "json-body": lambda data: data[data.rindex(b'"response":') + 11 : data.rindex(b"}\n\ndata: [DONE]")],
    "event-line": lambda data: data.replace(b"event: response.created\n", b"", 1),
    "no-done": lambda data: data.removesuffix(b"data: [DONE]\n\n"),
    "late-data": lambda data: data + b"data: {}\n\n",
}  # fmt: skip
"""Rule -> how the bytes of a clean stream are changed so that they break it."""


def test_a_clean_stream_breaks_no_rule() -> None:
    for profile in (None, *PROFILES):
        report = check_stream(body(clean()), profile=profile)
        assert report.ok, str(report)


def test_openai_sends_no_end_marker() -> None:
    data = body(clean()).removesuffix(b"data: [DONE]\n\n")
    assert check_stream(data, profile="openai").ok
    assert check_stream(data, profile="openresponses").rules == {"no-done"}


def test_every_rule_of_a_stream_has_a_mutant() -> None:
    of_streams = {rule.id for rule in RULES.values() if rule.found_by in ("decoder", "engine", "stream")}
    assert {*IN_EVENTS, *IN_BYTES, *NOT_IN_A_BODY} == of_streams


@pytest.mark.parametrize("rule", [*IN_EVENTS, *IN_BYTES])
def test_each_rule_kills_its_mutant(rule: str) -> None:
    events = IN_EVENTS[rule](clean()) if rule in IN_EVENTS else clean()
    data = IN_BYTES[rule](body(events)) if rule in IN_BYTES else body(events)
    # Those two are the decoder's own.
    profile: Profile | None = None if rule in ("wrong-constant", "not-an-object") else "openresponses"
    report = check_stream(data, profile=profile)
    assert rule in report.rules, str(report)
    found = next(finding for finding in report.findings if finding.rule == rule)
    assert found.event is not None
    assert found.about is RULES[rule]
    assert found.about.suggestion
    assert rule in str(report)

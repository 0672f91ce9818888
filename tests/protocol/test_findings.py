"""Each finding of the engine and the decoder: a stream that has the fault, and none where it does not."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any, Final

import pytest
from tests.streams import (
    Wire,
    added,
    call_events,
    clean,
    clean_output,
    codes,
    done,
    ending,
    frame,
    message,
    message_events,
    numbered,
    opening,
    output_text,
    part_event,
    plain,
    read,
    response,
    text_delta,
    wire,
    without,
)

from responses_proto.anomalies import ANOMALY_CODES
from responses_proto.exceptions import RemoteProtocolError
from responses_proto.testing import check_stream

if TYPE_CHECKING:
    from collections.abc import Callable

CITED: Final[Wire] = {"type": "file_path", "file_id": "f", "index": 0}
TEXT: Final = "Hello."


def planted(change: Callable[[list[Wire]], Any], *, renumber: bool = True) -> bytes:
    """Give a stream of one message and one call with a fault in it."""
    said, called = message_events(0, "m", [TEXT]), call_events(1, "f", "c", ["{}"])
    whole = numbered([*opening(), *said, *called, ending([said[-1]["item"], called[-1]["item"]])])
    events: list[Wire] = json.loads(json.dumps(whole))  # no object is in it twice
    changed = change(events)
    events = events if changed is None else changed
    return wire(numbered(events) if renumber else events)


def at(events: list[Wire], kind: str) -> Wire:
    return next(event for event in events if event["type"] == f"response.{kind}")


def place(events: list[Wire], kind: str) -> int:
    return events.index(at(events, kind))


def put(kind: str, *path: Any, value: Any) -> Callable[[list[Wire]], None]:
    """Return a change that sets one value in the first event of a type."""

    def change(events: list[Wire]) -> None:
        holder: Any = at(events, kind)
        for step in path[:-1]:
            holder = holder[step]
        holder[path[-1]] = value

    return change


def drop(kind: str, *path: Any) -> Callable[[list[Wire]], None]:
    """Return a change that drops one field of the first event of a type, or the event."""

    def change(events: list[Wire]) -> None:
        if not path:
            events.remove(at(events, kind))
            return
        holder: Any = at(events, kind)
        for step in path[:-1]:
            holder = holder[step]
        del holder[path[-1]]

    return change


def insert(before: str, *more: Wire) -> Callable[[list[Wire]], list[Wire]]:
    def change(events: list[Wire]) -> list[Wire]:
        here = place(events, before)
        return [*events[:here], *copy.deepcopy(list(more)), *events[here:]]

    return change


def doubled(kind: str) -> Callable[[list[Wire]], list[Wire]]:
    return lambda events: insert(kind, at(events, kind))(events)


def last_number(events: list[Wire], number: int) -> list[Wire]:
    return [*events[:-1], {**events[-1], "sequence_number": number}]


def unplaced(events: list[Wire]) -> None:
    for event in events:
        if event["type"] == "response.function_call_arguments.delta":
            del event["output_index"], event["item_id"]


def cited(events: list[Wire]) -> list[Wire]:
    note = {**without(text_delta("", 0, "m"), "delta", "logprobs"), "type": "response.output_text.annotation.added"}
    return insert("output_text.done", {**note, "annotation_index": 0, "annotation": CITED})(events)


def otherwise_cited(events: list[Wire]) -> None:
    put("output_item.done", "item", "content", 0, "annotations", value=[CITED])(events)
    put("completed", "response", "output", 0, "content", 0, "annotations", value=[{**CITED, "index": 9}])(events)


def instructed(events: list[Wire]) -> None:
    put("created", "response", "instructions", value="Be nice.")(events)


CLEAN: Final = planted(lambda _: None)
PLANTED: Final[dict[str, list[bytes]]] = {
    # The decoder.
    "missing-field": [planted(drop("created", "response", "id")), planted(drop("output_text.delta", "delta"))],
    "wrong-type": [planted(put("output_text.delta", "delta", value=7)), planted(put("completed", "response", "model", value=[]))],
    "wrong-constant": [planted(put("created", "response", "object", value="chat"))],
    "not-an-object": [b"data: [1]\n\n" + CLEAN, planted(put("completed", "response", "output", 0, value="x"))],
    # Framing.
    "invalid-utf8": [CLEAN.replace(TEXT.encode(), b"Hell\xff.")],
    "invalid-json": [b"data: {\n\n" + CLEAN],
    "unfinished-frame": [CLEAN.rstrip(b"\n")],
    "dropped-frame": [CLEAN[:-40]],
    "event-name": [CLEAN.replace(b"event: response.output_text.delta", b"event: response.refusal.delta")],
    "missing-type": [CLEAN.replace(b'"type": "response.created", ', b"")],
    "json-body": [json.dumps(response(status="completed", output=[message(TEXT)])).encode()],
    # Numbering.
    "sequence-missing": [wire([without(event, "sequence_number") for event in clean()])],
    "sequence-gap": [planted(lambda events: last_number(events, 99), renumber=False)],
    "sequence-repeated": [planted(lambda events: last_number(events, 3), renumber=False)],
    # Identity.
    "index-missing": [planted(drop("output_item.added", "output_index")), planted(unplaced)],
    "index-contradicted": [planted(insert("completed", text_delta("x", 1, "m")))],
    "id-missing": [planted(drop("output_text.delta", "item_id")), planted(put("output_text.delta", "item_id", value=""))],
    "id-rotated": [planted(put("output_text.delta", "item_id", value="m2"))],
    "id-contradicted": [planted(insert("completed", {**at(message_events(0, "f", [TEXT]), "output_text.delta"), "item_id": "f"}))],
    "found-by-id": [planted(drop("output_text.delta", "output_index"))],
    "found-by-call-id": [
        planted(lambda events: [
            without({**event, "item_id": "c"}, "output_index") if "arguments" in event["type"] else event for event in events
        ]),
    ],
    "found-by-kind": [planted(unplaced)],
    "item-implied": [planted(drop("output_item.added"))],
    "index-occupied": [planted(lambda events: [{**e, "output_index": 0} if e.get("item", {}).get("id") == "f" else e for e in events])],
    "index-skipped": [
        planted(lambda events: [{**e, "output_index": e["output_index"] + 1} if "output_index" in e else e for e in events]),
    ],
    "item-missing": [
        planted(insert("output_item.added", {"type": "response.output_item.added", "output_index": 0, "item": value}))
        for value in (None, {}, {"id": "x"})
    ] + [planted(insert("completed", {"type": "response.output_item.done", "output_index": 0, "item": None}))],
    "part-index": [planted(put("output_text.delta", "content_index", value=-1)), planted(drop("content_part.added", "content_index"))],
    "part-implied": [planted(drop("content_part.added"))],
    "part-repeated": [planted(insert("output_text.done", part_event("content_part.added", output_text(), 0, "m")))],
    # Life.
    "lifecycle": [planted(doubled("in_progress")), planted(doubled("created"))],
    "created-missing": [planted(drop("created"))],
    "response-id-changed": [planted(put("completed", "response", "id", value="other"))],
    "item-unfinished": [planted(drop("output_item.done"))],
    "item-repeated": [planted(doubled("output_item.added")), planted(doubled("output_item.done"))],
    "delta-after-done": [planted(insert("content_part.done", text_delta("x", 0, "m"))), planted(insert("completed", text_delta("x", 0, "m")))],
    "delta-mismatch": [
        planted(put("output_text.done", "text", value="Other.")),
        planted(put("content_part.done", "part", "text", value="Other.")),
        planted(put("output_item.done", "item", "content", value=[output_text("Other.")])),
        planted(put("function_call_arguments.done", "arguments", value="[]")),
    ],
    "done-merged": [
        planted(put("output_text.done", "text", value="")),
        planted(put("content_part.done", "part", "text", value="")),
        planted(cited),
        planted(put("output_item.done", "item", "content", value=[])),
        planted(put("function_call_arguments.done", "arguments", value="")),
        *(planted(drop("output_item.done", "item", name)) for name in ("id", "role", "content")),
    ],
    "output-merged": [
        *(planted(drop("completed", "response", "output", 0, name)) for name in ("id", "role", "content")),
        *(planted(drop("completed", "response", "output", 1, name)) for name in ("id", "call_id", "name", "arguments")),
        planted(put("completed", "response", "output", 0, "content", 0, "text", value="")),
        planted(put("completed", "response", "output", 1, value={"type": "function_call"})),
    ],
    "response-merged": [
        planted(drop("completed", "response", "model")),
        planted(put("completed", "response", "model", value=None)),
        planted(instructed),
    ],
    "output-empty": [
        planted(put("completed", "response", "output", value=[])),
        planted(put("completed", "response", "output", value=None)),
    ],
    "status-contradicted": [planted(put("completed", "response", "status", value="failed"))],
    "output-differs": [
        planted(put("completed", "response", "output", 0, "content", 0, "text", value="Other.")),
        planted(put("completed", "response", "output", 0, "id", value="other")),
        planted(put("completed", "response", "output", 1, "arguments", value="[]")),
        planted(put("completed", "response", "output", 1, "name", value="other")),
        planted(otherwise_cited),
        planted(put("completed", "response", "output", 0, "content", value=[output_text(TEXT)] * 2)),
        planted(drop("completed", "response", "output", 0)),
        planted(lambda events: events[-1]["response"]["output"].reverse()),
        planted(lambda events: events[-1]["response"]["output"].append(message("More.", "n"))),
        wire(numbered([*opening(), ending([message(TEXT)])])),
    ],
    # The end.
    "error-untyped": [planted(insert("completed")).replace(b"\n\nevent: response.completed", b'\n\ndata: {"error": {"message": "m"}}\n\nevent: response.completed')],
    "late-event": [CLEAN + frame({**text_delta("x"), "sequence_number": 99})],
    "late-data": [CLEAN + b"data: [DONE]\n\n" + frame({**text_delta("x"), "sequence_number": 99})],
    "no-terminal": [planted(drop("completed")), b""],
}  # fmt: skip
"""Code -> streams that have that fault, among others."""
BY_THE_CONNECTION: Final = {"content-type", "unasked-message"}


def test_each_code_has_a_planted_stream() -> None:
    assert PLANTED.keys() | BY_THE_CONNECTION == ANOMALY_CODES.keys()


CASES: Final = [
    pytest.param(code, data, id=f"{code}-{n}") for code, all_ in PLANTED.items() for n, data in enumerate(all_)
]


@pytest.mark.parametrize(("code", "data"), CASES)
def test_a_planted_fault_is_found(code: str, data: bytes) -> None:
    assert code in codes(read(data))
    assert code in check_stream(data).rules
    with pytest.raises(RemoteProtocolError):
        read(data, strict=True)


@pytest.mark.parametrize("data", [CLEAN, wire(clean()), wire(plain()), wire(numbered([*opening(), ending([])]))])
def test_a_clean_stream_has_no_finding(data: bytes) -> None:
    assert codes(read(data)) == {}
    read(data, strict=True)
    assert check_stream(data + b"data: [DONE]\n\n").ok


def test_what_is_found_says_where() -> None:
    (found,) = read(planted(drop("completed", "response", "output", 1, "name"))).anomalies[1:]
    assert (found.code, found.path) == ("output-merged", "response.completed $.response.output[1].name")
    (found,) = read(planted(put("output_item.done", "item", "content", value=[]))).anomalies
    assert (found.code, found.path) == ("done-merged", "response.output_item.done $.item.content[0]")


def test_a_failed_response_may_leave_its_output_out() -> None:
    events = numbered(
        [*opening(), *message_events(), ending([], "failed", error={"code": "server_error", "message": "m"})]
    )
    stream = read(events, strict=True)
    assert stream.response.output_text
    assert clean_output()


def test_ciphertexts_are_made_anew_by_right() -> None:
    thinking: Wire = {"type": "reasoning", "id": "r", "summary": [], "encrypted_content": "a"}
    again, last = {**thinking, "encrypted_content": "b"}, {**thinking, "encrypted_content": "c"}
    stream = read(numbered([*opening(), added(0, thinking), done(0, again), ending([last])]), strict=True)
    assert (
        stream.response.output
        == read(numbered([*opening(), added(0, last), done(0, last), ending([last])])).response.output
    )

"""Events and items of a vendor, registered in a converter: numbered or not, and deltas that grow an item."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import pytest
from tests.streams import Wire, added, clean, done, ending, frame, message, numbered, opening, plain, wire

from responses_proto.codec import Growth, dump, make_converter
from responses_proto.exceptions import LimitExceeded, UsageError
from responses_proto.limits import Limits
from responses_proto.models import (
    UNSET,
    Event,
    EventBase,
    Item,
    ItemBase,
    ItemEventBase,
    Model,
    OutputTextDelta,
    UnknownItem,
    UnnumberedEventBase,
    Unset,
    model,
)
from responses_proto.protocol import ResponseStream


@model
class AcmeSearch(ItemBase):
    type: ClassVar[Literal["acme:search"]] = "acme:search"
    id: str
    query: str
    status: str | Unset = UNSET


@model
class AcmeSearchDelta(ItemEventBase):
    type: ClassVar[Literal["acme:search.delta"]] = "acme:search.delta"
    delta: str


@model
class AcmePing(Model):
    type: ClassVar[Literal["acme:ping"]] = "acme:ping"
    note: str


@model
class AcmePong(UnnumberedEventBase):
    type: ClassVar[Literal["acme:pong"]] = "acme:pong"


def make_stream(*, items: bool = True, **options: Any) -> ResponseStream:
    converter = make_converter()
    if items:
        converter.register(AcmeSearch, Item)
    converter.register(AcmePing, Event)
    converter.register(AcmePong, Event)
    converter.register(AcmeSearchDelta, Event, grows=Growth(item="acme:search", field="query"))
    return ResponseStream(converter=converter, **options)


def search(query: str, status: str = "completed") -> Wire:
    return {"type": "acme:search", "id": "s_1", "query": query, "status": status}


def delta(piece: str, **fields: Any) -> Wire:
    return {"type": "acme:search.delta", "output_index": 0, "item_id": "s_1", "delta": piece, **fields}


SEARCHING = [*opening(), added(0, search("", "in_progress")), delta("cats "), delta("and "), delta("dogs")]


def test_deltas_grow_the_item_in_the_snapshot() -> None:
    stream = make_stream()
    queries: list[object] = []
    for event in numbered(SEARCHING):
        stream.receive_data(frame(event))
        queries += [getattr(item, "query", None) for item in stream.response.output]
    assert queries == ["", "cats ", "cats and ", "cats and dogs"]
    assert isinstance(stream.response.output[0], AcmeSearch)
    assert stream.anomalies == []


@pytest.mark.parametrize("stated", [[search("cats and dogs")], [search("")], []], ids=["whole", "hollow", "missing"])
def test_what_grew_is_there_at_the_end(stated: list[Wire]) -> None:
    stream = make_stream()
    stream.receive_data(wire(numbered([*SEARCHING, done(0, search("")), ending(stated)])))
    assert dump(stream.response.output) == [search("cats and dogs")]


def test_what_is_said_at_the_end_counts() -> None:
    stream = make_stream()
    stream.receive_data(wire(numbered([*SEARCHING, ending([search("cats")])])))
    assert dump(stream.response.output) == [search("cats")]


def test_an_item_without_a_class_grows_too() -> None:
    stream = make_stream(items=False)
    stream.receive_data(wire(numbered(SEARCHING)))
    assert stream.response.output == [UnknownItem(type="acme:search", raw=search("cats and dogs", "in_progress"))]


def test_an_item_that_was_never_added_is_implied() -> None:
    stream = make_stream()
    stream.receive_data(wire(numbered([*opening(), delta("cats"), delta(" and dogs")])))
    (item,) = dump(stream.response.output)
    assert (item["type"], item["query"]) == ("acme:search", "cats and dogs")
    assert "item-implied" in {anomaly.code for anomaly in stream.anomalies}


def test_a_delta_that_is_no_text_grows_nothing() -> None:
    stream = make_stream()
    stream.receive_data(wire(numbered([*SEARCHING[:3], delta("cats"), delta(7)])))  # type: ignore[arg-type] # what a server may send
    assert dump(stream.response.output[0])["query"] == "cats"


def test_a_vendors_text_is_bounded() -> None:
    stream = make_stream(limits=Limits(max_text_chars=10))
    with pytest.raises(LimitExceeded, match="max_text_chars"):
        stream.receive_data(wire(numbered(SEARCHING)))


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize(
    "ping", [{"type": "acme:ping", "note": "hi"}, {"type": "acme:pong"}], ids=lambda ping: ping["type"]
)
def test_events_without_a_number_stand_beside_the_numbering(ping: Wire, strict: bool) -> None:
    whole = numbered(clean())
    for at in range(len(whole) + 1):
        stream = make_stream(strict=strict)
        stream.receive_data(wire([*whole[:at], ping, *whole[at:]]))
        assert [dump(event) for event in stream.events_received() if event.type == ping["type"]] == [ping]
        assert dump(stream.response) == whole[-1]["response"]
        assert stream.anomalies == []


def test_events_that_a_server_numbers_leave_no_gap() -> None:
    stream = make_stream()
    events = plain()
    stream.receive_data(wire(numbered([*events[:3], {"type": "acme:ping", "note": "hi"}, *events[3:]])))
    assert stream.anomalies == []


@pytest.mark.parametrize(
    ("cls", "message"), [(AcmePing, "no field 'delta'"), (OutputTextDelta, "the protocol defines the field")]
)
def test_only_a_vendors_delta_can_grow_something(cls: type[Model], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make_converter().register(cls, Event, grows=Growth(item="acme:search", field="query"))


def test_a_converter_without_vendors_changes_nothing() -> None:
    stream = ResponseStream(converter=make_converter())
    stream.receive_data(wire(numbered([*opening(), *clean()[2:-1], ending([message("Hi.")])])))
    assert issubclass(AcmeSearchDelta, EventBase)
    assert stream.outcome is not None

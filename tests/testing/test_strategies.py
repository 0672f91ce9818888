"""Strategies: values fit, streams conform, and every type occurs."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any, get_args

import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st
from hypothesis.errors import NoSuchExample

from responses_proto.codec import dump, dumps, load, loads, make_converter
from responses_proto.exceptions import UsageError
from responses_proto.models.content import CONTENT_TYPES, Content
from responses_proto.models.events import EVENT_TYPES, Event
from responses_proto.models.items import ITEM_TYPES, Item, ItemStatus
from responses_proto.models.request import CreateResponse
from responses_proto.models.response import Response
from responses_proto.models.tools import TOOL_TYPES, Tool
from responses_proto.protocol import Accumulator, ResponseStream
from responses_proto.protocol.state import DELTA_FIELDS, ITEM_STEPS, OTHER_GROWTH_EVENTS, PART_EVENTS, PROGRESS
from responses_proto.testing import check_stream, strategies
from responses_proto.testing.strategies import Stream, damaged, streams

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

STRICT = make_converter(strict=True)
UNIONS: list[tuple[Any, Mapping[str, Any]]] = [
    (Event, EVENT_TYPES), (Item, ITEM_TYPES), (Tool, TOOL_TYPES), (Content, CONTENT_TYPES),
]  # fmt: skip
OWN: dict[str, tuple[Any, Callable[..., st.SearchStrategy[Any]]]] = {
    "events": (Event, strategies.events),
    "items": (Item, strategies.items),
    "tools": (Tool, strategies.tools),
    "contents": (Content, strategies.contents),
    "requests": (CreateResponse, strategies.requests),
    "responses": (Response, strategies.responses),
}


def first(strategy: st.SearchStrategy[Any], such: Callable[[Any], bool] = lambda _: True) -> Any:
    """Return the first drawn value that satisfies the condition. Fails if there is none in many examples."""
    many = settings(max_examples=1000, phases=[Phase.generate], database=None)
    return find(strategy, such, settings=many)


# ---- models


@settings(max_examples=300)
@given(
    st.sampled_from(UNIONS).flatmap(lambda u: st.tuples(st.just(u[0]), st.sampled_from(list(u[1].values())))), st.data()
)
def test_a_payload_fits_its_class_and_comes_back_as_it_was(case: tuple[Any, Any], data: st.DataObject) -> None:
    union, cls = case
    payload = data.draw(strategies.payloads(cls))
    assert type(STRICT.load(payload, cls)) is cls
    assert json.dumps(dump(load(payload, union))) == json.dumps(payload)


@pytest.mark.parametrize("beyond", [False, True], ids=["within", "beyond"])
@pytest.mark.parametrize("name", OWN)
def test_the_named_strategies(name: str, beyond: bool) -> None:
    cls, strategy = OWN[name]

    @settings(max_examples=50)
    @given(strategy(beyond=beyond))
    def holds(model: Any) -> None:
        assert loads(dumps(model), cls) == model

    holds()


@pytest.mark.parametrize("case", UNIONS, ids=["events", "items", "tools", "contents"])
def test_a_union_gives_each_of_its_classes(case: tuple[Any, Mapping[str, Any]]) -> None:
    union, registry = case
    drawn: set[str] = set()

    @settings(max_examples=30 * len(registry), phases=[Phase.generate])
    @given(strategies.models(union))
    def look(model: Any) -> None:
        drawn.add(model.type)

    look()
    assert drawn == set(registry)


def test_enumerations_have_only_known_values_without_beyond() -> None:
    known = set(get_args(get_args(ItemStatus)[0]))

    def status(item: Any) -> bool:
        return isinstance(item.status, str) and item.status not in known

    with pytest.raises(NoSuchExample):
        first(strategies.models(ITEM_TYPES["function_call"]), status)
    assert status(first(strategies.models(ITEM_TYPES["function_call"], beyond=True), status))


def test_unknown_things_occur_only_with_beyond() -> None:
    def strange(event: Any) -> bool:
        return type(event).__name__ == "UnknownEvent" or bool(event.extra)

    with pytest.raises(NoSuchExample):
        first(strategies.events(), strange)
    assert strange(first(strategies.events(beyond=True), strange))


@pytest.mark.parametrize("wrong", [str, int, list[int], dict, "Event"])
def test_other_types_are_refused(wrong: Any) -> None:
    with pytest.raises(UsageError, match="not a model"):
        strategies.payloads(wrong)


def test_requests_and_responses_have_their_classes() -> None:
    assert type(first(strategies.requests())) is CreateResponse
    assert type(first(strategies.responses())) is Response


# ---- streams


def holds(stream: Stream) -> None:
    """Assert everything that the docstring of ``streams`` promises."""
    report = check_stream(stream.body)
    assert report.ok, str(report)
    assert report.outcome.status == stream.status
    assert check_stream(stream.wire).ok
    accumulator = Accumulator(strict=True)
    for event in stream.events:
        accumulator.push(event)
    assert dump(accumulator.response) == dump(stream.response)
    assert dump(accumulator.streamed_output) == dump(stream.response)["output"]
    assert (accumulator.audio, accumulator.audio_transcript) == (stream.audio, stream.transcript)


@settings(max_examples=200)
@given(streams())
def test_a_stream_conforms_and_adds_up_to_its_response(stream: Stream) -> None:
    holds(stream)


@settings(max_examples=100)
@given(streams(beyond=True))
def test_a_stream_with_unknown_things_conforms_too(stream: Stream) -> None:
    holds(stream)


@settings(max_examples=100)
@given(streams(beyond=True), st.integers(1, 200))
def test_a_stream_is_read_the_same_however_it_is_cut(stream: Stream, size: int) -> None:
    reader = ResponseStream(strict=True)
    events: list[Event] = []
    body = stream.body
    for at in range(0, len(body), size):
        reader.receive_data(body[at : at + size])
        events += reader.events_received()
    reader.receive_eof()
    assert reader.outcome is not None
    assert (reader.outcome.status, dump(reader.outcome.response)) == (stream.status, dump(stream.response))
    assert [event.type for event in events] == [event["type"] for event in stream.wire]


def kind_of(event: str) -> str:
    of_parts = {name: part.items[0] for name, part in PART_EVENTS.items()}
    of_texts = {name: channel.item for channel in DELTA_FIELDS for name in (channel.delta, channel.done)}
    of_work = {name: progress.item for name, progress in PROGRESS.items()}
    return {**of_parts, **of_texts, **of_work, **OTHER_GROWTH_EVENTS}.get(event, "message")


# Names that only some servers use; others send `content_part` events.
ANOTHER_NAME = {"response.reasoning_part.added", "response.reasoning_part.done"}


@pytest.mark.parametrize("name", sorted(ITEM_STEPS.keys() - ANOTHER_NAME))
def test_every_event_of_an_item_is_in_some_stream(name: str) -> None:
    found = first(streams(kinds=[kind_of(name)]), lambda stream: any(event["type"] == name for event in stream.wire))
    holds(found)


@pytest.mark.parametrize("kind", sorted(ITEM_TYPES))
def test_every_kind_of_item_is_in_some_stream(kind: str) -> None:
    found = first(streams(kinds=[kind], max_items=2), lambda stream: len(stream.response.output) == 2)
    assert {item.type for item in found.response.output} == {kind}


@pytest.mark.parametrize("status", ["completed", "incomplete", "failed", "cancelled"])
def test_streams_end_in_every_way(status: str) -> None:
    found = first(streams(), lambda stream: stream.status == status and bool(stream.response.output))
    assert found.response.status == status


def test_items_and_parts_are_open_side_by_side() -> None:
    def at_once(stream: Stream, opened: str, closed: str, *, by: str) -> bool:
        places: set[tuple[object, object]] = set()
        for event in stream.wire:
            place = (event.get("output_index"), event.get(by))
            if event["type"] == opened:
                places.add(place)
                if len({place for place in places if by == "output_index" or place[0] == event["output_index"]}) > 1:
                    return True
            elif event["type"] == closed:
                places.discard(place)
        return False

    items = ("response.output_item.added", "response.output_item.done")
    parts = ("response.content_part.added", "response.content_part.done")
    assert first(streams(), lambda stream: at_once(stream, *items, by="output_index"))
    assert first(streams(kinds=["message"]), lambda stream: at_once(stream, *parts, by="content_index"))


def test_without_kinds_there_are_no_items() -> None:
    assert first(streams(kinds=[])).response.output == []


def test_an_unknown_kind_can_be_among_them() -> None:
    found = first(streams(kinds=["acme:thing"]), lambda stream: bool(stream.response.output))
    assert found.response.output[0].type == "acme:thing"
    holds(found)


def smallest(strategy: st.SearchStrategy[Any], fits: Callable[[Any], bool]) -> Any:
    """Return what Hypothesis shrinks an example to."""
    return find(strategy, fits, settings=settings(max_examples=500, database=None, deadline=None))


def test_a_failing_stream_shrinks_to_what_it_needs() -> None:
    spoken = smallest(streams(kinds=["message"]), lambda stream: bool(stream.response.output))
    assert [event["type"].removeprefix("response.") for event in spoken.wire] == [
        "created", "in_progress", "output_item.added", "output_item.done", "completed",
    ]  # fmt: skip
    heard = smallest(streams(kinds=[]), lambda stream: bool(stream.audio))
    assert len(heard.wire) <= 7
    assert heard.response.output == []


# ---- damaged streams


def test_streams_are_faulty_only_with_damages() -> None:
    def ok(body: bytes) -> bool:
        return check_stream(body).ok

    assert ok(first(damaged(max_damages=0)))
    assert not ok(first(damaged(max_damages=1), lambda body: not ok(body)))


def test_other_streams_can_be_damaged() -> None:
    body = first(damaged(st.just([b"data: 1\n\n", b"data: 2\n\n"]), max_damages=1))
    assert isinstance(body, bytes)


# ---- without Hypothesis


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)  # noqa: S603 - our own interpreter and code
    return done.stdout


def test_hypothesis_is_not_loaded_before_it_is_needed() -> None:
    assert run("import sys, responses_proto.testing; print('hypothesis' in sys.modules)") == "False\n"


def test_missing_hypothesis_is_reported_with_its_extra() -> None:
    code = (
        "import sys; sys.modules['hypothesis'] = None\n"
        "try:\n    from responses_proto.testing import strategies\n"
        "except ImportError as error:\n    print(error)\n"
    )
    assert run(code) == "strategies need hypothesis: pip install 'responses-proto[testing]'\n"

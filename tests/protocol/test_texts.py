"""Following the text of messages: each character once, whichever event states it."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING, Any

import pytest
from tests import streams
from tests.streams import added, done, ending, message, message_events, numbered, opening, plain, wire, without

from responses_proto.protocol import ResponseStream
from responses_proto.protocol._texts import MessageTexts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from tests.streams import Wire

TEXT = "Hello, wörld 🌍!"
DELTAS: dict[str, Sequence[str]] = {"no deltas": [], "half": ["Hel", "lo"], "all": ["Hello", ", ", "wörld 🌍!"]}
CLOSERS = ("response.output_text.done", "response.content_part.done", "response.output_item.done", "response.completed")
OPENERS = ("response.output_item.added", "response.content_part.added")


def follow(events: Iterable[Wire], texts: MessageTexts | None = None) -> tuple[list[str], ResponseStream]:
    """Read a stream event by event; return the pieces of text, and the stream."""
    texts = texts or MessageTexts()
    stream = ResponseStream()
    pieces: list[str] = []
    for event in events:
        stream.receive_data(b"data: " + json.dumps(event).encode() + b"\n\n")
        pieces += [new.text for received in stream.events_received() for new in texts.push(received)]
    stream.receive_eof()
    return pieces, stream


def saying(deltas: Sequence[str], *left_out: str, index: int = 0, id_: str = "msg_1", **fields: Any) -> list[Wire]:
    """Return the events of a message of :data:`TEXT` of which only these deltas are streamed, without some kinds of events."""
    first, part, *_, text_done, part_done, item_done = message_events(index, id_, [TEXT])
    streamed = [streams.text_delta(delta, index, id_) for delta in deltas]
    events = [first, part, *streamed, text_done, part_done, item_done]
    for event in (first, item_done):
        event["item"].update(fields)
    return [event for event in events if event["type"] not in left_out]


@pytest.mark.parametrize("deltas", DELTAS.values(), ids=DELTAS)
@pytest.mark.parametrize("openers", [(), OPENERS[:1], OPENERS[1:], OPENERS])
def test_the_pieces_are_the_text_of_the_response_in_whatever_events_it_is_stated(
    deltas: Sequence[str], openers: Sequence[str]
) -> None:
    for size in range(len(CLOSERS) + 1):
        for closers in itertools.combinations(CLOSERS, size):
            output = [message(TEXT)] if CLOSERS[3] not in closers else []
            events = numbered([*opening(), *saying(deltas, *openers, *closers), ending(output)])
            pieces, stream = follow(events)
            assert "".join(pieces) == stream.response.output_text, (openers, closers)
            assert all(pieces)
            if deltas:
                assert pieces[: len(deltas)] == list(deltas)


CHANGES: list[Callable[[Sequence[Wire]], list[Wire]]] = [
    streams.llama_cpp,
    streams.vllm_minus_one,
    streams.vllm_climbing,
    streams.vllm_unannounced,
    streams.copilot,
    streams.codex,
    lambda events: [without(event, "item_id") for event in events],
    lambda events: [without(event, "output_index", "content_index") for event in events],
]


@pytest.mark.parametrize("change", CHANGES)
def test_the_pieces_are_the_text_of_the_response_from_known_servers(change: Callable[[Any], list[Wire]]) -> None:
    for events in (plain(), streams.clean(), numbered([*opening(), *saying([]), ending([message(TEXT)])])):
        pieces, stream = follow(change(events))
        assert "".join(pieces) == stream.response.output_text


def test_the_pieces_are_the_text_of_the_response_if_events_come_in_another_order() -> None:
    pieces, stream = follow(streams.litellm_reordered(streams.clean()))
    assert "".join(pieces) == stream.response.output_text


def test_a_character_that_was_cut_in_halves_is_told_whole() -> None:
    pieces, stream = follow(plain(["a\ud83d", "\ude00", "b\ud83d", "\ude00c"]))
    assert pieces == ["a", "😀", "b", "😀c"]
    assert stream.response.output_text == "a😀b😀c"


def test_several_messages_and_parts() -> None:
    two = [*saying(["Hello"], index=0), *saying([], *OPENERS, index=1, id_="msg_2")]
    pieces, stream = follow(numbered([*opening(), *two, ending([])]))
    assert pieces == ["Hello", TEXT[5:], TEXT]
    assert stream.response.output_text == TEXT * 2
    parts = {**message(""), "content": [streams.output_text("one"), streams.output_text("two")]}
    pieces, _ = follow(numbered([*opening(), added(0, message("")), done(0, parts), ending([parts])]))
    assert pieces == ["one", "two"]


def test_a_message_that_only_the_terminal_response_has() -> None:
    output = [message("one", "msg_0"), message(TEXT), message("two", "msg_2")]
    pieces, stream = follow(numbered([*opening(), *saying(DELTAS["all"], index=1), ending(output)]))
    assert sorted(pieces) == sorted([*DELTAS["all"], "one", "two"])
    assert stream.response.output_text == "one" + TEXT + "two"
    pieces, _ = follow(numbered([*opening(), ending(output)]))
    assert pieces == ["one", TEXT, "two"]


@pytest.mark.parametrize("id_", ["msg_1", "other"])
def test_ids_may_change_in_the_terminal_response(id_: str) -> None:
    pieces, _ = follow(numbered([*opening(), *saying(["Hello"], *CLOSERS), ending([message(TEXT, id_)])]))
    assert pieces == ["Hello", TEXT[5:]]


def test_an_item_that_moves_to_its_index_is_the_same_message() -> None:
    events = saying(DELTAS["all"], *OPENERS, index=3)
    for event in events[:2]:
        del event["output_index"]
    pieces, stream = follow(numbered([*opening(), *events, ending([])]))
    assert "".join(pieces) == stream.response.output_text == TEXT


def test_text_that_was_told_is_not_taken_back() -> None:
    events = saying(["Hallo"])
    pieces, stream = follow(numbered([*opening(), *events, ending([message(TEXT)])]))
    assert pieces == ["Hallo"]
    assert stream.response.output_text == TEXT


def test_text_after_the_end_of_a_part_is_not_told() -> None:
    late = streams.text_delta("!")
    pieces, stream = follow(numbered([*opening(), *saying(DELTAS["all"])[:-1], late, ending([])]))
    assert "".join(pieces) == stream.response.output_text == TEXT


def test_a_response_as_json_is_told_at_once() -> None:
    texts, stream = MessageTexts(), ResponseStream()
    stream.receive_data(json.dumps(streams.saying("Hello")).encode())
    stream.receive_eof()
    assert [new.text for event in stream.events_received() for new in texts.push(event)] == ["Hello"]


# ---- which messages


def phased(*phases: str | None) -> list[Wire]:
    """Return a response with a message for each phase, whose text is its number."""
    events: list[Wire] = []
    for index, phase in enumerate(phases):
        said = message_events(index, f"msg_{index}", [str(index)])
        fields = {} if phase is None else {"phase": phase}
        events += [{**event, "item": {**event["item"], **fields}} if "item" in event else event for event in said]
    return numbered([*opening(), *events, ending([])])


@pytest.mark.parametrize(
    ("phase", "text"), [(None, "0123"), ("commentary", "02"), ("final_answer", "13"), ("analysis", "")]
)
def test_a_phase_chooses_messages(phase: str | None, text: str) -> None:
    events = phased("commentary", None, "commentary", "final_answer")
    assert "".join(follow(events, MessageTexts(phase=phase))[0]) == text


def test_a_phase_that_is_stated_late_chooses_the_whole_message() -> None:
    events = saying(DELTAS["all"])
    events[-1]["item"]["phase"] = "commentary"
    events = numbered([*opening(), *events, ending([])])
    assert follow(events, MessageTexts(phase="commentary"))[0] == [TEXT]


@pytest.mark.parametrize("where", ["items", "events"])
def test_an_agent_chooses_messages(where: str) -> None:
    def by(name: str, index: int) -> list[Wire]:
        agent = {"agent": {"agent_name": name}}
        said = message_events(index, f"msg_{index}", [name])
        if where == "events":
            return [{**event, **agent} for event in said if event["type"] not in OPENERS]
        return [{**event, "item": {**event["item"], **agent}} if "item" in event else event for event in said]

    events = numbered([*opening(), *by("/lead", 0), *by("/lead/reader", 1), ending([])])
    assert follow(events, MessageTexts(agent="/lead/reader"))[0] == ["/lead/reader"]
    assert follow(events, MessageTexts(agent="nobody"))[0] == []
    assert len(follow(events)[0]) == 2


# ---- in the middle


def test_what_others_have_read_is_not_told_again() -> None:
    events = plain(["Hel", "lo"])
    for consumed in range(len(events) + 1):
        for read in range(consumed, len(events) + 1):
            stream = ResponseStream()
            stream.receive_data(wire(events[:read]))
            received = stream.events_received()
            texts = MessageTexts()
            texts.begin_with(stream.response, received[consumed:])
            stream.receive_data(wire(events[read:]))
            rest = [*received[consumed:], *stream.events_received()]
            told = "".join(event["delta"] for event in events[:consumed] if "delta" in event)
            assert told + "".join(new.text for event in rest for new in texts.push(event)) == "Hello", (consumed, read)


def test_midway_only_what_follows_is_told() -> None:
    events = plain(["Hel", "lo"])
    for cut in range(1, len(events)):
        pieces, _ = follow(events[cut:], MessageTexts(midway=True))
        assert pieces == [event["delta"] for event in events[cut:] if "delta" in event], cut

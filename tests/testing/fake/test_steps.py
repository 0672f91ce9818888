"""From the events of an answer to the steps in which they are sent."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from responses_proto.protocol import DONE, SSEDecoder
from responses_proto.testing import Pause, Reset, WireAnswer
from responses_proto.testing.fake.steps import Change, Stage

if TYPE_CHECKING:
    from responses_proto.protocol import Frame

EVENTS: list[dict[str, Any]] = [
    {"type": "response.output_text.delta", "delta": 'Ünïcode, "quotes"\nand lines\u2028'},
    {"type": "acme:mood", "mood": None},
]


def answer(events: list[dict[str, Any]] | None, **more: Any) -> WireAnswer:
    return WireAnswer(status=200, headers={}, content_type="text/event-stream", events=events, **more)


def frames(step: object) -> list[Frame]:
    assert isinstance(step, bytes)
    return SSEDecoder().receive(step)


def test_each_event_is_a_step_of_one_frame() -> None:
    wire = answer(EVENTS)
    wire.apply(())
    *steps, last = wire.steps
    assert last == DONE
    assert [len(frames(step)) for step in steps] == [1, 1]
    sent = [frame for step in steps for frame in frames(step)]
    assert [(frame.event, json.loads(frame.data)) for frame in sent] == [
        (event["type"].encode(), event) for event in EVENTS
    ]


@pytest.mark.parametrize("event_lines", [True, False])
@pytest.mark.parametrize("done_marker", [True, False])
def test_event_lines_and_the_end_marker_can_be_left_out(event_lines: bool, done_marker: bool) -> None:
    wire = answer(EVENTS, event_lines=event_lines, done_marker=done_marker)
    wire.apply(())
    steps = wire.steps[: len(EVENTS)]
    assert wire.steps[len(EVENTS) :] == [DONE] * done_marker
    assert all((b"event:" in step) == event_lines for step in steps if isinstance(step, bytes))
    assert [json.loads(frame.data) for step in steps for frame in frames(step)] == EVENTS


@pytest.mark.parametrize("event", [{}, {"type": None}, {"type": 5}, {"delta": "x"}])
def test_an_event_without_a_name_has_no_event_line(event: dict[str, Any]) -> None:
    wire = answer([event])
    wire.apply(())
    (frame,) = frames(wire.steps[0])
    assert not frame.event
    assert json.loads(frame.data) == event


def test_no_events_leave_the_end_marker_alone() -> None:
    wire = answer([])
    wire.apply(())
    assert wire.steps == [DONE]


def test_changes_are_made_by_their_stages_in_the_order_given() -> None:
    made: list[str] = []

    def change(name: str, stage: Stage) -> Change:
        return Change(lambda answer: made.append(f"{name} {len(answer.steps)}"), stage)

    given = {"head": Stage.HEAD, "bytes": Stage.BYTES, "frames": Stage.FRAMES, "dialect": Stage.DIALECT}
    given |= {"events": Stage.EVENTS, "more bytes": Stage.BYTES}
    answer(EVENTS).apply([change(name, stage) for name, stage in given.items()])
    assert made == ["events 0", "dialect 0", "frames 3", "bytes 3", "more bytes 3", "head 3"]


def test_only_the_last_response_is_kept_for_a_request_that_does_not_stream() -> None:
    wire = answer([{"type": "a", "response": {"id": "1"}}, {"type": "b", "response": {"id": "2"}}, {"type": "c"}])
    wire.keep_response(())
    assert (wire.events, wire.content_type, wire.steps) == (None, "application/json", [b'{"id":"2"}'])


def test_a_body_that_is_not_a_stream_keeps_its_steps() -> None:
    wire = answer(None, steps=[b'{"id": ', Pause(0.1), Reset()])
    wire.apply(())
    assert wire.steps == [b'{"id": ', Pause(0.1), Reset()]

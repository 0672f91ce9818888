from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import pytest
from tests.support import both_loops, run

from responses_proto import ResponsesClient, Timeouts
from responses_proto.exceptions import (
    APIError,
    DeadlineExceeded,
    ResponsesProtoError,
    StreamInterrupted,
    StreamTruncated,
    TransportError,
    UsageError,
)
from responses_proto.protocol import DONE
from responses_proto.testing import FAULTS, Answer, Close, FakeServer, Fault, Pause, Reset, Stall

if TYPE_CHECKING:
    from responses_proto.testing import Step

TEXT = "Hello, world of words."
FATAL: dict[str, type[ResponsesProtoError]] = {
    "no terminal": StreamTruncated,
    "EOF after response.output_item.added": StreamTruncated,
    "reset after response.output_item.added": StreamInterrupted,
    "stall after response.output_item.added": DeadlineExceeded,
    "no answer": TransportError,
    "status 502": APIError,
}


def steps(*faults: Fault, answer: Answer | None = None) -> list[Step]:
    return (answer or Answer.text("One two.")).with_faults(*faults).to_wire().steps


def joined(*faults: Fault) -> bytes:
    return b"".join(step for step in steps(*faults) if isinstance(step, bytes))


@both_loops
@pytest.mark.parametrize("way", ["socket", "memory"])
@pytest.mark.parametrize("name", FAULTS)
def test_the_client_survives_each_fault_or_raises_its_error(backend: str, way: str, name: str) -> None:
    async def test() -> None:
        async with FakeServer(Answer.text(TEXT).with_faults(FAULTS[name])) as server:
            transport = server.transport if way == "memory" else None
            patience = Timeouts(between_bytes=2)
            async with ResponsesClient(server.url, http_client=transport, timeouts=patience) as client:
                stream = client.stream(model="m", input="x")
                if name in FATAL:
                    with pytest.raises(FATAL[name]):
                        async with stream:
                            await stream.result()
                else:
                    async with stream:
                        assert (await stream.result()).output_text == TEXT

    run(backend, test)


def test_every_fault_in_the_table_changes_something() -> None:
    plain = Answer.text(TEXT).to_wire()
    single = {"repeated output_index", "repeated item_id"}  # which take two items to be seen
    same = [
        name
        for name, fault in FAULTS.items()
        if name not in single and Answer.text(TEXT).with_faults(fault).to_wire() == plain
    ]
    assert same == []


def test_faults_in_the_events_are_applied_first_in_any_order() -> None:
    one = steps(Fault.split_every(5), Fault.dropped("response.in_progress"))
    other = steps(Fault.dropped("response.in_progress"), Fault.split_every(5))
    assert one == other
    assert max(len(step) for step in one if isinstance(step, bytes)) == 5


def test_faults_add_up() -> None:
    both = Fault.no_done() + Fault.line_ends("\r\n")
    assert both.name == r"no done + line ends '\r\n'"
    assert steps(both) == steps(Fault.no_done(), Fault.line_ends("\r\n"))
    assert repr(both) == r"<Fault no done + line ends '\r\n'>"


def test_a_place_is_a_number_from_either_end_or_a_type() -> None:
    first = steps(Fault.reset(after=0))
    assert first == steps(Fault.reset(after="response.created"))
    assert len(first) == 2
    assert steps(Fault.eof(after=-1))[-1] == Close()
    assert b"response.completed" in steps(Fault.eof(after=-1))[-2]  # type: ignore[operator]  # pyright: ignore[reportOperatorIssue] - it is bytes
    assert steps(Fault.doubled("response.output_text.delta"))[4:6] == [steps()[4]] * 2


@pytest.mark.parametrize(
    "fault",
    [Fault.dropped(99), Fault.reset(after="response.nothing"), Fault.bad_json("response.failed"), Fault.doubled(-99)],
)
def test_a_fault_without_its_place_is_an_error(fault: Fault) -> None:
    with pytest.raises(UsageError, match="no event"):
        steps(fault)


def test_a_place_in_a_body_of_bytes_is_that_of_a_piece() -> None:
    answer = Answer.stream(b"a", b"b", b"c")
    assert steps(Fault.stall(after=1), answer=answer) == [b"a", b"b", Stall()]
    with pytest.raises(UsageError, match="no piece"):
        steps(Fault.stall(after=3), answer=answer)


def test_cutting_does_not_change_the_bytes() -> None:
    body = joined()
    for fault in (Fault.split_at(7), Fault.split_every(3), Fault.joined(), Fault.delayed(1)):
        assert joined(fault) == body
    assert [len(step) for step in steps(Fault.split_at(7)) if isinstance(step, bytes)] == [7, len(body) - 7]
    assert gzip.decompress(joined(Fault.compressed())) == body


def test_pauses_are_where_they_were_put() -> None:
    assert steps(Fault.delayed(2, at=1))[1] == Pause(2)
    assert steps(Fault.delayed(2))[::2] == [Pause(2)] * len(steps())
    assert Answer.text("x").with_faults(Fault.slow_head(3)).to_wire().before_head == [Pause(3)]


def test_nothing_follows_an_end() -> None:
    assert steps(Fault.open_socket())[-2:] == [DONE, Stall()]
    assert steps(Fault.reset(after=2))[3:] == [Reset()]
    assert Answer.text("x").with_faults(Fault.no_answer()).to_wire().before_head == [Close()]


def test_position_fields_are_changed() -> None:
    def values(fault: Fault, field: str) -> list[object]:
        draft = Answer.text("One two three.").with_faults(fault).to_wire()
        return [event[field] for event in draft.events or () if field in event]

    assert values(Fault.missing("item_id"), "item_id") == []
    assert set(values(Fault.repeated("sequence_number"), "sequence_number")) == {0}
    assert set(values(Fault.rotating("content_index"), "content_index")) == {-1, 1}
    rotated = values(Fault.rotating("item_id"), "item_id")
    assert len(set(rotated)) == len(rotated)


def test_late_events_come_after_the_terminal_one_and_before_done() -> None:
    late = steps(Fault.late_events({"type": "x:late"}, {"type": "x:later", "sequence_number": 7}))
    assert [isinstance(step, bytes) and b"x:late" in step for step in late[-3:]] == [True, True, False]


def test_a_status_replaces_the_answer() -> None:
    draft = (
        Answer.text("x")
        .with_faults(Fault.status(503, b"busy", {"Retry-After": "1"}, content_type="text/plain"))
        .to_wire()
    )
    assert (draft.status, draft.steps, draft.headers, draft.content_type) == (
        503,
        [b"busy"],
        {"retry-after": "1"},
        "text/plain",
    )

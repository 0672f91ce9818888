"""The client's end: whose a message is, which lane is free, what became of a steer."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from tests.streams import call, ending, plain, response

from responses_proto.exceptions import APIError, LimitExceeded, LocalProtocolError, StreamTruncated, TransportError
from responses_proto.limits import Limits
from responses_proto.protocol.websocket import CONNECTION_LIMIT, ClientSession, ClientSteer, ClientTurn

if TYPE_CHECKING:
    from tests.streams import Wire

NOT_FOUND: Wire = {"type": "error", "status": 400, "error": {"code": "previous_response_not_found", "message": "No."}}
TOO_OLD: Wire = {"type": "error", "status": 400, "error": {"code": CONNECTION_LIMIT, "message": "Too old."}}
ERROR: Wire = {"type": "error", "code": "server_error", "message": "No."}


def hear(session: ClientSession, *events: Any, lane: str | None = None) -> list[ClientTurn | ClientSteer]:
    """Let messages come; give what the last one changed."""
    changed: list[ClientTurn | ClientSteer] = []
    for event in events:
        named = {**event, "stream_id": lane} if lane is not None else event
        changed = session.receive_message(event if isinstance(event, bytes) else json.dumps(named).encode())
    return changed


def types(session: ClientSession, turn: ClientTurn) -> list[str]:
    """Fetch what came for a turn."""
    return [json.loads(data).get("type") for data in session.messages_received(turn)]


def created(id_: str = "resp_1", **fields: Any) -> Wire:
    return {"type": "response.created", "response": response(id=id_, **fields)}


def ended(id_: str = "resp_1", status: str = "completed", *output: Wire) -> Wire:
    return ending(output, status, id=id_)


def delta(text: str = "x") -> Wire:
    return {"type": "response.output_text.delta", "delta": text}


# ---- one lane


def test_a_turn_gets_the_messages_until_its_response_ends() -> None:
    session = ClientSession()
    turn = session.begin()
    events = plain()
    for event in events:
        assert not turn.ended
        assert hear(session, event) == [turn]
    assert turn.ended
    assert (turn.response_id, session.busy) == ("resp_1", False)
    assert types(session, turn) == [event["type"] for event in events]
    assert session.buffered == 0
    assert session.anomalies == []


def test_messages_are_returned_unchanged() -> None:
    session = ClientSession()
    turn = session.begin()
    data = b'{ "type":"response.created",\n "response": {"id": "r\\u00e9"} }'
    session.receive_message(data)
    assert session.messages_received(turn) == [data]
    assert turn.response_id == "ré"


def test_a_lane_carries_one_response_at_a_time() -> None:
    session = ClientSession()
    session.begin()
    with pytest.raises(LocalProtocolError, match=r"without a stream_id is busy with a response: .* stream_id="):
        session.begin()
    hear(session, created())
    with pytest.raises(LocalProtocolError, match="busy with resp_1"):
        session.begin()
    hear(session, ended())
    assert session.begin().state == "requested"


@pytest.mark.parametrize(
    "end", [{"status": "completed"}, {"status": "incomplete"}, {"status": "failed", "error": {"code": "server_error"}}]
)
def test_each_end_frees_the_lane(end: Wire) -> None:
    session = ClientSession()
    turn = session.begin()
    hear(session, created(), ending([], id="resp_1", **end))
    assert turn.ended
    session.begin()


def test_a_rejection_comes_in_place_of_a_response() -> None:
    session = ClientSession()
    turn = session.begin(previous_response_id="resp_0")
    assert hear(session, NOT_FOUND) == [turn]
    assert turn.ended
    assert turn.rejection == NOT_FOUND
    session.begin()


def test_an_error_with_a_status_in_the_middle_is_the_end_and_no_rejection() -> None:
    session = ClientSession()
    turn = session.begin()
    hear(session, created(), NOT_FOUND)
    assert turn.ended
    assert turn.rejection is None
    assert types(session, turn) == ["response.created", "error"]


def test_an_error_without_a_status_may_be_followed_by_the_end() -> None:
    session = ClientSession()
    turn = session.begin()
    hear(session, created(), ERROR)
    assert (turn.state, turn.rejection) == ("failing", None)
    hear(session, ended(status="failed"))
    assert types(session, turn) == ["response.created", "error", "response.failed"]


@pytest.mark.parametrize("known", [True, False])
def test_the_end_of_a_turn_left_after_an_error_does_not_end_the_next_turn(*, known: bool) -> None:
    session = ClientSession()
    turn = session.begin()
    hear(session, *([created()] if known else []), ERROR)
    assert not session.leave(turn)
    following = session.begin()
    assert hear(session, ended(status="failed")) == []
    assert hear(session, created("resp_2"), ended("resp_2")) == [following]
    assert types(session, following) == ["response.created", "response.completed"]


def test_the_end_of_a_turn_left_after_an_error_belongs_to_no_turn() -> None:
    session = ClientSession()
    turn, other = session.begin(), session.begin("b")
    hear(session, created(), ERROR)
    session.leave(turn)
    assert hear(session, ended(status="failed")) == []
    assert not other.ended


def test_a_failure_of_the_next_turn_belongs_to_that_turn() -> None:
    session = ClientSession()
    turn = session.begin()
    hear(session, created(), ERROR)
    session.leave(turn)
    following = session.begin()
    assert hear(session, ending([], "failed", id="resp_2", error={"code": "server_error"})) == [following]
    assert following.ended


# ---- what comes after the end of a turn

REASON: Wire = {"type": "error", "error": {"code": "content_filter", "message": "Filtered."}}
PRIVATE: Wire = {"type": "acme.summary", "response": {"id": "resp_9"}}
ENDED_BY_ERROR: Wire = {"type": "error", "status": 400, "error": {"code": "x", "message": "Wrong."}}


def second_turn(*, failed: bool = False) -> tuple[ClientSession, ClientTurn, ClientTurn]:
    """Return a session whose first turn has just ended and whose second one is requested."""
    session = ClientSession()
    first = session.begin()
    end = ended(status="failed") if failed else ended()
    hear(session, {**created(), "sequence_number": 0}, {**end, "sequence_number": 1})
    session.leave(first)
    return session, first, session.begin()


@pytest.mark.parametrize("reason", [REASON, {**REASON, "sequence_number": 2}, {**REASON, "status": 400}])
def test_the_reason_that_follows_a_failure_belongs_to_the_turn_that_failed(reason: Wire) -> None:
    session = ClientSession()
    turn = session.begin()
    hear(session, created(), ended(status="failed"))
    before = turn.ended
    hear(session, {"type": "keepalive"}, reason)
    assert (before, turn.ended) == (False, True)
    assert types(session, turn) == ["response.created", "response.failed", "keepalive", "error"]
    assert session.anomalies == []


def test_a_turn_whose_reason_is_awaited_holds_up_nobody() -> None:
    session = ClientSession()
    turn = session.begin()
    hear(session, created(), ended(status="failed"))
    following = session.begin()
    assert turn.ended
    assert hear(session, created("resp_2"), ended("resp_2")) == [following]
    assert not session.leave(turn)


@pytest.mark.parametrize(
    ("late", "failed"),
    [
        ({"type": "keepalive", "sequence_number": 42}, False),
        ({"type": "response.rate_limits.updated", "rate_limits": []}, False),
        (PRIVATE, False),
        ({"type": "response.done", "response": {"id": "resp_1"}}, False),
        ({**REASON, "sequence_number": 2}, False),
        ({**REASON, "sequence_number": 2, "status": 400}, True),
        ({"type": "response.in_progress", "response": {"id": "resp_1"}}, False),
        (REASON, True),
        ({**REASON, "status": 400}, True),
        (ended(), False),
        (delta(), False),
    ],
)
def test_what_belongs_to_the_last_turn_never_reaches_the_next(late: Wire, *, failed: bool) -> None:
    session, _, turn = second_turn(failed=failed)
    hear(session, late)
    assert not turn.ready
    assert hear(session, created("resp_2"), ended("resp_2")) == [turn]
    assert types(session, turn) == ["response.created", "response.completed"]
    beside = late["type"] in {"keepalive", "response.rate_limits.updated"}
    assert [anomaly.code for anomaly in session.anomalies] == ([] if beside else ["unasked-message"])


@pytest.mark.parametrize("late", [{"type": "response.done", "response": {"id": "resp_1"}}, ended()])
def test_a_message_that_names_the_last_response_is_not_of_the_one_under_way(late: Wire) -> None:
    session, _, turn = second_turn()
    hear(session, created("resp_2"), late)
    assert not turn.ended
    hear(session, ended("resp_2"))
    assert types(session, turn) == ["response.created", "response.completed"]


@pytest.mark.parametrize("answer", [ENDED_BY_ERROR, ended("resp_2"), {**NOT_FOUND, "sequence_number": 0}])
def test_an_answer_that_can_only_be_that_of_the_next_turn_is_taken_at_once(answer: Wire) -> None:
    session, _, turn = second_turn()
    assert hear(session, answer) == [turn]
    assert turn.ended


@pytest.mark.parametrize("answer", [NOT_FOUND, TOO_OLD])
def test_a_refusal_after_a_failure_is_taken_at_once(answer: Wire) -> None:
    session, _, turn = second_turn(failed=True)
    hear(session, answer)
    assert turn.rejection == answer


@pytest.mark.parametrize(
    ("answer", "failed", "state"),
    [(ERROR, False, "failing"), (ENDED_BY_ERROR, True, "ended"), (delta(), False, "answered")],
)
def test_an_answer_in_doubt_is_the_turns_if_nothing_else_comes(answer: Wire, state: str, *, failed: bool) -> None:
    session, _, turn = second_turn(failed=failed)
    assert hear(session, answer) == [turn]
    assert not turn.ready
    session.settle(turn)
    assert turn.state == state
    assert types(session, turn) == [answer["type"]]
    session.settle(turn)
    assert types(session, turn) == []


def test_a_response_that_is_not_announced_loses_nothing() -> None:
    session, _, turn = second_turn()
    hear(session, delta("a"), delta("b"), ended("resp_2"))
    assert types(session, turn) == [delta()["type"], delta()["type"], "response.completed"]


def test_a_long_response_that_is_not_announced_is_not_kept_back() -> None:
    session, _, turn = second_turn()
    for _ in range(20):
        hear(session, delta("x" * 8192))
    assert turn.ready
    assert len(types(session, turn)) == 20


def test_a_server_that_announces_no_responses_is_believed() -> None:
    session = ClientSession()
    first = session.begin()
    hear(session, delta(), ended())
    session.leave(first)
    turn = session.begin()
    assert hear(session, delta()) == [turn]
    assert types(session, turn) == [delta()["type"]]


def test_invalid_json_goes_to_the_reader_of_the_turn() -> None:
    session = ClientSession()
    turn = session.begin()
    hear(session, created())
    for data in (b"{", b"[]", b"\xff", b"[" * 100_000):
        assert hear(session, data) == [turn]
    assert len(session.messages_received(turn)) == 5
    assert not turn.ended


def test_done_ends_only_a_turn_that_was_answered() -> None:
    session = ClientSession()
    turn = session.begin()
    assert hear(session, b"[DONE]") == []
    hear(session, created())
    assert hear(session, b" [DONE] ") == [turn]
    assert turn.ended
    assert session.messages_received(turn)[-1] == b" [DONE] "
    assert session.anomalies == []


def test_a_message_without_a_turn_is_an_anomaly() -> None:
    session = ClientSession(limits=Limits(max_anomalies=2))
    assert hear(session, created()) == []
    turn = session.begin()
    hear(session, created(), ended(), ended(), delta(), delta())
    assert [(anomaly.code, anomaly.path) for anomaly in session.anomalies] == [
        ("unasked-message", "response.created $"),
        ("unasked-message", "response.completed $"),
    ]
    assert types(session, turn) == ["response.created", "response.completed"]


def test_a_message_allowed_at_any_time_is_no_anomaly() -> None:
    session = ClientSession()
    turn = session.begin()
    hear(session, {"type": "keepalive"}, created(), ended())
    hear(session, {"type": "keepalive"}, {"type": "response.rate_limits.updated", "rate_limits": []}, b"[DONE]")
    assert types(session, turn) == ["keepalive", "response.created", "response.completed"]
    assert session.anomalies == []


# ---- lanes


def test_lanes_go_side_by_side() -> None:
    session = ClientSession()
    a, b, plain_ = session.begin("a"), session.begin("b"), session.begin()
    hear(session, created("resp_a"), lane="a")
    hear(session, created("resp_b"), delta(), lane="b")
    hear(session, created("resp_c"))
    hear(session, ended("resp_b"), lane="b")
    assert (a.ended, b.ended, plain_.ended) == (False, True, False)
    assert [turn.response_id for turn in (a, b, plain_)] == ["resp_a", "resp_b", "resp_c"]
    assert types(session, b) == ["response.created", "response.output_text.delta", "response.completed"]
    with pytest.raises(LocalProtocolError, match="the lane 'a' is busy with resp_a"):
        session.begin("a")


def test_a_server_that_knows_no_lanes_answers_in_order() -> None:
    session = ClientSession()
    a, b = session.begin("a"), session.begin("b")
    hear(session, created("resp_a"), delta(), ended("resp_a"))
    hear(session, created("resp_b"), ended("resp_b"))
    assert (a.response_id, b.response_id) == ("resp_a", "resp_b")
    assert types(session, a) == ["response.created", "response.output_text.delta", "response.completed"]


def test_without_a_stream_id_a_server_with_lanes_means_the_unnamed_lane() -> None:
    session = ClientSession()
    a = session.begin("a")
    hear(session, created(), lane="a")
    assert hear(session, delta()) == []
    assert types(session, a) == ["response.created"]


def test_a_lane_without_a_request_gets_nothing() -> None:
    session = ClientSession()
    session.begin("a")
    assert hear(session, created(), lane="b") == []


def test_idle_lanes_are_forgotten() -> None:
    session = ClientSession()
    for number in range(2000):
        session.begin(f"lane-{number}")
        hear(session, ended(f"resp_{number}"), lane=f"lane-{number}")
    assert session.knows("resp_1999")
    assert not session.knows("resp_1")


# ---- bounds


def test_only_an_unread_lane_exceeds_the_limit() -> None:
    session = ClientSession(limits=Limits(max_buffered_bytes=1000))
    slow, fast = session.begin("slow"), session.begin("fast")
    hear(session, created(), lane="slow")
    hear(session, created("resp_2"), lane="fast")
    before = session.buffered
    hear(session, delta("x" * 900), delta(), lane="slow")
    assert isinstance(slow.failure, LimitExceeded)
    assert slow.failure.limit == "max_buffered_bytes"
    assert types(session, slow) == ["response.created"]
    assert session.buffered < before
    assert not session.leave(slow)
    with pytest.raises(LocalProtocolError, match="busy"):
        session.begin("slow")
    hear(session, ended(), lane="slow")
    session.begin("slow")
    hear(session, ended("resp_2"), lane="fast")
    assert fast.failure is None
    assert types(session, fast) == ["response.created", "response.completed"]


# ---- the end of the connection


@pytest.mark.parametrize(
    ("events", "closing"),
    [([], True), ([created()], True), ([created(), ERROR], False), ([created(), ended()], False), ([NOT_FOUND], False)],
)
def test_leaving_requires_closing_if_more_would_come(events: list[Wire], *, closing: bool) -> None:
    session = ClientSession()
    turn = session.begin()
    hear(session, *events)
    assert session.leave(turn) is closing
    assert session.buffered == 0


def test_the_end_of_the_connection_cuts_off_what_is_under_way() -> None:
    session = ClientSession()
    over, a, b = session.begin(), session.begin("a"), session.begin("b")
    hear(session, created(), ended())
    hear(session, created("resp_2"), lane="a")
    error = StreamTruncated("gone")
    error.__cause__ = OSError("why")
    assert session.connection_lost(error) == [a, b]
    assert over.failure is None
    assert isinstance(a.failure, StreamTruncated)
    assert a.failure is not b.failure  # each gets a response of its own to carry
    assert a.failure.__cause__ is error.__cause__
    assert a.ready
    assert types(session, a) == ["response.created"]
    assert session.connection_lost(TransportError("again")) == []
    assert session.lost is error


def test_an_expired_connection_refuses_a_requested_turn() -> None:
    session = ClientSession()
    running, asked = session.begin("a"), session.begin()
    hear(session, created(), lane="a")
    assert hear(session, TOO_OLD) == [asked]
    assert session.expired
    assert asked.rejection == TOO_OLD
    assert not running.ended


def test_an_expiry_in_the_middle_of_a_turn_concerns_all_turns() -> None:
    session = ClientSession()
    a, b = session.begin("a"), session.begin("b")
    hear(session, created(), lane="a")
    hear(session, created("resp_2"), lane="b")
    assert hear(session, TOO_OLD) == [a, b]
    assert (a.ended, b.ended, a.rejection) == (True, True, None)


def test_a_connection_may_expire_between_turns() -> None:
    session = ClientSession()
    assert hear(session, TOO_OLD) == []
    assert session.expired
    assert session.anomalies == []


# ---- steering


def accepted(id_: str = "steer_1", parent: str = "resp_1") -> Wire:
    return {
        "type": "response.steer.accepted",
        "sequence_number": 9,
        "steer": {"id": id_, "previous_response_id": parent},
    }


def pending(id_: str = "steer_1", parent: str = "resp_1") -> Wire:
    return {
        **accepted(id_, parent),
        "type": "response.steer.pending",
        "reason": "waiting_for_required_input",
        "required_input": [{"type": "function_call_output", "call_id": "call_1", "name": "weather"}],
    }


def refused(id_: str | None = None, code: str = "response_already_completed") -> Wire:
    steer: Wire = {"previous_response_id": "resp_1", "input": "Cats."}
    return {
        "type": "response.steer.failed",
        "sequence_number": 9,
        "steer": {**steer, "id": id_} if id_ else steer,
        "error": {"code": code, "message": "No.", "type": "invalid_request_error"},
    }


def running(lane: str | None = None) -> tuple[ClientSession, ClientTurn]:
    session = ClientSession()
    turn = session.begin(lane)
    hear(session, created(), lane=lane)
    return session, turn


@pytest.mark.parametrize("lane", [None, "a"])
@pytest.mark.parametrize("status", ["completed", "incomplete"])
def test_a_steered_response_has_a_successor(lane: str | None, status: str) -> None:
    session, turn = running(lane)
    steering = session.steer("resp_1")
    assert hear(session, accepted(), lane=lane) == [steering, turn]
    assert steering.accepted
    assert (steering.state, steering.accepted.steer.id) == ("accepted", "steer_1")
    assert session.successor("resp_1") is None  # not yet
    hear(session, ended(status=status), lane=lane)
    assert session.successor("resp_1") is None
    with pytest.raises(LocalProtocolError, match=r"is reserved for the successor of resp_1, .*session\.successor"):
        session.begin(lane)
    assert steering in hear(session, created("resp_2", previous_response_id="resp_1"), lane=lane)
    assert steering.state == "committed"
    with pytest.raises(LocalProtocolError, match="successor"):
        session.begin(lane)
    successor = session.successor("resp_1")
    assert successor
    hear(session, ended("resp_2"), lane=lane)
    assert types(session, successor) == ["response.created", "response.completed"]
    assert types(session, turn) == ["response.created", "response.steer.accepted", f"response.{status}"]
    session.begin(lane)


def test_a_successor_can_be_read_after_its_end() -> None:
    session, _ = running()
    session.steer("resp_1")
    hear(session, accepted(), ended(), created("resp_2", previous_response_id="resp_1"), ended("resp_2"))
    with pytest.raises(LocalProtocolError, match="read it with"):
        session.begin()
    successor = session.successor("resp_1")
    assert successor
    assert successor.ended
    assert types(session, successor) == ["response.created", "response.completed"]
    session.begin()
    with pytest.raises(LocalProtocolError, match="no response follows resp_1"):
        session.successor("resp_1")


def test_a_steer_that_was_accepted_after_the_end_has_a_successor_too() -> None:
    session, _ = running()
    session.steer("resp_1")
    hear(session, ended())
    hear(session, accepted())
    with pytest.raises(LocalProtocolError, match="successor"):
        session.begin()
    hear(session, created("resp_2", previous_response_id="resp_1"))
    assert session.successor("resp_1")


def test_several_steers_have_one_successor() -> None:
    session, _ = running()
    one, two = session.steer("resp_1"), session.steer("resp_1")
    hear(session, accepted("steer_1"), accepted("steer_2"), ended())
    hear(session, created("resp_2", previous_response_id="resp_1"))
    assert (one.id, one.state, two.id, two.state) == ("steer_1", "committed", "steer_2", "committed")
    assert session.successor("resp_1")


@pytest.mark.parametrize("after", [True, False])
def test_a_response_that_waits_for_input_has_no_successor(*, after: bool) -> None:
    # `after`: what follows is asked for when the server has said that it waits.
    session, _ = running()
    steering = session.steer("resp_1")
    hear(session, accepted(), ended("resp_1", "completed", call("{}")))
    if after:
        assert hear(session, pending()) == [steering]
        assert [event.required_input[0].call_id for event in session.pending] == ["call_1"]
        with pytest.raises(LocalProtocolError, match="resp_1 waits for input: send it"):
            session.successor("resp_1")
    following = session.begin(previous_response_id="resp_1")
    if not after:
        hear(session, pending())
    assert hear(session, created("resp_2", previous_response_id="resp_1")) == [following, steering]
    assert steering.state == "committed"
    assert session.pending == []
    assert following.claimed


def test_a_reserved_lane_is_free_once_the_steer_is_pending() -> None:
    # The server's list of calls to answer takes precedence over the output.
    session, _ = running()
    session.steer("resp_1")
    hear(session, accepted(), ended(), pending())
    session.begin(previous_response_id="resp_1")


def test_an_unexpected_successor_is_kept_until_it_is_read() -> None:
    session, turn = running()
    steering = session.steer("resp_1")
    hear(session, accepted(), ended("resp_1", "completed", call("{}")), pending())
    assert (steering.state, session.busy) == ("pending", False)
    changed = hear(session, created("resp_2", previous_response_id="resp_1"))  # the server did not wait for the outputs
    successor = session.successor("resp_1")
    assert successor is not None
    assert successor is not turn
    assert changed == [successor, steering]
    assert steering.state == "committed"
    assert types(session, successor) == ["response.created"]


def test_only_a_turn_on_the_same_lane_commits_the_steers() -> None:
    session, _ = running()
    steering = session.steer("resp_1")
    hear(session, accepted(), ended("resp_1", "completed", call("{}")), pending())
    fork = session.begin("b", previous_response_id="resp_1")
    assert hear(session, created("resp_2", previous_response_id="resp_1"), lane="b") == [fork]
    assert steering.state == "pending"


def test_a_steer_that_is_refused_is_an_error_with_its_input() -> None:
    session, turn = running()
    steering = session.steer("resp_1")
    assert hear(session, refused()) == [steering, turn]
    error = session.steer_error(steering)
    assert isinstance(error, APIError)
    assert (error.code, error.message) == ("response_already_completed", "No.")
    assert isinstance(error.body, dict)
    assert error.body["steer"] == {"previous_response_id": "resp_1", "input": "Cats."}
    hear(session, ended())
    session.begin()


def test_a_successor_that_could_not_be_made_is_an_error() -> None:
    session, _ = running()
    session.steer("resp_1")
    hear(session, accepted(), ended())
    hear(session, refused("steer_1", "successor_creation_failed"))
    with pytest.raises(APIError) as caught:
        session.successor("resp_1")
    assert caught.value.code == "successor_creation_failed"
    session.begin()


def test_of_two_steers_one_may_fail() -> None:
    session, _ = running()
    one, two = session.steer("resp_1"), session.steer("resp_1")
    hear(session, accepted("steer_1"), refused(code="too_many_pending_steers"), ended())
    assert (one.state, two.state) == ("accepted", "failed")
    hear(session, created("resp_2", previous_response_id="resp_1"))
    assert session.successor("resp_1")


def test_a_response_that_was_not_steered_has_no_successor() -> None:
    session, _ = running()
    with pytest.raises(LocalProtocolError, match=r"no response follows resp_1 by itself: .*session\.steer"):
        session.successor("resp_1")


def test_events_about_unknown_steers_change_nothing() -> None:
    session, turn = running()
    assert hear(session, accepted()) == [turn]  # it is an event of the response all the same
    assert hear(session, pending(), accepted("steer_2", "resp_9"), {"type": "response.steer.failed"}) == []
    hear(session, ended())
    session.begin()
    assert session.anomalies == []


def test_steers_are_lost_with_the_connection() -> None:
    session, _ = running()
    steering = session.steer("resp_1")
    hear(session, accepted(), ended())
    lost = session.connection_lost(StreamTruncated("gone"))
    assert steering in lost
    # The successor was due: it is there, cut off before it began.
    successor = session.successor("resp_1")
    assert successor
    assert isinstance(successor.failure, StreamTruncated)


def test_a_steer_of_a_running_response_is_lost_with_the_connection() -> None:
    session, _ = running()
    session.steer("resp_1")
    hear(session, accepted())
    session.connection_lost(StreamTruncated("gone"))
    with pytest.raises(StreamTruncated):
        session.successor("resp_1")


def test_messages_of_wrong_types_are_harmless() -> None:
    session, turn = running()
    for value in (
        {"type": 7},
        {"stream_id": 7},
        {"type": "response.created", "response": "x"},
        {"type": "error", "error": 1},
    ):
        session.receive_message(json.dumps(value).encode())
    session.steer("resp_1")
    hear(session, accepted(), {"type": "response.completed", "response": {"id": "resp_1", "output": 7}})
    assert turn.ended


# ---- input for the agents of a running response


def injected(id_: str = "resp_1") -> Wire:
    return {"type": "response.inject.created", "sequence_number": 2, "response_id": id_}


def not_injected(id_: str = "resp_1") -> Wire:
    error = {"code": "response_not_found", "message": "No."}
    return {"type": "response.inject.failed", "sequence_number": 2, "response_id": id_, "input": [], "error": error}


@pytest.mark.parametrize("answer", [injected, not_injected])
def test_what_became_of_injected_input_is_told_to_its_response(answer: Any) -> None:
    session = ClientSession()
    first, second = session.begin("a"), session.begin("b")
    hear(session, created("resp_1"), lane="a")
    hear(session, created("resp_2"), lane="b")
    assert hear(session, answer("resp_2")) == [second]
    assert types(session, first) == ["response.created"]
    assert types(session, second) == ["response.created", answer()["type"]]
    assert hear(session, ended("resp_2"), lane="b") == [second]
    assert hear(session, answer("resp_2")) == []
    assert session.anomalies == []

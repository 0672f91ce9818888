"""The tables are complete and closed, and use the names of the models."""

from __future__ import annotations

from typing import get_args, get_type_hints

import pytest

from responses_proto.models.event_parts import InjectError, SteerError
from responses_proto.models.events import EVENT_TYPES, TERMINAL_TYPES
from responses_proto.models.request import CLIENT_EVENT_TYPES, CreateResponse, ResponseCreateMessage
from responses_proto.protocol.websocket import (
    CLIENT_MESSAGES,
    CLOSE_CODES,
    HTTP_ONLY_FIELDS,
    INJECT_ERRORS,
    LEAVING,
    MESSAGE_KINDS,
    STEER_ERRORS,
    STEER_LIFE,
    STREAM_ID,
    TURN_LIFE,
    MessageKind,
    SteerState,
    TurnState,
    common_fields,
)
from responses_proto.protocol.websocket._tables import code_of, kind_of, parent_of, response_id_of, stream_id_of


def test_each_state_has_its_row() -> None:
    assert set(TURN_LIFE) == set(TurnState) == set(LEAVING)
    assert set(STEER_LIFE) == set(SteerState)


def test_each_state_is_reached_and_final_states_have_no_way_out() -> None:
    assert {following for row in TURN_LIFE.values() for following in row.values()} | {"due", "requested"} == set(
        TURN_LIFE
    )
    assert {following for row in STEER_LIFE.values() for following in row.values()} | {"sent"} == set(STEER_LIFE)
    assert [state for state, row in TURN_LIFE.items() if not row] == ["ended"]
    assert [state for state, row in STEER_LIFE.items() if not row] == ["committed", "failed"]


def test_every_requested_turn_can_end_with_one_message() -> None:
    for state in (TurnState.REQUESTED, TurnState.ANSWERED, TurnState.FAILING):
        assert {TURN_LIFE[state][kind] for kind in ("terminal", "rejected")} == {"ended"}


def test_the_kinds_of_messages_are_those_of_known_events() -> None:
    assert set(MESSAGE_KINDS) <= set(EVENT_TYPES)
    assert {type_ for type_, kind in MESSAGE_KINDS.items() if kind == "terminal"} == TERMINAL_TYPES
    assert {*MESSAGE_KINDS.values(), "event", "unexplained", "rejected", "done"} == set(get_args(MessageKind))


def test_the_events_of_steers_are_those_of_the_models() -> None:
    steered = {name for row in STEER_LIFE.values() for name in row}
    assert steered == {"response.created", *(name for name in EVENT_TYPES if name.startswith("response.steer."))}


def test_each_error_code_of_a_steer_has_a_message() -> None:
    (known, _) = get_args(get_type_hints(SteerError)["code"])
    assert set(STEER_ERRORS) == set(get_args(known))


def test_each_error_code_of_an_injection_has_a_message() -> None:
    (known, _) = get_args(get_type_hints(InjectError)["code"])
    assert set(INJECT_ERRORS) - {"injection_not_supported"} == set(get_args(known))


def test_what_a_client_says_is_no_event_of_a_server() -> None:
    assert set(CLIENT_MESSAGES) == set(CLIENT_EVENT_TYPES)
    assert not set(CLIENT_MESSAGES) & set(EVENT_TYPES)


def test_close_codes_are_in_the_range_of_the_protocol() -> None:
    assert all(1000 <= code < 1016 for code in CLOSE_CODES)


@pytest.mark.parametrize("name", ["a", "A-z_0.9", "x" * 256])
def test_valid_stream_ids(name: str) -> None:
    assert STREAM_ID.fullmatch(name)


@pytest.mark.parametrize("name", ["", "a b", "ü", "a/b", 'a"', "x" * 257, "a\n"])
def test_invalid_stream_ids(name: str) -> None:
    assert not STREAM_ID.fullmatch(name)


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ({"type": "response.output_text.delta"}, "event"),
        ({"type": "response.created"}, "created"),
        ({"type": "response.completed"}, "terminal"),
        ({"type": "response.failed"}, "unexplained"),
        ({"type": "response.failed", "response": {"error": None}}, "unexplained"),
        ({"type": "response.failed", "response": {"error": {"code": "x", "message": "y"}}}, "terminal"),
        ({"type": "error", "code": "x", "message": "y"}, "error"),
        ({"type": "error", "error": {}}, "error"),
        ({"type": "error", "status": 400, "error": {}}, "rejected"),
        ({"type": "error", "status": 200, "error": {}}, "error"),
        ({"type": "error", "status": "400"}, "error"),
        ({"error": {"message": "No."}}, "error"),
        ({"status": 503, "error": {"message": "No."}}, "rejected"),
        ({"type": "keepalive"}, "beside"),
        ({"type": "response.steer.pending"}, "steer"),
        ({"type": "response.inject.created"}, "inject"),
        ({"type": "response.inject.failed"}, "inject"),
        ({"type": ["response.created"]}, "event"),
        ({}, "event"),
        ([], "event"),
        ("[DONE]", "done"),
        ("half of a", "event"),
        (None, "event"),
    ],
)
def test_the_kind_of_a_message(value: object, kind: str) -> None:
    assert kind_of(value) == kind


def test_the_fields_of_a_message_are_found() -> None:
    event = {"stream_id": "a", "response": {"id": "resp_2", "previous_response_id": "resp_1"}}
    assert (stream_id_of(event), response_id_of(event), parent_of(event)) == ("a", "resp_2", "resp_1")
    for other in ({}, {"stream_id": 1, "response": "resp_2"}, {"response": {"id": None}}, "[DONE]", None):
        assert (stream_id_of(other), response_id_of(other), parent_of(other), code_of(other)) == (None, "", "", "")
    assert code_of({"error": {"code": "a"}, "code": "b"}) == "a"
    assert code_of({"code": "b"}) == "b"


def test_common_fields_are_those_of_both_requests() -> None:
    message = ResponseCreateMessage(model="m", input="x", stream_id="a", generate=False)
    request = CreateResponse(model="m", input="x", stream=True)
    assert common_fields(message) == common_fields(request)
    assert not {*HTTP_ONLY_FIELDS, "stream_id", "generate"} & common_fields(message).keys()

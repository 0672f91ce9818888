"""The server's end: what is answered, in which order, and what is left on the connection."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING, Any

import attrs
import pytest
from tests.openresponses import check

from responses_proto.codec import dump
from responses_proto.exceptions import APIError
from responses_proto.models.items import FunctionCallOutput, Item, McpApprovalRequest, Message, ToolSearchCall
from responses_proto.protocol import Emitter
from responses_proto.protocol.websocket import CONNECTION_LIMIT, STEER_ERRORS, ServerSession, ServerTurn
from responses_proto.server import wire_event

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.streams import Wire

    from responses_proto.models.events import Event
    from responses_proto.protocol._requests import UnknownParameters

MAX_AGE = 3600.0


@attrs.define
class Server:
    """A session, and a model that answers when it is told to."""

    session: ServerSession
    now: float = 0.0
    turns: list[ServerTurn] = attrs.field(factory=list[ServerTurn])

    def hear(self, type_: str = "response.create", **fields: Any) -> list[Wire]:
        """Take a message; give what is said at once."""
        return self.hear_raw(
            json.dumps({"type": type_, **({"model": "m"} if type_ == "response.create" else {}), **fields})
        )

    def hear_raw(self, data: str | bytes) -> list[Wire]:
        self.session.receive_message(data, self.now)
        return self.said()

    def said(self) -> list[Wire]:
        self.turns += self.session.turns_to_begin()
        return [json.loads(message) for message in self.session.messages_to_send()]

    def start(self, turn: ServerTurn, id_: str) -> Emitter:
        """Begin to answer a turn."""
        emitter = Emitter(turn.request, now=0, ids=lambda prefix: id_ if prefix == "resp" else f"{prefix}_1")
        turn.response_id = id_
        self.say(turn, emitter.start())
        return emitter

    def say(self, turn: ServerTurn, events: Sequence[Event], history: Sequence[Item] = ()) -> None:
        for event in map(wire_event, events):
            self.session.send_event(turn, event.sequence_number, event.type, event.data, history)

    def answer(self, id_: str, text: str = "Hi.", *, calls: bool = False) -> list[Wire]:
        """Answer the turn that is next in line, to its end; give all that was said."""
        turn = self.turns.pop(0)
        emitter = self.start(turn, id_)
        if calls:
            self.say(turn, emitter.function_call("weather", "call_1").done())
        else:
            writer = emitter.message()
            self.say(turn, [*writer.text(text), *writer.done()])
        self.say(turn, emitter.complete(), [Message(role="user", content=f"history of {id_}")])
        return self.said()


@pytest.fixture
def server() -> Server:
    numbers = itertools.count(1)
    return Server(ServerSession(now=0.0, max_connection_age=MAX_AGE, ids=lambda prefix: f"{prefix}_{next(numbers)}"))


def types(said: list[Wire]) -> list[str]:
    return [message["type"] for message in said]


def history_of(server: Server, id_: str) -> list[Any] | None:
    found = server.session.history(id_)
    return None if found is None else [dump(item)["content"] for item in found]


# ---- what comes


def test_a_request_becomes_a_turn(server: Server) -> None:
    said = server.hear(input="Hello", store=False, stream_id="a", generate=False, previous_response_id="resp_0")
    assert said == []
    (turn,) = server.turns
    assert (turn.stream_id, turn.generate) == ("a", False)
    assert dump(turn.request) == {
        "model": "m",
        "input": "Hello",
        "store": False,
        "previous_response_id": "resp_0",
        "stream": True,
    }


def test_fields_for_http_only_are_ignored(server: Server) -> None:
    assert server.hear(stream=True, stream_options={"include_obfuscation": False}, background=None) == []
    assert dump(server.turns[0].request) == {"model": "m", "stream": True}


def test_binary_messages_are_read_too(server: Server) -> None:
    server.hear_raw(b'{"type": "response.create", "model": "m"}')
    assert len(server.turns) == 1


@pytest.mark.parametrize(
    ("message", "param", "code"),
    [
        ('{"type": ', None, "invalid_request_error"),
        ("[]", "type", "invalid_value"),
        ('"response.create"', "type", "invalid_value"),
        ('{"type": "response.make"}', "type", "invalid_value"),
        ('{"type": 7}', "type", "invalid_value"),
        ("[" * 1000, None, "invalid_request_error"),
        ('{"type": "response.create", "model": 7}', "model", "invalid_type"),
        ('{"type": "response.create", "modell": "m"}', "modell", "unknown_parameter"),
        ('{"type": "response.create", "input": [{}]}', "input[0].type", "missing_required_parameter"),
        ('{"type": "response.create", "background": true}', "background", "unsupported_parameter"),
        ('{"type": "response.create", "stream_id": "a b"}', "stream_id", "invalid_value"),
        ('{"type": "response.create", "stream_id": ""}', "stream_id", "invalid_value"),
        ('{"type": "response.create", "generate": "no"}', "generate", "invalid_type"),
    ],
)
def test_a_wrong_message_is_refused_and_the_connection_goes_on(
    server: Server, message: str, param: str | None, code: str
) -> None:
    (rejection,) = server.hear_raw(message)
    assert rejection["type"] == "error"
    assert rejection["status"] == 400
    assert (rejection["error"]["param"], rejection["error"]["code"]) == (param, code)
    assert rejection["error"]["message"]
    assert server.turns == []
    server.hear(input="x")
    assert len(server.turns) == 1


def test_rejections_are_what_the_specification_says(server: Server) -> None:
    for message in ("{", '{"type": "response.create", "model": 7}'):
        check(server.hear_raw(message)[0])
    server.hear(input="x")
    server.session.reject(server.turns.pop(), APIError("No.", status=400, type="invalid_request_error"))
    check(server.said()[0])


# ---- turns and lanes


def test_events_are_sent_unchanged(server: Server) -> None:
    server.hear(input="Hello")
    said = server.answer("resp_1")
    assert types(said)[0] == "response.created"
    assert types(said)[-1] == "response.completed"
    assert [message["sequence_number"] for message in said] == list(range(len(said)))
    assert all("stream_id" not in message for message in said)
    for message in said:
        check(message)


def test_the_turns_of_a_lane_go_one_after_the_other(server: Server) -> None:
    server.hear(input="one")
    server.hear(input="two")
    server.hear(input="three")
    assert [turn.request.input for turn in server.turns] == ["one"]
    server.answer("resp_1")
    assert [turn.request.input for turn in server.turns] == ["two"]
    server.session.reject(server.turns.pop(0), APIError("No.", status=400))
    assert types(server.said()) == ["error"]
    assert [turn.request.input for turn in server.turns] == ["three"]


def test_lanes_go_side_by_side_and_are_named(server: Server) -> None:
    for lane in ("a", "b"):
        server.hear(input=lane, stream_id=lane)
    a, b = server.turns
    server.turns.clear()
    one, two = server.start(a, "resp_a"), server.start(b, "resp_b")
    server.say(b, two.complete())
    server.say(a, one.complete())
    said = server.said()
    assert [(message["stream_id"], message["type"]) for message in said] == [
        ("a", "response.created"),
        ("a", "response.in_progress"),
        ("b", "response.created"),
        ("b", "response.in_progress"),
        ("b", "response.completed"),
        ("a", "response.completed"),
    ]


def test_a_lane_is_named_in_rejections(server: Server) -> None:
    (rejection,) = server.hear(stream_id="a", temprature=1)
    assert rejection["stream_id"] == "a"
    server.hear(stream_id="a")
    server.session.reject(server.turns[0], APIError("No.", status=404, code="x"))
    (rejection,) = server.said()
    assert (rejection["stream_id"], rejection["status"], rejection["error"]["code"]) == ("a", 404, "x")


def test_the_waiting_turns_of_a_lane_are_limited(server: Server) -> None:
    for _ in range(65):
        assert server.hear(input="x") == []
    (rejection,) = server.hear(input="x")
    assert (rejection["status"], rejection["error"]["code"]) == (429, "too_many_requests")


# ---- what is left on the connection


def test_only_the_last_response_of_a_chain_is_kept(server: Server) -> None:
    server.hear(input="x", store=False)
    server.answer("resp_1")
    assert history_of(server, "resp_1") == ["history of resp_1"]
    server.hear(input="y", store=False, previous_response_id="resp_1")
    server.answer("resp_2")
    assert history_of(server, "resp_1") is None
    assert history_of(server, "resp_2") == ["history of resp_2"]


def test_chains_are_separate(server: Server) -> None:
    for id_ in ("resp_1", "resp_2"):
        server.hear(input="x")
        server.answer(id_)
    assert history_of(server, "resp_1")
    assert history_of(server, "resp_2")


def test_histories_are_weighed(server: Server) -> None:
    for number in range(8):
        server.hear(input="x", store=False)
        turn = server.turns.pop()
        emitter = server.start(turn, f"resp_{number}")
        server.say(turn, emitter.complete(), [Message(role="user", content="x" * 5_000_000)])
    kept = [server.session.history(f"resp_{number}") is not None for number in range(8)]
    assert kept == [False] * 5 + [True] * 3
    # The newest is kept, however large it is: there is no other way to go on from it.
    server.hear(input="x", store=False)
    turn = server.turns.pop()
    server.say(turn, server.start(turn, "huge").complete(), [Message(role="user", content="x" * 50_000_000)])
    assert server.session.history("huge")
    assert server.session.history("resp_7") is None


@pytest.mark.parametrize(("policy", "allowed"), [(None, ["top_k"]), ("pass", ["top_k", "temprature"]), ("refuse", [])])
def test_unknown_parameters_of_a_turn(policy: UnknownParameters, allowed: list[str]) -> None:
    server = Server(ServerSession(now=0.0, unknown_parameters=policy))
    for name in ("top_k", "temprature"):
        said = server.hear("response.create", **{name: 5})
        assert (said == []) == (name in allowed)
    assert [dict(turn.request.extra) for turn in server.turns[:1]] == [{name: 5} for name in allowed[:1]]


@pytest.mark.parametrize("how", ["rejected", "failed", "invalid"])
def test_a_turn_that_fails_makes_the_response_before_it_unavailable(server: Server, how: str) -> None:
    server.hear(input="x")
    server.answer("resp_1")
    if how == "invalid":
        server.hear(previous_response_id="resp_1", temprature=1)
    else:
        server.hear(previous_response_id="resp_1")
        turn = server.turns.pop()
        if how == "rejected":
            server.session.reject(turn, APIError("No.", status=400))
        else:
            server.say(turn, server.start(turn, "resp_2").fail("server_error", "No."))
    assert history_of(server, "resp_1") is None
    assert history_of(server, "resp_2") is None


def test_the_number_of_kept_histories_is_limited(server: Server) -> None:
    for number in range(300):
        server.hear(input="x")
        server.answer(f"resp_{number}")
    assert history_of(server, "resp_0") is None
    assert history_of(server, "resp_299")


# ---- the end of the connection


def test_an_expired_connection_accepts_no_turns(server: Server) -> None:
    server.hear(input="x")
    server.now = MAX_AGE
    (rejection,) = server.hear(input="y", stream_id="b")
    assert (rejection["error"]["code"], rejection["stream_id"]) == (CONNECTION_LIMIT, "b")
    assert not server.session.closing  # what is under way goes on
    assert types(server.answer("resp_1"))[-1] == "response.completed"
    assert server.session.closing


def test_an_idle_connection_announces_its_expiry(server: Server) -> None:
    server.session.tick(MAX_AGE - 1)
    assert server.said() == []
    server.session.tick(MAX_AGE)
    server.session.tick(MAX_AGE + 1)
    (rejection,) = server.said()
    assert rejection["error"]["code"] == CONNECTION_LIMIT
    assert server.session.closing


def test_a_busy_connection_expires_after_the_end_of_its_turns(server: Server) -> None:
    server.hear(input="x")
    server.session.tick(MAX_AGE)
    assert server.said() == []
    assert not server.session.closing
    server.answer("resp_1")
    server.session.tick(MAX_AGE)
    assert types(server.said()) == ["error"]


# ---- steering


def steer(server: Server, input_: Any = "Cats.", parent: str = "resp_1", **more: Any) -> Wire:
    (said,) = server.hear("response.steer", previous_response_id=parent, input=input_, **more)
    return said


def steered(server: Server) -> tuple[ServerTurn, Emitter]:
    """Begin to answer a turn with ``resp_1``, which takes a steer; return the turn and its emitter."""
    server.hear(input="x")
    turn = server.turns.pop()
    emitter = server.start(turn, "resp_1")
    server.said()
    steer(server)
    return turn, emitter


def steered_before_a_call(server: Server) -> None:
    """End a steered response in a call, so that its steer waits for the output."""
    turn, emitter = steered(server)
    server.say(turn, emitter.function_call("weather", "call_1").done())
    server.say(turn, emitter.complete())
    server.said()


def test_a_successor_includes_the_steered_input(server: Server) -> None:
    server.hear(input="x", instructions="Be brief.", temperature=0.5, store=False)
    (turn,) = server.turns
    server.turns.clear()
    emitter = server.start(turn, "resp_1")
    server.said()
    accepted = steer(server)
    assert (accepted["type"], accepted["sequence_number"]) == ("response.steer.accepted", 2)
    assert accepted["steer"] == {"id": "steer_1", "previous_response_id": "resp_1"}
    assert [one.input for one in turn.steers] == ["Cats."]
    assert turn.steered
    steer(server, [{"role": "user", "content": [{"type": "input_text", "text": "Dogs."}]}])
    server.say(turn, emitter.incomplete("steered"))
    (end,) = server.said()
    assert (end["type"], end["sequence_number"]) == ("response.incomplete", 4)  # behind the two steers
    assert turn.ended
    successor = server.turns[0]
    asked = dump(successor.request)
    assert (asked["instructions"], asked["temperature"], asked["store"]) == ("Be brief.", 0.5, False)
    assert asked["previous_response_id"] == "resp_1"
    assert [item["content"] for item in asked["input"]] == ["Cats.", [{"type": "input_text", "text": "Dogs."}]]
    said = server.answer("resp_2")
    assert [message["sequence_number"] for message in said] == list(range(len(said)))
    assert server.turns == []


def test_a_successor_goes_before_waiting_turns(server: Server) -> None:
    server.hear(input="x", stream_id="a")
    server.hear(input="y", stream_id="a")
    turn = server.turns.pop()
    emitter = server.start(turn, "resp_1")
    server.said()
    assert steer(server)["stream_id"] == "a"
    server.say(turn, emitter.complete())
    server.said()
    assert server.turns[0].successor_of is turn
    assert server.turns[0].stream_id == "a"
    server.answer("resp_2")
    assert [waiting.request.input for waiting in server.turns] == ["y"]


def test_steers_wait_while_a_response_needs_outputs(server: Server) -> None:
    turn, emitter = steered(server)
    server.say(turn, emitter.function_call("weather", "call_1").done())
    server.say(turn, emitter.item(McpApprovalRequest(id="mcpr_1", server_label="s", name="n", arguments="{}")))
    server.say(
        turn,
        emitter.item(ToolSearchCall(id="ts_1", call_id="call_2", arguments={}, execution="client", status="completed")),
    )
    server.say(turn, emitter.complete())
    said = server.said()
    assert types(said)[-2:] == ["response.completed", "response.steer.pending"]
    assert said[-1]["sequence_number"] == said[-2]["sequence_number"] + 1
    assert said[-1]["reason"] == "waiting_for_required_input"
    assert said[-1]["required_input"] == [
        {"type": "function_call_output", "call_id": "call_1", "name": "weather"},
        {"type": "mcp_approval_response", "approval_request_id": "mcpr_1"},
        {"type": "tool_search_output", "call_id": "call_2", "execution": "client"},
    ]
    assert server.turns == []
    output = FunctionCallOutput(call_id="call_1", output="sunny")
    server.hear(input=[dump(output)], previous_response_id="resp_1")
    following = dump(server.turns[0].request)["input"]
    assert [item["type"] for item in following] == ["message", "function_call_output"]
    server.answer("resp_2")
    server.hear(input="z", previous_response_id="resp_1")  # a fork: they are committed
    assert server.turns[0].request.input == "z"


def test_a_turn_on_another_lane_does_not_include_the_steered_input(server: Server) -> None:
    steered_before_a_call(server)
    server.hear(input="y", previous_response_id="resp_1", stream_id="b")
    assert server.turns[0].request.input == "y"


def test_a_steered_text_becomes_a_message(server: Server) -> None:
    steered_before_a_call(server)
    server.hear(input="y", previous_response_id="resp_1")
    assert [item["content"] for item in dump(server.turns[0].request)["input"]] == ["Cats.", "y"]


def test_a_failed_response_returns_the_steered_input(server: Server) -> None:
    turn, emitter = steered(server)
    server.say(turn, emitter.fail("server_error", "No."))
    said = server.said()
    assert types(said)[-1] == "response.steer.failed"
    assert said[-1]["error"]["code"] == "response_not_active"
    assert said[-1]["steer"] == {"id": "steer_1", "previous_response_id": "resp_1", "input": "Cats."}
    assert server.turns == []


def test_a_refused_successor_returns_the_steered_input(server: Server) -> None:
    turn, emitter = steered(server)
    server.say(turn, emitter.complete())
    server.said()
    server.session.reject(server.turns.pop(), APIError("The model is gone.", status=404))
    (failed,) = server.said()
    assert (failed["type"], failed["error"]["code"]) == ("response.steer.failed", "successor_creation_failed")
    assert "The model is gone." in failed["error"]["message"]
    server.hear(input="y")
    assert server.turns[0].included_steers == []


USER = {"role": "user", "content": "x"}


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"input": ""}, "invalid_input"),
        ({"input": []}, "invalid_input"),
        ({"input": 7}, "invalid_input"),
        ({}, "invalid_input"),
        ({"input": [7]}, "invalid_input"),
        ({"input": [{**USER, "role": "system"}]}, "invalid_input"),
        ({"input": [{**USER, "id": "msg_1"}]}, "invalid_input"),
        ({"input": [{**USER, "content": [{"type": "output_text", "text": "x"}]}]}, "invalid_input"),
        ({"input": [{"type": "function_call_output", "call_id": "c", "output": "x"}]}, "invalid_input"),
        ({"input": "x", "stream_id": "a"}, "invalid_input"),
        ({"input": "x", "previous_response_id": "resp_9"}, "response_not_found"),
        ({"input": "x", "previous_response_id": "resp_done"}, "response_already_completed"),
        ({"input": "x", "previous_response_id": "resp_cut"}, "response_not_active"),
        ({"input": "x", "previous_response_id": "resp_conv"}, "steering_not_supported"),
        ({"input": "x", "previous_response_id": "resp_warm"}, "steering_not_supported"),
    ],
)
def test_a_refused_steer_states_the_reason(server: Server, fields: Wire, code: str) -> None:
    requests: dict[str, Wire] = {
        "resp_done": {},
        "resp_cut": {},
        "resp_conv": {"conversation": "conv_1"},
        "resp_warm": {"generate": False},
        "resp_1": {},
    }
    for id_, request in requests.items():
        server.hear(input="x", stream_id=id_, **request)
        emitter = server.start(server.turns[-1], id_)
        if id_ == "resp_done":
            server.say(server.turns[-1], emitter.complete())
        if id_ == "resp_cut":
            server.say(server.turns[-1], emitter.incomplete())
    server.said()
    (failed,) = server.hear("response.steer", **{"previous_response_id": "resp_1", **fields})
    assert failed["type"] == "response.steer.failed"
    assert failed["error"] == {"type": "invalid_request_error", "code": code, "message": STEER_ERRORS[code]}
    assert failed["steer"]["input"] == (fields.get("input") or "")
    assert "id" not in failed["steer"]


def test_the_steers_of_a_response_are_limited(server: Server) -> None:
    server.hear(input="x")
    server.start(server.turns.pop(), "resp_1")
    server.said()
    for _ in range(16):
        assert steer(server)["type"] == "response.steer.accepted"
    assert steer(server)["error"]["code"] == "too_many_pending_steers"


# ---- input for the agents of a running response


def test_injected_input_is_returned() -> None:
    server = Server(ServerSession(now=0.0))
    items = [{"type": "function_call_output", "call_id": "c", "output": "1"}]
    server.hear(input="Hi.")
    (turn,) = server.turns
    emitter = server.start(turn, "resp_1")
    server.said()
    (running,) = server.hear("response.inject", response_id="resp_1", input=items)
    assert (running["type"], running["response_id"], running["input"]) == ("response.inject.failed", "resp_1", items)
    assert running["error"]["code"] == "injection_not_supported"
    assert running["sequence_number"] == turn.next_number - 1
    server.say(turn, emitter.complete())
    (last, *_) = server.said()
    assert last["sequence_number"] == running["sequence_number"] + 1
    codes = [
        server.hear("response.inject", response_id=id_, input=given)[0]["error"]["code"]
        for id_, given in (("resp_1", items), ("resp_9", items), ("resp_9", "text"))
    ]
    assert codes == ["response_already_completed", "response_not_found", "response_not_found"]


def test_a_message_of_another_type_is_refused_with_the_ones_that_there_are() -> None:
    server = Server(ServerSession(now=0.0))
    (error,) = server.hear("response.inject.created", response_id="resp_1")
    assert error["status"] == 400
    assert "'response.create', 'response.steer', 'response.inject'" in error["error"]["message"]

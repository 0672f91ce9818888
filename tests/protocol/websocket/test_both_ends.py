"""The two ends connected, without a socket: in any order of events, each turn gets its own response and nothing else."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import attrs
from hypothesis import given
from hypothesis import strategies as st

from responses_proto.codec import dumps
from responses_proto.exceptions import LocalProtocolError
from responses_proto.models.items import Message
from responses_proto.models.request import ResponseCreateMessage, ResponseSteer
from responses_proto.protocol import Emitter, ResponseStream
from responses_proto.protocol.websocket import ClientSession, ServerSession
from responses_proto.server import wire_event

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from responses_proto.models.events import Event
    from responses_proto.protocol import Outcome
    from responses_proto.protocol.websocket import ClientTurn, ServerTurn

LANES = [None, "a", "b"]


@attrs.define
class Answering:
    """A response that the server is about to give, a step at a time."""

    turn: ServerTurn
    emitter: Emitter
    steps: list[Callable[[], Sequence[Event]]]


class Wires:
    """Two ends, and what is on its way between them."""

    def __init__(self) -> None:
        self.numbers = itertools.count()
        self.client = ClientSession()
        self.server = ServerSession(now=0, ids=self._id)
        self.up: list[bytes] = []
        self.down: list[bytes] = []
        self.answering: list[Answering] = []
        self.turns: list[tuple[str, ClientTurn]] = []
        self.number = 0

    # What can happen

    def ask(self, lane: str | None) -> None:
        text = f"text {self.number}."
        try:
            turn = self.client.begin(lane)
        except LocalProtocolError:
            self.take_successor(lane)
            return
        self.number += 1
        message = ResponseCreateMessage(model="m", input=text)
        self.up.append(dumps(attrs.evolve(message, stream_id=lane) if lane else message))
        self.turns.append((text, turn))

    def take_successor(self, lane: str | None) -> None:
        for _, turn in self.turns:
            if turn.stream_id == lane and turn.ended and turn.response_id:
                try:
                    successor = self.client.successor(turn.response_id)
                except LocalProtocolError:
                    continue
                if successor is not None:
                    self.turns.append((f"steer of {turn.response_id}.", successor))
                    return

    def steer(self, lane: str | None) -> None:
        for _, turn in self.turns:
            if turn.stream_id == lane and not turn.ended and turn.response_id:
                self.client.steer(turn.response_id)
                text = f"steer of {turn.response_id}."
                self.up.append(dumps(ResponseSteer(previous_response_id=turn.response_id, input=text)))

    def carry_up(self, lane: str | None) -> None:  # noqa: ARG002 - all that happens is told which lane
        if self.up:
            self.server.receive_message(self.up.pop(0), 0)
            self._server_goes_on()

    def carry_down(self, lane: str | None) -> None:  # noqa: ARG002 - as above
        if self.down:
            self.client.receive_message(self.down.pop(0))

    def answer(self, lane: str | None) -> None:
        """Let the server say the next thing on a lane."""
        for answering in self.answering:
            turn = answering.turn
            if turn.stream_id == lane and not turn.ended:
                for event in map(wire_event, answering.steps.pop(0)()):
                    self.server.send_event(turn, event.sequence_number, event.type, event.data)
                self._server_goes_on()
                return

    def finish(self) -> None:
        """Let everything come to its end."""
        for _ in range(1000):
            for lane in LANES:
                self.carry_up(lane)
                self.answer(lane)
                self.carry_down(lane)
                self.take_successor(lane)
        assert not self.client.busy
        assert not self.up
        assert not self.down

    # Inside

    def _id(self, prefix: str) -> str:
        return f"{prefix}_{next(self.numbers)}"

    def _server_goes_on(self) -> None:
        for turn in self.server.turns_to_begin():
            emitter = Emitter(turn.request, now=0, ids=self._id)
            turn.response_id = emitter.response.id
            self.answering.append(Answering(turn, emitter, self._steps(turn, emitter)))
        self.down += self.server.messages_to_send()

    @staticmethod
    def _steps(turn: ServerTurn, emitter: Emitter) -> list[Callable[[], Sequence[Event]]]:
        given_ = turn.request.input
        items = [] if isinstance(given_, str) else [item for item in given_ or () if isinstance(item, Message)]
        texts = [given_] if isinstance(given_, str) else [item.text for item in items]

        def say() -> Sequence[Event]:
            writer = emitter.message()
            return [event for text in texts for event in writer.text(text)] + writer.done()

        def end() -> Sequence[Event]:
            return emitter.incomplete("steered") if turn.steered else emitter.complete()

        return [emitter.start, say, end]


def outcome_of(messages: list[bytes]) -> tuple[Outcome, ResponseStream]:
    stream = ResponseStream()
    for message in messages:
        stream.receive_event(message)
    stream.receive_eof()
    assert stream.outcome
    return stream.outcome, stream


ACTIONS = ["ask", "steer", "carry_up", "carry_down", "answer"]


@given(st.lists(st.tuples(st.sampled_from(ACTIONS), st.sampled_from(LANES)), max_size=120))
def test_each_turn_gets_its_response_and_nothing_else(happenings: list[tuple[str, str | None]]) -> None:
    wires = Wires()
    for action, lane in happenings:
        getattr(wires, action)(lane)
    wires.finish()
    for text, turn in wires.turns:
        outcome, stream = outcome_of(wires.client.messages_received(turn))
        assert outcome.status in ("completed", "incomplete")
        assert set(outcome.response.output_text.split(".")) == {text.strip("."), ""}
        assert outcome.response.id == turn.response_id
        assert stream.anomalies == []
    assert wires.client.anomalies == []
    assert wires.client.buffered == 0
    assert wires.client.pending == []

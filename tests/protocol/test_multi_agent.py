"""The multi-agent beta in a stream: whose an item is, calls between agents, and their messages."""

from __future__ import annotations

import pytest
from tests.streams import (
    Wire,
    added,
    clean,
    codes,
    done,
    ending,
    message,
    numbered,
    opening,
    output_text,
    part_event,
    text_delta,
    wire,
)

from responses_proto.codec import dump
from responses_proto.models import (
    AgentMessage,
    AgentReference,
    EncryptedContent,
    Message,
    MultiAgentCall,
    MultiAgentCallOutput,
)
from responses_proto.protocol import ResponseStream, as_input, check_history

AGENT = {"agent_name": "/lead/a"}
CALL: Wire = {"type": "multi_agent_call", "id": "mac_1", "call_id": "c_1", "action": "spawn_agent", "arguments": "{}"}
OUTPUT: Wire = {
    "type": "multi_agent_call_output", "id": "maco_1", "call_id": "c_1", "action": "spawn_agent", "output": [output_text("/lead/a")],
}  # fmt: skip
SENT: Wire = {
    "type": "agent_message", "id": "am_1", "author": "/lead", "recipient": "/lead/a",
    "content": [{"type": "encrypted_content", "encrypted_content": "gAAA"}],
}  # fmt: skip
ANSWER: Wire = {**message("Done.", "msg_1"), "agent": AGENT}


def read(events: list[Wire], *, strict: bool = False) -> ResponseStream:
    stream = ResponseStream(strict=strict)
    stream.receive_data(wire(numbered(events)))
    stream.receive_eof()
    return stream


def agents_stream() -> list[Wire]:
    items = [CALL, OUTPUT, SENT]
    events = [event for index, item in enumerate(items) for event in (added(index, item), done(index, item))]
    body: list[Wire] = [
        added(3, {**ANSWER, "content": [], "status": "in_progress"}),
        part_event("content_part.added", output_text(), 3),
        text_delta("Done.", 3),
        {"type": "response.output_text.done", "output_index": 3, "item_id": "msg_1", "content_index": 0, "text": "Done.", "logprobs": []},
        part_event("content_part.done", output_text("Done."), 3),
        done(3, ANSWER),
    ]  # fmt: skip
    return [*opening(), *events, *({**event, "agent": AGENT} for event in body), ending([*items, ANSWER])]


def test_a_stream_of_agents_is_typed_and_breaks_no_rule() -> None:
    stream = read(agents_stream(), strict=True)
    call, output, sent, answer = stream.response.output
    assert isinstance(call, MultiAgentCall)
    assert isinstance(output, MultiAgentCallOutput)
    assert isinstance(sent, AgentMessage)
    assert sent.content == [EncryptedContent(encrypted_content="gAAA")]
    assert isinstance(answer, Message)
    assert answer.agent == AgentReference(agent_name="/lead/a")
    agents = [getattr(event, "agent", None) for event in stream.events_received()]
    assert [agent for agent in agents if agent] == [AgentReference(agent_name="/lead/a")] * 6
    assert stream.response.output_text == "Done."
    assert stream.response.pending_calls == []


HOLLOW: list[Wire] = [CALL, OUTPUT, {**SENT, "content": []}, ANSWER]


@pytest.mark.parametrize("last", [list[Wire](), HOLLOW], ids=["missing", "hollow"])
def test_what_agents_said_is_not_lost(last: list[Wire]) -> None:
    events = agents_stream()
    events[-1] = ending(last)
    assert dump(read(events).response.output) == dump(read(agents_stream()).response.output)


def test_the_parts_of_a_message_between_agents_may_be_streamed() -> None:
    events = [
        *opening(),
        added(0, {**SENT, "content": []}),
        part_event("content_part.added", output_text(), 0, "am_1"),
        text_delta("Go ", 0, "am_1"),
        text_delta("on.", 0, "am_1"),
        part_event("content_part.done", output_text("Go on."), 0, "am_1"),
        part_event("content_part.added", SENT["content"][0], 0, "am_1", 1),
        part_event("content_part.done", SENT["content"][0], 0, "am_1", 1),
    ]
    for end in (list[Wire](), [ending([])]):
        stream = read([*events, *end])
        assert [dump(item)["content"] for item in stream.response.output] == [
            [output_text("Go on."), SENT["content"][0]]
        ]
        assert not {"index-contradicted", "item-implied", "part-implied"} & codes(stream).keys()
        assert stream.response.output_text == ""


def test_items_of_agents_go_back_as_input() -> None:
    items = read(agents_stream()).response.output
    assert dump(as_input(items)) == dump(items)
    assert check_history(items) == []


def test_without_agents_nothing_is_said_about_them() -> None:
    stream = read(clean(), strict=True)
    assert all("agent" not in dump(event) for event in stream.events_received())

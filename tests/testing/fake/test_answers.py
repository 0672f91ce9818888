from __future__ import annotations

import json

import attrs
import pytest

from responses_proto.codec import load
from responses_proto.exceptions import DecodeError, UsageError
from responses_proto.models.items import FunctionCall, Message
from responses_proto.models.response import Response
from responses_proto.protocol import DONE, ResponseStream, emit
from responses_proto.testing import Answer, Fault, Pause, check_stream
from responses_proto.typing import UNSET

WHOLE = load(
    {
        "id": "resp_1", "object": "response", "created_at": 1, "status": "completed", "model": "m",
        "tools": [], "tool_choice": "auto", "parallel_tool_calls": True, "output": [
            {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed",
             "content": [{"type": "output_text", "text": "Hi there.", "annotations": [], "logprobs": []}]},
            {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "f", "arguments": "{}", "status": "completed"},
        ],
    },
    Response,
)  # fmt: skip


def body(answer: Answer, *, stream: bool = True) -> bytes:
    return b"".join(step for step in answer.to_wire(stream=stream).steps if isinstance(step, bytes))


def test_a_text_is_a_stream_of_words_that_conforms() -> None:
    draft = Answer.text("One two three.").to_wire()
    assert (draft.status, draft.content_type) == (200, "text/event-stream")
    assert sum(b"output_text.delta" in step for step in draft.steps if isinstance(step, bytes)) == 3
    assert draft.steps[-1] == DONE
    report = check_stream(body(Answer.text("One two three.")))
    assert report.ok, str(report)
    assert report.outcome.response.output_text == "One two three."


def test_a_text_is_the_same_each_time() -> None:
    assert body(Answer.text("One two.")) == body(Answer.text("One two."))


def test_items_follow_each_other_with_id_and_status_filled_in() -> None:
    call = FunctionCall(call_id="call_1", name="f", arguments='{"a": 1}')
    answer = Answer.items("Let me see.", call, {"type": "reasoning", "id": "rs_1", "summary": []}, model="m")
    report = check_stream(body(answer))
    assert report.ok, str(report)
    response = report.outcome.response
    assert (response.output_text, response.model) == ("Let me see.", "m")
    assert response.function_calls == [attrs.evolve(call, id="item_2", status="completed")]
    assert [getattr(item, "id", None) for item in response.output] == ["item_1", "item_2", "rs_1"]
    assert load(json.loads(body(answer, stream=False)), Response) == response
    assert call.id is UNSET  # the caller's own is not touched


def test_no_items_are_a_response_without_output() -> None:
    assert check_stream(body(Answer.items())).outcome.response.output == []


def test_other_values_than_items_are_refused() -> None:
    with pytest.raises(DecodeError):
        Answer.items(5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] - what is tested


def test_a_response_arrives_unchanged_streamed_or_not() -> None:
    answer = Answer.response(WHOLE)
    stream = ResponseStream()
    stream.receive_data(body(answer))
    assert stream.response.output == WHOLE.output
    assert [type(item) for item in stream.response.output] == [Message, FunctionCall]
    draft = answer.to_wire(stream=False)
    assert draft.content_type == "application/json"
    assert load(json.loads(body(answer, stream=False)), Response) == WHOLE


def test_a_response_that_has_not_ended_cannot_be_streamed() -> None:
    with pytest.raises(UsageError, match="not ended"):
        Answer.response(load({"id": "r", "status": "in_progress", "output": []}, Response))


def test_events_can_be_models_and_wire_objects_in_any_order() -> None:
    first, *_, last = emit(WHOLE)
    assert body(Answer.events([last, {"type": "x:y", "n": 1}, first])).count(b"event: ") == 3


def test_other_bodies_are_sent_unchanged() -> None:
    assert Answer.stream(b"a", Pause(1), b"b").to_wire().steps == [b"a", Pause(1), b"b"]
    page = Answer.body(b"<p>", 502, headers={"Server": "proxy"}).to_wire()
    assert (page.status, page.content_type, page.headers, page.steps) == (
        502,
        "text/html",
        {"server": "proxy"},
        [b"<p>"],
    )
    error = Answer.error(429, "Slow down.", code="rate_limit_exceeded", headers={"Retry-After": "3"})
    assert json.loads(body(error)) == {
        "error": {"message": "Slow down.", "type": "server_error", "param": None, "code": "rate_limit_exceeded"}
    }
    assert error.to_wire().headers == {"retry-after": "3"}
    assert json.loads(body(Answer.json(WHOLE)))["id"] == "resp_1"
    away = Answer.redirect("/elsewhere").to_wire()
    assert (away.status, away.headers) == (307, {"location": "/elsewhere"})


def test_an_answer_is_not_changed_by_the_faults_of_another() -> None:
    plain = Answer.text("One two.")
    before = body(plain)
    broken = plain.with_faults(Fault.empty_output(), Fault.rotating("item_id"), Fault.missing("output_index"))
    assert body(broken) != before
    assert body(plain) == before
    assert broken.faults[0].name == "empty output"

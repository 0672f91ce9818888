"""Dialects: each deviates in what its row says, and the client still gets the whole response."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from tests.support import both_loops, run

from responses_proto import ResponsesClient, Timeouts
from responses_proto.exceptions import APIError, ResponsesProtoError, UsageError
from responses_proto.models.items import FunctionCall, Reasoning
from responses_proto.testing import DIALECTS, FAULTS, Answer, FakeServer, Fault, check_stream

CALL = FunctionCall(call_id="call_1", name="f", arguments='{"city": "Paris"}')
THOUGHT: dict[str, Any] = {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm."}]}
ANSWER = Answer.items(THOUGHT, "Let me see, please.", CALL)


def events(dialect: str, answer: Answer = ANSWER) -> list[dict[str, Any]]:
    return answer.to_wire(dialect=DIALECTS[dialect]).events or []


def of_type(dialect: str, name: str) -> list[dict[str, Any]]:
    return [event for event in events(dialect) if event.get("type") == f"response.{name}"]


@both_loops
@pytest.mark.parametrize("name", DIALECTS)
@pytest.mark.parametrize("way", ["stream", "create"])
def test_the_client_gets_the_whole_response_in_every_dialect(backend: str, name: str, way: str) -> None:
    async def test() -> None:
        async with FakeServer(ANSWER, dialect=DIALECTS[name]) as server, ResponsesClient(server.url) as client:
            if way == "create":
                response = await client.create(model="m", input="x")
            else:
                async with client.stream(model="m", input="x") as stream:
                    response = await stream.result()
            if not (way == "create" and name in ("vllm", "codex")):  # which have no output then
                assert response.output_text == "Let me see, please." or name == "llama-stack"
                (call,) = [item for item in response.output if isinstance(item, FunctionCall)]
                assert (call.call_id, call.arguments) == ("call_1", '{"city": "Paris"}')
                assert any(isinstance(item, Reasoning) for item in response.output)

    run(backend, test)


@pytest.mark.parametrize("name", DIALECTS)
def test_every_dialect_deviates_and_a_clean_answer_does_not(name: str) -> None:
    def body(dialect: str | None) -> bytes:
        wire = ANSWER.to_wire(dialect=DIALECTS[dialect] if dialect else None)
        return b"".join(step for step in wire.steps if isinstance(step, bytes))

    assert check_stream(body(None)).ok
    assert body(name) != body(None)


def test_each_deviation_is_that_of_its_row() -> None:
    assert {event["output_index"] for event in of_type("huggingface", "output_item.added")} == {0, 2}
    assert of_type("huggingface", "output_text.delta")[0]["output_index"] == 1
    assert of_type("huggingface", "completed")[0]["response"]["output"][1]["status"] == "in_progress"
    assert "incomplete_details" not in of_type("huggingface", "completed")[0]["response"]
    assert len(of_type("huggingface", "output_item.done")) == 2
    assert not any("sequence_number" in event for event in of_type("litellm", "output_text.delta"))
    assert {len(event["item_id"]) for event in of_type("litellm", "output_text.delta")} == {500}
    assert of_type("llama-stack", "output_item.added") == of_type("llama-stack", "content_part.added") == []
    assert len(of_type("open-responses-server", "in_progress")) == 2
    assert not any("output_index" in event for event in events("llama.cpp"))
    assert of_type("llama.cpp", "function_call_arguments.delta")[0]["item_id"] == "call_1"
    assert of_type("vllm", "completed")[0]["response"]["output"] == []
    assert [event["content_index"] for event in of_type("vllm", "output_text.delta")] == [0, 1, 2, 3]
    ids = [event["response"]["id"] for event in events("copilot") if "response" in event]
    assert len(set(ids)) == len(ids) > 2
    assert of_type("copilot", "output_text.delta") == []
    assert of_type("codex", "completed")[0]["response"]["output"] == []
    assert "name" not in of_type("openai", "function_call_arguments.done")[0]
    assert all(event["obfuscation"] for event in of_type("openai", "output_text.delta"))
    assert events("openai")[-1]["type"] == "response.rate_limits.updated"
    assert "content_filters" in of_type("azure", "completed")[0]["response"]
    assert ANSWER.to_wire(dialect=DIALECTS["openrouter"]).steps[0] == b": OPENROUTER PROCESSING\n\n"


def test_an_incomplete_response_is_completed_for_the_router() -> None:
    clean = Answer.events([{"type": "response.incomplete", "response": {"status": "incomplete", "output": []}}])
    assert events("huggingface", clean)[-1]["response"]["status"] == "completed"


ERRORS = {"huggingface": ["No."], "xai": "No.", "llama-stack": None, "openai": {"message": "No."}}


@both_loops
@pytest.mark.parametrize("name", DIALECTS)
def test_errors_have_the_form_of_the_server_and_the_client_reads_them(backend: str, name: str) -> None:
    async def test() -> None:
        async with FakeServer(Answer.error(400, "No."), dialect=DIALECTS[name]) as server:
            async with ResponsesClient(server.url) as client:
                with pytest.raises(APIError, match=r"No\.") as refused:
                    await client.create(model="m", input="x")
                assert refused.value.status == 400
            async with httpx.AsyncClient() as http:
                said = (await http.post(f"{server.url}/responses", json={"model": "m", "input": "x"})).json()
            if name in ERRORS:
                error = said.get("error")
                assert error == ERRORS[name] or (name == "openai" and error["message"] == "No.")

    run(backend, test)


@pytest.mark.parametrize("name", ["openai", "xai", "llama-stack"])
def test_errors_in_a_stream_have_the_form_of_the_server(name: str) -> None:
    clean = Answer.events([{"type": "error", "code": "x", "message": "No.", "param": None, "sequence_number": 0}])
    assert events(name, clean)[0]["error"]["message"] == "No."


def test_an_unknown_dialect_is_refused() -> None:
    with pytest.raises(UsageError, match="there is no dialect 'gopher': expected one of huggingface"):
        FakeServer(dialect="gopher")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] - it is wrong


def test_faults_and_dialects_add_up() -> None:
    wire = (
        Answer.text("One two.")
        .with_faults(Fault.split_every(5), Fault.doubled("response.created"))
        .to_wire(dialect=DIALECTS["huggingface"])
    )
    body = b"".join(step for step in wire.steps if isinstance(step, bytes))
    assert body.count(b'"response.created"') == 2
    assert b"event:" not in body


# ---- chance


@both_loops
def test_faults_at_random_are_the_same_for_a_seed_and_leave_the_response_readable(backend: str) -> None:
    async def test() -> None:
        names = {Fault.random(seed).name for seed in range(40)}
        assert names == {Fault.random(seed).name for seed in range(40)}
        assert len(names) > 30
        assert any(" + " in name for name in names)
        for seed in range(40):
            async with (
                FakeServer("Hello, world of words.", faults=[Fault.random(seed)]) as server,
                ResponsesClient(server.url) as client,
                client.stream(model="m", input="x") as stream,
            ):
                assert (await stream.result()).output_text == "Hello, world of words.", Fault.random(seed)

    run(backend, test)


def test_chance_can_be_fatal() -> None:
    chosen = [Fault.random(seed, fatal=True, most=1) for seed in range(60)]
    assert {fault.fatal for fault in chosen} == {True, False}
    assert not any(Fault.random(seed).fatal for seed in range(60))


@both_loops
@pytest.mark.parametrize("name", [name for name, fault in FAULTS.items() if fault.fatal])
def test_a_fatal_fault_of_the_server_is_never_a_success(backend: str, name: str) -> None:
    async def test() -> None:
        async with (
            FakeServer("Hello.", faults=[FAULTS[name]]) as server,
            ResponsesClient(server.url, timeouts=Timeouts(between_bytes=2)) as client,
        ):
            with pytest.raises(ResponsesProtoError):
                async with client.stream(model="m", input="x") as stream:
                    await stream.result()
            assert (await client.create(model="m", input="x")).output_text == "Hello."  # which is not streamed

    run(backend, test)

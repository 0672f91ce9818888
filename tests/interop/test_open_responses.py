"""What Open Responses asks of a server, over HTTP: the scripted server as it is started, judged by the specification's own schema.

The server is the scripted model, started as users start it. Without the schema, only the behaviour is checked.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from tests.interop.scripted_server import both_servers
from tests.openresponses import faults, stream_faults
from tests.support import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Generator

PIXEL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGP4DwABAQEAsTj2FAAAAABJRU5ErkJggg=="
)
CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER = {"type": "function", "name": "get_weather", "description": "The weather in a city.", "parameters": CITY}


@both_servers
def client(request: pytest.FixtureRequest) -> Generator[httpx.Client]:
    with (
        request.param() as url,
        httpx.Client(
            base_url=url, headers={"authorization": "Bearer any"}, timeout=PATIENCE, trust_env=False
        ) as connected,
    ):
        yield connected


def message(role: str, content: object, **fields: str) -> dict[str, Any]:
    return {"type": "message", "role": role, "content": content, **fields}


def created(client: httpx.Client, input: list[Any], **fields: Any) -> dict[str, Any]:  # noqa: A002 - the field's name
    """Create a response, check it against the schema, and return it."""
    answer = client.post("/responses", json={"model": "scripted", "input": input, **fields})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    response: dict[str, Any] = answer.json()
    assert faults(response) == []
    return response


@pytest.mark.parametrize(
    ("input", "fields"),
    [
        pytest.param([message("user", "Greet me in three words.")], {}, id="a message"),
        pytest.param(
            [
                message("user", "Look at the logs."),
                message("assistant", "I open them.", phase="commentary"),
                message("assistant", "They are empty.", phase="final_answer"),
                message("user", "And now?"),
            ],
            {},
            id="phases",
        ),
        pytest.param([message("system", "Be brief."), message("user", "Hello.")], {}, id="a system message"),
        pytest.param([message("developer", "Be brief."), message("user", "Hello.")], {}, id="a developer message"),
        pytest.param(
            [
                message(
                    "user",
                    [{"type": "input_text", "text": "What is it?"}, {"type": "input_image", "image_url": PIXEL}],
                )
            ],
            {},
            id="an image",
        ),
        pytest.param(
            [message("user", "I am Ada."), message("assistant", "Hello Ada."), message("user", "Who am I?")],
            {},
            id="several turns",
        ),
        pytest.param([message("user", "Hello.")], {"reasoning": {"effort": "high"}}, id="reasoning"),
        pytest.param(
            [message("user", "[cite] Hello.")],
            {"include": ["message.output_text.logprobs"], "top_logprobs": 3},
            id="annotations and probabilities",
        ),
        pytest.param(
            [message("user", "A fair on Friday.")],
            {
                "text": {
                    "format": {
                        "type": "json_schema",
                        "name": "city",
                        "schema": {**CITY, "additionalProperties": False},
                        "strict": True,
                    }
                }
            },
            id="a format",
        ),
        pytest.param([message("user", "[refuse]")], {}, id="a refusal"),
        pytest.param(
            [message("user", "[commentary] the weather")],
            {"tools": [WEATHER], "store": False, "metadata": {"a": "b"}, "temperature": 0.5, "truncation": "auto"},
            id="settings",
        ),
    ],
)
def test_a_response_and_its_stream_are_complete(client: httpx.Client, input: list[Any], fields: dict[str, Any]) -> None:  # noqa: A002 - the field's name
    response = created(client, input, **fields)
    assert response["status"] == "completed"
    assert response["output"]

    body = {"model": "scripted", "input": input, "stream": True, **fields}
    answer = client.post("/responses", json=body)
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert stream_faults(answer.content) == []
    events = [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: {")]
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert events[-1]["type"] == "response.completed"
    assert [item["type"] for item in events[-1]["response"]["output"]] == [item["type"] for item in response["output"]]
    assert answer.text.endswith("data: [DONE]\n\n")


def test_a_function_is_called_with_arguments_that_fit(client: httpx.Client) -> None:
    response = created(client, [message("user", "What is the weather in Paris?")], tools=[WEATHER])
    (call,) = response["output"]
    assert (call["type"], call["name"], call["status"]) == ("function_call", "get_weather", "completed")
    assert json.loads(call["arguments"]).keys() == {"city"}


def test_a_call_is_streamed_piece_by_piece(client: httpx.Client) -> None:
    body = {"model": "scripted", "input": "The weather?", "tools": [WEATHER], "stream": True}
    answer = client.post("/responses", json=body)
    assert stream_faults(answer.content) == []
    types = [line[7:] for line in answer.text.splitlines() if line.startswith("event: ")]
    steps = ("output_item.added", "function_call_arguments.delta", "function_call_arguments.done", "output_item.done")
    assert list(dict.fromkeys(types[2:-1])) == [f"response.{step}" for step in steps]


@pytest.mark.parametrize("marker", ["[fail]", "[incomplete]", "[incomplete content_filter]"])
@pytest.mark.parametrize("stream", [False, True])
def test_other_ends(client: httpx.Client, marker: str, *, stream: bool) -> None:
    answer = client.post("/responses", json={"model": "scripted", "input": marker, "stream": stream})
    # The failure of a provider that was not asked to stream is an error of HTTP: it said nothing before.
    assert answer.status_code in ((200, 500) if marker == "[fail]" else (200,))
    assert (stream_faults(answer.content) if stream else faults(answer.json())) == []
    assert ("fail" if marker == "[fail]" else "incomplete") in answer.text


def test_a_history_is_compacted_and_gone_on_with(client: httpx.Client) -> None:
    said = [{"type": "input_text", "text": "My name is Ada."}]
    answered = [{"type": "output_text", "text": "Hello Ada."}]
    body = {
        "model": "scripted",
        "prompt_cache_key": "key",
        "input": [message("user", said), message("assistant", answered)],
    }
    answer = client.post("/responses/compact", json=body)
    assert answer.status_code == 200
    compacted = answer.json()
    assert faults(compacted) == []
    assert compacted["object"] == "response.compaction"
    assert "compaction" in [item["type"] for item in compacted["output"]]
    response = created(client, [*compacted["output"], message("user", "What did you say?")], tools=[])
    assert response["output"][0]["content"][0]["text"] == "I said: Hello Ada."


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("/responses/compact", {"input": "Hello."}, "model"),
        ("/responses", {"input": "Hello."}, "model"),
        (
            "/responses",
            {"model": "scripted", "input": "Hello.", "previous_response_id": "resp_none"},
            "previous_response_id",
        ),
        (
            "/responses",
            {"model": "scripted", "input": [{"type": "function_call_output", "call_id": "call_none", "output": "x"}]},
            "input",
        ),
    ],
)
def test_what_is_wrong_is_refused(client: httpx.Client, path: str, body: dict[str, Any], param: str) -> None:
    answer = client.post(path, json=body)
    assert answer.status_code == 400
    assert faults(answer.json()) == []
    assert answer.json()["error"]["param"] == param

"""Test your own client with pytest: ``pytest examples/test_my_client.py``.

The fixture ``responses_server`` comes with the package. It gives the answers that the test sets, over a real socket.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import pytest

from responses_proto import ResponsesClient, RetryPolicy, function_tool
from responses_proto.exceptions import StreamInterrupted
from responses_proto.models import FunctionCall
from responses_proto.testing import Answer, Fault, Script

if TYPE_CHECKING:
    from responses_proto.testing import FakeServer


# ---- the program


@function_tool
def get_weather(city: str) -> str:
    """Return the weather in a city."""
    return f"sunny in {city}"


async def ask(base_url: str, question: str) -> str:
    """Return the answer to a question about the weather."""
    retry = RetryPolicy(initial_delay=0)
    async with ResponsesClient(base_url, "any", retry=retry) as client:
        async with client.run(model="m", input=question, tools=[get_weather]) as run:
            return (await run.result()).output_text


# ---- its tests


def test_the_tool_is_called_and_its_output_sent(responses_server: FakeServer) -> None:
    call = FunctionCall(call_id="call_1", name="get_weather", arguments='{"city": "Rome"}')
    responses_server.script = Script(Answer.items(call), "It is sunny.")
    assert anyio.run(ask, responses_server.url, "How is the weather in Rome?") == "It is sunny."
    _, second = responses_server.requests
    assert second.json["input"][-1]["output"] == "sunny in Rome"


def test_a_busy_server_is_asked_again(responses_server: FakeServer) -> None:
    responses_server.script = Script(Answer.error(503), "At last.")
    assert anyio.run(ask, responses_server.url, "Hello?") == "At last."


@pytest.mark.parametrize("fault", [Fault.split_every(1), Fault.empty_output(), Fault.missing("item_id")], ids=str)
def test_odd_servers_make_no_difference(responses_server: FakeServer, fault: Fault) -> None:
    responses_server.script = Answer.text("Hello, big world.").with_faults(fault)
    assert anyio.run(ask, responses_server.url, "Hello?") == "Hello, big world."


def test_a_broken_connection_keeps_what_arrived(responses_server: FakeServer) -> None:
    responses_server.script = Answer.text("Hello, big world.").with_faults(
        Fault.reset(after="response.output_text.delta")
    )
    with pytest.raises(StreamInterrupted) as caught:
        anyio.run(ask, responses_server.url, "Hello?")
    assert caught.value.response is not None
    assert caught.value.response.output_text == "Hello,"

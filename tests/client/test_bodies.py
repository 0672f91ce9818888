from __future__ import annotations

import gc
import json
import time
from typing import TYPE_CHECKING, Any

import anyio
import anyio.from_thread
import anyio.lowlevel
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support import both_loops, run

from responses_proto import CreateResponse, ResponsesClient
from responses_proto.client._bodies import LargeBody, is_large
from responses_proto.codec import ORJSON, STDLIB, JSONBackend, make_converter
from responses_proto.exceptions import EncodeError, LocalProtocolError
from responses_proto.models import FunctionCall, InputImage, InputText, Message, UnknownItem
from responses_proto.testing import FakeServer

if TYPE_CHECKING:
    from collections.abc import Generator

MIB = 1024 * 1024
PIXELS = "iVBORw0KGgo" * (MIB // 11)


def message(text: str) -> Message:
    return Message(role="user", content=[InputText(text=text)])


IMAGES = CreateResponse(
    model="m",
    input=[
        Message(
            role="user", content=[InputText(text="What?"), InputImage(image_url=f"data:image/png;base64,{PIXELS * 12}")]
        )
        for _ in range(2)
    ],
    extra={"vendor": {"é": [1, None]}},
)
HISTORY = CreateResponse(model="m", input=[message(f"Grüße {number} 🌍 " + "x" * 200) for number in range(30_000)])
PROMPT = CreateResponse(model="m", input='Say "\\" — ' + "🌍" * 3 * MIB)
RAW: Any = {
    "model": "m",
    "input": [
        UnknownItem(type="acme:thing", raw={"type": "acme:thing", "blob": PIXELS}),
        {"role": "user", "content": [{"type": "input_text", "text": PIXELS}]},
        FunctionCall(call_id="c", name="f", arguments=PIXELS),
    ],
}


def encoded(value: object, backend: JSONBackend | None = None) -> bytes:
    async def main() -> bytes:
        return await LargeBody(value, make_converter(json=backend)).bytes()

    return anyio.run(main)


@pytest.mark.parametrize("backend", [STDLIB, ORJSON])
@pytest.mark.parametrize("value", [IMAGES, PROMPT, RAW, CreateResponse(model="m", input="small")])
def test_a_large_body_is_byte_for_byte_what_the_codec_writes(value: Any, backend: JSONBackend | None) -> None:
    assert encoded(value, backend) == make_converter(json=backend).dumps(value)


def test_a_long_history_is_serialized_like_the_codec_does() -> None:
    assert encoded(HISTORY) == make_converter().dumps(HISTORY)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(json_values)
def test_any_value_beside_a_large_one_is_serialized_like_the_codec_does(value: Any) -> None:
    assert json.loads(encoded([value, "x" * 200_000, {"k": value}])) == [value, "x" * 200_000, {"k": value}]


@pytest.mark.parametrize(
    "wrong", [{"x": float("nan")}, {1: "x"}, object(), {"deep": b"bytes"}], ids=["nan", "key", "object", "bytes"]
)
def test_a_value_that_is_not_json_is_refused_in_large_and_small_bodies(wrong: Any) -> None:
    for value in ([wrong], ["x" * 200_000, wrong]):
        with pytest.raises(EncodeError):
            encoded(value)


def test_is_large_does_not_visit_the_whole_value() -> None:
    assert is_large(IMAGES)
    assert is_large(HISTORY)
    assert is_large(RAW)
    assert not is_large(CreateResponse(model="m", input=[message("x" * 1000)] * 20))
    started = time.process_time()
    for _ in range(10):
        assert is_large({"input": [message("x")] * 1_000_000})
    assert time.process_time() - started < 1  # of the process: other processes do not count


def test_a_reference_cycle_is_refused() -> None:
    knot: list[Any] = ["x" * 200_000]
    knot.append(knot)
    with pytest.raises(EncodeError):
        encoded(knot)


@pytest.fixture
def server() -> Generator[FakeServer]:
    """Run a server in its own thread, so that its work does not block the client's event loop."""
    with (
        anyio.from_thread.start_blocking_portal() as portal,
        portal.wrap_async_context_manager(FakeServer(check_requests=False)) as made,
    ):
        yield made


@both_loops
@pytest.mark.parametrize("request_", [IMAGES, HISTORY, PROMPT], ids=["images", "history", "prompt"])
def test_a_request_of_many_megabytes_does_not_stall_the_loop(
    backend: str, request_: CreateResponse, server: FakeServer
) -> None:
    # Times of this thread: other processes on the machine must not count, nor the speed of the machine.
    started = time.thread_time()
    make_converter().dumps(request_)
    in_one_piece = time.thread_time() - started
    stalls: list[float] = []

    async def send() -> None:
        worst = 0.0
        done = anyio.Event()

        async def tick() -> None:
            nonlocal worst
            while not done.is_set():
                before = time.thread_time()
                await anyio.lowlevel.checkpoint()
                worst = max(worst, time.thread_time() - before)

        async with anyio.create_task_group() as tasks, ResponsesClient(server.url) as client:
            tasks.start_soon(tick)
            await anyio.sleep(0.01)
            async with client.stream(request_) as stream:
                await stream.result()
            done.set()
        stalls.append(worst)

    gc.collect()
    gc.freeze()
    try:
        for _ in range(3):  # the best of three: the first one is also the one that imports
            run(backend, send)
    finally:
        gc.unfreeze()
    assert server.requests[0].json["stream"] is True
    assert len(server.requests[0].body) > 6 * MIB
    assert min(stalls) < in_one_piece / 3, (stalls, in_one_piece)


def test_a_closed_client_refuses_a_large_body_at_once() -> None:
    async def main() -> None:
        client = ResponsesClient("http://127.0.0.1:9/v1")
        await client.aclose()
        with pytest.raises(LocalProtocolError, match="closed"):
            client.stream(IMAGES)

    anyio.run(main)

"""Measure the speed and memory of the engine beside its peers: ``make bench``.

The peers are ``openai``, which reads the same bytes with its own client over an in-memory transport, and ``msgspec``, which is the
limit: it decodes the same frames into a tagged struct, without checks and without accumulation.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tracemalloc
from typing import TYPE_CHECKING, Any

import httpx2
import msgspec
import openai
from benchmarks.measure import alternate, row, timed
from benchmarks.streams import chunked, frames, sse

from responses_proto import ResponsesClient, ResponseStream, codec
from responses_proto.models import OutputTextDelta

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

DELTAS = 5_000
ROUNDS = 7
STREAM = sse(DELTAS)
FRAMES = frames(DELTAS)
EVENTS = len(FRAMES)
CHUNKS = chunked(STREAM, 4096)
_URL = "http://bench.invalid/v1"


class _Body(httpx2.AsyncByteStream):
    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in CHUNKS:
            yield chunk


class _Memory(httpx2.AsyncBaseTransport):
    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers={"content-type": "text/event-stream"}, stream=_Body(), request=request)


def _client() -> httpx2.AsyncClient:
    return httpx2.AsyncClient(transport=_Memory())


async def ours(*, snapshot: bool = False) -> None:
    """Iterate over the typed events. With ``snapshot``, accumulate the response, too."""
    async with (
        ResponsesClient(base_url=_URL, api_key="none", http_client=_client()) as client,
        client.stream(model="bench", input="") as stream,
    ):
        seen = 0
        async for _ in stream:
            seen += 1
        if snapshot:
            assert (await stream.result()).output_text  # noqa: S101 - the snapshot is built when it is read
        assert seen == EVENTS  # noqa: S101 - all work must be done


async def theirs(*, snapshot: bool = False) -> None:
    """Iterate over openai's events. With ``snapshot``, use its accumulator, too."""
    async with openai.AsyncOpenAI(base_url=_URL, api_key="none", http_client=_client()) as client:
        seen = 0
        if snapshot:
            async with client.responses.stream(model="bench", input="") as helper:
                async for _ in helper:
                    seen += 1
                assert (await helper.get_final_response()).output_text  # noqa: S101 - as above
        else:
            async for _ in await client.responses.create(model="bench", input="", stream=True):
                seen += 1
        assert seen >= EVENTS  # noqa: S101 - as above


def engine(converter: codec.Converter | None = None) -> None:
    """Read bytes into typed events, without a client."""
    stream = ResponseStream(converter=converter)
    for chunk in CHUNKS:
        stream.receive_data(chunk)
        for _ in stream.events_received():
            pass
    stream.receive_eof()


class _Delta(msgspec.Struct, tag="response.output_text.delta", tag_field="type"):
    sequence_number: int
    item_id: str
    output_index: int
    content_index: int
    delta: str
    logprobs: list[Any] = []
    obfuscation: str = ""


class _Done(msgspec.Struct, tag="response.output_text.done", tag_field="type"):
    sequence_number: int
    item_id: str
    output_index: int
    content_index: int
    text: str


_decoder = msgspec.json.Decoder(_Delta | _Done)
_DELTA_STREAM = b"".join(
    b"event: %b\ndata: %b\n\n" % (name.encode(), data) for name, data in FRAMES if name == OutputTextDelta.type
)
_DELTA_CHUNKS = chunked(_DELTA_STREAM, 4096)


def limit() -> None:
    """Split the frames in the simplest way, and decode each with msgspec."""
    rest = b""
    decode = _decoder.decode
    for chunk in _DELTA_CHUNKS:
        *blocks, rest = (rest + chunk).split(b"\n\n")
        for block in blocks:
            decode(block.partition(b"\ndata: ")[2])


def ours_at_the_limit() -> None:
    """Read the same deltas with the engine."""
    stream = ResponseStream()
    for chunk in _DELTA_CHUNKS:
        stream.receive_data(chunk)
        stream.events_received()


def per_event(deltas: int) -> float:
    """Return the seconds per event of a stream with ``deltas`` deltas."""
    chunks = chunked(sse(deltas), 65_536)

    def work() -> None:
        stream = ResponseStream()
        for chunk in chunks:
            stream.receive_data(chunk)
            stream.events_received()

    return timed(work) / deltas


def one_event(size: int) -> float:
    """Return the seconds for one event of ``size`` bytes, in chunks of 1 KiB."""
    data = json.dumps(
        {
            "type": "response.output_text.done",
            "sequence_number": 0,
            "item_id": "m",
            "output_index": 0,
            "content_index": 0,
            "text": "x" * size,
        }
    )
    chunks = chunked(f"event: response.output_text.done\ndata: {data}\n\n".encode(), 1024)

    def work() -> None:
        stream = ResponseStream()
        for chunk in chunks:
            stream.receive_data(chunk)

    return min(timed(work) for _ in range(3))


def bytes_per_kept(keep: Callable[[], list[Any]]) -> float:
    """Return the bytes of memory per kept delta event."""
    tracemalloc.start()
    kept = keep()
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return size / len(kept)


def keep_ours() -> list[Any]:
    """Return every delta event of the engine."""
    stream = ResponseStream()
    kept: list[Any] = []
    for chunk in CHUNKS:
        stream.receive_data(chunk)
        kept += [event for event in stream.events_received() if isinstance(event, OutputTextDelta)]
    return kept


def keep_theirs() -> list[Any]:
    """Return every delta event of openai."""

    async def run() -> list[Any]:
        async with openai.AsyncOpenAI(base_url=_URL, api_key="none", http_client=_client()) as client:
            stream = await client.responses.create(model="bench", input="", stream=True)
            return [event async for event in stream if event.type == OutputTextDelta.type]

    return asyncio.run(run())


def grown() -> float:
    """Return the MiB by which a process grows when it reads a million events and keeps none. The accumulated text is included."""
    code = (
        "import resource; from benchmarks.engine import read_a_million; peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss;"
        "read_a_million(10); before = peak(); read_a_million(1000); print((peak() - before) / 1024)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)  # noqa: S603 - our own code
    return float(done.stdout)


def read_a_million(thousands: int) -> None:
    """Read ``thousands`` times a thousand deltas, generated while reading."""
    stream = ResponseStream()
    before = b"".join(b"data: %b\n\n" % data for _, data in FRAMES[:4])
    stream.receive_data(before)
    template = FRAMES[4][1].replace(b'"sequence_number":4,', b'"sequence_number":%d,')
    for thousand in range(thousands):
        first = 4 + thousand * 1000
        stream.receive_data(b"".join(b"data: %b\n\n" % (template % number) for number in range(first, first + 1000)))
        assert len(stream.events_received()) >= 1000  # noqa: PLR2004, S101 - as above


def import_times() -> tuple[float, float, float]:
    """Return the seconds to import the package, to import everything in it, and to import openai.

    The first two do not include the dependencies.
    """
    # With bytecode, as installed. The first run writes it.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    code = "import time; {before}; begin = time.perf_counter(); {work}; print(time.perf_counter() - begin)"

    def seconds(before: str, work: str) -> float:
        command = [sys.executable, "-c", code.format(before=before, work=work)]
        runs = [subprocess.run(command, check=True, env=environment, capture_output=True) for _ in range(7)]  # noqa: S603 - our own code
        return min(float(run.stdout) for run in runs)

    deps = (
        "import anyio, attrs, cattrs, httpx, httpx_sse, orjson"
        if codec.ORJSON
        else "import anyio, attrs, cattrs, httpx, httpx_sse"
    )
    everything = "from responses_proto import ResponsesClient, ResponseStream, models, codec"
    return seconds(deps, "import responses_proto"), seconds(deps, everything), seconds("pass", "import openai")


def main() -> int:
    """Run all measurements. Return the number of missed bars."""
    has_orjson = codec.ORJSON is not None
    missed = 0

    def check(*args: Any, **kwargs: Any) -> None:
        nonlocal missed
        missed += not row(*args, **kwargs)

    us, them = alternate(lambda: asyncio.run(ours()), lambda: asyncio.run(theirs()), rounds=ROUNDS)
    check(
        "async for, in memory: openai / us",
        them / us,
        20 if has_orjson else 12,
        at_least=True,
        note=f"{us / EVENTS * 1e6:.2f} us an event",
    )
    us, them = alternate(lambda: asyncio.run(ours(snapshot=True)), lambda: asyncio.run(theirs(snapshot=True)), rounds=3)
    check("the same with the snapshot: openai / us", them / us, 30, at_least=True)
    standard = codec.make_converter(json=codec.STDLIB)
    fast, slow = alternate(engine, lambda: engine(standard), rounds=ROUNDS)
    print(
        f"     engine alone: {fast / EVENTS * 1e6:.2f} us an event; with the standard library's json {slow / EVENTS * 1e6:.2f} us"
    )
    us, them = alternate(ours_at_the_limit, limit, rounds=ROUNDS)
    check(
        "distance to the limit: us / msgspec",
        us / them,
        2.1,
        at_least=False,
        note=f"{them / DELTAS * 1e6:.2f} us an event at the limit",
    )
    per_event(10_000)
    check(
        "growth: an event of 1 000 000 / of 10 000",
        per_event(1_000_000) / min(per_event(10_000) for _ in range(5)),
        1.2,
        at_least=False,
    )
    check(
        "growth: an event of 8 MiB / of 1 MiB, in 1 KiB chunks",
        one_event(8 * 2**20) / one_event(2**20),
        10,
        at_least=False,
    )
    check(
        "memory: a kept delta event, openai / us",
        bytes_per_kept(keep_theirs) / bytes_per_kept(keep_ours),
        4,
        at_least=True,
    )
    check("memory: growth over 1 000 000 events, MiB with the text", grown(), 5, at_least=False)
    bare, everything, peer = import_times()
    check("import responses_proto: ms over the dependencies", bare * 1e3, 60, at_least=False)
    check("the same with client, engine, models and codec used", everything * 1e3, 60, at_least=False)
    check("the same: us / openai", everything / peer, 1 / 3, at_least=False)
    return missed


if __name__ == "__main__":
    sys.exit(min(main(), 1))

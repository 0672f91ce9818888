"""Measure the engine, and the client above it, without a network: one event per chunk, recorded streams, growth, memory and import time."""

from __future__ import annotations

import asyncio
import json
import os
import re
import statistics
import subprocess
import sys
import tracemalloc
from typing import TYPE_CHECKING, Any, Final, cast

import httpx2
import msgspec
import openai
import orjson
from benchmarks.measure import alternate, alternate_async, cpu_time
from benchmarks.streams import chunked, events_of, frames, recorded, sse
from openai.types.responses import ResponseStreamEvent

from responses_proto import ResponsesClient, ResponseStream
from responses_proto.models import OutputTextDelta

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from benchmarks.measure import Report

__all__ = ["read_thousands", "run"]

_DELTAS: Final = 2_000
_URL: Final = "http://bench.invalid/v1"
_DATA: Final = re.compile(rb"^data: ?(\{.*)$", re.MULTILINE)


class _Body(httpx2.AsyncByteStream):
    def __init__(self, chunks: list[bytes]) -> None:
        self._chunks = chunks

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self._chunks:
            yield chunk


class _Memory(httpx2.AsyncBaseTransport):
    def __init__(self, chunks: list[bytes]) -> None:
        self._chunks = chunks

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        headers = {"content-type": "text/event-stream"}
        return httpx2.Response(200, headers=headers, stream=_Body(self._chunks), request=request)


async def in_memory(report: Report, rounds: int) -> None:
    """Measure one event per chunk, through both clients over the same transport in memory."""
    chunks = events_of(sse(_DELTAS))

    async def ours() -> None:
        seen = 0
        async with client.stream(model="bench", input="") as stream:
            async for _ in stream:
                seen += 1
            await stream.result()
        expect(seen, len(chunks))

    async def theirs() -> None:
        seen = 0
        async for _ in await peer.responses.create(model="bench", input="", stream=True):
            seen += 1
        expect(seen, len(chunks))

    async def bare() -> None:
        seen = 0
        async with http.stream("POST", _URL) as response:
            async for _ in response.aiter_raw():
                seen += 1
        expect(seen, len(chunks))

    async with (
        httpx2.AsyncClient(transport=_Memory(chunks)) as http,
        ResponsesClient(base_url=_URL, api_key="none", http_client=http) as client,
    ):
        peer = openai.AsyncOpenAI(base_url=_URL, api_key="none", http_client=http)
        taken = await alternate_async({"responses_proto": ours, "openai": theirs, "httpx2 alone": bare}, rounds)
    report.times("one event per chunk, in memory", taken, len(chunks))
    report.ratio("in memory: openai / us", taken.ratios("openai", "responses_proto"), at_least=10, goal=15)


def expect(seen: int, expected: int) -> None:
    """Raise ``RuntimeError`` if the number of events is not the expected one."""
    if seen != expected:
        raise RuntimeError(f"expected {expected}, got {seen}")


# ---- recorded streams


def by_engine(streams: list[list[bytes]]) -> None:
    """Read streams into typed events and snapshots, one event per read."""
    for reads in streams:
        stream = ResponseStream()
        for read in reads:
            stream.receive_data(read)
            for _ in stream.events_received():
                pass
        stream.receive_eof()
        expect(bool(stream.response.output), expected=True)


def by_openai(client: openai.OpenAI, streams: list[list[bytes]]) -> None:
    """Decode streams into openai's typed events, without its HTTP client and without a snapshot."""
    request = httpx2.Request("POST", _URL)
    event_type = cast("Any", ResponseStreamEvent)
    for reads in streams:
        response = httpx2.Response(200, content=iter(reads), request=request)
        for _ in openai.Stream[Any](cast_to=event_type, response=response, client=client):
            pass


def by_loads(loads: Callable[[bytes], object], streams: list[list[bytes]]) -> None:
    """Only decode the JSON of each event."""
    for data in streams:
        for each in data:
            loads(each)


def recordings(client: openai.OpenAI) -> list[list[bytes]]:
    """Return the recorded streams that openai can read as well, as one read per event."""
    usable: list[list[bytes]] = []
    for reads in map(events_of, recorded()):
        try:
            by_openai(client, [reads])
            by_engine([reads])
        except Exception:  # noqa: BLE001, S112 - recorded with another client, or an error
            continue
        usable.append(reads)
    return usable


def recorded_streams(report: Report, rounds: int) -> None:
    """Measure recorded traffic, one event per read, with the snapshot."""
    with openai.OpenAI(base_url=_URL, api_key="none") as client:
        streams = recordings(client)
        data = [[found[1] for read in reads if (found := _DATA.search(read))] for reads in streams]
        events = sum(map(len, data))
        works = {
            "responses_proto": lambda: by_engine(streams),
            "openai, events only": lambda: by_openai(client, streams),
            "orjson alone": lambda: by_loads(orjson.loads, data),
            "msgspec alone": lambda: by_loads(msgspec.json.decode, data),
        }
        taken = alternate(works, rounds)
    report.times(f"{len(streams)} recorded streams of {events / len(streams):.0f} events", taken, events)
    report.ratio("recorded: openai / us", taken.ratios("openai, events only", "responses_proto"), at_least=12, goal=20)
    report.ratio("recorded: us / orjson alone", taken.ratios("responses_proto", "orjson alone"), goal=3.5)


# ---- growth


def stream_of(deltas: int) -> Callable[[], None]:
    """Return a function that reads a stream of this many deltas."""
    chunks = chunked(sse(deltas), 65_536)

    def work() -> None:
        stream = ResponseStream()
        for chunk in chunks:
            stream.receive_data(chunk)
            stream.events_received()

    return work


def event_of(size: int) -> Callable[[], None]:
    """Return a function that reads one event of this many bytes, in chunks of 1 KiB."""
    place = {"sequence_number": 0, "item_id": "m", "output_index": 0, "content_index": 0}
    data = json.dumps({"type": "response.output_text.done", **place, "text": "x" * size})
    chunks = chunked(f"event: response.output_text.done\ndata: {data}\n\n".encode(), 1024)

    def work() -> None:
        stream = ResponseStream()
        for chunk in chunks:
            stream.receive_data(chunk)

    return work


def growth(report: Report, rounds: int) -> None:
    """Measure that the cost of an event does not depend on the length of the stream, nor the cost of a byte on that of the event."""
    short, long, small, large = stream_of(10_000), stream_of(1_000_000), event_of(2**20), event_of(8 * 2**20)

    def ratios(longer: Callable[[], None], shorter: Callable[[], None], times: int, number: int) -> list[float]:
        """Compare a long work with a short one that is repeated ``times`` times, so that noise affects both equally."""

        def shorts() -> None:
            for _ in range(times):
                shorter()

        return [cpu_time(longer) / cpu_time(shorts) for _ in range(number)]

    short()
    million = ratios(long, short, 100, max(1, rounds // 3))
    report.ratio("growth: an event of 1 000 000 / of 10 000", million, at_most=1.2, goal=1.1)
    byte = [8 * ratio for ratio in ratios(large, small, 8, rounds)]
    report.ratio("growth: an event of 8 MiB / of 1 MiB", byte, at_most=10, goal=8.5)


# ---- memory


def kept_by_us(chunks: list[bytes]) -> Iterator[object]:
    """Yield the delta events of the engine."""
    stream = ResponseStream()
    for chunk in chunks:
        stream.receive_data(chunk)
        yield from (event for event in stream.events_received() if isinstance(event, OutputTextDelta))


def kept_by_openai(client: openai.OpenAI, chunks: list[bytes]) -> Iterator[object]:
    """Yield the delta events of openai."""
    response = httpx2.Response(200, content=iter(chunks), request=httpx2.Request("POST", _URL))
    event_type = cast("Any", ResponseStreamEvent)
    for event in openai.Stream[Any](cast_to=event_type, response=response, client=client):
        if event.type == OutputTextDelta.type:
            yield event


def bytes_each(events: Iterator[object]) -> float:
    """Return the bytes of memory per object if all are kept."""
    tracemalloc.start()
    kept = list(events)
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return size / len(kept)


def memory(report: Report) -> None:
    """Measure that kept events take little memory, and that events which are not kept take none."""
    chunks = chunked(sse(_DELTAS), 4096)
    with openai.OpenAI(base_url=_URL, api_key="none") as client:
        ratio = bytes_each(kept_by_openai(client, chunks)) / bytes_each(kept_by_us(chunks))
    report.ratio("memory: a kept delta, openai / us", [ratio], at_least=4, goal=6)
    for name, rotating in (("", False), (", rotating ids", True)):
        code = (
            "import resource; from benchmarks.engine import read_thousands as read;"
            "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss;"
            f"read(10, {rotating}); before = peak(); read(1000, {rotating}); print((peak() - before) / 1024)"
        )
        done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)  # noqa: S603 - our own code
        report.ratio(f"memory: MiB for 1 000 000 events{name}", [float(done.stdout)], at_most=5, goal=1)


def read_thousands(thousands: int, rotating: bool) -> None:  # noqa: FBT001 - called by the line of code above
    """Read ``thousands`` times a thousand empty deltas, generated while reading. If ``rotating``, each has another item id."""
    stream = ResponseStream()
    there = frames(1)
    stream.receive_data(b"".join(b"data: %b\n\n" % data for _, data in there[:4]))
    delta = json.loads(there[4][1])
    for thousand in range(thousands):
        numbers = range(4 + thousand * 1000, 1004 + thousand * 1000)
        for number in numbers:
            delta |= {"sequence_number": number, "delta": ""} | ({"item_id": f"m{number}"} if rotating else {})
            stream.receive_data(b"data: %b\n\n" % json.dumps(delta).encode())
        expect(len(stream.events_received()) >= len(numbers), expected=True)


# ---- import


def imports(report: Report, rounds: int) -> None:
    """Measure the import of the package and of the modules that a typical program uses, and `import openai`, each in new processes."""
    # With bytecode, as installed. The first run writes it.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}

    def seconds(work: str) -> float:
        code = f"import time; begin = time.process_time(); {work}; print(time.process_time() - begin)"
        done = subprocess.run([sys.executable, "-c", code], check=True, env=environment, capture_output=True)  # noqa: S603 - our own code
        return float(done.stdout)

    ours, theirs = "from responses_proto import ResponsesClient, ResponseStream, models, codec", "import openai"
    for work in (ours, theirs):
        seconds(work)
    taken = [(seconds(ours), seconds(theirs)) for _ in range(rounds)]
    print(
        f"     import, CPU ms: {statistics.median(us for us, _ in taken) * 1e3:.0f}, openai {statistics.median(them for _, them in taken) * 1e3:.0f}"
    )
    report.ratio("import: us / openai", [us / them for us, them in taken], at_most=0.45, goal=0.33)


def run(report: Report, rounds: int) -> None:
    """Measure all of this module."""
    asyncio.run(in_memory(report, rounds))
    recorded_streams(report, rounds)
    growth(report, rounds)
    memory(report)
    imports(report, rounds)

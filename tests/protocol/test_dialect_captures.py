"""What four bridging servers really send: the right text, the right calls, and exactly these findings."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import pytest
from tests.streams import Wire, codes, read
from tests.support import NO_SHARED, shared

from responses_proto.codec import dump, dumps
from responses_proto.protocol import ResponseStream

if TYPE_CHECKING:
    from collections.abc import Sequence

# fmt: off
FOUND: Final[dict[str, tuple[str, dict[str, int]]]] = {
    # capture: (outcome, findings by code: in how many places of how many kinds of events)
    "litellm/01-text": ("completed", {"json-body": 1}),
    "litellm/02-text-stream": ("completed", {"response-merged": 3, "sequence-missing": 8, "sequence-repeated": 1}),
    "litellm/03-multiturn-stream": ("completed", {"response-merged": 3, "sequence-missing": 8, "sequence-repeated": 1}),
    "litellm/05-function": ("completed", {"json-body": 1}),
    "litellm/06-function-stream": ("completed", {"response-merged": 3, "sequence-gap": 1, "sequence-missing": 6}),
    "litellm/07-function-parallel-stream": ("completed", {"response-merged": 3, "sequence-gap": 1, "sequence-missing": 6}),
    "litellm/09-text-then-function-stream": ("completed", {"response-merged": 3, "sequence-gap": 1, "sequence-missing": 10, "sequence-repeated": 1}),
    "litellm/11-structured-stream": ("completed", {"response-merged": 3, "sequence-missing": 8, "sequence-repeated": 1}),
    "litellm/13-reasoning-stream": ("completed", {"missing-field": 2, "output-merged": 1, "part-implied": 1, "part-index": 1, "response-merged": 2, "sequence-missing": 9, "sequence-repeated": 3}),
    "litellm/20-err-400-no-input": ("error", {"json-body": 1}),
    "litellm/23-err-up-400": ("error", {"json-body": 1}),
    "litellm/26-err-up-429-stream": ("error", {"json-body": 1}),
    "litellm/31-failmid-stream": ("failed", {"missing-field": 3, "response-merged": 4, "sequence-gap": 1, "sequence-missing": 5}),
    "litellm/33-truncate-stream": ("completed", {"missing-field": 1, "response-merged": 3, "sequence-missing": 8, "sequence-repeated": 1}),
    "litellm/36-length-stream": ("incomplete", {"response-merged": 3, "sequence-missing": 8, "sequence-repeated": 1}),
    "litellm/38-refusal-stream": ("completed", {"response-merged": 3, "sequence-missing": 7, "sequence-repeated": 1}),
    "litellm/40-unicode-stream": ("completed", {"response-merged": 3, "sequence-missing": 8, "sequence-repeated": 1}),
    "litellm/51-mcp-stream": ("completed", {"response-merged": 3, "sequence-missing": 8, "sequence-repeated": 1}),
    "litellm/53-mcp-approval-stream": ("completed", {"response-merged": 3, "sequence-missing": 8, "sequence-repeated": 1}),
    "litellm-mcp/51-mcp-stream": ("completed", {"delta-mismatch": 1, "found-by-id": 10, "index-contradicted": 11, "index-occupied": 1, "item-implied": 1, "output-differs": 1, "response-id-changed": 1, "response-merged": 3, "sequence-gap": 1, "sequence-missing": 6, "sequence-repeated": 1}),
    "litellm-mcp/53-mcp-approval-stream": ("completed", {"found-by-id": 2, "index-contradicted": 3, "item-implied": 1, "output-differs": 1, "response-merged": 3, "sequence-gap": 1, "sequence-missing": 4}),
    "llamastack/01-text": ("completed", {"json-body": 1, "missing-field": 2}),
    "llamastack/02-text-stream": ("completed", {"item-implied": 1, "item-unfinished": 1, "missing-field": 4, "output-differs": 1, "part-implied": 1, "sequence-missing": 2}),
    "llamastack/03-multiturn-stream": ("completed", {"item-implied": 1, "item-unfinished": 1, "missing-field": 4, "output-differs": 1, "part-implied": 1, "sequence-missing": 2}),
    "llamastack/05-function": ("completed", {"json-body": 1, "missing-field": 2}),
    "llamastack/06-function-stream": ("completed", {"missing-field": 4, "output-differs": 1, "sequence-missing": 2}),
    "llamastack/07-function-parallel-stream": ("completed", {"missing-field": 4, "output-differs": 1, "sequence-missing": 2}),
    "llamastack/09-text-then-function-stream": ("completed", {"item-implied": 1, "item-unfinished": 1, "missing-field": 4, "output-differs": 2, "part-implied": 1, "sequence-missing": 2}),
    "llamastack/11-structured-stream": ("completed", {"item-implied": 1, "item-unfinished": 1, "missing-field": 4, "output-differs": 1, "part-implied": 1, "sequence-missing": 2}),
    "llamastack/13-reasoning-stream": ("completed", {"item-implied": 1, "item-unfinished": 1, "missing-field": 4, "output-differs": 1, "part-implied": 1, "sequence-missing": 2}),
    "llamastack/20-err-400-no-input": ("error", {"json-body": 1, "missing-field": 1}),
    "llamastack/23-err-up-400": ("error", {"json-body": 1, "missing-field": 1}),
    "llamastack/26-err-up-429-stream": ("error", {"error-untyped": 1, "missing-field": 2, "sequence-missing": 1}),
    "llamastack/31-failmid-stream": ("error", {"error-untyped": 1, "item-implied": 1, "missing-field": 2, "part-implied": 1, "sequence-missing": 1}),
    "llamastack/33-truncate-stream": ("completed", {"item-implied": 1, "item-unfinished": 1, "missing-field": 4, "output-differs": 1, "part-implied": 1, "sequence-missing": 2}),
    "llamastack/36-length-stream": ("completed", {"item-implied": 1, "item-unfinished": 1, "missing-field": 4, "output-differs": 1, "part-implied": 1, "sequence-missing": 2}),
    "llamastack/38-refusal-stream": ("completed", {"missing-field": 4, "output-differs": 1, "sequence-missing": 2}),
    "llamastack/40-unicode-stream": ("completed", {"item-implied": 1, "item-unfinished": 1, "missing-field": 4, "output-differs": 1, "part-implied": 1, "sequence-missing": 2}),
    "llamastack/51-mcp-stream": ("completed", {"index-skipped": 1, "item-implied": 1, "item-unfinished": 1, "missing-field": 4, "output-differs": 3, "part-implied": 1, "sequence-missing": 2}),
    "llamastack/53-mcp-approval-stream": ("completed", {"index-skipped": 1, "item-implied": 1, "item-unfinished": 1, "missing-field": 4, "output-differs": 3, "part-implied": 1, "sequence-missing": 2}),
    "ors/01-text": ("truncated", {"no-terminal": 1}),
    "ors/02-text-stream": ("completed", {"item-implied": 1, "item-unfinished": 1, "part-implied": 1, "part-index": 1, "sequence-missing": 4}),
    "ors/03-multiturn-stream": ("completed", {"item-implied": 1, "item-unfinished": 1, "part-implied": 1, "part-index": 1, "sequence-missing": 4}),
    "ors/05-function": ("truncated", {"no-terminal": 1}),
    "ors/06-function-stream": ("completed", {"found-by-id": 2, "id-missing": 1, "index-contradicted": 2, "item-implied": 2, "item-unfinished": 2, "lifecycle": 1, "output-differs": 1, "part-implied": 1, "part-index": 1, "sequence-missing": 6}),
    "ors/07-function-parallel-stream": ("completed", {"delta-mismatch": 1, "found-by-id": 2, "id-missing": 1, "id-rotated": 1, "index-contradicted": 2, "item-implied": 2, "item-unfinished": 2, "lifecycle": 1, "output-differs": 2, "part-implied": 1, "part-index": 1, "sequence-missing": 6}),
    "ors/09-text-then-function-stream": ("completed", {"found-by-id": 2, "id-missing": 1, "index-contradicted": 2, "item-implied": 2, "item-unfinished": 2, "lifecycle": 1, "output-differs": 2, "part-implied": 1, "part-index": 1, "sequence-missing": 6}),
    "ors/11-structured-stream": ("completed", {"item-implied": 1, "item-unfinished": 1, "part-implied": 1, "part-index": 1, "sequence-missing": 4}),
    "ors/13-reasoning-stream": ("completed", {"item-implied": 1, "item-unfinished": 1, "part-implied": 1, "part-index": 1, "sequence-missing": 4}),
    "ors/20-err-400-no-input": ("truncated", {"no-terminal": 1}),
    "ors/23-err-up-400": ("truncated", {"no-terminal": 1}),
    "ors/26-err-up-429-stream": ("error", {}),
    "ors/31-failmid-stream": ("truncated", {"item-implied": 1, "no-terminal": 1, "part-implied": 1, "part-index": 1, "sequence-missing": 3}),
    "ors/33-truncate-stream": ("truncated", {"item-implied": 1, "no-terminal": 1, "part-implied": 1, "part-index": 1, "sequence-missing": 3}),
    "ors/36-length-stream": ("completed", {"item-implied": 1, "item-unfinished": 1, "output-differs": 1, "part-implied": 1, "part-index": 1, "sequence-missing": 4}),
    "ors/38-refusal-stream": ("completed", {"item-implied": 1, "item-unfinished": 1, "part-implied": 1, "part-index": 1, "sequence-missing": 4}),
    "ors/40-unicode-stream": ("completed", {"item-implied": 1, "item-unfinished": 1, "part-implied": 1, "part-index": 1, "sequence-missing": 4}),
    "ors/51-mcp-stream": ("completed", {"item-implied": 1, "item-unfinished": 1, "part-implied": 1, "part-index": 1, "sequence-missing": 4}),
    "ors/53-mcp-approval-stream": ("completed", {"item-implied": 1, "item-unfinished": 1, "part-implied": 1, "part-index": 1, "sequence-missing": 4}),
    "ors-mcp/02-text-stream": ("completed", {"found-by-id": 2, "id-missing": 1, "id-rotated": 1, "index-contradicted": 2, "item-implied": 2, "item-unfinished": 2, "lifecycle": 1, "output-differs": 3, "output-merged": 1, "part-implied": 1, "part-index": 1, "sequence-missing": 6}),
    "ors-mcp/06-function-stream": ("completed", {"found-by-id": 2, "id-missing": 1, "index-contradicted": 2, "item-implied": 2, "item-unfinished": 2, "lifecycle": 1, "output-differs": 1, "part-implied": 1, "part-index": 1, "sequence-missing": 6}),
    "responses-js/01-text": ("completed", {"json-body": 1, "missing-field": 1}),
    "responses-js/02-text-stream": ("completed", {"missing-field": 3}),
    "responses-js/03-multiturn-stream": ("completed", {"missing-field": 3}),
    "responses-js/05-function": ("completed", {"json-body": 1, "missing-field": 1}),
    "responses-js/06-function-stream": ("completed", {"missing-field": 3}),
    "responses-js/07-function-parallel-stream": ("completed", {"item-unfinished": 1, "missing-field": 3}),
    "responses-js/09-text-then-function-stream": ("completed", {"item-unfinished": 1, "missing-field": 3}),
    "responses-js/11-structured-stream": ("completed", {"missing-field": 3}),
    "responses-js/13-reasoning-stream": ("completed", {"index-occupied": 1, "missing-field": 3}),
    "responses-js/20-err-400-no-input": ("error", {"json-body": 1}),
    "responses-js/23-err-up-400": ("failed", {"json-body": 1, "missing-field": 1}),
    "responses-js/26-err-up-429-stream": ("failed", {"missing-field": 3}),
    "responses-js/31-failmid-stream": ("failed", {"missing-field": 3}),
    "responses-js/33-truncate-stream": ("completed", {"missing-field": 3}),
    "responses-js/36-length-stream": ("completed", {"missing-field": 3}),
    "responses-js/38-refusal-stream": ("completed", {"missing-field": 3}),
    "responses-js/40-unicode-stream": ("completed", {"missing-field": 3}),
    "responses-js/51-mcp-stream": ("completed", {"found-by-kind": 3, "id-missing": 3, "index-missing": 3, "index-occupied": 1, "missing-field": 3}),
    "responses-js/53-mcp-approval-stream": ("completed", {"found-by-kind": 2, "id-missing": 2, "index-missing": 2, "missing-field": 3}),
}
# fmt: on

# The terminal event of these lists other items than were streamed, or lacks the text that was.
DELTAS_LOST: Final = {
    "llamastack/09-text-then-function-stream": "the text before the call is in the deltas only",
    "llamastack/51-mcp-stream": "deltas of two messages have one id",
    "llamastack/53-mcp-approval-stream": "deltas of two messages have one id",
    "litellm-mcp/51-mcp-stream": "two responses in one stream",
    "litellm-mcp/53-mcp-approval-stream": "the call is streamed as another kind of item",
}
# What only the deltas had.
KEPT: Final = {"llamastack/09-text-then-function-stream": "I will call a tool."}
CALLS: Final = ("function_call", "mcp_call", "custom_tool_call")


def capture(name: str) -> bytes:
    path = shared("dialects", f"{name}.http")
    if not path.exists():
        pytest.skip(NO_SHARED)
    return path.read_bytes().partition(b"\r\n\r\n")[2]


def frames_of(body: bytes) -> list[Wire]:
    """Read the objects of a capture without the engine."""
    if body[:1] == b"{":
        value: Wire = json.loads(body)
        return [{"type": "", "response": value}] if value.get("object") == "response" else []
    lines = [line.removeprefix(b"data:").strip() for line in body.splitlines() if line.startswith(b"data:")]
    return [json.loads(line) for line in lines if line.startswith(b"{")]


def last_word(frames: Sequence[Wire]) -> list[Any]:
    """Give the output of the last event that has one, which is what the server says it said."""
    outputs = [frame["response"]["output"] for frame in frames if frame.get("response", {}).get("output")]
    return outputs[-1] if outputs else []


def text_in(output: Sequence[Any]) -> str:
    parts = [part for item in output if item["type"] == "message" for part in item["content"] or ()]
    return "".join(part["text"] for part in parts if part["type"] == "output_text")


def calls_in(output: Sequence[Any]) -> list[tuple[str, str]]:
    return [(item["name"], item["arguments"]) for item in output if item["type"] in CALLS]


def covers(kept: Any, said: Any) -> bool:
    """Return whether a kept value has all that another one says."""
    match kept, said:
        case {}, {}:
            return all(covers(kept.get(key), value) for key, value in said.items() if value not in (None, "", [], {}))
        case [*_], [*_]:
            return len(kept) >= len(said) and all(map(covers, kept, said))
        case _:
            return bool(kept == said)


def deltas_in(frames: Sequence[Wire]) -> str:
    return "".join(frame["delta"] for frame in frames if frame.get("type") == "response.output_text.delta")


def test_every_capture_is_in_the_table() -> None:
    folder = shared("dialects")
    if not folder.exists():
        pytest.skip(NO_SHARED)
    assert sorted(f"{path.parent.name}/{path.stem}" for path in folder.glob("*/*.http")) == sorted(FOUND)


@pytest.mark.parametrize("name", FOUND)
def test_a_capture_has_its_outcome_and_exactly_its_findings(name: str) -> None:
    status, found = FOUND[name]
    stream = read(capture(name))
    assert stream.outcome is not None
    assert (stream.outcome.status, dict(codes(stream))) == (status, found)
    assert (stream.outcome.error is not None) is (status in ("error", "failed"))
    assert dumps(stream.response)


@pytest.mark.parametrize("name", FOUND)
def test_a_capture_gives_the_right_text_and_the_right_calls(name: str) -> None:
    body = capture(name)
    frames, output = frames_of(body), dump(read(body).response).get("output", [])
    said = last_word(frames)
    assert text_in(output) == KEPT.get(name, "") + (text_in(said) if said else deltas_in(frames))
    rest = iter(output)
    for item in said:  # each in its place, with nothing of it changed
        assert any(covers(kept, item) for kept in rest), item
    assert {call for call, _ in calls_in(output)} == {call for call, _ in calls_in(said)}
    assert all(arguments for _, arguments in calls_in(output))


@pytest.mark.parametrize("name", FOUND)
def test_a_capture_is_streamed_as_it_is_said(name: str) -> None:
    if name in DELTAS_LOST:
        pytest.skip(DELTAS_LOST[name])
    body = capture(name)
    frames, stream = frames_of(body), read(body)
    streamed = dump(stream.accumulator.streamed_output)
    if deltas_in(frames):
        assert deltas_in(frames) in (text_in(streamed), text_in(last_word(frames)))


@pytest.mark.parametrize("name", FOUND)
def test_a_capture_means_the_same_byte_by_byte(name: str) -> None:
    body, stream = capture(name), ResponseStream()
    for at in range(len(body)):
        stream.receive_data(body[at : at + 1])
    stream.receive_eof()
    whole = read(body)
    assert (stream.response, stream.anomalies) == (whole.response, whole.anomalies)


@pytest.mark.parametrize("name", FOUND)
def test_events_of_a_capture_have_resolved_positions(name: str) -> None:
    stream = ResponseStream()
    stream.receive_data(capture(name))
    stream.receive_eof()
    for event in stream.events_received():
        unsaid = getattr(event.extra, "absent", frozenset[str]())
        assert not unsaid & {"sequence_number", "output_index", "content_index", "item_id"}
        assert getattr(event, "output_index", 0) >= 0

"""What a model sees: normalized items, unfolded compactions, and checked outputs."""

from __future__ import annotations

import base64
import itertools
import json
import tracemalloc
import zlib
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.openresponses import check

from responses_proto import CreateResponse
from responses_proto.codec import dump, load, make_converter
from responses_proto.exceptions import BadRequestError
from responses_proto.models.content import InputFile, InputImage, InputText, OutputText
from responses_proto.models.items import (
    Compaction,
    CustomToolCallOutput,
    FunctionCall,
    FunctionCallOutput,
    Item,
    LocalShellCallOutput,
    McpApprovalRequest,
    McpApprovalResponse,
    Message,
    Reasoning,
    UnknownItem,
)
from responses_proto.models.tools import FunctionTool
from responses_proto.protocol._requests import id_of, read_value
from responses_proto.server._context import check_outputs, compact, count_words, expand, normalize_items

if TYPE_CHECKING:
    from collections.abc import Callable


def ids() -> Callable[[str], str]:
    numbers = itertools.count()
    return lambda prefix: f"{prefix}_{next(numbers)}"


def items(*values: Any) -> list[Item]:
    return load([*values], list[Item])


# ---- items as they are stored


def test_a_string_becomes_a_user_message() -> None:
    expected = Message(id="msg_0", role="user", content=[InputText(text="hello")], status="completed")
    assert normalize_items("hello", ids()) == [expected]
    assert normalize_items((), ids()) == []


@pytest.mark.parametrize(
    ("given", "settled"),
    [
        (
            Message(role="assistant", content="x", phase=None),
            Message(id="msg_0", role="assistant", content=[OutputText(text="x", annotations=[])], status="completed"),
        ),
        (
            Message(id="m", role="user", content=[InputImage(file_id="f"), InputFile(file_id=None, filename="n")]),
            Message(
                id="m",
                role="user",
                content=[InputImage(file_id="f", image_url=None, detail="auto"), InputFile(filename="n")],
                status="completed",
            ),
        ),
        (
            Message(id=None, role="user", content=[], status="incomplete"),
            Message(id="msg_0", role="user", content=[], status="incomplete"),
        ),
        (
            FunctionCall(call_id="c", name="f", arguments="", async_=False, namespace=""),
            FunctionCall(
                id="fc_0", call_id="c", name="f", arguments="", async_=False, namespace="", status="completed"
            ),
        ),
        (
            FunctionCall(call_id="c", name="f", arguments="{}", namespace=None),
            FunctionCall(id="fc_0", call_id="c", name="f", arguments="{}", status="completed"),
        ),
        (
            FunctionCallOutput(call_id="c", output=[InputImage(image_url="u")]),
            FunctionCallOutput(
                id="fco_0", call_id="c", output=[InputImage(image_url="u", detail="auto")], status="completed"
            ),
        ),
        (
            CustomToolCallOutput(call_id="c", output="x", status=None),
            CustomToolCallOutput(id="ctco_0", call_id="c", output="x", status=None),
        ),
        (
            Reasoning(summary=[], content=None, encrypted_content=None),
            Reasoning(id="rs_0", summary=[]),
        ),
        (
            UnknownItem(type="acme:x", raw={"type": "acme:x", "n": None}),
            UnknownItem(type="acme:x", raw={"type": "acme:x", "n": None, "id": "item_0"}),
        ),
        (LocalShellCallOutput(id="c", output="x"), LocalShellCallOutput(id="c", output="x")),
    ],
)
def test_normalized_items(given: Item, settled: Item) -> None:
    before = dump(given)
    (found,) = normalize_items([given], ids())
    assert found == settled
    assert dump(given) == before
    check(dump(found))
    assert normalize_items([found], ids()) == [found]


def test_a_missing_type_is_added() -> None:
    (found,) = normalize_items(items({"role": "user", "content": "x"}), ids())
    assert dump(found)["type"] == "message"


def test_a_repeated_id_is_replaced() -> None:
    same = Message(id="m", role="user", content=[])
    assert [id_of(item) for item in normalize_items([same, same], ids())] == ["m", "msg_0"]
    assert [id_of(item) for item in normalize_items([same], ids(), taken=["m"])] == ["msg_0"]
    # but for ids that something else goes by
    output = LocalShellCallOutput(id="c", output="x")
    request = McpApprovalRequest(id="a", server_label="s", name="n", arguments="{}")
    assert [id_of(item) for item in normalize_items([output, request], ids(), taken=["c", "a"])] == ["c", "a"]


# ---- compaction

HISTORY: list[Item] = normalize_items(
    items(
        {"role": "developer", "content": "be kind"},
        {"role": "user", "content": "one"},
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "thinking"}]},
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": "sunny"},
        {"role": "assistant", "content": "two"},
        {"type": "acme:x", "more": [1, None, {"a": "b"}]},
        {"role": "user", "content": "three"},
    ),
    ids(),
)


def test_compact_keeps_user_messages() -> None:
    short = compact(HISTORY, lambda prefix: f"{prefix}_new")
    assert short[:-1] == [HISTORY[1], HISTORY[7]]
    assert isinstance(short[-1], Compaction)
    assert short[-1].id == "cmp_new"
    assert "sunny" not in short[-1].encrypted_content
    assert expand(short) == HISTORY


def test_items_around_a_compaction_keep_their_position() -> None:
    before, after = items({"role": "system", "content": "s"}, {"role": "user", "content": "more"})
    short = compact(HISTORY, ids())
    assert expand([before, *short, after]) == [before, *HISTORY, after]


def test_a_kept_message_that_the_client_removes_stays_removed() -> None:
    _, three, folded = compact(HISTORY, ids())
    assert expand([three, folded]) == [item for item in HISTORY if item is not HISTORY[1]]


def test_a_compaction_of_a_compaction() -> None:
    once = expand(compact(HISTORY, ids()))
    (more,) = items({"role": "user", "content": "four", "id": "msg_new"})
    assert expand(compact([*once, more], ids())) == [*HISTORY, more]


@given(st.lists(st.sampled_from(HISTORY), unique_by=id_of))
def test_expand_reverses_compact(some: list[Item]) -> None:
    assert expand(compact(some, ids())) == some


UNFIT: dict[str, list[Any]] = {
    "nothing": [{}, {}],
    "no type": [{"type": 1}],
    "too many": [{"type": "message", "role": "user", "content": "x"}] * 10_001,
    "twice": ["msg_1", "msg_1"],
    "too long": [{"type": "message", "role": "user", "content": "x" * (33 * 1024 * 1024)}],
    "no item": [[]],
}


@pytest.mark.parametrize("entries", UNFIT.values(), ids=UNFIT)
def test_a_compaction_that_unfolds_to_too_much_is_refused(entries: list[Any]) -> None:
    message = Message(id="msg_1", role="user", content="x")
    with pytest.raises(BadRequestError) as caught:
        expand([message, Compaction(encrypted_content=folded(entries))])
    assert (caught.value.status, caught.value.code) == (400, "invalid_encrypted_content")


def test_the_limit_is_for_all_compactions_of_a_request_together() -> None:
    item = {"type": "message", "role": "user", "content": "x"}
    two = [Compaction(encrypted_content=folded([item] * 5_001)) for _ in range(2)]
    assert len(expand(two[:1])) == 5_001
    with pytest.raises(BadRequestError, match="send it back unchanged"):
        expand(two)
    named = [Compaction(encrypted_content=folded(["msg_1"])) for _ in range(2)]
    with pytest.raises(BadRequestError, match="and only once"):
        expand(named)


def test_a_history_that_expand_would_refuse_is_not_compacted() -> None:
    with pytest.raises(BadRequestError) as caught:
        compact([Message(id=f"msg_{number}", role="assistant", content="x") for number in range(10_001)], ids())
    assert (caught.value.status, caught.value.param) == (400, "input")


def test_compactions_of_other_servers_stay_unchanged() -> None:
    foreign = Compaction(encrypted_content="gAAAAAB")
    assert expand([foreign]) == [foreign]


def folded(value: object) -> str:
    return "rp1." + base64.urlsafe_b64encode(zlib.compress(json.dumps(value).encode())).decode()


BOMB = "rp1." + base64.urlsafe_b64encode(zlib.compress(b"[" + b" " * 70_000_000 + b"]", 9)).decode()


@pytest.mark.parametrize(
    "content", ["rp1.", "rp1.!", "rp1.AAAA", "rp1.\u00fc", folded(5), folded([5]), folded({}), BOMB]
)
def test_a_damaged_compaction_is_refused(content: str) -> None:
    with pytest.raises(BadRequestError) as refused:
        expand([Compaction(encrypted_content=content)])
    assert (refused.value.param, refused.value.code) == ("input", "invalid_encrypted_content")


def test_an_id_of_a_missing_message_is_skipped() -> None:
    assert expand([Compaction(encrypted_content=folded(["msg_nowhere"]))]) == []


# ---- checks and counts

CALL = FunctionCall(call_id="c", name="f", arguments="{}")
OUTPUT = FunctionCallOutput(call_id="c", output="x")


@pytest.mark.parametrize(
    ("history", "output"),
    [
        ([OUTPUT], "function call output with call_id c"),
        ([OUTPUT, CALL], "function call output with call_id c"),
        ([CALL, CustomToolCallOutput(call_id="c", output="x")], "custom tool call output with call_id c"),
        ([McpApprovalResponse(approval_request_id="a", approve=True)], "mcp approval response with call_id a"),
        ([LocalShellCallOutput(id="c", output="x")], "local shell call output with call_id c"),
    ],
)
def test_an_output_without_its_call_is_refused(history: list[Item], output: str) -> None:
    with pytest.raises(BadRequestError, match=f"No tool call found for {output}") as refused:
        check_outputs(history)
    assert (refused.value.status, refused.value.param) == (400, "input")


@pytest.mark.parametrize(
    "history",
    [
        [],
        [CALL],
        [CALL, OUTPUT],
        [Compaction(encrypted_content="gAAAAAB"), OUTPUT],  # the call may be in there
        [FunctionCallOutput(name="f", output="x")],
    ],
)
def test_other_histories_pass(history: list[Item]) -> None:
    check_outputs(history)
    assert expand(history) == history


def test_count_words() -> None:
    assert count_words(HISTORY) == 2 + 1 + 1 + (1 + 1) + 1 + 1 + 1
    tool = FunctionTool(name="f", description="tells the weather", parameters={"type": "object"}, strict=True)
    assert count_words([tool], "two words", None, "") == 1 + 3 + 2


def sealed(piece: bytes, megabytes: int) -> str:
    """Return a compaction that unfolds to a list of these, so many MiB long."""
    packing = zlib.compressobj(9)
    some = b",".join([piece] * (2**20 // (len(piece) + 1)))
    parts = [packing.compress(b"[" + some), *(packing.compress(b"," + some) for _ in range(megabytes - 1))]
    return "rp1." + base64.urlsafe_b64encode(b"".join([*parts, packing.compress(b"]"), packing.flush()])).decode()


@pytest.mark.parametrize("megabytes", [31, 100])
@pytest.mark.parametrize(
    "piece", [b"{}", b"0", b'"x"', b'{"type":"message"}', b'{"type":"x","y":[[],[],[],[]]}', b"[" * 200 + b"]" * 200]
)
def test_a_compaction_is_weighed_before_it_is_read(piece: bytes, megabytes: int) -> None:
    bomb = Compaction(id="cmp_1", encrypted_content=sealed(piece, megabytes))
    tracemalloc.start()
    try:
        with pytest.raises(BadRequestError) as refused:
            expand([bomb])
        assert tracemalloc.get_traced_memory()[1] < 80 * 2**20
    finally:
        tracemalloc.stop()
    assert refused.value.code == "invalid_encrypted_content"


def test_an_item_named_by_its_id_gets_what_it_lacks() -> None:
    body = {
        "input": [
            {"type": "image_generation_call", "id": "ig_1"},
            {"type": "local_shell_call_output", "call_id": "c", "output": "x"},
        ]
    }
    request = read_value(body, CreateResponse, make_converter(strict=True))
    assert dump(normalize_items(request.input or "", lambda prefix: f"{prefix}_new")) == [
        {"type": "image_generation_call", "id": "ig_1", "status": "completed"},
        {"type": "local_shell_call_output", "id": "c", "output": "x"},
    ]

"""Output used as input, and checks of histories: rule by rule, and with requests that servers accepted."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import pytest
from tests.support import NO_SHARED, shared

from responses_proto.codec import dump, load
from responses_proto.exceptions import UsageError
from responses_proto.models.items import CALL_OUTPUT_PAIRS, ITEM_TYPES, FunctionCallOutput, Item, ToolSearchCall
from responses_proto.models.response import Response
from responses_proto.protocol import as_input, check_history
from responses_proto.protocol.history import HISTORY_RULES
from responses_proto.providers import PROVIDERS, Provider

if TYPE_CHECKING:
    from collections.abc import Iterator

Wire = dict[str, Any]

USER: Final[Wire] = {"type": "message", "role": "user", "content": "hi"}
SAID: Final[Wire] = {
    "type": "message",
    "id": "msg_1",
    "role": "assistant",
    "status": "completed",
    "content": [{"type": "output_text", "text": "Hello", "annotations": []}],
}
SEALED: Final[Wire] = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "xyz"}
STORED: Final[Wire] = {"type": "reasoning", "id": "rs_2", "summary": []}
OPEN: Final[Wire] = {**STORED, "id": "rs_3", "content": [{"type": "reasoning_text", "text": "hm"}]}


def call(call_id: str = "call_1", **more: Any) -> Wire:
    return {"type": "function_call", "call_id": call_id, "name": "f", "arguments": "{}", **more}


def output(call_id: str = "call_1", **more: Any) -> Wire:
    return {"type": "function_call_output", "call_id": call_id, "output": "1", **more}


def items(*wire: Wire) -> list[Item]:
    return [load(item, Item) for item in wire]


def made(*wire: Wire, dialect: Provider | str | None = None, stored: bool | None = None) -> list[Wire]:
    before = items(*wire)
    given = [dump(item) for item in before]
    result = [dump(item) for item in as_input(before, dialect, stored=stored)]
    assert [dump(item) for item in before] == given
    return result


def found(*wire: Wire, continued: bool = False) -> list[tuple[str, int]]:
    return [(finding.rule, finding.index) for finding in check_history(items(*wire), continued=continued)]


# ---- as_input


def test_valid_items_are_unchanged_for_every_server_that_stores() -> None:
    turn = [SEALED, call(id="fc_1", status="completed", new_field={"a": 1}), output(), SEALED | {"id": "rs_9"}, SAID]
    for dialect in (None, "openai", "azure", "xai", "fireworks"):
        assert made(USER, *turn, dialect=dialect) == [USER, *turn]


def test_fields_that_only_servers_set_are_removed() -> None:
    assert made(call(created_by="x", id="fc_1")) == [call(id="fc_1")]
    assert made(SEALED | {"status": "completed"}, SAID) == [SEALED, SAID]
    custom = {"type": "custom_tool_call", "call_id": "c", "name": "t", "input": "x"}
    assert made(custom | {"status": "completed"}) == [custom]


def test_nulls_are_removed_from_optional_fields_only() -> None:
    assert made(call(id=None, status=None), SAID | {"phase": None}) == [call(), SAID]
    code = {
        "type": "code_interpreter_call",
        "id": "ci",
        "container_id": "c",
        "code": None,
        "outputs": None,
        "status": "completed",
    }
    assert made(code) == [code]


def test_required_fields_of_input_are_added() -> None:
    bare = {
        "type": "message",
        "role": "assistant",
        "content": [{"type": "output_text", "text": "a"}, {"type": "refusal", "refusal": "b"}],
    }
    [message] = made(bare)
    assert message["content"] == [
        {"type": "output_text", "text": "a", "annotations": []},
        {"type": "refusal", "refusal": "b"},
    ]
    assert made({"type": "reasoning", "id": "rs", "beyond": 1}) == [
        {"type": "reasoning", "id": "rs", "beyond": 1, "summary": []}
    ]


def test_calls_that_were_cut_off_are_removed_unless_answered() -> None:
    cut = call(status="incomplete")
    assert made(SAID, cut) == [SAID]
    assert made(cut, output()) == [cut, output()]
    assert made(call(status="completed")) == [call(status="completed")]


def test_reasoning_that_nothing_follows_is_removed_where_it_is_refused() -> None:
    assert made(SEALED, call(status="incomplete"), dialect="openai") == []
    assert made(SEALED, USER, SEALED | {"id": "rs_5"}, SAID, dialect="azure") == [USER, SEALED | {"id": "rs_5"}, SAID]
    assert made(SEALED, USER) == [SEALED, USER]


def test_items_that_were_not_stored_lose_their_ids() -> None:
    turn = [SEALED, STORED, OPEN, call(id="fc_1"), output(id="fco_1"), SAID]
    nameless = {key: value for key, value in SAID.items() if key != "id"}
    assert made(*turn, dialect="openai", stored=False) == [SEALED, call(), output(), nameless]
    search = {"type": "web_search_call", "id": "ws", "status": "completed", "action": {"type": "search", "query": "q"}}
    shell = {"type": "local_shell_call_output", "id": "call_1", "output": "x"}
    assert made(search, shell, dialect="openai", stored=False) == [search, shell]


def test_servers_without_a_store_get_what_they_can_read() -> None:
    turn = [STORED, OPEN, call(id="fc_1"), output(), SAID]
    assert made(*turn, dialect="vllm") == [OPEN, call(id="fc_1"), output(), SAID]
    assert made(*turn, dialect="vllm", stored=True) == turn
    search = {"type": "web_search_call", "id": "ws", "status": "completed", "action": {"type": "search", "query": "q"}}
    assert made(*turn, search, {"type": "x:y"}, dialect="llamacpp") == [OPEN, call(id="fc_1"), output(), SAID]
    assert made(*turn, search, dialect="huggingface") == [call(id="fc_1"), output(), SAID]


def test_a_custom_provider_is_accepted_and_an_unknown_name_is_not() -> None:
    assert made(SAID, call(), dialect=Provider(name="mine", input_items=frozenset({"message"}))) == [SAID]
    with pytest.raises(UsageError, match="nowhere"):
        as_input([], "nowhere")


@pytest.mark.parametrize("name", sorted(PROVIDERS))
def test_dialects_name_kinds_of_items_that_exist(name: str) -> None:
    assert set(ITEM_TYPES) >= PROVIDERS[name].input_items


# ---- check_history

CALLS: Final[dict[str, tuple[Wire, Wire]]] = {
    "function_call": (call(), output()),
    "custom_tool_call": (
        {"type": "custom_tool_call", "call_id": "call_1", "name": "t", "input": "x"},
        {"type": "custom_tool_call_output", "call_id": "call_1", "output": "y"},
    ),
    "computer_call": (
        {"type": "computer_call", "id": "cu", "call_id": "call_1", "pending_safety_checks": [], "status": "completed"},
        {"type": "computer_call_output", "call_id": "call_1", "output": {"type": "computer_screenshot"}},
    ),
    "shell_call": (
        {"type": "shell_call", "call_id": "call_1", "action": {"commands": ["ls"]}},
        {"type": "shell_call_output", "call_id": "call_1", "output": []},
    ),
    "local_shell_call": (
        {
            "type": "local_shell_call",
            "id": "ls",
            "call_id": "call_1",
            "action": {"type": "exec", "command": [], "env": {}},
            "status": "completed",
        },
        {"type": "local_shell_call_output", "id": "call_1", "output": "x"},
    ),
    "apply_patch_call": (
        {
            "type": "apply_patch_call",
            "call_id": "call_1",
            "operation": {"type": "delete_file", "path": "a"},
            "status": "completed",
        },
        {"type": "apply_patch_call_output", "call_id": "call_1", "status": "completed"},
    ),
    "tool_search_call": (
        {"type": "tool_search_call", "call_id": "call_1", "arguments": {}, "execution": "client"},
        {"type": "tool_search_output", "call_id": "call_1", "tools": []},
    ),
    "program": (
        {"type": "program", "id": "p", "call_id": "call_1", "code": "x", "fingerprint": "f"},
        {"type": "program_output", "id": "po", "call_id": "call_1", "result": "r", "status": "completed"},
    ),
    "multi_agent_call": (
        {"type": "multi_agent_call", "call_id": "call_1", "action": "list_agents", "arguments": "{}"},
        {"type": "multi_agent_call_output", "call_id": "call_1", "action": "list_agents", "output": []},
    ),
    "mcp_approval_request": (
        {"type": "mcp_approval_request", "id": "call_1", "server_label": "s", "name": "n", "arguments": "{}"},
        {"type": "mcp_approval_response", "approval_request_id": "call_1", "approve": True},
    ),
}


def test_the_pairs_are_those_of_the_models() -> None:
    assert {pair.call: pair.output for pair in CALL_OUTPUT_PAIRS} == {
        name: out["type"] for name, (_, out) in CALLS.items()
    }
    for pair in CALL_OUTPUT_PAIRS:
        assert pair.call_key in ITEM_TYPES[pair.call].__annotations__
        assert pair.output_key in ITEM_TYPES[pair.output].__annotations__


@pytest.mark.parametrize("kind", sorted(CALLS))
def test_calls_and_outputs_belong_together(kind: str) -> None:
    asked, answer = CALLS[kind]
    unanswered = {"program": [], "multi_agent_call": [], "mcp_approval_request": [("approval-unanswered", 0)]}
    assert found(asked, answer) == []
    assert found(asked) == unanswered.get(kind, [("call-unanswered", 0)])
    assert found(answer) == [("output-orphan", 0)]
    assert found(answer, continued=True) == []
    assert found(answer, asked) == [("output-early", 0)]
    assert ("output-repeated", 2) in found(asked, answer, answer)
    assert ("call-id-reused", 1) in found(asked, asked, answer)
    other, _ = CALLS["custom_tool_call" if kind == "function_call" else "function_call"]
    assert ("output-kind", 1) in found(other, answer)


def test_calls_that_the_model_does_not_wait_for_need_no_output() -> None:
    assert found(call() | {"async": True}) == []
    assert found({"type": "tool_search_call", "call_id": None, "arguments": {}, "execution": "server"}) == []
    assert found({"type": "function_call_output", "name": "f", "output": "1"}) == []
    assert found(call(status="incomplete")) == [("call-unfinished", 0)]
    assert found(call(status="incomplete"), output()) == []
    assert found(call("")) == [("call-id-missing", 0)]


@pytest.mark.parametrize("after", [USER, output(), {"type": "compaction_trigger"}], ids=lambda item: item["type"])
def test_reasoning_is_followed_by_what_it_led_to(after: Wire) -> None:
    assert ("reasoning-alone", 2) in found(call(), output("x"), SEALED, after)
    assert found(SEALED) == [("reasoning-alone", 0)]
    assert found(SEALED, SEALED | {"id": "rs_7"}, SAID) == []
    assert found(SEALED, {"type": "item_reference", "id": "msg_9"}) == []
    assert found(STORED, SAID) == [("reasoning-by-id", 0)]
    assert found(OPEN, SAID) == []


def test_fields_of_input() -> None:
    assert found(SAID, SAID) == [("item-id-reused", 1)]
    assert found(SEALED | {"status": None}, SAID) == [("status-forbidden", 0)]
    assert found({"type": "web_search_call", "id": "w", "action": {"type": "search"}}) == [("status-missing", 0)]
    assert found(call(created_by="x"), output()) == [("output-only-field", 0)]
    assert found({"type": "x:y", "id": "1"}, {"type": "x:y", "id": "1"}) == []


def test_findings_have_a_level_and_come_in_order_of_the_items() -> None:
    findings = check_history(items(STORED, SAID, call(created_by="x"), output("y")))
    assert [(finding.rule, finding.index, finding.level) for finding in findings] == [
        ("reasoning-by-id", 0, "warning"),
        ("call-unanswered", 2, "error"),
        ("output-only-field", 2, "error"),
        ("output-orphan", 3, "error"),
    ]
    assert {rule.level for rule in HISTORY_RULES.values()} == {"error", "warning"}


# ---- recordings

INDEX: Final = shared("corpus", "INDEX.json")


def recordings(kind: str) -> Iterator[Any]:
    if not INDEX.exists():
        yield pytest.param({}, marks=pytest.mark.skip(reason=NO_SHARED), id="corpus")
        return
    for entry in json.loads(INDEX.read_text())["files"]:
        if entry["kind"] == kind and entry["status"] == 200:
            yield pytest.param(entry, id=entry["file"])


@pytest.mark.parametrize("entry", list(recordings("requests")))
def test_accepted_requests_have_no_errors(entry: Wire) -> None:
    request = json.loads(shared("corpus", entry["file"]).read_text())
    given = request.get("input")
    history = items(
        *(item if "type" in item else {"type": "message", **item} for item in given if isinstance(given, list))
    )
    continued = bool(request.get("previous_response_id") or request.get("conversation"))
    assert [finding for finding in check_history(history, continued=continued) if finding.level == "error"] == []
    # What is in it already is left alone, but for a list that strict servers ask for.
    mark = ', "annotations": []'
    before, after = (json.dumps(dump(list(side))).replace(mark, "") for side in (history, as_input(history)))
    assert before == after


@pytest.mark.parametrize("entry", list(recordings("responses")))
def test_recorded_output_is_made_input_without_a_loss_of_items_or_text(entry: Wire) -> None:
    recorded = json.loads(shared("corpus", entry["file"]).read_text())
    response = load(recorded.get("body", recorded), Response)
    made_of = as_input(response.output)
    unfinished = {finding.index for finding in check_history(response.output) if finding.rule == "call-unfinished"}
    assert [item.type for item in made_of] == [
        item.type for index, item in enumerate(response.output) if index not in unfinished
    ]
    rules = {finding.rule for finding in check_history(made_of)}
    assert rules.isdisjoint({"status-forbidden", "output-only-field", "call-unfinished", "output-orphan"})


# ---- empty ids

EMPTY_IDS: Final[list[Wire]] = [
    {"type": "message", "id": "", "role": "assistant", "content": "Hi."},
    {"type": "reasoning", "id": "", "summary": [], "encrypted_content": "E"},
    {"type": "function_call", "id": "", "call_id": "call_1", "name": "f", "arguments": "{}"},
    {"type": "web_search_call", "id": "", "status": "completed", "action": {"type": "search", "query": "q"}},
    {"type": "acme:note", "id": "", "text": "t"},
]


@pytest.mark.parametrize("stored", [True, False])
@pytest.mark.parametrize("wire", EMPTY_IDS, ids=lambda wire: wire["type"])
def test_an_empty_id_is_no_id(wire: Wire, stored: bool) -> None:
    item: Item = load(wire, Item)
    assert ("item-id-empty", 0) in found(wire)
    sent = as_input([item, load(SAID, Item)], "openrouter", stored=stored)
    assert dump(sent[0]) == {**{k: v for k, v in wire.items() if k != "id"}}
    assert "item-id-empty" not in {finding.rule for finding in check_history(sent)}
    assert dump(item) == wire


def test_a_function_may_answer_a_tool_search() -> None:
    items: list[Item] = [
        ToolSearchCall(call_id="c", arguments={}, execution="client"),
        FunctionCallOutput(call_id="c", output="x"),
    ]
    assert check_history(items) == []

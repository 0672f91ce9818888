"""The response and what it says about itself."""

from __future__ import annotations

import json
import typing
from typing import TYPE_CHECKING

import attrs
import pytest
from tests.support import NO_SHARED, shared

from responses_proto.codec import dump, load
from responses_proto.models import items, response
from responses_proto.models.actions import DeleteFile, LocalShellAction, ShellAction
from responses_proto.models.config import ConversationReference, PlainTextFormat, ReasoningConfig, TextConfig
from responses_proto.models.content import (
    ComputerScreenshot,
    InputText,
    OutputText,
    ReasoningText,
    Refusal,
    SummaryText,
    UnknownObject,
)
from responses_proto.models.items import FunctionCall, FunctionCallOutput, Item, Message, Reasoning, ShellCall
from responses_proto.models.response import (
    CacheComparisonNotFound,
    CacheDiagnosticsUnavailable,
    CachedImageTokens,
    CacheHit,
    CacheMiss,
    CacheWriteTokensDetails,
    CompactedResponse,
    DeletedResponse,
    ImageTokens,
    ImageUsage,
    IncompleteDetails,
    InputTokenCount,
    InputTokensDetails,
    InputTransformation,
    Misalignment,
    MisalignmentSteer,
    Moderation,
    ModerationError,
    ModerationResult,
    OutputTokensDetails,
    PromptCacheDiagnostics,
    Response,
    ResponseError,
    ResponseItemList,
    ToolUsage,
    Usage,
    WebSearchUsage,
)
from responses_proto.models.tools import ContainerReference, FunctionTool, LocalEnvironment
from responses_proto.typing import UNSET, JSONObject, Unset

if TYPE_CHECKING:
    from collections.abc import Callable

    from responses_proto.anomalies import Anomaly
    from responses_proto.models._base import Model

SPEC = shared("spec")
needs_spec = pytest.mark.skipif(not SPEC.is_dir(), reason=NO_SHARED)

USAGE = Usage(
    input_tokens=10,
    output_tokens=5,
    total_tokens=15,
    input_tokens_details=InputTokensDetails(
        cached_tokens=4,
        cache_write_tokens=2,
        cache_write_tokens_details=CacheWriteTokensDetails(ttl_30m_tokens=2, ttl_12h_tokens=0),
    ),
    output_tokens_details=OutputTokensDetails(reasoning_tokens=3),
)


def make(*output: Item) -> Response:
    return Response(
        id="resp_1",
        created_at=1,
        model="m",
        output=list(output),
        tools=[],
        tool_choice="auto",
        parallel_tool_calls=True,
    )


def said(*texts: str) -> Message:
    return Message(role="assistant", content=[OutputText(text=text) for text in texts])


FULL = Response(
    id="resp_1",
    status="failed",
    model="m",
    output=[said("Hi")],
    error=ResponseError(
        code="misalignment_policy_violation",
        message="Stopped.",
        misalignment=Misalignment(error_type="other", steer=MisalignmentSteer(message="Back.")),
    ),
    incomplete_details=IncompleteDetails(reason="steered"),
    usage=USAGE,
    created_at=1.5,
    completed_at=2,
    conversation=ConversationReference(id="conv_1"),
    instructions=[Message(role="developer", content="Be brief.")],
    tools=[FunctionTool(name="roll")],
    tool_choice="auto",
    parallel_tool_calls=False,
    text=TextConfig(format=PlainTextFormat()),
    reasoning=ReasoningConfig(effort=None, summary=None),
    prompt_cache_diagnostics=CacheMiss(reason="tools_changed", cache_missed_tokens=7),
    tool_usage=ToolUsage(
        image_gen=ImageUsage(
            input_tokens=1,
            output_tokens=2,
            total_tokens=3,
            input_tokens_details=ImageTokens(image_tokens=0, text_tokens=1),
            cached_tokens_details=CachedImageTokens(cached_image_tokens=0, cached_text_tokens=0),
        ),
        web_search=WebSearchUsage(num_requests=2),
    ),
    moderation=Moderation(
        input=ModerationResult(
            model="mod",
            flagged=False,
            categories={"violence": False},
            category_scores={"violence": 0.01},
            category_applied_input_types={"violence": ["text"]},
        ),
        output=ModerationError(code="server_error", message="No."),
    ),
    input_transformations=[
        InputTransformation(id="rs_1", type="reasoning", action="removed", reason="model_mismatch"),
    ],
    metadata={"k": "v"},
)

SAMPLES: list[Model] = [
    FULL,
    make(),
    CompactedResponse(id="resp_2", created_at=1, output=[items.Compaction(encrypted_content="gA==")], usage=USAGE),
    InputTokenCount(input_tokens=12),
    DeletedResponse(id="resp_1", object="response.deleted", deleted=True),
    ResponseItemList(data=[Message(role="user", content="Hello")], first_id="msg_1", last_id="msg_1", has_more=True),
    ResponseItemList(data=[], first_id=None, last_id=None, has_more=False),
]


# ---- the classes


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: type(sample).__name__)
def test_load_and_dump_are_inverse(sample: Model) -> None:
    anomalies: list[Anomaly] = []
    assert load(dump(sample), type(sample), anomalies=anomalies) == sample
    assert not anomalies


@pytest.mark.parametrize(
    ("cls", "required"),
    [
        (Response, {"id", "created_at", "model", "output", "tools", "tool_choice", "parallel_tool_calls"}),
        (
            Usage,
            {"input_tokens", "output_tokens", "total_tokens", "input_tokens_details", "output_tokens_details"},
        ),
        (InputTokensDetails, {"cached_tokens"}),
        (ResponseError, {"code", "message"}),
        (IncompleteDetails, set[str]()),
        (DeletedResponse, {"id", "deleted"}),
    ],
)
def test_fields_are_required_where_every_specification_says_so(cls: type[Model], required: set[str]) -> None:
    assert {a.name for a in attrs.fields(cls) if a.default is attrs.NOTHING} == required


@needs_spec
@pytest.mark.parametrize(
    ("file", "path"),
    [
        ("openai-sdk-3.54.types.json", ("received", "roots", "Response")),
        ("openresponses-2026-04-24.openapi.json", ("components", "schemas", "ResponseResource")),
    ],
)
def test_a_response_has_every_field_of_the_specification(file: str, path: tuple[str, ...]) -> None:
    schema = json.loads((SPEC / file).read_text())
    for key in path:
        schema = schema[key]
    assert set(schema["properties"]) <= {"object", *(a.name for a in attrs.fields(Response))}


@pytest.mark.parametrize(
    ("wire", "cls"),
    [
        ({"type": "cache_hit"}, CacheHit),
        ({"type": "cache_miss", "reason": "input_changed", "cache_missed_tokens": 1}, CacheMiss),
        ({"type": "comparison_response_not_found"}, CacheComparisonNotFound),
        ({"type": "unavailable"}, CacheDiagnosticsUnavailable),
        ({"type": "acme:maybe"}, UnknownObject),
    ],
)
def test_cache_diagnostics_are_selected_by_their_type(wire: JSONObject, cls: type[Model]) -> None:
    assert isinstance(load(wire, PromptCacheDiagnostics), cls)


@pytest.mark.parametrize(
    "wire", [{"id": "resp_1", "deleted": True}, {"id": "resp_1", "object": "response", "deleted": True}]
)
def test_servers_differ_in_how_they_call_a_deleted_response(wire: JSONObject) -> None:
    anomalies: list[Anomaly] = []
    assert dump(load(wire, DeletedResponse, anomalies=anomalies)) == wire
    assert not anomalies


def test_unknown_fields_of_servers_are_kept() -> None:
    wire = {**dump(make()), "billing": {"payer": "developer"}}
    again = load(wire, Response)
    assert again.extra["billing"] == {"payer": "developer"}
    assert dump(again) == wire


# ---- text


def test_output_text_joins_the_text_of_all_messages() -> None:
    whole = make(said("a", "b"), Reasoning(summary=[SummaryText(text="hm")]), said("c"))
    assert whole.output_text == "abc"


def test_output_text_is_of_output_text_parts_only() -> None:
    message = Message(role="assistant", content=[InputText(text="in"), OutputText(text="out"), Refusal(refusal="no")])
    assert make(message).output_text == "out"


def test_output_text_includes_a_message_with_a_string_as_content() -> None:
    assert make(Message(role="assistant", content="plain")).output_text == "plain"


def test_refusal_joins_the_refusals_of_all_messages() -> None:
    declined = Message(
        role="assistant", content=[OutputText(text="x"), Refusal(refusal="I will"), Refusal(refusal=" not.")]
    )
    assert make(declined, said("y"), declined).refusal == "I will not.I will not."


def test_reasoning_text_is_the_reasoning_or_the_summary_of_each_item() -> None:
    whole = make(
        Reasoning(summary=[SummaryText(text="short")], content=[ReasoningText(text="long")]),
        said("x"),
        Reasoning(summary=[]),
        Reasoning(summary=[SummaryText(text="one"), SummaryText(text="two")]),
    )
    assert whole.reasoning_text == "long\n\none\n\ntwo"


def test_the_properties_of_an_empty_response_are_empty() -> None:
    empty = make()
    assert (empty.output_text, empty.reasoning_text, empty.refusal) == ("", "", "")
    assert empty.function_calls == []
    assert empty.pending_calls == []


# ---- calls


def call(call_id: str = "call_1", status: str | Unset | None = UNSET) -> FunctionCall:
    return FunctionCall(call_id=call_id, name="roll", arguments="{}", status=status)


def shell(environment: LocalEnvironment | ContainerReference | UnknownObject | Unset | None = UNSET) -> ShellCall:
    return ShellCall(call_id="call_2", action=ShellAction(commands=["ls"]), environment=environment)


WAITING: list[tuple[response.PendingCall, Callable[[str], Item]]] = [
    (call("1"), lambda key: FunctionCallOutput(call_id=key, output="6")),
    (
        items.CustomToolCall(call_id="1", name="sql", input="SELECT 1"),
        lambda key: items.CustomToolCallOutput(call_id=key, output="1"),
    ),
    (
        items.ComputerCall(id="cu_1", call_id="1", pending_safety_checks=[], status="completed"),
        lambda key: items.ComputerCallOutput(call_id=key, output=ComputerScreenshot(file_id="file_1")),
    ),
    (
        ShellCall(call_id="1", action=ShellAction(commands=["ls"])),
        lambda key: items.ShellCallOutput(call_id=key, output=[]),
    ),
    (
        items.LocalShellCall(
            id="lsh_1", call_id="1", action=LocalShellAction(command=["ls"], env={}), status="completed"
        ),
        lambda key: items.LocalShellCallOutput(id=key, output=""),
    ),
    (
        items.ApplyPatchCall(call_id="1", operation=DeleteFile(path="a"), status="completed"),
        lambda key: items.ApplyPatchCallOutput(call_id=key, status="completed"),
    ),
    (
        items.ToolSearchCall(call_id="1", arguments={}, execution="client"),
        lambda key: items.ToolSearchOutput(call_id=key, tools=[]),
    ),
    (
        items.McpApprovalRequest(id="1", server_label="docs", name="search", arguments="{}"),
        lambda key: items.McpApprovalResponse(approval_request_id=key, approve=False),
    ),
]


def test_function_calls_are_all_of_them_in_order() -> None:
    whole = make(call("1"), said("x"), FunctionCallOutput(call_id="1", output="6"), call("2"))
    assert whole.function_calls == [call("1"), call("2")]


@pytest.mark.parametrize(("waiting", "answer"), WAITING, ids=[type(waiting).__name__ for waiting, _ in WAITING])
def test_a_call_waits_until_it_is_answered(waiting: response.PendingCall, answer: Callable[[str], Item]) -> None:
    assert make(waiting).pending_calls == [waiting]
    assert make(waiting, answer("2")).pending_calls == [waiting]
    assert make(waiting, answer("1")).pending_calls == []


def test_every_kind_of_pending_call_is_tried() -> None:
    assert {type(waiting) for waiting, _ in WAITING} == set(typing.get_args(response.PendingCall))


def test_an_unfinished_call_does_not_wait() -> None:
    assert make(call(status="incomplete")).pending_calls == []


@pytest.mark.parametrize("status", [UNSET, None, "completed", "in_progress"])
def test_a_call_is_pending_with_any_other_status(status: str | Unset | None) -> None:
    assert make(call(status=status)).pending_calls == [call(status=status)]


@pytest.mark.parametrize("environment", [UNSET, None, LocalEnvironment()])
def test_a_shell_call_waits_on_the_machine_of_the_caller(environment: LocalEnvironment | Unset | None) -> None:
    assert make(shell(environment)).pending_calls == [shell(environment)]


@pytest.mark.parametrize("environment", [ContainerReference(container_id="cntr_1"), UnknownObject(type="acme:vm")])
def test_a_shell_call_does_not_wait_anywhere_else(environment: ContainerReference | UnknownObject) -> None:
    assert make(shell(environment)).pending_calls == []


@pytest.mark.parametrize("execution", [UNSET, "server"])
def test_a_tool_search_of_the_server_does_not_wait(execution: str | Unset) -> None:
    assert make(items.ToolSearchCall(arguments={}, execution=execution)).pending_calls == []


def test_pending_calls_keep_their_order() -> None:
    whole = make(call("1"), shell(), call("3"), FunctionCallOutput(call_id="1", output="6"))
    assert whole.pending_calls == [shell(), call("3")]


# ---- the final text


def test_final_text_leaves_out_commentary() -> None:
    def said(text: str, phase: str | None) -> Message:
        return Message(role="assistant", content=[OutputText(text=text)], phase=phase)

    whole = make(said("Looking. ", "commentary"), said("It is ", "final_answer"), said("sunny.", None))
    assert (whole.output_text, whole.final_text) == ("Looking. It is sunny.", "It is sunny.")
    assert make(said("Looking.", "commentary")).final_text == ""
    assert make(Message(role="assistant", content="plain")).final_text == "plain"
    assert make().final_text == ""

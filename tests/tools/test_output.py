"""Answers to calls: the item for each type of call, and the JSON form of each type of value."""

from __future__ import annotations

import base64
import dataclasses
import datetime as dt
import decimal
import enum
import json
import uuid
from pathlib import PurePosixPath
from typing import Any, NamedTuple, get_args

import attrs
import pydantic
import pytest

from responses_proto import Limits
from responses_proto.codec import dump
from responses_proto.exceptions import EncodeError, LimitExceeded, UsageError
from responses_proto.models.actions import (
    ExitOutcome,
    LocalShellAction,
    ProgramCaller,
    ShellAction,
    ShellOutput,
    UpdateFile,
)
from responses_proto.models.content import (
    ComputerScreenshot,
    InputFile,
    InputImage,
    InputText,
    OutputText,
    ReasoningText,
    Refusal,
    SummaryText,
    Text,
    UnknownContent,
)
from responses_proto.models.items import (
    CALL_OUTPUT_PAIRS,
    ApplyPatchCall,
    ComputerCall,
    ComputerCallOutput,
    CustomToolCall,
    CustomToolCallOutput,
    FunctionCall,
    FunctionCallOutput,
    LocalShellCall,
    McpApprovalRequest,
    ShellCall,
    ToolSearchCall,
)
from responses_proto.models.response import PendingCall
from responses_proto.models.tools import FunctionTool, LocalEnvironment
from responses_proto.protocol import check_history
from responses_proto.tools import Approval, ToolOutput, call_key, output_item, tool_output

PROGRAM = ProgramCaller(caller_id="call_0")
CALLS: dict[str, Any] = {
    call.type: call
    for call in (
        FunctionCall(call_id="call_1", name="f", arguments="{}"),
        CustomToolCall(call_id="call_1", name="f", input=""),
        ShellCall(
            call_id="call_1",
            action=ShellAction(commands=["ls"], max_output_length=99),
            environment=LocalEnvironment(),
            status="completed",
        ),
        LocalShellCall(
            id="lsh_1", call_id="call_1", action=LocalShellAction(command=["ls"], env={}), status="completed"
        ),
        ApplyPatchCall(call_id="call_1", operation=UpdateFile(path="a", diff=""), status="completed"),
        ComputerCall(id="cc_1", call_id="call_1", pending_safety_checks=[], status="completed"),
        ToolSearchCall(call_id="call_1", arguments={}, execution="client"),
        McpApprovalRequest(id="call_1", server_label="s", name="f", arguments="{}"),
    )
}
IMAGE = InputImage(image_url="https://x.example/a.png")
FOUND = FunctionTool(name="g")


def test_every_type_of_call_is_tested() -> None:
    assert set(CALLS) == {cls.type for cls in get_args(PendingCall)}
    assert {call_key(call) for call in CALLS.values()} == {"call_1"}


@pytest.mark.parametrize(
    ("kind", "given", "wire"),
    [
        ("function_call", "sunny", {"call_id": "call_1", "output": "sunny"}),
        (
            "function_call",
            InputText(text="a"),
            {"call_id": "call_1", "output": [{"type": "input_text", "text": "a"}]},
        ),
        (
            "custom_tool_call",
            [InputText(text="a"), IMAGE],
            {
                "call_id": "call_1",
                "output": [{"type": "input_text", "text": "a"}, {"type": "input_image", "image_url": IMAGE.image_url}],
            },
        ),
        (
            "shell_call",
            "a\n",
            {
                "call_id": "call_1",
                "output": [{"stdout": "a\n", "stderr": "", "outcome": {"type": "exit", "exit_code": 0}}],
                "max_output_length": 99,
            },
        ),
        (
            "shell_call",
            [ShellOutput(stdout="", stderr="b", outcome=ExitOutcome(exit_code=2))],
            {
                "call_id": "call_1",
                "output": [{"stdout": "", "stderr": "b", "outcome": {"type": "exit", "exit_code": 2}}],
                "max_output_length": 99,
            },
        ),
        ("local_shell_call", "a", {"id": "call_1", "output": "a"}),
        ("apply_patch_call", "", {"call_id": "call_1", "status": "completed"}),
        ("apply_patch_call", [InputText(text="a")], {"call_id": "call_1", "status": "completed", "output": "a"}),
        (
            "computer_call",
            IMAGE,
            {"call_id": "call_1", "output": {"type": "computer_screenshot", "image_url": IMAGE.image_url}},
        ),
        (
            "computer_call",
            ComputerScreenshot(file_id="file_1"),
            {"call_id": "call_1", "output": {"type": "computer_screenshot", "file_id": "file_1"}},
        ),
        (
            "tool_search_call",
            [FOUND],
            {
                "call_id": "call_1",
                "tools": [{"type": "function", "name": "g"}],
                "execution": "client",
                "status": "completed",
            },
        ),
        (
            "tool_search_call",
            tool_output([]),
            {"call_id": "call_1", "tools": [], "execution": "client", "status": "completed"},
        ),
        ("mcp_approval_request", Approval(approve=True), {"approval_request_id": "call_1", "approve": True}),
        (
            "mcp_approval_request",
            Approval(approve=False, reason="no"),
            {"approval_request_id": "call_1", "approve": False, "reason": "no"},
        ),
    ],
)
def test_each_type_of_call_has_its_own_answer(kind: str, given: Any, wire: dict[str, Any]) -> None:
    item = output_item(CALLS[kind], given)
    pair = next(pair for pair in CALL_OUTPUT_PAIRS if pair.call == kind)
    assert dump(item) == {"type": pair.output, **wire}
    assert [found for found in check_history([CALLS[kind], item]) if found.level == "error"] == []


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("function_call", {"output": "it broke"}),
        ("custom_tool_call", {"output": "it broke"}),
        (
            "shell_call",
            {"output": [{"stdout": "", "stderr": "it broke", "outcome": {"type": "exit", "exit_code": 1}}]},
        ),
        ("local_shell_call", {"output": "it broke"}),
        ("apply_patch_call", {"output": "it broke", "status": "failed"}),
        ("computer_call", {"status": "failed"}),
        ("tool_search_call", {"tools": []}),
        ("mcp_approval_request", {"approve": False, "reason": "it broke"}),
    ],
)
def test_every_failed_call_can_be_answered_with_text(kind: str, said: dict[str, Any]) -> None:
    item = output_item(CALLS[kind], ToolOutput("it broke", failed=True))
    assert {**dump(item), **said} == dump(item)
    assert [found for found in check_history([CALLS[kind], item]) if found.level == "error"] == []


def test_a_failed_computer_call_is_answered_with_an_image() -> None:
    item = output_item(CALLS["computer_call"], ToolOutput("it broke", failed=True))
    assert isinstance(item, ComputerCallOutput)
    head, _, data = str(item.output.image_url).partition(",")
    assert head == "data:image/png;base64"
    assert base64.b64decode(data, validate=True).startswith(b"\x89PNG")


@pytest.mark.parametrize("kind", ["function_call", "custom_tool_call", "shell_call", "apply_patch_call"])
def test_an_answer_has_the_caller_of_the_call(kind: str) -> None:
    call = attrs.evolve(CALLS[kind], caller=PROGRAM)
    assert getattr(output_item(call, "a"), "caller", None) == PROGRAM
    assert dump(output_item(call, "a"))["caller"] == {"type": "program", "caller_id": "call_0"}


@pytest.mark.parametrize(
    ("kind", "given", "message"),
    [
        ("function_call", [FOUND], "function_call must be answered with text or content parts, got"),
        (
            "function_call",
            Approval(approve=True),
            "an approved function_call must be executed and answered with its output",
        ),
        ("local_shell_call", IMAGE, "local_shell_call must be answered with text"),
        ("computer_call", "done", "computer_call must be answered with a screenshot"),
        ("computer_call", [IMAGE, IMAGE], "computer_call must be answered with a screenshot"),
        ("tool_search_call", "none", "tool_search_call must be answered with a list of tools"),
        ("mcp_approval_request", "yes", "mcp_approval_request must be answered with an Approval"),
        (
            "function_call",
            FunctionCallOutput(call_id="call_2", output=""),
            "function_call must be answered with function_call_output with call_id='call_1'",
        ),
        (
            "function_call",
            ComputerCallOutput(call_id="call_1", output=ComputerScreenshot()),
            "function_call must be answered with function_call_output",
        ),
    ],
)
def test_unsuitable_answers_are_refused(kind: str, given: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        output_item(CALLS[kind], given)


def test_an_item_is_used_unchanged() -> None:
    ready = FunctionCallOutput(call_id="call_1", output="a", status="completed")
    assert output_item(CALLS["function_call"], ready) is ready
    assert output_item(CALLS["function_call"], ToolOutput(ready)) is ready


def test_limits_bound_the_size_of_an_answer() -> None:
    fits, size = "x" * 10, len(json.dumps(dump(output_item(CALLS["function_call"], "")), separators=(",", ":")))
    assert output_item(CALLS["function_call"], fits, limits=Limits(max_tool_output_bytes=size + 10))
    with pytest.raises(LimitExceeded) as caught:
        output_item(CALLS["function_call"], fits + "x", limits=Limits(max_tool_output_bytes=size + 10))
    assert (caught.value.limit, caught.value.value) == ("max_tool_output_bytes", size + 11)


# ---- values


class Color(enum.Enum):
    """A choice."""

    RED = "red"


class Point(NamedTuple):
    """With names."""

    x: int
    y: int


ORIGIN = Point(1, 2)


@attrs.frozen
class Place:
    """An attrs class; its private attribute has another name outside."""

    name: str
    _at: Point = ORIGIN


@dataclasses.dataclass
class Trip:
    """A dataclass."""

    places: list[Place]
    when: dt.date | None = None


class Guest(pydantic.BaseModel):
    """A pydantic model."""

    name: str
    since: dt.date


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (7, "7"),
        (True, "true"),
        (1.5, "1.5"),
        ([], "[]"),
        (["a", "b"], '["a","b"]'),
        ({"a": {1}, 2: ("x",)}, '{"a":[1],"2":["x"]}'),
        (Color.RED, '"red"'),
        (Place("Paris"), '{"name":"Paris","at":{"x":1,"y":2}}'),
        (Trip([], dt.date(2026, 11, 27)), '{"places":[],"when":"2026-11-27"}'),
        (Guest(name="Ada", since=dt.date(2026, 1, 2)), '{"name":"Ada","since":"2026-01-02"}'),
        (dt.datetime(2026, 1, 2, 3, 4, tzinfo=dt.UTC), '"2026-01-02T03:04:00+00:00"'),
        (uuid.UUID(int=1), '"00000000-0000-0000-0000-000000000001"'),
        (decimal.Decimal("1.50"), '"1.50"'),
        (PurePosixPath("/a/b"), '"/a/b"'),
        (ExitOutcome(exit_code=1), '{"type":"exit","exit_code":1}'),
        ([IMAGE, 1], '[{"type":"input_image","image_url":"https://x.example/a.png"},1]'),
    ],
)
def test_values_become_json_and_are_kept(value: object, text: str) -> None:
    made = tool_output(value)
    assert made == ToolOutput(text)
    assert made.value is value
    assert made.failed is False


@pytest.mark.parametrize(
    "value",
    [
        "text",
        IMAGE,
        [InputText(text="a"), InputFile(file_id="file_1")],
        [FOUND],
        [ShellOutput(stdout="", stderr="", outcome=ExitOutcome(exit_code=0))],
        FunctionCallOutput(call_id="call_1", output=""),
    ],
)
def test_text_parts_and_items_are_used_unchanged(value: Any) -> None:
    assert tool_output(value) == ToolOutput(value)


def test_an_output_is_returned_unchanged() -> None:
    output = ToolOutput("a", failed=True, value=3)
    assert tool_output(output) is output


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (b"bytes", "a tool returned a value of type bytes, which has no JSON form: .* InputImage.from_bytes"),
        (object(), "a tool returned a value of type object"),
        ({"a": [print]}, "a tool returned a value of type builtin_function_or_method"),
        (float("nan"), "nan"),
    ],
)
def test_values_without_a_json_form_are_refused(value: object, message: str) -> None:
    with pytest.raises(EncodeError, match=message):
        tool_output(value)


VENDOR = UnknownContent(type="acme:part", raw={"type": "acme:part"})


@pytest.mark.parametrize("kind", ["function_call", "custom_tool_call"])
@pytest.mark.parametrize("how", ["part", "list", "tool_output", "item"])
@pytest.mark.parametrize(
    ("part", "sent"),
    [
        (OutputText(text="a", annotations=[], logprobs=[]), InputText(text="a")),
        (Refusal(refusal="no"), InputText(text="no")),
        (Text(text="a"), InputText(text="a")),
        (ReasoningText(text="a"), InputText(text="a")),
        (SummaryText(text="a"), InputText(text="a")),
        (ComputerScreenshot(image_url="https://x.example/a.png"), IMAGE),
        (InputText(text="a"), InputText(text="a")),
        (IMAGE, IMAGE),
        (VENDOR, VENDOR),
    ],
)
def test_parts_of_any_kind_become_parts_that_an_output_may_have(kind: str, how: str, part: Any, sent: Any) -> None:
    cls: Any = FunctionCallOutput if kind == "function_call" else CustomToolCallOutput
    given: Any = {
        "part": part,
        "list": [part],
        "tool_output": tool_output([part]),
        "item": cls(call_id="call_1", output=[part]),
    }[how]
    assert output_item(CALLS[kind], given) == cls(call_id="call_1", output=[sent])


@pytest.mark.parametrize("kind", ["local_shell_call", "shell_call", "apply_patch_call"])
def test_parts_with_text_become_the_text_of_an_output(kind: str) -> None:
    parts: list[Any] = [OutputText(text="a", annotations=[]), Refusal(refusal="b"), InputText(text="c")]
    assert "abc" in str(dump(output_item(CALLS[kind], parts)))
    with pytest.raises(UsageError, match="must be answered with text"):
        output_item(CALLS[kind], [*parts, IMAGE])


@pytest.mark.parametrize("kind", CALLS)
@pytest.mark.parametrize("reason", ["", "too risky"])
def test_a_denial_answers_every_type_of_call(kind: str, reason: str) -> None:
    item = dump(output_item(CALLS[kind], Approval(approve=False, reason=reason)))
    assert reason in str(item) or kind in ("computer_call", "tool_search_call")  # these have no place for a text
    if kind != "mcp_approval_request":
        with pytest.raises(UsageError, match=f"an approved {kind} must be executed"):
            output_item(CALLS[kind], Approval(approve=True))

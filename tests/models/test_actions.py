"""Actions, operations, outcomes, errors and callers inside items."""

from __future__ import annotations

import pickle
import typing
from typing import TYPE_CHECKING

import pytest

from responses_proto.models import actions
from responses_proto.models.content import UnknownObject
from responses_proto.typing import UNSET

if TYPE_CHECKING:
    from responses_proto.models._base import Model

UNIONS = {
    "Caller": {"direct", "program"},
    "ComputerAction": {
        "click",
        "double_click",
        "drag",
        "keypress",
        "move",
        "screenshot",
        "scroll",
        "type",
        "wait",
    },
    "WebSearchAction": {"search", "open_page", "find_in_page"},
    "SearchSource": {"url"},
    "CodeInterpreterOutput": {"logs", "image"},
    "ShellOutcome": {"exit", "timeout"},
    "ApplyPatchOperation": {"create_file", "update_file", "delete_file"},
    "McpError": {"mcp_protocol_error", "mcp_tool_execution_error", "http_error"},
}

SAMPLES: list[Model] = [
    actions.ProgramCaller(caller_id="call_1"),
    actions.ClickAction(x=3, y=4, button="left", keys=["SHIFT"]),
    actions.DragAction(path=[actions.Point(x=0, y=0), actions.Point(x=9, y=9)]),
    actions.ScrollAction(x=1, y=2, scroll_x=0, scroll_y=300),
    actions.TypeAction(text="hello"),
    actions.SafetyCheck(id="cu_sc_1", code="malicious_instructions", message=None),
    actions.SearchAction(queries=["cats"], sources=[actions.UrlSource(url="https://example.org")]),
    actions.FileSearchResult(file_id="file_1", score=0.75, attributes={"year": 2026, "draft": False}),
    actions.ShellAction(commands=["ls"], timeout_ms=None),
    actions.ShellOutput(outcome=actions.ExitOutcome(exit_code=0), stdout="a\n", stderr=""),
    actions.LocalShellAction(command=["ls", "-l"], env={"LANG": "C"}),
    actions.UpdateFile(path="a.txt", diff="@@\n-a\n+b"),
    actions.McpListedTool(name="roll", input_schema={"type": "object"}, annotations={"readOnlyHint": True}),
    actions.McpToolExecutionError(content=[{"type": "text", "text": "no"}]),
    actions.ImageGenerationError(
        message="blocked",
        type="image_generation_user_error",
        moderation_details=actions.ImageModerationDetails(moderation_stage="output", categories=["violence"]),
    ),
    actions.SvgUsage(model="m", input_tokens=1, output_tokens=2, reasoning_tokens=0, total_tokens=3),
]


@pytest.mark.parametrize("name", UNIONS)
def test_union_has_a_class_for_every_tag_and_is_open(name: str) -> None:
    *known, last = (m for m in typing.get_args(getattr(actions, name)) if m is not str)
    assert last is UnknownObject
    assert {m.type for m in known} == UNIONS[name]


def test_an_mcp_error_may_be_plain_text() -> None:
    assert str in typing.get_args(actions.McpError)


def test_every_model_of_the_module_is_public() -> None:
    models = {n for n, v in vars(actions).items() if isinstance(v, type) and v.__module__ == actions.__name__}
    assert models <= set(actions.__all__)


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: type(sample).__name__)
def test_pickles_to_an_equal_object(sample: Model) -> None:
    assert pickle.loads(pickle.dumps(sample)) == sample  # noqa: S301 - our own bytes


def test_equal_by_class_and_fields() -> None:
    assert actions.MoveAction(x=1, y=2) == actions.MoveAction(x=1, y=2)
    assert actions.MoveAction(x=1, y=2) != actions.MoveAction(x=1, y=3)
    assert actions.MoveAction(x=1, y=2) != actions.DoubleClickAction(x=1, y=2)


def test_optional_fields_are_absent_by_default() -> None:
    action = actions.SearchAction()
    assert action.query is action.queries is action.sources is UNSET


def test_a_required_field_must_be_given() -> None:
    with pytest.raises(TypeError, match="exit_code"):
        actions.ExitOutcome()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue] - the point of the test

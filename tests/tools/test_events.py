"""The events of a run: their types, and how they compare and match."""

from __future__ import annotations

from typing import get_args

import attrs
import pytest
from tests.tool_runs import function_call

from responses_proto.models._base import Model
from responses_proto.models.events import EVENT_TYPES
from responses_proto.models.items import FunctionCall, FunctionCallOutput
from responses_proto.tools import LocalEvent, ToolEvent, ToolFinished, ToolStarted
from responses_proto.tools import events as run_events

LOCAL = [cls for cls in vars(run_events).values() if isinstance(cls, type) and issubclass(cls, LocalEvent)]


def test_local_events_have_types_that_no_wire_event_has() -> None:
    kinds = [cls.type for cls in LOCAL if cls is not LocalEvent]
    assert len(kinds) == len(set(kinds)) == 6
    assert set(kinds).isdisjoint(EVENT_TYPES)
    assert all(kind.startswith("run.") for kind in kinds)
    assert not any(issubclass(cls, Model) for cls in LOCAL)
    assert set(get_args(ToolEvent)) < set(LOCAL)


def test_local_events_are_values() -> None:
    assert ToolStarted(function_call(1)) == ToolStarted(function_call(1)) != ToolStarted(function_call(2))
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        ToolStarted(function_call(1)).call = function_call(2)  # type: ignore[misc] # what the test is about


def test_local_events_match_by_position_and_by_name() -> None:
    event: object = ToolFinished(function_call(1), FunctionCallOutput(call_id="call_1", output="x"), failed=True)
    match event:
        case ToolFinished(FunctionCall(name=name), FunctionCallOutput(output=output), failed=failed):
            assert (name, output, failed) == ("work", "x", True)
        case _:
            pytest.fail("it did not match")

from __future__ import annotations

from typing import Any

import pytest

from responses_proto.codec import load
from responses_proto.models import ApplyPatchCall, Message, ShellCall, UpdateFile
from responses_proto.models._paths import get_path, set_path

WIRE: dict[str, Any] = {"type": "shell_call", "call_id": "c", "action": {"commands": ["ls"]}}


def test_a_path_is_read_from_models_and_from_wire_objects() -> None:
    call = load(WIRE, ShellCall)
    assert get_path(call, "call_id") == "c"
    assert get_path(call, "action.commands") == ["ls"]
    assert get_path(WIRE, "action.commands") == ["ls"]


@pytest.mark.parametrize(
    "path", ["nothing", "action.nothing", "action.nothing.more", "call_id.upper", "action.commands.sort"]
)
@pytest.mark.parametrize("value", [WIRE, load(WIRE, ShellCall)], ids=["wire", "model"])
def test_a_missing_value_is_none(path: str, value: object) -> None:
    assert get_path(value, path) is None
    assert get_path(None, path) is None


def test_a_field_is_set_in_place() -> None:
    message = Message(role="user", content="a")
    set_path(message, "content", "b")
    assert message.content == "b"


def test_nested_objects_are_copied_before_they_are_changed() -> None:
    shared = UpdateFile(path="p", diff="old")
    call = ApplyPatchCall(call_id="c", operation=shared, status="completed")
    set_path(call, "operation.diff", "new")
    assert call.operation == UpdateFile(path="p", diff="new")
    assert shared.diff == "old"
    wire = {**WIRE}
    set_path(wire, "action.commands", [])
    assert wire["action"] == {"commands": []}
    assert WIRE["action"] == {"commands": ["ls"]}


def test_a_wire_object_accepts_a_new_name_and_a_model_does_not() -> None:
    wire: dict[str, Any] = {}
    set_path(wire, "a", 1)
    assert wire == {"a": 1}
    message = Message(role="user", content="a")
    set_path(message, "nothing", 1)
    set_path(message, "content.text", 1)
    set_path(None, "a", 1)
    assert message == Message(role="user", content="a")

"""Events: every wire name has its class, the names follow the rule, the registries agree with the classes."""

from __future__ import annotations

import json
import re
from typing import Any, get_args

import attrs
import pytest
from tests.support import NO_SHARED, shared

from responses_proto.models import (
    ErrorEvent,
    FailedSteer,
    Model,
    SteerFailed,
    UnknownEvent,
    events,
)
from responses_proto.models.events import DELTA_TYPES, EVENT_TYPES, LIFECYCLE_TYPES, TERMINAL_TYPES, Event
from responses_proto.typing import UNSET

EVENTS = sorted(EVENT_TYPES.items())

BEYOND_THE_SPECIFICATION = {
    "keepalive",
    "response.inject.created",  # the multi-agent beta: see test_parity
    "response.inject.failed",
    "response.apply_patch_call_operation_diff.delta",
    "response.apply_patch_call_operation_diff.done",
    "response.rate_limits.updated",
    "response.reasoning_part.added",
    "response.reasoning_part.done",
}


def fields_of(cls: type[Model]) -> set[str]:
    return {a.name for a in attrs.fields(cls)}


# --- registries -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("wire", "cls"), EVENTS)
def test_a_class_knows_its_wire_name(wire: str, cls: type[Model]) -> None:
    assert getattr(cls, "type", None) == wire


@pytest.mark.parametrize(("wire", "cls"), EVENTS)
def test_a_class_name_follows_the_wire(wire: str, cls: type[Model]) -> None:
    words = wire.removeprefix("response.").replace(".", "_").split("_")
    name = "".join(word.capitalize() for word in words)
    if wire == "error":
        name = "ErrorEvent"
    elif wire.startswith("response.") and wire.count(".") == 1:
        name = f"Response{name}"
    assert cls.__name__ == name


def test_the_union_is_open() -> None:
    assert get_args(Event)[-1] is UnknownEvent


def test_the_registry_is_the_union_without_the_unknown() -> None:
    assert [*EVENT_TYPES.values(), UnknownEvent] == list(get_args(Event))


def test_every_event_is_public() -> None:
    assert {cls.__name__ for cls in get_args(Event)} <= set(events.__all__)


def test_the_specifications_and_the_registry_agree() -> None:
    schemas = [load_schemas("openai-2026-08.openapi.json"), load_schemas("openresponses-2026-04-24.openapi.json")]
    path = shared("spec", "openai-sdk-3.54.types.json")
    sdk = json.loads(path.read_bytes())["received"]["$defs"]
    tags = {tag for definitions in (*schemas, sdk) for tag in event_tags(definitions)}
    assert tags == EVENT_TYPES.keys() - BEYOND_THE_SPECIFICATION


def test_every_recorded_kind_of_event_has_a_class() -> None:
    streams = sorted(shared("corpus", "streams").glob("*.sse"))
    if not streams:
        pytest.skip(NO_SHARED)
    kinds = {kind for path in streams for kind in re.findall(rb"^event: ?(.+?)\r?$", path.read_bytes(), re.MULTILINE)}
    assert {kind.decode() for kind in kinds} <= EVENT_TYPES.keys()


def load_schemas(name: str) -> dict[str, Any]:
    path = shared("spec", name)
    if not path.exists():
        pytest.skip(NO_SHARED)
    schemas: dict[str, Any] = json.loads(path.read_bytes())["components"]["schemas"]
    return schemas


def event_tags(definitions: dict[str, Any]) -> set[str]:
    """The wire names of the objects that have a ``sequence_number``."""
    found: set[str] = set()
    for definition in definitions.values():
        properties = definition.get("properties", {})
        if "sequence_number" in properties:
            tag = properties["type"]
            found.update([tag["const"]] if "const" in tag else tag["enum"])
    return found


# --- subsets ----------------------------------------------------------------------------------------------------------


def test_terminal_events_are_the_three_ends_of_a_response() -> None:
    assert sorted(TERMINAL_TYPES) == ["response.completed", "response.failed", "response.incomplete"]


def test_lifecycle_events_are_those_that_carry_a_response() -> None:
    assert {wire for wire, cls in EVENTS if "response" in fields_of(cls)} == LIFECYCLE_TYPES
    assert TERMINAL_TYPES < LIFECYCLE_TYPES


def test_delta_events_are_those_that_carry_a_delta() -> None:
    assert {wire for wire, cls in EVENTS if "delta" in fields_of(cls)} == DELTA_TYPES


def test_only_deltas_are_obfuscated() -> None:
    assert {wire for wire, cls in EVENTS if "obfuscation" in fields_of(cls)} == DELTA_TYPES


# --- what an event belongs to -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("wire", "cls"), EVENTS)
def test_an_event_has_a_number_and_a_lane(wire: str, cls: type[Model]) -> None:
    fields = attrs.fields_dict(cls)
    beside = {"error", "keepalive", "response.rate_limits.updated"}
    assert (fields["sequence_number"].default is UNSET) == (wire in beside)
    assert fields["stream_id"].default is UNSET


@pytest.mark.parametrize(("wire", "cls"), EVENTS)
def test_an_index_comes_with_the_indices_around_it(wire: str, cls: type[Model]) -> None:
    fields = fields_of(cls)
    if "item_id" in fields:
        assert "output_index" in fields
    if fields & {"content_index", "summary_index"}:
        assert "item_id" in fields
    if wire.startswith(("response.output_text", "response.refusal", "response.content_part")):
        assert "content_index" in fields
    if wire.startswith("response.reasoning_summary"):
        assert "summary_index" in fields


# --- behaviour of the classes -----------------------------------------------------------------------------------------


def test_the_flat_error_needs_no_body() -> None:
    error = ErrorEvent(message="no", code="server_error", param=None, sequence_number=3)
    assert (error.error, error.status, error.param) == (UNSET, UNSET, None)


def test_a_failed_steer_returns_the_input() -> None:
    assert {"input", "previous_response_id", "id"} <= fields_of(FailedSteer)
    assert "steer" in fields_of(SteerFailed)

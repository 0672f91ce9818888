"""What a client says: requests, their keyword twins, and WebSocket messages."""

from __future__ import annotations

import inspect
import json
import typing
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import attrs
import pytest
from tests.support import NO_SHARED, shared

from responses_proto.codec import dump, load
from responses_proto.models import request
from responses_proto.models.config import ConversationReference, PlainTextFormat, ReasoningConfig, TextConfig
from responses_proto.models.content import UnknownObject
from responses_proto.models.items import FunctionCallOutput, Message
from responses_proto.models.request import (
    CLIENT_EVENT_TYPES,
    ClientEvent,
    CompactFields,
    CompactRequest,
    CreateResponse,
    CreateResponseFields,
    InputTokensFields,
    InputTokensRequest,
    ListParams,
    ResponseCreateFields,
    ResponseCreateMessage,
    ResponseInject,
    ResponseSteer,
    RetrieveParams,
    RunFields,
)
from responses_proto.models.tools import FunctionTool, ToolChoiceFunction
from responses_proto.typing import UNSET, Unset

if TYPE_CHECKING:
    from responses_proto.anomalies import Anomaly
    from responses_proto.models._base import Model
    from responses_proto.typing import JSONObject

SPEC = shared("spec")
needs_spec = pytest.mark.skipif(not SPEC.is_dir(), reason=NO_SHARED)

HELLO = Message(role="user", content="Hello")
HELLO_WIRE = {"type": "message", "role": "user", "content": "Hello"}

SAMPLES: list[tuple[Model, JSONObject]] = [
    (CreateResponse(), {}),
    (
        CreateResponse(
            model="m",
            input=[HELLO, FunctionCallOutput(call_id="call_1", output="6")],
            tools=[FunctionTool(name="roll")],
            tool_choice=ToolChoiceFunction(name="roll"),
            reasoning=ReasoningConfig(effort="low"),
            text=TextConfig(format=PlainTextFormat()),
            conversation=ConversationReference(id="conv_1"),
            include=["reasoning.encrypted_content"],
            temperature=None,
            stream=True,
            extra={"top_k": 5},
        ),
        {
            "model": "m",
            "input": [HELLO_WIRE, {"type": "function_call_output", "call_id": "call_1", "output": "6"}],
            "tools": [{"type": "function", "name": "roll"}],
            "tool_choice": {"type": "function", "name": "roll"},
            "reasoning": {"effort": "low"},
            "text": {"format": {"type": "text"}},
            "conversation": {"id": "conv_1"},
            "include": ["reasoning.encrypted_content"],
            "temperature": None,
            "stream": True,
            "top_k": 5,
        },
    ),
    (CompactRequest(model=None, previous_response_id="resp_1"), {"model": None, "previous_response_id": "resp_1"}),
    (InputTokensRequest(input="Hello", truncation="auto"), {"input": "Hello", "truncation": "auto"}),
    (RetrieveParams(stream=True, starting_after=7), {"stream": True, "starting_after": 7}),
    (ListParams(after="msg_1", limit=5, order="asc"), {"after": "msg_1", "limit": 5, "order": "asc"}),
    (
        ResponseCreateMessage(model="m", input="Hello", stream_id="lane", generate=False),
        {"type": "response.create", "model": "m", "input": "Hello", "stream_id": "lane", "generate": False},
    ),
    (
        ResponseSteer(previous_response_id="resp_1", input=[HELLO]),
        {"type": "response.steer", "previous_response_id": "resp_1", "input": [HELLO_WIRE]},
    ),
    (
        ResponseInject(response_id="resp_1", input=[FunctionCallOutput(call_id="call_1", output="6")]),
        {
            "type": "response.inject",
            "response_id": "resp_1",
            "input": [{"type": "function_call_output", "call_id": "call_1", "output": "6"}],
        },
    ),
]

TWINS = [
    (CreateResponse, CreateResponseFields),
    (CompactRequest, CompactFields),
    (InputTokensRequest, InputTokensFields),
    (ResponseCreateMessage, ResponseCreateFields),
]


def _names(cls: type[Model]) -> list[str]:
    return [a.name for a in attrs.fields(cls) if a.name != "extra"]


# ---- the classes


@pytest.mark.parametrize(("sample", "wire"), SAMPLES, ids=lambda value: type(value).__name__)
def test_is_dumped_and_loaded(sample: Model, wire: JSONObject) -> None:
    anomalies: list[Anomaly] = []
    assert dump(sample) == wire
    again = load(wire, type(sample), anomalies=anomalies)
    assert again == sample
    assert not anomalies


def test_every_model_of_the_module_is_public_and_sampled() -> None:
    models = {
        name
        for name, value in vars(request).items()
        if inspect.isclass(value) and value.__module__ == request.__name__ and attrs.has(value) and name[0] != "_"
    }
    assert models <= set(request.__all__)
    assert models == {type(sample).__name__ for sample, _ in SAMPLES}


def test_no_field_of_a_new_response_is_required() -> None:
    assert all(getattr(CreateResponse(), name) is UNSET for name in _names(CreateResponse))


def test_only_the_model_of_a_compaction_is_required() -> None:
    assert [a.name for a in attrs.fields(CompactRequest) if a.default is attrs.NOTHING] == ["model"]


# ---- the specification


@needs_spec
@pytest.mark.parametrize(
    ("cls", "root"),
    [
        (CreateResponse, "ResponseCreateParamsStreaming"),
        (CreateResponse, "ResponseCreateParamsNonStreaming"),
        (CompactRequest, "ResponseCompactParams"),
        (InputTokensRequest, "InputTokenCountParams"),
        (RetrieveParams, "ResponseRetrieveParamsStreaming"),
        (ListParams, "InputItemListParams"),
        (ListParams, "ConversationItemListParams"),
    ],
)
def test_fields_are_those_of_openai(cls: type[Model], root: str) -> None:
    facts = json.loads((SPEC / "openai-sdk-3.54.types.json").read_text())["sent"]
    beyond = {"presence_penalty", "frequency_penalty", "multi_agent"} if cls is CreateResponse else set[str]()
    assert set(_names(cls)) - beyond == set(facts["roots"][root]["properties"])


@needs_spec
def test_fields_include_those_of_open_responses() -> None:
    defs = json.loads((SPEC / "openresponses-2026-04-24.openapi.json").read_text())["components"]["schemas"]
    assert set(defs["CreateResponseBody"]["properties"]) <= set(_names(CreateResponse))
    assert set(defs["CompactResponseMethodPublicBody"]["properties"]) <= set(_names(CompactRequest))


@needs_spec
def test_every_client_event_of_openai_has_a_class() -> None:
    facts = json.loads((SPEC / "openai-sdk-3.54.types.json").read_text())["sent"]
    arms = [facts["$defs"][arm["$ref"].rpartition("/")[2]] for arm in facts["roots"]["ResponsesClientEvent"]["anyOf"]]
    assert {arm["properties"]["type"]["const"] for arm in arms} == set(CLIENT_EVENT_TYPES) - {
        "response.inject"
    }  # a beta


# ---- the keyword twins


@pytest.mark.parametrize(("cls", "fields"), TWINS)
def test_keywords_are_the_fields_in_their_order_and_extra(cls: type[Model], fields: Any) -> None:
    assert list(fields.__annotations__) == [*_names(cls), "extra"]


def test_a_run_has_the_same_keywords_except_its_own() -> None:
    all_ = CreateResponseFields.__annotations__
    assert {
        name: all_[name] for name in all_ if name not in ("tools", "max_tool_calls", "stream")
    } == RunFields.__annotations__


@pytest.mark.parametrize(("cls", "fields"), TWINS)
def test_keywords_are_required_where_fields_are(cls: type[Model], fields: Any) -> None:
    # The annotations are strings, so the class itself cannot know which are required.
    hints = typing.get_type_hints(fields, include_extras=True)
    required = {name for name, hint in hints.items() if typing.get_origin(hint) is typing.Required}
    assert required == {a.name for a in attrs.fields(cls) if a.default is attrs.NOTHING}


@pytest.mark.parametrize(("cls", "fields"), TWINS)
def test_keywords_accept_everything_that_fields_accept(cls: type[Model], fields: Any) -> None:
    own: dict[str, Any] = {}
    for base in reversed(cls.__mro__[:-1]):
        own.update(inspect.get_annotations(base, eval_str=base.__module__ == request.__name__))
    for name, hint in typing.get_type_hints(fields).items():
        if name != "extra":
            assert _kinds(own[name]) - {Unset} <= _kinds(hint), name


def _kinds(hint: Any) -> set[Any]:
    """Return the classes and strings of a union, through sequences."""
    origin = typing.get_origin(hint)
    if origin is Literal:
        return set(typing.get_args(hint))
    if origin is None or origin is Mapping:
        return {hint}
    return set[Any]().union(*(_kinds(arg) for arg in typing.get_args(hint)))


# ---- WebSocket


def test_a_websocket_message_has_the_fields_of_a_request_except_those_for_http() -> None:
    transport = {"stream", "stream_options", "background"}
    assert set(_names(ResponseCreateMessage)) == set(_names(CreateResponse)) - transport | {"stream_id", "generate"}


def test_client_events_are_selected_by_their_type() -> None:
    assert isinstance(load({"type": "response.create"}, ClientEvent), ResponseCreateMessage)
    assert isinstance(
        load({"type": "response.steer", "previous_response_id": "r", "input": "x"}, ClientEvent), ResponseSteer
    )
    assert isinstance(load({"type": "acme:nudge"}, ClientEvent), UnknownObject)


def test_client_events_of_the_registry_are_those_of_the_union() -> None:
    assert set(CLIENT_EVENT_TYPES.values()) == set(typing.get_args(ClientEvent)) - {UnknownObject}

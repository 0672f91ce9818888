"""Reading bodies and queries, and the errors of invalid ones."""

from __future__ import annotations

import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest

from responses_proto import UNSET, CreateResponse
from responses_proto.codec import dump, make_converter
from responses_proto.codec._specs import model_spec
from responses_proto.exceptions import APIError, BadRequestError
from responses_proto.models.config import ReasoningConfig
from responses_proto.models.content import InputText
from responses_proto.models.conversations import CreateConversation, CreateConversationItems
from responses_proto.models.items import Item, Message, UnknownItem
from responses_proto.models.request import (
    CompactRequest,
    InputTokensRequest,
    ListParams,
    ResponseCreateMessage,
    RetrieveParams,
)
from responses_proto.models.tools import FunctionTool
from responses_proto.protocol._requests import (
    MAX_ITEMS,
    MAX_VALUES,
    check_create,
    id_of,
    not_found,
    page_of,
    read_body,
    read_list_params,
    read_retrieve_params,
    read_value,
    weight_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from responses_proto.models._base import Model

STRICT = make_converter(strict=True)


def refused(call: Callable[[], object]) -> APIError:
    with pytest.raises(BadRequestError) as caught:
        call()
    assert (caught.value.status, caught.value.type) == (400, "invalid_request_error")
    return caught.value


# ---- bodies


def test_a_body_becomes_a_model() -> None:
    asked = read_body(b'{"model": "m", "input": "x"}', CreateResponse, STRICT, required=["model"])
    assert asked == CreateResponse(model="m", input="x")


@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        (b"", None, None),
        (b"{", None, None),
        (b"\xff", None, None),
        (b"[" * 1000, None, None),
        (b"null", None, "invalid_type"),
        (b"{}", "model", "missing_required_parameter"),
        (b'{"model": null}', "model", "missing_required_parameter"),
        (b'{"model": ""}', "model", "missing_required_parameter"),
        (b'{"model": 5}', "model", "invalid_type"),
        (b'{"model": "m", "input": [5]}', "input[0]", "invalid_type"),
        (b'{"model": "m", "input": [{"role": "user", "content": 5}]}', "input[0].content", "invalid_type"),
        (
            b'{"model": "m", "input": [{"role": "user", "content": ""}, {}]}',
            "input[1].type",
            "missing_required_parameter",
        ),
        (b'{"model": "m", "instruction": "x"}', "instruction", "unknown_parameter"),
    ],
)
def test_the_error_of_a_body_names_the_parameter(body: bytes, param: str | None, code: str | None) -> None:
    error = refused(lambda: read_body(body, CompactRequest, STRICT, required=["model"]))
    assert (error.param, error.code) == (param, code)
    assert (param or "") in error.message


VENDORS = {
    "mode": "x",
    "top_k": 5,
    "min_p": 0.1,
    "provider": {"order": ["a"]},
    "client_metadata": {},
    "models": ["m"],
    "seed": None,
    "x-y": [1],
}


@pytest.mark.parametrize("cls", [CreateResponse, CompactRequest, InputTokensRequest, ResponseCreateMessage])
def test_unknown_parameters_are_kept(cls: type[Model]) -> None:
    for fields in [*({name: value} for name, value in VENDORS.items()), VENDORS]:
        body: dict[str, Any] = {
            "model": "m",
            "input": "x",
            **fields,
            **({"type": cls.type} if cls is ResponseCreateMessage else {}),
        }
        request = read_value(body, cls, STRICT)
        assert dict(request.extra) == fields
        assert dump(request) == body


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("temprature", "temperature"),
        ("Temperature", "temperature"),
        ("tempreature", "temperature"),
        ("top_logprob", "top_logprobs"),
        ("maxOutputTokens", "max_output_tokens"),
        ("max-output-tokens", "max_output_tokens"),
        ("max_ouput_token", "max_output_tokens"),
        ("meta_data", "metadata"),
        ("instruction", "instructions"),
        ("tool", "tools"),
        ("imput", "input"),
        ("previous_respons_id", "previous_response_id"),
        ("prompt_cache_ky", "prompt_cache_key"),
    ],
)
def test_a_misspelt_parameter_is_refused_with_the_right_one(name: str, meant: str) -> None:
    body: dict[str, Any] = {"model": "m", name: None}
    error = refused(lambda: read_value(body, CreateResponse, STRICT))
    assert (error.status, error.param, error.code) == (400, name, "unknown_parameter")
    assert repr(meant) in error.message
    assert read_value(body, CreateResponse, STRICT, unknown="pass").extra == {name: None}
    # Beside the right one, a longer or shorter name is that of another parameter.
    both = {**body, meant: None}
    if meant.startswith(name) or name.startswith(meant):
        assert read_value(both, CreateResponse, STRICT).extra == {name: None}
    else:
        assert refused(lambda: read_value(both, CreateResponse, STRICT)).param == name


@pytest.mark.parametrize("name", [*VENDORS, "temprature", "x" * 10_000, ""])
def test_all_unknown_parameters_can_be_refused(name: str) -> None:
    assert refused(lambda: read_value({name: 1}, CreateResponse, STRICT, unknown="refuse")).param == name


NULLABLE = [
    (cls, field.wire)
    for cls in (
        CreateResponse,
        CompactRequest,
        InputTokensRequest,
        ResponseCreateMessage,
        CreateConversation,
        ReasoningConfig,
        FunctionTool,
        Message,
    )
    for field in model_spec(cls).fields
    if not field.required
]


@pytest.mark.parametrize(("cls", "name"), NULLABLE)
def test_an_optional_field_may_be_null(cls: type[Model], name: str) -> None:
    required: dict[type[Model], dict[str, Any]] = {
        CompactRequest: {"model": "m"},
        ResponseCreateMessage: {"type": "response.create"},
        FunctionTool: {"type": "function", "name": "f"},
        Message: {"type": "message", "role": "user", "content": "x"},
    }
    value = {**required.get(cls, {}), name: None}
    read = read_value(value, cls, STRICT)
    assert not getattr(read, "async_" if name == "async" else name)
    if issubclass(cls, CreateResponse):
        assert read.extra == {}
    nested: dict[type[Model], dict[str, Any]] = {
        ReasoningConfig: {"reasoning": value},
        FunctionTool: {"tools": [value]},
        Message: {"input": [value]},
    }
    assert read_value(nested.get(cls, {}), CreateResponse, STRICT).extra == {}


@pytest.mark.parametrize(
    ("item", "lacking"),
    [
        ({"type": "image_generation_call", "id": "ig_1"}, "id"),
        ({"type": "web_search_call", "id": "ws_1"}, "id"),
        ({"type": "file_search_call", "id": "fs_1"}, "id"),
        ({"type": "code_interpreter_call", "id": "ci_1"}, "id"),
        ({"type": "mcp_list_tools", "id": "mcpl_1"}, "id"),
        ({"type": "mcp_call", "id": "mcp_1"}, "id"),
        ({"type": "reasoning", "id": "rs_1"}, "id"),
        ({"type": "local_shell_call_output", "call_id": "call_1", "output": "x"}, "call_id"),
        ({"type": "local_shell_call_output", "call_id": "call_1", "output": "x"}, "output"),
        ({"type": "apply_patch_call_output", "call_id": "call_1"}, "call_id"),
        ({"type": "computer_call", "id": "cu", "call_id": "c", "pending_safety_checks": []}, "call_id"),
        ({"type": "function_call", "id": "fc_1", "call_id": "c", "name": "f", "arguments": "{}"}, "name"),
        ({"type": "item_reference", "id": "msg_1"}, "id"),
    ],
)
@pytest.mark.parametrize("field", ["input", "items"])
def test_items_need_what_requests_require_of_them(item: dict[str, Any], lacking: str, field: str) -> None:
    cls = CreateResponse if field == "input" else CreateConversationItems
    read_value({field: [{"role": "user", "content": "x"}, item]}, cls, STRICT)
    error = refused(lambda: read_value({field: [{k: v for k, v in item.items() if k != lacking}]}, cls, STRICT))
    assert error.status == 400
    assert (error.param or "").startswith(f"{field}[0].")


@pytest.mark.parametrize("piece", [b"{},", b"0,", b'"x",', b"[[],[]],", b'{"a":[0,0]},'])
def test_a_body_of_very_many_values_is_refused(piece: bytes) -> None:
    body = b'{"input": [' + piece * (MAX_VALUES // piece.count(b",") + 1) + b"0]}"
    tracemalloc.start()
    try:
        error = refused(lambda: read_body(body, CreateResponse, STRICT))
        assert tracemalloc.get_traced_memory()[1] < 2 * len(body) + 2**20
    finally:
        tracemalloc.stop()
    assert error.code == "request_too_large"
    # The same in a string is one value.
    read_body(b'{"input": "' + piece.replace(b'"', b"") * MAX_VALUES + b'"}', CreateResponse, STRICT)


@pytest.mark.parametrize("field", ["input", "items"])
def test_the_items_of_a_request_are_counted(field: str) -> None:
    item = {"role": "user", "content": "x"}
    cls = CreateResponse if field == "input" else CreateConversationItems
    read_value({field: [item] * MAX_ITEMS}, cls, STRICT)
    error = refused(lambda: read_value({field: [item] * (MAX_ITEMS + 1)}, cls, STRICT))
    assert (error.param, error.code) == (field, "array_above_max_length")


def test_a_weight_is_about_that_of_the_json() -> None:
    items = [Message(role="user", content="x" * 1000), Message(role="user", content=[InputText(text="y" * 1000)])]
    assert 2000 <= weight_of(items) <= 3000
    assert weight_of(UnknownItem(type="a", raw={"a": ["x" * 500, {"b": "x" * 500}]})) >= 1000
    assert weight_of([items] * 1_000_000, at_most=10_000) <= 15_000
    assert weight_of(None) == 0


@pytest.mark.parametrize(
    ("request_", "param"),
    [
        (CreateResponse(input="x"), "model"),
        (CreateResponse(model="m", previous_response_id="r", conversation="c"), "previous_response_id"),
        (CreateResponse(model="m", background=True, store=False), "store"),
    ],
)
def test_rules_beyond_the_types_are_checked(request_: CreateResponse, param: str) -> None:
    assert refused(lambda: check_create(request_)).param == param


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"truncation": "bogus"}, "truncation"),
        ({"service_tier": "bogus"}, "service_tier"),
        ({"tool_choice": "bogus"}, "tool_choice"),
        ({"reasoning": {"effort": "bogus"}}, "reasoning.effort"),
        ({"reasoning": {"summary": "bogus"}}, "reasoning.summary"),
        ({"text": {"verbosity": "bogus"}}, "text.verbosity"),
        ({"text": {"format": {"type": "bogus"}}}, "text.format.type"),
        ({"input": [{"role": "user", "content": ""}, {"role": "bogus", "content": ""}]}, "input[1].role"),
        ({"temperature": 2.1}, "temperature"),
        ({"temperature": -1}, "temperature"),
        ({"top_p": 1.5}, "top_p"),
        ({"presence_penalty": 3}, "presence_penalty"),
        ({"frequency_penalty": -3}, "frequency_penalty"),
        ({"top_logprobs": 21}, "top_logprobs"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
        ({"max_tool_calls": -5}, "max_tool_calls"),
    ],
)
def test_an_unknown_value_is_refused(body: dict[str, Any], param: str) -> None:
    asked = STRICT.load({"model": "m", **body}, CreateResponse)
    error = refused(lambda: check_create(asked))
    assert (error.status, error.param, error.code) == (400, param, "invalid_value")


def test_the_least_and_greatest_values_are_accepted() -> None:
    body: dict[str, Any] = {
        "model": "m", "truncation": "auto", "tool_choice": "required", "temperature": 2, "top_p": 0, "top_logprobs": 20, "max_output_tokens": 1,
        "max_tool_calls": 1, "presence_penalty": -2, "reasoning": {"effort": "minimal", "summary": None}, "text": {"verbosity": None},
    }  # fmt: skip
    asked = STRICT.load(body, CreateResponse)
    check_create(asked)
    assert asked.top_logprobs == 20


# ---- queries


def test_a_sufficient_request_is_accepted() -> None:
    for fine in (CreateResponse(model="m"), CreateResponse(model="m", background=True, store=True)):
        check_create(fine)
        assert fine.model == "m"


def test_the_error_of_an_unknown_id_names_it() -> None:
    error = not_found("response", "resp_1", "response_id")
    assert (error.status, error.type, error.param) == (404, "invalid_request_error", "response_id")
    assert error.message == "There is no response with id 'resp_1' here."


def test_queries_become_parameters() -> None:
    assert read_list_params([]) == ListParams()
    query = [("after", "a"), ("limit", "5"), ("order", "asc"), ("include", "x"), ("include[]", "y"), ("stream", "1")]
    assert read_list_params(query) == ListParams(after="a", limit=5, order="asc", include=["x", "y"])
    query = [("stream", "True"), ("starting_after", "0"), ("include_obfuscation", "false"), ("api-version", "1")]
    expected = RetrieveParams(stream=True, starting_after=0, include_obfuscation=False)
    assert read_retrieve_params(query) == expected


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("limit", "0"),
        ("limit", "101"),
        ("limit", "1.5"),
        ("limit", ""),
        ("order", "ASC"),
        ("order", ""),
    ],
)
def test_wrong_parameters_of_a_page_are_refused(name: str, text: str) -> None:
    error = refused(lambda: read_list_params([(name, text)]))
    assert error.param == name
    assert name in error.message


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ([("stream", "yes")], "stream"),
        ([("stream", "true"), ("starting_after", "x")], "starting_after"),
        ([("starting_after", "1")], "starting_after"),
        ([("stream", "false"), ("starting_after", "1")], "starting_after"),
    ],
)
def test_wrong_parameters_of_a_stream_are_refused(query: list[tuple[str, str]], param: str) -> None:
    assert refused(lambda: read_retrieve_params(query)).param == param


# ---- pages

THREE: list[Item] = [Message(id=name, role="user", content=name) for name in "abc"]


@pytest.mark.parametrize(
    ("params", "names", "has_more"),
    [
        (ListParams(), "cba", False),
        (ListParams(order="asc"), "abc", False),
        (ListParams(limit=2), "cb", True),
        (ListParams(limit=2, order="asc", after="a"), "bc", False),
        (ListParams(limit=1, order="asc", after="a"), "b", True),
        (ListParams(after="b"), "a", False),
        (ListParams(after="a"), "", False),
    ],
)
def test_pages(params: ListParams, names: str, *, has_more: bool) -> None:
    page = page_of(THREE, params)
    assert ("".join(id_of(item) for item in page.data), page.has_more) == (names, has_more)
    assert (page.first_id, page.last_id) == ((names[0], names[-1]) if names else (None, None))


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("limit", [1, 2, 3])
def test_a_call_and_its_output_that_have_one_id_are_on_one_page(order: str, limit: int) -> None:
    names = ["a", "b", "b", "c", "d", "d"]
    items: list[Item] = [UnknownItem(type="x:y", raw={"type": "x:y", "id": name}) for name in names]
    seen: list[str] = []
    after: str | None = None
    more = True
    while more:
        page = page_of(items, ListParams(limit=limit, order=order, after=after or UNSET))
        seen += [id_of(item) for item in page.data]
        after, more = page.last_id, page.has_more
        assert len(seen) <= len(names)
    assert seen == (names if order == "asc" else names[::-1])


def test_a_page_after_an_unknown_id_is_refused() -> None:
    assert refused(lambda: page_of(THREE, ListParams(after="d"))).param == "after"


@pytest.mark.parametrize(
    ("item", "name"),
    [
        (Message(role="user", content="x"), ""),
        (Message(id=None, role="user", content="x"), ""),
        (UnknownItem(type="a:b", raw={"id": "i"}), "i"),
        (UnknownItem(type="a:b", raw={"id": 5}), ""),
        (UnknownItem(type="", raw="text"), ""),
    ],
)
def test_ids_of_items(item: Item, name: str) -> None:
    assert id_of(item) == name

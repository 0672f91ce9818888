"""The models admit everything that the specifications know: field for field, literal for literal, null for null."""

from __future__ import annotations

import importlib
import json
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

import pytest
from tests.models.parity import Comparison, Schema
from tests.support import NO_SHARED, shared

from responses_proto import models
from responses_proto.models import Item, Message, OutputText, ToolChoice, UnknownItem
from responses_proto.models.events import Event

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping


class Root(NamedTuple):
    """A definition that nothing else contains, and the type of ours that it is compared with."""

    name: str
    where: str
    """Where the SDK has it, below ``openai.types``."""
    ours: object


RECEIVED: Final = (
    Root("Response", "responses.Response", models.Response),
    Root("ResponseStreamEvent", "responses.ResponseStreamEvent", Event),
    Root("ResponsesServerEvent", "responses.ResponsesServerEvent", Event),
    Root("ResponseItem", "responses.ResponseItem", Item),
    Root("ResponseOutputItem", "responses.ResponseOutputItem", Item),
    Root("CompactedResponse", "responses.CompactedResponse", models.CompactedResponse),
    Root("InputTokenCountResponse", "responses.InputTokenCountResponse", models.InputTokenCount),
    Root("ResponseItemList", "responses.ResponseItemList", models.ResponseItemList),
    Root("Conversation", "conversations.Conversation", models.Conversation),
    Root("ConversationItem", "conversations.ConversationItem", Item),
    Root("ConversationItemList", "conversations.ConversationItemList", models.ConversationItemList),
    Root("ConversationDeletedResource", "conversations.ConversationDeletedResource", models.DeletedConversation),
)

BETA_RECEIVED: Final = (
    Root("BetaResponse", "beta.BetaResponse", models.Response),
    Root("BetaResponseStreamEvent", "beta.BetaResponseStreamEvent", Event),
    Root("BetaResponsesServerEvent", "beta.BetaResponsesServerEvent", Event),
    Root("BetaResponseItem", "beta.BetaResponseItem", Item),
    Root("BetaResponseOutputItem", "beta.BetaResponseOutputItem", Item),
    Root("BetaCompactedResponse", "beta.BetaCompactedResponse", models.CompactedResponse),
    Root("BetaResponseItemList", "beta.responses.BetaResponseItemList", models.ResponseItemList),
)
"""What a server sends to a client with the header `OpenAI-Beta: responses_multi_agent=v1`."""

BETA_SENT: Final = (
    Root(
        "ResponseCreateParamsStreaming",
        "beta.response_create_params.ResponseCreateParamsStreaming",
        models.CreateResponse,
    ),
    Root(
        "ResponseCreateParamsNonStreaming",
        "beta.response_create_params.ResponseCreateParamsNonStreaming",
        models.CreateResponse,
    ),
    Root("BetaResponsesClientEvent", "beta.BetaResponsesClientEventParam", models.ClientEvent),
    Root("ResponseCompactParams", "beta.ResponseCompactParams", models.CompactRequest),
    Root("InputTokenCountParams", "beta.responses.InputTokenCountParams", models.InputTokensRequest),
    Root("InputItemListParams", "beta.responses.InputItemListParams", models.ListParams),
    Root("ResponseRetrieveParams", "beta.ResponseRetrieveParams", models.RetrieveParams),
)
"""What a client with that header sends."""

BETA_EXCEPTIONS: Final = frozenset(
    (f"{name}.betas", "no such field")  # a header in the guise of a field
    for name in ("CompactRequest", "CreateResponse", "InputTokensRequest", "ListParams", "RetrieveParams")
)

SENT: Final = (
    Root(
        "ResponseCreateParamsStreaming",
        "responses.response_create_params.ResponseCreateParamsStreaming",
        models.CreateResponse,
    ),
    Root(
        "ResponseCreateParamsNonStreaming",
        "responses.response_create_params.ResponseCreateParamsNonStreaming",
        models.CreateResponse,
    ),
    Root("ResponsesClientEvent", "responses.ResponsesClientEventParam", models.ClientEvent),
    Root("ResponseCompactParams", "responses.ResponseCompactParams", models.CompactRequest),
    Root(
        "ResponseRetrieveParamsBase",
        "responses.response_retrieve_params.ResponseRetrieveParamsBase",
        models.RetrieveParams,
    ),
    Root(
        "ResponseRetrieveParamsNonStreaming",
        "responses.response_retrieve_params.ResponseRetrieveParamsNonStreaming",
        models.RetrieveParams,
    ),
    Root(
        "ResponseRetrieveParamsStreaming",
        "responses.response_retrieve_params.ResponseRetrieveParamsStreaming",
        models.RetrieveParams,
    ),
    Root("InputItemListParams", "responses.InputItemListParams", models.ListParams),
    Root("InputTokenCountParams", "responses.InputTokenCountParams", models.InputTokensRequest),
    Root("ConversationCreateParams", "conversations.ConversationCreateParams", models.CreateConversation),
    Root("ConversationUpdateParams", "conversations.ConversationUpdateParams", models.UpdateConversation),
    Root("ConversationItemCreateParams", "conversations.ItemCreateParams", models.CreateConversationItems),
    Root("ConversationItemListParams", "conversations.ItemListParams", models.ListParams),
    Root("ConversationItemRetrieveParams", "conversations.ItemRetrieveParams", models.ConversationItemParams),
)

OPEN_RESPONSES: Final[Mapping[str, object]] = {
    "CreateResponseBody": models.CreateResponse,
    "CompactResponseMethodPublicBody": models.CompactRequest,
    "WebSocketResponseCreateEvent": models.ResponseCreateMessage,
    "ResponseResource": models.Response,
    "CompactResource": models.CompactedResponse,
    "WebSocketErrorEvent": Event,
}
"""Its roots, beside each ``*StreamingEvent``."""

OPENAPI: Final[Mapping[str, object]] = {
    "CompactResource": models.CompactedResponse,
    "CompactResponseMethodPublicBody": models.CompactRequest,
    "ConversationItem": Item,
    "ConversationItemList": models.ConversationItemList,
    "ConversationResource": models.Conversation,
    "CreateConversationBody": models.CreateConversation,
    "CreateResponse": models.CreateResponse,
    "DeletedConversationResource": models.DeletedConversation,
    "InputItem": Item,
    "ItemResource": Item,
    "OutputItem": Item,
    "Response": models.Response,
    "ResponseItemList": models.ResponseItemList,
    "ResponseStreamEvent": Event,
    "ResponsesClientEvent": models.ClientEvent,
    "ResponsesServerEvent": Event,
    "TokenCountsBody": models.InputTokensRequest,
    "TokenCountsResource": models.InputTokenCount,
    "UpdateConversationBody": models.UpdateConversation,
}
"""The roots of OpenAI's OpenAPI."""

NOT_COMPARED: Final[Mapping[str, str]] = {
    "ParsedResponse": "a helper of the SDK around Response",
    "ParsedResponseFunctionToolCall": "a helper of the SDK around a function call",
    "ParsedResponseOutputMessage": "a helper of the SDK around a message",
    "ParsedResponseOutputText": "a helper of the SDK around a text part",
    "ResponseConversationParam": "the second class for what a request says, compared as ResponseConversationParamParam",
    "ResponseSteerEvent": "the second class for what a client says, compared as ResponseSteerEventParam",
    "ResponseInputAudio": "exported, yet in no union of the SDK; it has a class here all the same: InputAudio",
}
"""What the SDK exports beside the roots and what they contain -> why it is left out."""

_NAMES = "names of models come and go, so they are plain strings"
_SCHEMA = "a JSON schema or a map: an object, though the SDK says `object`, which is Python for anything"
_SOCKET = "a WebSocket message cannot have it; the definition there is shared with the HTTP body"

EXCEPTIONS: Final[Mapping[tuple[str, str], str]] = {
    ("CompactRequest.model", "the literals are not named"): _NAMES,
    ("CreateResponse.model", "the literals are not named"): _NAMES,
    ("ImageGenerationTool.model", "the literals are not named"): _NAMES,
    ("Response.model", "the literals are not named"): _NAMES,
    ("ResponseCreateMessage.model", "the literals are not named"): _NAMES,
    ("Conversation.metadata", "arbitrary JSON is not admitted"): _SCHEMA,
    ("FunctionTool.parameters", "arbitrary JSON is not admitted"): _SCHEMA,
    ("McpListedTool.annotations", "arbitrary JSON is not admitted"): _SCHEMA,
    ("McpListedTool.input_schema", "arbitrary JSON is not admitted"): _SCHEMA,
    ("Response.metadata", "arbitrary JSON is not admitted"): _SCHEMA,
    ("AndFilter.filters", "arbitrary JSON is not admitted"): "a nested filter, which the SDK does not spell out",
    ("OrFilter.filters", "arbitrary JSON is not admitted"): "a nested filter, which the SDK does not spell out",
    ("Response.output_text", "no such field"): "not sent: SDKs work it out, and so does our property",
    ("ToolChoiceAllowed.tools", "an arbitrary object is not admitted"): "each has a `type`, hosted ones only that",
    ("ResponseCreateMessage.background", "no such field"): _SOCKET,
    ("ResponseCreateMessage.stream", "no such field"): _SOCKET,
    ("ResponseCreateMessage.stream_options", "no such field"): _SOCKET,
    ("ConversationItemParams.conversation_id", "no such field"): "a path parameter, an argument of the client's method",
    ("CreateConversationItems.include", "no such field"): "a query parameter, see ConversationItemParams",
    ("OutputItemAdded.item", "null is not admitted"): "an event of an item has an item; Open Responses leaves it open",
    ("OutputItemDone.item", "null is not admitted"): "an event of an item has an item; Open Responses leaves it open",
}
"""Gaps that are meant: (where, what) -> why."""


class TestOpenAI:
    """OpenAI's SDK, as it was when the project started: facts beside the checkout."""

    def test_what_a_server_sends_fits(self) -> None:
        assert_no_gaps(recorded_sdk("received", RECEIVED))

    def test_what_a_client_sends_fits(self) -> None:
        assert_no_gaps(recorded_sdk("sent", SENT))


class TestOpenAPI:
    """OpenAI's own description of its API: facts beside the checkout."""

    def test_everything_fits(self) -> None:
        assert_no_gaps(openapi("openai-2026-08.openapi.json", OPENAPI))


class TestInstalledSDK:
    """OpenAI's SDK as installed: fails when the protocol has moved on."""

    def test_what_a_server_sends_fits(self) -> None:
        assert_no_gaps(installed_sdk(RECEIVED))

    def test_what_a_client_sends_fits(self) -> None:
        assert_no_gaps(installed_sdk(SENT))

    @pytest.mark.parametrize("roots", [BETA_RECEIVED, BETA_SENT], ids=["received", "sent"])
    def test_the_beta_fits(self, roots: tuple[Root, ...]) -> None:
        pytest.importorskip("openai", reason="the openai SDK is not installed")
        pytest.importorskip("openai.types.beta.multi_agent_config", reason="an openai SDK without the beta")
        comparison = installed_sdk(roots)
        for gap in BETA_EXCEPTIONS:
            comparison.gaps.pop(gap, None)
        assert_no_gaps(comparison)

    def test_nothing_that_it_exports_is_left_out(self) -> None:
        compared = {name.rsplit("__", 1)[-1] for name in installed_sdk((*RECEIVED, *SENT)).homes}
        base: type = importlib.import_module("openai").BaseModel
        modules = [importlib.import_module(f"openai.types.{name}") for name in ("responses", "conversations")]
        exported = {value.__name__ for module in modules for value in vars(module).values() if is_class(value, base)}
        assert exported - compared == NOT_COMPARED.keys()


class TestOpenResponses:
    """The vendor-neutral schema: facts beside the checkout."""

    def test_everything_fits(self) -> None:
        assert_no_gaps(open_responses())


def test_each_exception_is_needed() -> None:
    sources = [
        recorded_sdk("received", RECEIVED),
        recorded_sdk("sent", SENT),
        openapi("openai-2026-08.openapi.json", OPENAPI),
        open_responses(),
    ]
    found = {gap for comparison in sources for gap in comparison.gaps}
    assert not sorted(EXCEPTIONS.keys() - found)


# --- the comparison has teeth -----------------------------------------------------------------------------------------

STRING: Final[Schema] = {"type": "string"}
NULL: Final[Schema] = {"type": "null"}


def an_object(tag: str | None, *optional: str, **properties: Schema) -> Schema:
    """Make the schema of an object: its tag, its properties, all of them required but the ``optional`` ones."""
    if tag is not None:
        properties = {"type": {"const": tag}, **properties}
    return {
        "type": "object",
        "properties": properties,
        "required": [name for name in properties if name not in optional],
    }


@pytest.mark.parametrize(
    ("ours", "schema", "gap"),
    [
        (OutputText, an_object("output_text", text=STRING, new=STRING), ("OutputText.new", "no such field")),
        (
            OutputText,
            an_object("output_text", "text", text=STRING),
            ("OutputText.text", "required here, optional there"),
        ),
        (OutputText, an_object("output_text"), ("OutputText.text", "required here, optional there")),
        (OutputText, an_object("output_text", "type", text=STRING), ("OutputText.type", "the constant may be absent")),
        (OutputText, an_object(None, type=STRING, text=STRING), ("OutputText.type", "any string against a constant")),
        (OutputText, an_object("output_text", text=NULL), ("OutputText.text", "null is not admitted")),
        (
            OutputText,
            an_object("output_text", text={"anyOf": [STRING, {"type": "integer"}]}),
            ("OutputText.text", "integer is not admitted"),
        ),
        (
            OutputText,
            an_object("output_text", text=STRING, annotations={"type": "array", "items": an_object("new")}),
            ("OutputText.annotations", "no class for new"),
        ),
        (
            OutputText,
            an_object("output_text", text={"type": "array", "items": STRING}),
            ("OutputText.text", "array is not admitted"),
        ),
        (OutputText, an_object("output_text", text={}), ("OutputText.text", "arbitrary JSON is not admitted")),
        (
            OutputText,
            an_object("output_text", text={"type": "object"}),
            ("OutputText.text", "an arbitrary object is not admitted"),
        ),
        (
            OutputText,
            an_object("output_text", text={"enum": ["a"]}),
            ("OutputText.text", "the literals are not named"),
        ),
        (
            Message,
            an_object("message", role={"enum": ["user", "new"]}, content=STRING),
            ("Message.role", "'new' is not among the literals"),
        ),
        (Item, an_object("new"), ("root", "no class for new")),
        (Item, {"$ref": "#/$defs/New"}, ("root", "no class for new")),
        (Item, {"allOf": [{"$ref": "#/$defs/New"}, {"description": "…"}]}, ("root", "no class for new")),
        (ToolChoice, {"enum": ["auto", "new"]}, ("root", "'new' is not among the literals")),
    ],
)
def test_a_gap_is_found(ours: object, schema: Schema, gap: tuple[str, str]) -> None:
    comparison = Comparison()
    comparison.root("root", schema, ours, {"New": an_object("new")})
    assert gap in comparison.gaps


def test_a_match_leaves_no_gap() -> None:
    comparison = Comparison()
    comparison.root(
        "root", an_object("output_text", "annotations", text=STRING, annotations={"type": "array"}), OutputText, {}
    )
    assert not {where for where, _ in comparison.gaps} - {"OutputText.annotations"}
    assert comparison.homes == {"root": {"OutputText"}}


def test_the_unknown_class_does_not_count_as_a_match() -> None:
    comparison = Comparison()
    comparison.root("root", an_object("new"), Message | UnknownItem, {})
    assert comparison.gaps == {("root", "no class for new"): {"root"}}


# --- the sources ------------------------------------------------------------------------------------------------------


def recorded_sdk(direction: str, roots: Iterable[Root]) -> Comparison:
    """Compare with the recorded facts of the SDK."""
    facts = load("openai-sdk-3.54.types.json")[direction]
    comparison = Comparison()
    for root in roots:
        comparison.root(root.name, facts["roots"][root.name], root.ours, facts["$defs"])
    return comparison


def installed_sdk(roots: Iterable[Root]) -> Comparison:
    """Compare with the types of the SDK that is installed."""
    pytest.importorskip("openai", reason="the openai SDK is not installed")
    pydantic = pytest.importorskip("pydantic", reason="pydantic is not installed")
    comparison = Comparison()
    for root in roots:
        module, _, name = root.where.rpartition(".")
        theirs = getattr(importlib.import_module(f"openai.types.{module}"), name)
        schema = cast("dict[str, Any]", pydantic.TypeAdapter(theirs).json_schema())
        comparison.root(root.name, schema, root.ours, schema.get("$defs", {}))
    return comparison


def open_responses() -> Comparison:
    """Compare with the Open Responses schema."""
    name = "openresponses-2026-04-24.openapi.json"
    events = [event for event in load(name)["components"]["schemas"] if event.endswith("StreamingEvent")]
    return openapi(name, {**OPEN_RESPONSES, **dict.fromkeys(events, Event)})


def openapi(name: str, roots: Mapping[str, object]) -> Comparison:
    """Compare with the schemas of an OpenAPI document."""
    schemas = load(name)["components"]["schemas"]
    comparison = Comparison()
    for root, ours in roots.items():
        comparison.root(root, schemas[root], ours, schemas)
    return comparison


def load(name: str) -> dict[str, Any]:
    """Load a file of facts, or skip the test."""
    path = shared("spec", name)
    if not path.exists():
        pytest.skip(NO_SHARED)
    return cast("dict[str, Any]", json.loads(path.read_bytes()))


def is_class(value: object, base: type) -> bool:
    """Whether a value is a class below another."""
    return isinstance(value, type) and issubclass(value, base)


def assert_no_gaps(comparison: Comparison) -> None:
    """Fail with the whole list of gaps."""
    gaps = list(unexplained(comparison))
    assert not gaps, f"{len(gaps)} gaps\n" + "\n".join(gaps)


def unexplained(comparison: Comparison) -> Iterator[str]:
    """One line per gap that has no exception."""
    for (where, what), definitions in sorted(comparison.gaps.items()):
        if (where, what) not in EXCEPTIONS:
            yield f"{where}: {what} ({', '.join(sorted(definitions))})"

"""Model the request bodies and query parameters of the endpoints under `/responses`, and the client's WebSocket messages.

Some classes have a ``...Fields`` counterpart, which types the same fields as keyword arguments
(``**fields: Unpack[CreateResponseFields]``) and accepts a raw wire object wherever the class expects a model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Final, Literal, Required, TypeAlias, TypedDict

from ..typing import UNSET, JSONObject, Unset
from ._base import Model, model
from .config import (
    AccessPrograms,
    BackgroundOptions,
    ContextManagement,
    ConversationReference,
    ImageConfig,
    Include,
    ModerationConfig,
    MultiAgentConfig,
    Order,
    Prompt,
    PromptCacheOptions,
    PromptCacheRetention,
    ReasoningConfig,
    ServiceTier,
    StreamOptions,
    TextConfig,
    Truncation,
)
from .content import UnknownObject
from .items import Item
from .tools import Tool, ToolChoice

__all__ = [
    "CLIENT_EVENT_TYPES",
    "ClientEvent",
    "CompactFields",
    "CompactRequest",
    "CreateResponse",
    "CreateResponseFields",
    "InputTokensFields",
    "InputTokensRequest",
    "ListParams",
    "ResponseCreateFields",
    "ResponseCreateMessage",
    "ResponseInject",
    "ResponseSteer",
    "RetrieveParams",
    "RunFields",
]


# ---- a new response


@model
class _ResponseParameters(Model):
    # The parameters of a response that HTTP and WebSocket share.

    model: str | None | Unset = UNSET
    """The model; may be absent if `prompt` sets it."""
    input: str | Sequence[Item] | None | Unset = UNSET
    """A string is short for one message of the user."""
    instructions: str | None | Unset = UNSET
    """A system message for this response only; the next response does not inherit it."""
    tools: Sequence[Tool] | None | Unset = UNSET
    tool_choice: ToolChoice | None | Unset = UNSET
    parallel_tool_calls: bool | None | Unset = UNSET
    max_tool_calls: int | None | Unset = UNSET
    """The maximum number of calls of tools that the server runs."""
    text: TextConfig | None | Unset = UNSET
    reasoning: ReasoningConfig | None | Unset = UNSET
    max_output_tokens: int | None | Unset = UNSET
    temperature: float | None | Unset = UNSET
    top_p: float | None | Unset = UNSET
    top_logprobs: int | None | Unset = UNSET
    presence_penalty: float | None | Unset = UNSET
    frequency_penalty: float | None | Unset = UNSET
    truncation: Truncation | None | Unset = UNSET
    include: Sequence[Include] | None | Unset = UNSET
    previous_response_id: str | None | Unset = UNSET
    """The response that this one continues; cannot be combined with `conversation`."""
    conversation: str | ConversationReference | None | Unset = UNSET
    """The conversation, or its id. Its items precede the input, and the output is added to it."""
    context_management: Sequence[ContextManagement] | None | Unset = UNSET
    store: bool | None | Unset = UNSET
    """Whether the server stores the response, so that it can be retrieved and continued."""
    background_options: BackgroundOptions | Unset = UNSET
    service_tier: ServiceTier | None | Unset = UNSET
    metadata: Mapping[str, str] | None | Unset = UNSET
    prompt: Prompt | None | Unset = UNSET
    prompt_cache_key: str | None | Unset = UNSET
    prompt_cache_options: PromptCacheOptions | Unset = UNSET
    prompt_cache_retention: PromptCacheRetention | None | Unset = UNSET
    moderation: ModerationConfig | None | Unset = UNSET
    multi_agent: MultiAgentConfig | None | Unset = UNSET
    """A beta: send the header `OpenAI-Beta: responses_multi_agent=v1` with the request."""
    image: ImageConfig | Unset = UNSET
    access_programs: AccessPrograms | Unset = UNSET
    safety_identifier: str | None | Unset = UNSET
    """A stable id of the end user that does not identify the person, such as a hash."""
    user: str | Unset = UNSET
    """The former name of `safety_identifier` and `prompt_cache_key`."""


@model
class CreateResponse(_ResponseParameters):
    """The body that creates a response (Responses, Create)."""

    stream: bool | None | Unset = UNSET
    stream_options: StreamOptions | None | Unset = UNSET
    background: bool | None | Unset = UNSET
    """Whether the server answers at once and the response is retrieved later."""


# The fields are in groups, because a run accepts different types of tools, has a separate limit for their calls, and has no
# `stream`.


class _InputFields(TypedDict, total=False):
    model: str | None
    input: str | Sequence[Item | JSONObject] | None
    instructions: str | None


class _ToolFields(TypedDict, total=False):
    tools: Sequence[Tool | JSONObject] | None


class _ChoiceFields(TypedDict, total=False):
    tool_choice: ToolChoice | JSONObject | None
    parallel_tool_calls: bool | None


class _ToolCallsField(TypedDict, total=False):
    max_tool_calls: int | None


class _SettingFields(TypedDict, total=False):
    text: TextConfig | JSONObject | None
    reasoning: ReasoningConfig | JSONObject | None
    max_output_tokens: int | None
    temperature: float | None
    top_p: float | None
    top_logprobs: int | None
    presence_penalty: float | None
    frequency_penalty: float | None
    truncation: Truncation | None
    include: Sequence[Include] | None
    previous_response_id: str | None
    conversation: str | ConversationReference | JSONObject | None
    context_management: Sequence[ContextManagement | JSONObject] | None
    store: bool | None
    background_options: BackgroundOptions | JSONObject
    service_tier: ServiceTier | None
    metadata: Mapping[str, str] | None
    prompt: Prompt | JSONObject | None
    prompt_cache_key: str | None
    prompt_cache_options: PromptCacheOptions | JSONObject
    prompt_cache_retention: PromptCacheRetention | None
    moderation: ModerationConfig | JSONObject | None
    multi_agent: MultiAgentConfig | JSONObject | None
    image: ImageConfig | JSONObject
    access_programs: AccessPrograms | JSONObject
    safety_identifier: str | None
    user: str


class _StreamField(TypedDict, total=False):
    stream: bool | None


class _DeliveryFields(TypedDict, total=False):
    stream_options: StreamOptions | JSONObject | None
    background: bool | None
    extra: JSONObject


class CreateResponseFields(
    _InputFields,
    _ToolFields,
    _ChoiceFields,
    _ToolCallsField,
    _SettingFields,
    _StreamField,
    _DeliveryFields,
    total=False,
):
    """The fields of :class:`CreateResponse`, as keyword arguments."""


class RunFields(_InputFields, _ChoiceFields, _SettingFields, _DeliveryFields, total=False):
    """The fields of :class:`CreateResponse` that a run accepts, as keyword arguments."""


# ---- the other endpoints


@model
class CompactRequest(Model):
    """The body that compacts a conversation (Responses, Compact)."""

    model: str | None
    input: str | Sequence[Item] | None | Unset = UNSET
    instructions: str | None | Unset = UNSET
    previous_response_id: str | None | Unset = UNSET
    prompt_cache_key: str | None | Unset = UNSET
    prompt_cache_options: PromptCacheOptions | None | Unset = UNSET
    prompt_cache_retention: PromptCacheRetention | None | Unset = UNSET
    service_tier: ServiceTier | None | Unset = UNSET
    image: ImageConfig | Unset = UNSET


class CompactFields(TypedDict, total=False):
    """The fields of :class:`CompactRequest`, as keyword arguments."""

    model: Required[str | None]
    input: str | Sequence[Item | JSONObject] | None
    instructions: str | None
    previous_response_id: str | None
    prompt_cache_key: str | None
    prompt_cache_options: PromptCacheOptions | JSONObject | None
    prompt_cache_retention: PromptCacheRetention | None
    service_tier: ServiceTier | None
    image: ImageConfig | JSONObject
    extra: JSONObject


@model
class InputTokensRequest(Model):
    """The body that counts the tokens of an input (Responses, Input tokens)."""

    model: str | None | Unset = UNSET
    input: str | Sequence[Item] | None | Unset = UNSET
    instructions: str | None | Unset = UNSET
    tools: Sequence[Tool] | None | Unset = UNSET
    tool_choice: ToolChoice | None | Unset = UNSET
    parallel_tool_calls: bool | None | Unset = UNSET
    text: TextConfig | None | Unset = UNSET
    reasoning: ReasoningConfig | None | Unset = UNSET
    truncation: Truncation | Unset = UNSET
    previous_response_id: str | None | Unset = UNSET
    conversation: str | ConversationReference | None | Unset = UNSET
    personality: Literal["friendly", "pragmatic"] | str | Unset = UNSET


class InputTokensFields(TypedDict, total=False):
    """The fields of :class:`InputTokensRequest`, as keyword arguments."""

    model: str | None
    input: str | Sequence[Item | JSONObject] | None
    instructions: str | None
    tools: Sequence[Tool | JSONObject] | None
    tool_choice: ToolChoice | JSONObject | None
    parallel_tool_calls: bool | None
    text: TextConfig | JSONObject | None
    reasoning: ReasoningConfig | JSONObject | None
    truncation: Truncation
    previous_response_id: str | None
    conversation: str | ConversationReference | JSONObject | None
    personality: Literal["friendly", "pragmatic"] | str
    extra: JSONObject


@model
class RetrieveParams(Model):
    """The query parameters for retrieving a response or resuming its event stream (Responses, Retrieve)."""

    stream: bool | Unset = UNSET
    starting_after: int | Unset = UNSET
    """The sequence number of the last event received; only with `stream`."""
    include: Sequence[Include] | Unset = UNSET
    include_obfuscation: bool | Unset = UNSET


@model
class ListParams(Model):
    """The query parameters for a page of items (Responses, Input items; Conversations, List items)."""

    after: str | Unset = UNSET
    """The id of the last item of the previous page."""
    limit: int | Unset = UNSET
    """From 1 to 100. The default of servers is 20."""
    order: Order | Unset = UNSET
    include: Sequence[Include] | Unset = UNSET


# ---- WebSocket


@model
class ResponseCreateMessage(_ResponseParameters):
    """The message that creates a response, which always streams: `response.create` (WebSocket, Client events)."""

    type: ClassVar[Literal["response.create"]] = "response.create"
    stream_id: str | Unset = UNSET
    """The lane of the connection, chosen by the client."""
    generate: bool | Unset = UNSET
    """If false, the server only prepares, so that the next response starts sooner."""


class ResponseCreateFields(_InputFields, _ToolFields, _ChoiceFields, _ToolCallsField, _SettingFields, total=False):
    """The fields of :class:`ResponseCreateMessage`, as keyword arguments."""

    stream_id: str
    generate: bool
    extra: JSONObject


@model
class ResponseSteer(Model):
    """The message that adds input to a running response: `response.steer` (WebSocket, Steering)."""

    type: ClassVar[Literal["response.steer"]] = "response.steer"
    previous_response_id: str
    """The response to steer."""
    input: str | Sequence[Item]
    """User messages and function call outputs."""


@model
class ResponseInject(Model):
    """The message that adds outputs of calls to a running multi-agent response: `response.inject` (WebSocket, Multi-agent beta).

    All items are added, or none.
    """

    type: ClassVar[Literal["response.inject"]] = "response.inject"
    response_id: str
    """The running response."""
    input: Sequence[Item]
    """Outputs of calls that an agent waits for."""


ClientEvent: TypeAlias = ResponseCreateMessage | ResponseSteer | ResponseInject | UnknownObject
"""Any WebSocket message of a client; an open union."""

CLIENT_EVENT_TYPES: Final[Mapping[str, type[Model]]] = {
    cls.type: cls for cls in (ResponseCreateMessage, ResponseSteer, ResponseInject)
}
"""Wire ``type`` of a client message -> its class."""

"""What a client says: bodies and queries of the endpoints under `/responses`, and its WebSocket messages.

Each class with a ``...Fields`` twin can also be written as keyword arguments: the twin types them
(``**fields: Unpack[CreateResponseFields]``) and takes a raw wire object wherever the class takes a model.
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
    "ResponseCreateMessage",
    "ResponseSteer",
    "RetrieveParams",
    "RunFields",
]


# ---- a new response


@model
class _ResponseParameters(Model):
    # What a request for a response says in HTTP and in WebSocket alike.

    model: str | None | Unset = UNSET
    """May be absent where a `prompt` says it."""
    input: str | Sequence[Item] | None | Unset = UNSET
    """A string is short for one message of the user's."""
    instructions: str | None | Unset = UNSET
    """A system message for this response only: the next one does not inherit it."""
    tools: Sequence[Tool] | None | Unset = UNSET
    tool_choice: ToolChoice | None | Unset = UNSET
    parallel_tool_calls: bool | None | Unset = UNSET
    max_tool_calls: int | None | Unset = UNSET
    """For the tools that the server runs."""
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
    """The response that this one follows; not together with `conversation`."""
    conversation: str | ConversationReference | None | Unset = UNSET
    """The conversation, or its id, whose items come before the input and which the output is added to."""
    context_management: Sequence[ContextManagement] | None | Unset = UNSET
    store: bool | None | Unset = UNSET
    """Whether the server keeps the response, so that it can be retrieved and followed."""
    background_options: BackgroundOptions | Unset = UNSET
    service_tier: ServiceTier | None | Unset = UNSET
    metadata: Mapping[str, str] | None | Unset = UNSET
    prompt: Prompt | None | Unset = UNSET
    prompt_cache_key: str | None | Unset = UNSET
    prompt_cache_options: PromptCacheOptions | Unset = UNSET
    prompt_cache_retention: PromptCacheRetention | None | Unset = UNSET
    moderation: ModerationConfig | None | Unset = UNSET
    image: ImageConfig | Unset = UNSET
    access_programs: AccessPrograms | Unset = UNSET
    safety_identifier: str | None | Unset = UNSET
    """Who the end user is, in a form that tells nothing about them."""
    user: str | Unset = UNSET
    """The former name of `safety_identifier` and `prompt_cache_key`."""


@model
class CreateResponse(_ResponseParameters):
    """The body that makes a response (Responses, Create)."""

    stream: bool | None | Unset = UNSET
    stream_options: StreamOptions | None | Unset = UNSET
    background: bool | None | Unset = UNSET
    """Whether the call returns at once and the response is fetched later."""


# In pieces, since a run has tools of its own, and always streams.


class _Said(TypedDict, total=False):
    model: str | None
    input: str | Sequence[Item | JSONObject] | None
    instructions: str | None


class _Tools(TypedDict, total=False):
    tools: Sequence[Tool | JSONObject] | None


class _Settings(TypedDict, total=False):
    tool_choice: ToolChoice | JSONObject | None
    parallel_tool_calls: bool | None
    max_tool_calls: int | None
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
    image: ImageConfig | JSONObject
    access_programs: AccessPrograms | JSONObject
    safety_identifier: str | None
    user: str


class _Stream(TypedDict, total=False):
    stream: bool | None


class _Ways(TypedDict, total=False):
    stream_options: StreamOptions | JSONObject | None
    background: bool | None
    extra: JSONObject


class CreateResponseFields(_Said, _Tools, _Settings, _Stream, _Ways, total=False):
    """The fields of :class:`CreateResponse`, as keyword arguments."""


class RunFields(_Said, _Settings, _Ways, total=False):
    """The fields of :class:`CreateResponse` that can be said of a run, as keyword arguments."""


# ---- the other endpoints


@model
class CompactRequest(Model):
    """The body that asks for a conversation to be shortened (Responses, Compact)."""

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
    """The body that asks how long an input would be (Responses, Input tokens)."""

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
    """The query of fetching a response, or of its events from some point on (Responses, Retrieve)."""

    stream: bool | Unset = UNSET
    starting_after: int | Unset = UNSET
    """The sequence number of the last event that is known; only with `stream`."""
    include: Sequence[Include] | Unset = UNSET
    include_obfuscation: bool | Unset = UNSET


@model
class ListParams(Model):
    """The query of a page of items (Responses, Input items; Conversations, List items)."""

    after: str | Unset = UNSET
    """The id of the last item of the page before."""
    limit: int | Unset = UNSET
    """From 1 to 100; servers take 20 if it is absent."""
    order: Order | Unset = UNSET
    include: Sequence[Include] | Unset = UNSET


# ---- WebSocket


@model
class ResponseCreateMessage(_ResponseParameters):
    """Makes a response on a WebSocket, which always streams: `response.create` (WebSocket, Client events)."""

    type: ClassVar[Literal["response.create"]] = "response.create"
    stream_id: str | Unset = UNSET
    """The lane of the connection, named by the client."""
    generate: bool | Unset = UNSET
    """False: prepare only, so that the next response starts sooner."""


@model
class ResponseSteer(Model):
    """Puts input into the running response: `response.steer` (WebSocket, Steering)."""

    type: ClassVar[Literal["response.steer"]] = "response.steer"
    previous_response_id: str
    """The response to steer."""
    input: str | Sequence[Item]
    """User messages and outputs of functions."""


ClientEvent: TypeAlias = ResponseCreateMessage | ResponseSteer | UnknownObject
"""Any message of a client's on a WebSocket; open."""

CLIENT_EVENT_TYPES: Final[Mapping[str, type[Model]]] = {cls.type: cls for cls in (ResponseCreateMessage, ResponseSteer)}
"""Wire ``type`` of a client's message -> its class."""

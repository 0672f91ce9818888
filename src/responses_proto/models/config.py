"""Model the settings of a request that its response repeats, and the enumerations that both share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal, TypeAlias

from ..typing import UNSET, JSONObject, Unset
from ._base import Model, model
from .content import InputFile, InputImage, InputText, UnknownContent, UnknownObject

__all__ = [
    "AccessPrograms",
    "BackgroundOptions",
    "ContextManagement",
    "ConversationReference",
    "ImageConfig",
    "Include",
    "JsonObjectFormat",
    "JsonSchemaFormat",
    "ModerationConfig",
    "ModerationPolicy",
    "ModerationRule",
    "MultiAgentConfig",
    "Order",
    "PlainTextFormat",
    "Prompt",
    "PromptCacheOptions",
    "PromptCacheRetention",
    "ReasoningConfig",
    "ReasoningEffort",
    "ServiceTier",
    "StreamOptions",
    "TextConfig",
    "TextFormat",
    "Truncation",
    "Verbosity",
]

Include: TypeAlias = (
    Literal[
        "file_search_call.results",
        "web_search_call.results",
        "web_search_call.action.sources",
        "message.input_image.image_url",
        "computer_call_output.output.image_url",
        "code_interpreter_call.outputs",
        "reasoning.encrypted_content",
        "message.output_text.logprobs",
    ]
    | str
)
"""Large parts of the output that the server sends only on request."""

Order: TypeAlias = Literal["asc", "desc"] | str
"""The order of a page: oldest first, or newest first."""

PromptCacheRetention: TypeAlias = Literal["in_memory", "24h"] | str
"""How long a cached prompt prefix may be kept."""

ReasoningEffort: TypeAlias = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | str
"""How much a model reasons before it answers."""

ServiceTier: TypeAlias = Literal["auto", "default", "flex", "scale", "priority", "fast", "ultrafast"] | str
"""The class of processing: requested in a request, actually used in a response."""

Truncation: TypeAlias = Literal["auto", "disabled"] | str
"""What the server does with an input that is too long: drop older items, or fail the request."""

Verbosity: TypeAlias = Literal["low", "medium", "high"] | str
"""How verbose the text should be."""


@model
class ReasoningConfig(Model):
    """How a model reasons, and how much of its reasoning is returned: `reasoning` (Responses, Create)."""

    effort: ReasoningEffort | None | Unset = UNSET
    summary: Literal["auto", "concise", "detailed"] | str | None | Unset = UNSET
    generate_summary: Literal["auto", "concise", "detailed"] | str | None | Unset = UNSET
    """The former name of `summary`."""
    mode: Literal["standard", "pro"] | str | None | Unset = UNSET
    context: Literal["auto", "current_turn", "all_turns"] | str | None | Unset = UNSET
    """The turns whose reasoning the model sees again."""


@model
class PlainTextFormat(Model):
    """Free text: `text` (Responses, Text format)."""

    type: ClassVar[Literal["text"]] = "text"


@model
class JsonObjectFormat(Model):
    """Any JSON object, without a schema: `json_object` (Responses, Text format)."""

    type: ClassVar[Literal["json_object"]] = "json_object"


@model(optional=("type",))
class JsonSchemaFormat(Model):
    """JSON that matches a schema: `json_schema` (Responses, Text format, Structured outputs)."""

    type: ClassVar[Literal["json_schema"]] = "json_schema"
    name: str | Unset = UNSET
    """Required by OpenAI: letters, digits, underscores and dashes, at most 64."""
    schema: JSONObject | None | Unset = UNSET
    description: str | None | Unset = UNSET
    strict: bool | None | Unset = UNSET


TextFormat: TypeAlias = PlainTextFormat | JsonObjectFormat | JsonSchemaFormat | UnknownObject
"""The format of the text that a model writes; an open union."""


@model
class TextConfig(Model):
    """The format and length of the text output: `text` (Responses, Create)."""

    format: TextFormat | None | Unset = UNSET
    verbosity: Verbosity | None | Unset = UNSET


@model
class ConversationReference(Model):
    """The conversation that a response belongs to: `conversation` (Responses, Create)."""

    id: str


@model
class Prompt(Model):
    """A stored prompt and the values of its variables: `prompt` (Responses, Create)."""

    id: str
    version: str | None | Unset = UNSET
    variables: Mapping[str, str | InputText | InputImage | InputFile | UnknownContent] | None | Unset = UNSET


@model
class PromptCacheOptions(Model):
    """Where the cached part of a prompt ends and how long it is kept: `prompt_cache_options` (Prompt caching)."""

    mode: Literal["implicit", "explicit"] | str | Unset = UNSET
    ttl: Literal["30m", "12h"] | str | Unset = UNSET
    comparison_response_id: str | None | Unset = UNSET
    """The response whose prefix the cache diagnostics compare with."""
    prewarm: bool | Unset = UNSET


@model
class StreamOptions(Model):
    """Options of the event stream: `stream_options` (Responses, Create)."""

    include_obfuscation: bool | Unset = UNSET
    """Pad delta events with random text, so that their sizes reveal nothing to an eavesdropper."""


@model
class BackgroundOptions(Model):
    """When a background response is due: `background_options` (Responses, Create)."""

    completion_window: Literal["soonest", "2h", "8h"] | str | Unset = UNSET
    continuation_id: str | Unset = UNSET


@model
class ContextManagement(Model):
    """One measure to keep the context small, such as `compaction`: `context_management` (Responses, Create)."""

    type: str
    compact_threshold: int | None | Unset = UNSET
    """The number of rendered tokens at which compaction starts."""


@model
class AccessPrograms(Model):
    """The access programs under which a request is made: `access_programs` (Responses, Create)."""

    cyber: Literal["standard", "daybreak_blue", "daybreak_red"] | str | Unset = UNSET


@model
class ImageConfig(Model):
    """How images in the context are processed: `image` (Responses, Create)."""

    context_compression: Literal["auto", "enabled", "disabled"] | str | Unset = UNSET


@model
class MultiAgentConfig(Model):
    """Whether the server may run several agents for a response: `multi_agent` (Multi-agent beta)."""

    enabled: bool
    max_concurrent_subagents: int | None | Unset = UNSET
    """The maximum number of agents that run concurrently, in addition to the first one. OpenAI's default is 6."""


@model
class ModerationRule(Model):
    """What moderation does with the input or the output: score it, or also block it (Responses, Create, `moderation`)."""

    mode: Literal["score", "block"] | str


@model
class ModerationPolicy(Model):
    """The moderation of input and output (Responses, Create, `moderation`)."""

    input: ModerationRule | None | Unset = UNSET
    output: ModerationRule | None | Unset = UNSET


@model
class ModerationConfig(Model):
    """Moderation as part of the request: `moderation` (Responses, Create)."""

    model: str
    policy: ModerationPolicy | None | Unset = UNSET

"""Model the response, its parts, and the results of the other endpoints under `/responses`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar, Final, Literal, TypeAlias

from ..typing import UNSET, Unset
from ._base import Elsewhere, Model, model
from .config import (
    AccessPrograms,
    ConversationReference,
    ImageConfig,
    Prompt,
    PromptCacheOptions,
    PromptCacheRetention,
    ReasoningConfig,
    ServiceTier,
    TextConfig,
    Truncation,
)
from .content import Content, OutputText, Refusal, UnknownObject
from .items import (
    PAIR_OF_OUTPUT,
    ApplyPatchCall,
    ComputerCall,
    CustomToolCall,
    FunctionCall,
    Item,
    LocalShellCall,
    McpApprovalRequest,
    Message,
    Reasoning,
    ShellCall,
    ToolSearchCall,
)
from .tools import LocalEnvironment, Tool, ToolChoice

__all__ = [
    "RUNNING_STATUSES",
    "CacheComparisonNotFound",
    "CacheDiagnosticsUnavailable",
    "CacheHit",
    "CacheMiss",
    "CacheWriteTokensDetails",
    "CachedImageTokens",
    "CompactedResponse",
    "DeletedResponse",
    "ImageTokens",
    "ImageUsage",
    "IncompleteDetails",
    "InputTokenCount",
    "InputTokensDetails",
    "InputTransformation",
    "Misalignment",
    "MisalignmentSteer",
    "ModelInfo",
    "Moderation",
    "ModerationError",
    "ModerationOutcome",
    "ModerationResult",
    "OutputTokensDetails",
    "PendingCall",
    "PromptCacheDiagnostics",
    "Response",
    "ResponseError",
    "ResponseItemList",
    "ResponseStatus",
    "ToolUsage",
    "Usage",
    "WebSearchUsage",
]

ResponseStatus: TypeAlias = Literal["queued", "in_progress", "completed", "incomplete", "failed", "cancelled"] | str
"""The status of a response. The last four are final."""

RUNNING_STATUSES: Final = frozenset({"queued", "in_progress"})
"""The statuses of a response that has not ended."""


# ---- usage, errors, diagnostics


@model
class CacheWriteTokensDetails(Model):
    """Tokens written to the prompt cache, by how long they are kept (Responses, Usage)."""

    ttl_30m_tokens: int
    ttl_12h_tokens: int


@model
class InputTokensDetails(Model):
    """Details of the input tokens: `input_tokens_details` (Responses, Usage)."""

    cached_tokens: int
    """Tokens read from the prompt cache."""
    cache_write_tokens: int | Unset = UNSET
    """Tokens written to the prompt cache."""
    cache_write_tokens_details: CacheWriteTokensDetails | None | Unset = UNSET


@model
class OutputTokensDetails(Model):
    """Details of the output tokens: `output_tokens_details` (Responses, Usage)."""

    reasoning_tokens: int


@model
class Usage(Model):
    """The tokens of the request and its response: `usage` (Responses, Usage)."""

    input_tokens: int
    output_tokens: int
    total_tokens: int
    input_tokens_details: InputTokensDetails
    output_tokens_details: OutputTokensDetails


@model
class ImageTokens(Model):
    """Tokens of image generation, by what they represent (Responses, Tool usage)."""

    image_tokens: int
    text_tokens: int


@model
class CachedImageTokens(Model):
    """Cached tokens of image generation, by what they represent (Responses, Tool usage)."""

    cached_image_tokens: int
    cached_text_tokens: int


@model
class ImageUsage(Model):
    """Tokens of image generation: `image_gen` (Responses, Tool usage)."""

    input_tokens: int
    output_tokens: int
    total_tokens: int
    input_tokens_details: ImageTokens
    output_tokens_details: ImageTokens | None | Unset = UNSET
    cached_tokens: int | None | Unset = UNSET
    cached_tokens_details: CachedImageTokens | None | Unset = UNSET


@model
class WebSearchUsage(Model):
    """Requests of web search: `web_search` (Responses, Tool usage)."""

    num_requests: int


@model
class ToolUsage(Model):
    """The usage of hosted tools, in addition to the model's tokens: `tool_usage` (Responses, Tool usage)."""

    image_gen: ImageUsage
    web_search: WebSearchUsage


@model
class MisalignmentSteer(Model):
    """A message that can steer the model back (Errors, `misalignment`)."""

    message: str


@model
class Misalignment(Model):
    """Why the model was stopped for an unintended action: `misalignment` (Errors)."""

    error_type: (
        Literal[
            "potentially_unintended_data_transfer",
            "potentially_unintended_data_access",
            "potentially_unintended_destructive_activity",
            "other",
        ]
        | str
        | None
        | Unset
    ) = UNSET
    detailed_explanation: str | None | Unset = UNSET
    review_target: str | None | Unset = UNSET
    steer: MisalignmentSteer | None | Unset = UNSET


@model
class ResponseError(Model):
    """Why a response failed: `error` (Responses)."""

    code: (
        Literal[
            "server_error",
            "rate_limit_exceeded",
            "invalid_prompt",
            "data_residency_mismatch",
            "bio_policy",
            "misalignment_policy_violation",
            "vector_store_timeout",
            "invalid_image",
            "invalid_image_format",
            "invalid_base64_image",
            "invalid_image_url",
            "image_too_large",
            "image_too_small",
            "image_parse_error",
            "image_content_policy_violation",
            "invalid_image_mode",
            "image_file_too_large",
            "unsupported_image_media_type",
            "empty_image_file",
            "failed_to_download_image",
            "image_file_not_found",
        ]
        | str
    )
    message: str
    type: str | None | Unset = UNSET
    param: str | None | Unset = UNSET
    misalignment: Misalignment | None | Unset = UNSET


@model
class IncompleteDetails(Model):
    """Why a response stopped early: `incomplete_details` (Responses)."""

    reason: Literal["max_output_tokens", "max_messages", "content_filter", "steered"] | str | None | Unset = UNSET


@model
class InputTransformation(Model):
    """A change that the server made to an item of the input: `input_transformations` (Responses)."""

    id: str
    type: Literal["reasoning"] | str
    """The type of the item, not of this object."""
    action: Literal["removed"] | str
    reason: (
        Literal[
            "organization_mismatch",
            "end_user_mismatch",
            "model_mismatch",
            "prefix_mismatch",
            "turn_boundary",
        ]
        | str
    )


@model
class ModerationResult(Model):
    """The result of moderation, by category: `moderation_result` (Responses, Moderation)."""

    type: ClassVar[Literal["moderation_result"]] = "moderation_result"
    model: str
    flagged: bool
    categories: Mapping[str, bool]
    category_scores: Mapping[str, float]
    """From 0 to 1."""
    category_applied_input_types: Mapping[str, list[Literal["text", "image"] | str]]


@model
class ModerationError(Model):
    """Moderation failed: `error` (Responses, Moderation)."""

    type: ClassVar[Literal["error"]] = "error"
    code: str
    message: str


ModerationOutcome: TypeAlias = ModerationResult | ModerationError | UnknownObject
"""The outcome of moderation of the input or the output; an open union."""


@model
class Moderation(Model):
    """The moderation of input and output: `moderation` (Responses, Moderation)."""

    input: ModerationOutcome
    output: ModerationOutcome


@model
class CacheHit(Model):
    """The prefix was found in the cache: `cache_hit` (Responses, Prompt cache diagnostics)."""

    type: ClassVar[Literal["cache_hit"]] = "cache_hit"


@model
class CacheMiss(Model):
    """The prefix was not found completely, and why: `cache_miss` (Responses, Prompt cache diagnostics)."""

    type: ClassVar[Literal["cache_miss"]] = "cache_miss"
    reason: (
        Literal[
            "model_changed",
            "prompt_cache_key_changed",
            "tools_changed",
            "text_format_changed",
            "reasoning_effort_changed",
            "verbosity_changed",
            "context_compacted",
            "input_changed",
            "service_tier_changed",
        ]
        | str
    )
    cache_missed_tokens: int
    comparison_reusable_tokens: int | None | Unset = UNSET


@model
class CacheComparisonNotFound(Model):
    """The response to compare with was not found: `comparison_response_not_found` (Responses, Prompt cache diagnostics)."""

    type: ClassVar[Literal["comparison_response_not_found"]] = "comparison_response_not_found"


@model
class CacheDiagnosticsUnavailable(Model):
    """Diagnostics are not available: `unavailable` (Responses, Prompt cache diagnostics)."""

    type: ClassVar[Literal["unavailable"]] = "unavailable"


PromptCacheDiagnostics: TypeAlias = (
    CacheHit | CacheMiss | CacheComparisonNotFound | CacheDiagnosticsUnavailable | UnknownObject
)
"""Whether the prompt prefix was found in the cache; an open union."""


# ---- the response

PendingCall: TypeAlias = (
    FunctionCall
    | CustomToolCall
    | ComputerCall
    | ShellCall
    | LocalShellCall
    | ApplyPatchCall
    | ToolSearchCall
    | McpApprovalRequest
)
"""An item that the client must answer with another item."""


@model
class Response(Model):
    """A response of the model, complete or in progress: `response` (Responses)."""

    object: ClassVar[Literal["response"]] = "response"
    id: str
    status: ResponseStatus | None | Unset = UNSET
    model: str
    output: list[Item]
    error: ResponseError | None | Unset = UNSET
    incomplete_details: IncompleteDetails | None | Unset = UNSET
    usage: Usage | None | Unset = UNSET
    created_at: float
    """Seconds since 1970."""
    completed_at: float | None | Unset = UNSET
    """Seconds since 1970."""
    previous_response_id: str | None | Unset = UNSET
    conversation: ConversationReference | None | Unset = UNSET
    instructions: str | list[Item] | None | Unset = UNSET
    tools: list[Tool]
    tool_choice: ToolChoice
    parallel_tool_calls: bool
    max_tool_calls: int | None | Unset = UNSET
    text: TextConfig | None | Unset = UNSET
    reasoning: ReasoningConfig | None | Unset = UNSET
    max_output_tokens: int | None | Unset = UNSET
    temperature: float | None | Unset = UNSET
    top_p: float | None | Unset = UNSET
    top_logprobs: int | None | Unset = UNSET
    presence_penalty: float | None | Unset = UNSET
    frequency_penalty: float | None | Unset = UNSET
    truncation: Truncation | None | Unset = UNSET
    store: bool | None | Unset = UNSET
    background: bool | None | Unset = UNSET
    service_tier: ServiceTier | None | Unset = UNSET
    metadata: Mapping[str, str] | None | Unset = UNSET
    prompt: Prompt | None | Unset = UNSET
    prompt_cache_key: str | None | Unset = UNSET
    prompt_cache_options: PromptCacheOptions | None | Unset = UNSET
    prompt_cache_retention: PromptCacheRetention | None | Unset = UNSET
    prompt_cache_diagnostics: PromptCacheDiagnostics | None | Unset = UNSET
    tool_usage: ToolUsage | None | Unset = UNSET
    moderation: Moderation | None | Unset = UNSET
    input_transformations: list[InputTransformation] | None | Unset = UNSET
    image: ImageConfig | None | Unset = UNSET
    access_programs: AccessPrograms | None | Unset = UNSET
    safety_identifier: str | None | Unset = UNSET
    user: str | None | Unset = UNSET

    @property
    def output_text(self) -> str:
        """The output text of all messages, joined without a separator; empty if there is none."""
        return "".join(part.text for part in self._message_parts() if isinstance(part, OutputText))

    @property
    def final_text(self) -> str:
        """The output text without messages whose ``phase`` is ``commentary``; empty if there is none.

        If no message has a phase, this is :attr:`output_text`.
        """
        return "".join(
            part.text
            for item in self.output
            if isinstance(item, Message) and item.phase != "commentary"
            for part in _parts_of(item)
            if isinstance(part, OutputText)
        )

    @property
    def refusal(self) -> str:
        """The text of all refusals, joined without a separator; empty if the model did not decline."""
        return "".join(part.refusal for part in self._message_parts() if isinstance(part, Refusal))

    def _message_parts(self) -> Iterator[Content]:
        for item in self.output:
            if isinstance(item, Message):
                yield from _parts_of(item)

    @property
    def reasoning_text(self) -> str:
        """The reasoning of all reasoning items, with a blank line between items; empty if there is none.

        An item without reasoning text is represented by its summary.
        """
        return "\n\n".join(text for item in self.output if isinstance(item, Reasoning) and (text := item.text))

    @property
    def function_calls(self) -> list[FunctionCall]:
        """The function calls in output order, answered or not."""
        return [item for item in self.output if isinstance(item, FunctionCall)]

    @property
    def pending_calls(self) -> list[PendingCall]:
        """The calls that the client must answer, in output order. Calls that are answered in the output are not included.

        Calls that the server runs are not included (hosted tools, a shell in a container, a tool search on the server), nor
        are calls with status `incomplete`, because their arguments are cut off.
        """
        answered = {key for item in self.output if (key := _answered_id(item))}
        return [item for item in self.output if isinstance(item, PendingCall) and _is_pending(item, answered)]


Response.choices = Elsewhere("choices", "output_text, or output")  # type: ignore[attr-defined] # for the message only
Response.output_parsed = Elsewhere("output_parsed", "client.parse(T, ...), whose result has a value")  # type: ignore[attr-defined] # as above


def _parts_of(message: Message) -> list[Content]:
    """Return the parts of an output message. A string is the short form of input content; in output, it is the model's text."""
    return [OutputText(text=message.content)] if isinstance(message.content, str) else message.content


def _answered_id(item: Item) -> str:
    """Return the id of the call or approval request that the item answers; empty if it answers none."""
    pair = PAIR_OF_OUTPUT.get(item.type)
    key = getattr(item, pair.output_key, None) if pair is not None else None
    return key if isinstance(key, str) else ""


def _is_pending(call: PendingCall, answered: set[str]) -> bool:
    if isinstance(call, McpApprovalRequest):
        return call.id not in answered
    if call.status == "incomplete" or call.call_id in answered:
        return False
    if isinstance(call, ToolSearchCall):
        return call.execution == "client"
    if isinstance(call, ShellCall):
        # An unknown environment is not assumed to be the caller's machine.
        return not call.environment or isinstance(call.environment, LocalEnvironment)
    return True


# ---- the other endpoints


@model
class CompactedResponse(Model):
    """A compacted conversation: `response.compaction` (Responses, Compact). Its output is the next input."""

    object: ClassVar[Literal["response.compaction"]] = "response.compaction"
    id: str
    created_at: int
    """Seconds since 1970."""
    output: list[Item]
    usage: Usage
    image: ImageConfig | None | Unset = UNSET


@model
class InputTokenCount(Model):
    """The number of tokens of an input: `response.input_tokens` (Responses, Input tokens)."""

    object: ClassVar[Literal["response.input_tokens"]] = "response.input_tokens"
    input_tokens: int


@model
class DeletedResponse(Model):
    """The confirmation that a response was deleted (Responses, Delete)."""

    object: Literal["response.deleted", "response"] | str | Unset = UNSET
    """The value differs between servers."""
    id: str
    deleted: bool


@model(optional=("object",))
class ModelInfo(Model):
    """A model that a server offers (Models, List). Other fields of a server are in `extra`."""

    object: ClassVar[Literal["model"]] = "model"
    id: str
    """The name to pass as `model`."""
    created: int | None | Unset = UNSET
    """Seconds since 1970."""
    owned_by: str | None | Unset = UNSET


@model
class ResponseItemList(Model):
    """A page of the input items of a response: `list` (Responses, Input items)."""

    object: ClassVar[Literal["list"]] = "list"
    data: list[Item]
    first_id: str | None
    """Null on an empty page."""
    last_id: str | None
    """The value of `after` for the next page; null on an empty page."""
    has_more: bool

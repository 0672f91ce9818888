"""Translate a request of the Responses API into one of Chat Completions.

:func:`to_chat` is pure: the same request, context and profile give the same body. Each parameter has a row in
:data:`PARAMETERS`; items, content parts and tools have rows in the tables ``ITEMS``, ``CONTENT`` and ``TOOLS``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import attrs

from ..codec import dumps
from ..models.config import JsonObjectFormat, JsonSchemaFormat, PlainTextFormat, ReasoningConfig, TextConfig
from ..models.items import ConfigurationUpdate
from ._messages import ChatMessages
from ._rows import Row, dropped, refuse, refused, table, translated
from ._tools import chat_tool_choice, offered_tools
from .profiles import OPENAI

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..models.config import MultiAgentConfig, TextFormat
    from ..models.items import Item
    from ..models.request import CreateResponse
    from ..models.tools import FunctionTool
    from ._tools import OfferedTool
    from .profiles import ChatProfile

__all__ = ["PARAMETERS", "to_chat"]

_Wire: TypeAlias = dict[str, Any]

_LOGPROBS: Final = "message.output_text.logprobs"


def to_chat(
    request: CreateResponse,
    context: Sequence[Item],
    profile: ChatProfile = OPENAI,
    *,
    unknown_parameters: Literal["refuse", "pass"] = "refuse",
    hosted: Mapping[str, FunctionTool | None] | None = None,
) -> dict[str, Any]:
    """Return the JSON body of ``POST /chat/completions`` for a request.

    ``context`` is everything that the model sees, including the history and the ``mcp_list_tools`` items, as in ``Reply.context``.
    ``unknown_parameters="pass"`` adds parameters that the Responses API does not define, unchanged. ``hosted`` maps each type of hosted
    tool that the caller runs itself to the function that represents it, and types to leave out to ``None``.

    Raises ``APIError`` (400), with the ``param`` at fault, if the request needs something that the provider does not support.
    """
    return _Translation(request, context, profile, offered_tools(request, context, hosted)).body(
        pass_unknown=unknown_parameters == "pass"
    )


class _Translation:
    def __init__(
        self,
        request: CreateResponse,
        context: Sequence[Item],
        profile: ChatProfile,
        offered: Mapping[str, OfferedTool],
    ) -> None:
        self.request = _with_updates(request, context)
        self.context = context
        self.profile = profile
        self.offered = offered
        self.result: _Wire = {}

    def body(self, *, pass_unknown: bool) -> _Wire:
        unknown = {name: value for name, value in self.request.extra.items() if name not in PARAMETERS}
        if unknown and not pass_unknown:
            name = next(iter(unknown))
            refuse(f"There is no parameter {name!r}.", name, "unknown_parameter")
        for row in PARAMETERS.values():
            value = getattr(self.request, row.name, None)
            if not value and value != 0:
                continue
            if row.fate == "refused":
                refuse(f"The parameter {row.name!r} is not supported: {row.note}.", row.name)
            if row.apply is not None:
                row.apply(self, value)
        self.result |= chat_tool_choice(self.request, self.offered, self.profile)
        self._fit_budget()
        self.result["messages"] = self._messages()
        if pass_unknown:
            self.result |= {name: value for name, value in unknown.items() if name not in self.result}
        return self.result

    def _messages(self) -> list[_Wire]:
        messages = ChatMessages(self.request, self.context, self.offered, self.profile).build()
        if not messages:
            refuse("There is no input: send 'input' or 'conversation'.", "input", "missing_required_parameter")
        note = self.result.pop(_FORMAT_NOTE, None)
        if note is not None:
            if messages and messages[0]["role"] in ("system", "developer") and isinstance(messages[0]["content"], str):
                messages[0]["content"] += f"\n\n{note}"
            else:
                messages.insert(0, {"role": self.profile.developer_role, "content": note})
        return messages

    # Parameters

    def plain(self, name: str, value: object) -> None:
        """Pass on a parameter unchanged, if the provider supports it."""
        if name in self.profile.parameters:
            self.result[name] = value

    def model(self, value: str) -> None:
        self.result["model"] = value

    def parallel_tool_calls(self, value: bool) -> None:  # noqa: FBT001 - the parameter's value
        if self.offered:
            self.plain("parallel_tool_calls", value)

    def text(self, value: TextConfig) -> None:
        if value.verbosity:
            self.plain("verbosity", value.verbosity)
        if value.format:
            self._format(value.format)

    def _format(self, shape: TextFormat) -> None:
        match shape:
            case PlainTextFormat():
                return
            case JsonObjectFormat():
                wire: _Wire = {"type": "json_object"}
                note = "Answer with one JSON object and nothing else."
            case JsonSchemaFormat():
                wire = {"type": "json_schema", "json_schema": _json_schema(shape)}
                schema = dumps(shape.schema or {}).decode()
                note = f"Answer with one JSON value that matches this JSON Schema, and nothing else:\n{schema}"
            case _:
                refuse(f"The text format {shape.type!r} is not supported.", "text.format.type", "invalid_value")
        formats = self.profile.formats
        if wire["type"] in formats:
            self.result["response_format"] = wire
            return
        if "json_object" in formats:
            self.result["response_format"] = {"type": "json_object"}
        self.result[_FORMAT_NOTE] = note

    def reasoning(self, value: ReasoningConfig) -> None:
        if not value.effort:
            return
        added = self.profile.efforts.get(value.effort)
        if added is None:
            known = ", ".join(self.profile.efforts) or "none at all"
            refuse(
                f"The provider {self.profile.name!r} has no reasoning effort {value.effort!r}; it has: {known}.",
                "reasoning.effort",
            )
        self.result |= added

    def _fit_budget(self) -> None:
        """Keep a budget for reasoning below the limit of output tokens, which includes it."""
        budget, limit = self.result.get("thinking", {}).get("budget_tokens"), self.result.get(self.profile.max_tokens)
        if budget is None or limit is None or budget < limit:
            return
        if limit > _MIN_BUDGET:
            self.result["thinking"] = {"type": "enabled", "budget_tokens": max(_MIN_BUDGET, limit // 2)}
        else:
            self.result["thinking"] = {"type": "disabled"}

    def max_output_tokens(self, value: int) -> None:
        self.result[self.profile.max_tokens] = value

    def top_logprobs(self, value: int) -> None:
        if value:
            self._logprobs("top_logprobs")
            self.result["top_logprobs"] = value

    def include(self, value: Sequence[str]) -> None:
        if _LOGPROBS in value:
            self._logprobs("include")

    def _logprobs(self, param: str) -> None:
        if "logprobs" not in self.profile.parameters:
            refuse(f"The provider {self.profile.name!r} gives no log probabilities.", param)
        self.result["logprobs"] = True

    def truncation(self, value: str) -> None:
        if value == "auto":
            self.result |= self.profile.truncation

    def multi_agent(self, value: MultiAgentConfig) -> None:
        if value.enabled:
            refuse("The parameter 'multi_agent' is not supported: the provider has one agent.", "multi_agent")

    def end_user(self, value: str) -> None:
        if self.profile.user:
            self.result[self.profile.user] = value

    def stream(self, value: bool) -> None:  # noqa: FBT001 - the parameter's value
        self.result["stream"] = value
        if value and self.profile.stream_options:
            self.result["stream_options"] = {"include_usage": True}


_FORMAT_NOTE: Final = "\0format"  # not a real parameter
_MIN_BUDGET: Final = 1024  # tokens, at Anthropic


def _json_schema(shape: JsonSchemaFormat) -> _Wire:
    wire: _Wire = {"name": shape.name or "answer", "schema": shape.schema or {}}
    if shape.description:
        wire["description"] = shape.description
    if isinstance(shape.strict, bool):
        wire["strict"] = shape.strict
    return wire


def _with_updates(request: CreateResponse, context: Sequence[Item]) -> CreateResponse:
    """Return the request with the settings of the ``configuration_update`` items in the context."""
    for item in context:
        if isinstance(item, ConfigurationUpdate):
            if item.reasoning:
                request = attrs.evolve(request, reasoning=item.reasoning)
            if item.text:
                request = attrs.evolve(request, text=item.text)
    return request


def _plain(name: str, note: str = "the same, if the provider has it") -> Row[Any]:
    def apply(translation: _Translation, value: object) -> None:
        translation.plain(name, value)

    return translated(name, note, apply)


_SERVER: Final = "the server in front of the provider handles it"

PARAMETERS: Final[Mapping[str, Row[Any]]] = table(
    [
        translated("model", "`model`", _Translation.model),
        translated("input", "`messages`, with the history"),
        translated("instructions", "the first message, of the developer or the system"),
        translated("tools", "`tools`, with those that items of the context add"),
        translated(
            "tool_choice",
            "`tool_choice`; allowed tools where the provider has no such choice: the other tools are left out",
        ),
        translated(
            "parallel_tool_calls",
            "the same, if there are tools and the provider has it",
            _Translation.parallel_tool_calls,
        ),
        dropped("max_tool_calls", "it bounds the tools that the server runs"),
        translated(
            "text",
            "`response_format` and `verbosity`; a format that the provider does not have is described in the prompt",
            _Translation.text,
        ),
        translated(
            "reasoning",
            "`effort`, in the provider's format; the reasoning itself is returned instead of a `summary`",
            _Translation.reasoning,
        ),
        translated("max_output_tokens", "`max_completion_tokens` or `max_tokens`", _Translation.max_output_tokens),
        _plain("temperature"),
        _plain("top_p"),
        translated(
            "top_logprobs", "`top_logprobs` and `logprobs`; 400 if the provider has none", _Translation.top_logprobs
        ),
        _plain("presence_penalty"),
        _plain("frequency_penalty"),
        translated("truncation", "the provider's own parameter for `auto`, if it has one", _Translation.truncation),
        translated(
            "include",
            "log probabilities: `logprobs`; other values are always included, or belong to tools that are refused",
            _Translation.include,
        ),
        dropped("previous_response_id", "the server has put the history into the context"),
        dropped("conversation", "the server has put the history into the context"),
        dropped("context_management", "the provider gets the whole context"),
        dropped("store", _SERVER),
        dropped("background", _SERVER),
        dropped("background_options", _SERVER),
        _plain("service_tier"),
        dropped("metadata", "it is for the client, and repeated in the response"),
        # Not in any specification, but OpenAI's server accepts it, and Codex always sends it.
        dropped("client_metadata", "it describes the client"),
        refused("prompt", "the provider has no stored prompts"),
        _plain("prompt_cache_key"),
        dropped("prompt_cache_options", "it only affects the price"),
        _plain("prompt_cache_retention"),
        refused("moderation", "the provider does not moderate on request"),
        translated("multi_agent", "nothing if it is off, 400 if it is on", _Translation.multi_agent),
        dropped("image", "it only affects the number of tokens"),
        refused("access_programs", "the provider has none"),
        translated("user", "`user`, or the provider's equivalent", _Translation.end_user),
        translated("safety_identifier", "`safety_identifier` or `user`", _Translation.end_user),
        translated("stream", "`stream`, with `stream_options` for the usage", _Translation.stream),
        dropped("stream_options", "they concern the stream to the client"),
    ]
)
"""Request parameter -> how it is handled."""

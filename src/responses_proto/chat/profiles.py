"""What each provider of Chat Completions understands, as data.

The wire of Chat Completions is one, and its edges differ: the name of the output limit, how reasoning is asked for and sent back, which
content parts, tools and settings are accepted. A :class:`ChatProfile` states these. Deviations in a provider's *answers* have no entry
here, because :class:`~responses_proto.chat.ChatDecoder` detects them in the stream; the exception is text in which reasoning is marked
by tags, which no decoder can know from the text alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, TypeAlias
from urllib.parse import urlsplit

import attrs

from ..exceptions import UsageError
from ..providers import PROVIDERS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..typing import JSONObject

__all__ = ["OPENAI", "PROFILES", "ChatProfile", "ReasoningField", "find_profile", "profile_for"]

ReasoningField: TypeAlias = Literal["reasoning_content", "reasoning", "reasoning_details", "think", "none"]
"""The form in which earlier reasoning is sent back: a field of the assistant's message, text between tags, or not at all."""


@attrs.frozen(kw_only=True)
class ChatProfile:
    """What one provider understands. Immutable; ``attrs.evolve`` one of :data:`PROFILES` for a server that differs."""

    name: str
    base_url: str | None = None
    """The base URL; ``None`` if the provider is in :data:`responses_proto.providers.PROVIDERS`, or has no fixed one."""
    key_env: tuple[str, ...] = ()
    """Environment variables for the API key, for a provider that is not in :data:`~responses_proto.providers.PROVIDERS`."""
    key_needed: bool = True
    """Whether the provider requires an API key."""
    developer_role: Literal["developer", "system"] = "system"
    """The role in which messages of the role ``developer``, and the instructions, are sent."""
    system_first: bool = False
    """Whether only one system message is accepted, as the first message: templates of open models require that. Those at the start
    are joined, later ones are sent as messages of the user."""
    content_lists: bool = True
    """Whether the content of a message may be a list of parts. If not, the parts, which must be texts, are joined."""
    parts: frozenset[str] = frozenset({"input_image"})
    """The content parts beside text that are accepted, by their types in the Responses API."""
    file_urls: bool = False
    """Whether a file may be given by its URL."""
    image_detail: bool = True
    """Whether an image may have a ``detail``."""
    tool_output_lists: bool = False
    """Whether the output of a tool may have images. If not, they follow in a message of the user."""
    refusals: bool = False
    """Whether an assistant's message may have a ``refusal``. If not, it is sent as text."""
    reasoning: ReasoningField = "none"
    """How earlier reasoning is sent back."""
    think_tags: tuple[tuple[str, str], ...] = (("<think>", "</think>"),)
    """Pairs of tags between which the text at the start of an answer is reasoning; empty if the provider never sends such text."""
    think_open: bool = False
    """Whether an answer begins inside of the first pair of tags, because the prompt of the model ends with the opening one."""
    efforts: Mapping[str, JSONObject] = attrs.field(factory=dict["str", "JSONObject"])
    """Effort of reasoning -> what is added to the request for it. Other efforts are refused; all are, if it is empty."""
    custom_tools: bool = False
    """Whether tools of type ``custom`` are understood. If not, each is a function with one string."""
    strict_tools: bool = True
    """Whether functions may be ``strict``."""
    forced_tools: frozenset[str] = frozenset({"none", "auto", "required", "function"})
    """The forms of ``tool_choice`` that are understood; ``any`` is Mistral's name of ``required``."""
    allowed_tools: bool = False
    """Whether ``tool_choice`` may be a list of allowed tools. If not, the other tools are left out."""
    formats: frozenset[str] = frozenset({"json_object", "json_schema"})
    """The types of ``response_format``. What is not in it is described in the prompt."""
    parameters: frozenset[str] = frozenset()
    """The optional parameters of Chat Completions that the provider has. Others are not sent."""
    max_tokens: Literal["max_completion_tokens", "max_tokens"] = "max_tokens"
    """The name of the limit of output tokens."""
    short_call_ids: bool = False
    """Whether the id of a call must have nine letters and digits."""
    user: Literal["safety_identifier", "user", ""] = "user"
    """The parameter for the id of the end user; empty if there is none."""
    stream_options: bool = True
    """Whether the usage of a stream is asked for with ``stream_options``."""
    truncation: JSONObject = attrs.field(factory=dict["str", "JSONObject"])
    """What is added to the request for ``truncation: auto``."""


_SAMPLING: Final = frozenset({"temperature", "top_p"})
_PENALTIES: Final = frozenset({"presence_penalty", "frequency_penalty"})
_LOGPROBS: Final = frozenset({"logprobs"})
_PARALLEL: Final = frozenset({"parallel_tool_calls"})

OPENAI: Final = ChatProfile(
    name="openai",
    developer_role="developer",
    parts=frozenset({"input_image", "input_file", "input_audio"}),
    refusals=True,
    think_tags=(),
    custom_tools=True,
    allowed_tools=True,
    parameters=_SAMPLING
    | _PENALTIES
    | _LOGPROBS
    | _PARALLEL
    | {"verbosity", "service_tier", "prompt_cache_key", "prompt_cache_retention"},
    max_tokens="max_completion_tokens",
    user="safety_identifier",
)
"""The profile of OpenAI itself."""

PROFILES: Final[Mapping[str, ChatProfile]] = {profile.name: profile for profile in (OPENAI,)}
"""Name -> profile."""


def find_profile(name: str) -> ChatProfile:
    """Return the profile with this name. Raises ``UsageError``, which lists the known names, if there is none."""
    try:
        return PROFILES[name]
    except KeyError:
        raise UsageError(f"unknown profile {name!r}; known profiles: {', '.join(sorted(PROFILES))}") from None


def profile_for(base_url: str) -> ChatProfile:
    """Return the profile of the provider at a base URL, by its host; for a server on this machine, by its port too.

    A host that is not known is a server that is built like OpenAI's, without what only OpenAI has: profile ``compatible``.
    """
    del base_url
    return OPENAI

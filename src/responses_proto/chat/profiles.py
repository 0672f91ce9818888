"""The capabilities of each provider of Chat Completions, as data.

All providers share the format of Chat Completions, but differ in details: the name of the output limit, how reasoning is requested and
sent back, which content parts, tools and settings are accepted. A :class:`ChatProfile` describes these. Differences in a provider's
*answers* have no entry here, because :class:`~responses_proto.chat.ChatDecoder` detects them in the stream. The exception is reasoning
marked by tags in the text, which a decoder cannot recognize from the text alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, TypeAlias
from urllib.parse import urlsplit

import attrs

from ..exceptions import UsageError
from ..providers import PROVIDERS, Provider

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..typing import JSONObject

__all__ = ["COMPATIBLE", "OPENAI", "PROFILES", "ChatProfile", "ReasoningField", "find_profile", "profile_for"]

ReasoningField: TypeAlias = Literal["reasoning_content", "reasoning", "reasoning_details", "thinking", "think", "none"]
"""How earlier reasoning is sent back: in a field of the assistant message, as a content part, as text between tags, or not at all."""


@attrs.frozen(kw_only=True)
class ChatProfile:
    """The capabilities of one provider. Immutable; for another server, use ``attrs.evolve`` on one of :data:`PROFILES`.

    Raises ``UsageError`` if reasoning is text between tags, but ``think_tags`` is empty.
    """

    name: str
    provider: Provider
    """The base URL of the provider and the source of its API key."""
    hosts: tuple[str, ...] = ()
    """Further hosts of the provider, besides that of its base URL. Their subdomains are included."""
    developer_role: Literal["developer", "system"] = "system"
    """The role for instructions and messages with the role ``developer``."""
    system_first: bool = False
    """Whether only one system message is accepted, as the first message, which templates of open models require. System messages at the
    start are joined; later ones are sent as user messages."""
    content_lists: bool = True
    """Whether the content of a message may be a list of parts. If not, text parts are joined."""
    parts: frozenset[str] = frozenset({"input_image"})
    """The accepted types of content parts besides text, by their names in the Responses API."""
    file_urls: bool = False
    """Whether a file may be given by its URL."""
    image_detail: bool = True
    """Whether an image may have a ``detail``."""
    tool_output_lists: bool = False
    """Whether the output of a tool may have images. If not, they follow in a user message."""
    refusals: bool = False
    """Whether an assistant message may have a ``refusal``. If not, refusals are sent as text."""
    reasoning: ReasoningField = "none"
    """How earlier reasoning is sent back."""
    think_tags: tuple[tuple[str, str], ...] = (("<think>", "</think>"),)
    """Pairs of tags that enclose reasoning at the start of an answer; empty if the provider never sends reasoning as text."""
    think_open: bool = False
    """Whether answers begin inside the first pair of tags, because the prompt of the model ends with the opening tag."""
    efforts: Mapping[str, JSONObject] = attrs.field(factory=dict["str", "JSONObject"])
    """Reasoning effort -> fields that are added to the request for it. Other efforts are refused."""
    custom_tools: bool = False
    """Whether tools of type ``custom`` are supported. If not, each becomes a function with one string parameter."""
    strict_tools: bool = True
    """Whether functions may be ``strict``."""
    tool_choices: frozenset[str] = frozenset({"none", "required", "function"})
    """The supported values of ``tool_choice`` besides ``auto``. ``any`` is another name for ``required``."""
    allowed_tools: bool = False
    """Whether ``tool_choice`` may be a list of allowed tools. If not, the other tools are left out."""
    formats: frozenset[str] = frozenset({"json_object", "json_schema"})
    """The supported types of ``response_format``. Other formats are described in the prompt."""
    parameters: frozenset[str] = frozenset()
    """The optional parameters of Chat Completions that the provider supports. Others are not sent."""
    max_tokens: Literal["max_completion_tokens", "max_tokens"] = "max_tokens"
    """The name of the parameter that limits output tokens."""
    short_call_ids: bool = False
    """Whether the id of a call must consist of nine letters and digits."""
    user: Literal["safety_identifier", "user", ""] = "user"
    """The parameter for the id of the end user; empty if there is none."""
    stream_options: bool = True
    """Whether the usage of a stream is requested with ``stream_options``."""
    truncation: JSONObject = attrs.field(factory=dict["str", "JSONObject"])
    """The parameters that are added to the request for ``truncation: auto``."""

    def __attrs_post_init__(self) -> None:
        if not self.think_tags and (self.think_open or self.reasoning == "think"):
            raise UsageError(f"profile {self.name!r} has reasoning in the text: think_tags must have a pair of tags")


_SAMPLING: Final = frozenset({"temperature", "top_p"})
_PENALTIES: Final = frozenset({"presence_penalty", "frequency_penalty"})
_COMMON: Final = _SAMPLING | _PENALTIES | {"logprobs", "parallel_tool_calls"}

_ALL_EFFORTS: Final = ("none", "minimal", "low", "medium", "high", "xhigh", "max")


_THREE: Final = {"minimal": "low", "low": "low", "medium": "medium", "high": "high", "xhigh": "high", "max": "high"}
"""Effort -> the nearest of the three common efforts."""


def _efforts(**names: str) -> Mapping[str, JSONObject]:
    """Return every effort as ``reasoning_effort``. ``names`` maps efforts to the provider's names, where they differ."""
    return {effort: {"reasoning_effort": names.get(effort, effort)} for effort in _ALL_EFFORTS}


def _thinking(*, enabled: bool) -> JSONObject:
    # Templates read one or the other, and ignore unknown arguments.
    return {"enable_thinking": enabled, "thinking": enabled}


_THREE_EFFORTS: Final = _efforts(**_THREE)
_TEMPLATE_EFFORTS: Final[Mapping[str, JSONObject]] = {
    "none": {"chat_template_kwargs": _thinking(enabled=False)},
    **{
        effort: {"chat_template_kwargs": _thinking(enabled=True), "reasoning_effort": own}
        for effort, own in _THREE.items()
    },
}
"""Open models are configured by arguments of their chat templates."""

_BUDGETS: Final = {
    "minimal": 1024,
    "low": 2048,
    "medium": 8192,
    "high": 16_384,
    "xhigh": 24_576,
    "max": 32_768,
}  # tokens


def _own(name: str, base_url: str, *key_env: str) -> Provider:
    return Provider(name=name, base_url=base_url, key_env=key_env)


OPENAI: Final = ChatProfile(
    name="openai",
    provider=PROVIDERS["openai"],
    hosts=("openai.com", "openai.azure.com"),
    developer_role="developer",
    parts=frozenset({"input_image", "input_file", "input_audio"}),
    refusals=True,
    think_tags=(),
    efforts=_efforts(),
    custom_tools=True,
    allowed_tools=True,
    parameters=_COMMON | {"verbosity", "service_tier", "prompt_cache_key", "prompt_cache_retention"},
    max_tokens="max_completion_tokens",
    user="safety_identifier",
)
"""The profile of OpenAI itself."""

COMPATIBLE: Final = ChatProfile(
    name="compatible",
    provider=Provider(name="compatible", key_needed=False),
    system_first=True,
    efforts=_efforts(),
    parameters=_COMMON,
    # An unknown server is likely to run open models, like those that follow.
)
"""The profile of an unknown server: the common features, without those that only OpenAI has."""

PROFILES: Final[Mapping[str, ChatProfile]] = {
    profile.name: profile
    for profile in (
        OPENAI,
        COMPATIBLE,
        ChatProfile(
            name="huggingface",
            provider=PROVIDERS["huggingface"],
            hosts=("huggingface.co",),
            system_first=True,
            efforts=_efforts(),
            parameters=_COMMON,
            user="",
        ),
        ChatProfile(
            name="vllm",
            provider=PROVIDERS["vllm"],
            system_first=True,
            parts=frozenset({"input_image", "input_audio", "input_video"}),
            reasoning="reasoning",
            efforts=_TEMPLATE_EFFORTS,
            parameters=_COMMON,
        ),
        ChatProfile(
            name="llamacpp",
            provider=PROVIDERS["llamacpp"],
            system_first=True,
            parts=frozenset({"input_image", "input_audio"}),
            reasoning="reasoning_content",
            efforts={
                "none": {"chat_template_kwargs": _thinking(enabled=False)},
                **{
                    effort: {"chat_template_kwargs": {**_thinking(enabled=True), "reasoning_effort": own}}
                    for effort, own in _THREE.items()
                },
            },
            tool_choices=frozenset({"none", "required"}),  # a function by name is not enforced
            parameters=_COMMON,
        ),
        ChatProfile(
            name="ollama",
            provider=PROVIDERS["ollama"],
            hosts=("ollama.com",),
            system_first=True,
            reasoning="reasoning",
            efforts=_efforts(minimal="low", xhigh="high"),
            tool_choices=frozenset(),  # accepted and ignored
            parameters=_SAMPLING | _PENALTIES | {"logprobs"},
            user="",
        ),
        ChatProfile(
            name="lmstudio",
            provider=PROVIDERS["lmstudio"],
            system_first=True,
            reasoning="reasoning_content",
            efforts=_efforts(minimal="low", max="xhigh"),
            tool_choices=frozenset({"none", "required"}),
            formats=frozenset({"json_schema"}),
            parameters=_SAMPLING | _PENALTIES,
            user="",
        ),
        ChatProfile(
            name="sglang",
            provider=PROVIDERS["sglang"],
            system_first=True,
            parts=frozenset({"input_image", "input_audio", "input_video"}),
            reasoning="reasoning_content",
            think_tags=(("<think>", "</think>"), ("\u25c1think\u25b7", "\u25c1/think\u25b7")),  # the latter are Kimi's
            efforts=_TEMPLATE_EFFORTS,
            parameters=_COMMON,
        ),
        ChatProfile(
            name="groq",
            provider=PROVIDERS["groq"],
            hosts=("groq.com",),
            efforts=_THREE_EFFORTS,
            parameters=_SAMPLING | {"parallel_tool_calls"},
            max_tokens="max_completion_tokens",
        ),
        ChatProfile(
            name="together",
            provider=PROVIDERS["together"],
            hosts=("together.xyz", "together.ai"),
            system_first=True,
            parts=frozenset({"input_image", "input_video"}),
            reasoning="reasoning",
            efforts={**_THREE_EFFORTS, "none": {"reasoning": {"enabled": False}}},
            parameters=_SAMPLING | _PENALTIES,
            user="",
        ),
        ChatProfile(
            name="fireworks",
            provider=PROVIDERS["fireworks"],
            hosts=("fireworks.ai",),
            system_first=True,
            reasoning="reasoning_content",
            efforts=_efforts(minimal="low", xhigh="high", max="high"),
            parameters=_COMMON,
        ),
        ChatProfile(
            name="openrouter",
            provider=PROVIDERS["openrouter"],
            hosts=("openrouter.ai",),
            parts=frozenset({"input_image", "input_file", "input_audio", "input_video"}),
            file_urls=True,
            reasoning="reasoning_details",
            efforts={effort: {"reasoning": {"effort": effort}} for effort in _ALL_EFFORTS},
            parameters=_COMMON | {"verbosity"},
            truncation={"transforms": ["middle-out"]},
        ),
        ChatProfile(
            name="deepseek",
            provider=_own("deepseek", "https://api.deepseek.com", "DEEPSEEK_API_KEY"),
            content_lists=False,
            parts=frozenset(),
            reasoning="reasoning_content",
            think_tags=(),
            efforts={
                "none": {"thinking": {"type": "disabled"}},
                **{
                    effort: {"thinking": {"type": "enabled"}, "reasoning_effort": own}
                    for effort, own in (
                        ("minimal", "low"),
                        ("low", "low"),
                        ("medium", "high"),
                        ("high", "high"),
                        ("xhigh", "high"),
                        ("max", "max"),
                    )
                },
            },
            strict_tools=False,
            formats=frozenset({"json_object"}),
            parameters=_SAMPLING | _PENALTIES | {"logprobs"},
            user="",
        ),
        ChatProfile(
            name="mistral",
            provider=_own("mistral", "https://api.mistral.ai/v1", "MISTRAL_API_KEY"),
            hosts=("mistral.ai",),
            parts=frozenset({"input_image", "input_audio"}),
            reasoning="thinking",
            think_tags=(("<think>", "</think>"), ("[THINK]", "[/THINK]")),
            efforts=_THREE_EFFORTS,
            tool_choices=frozenset({"none", "any", "function"}),
            parameters=_SAMPLING | _PENALTIES | {"parallel_tool_calls"},
            short_call_ids=True,
            user="",
            stream_options=False,  # the last chunk has the usage; unknown parameters are refused
        ),
        ChatProfile(
            name="gemini",
            provider=_own(
                "gemini",
                "https://generativelanguage.googleapis.com/v1beta/openai",
                "GEMINI_API_KEY",
                "GOOGLE_API_KEY",
            ),
            hosts=("generativelanguage.googleapis.com", "aiplatform.googleapis.com"),
            parts=frozenset({"input_image", "input_audio"}),
            think_tags=(("<thought>", "</thought>"),),
            efforts=_efforts(xhigh="high", max="high"),
            strict_tools=False,
            parameters=_SAMPLING,  # unknown parameters are refused
            user="",
        ),
        ChatProfile(
            name="anthropic",
            provider=_own("anthropic", "https://api.anthropic.com/v1", "ANTHROPIC_API_KEY"),
            hosts=("anthropic.com",),
            image_detail=False,
            think_tags=(),
            efforts={
                "none": {"thinking": {"type": "disabled"}},
                **{
                    effort: {"thinking": {"type": "enabled", "budget_tokens": budget}}
                    for effort, budget in _BUDGETS.items()
                },
            },
            strict_tools=False,
            formats=frozenset(),  # ignored, like many other features that are left out here
            parameters=_SAMPLING | {"parallel_tool_calls"},
            user="",
        ),
    )
}
"""Name -> profile."""

_LOCAL: Final = frozenset({"localhost", "127.0.0.1", "::1", "0.0.0.0", "host.docker.internal"})  # noqa: S104 - names of this machine in a URL


def find_profile(name: str) -> ChatProfile:
    """Return the profile with this name. Raises ``UsageError``, which lists the known names, if there is none."""
    try:
        return PROFILES[name]
    except KeyError:
        raise UsageError(f"unknown profile {name!r}; known profiles: {', '.join(sorted(PROFILES))}") from None


def profile_for(base_url: str) -> ChatProfile:
    """Return the profile of the provider at a base URL, by its host; for a server on this machine, by its port.

    Returns :data:`COMPATIBLE` if the host or port is unknown. Raises ``UsageError`` if the URL is invalid.
    """
    try:
        parts = urlsplit(base_url)
        host, port = (parts.hostname or "").rstrip("."), parts.port
    except ValueError:
        raise UsageError(f"{base_url!r} is not a URL") from None
    for profile in PROFILES.values():
        own = urlsplit(profile.provider.base_url or "")
        if host in _LOCAL:
            if own.hostname in _LOCAL and own.port == port:
                return profile
        elif any(
            host == known or host.endswith(f".{known}") for known in (*profile.hosts, own.hostname or "") if known
        ):
            return profile
    return COMPATIBLE

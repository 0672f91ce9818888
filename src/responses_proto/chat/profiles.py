"""The capabilities of each provider of Chat Completions, as data.

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
from ..providers import PROVIDERS, Provider

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..typing import JSONObject

__all__ = ["COMPATIBLE", "OPENAI", "PROFILES", "ChatProfile", "ReasoningField", "find_profile", "profile_for"]

ReasoningField: TypeAlias = Literal["reasoning_content", "reasoning", "reasoning_details", "thinking", "think", "none"]
"""The form in which earlier reasoning is sent back: a field of the assistant's message, a content part, text between tags, or not at all."""


@attrs.frozen(kw_only=True)
class ChatProfile:
    """The capabilities of one provider. Immutable; ``attrs.evolve`` one of :data:`PROFILES` for a server that differs.

    Raises ``UsageError`` if reasoning is text between tags, but there are no tags.
    """

    name: str
    provider: Provider
    """How the provider is called: its base URL and where its API key is found."""
    hosts: tuple[str, ...] = ()
    """Hosts that belong to the provider, besides that of its base URL, with their subdomains."""
    developer_role: Literal["developer", "system"] = "system"
    """The role in which messages of the role ``developer``, and the instructions, are sent."""
    system_first: bool = False
    """Whether only one system message is accepted, as the first message: templates of open models require that. Those at the start
    are joined, later ones are sent as messages of the user."""
    content_lists: bool = True
    """Whether the content of a message may be a list of parts. If not, the parts, which must be texts, are joined."""
    parts: frozenset[str] = frozenset({"input_image"})
    """The content parts besides text that are accepted, by their types in the Responses API."""
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
    tool_choices: frozenset[str] = frozenset({"none", "required", "function"})
    """The values of ``tool_choice`` that are understood besides ``auto``; ``any`` is another name of ``required``."""
    allowed_tools: bool = False
    """Whether ``tool_choice`` may be a list of allowed tools. If not, the other tools are left out."""
    formats: frozenset[str] = frozenset({"json_object", "json_schema"})
    """The types of ``response_format`` that are understood. Other formats are described in the prompt."""
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
    """The parameters that are added to the request for ``truncation: auto``."""

    def __attrs_post_init__(self) -> None:
        if not self.think_tags and (self.think_open or self.reasoning == "think"):
            raise UsageError(f"profile {self.name!r} has reasoning in the text: think_tags must have a pair of tags")


_SAMPLING: Final = frozenset({"temperature", "top_p"})
_PENALTIES: Final = frozenset({"presence_penalty", "frequency_penalty"})
_COMMON: Final = _SAMPLING | _PENALTIES | {"logprobs", "parallel_tool_calls"}

_ALL_EFFORTS: Final = ("none", "minimal", "low", "medium", "high", "xhigh", "max")


_THREE: Final = {"minimal": "low", "low": "low", "medium": "medium", "high": "high", "xhigh": "high", "max": "high"}
"""Effort -> the nearest one of those that all have."""


def _efforts(**names: str) -> Mapping[str, JSONObject]:
    """Return every effort as ``reasoning_effort``. ``names`` has the provider's word for those that it calls otherwise."""
    return {effort: {"reasoning_effort": names.get(effort, effort)} for effort in _ALL_EFFORTS}


def _thinking(*, enabled: bool) -> JSONObject:
    # Templates read the one or the other, and ignore what they do not know.
    return {"enable_thinking": enabled, "thinking": enabled}


_THREE_EFFORTS: Final = _efforts(**_THREE)
_TEMPLATE_EFFORTS: Final[Mapping[str, JSONObject]] = {
    "none": {"chat_template_kwargs": _thinking(enabled=False)},
    **{
        effort: {"chat_template_kwargs": _thinking(enabled=True), "reasoning_effort": own}
        for effort, own in _THREE.items()
    },
}
"""Open models have their own switches, which are arguments of their prompt's template."""

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
    # A server that nobody knows is likely to run open models, like the next ones.
)
"""The profile of a server that is not known: what all have, without what only OpenAI has."""

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
            think_tags=(("<think>", "</think>"), ("\u25c1think\u25b7", "\u25c1/think\u25b7")),  # the latter of Kimi
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
            stream_options=False,  # the last chunk has the usage; a parameter that is not known is refused
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
            parameters=_SAMPLING,  # a parameter that is not known is refused
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
            formats=frozenset(),  # ignored, like much else that is left out here
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

    It is :data:`COMPATIBLE` if neither is known.
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

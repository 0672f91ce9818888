"""The providers of the Responses API, and what each does differently in being called, as data.

A dialect is where a server is, where its key is found, how the key is sent, and what input it takes back. What servers
deviate by in their answers needs no entry here: the engine works it out from the stream itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from .exceptions import LocalProtocolError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["PROVIDERS", "Provider", "find_provider"]


@attrs.frozen(kw_only=True)
class Provider:
    """How one provider is called. Immutable; make your own for a server that is not in :data:`PROVIDERS`."""

    name: str
    base_url: str | None = None
    """Without a trailing slash; ``None`` where every customer has another."""
    base_url_env: tuple[str, ...] = ()
    """Environment variables that say where the server is, the first that is set counts. They win over ``base_url``."""
    base_url_path: str = ""
    """What such a variable, or the caller's ``base_url``, lacks where it names only the host: ``/openai/v1``."""
    key_env: tuple[str, ...] = ()
    """Environment variables that hold the key, the first that is set counts."""
    key_needed: bool = True
    """Whether the provider refuses to work without a key; servers on one's own machine do not."""
    key_header: str = "authorization"
    """The header, in lower case, that carries the key."""
    key_prefix: str = "Bearer "
    """What stands before the key in that header."""
    stores: bool = True
    """Whether responses are kept, unless a request says otherwise, so that items can be known by their ids alone."""
    checks_items: bool = False
    """Whether the ids of input items are looked up in the store, and reasoning is refused without what it led to."""
    input_items: frozenset[str] = frozenset()
    """The kinds of items that are taken as input; empty where all are."""


# What a server on top of chat completions has a place for.
_CHAT: Final = frozenset({"message", "function_call", "function_call_output"})

PROVIDERS: Final[Mapping[str, Provider]] = {
    dialect.name: dialect
    for dialect in (
        Provider(
            name="openai",
            base_url="https://api.openai.com/v1",
            base_url_env=("OPENAI_BASE_URL",),
            key_env=("OPENAI_API_KEY",),
            checks_items=True,
        ),
        Provider(
            name="huggingface",
            base_url="https://router.huggingface.co/v1",
            key_env=("HF_TOKEN",),
            stores=False,
            input_items=_CHAT | {"mcp_list_tools", "mcp_call", "mcp_approval_request", "mcp_approval_response"},
        ),
        Provider(
            name="azure",
            base_url_env=("AZURE_OPENAI_BASE_URL", "AZURE_OPENAI_ENDPOINT"),
            base_url_path="/openai/v1",
            key_env=("AZURE_OPENAI_API_KEY",),
            key_header="api-key",
            key_prefix="",
            checks_items=True,
        ),
        Provider(name="openrouter", base_url="https://openrouter.ai/api/v1", key_env=("OPENROUTER_API_KEY",)),
        Provider(name="xai", base_url="https://api.x.ai/v1", key_env=("XAI_API_KEY",)),
        Provider(name="groq", base_url="https://api.groq.com/openai/v1", key_env=("GROQ_API_KEY",)),
        Provider(name="together", base_url="https://api.together.xyz/v1", key_env=("TOGETHER_API_KEY",)),
        Provider(name="fireworks", base_url="https://api.fireworks.ai/inference/v1", key_env=("FIREWORKS_API_KEY",)),
        Provider(
            name="ollama",
            base_url="http://localhost:11434/v1",
            key_env=("OLLAMA_API_KEY",),
            key_needed=False,
            stores=False,
        ),
        Provider(name="lmstudio", base_url="http://localhost:1234/v1", key_env=("LM_API_TOKEN",), key_needed=False),
        Provider(
            name="vllm", base_url="http://localhost:8000/v1", key_env=("VLLM_API_KEY",), key_needed=False, stores=False
        ),
        Provider(
            name="llamacpp",
            base_url="http://localhost:8080/v1",
            key_env=("LLAMA_API_KEY",),
            key_needed=False,
            stores=False,
            input_items=_CHAT | {"reasoning"},
        ),
    )
}
"""Name -> dialect. Each has a Responses endpoint of its own, under ``base_url``."""


def find_provider(name: str) -> Provider:
    """Give the dialect of a provider. Raises ``LocalProtocolError``, which lists the names, if there is none."""
    try:
        return PROVIDERS[name]
    except KeyError:
        raise LocalProtocolError(f"no provider {name!r} is known, only {', '.join(sorted(PROVIDERS))}") from None

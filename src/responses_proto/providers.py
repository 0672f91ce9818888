"""The providers of the Responses API, and how to call each of them, as data.

A provider has a base URL, environment variables for the URL and the API key, a header for the key, and a set of input items
that it accepts. Deviations in a provider's responses have no entry here: the engine detects them in the stream.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from .exceptions import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["PROVIDERS", "Provider", "find_provider"]


@attrs.frozen(kw_only=True)
class Provider:
    """How to call one provider. Immutable; create one for a server that is not in :data:`PROVIDERS`."""

    name: str
    base_url: str | None = None
    """The base URL, without a trailing slash; ``None`` if each customer has a different one."""
    base_url_env: tuple[str, ...] = ()
    """Environment variables for the base URL; the first one that is set is used, and overrides ``base_url``."""
    base_url_path: str = ""
    """The path to append to a base URL, from a variable or from the caller, that has only a host: ``/openai/v1``."""
    key_env: tuple[str, ...] = ()
    """Environment variables for the API key; the first one that is set is used."""
    key_file: tuple[str, ...] = ()
    """Paths of a file that holds the API key, read if no variable does: ``$HF_HOME/token``. The first path whose variables are all set
    is used."""
    key_off_env: str = ""
    """An environment variable that, if true, disables ``key_env`` and ``key_file``: the key must then be passed."""
    key_needed: bool = True
    """Whether the provider requires an API key. Local servers do not."""
    key_header: str = "authorization"
    """The header for the API key, in lower case."""
    key_prefix: str = "Bearer "
    """The text before the API key in that header."""
    bill_to_header: str = ""
    """The header that names the organization to bill, in lower case; empty if there is none."""
    permission: str = ""
    """The permission that an API key needs, as named in the provider's settings; empty if keys have no permissions."""
    developer_role: str = "developer"
    """The role that replaces ``developer`` in messages to this provider."""
    stores: bool = True
    """Whether the provider stores responses by default, so that an item can be referred to by its id."""
    checks_items: bool = False
    """Whether the provider looks up the ids of input items, and refuses a reasoning item without the item that followed it."""
    input_items: frozenset[str] = frozenset()
    """The types of items that the provider accepts as input; empty if it accepts all."""


# The items that a server built on Chat Completions can translate.
_CHAT: Final = frozenset({"message", "function_call", "function_call_output"})

PROVIDERS: Final[Mapping[str, Provider]] = {
    provider.name: provider
    for provider in (
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
            key_env=("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"),
            key_file=(
                "$HF_TOKEN_PATH",
                "$HF_HOME/token",
                "$XDG_CACHE_HOME/huggingface/token",
                "$HOME/.cache/huggingface/token",
                "$USERPROFILE/.cache/huggingface/token",
            ),
            key_off_env="HF_HUB_DISABLE_IMPLICIT_TOKEN",
            bill_to_header="x-hf-bill-to",
            permission="'Make calls to Inference Providers' (https://huggingface.co/settings/tokens)",
            developer_role="system",  # the router drops messages of the role `developer`
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
            name="bedrock",  # https://bedrock-mantle.REGION.api.aws/v1
            base_url_env=("AWS_BEDROCK_BASE_URL",),
            base_url_path="/v1",
            key_env=("AWS_BEARER_TOKEN_BEDROCK",),
        ),
        Provider(
            name="databricks",  # https://WORKSPACE/serving-endpoints
            base_url_env=("DATABRICKS_HOST",),
            base_url_path="/serving-endpoints",
            key_env=("DATABRICKS_TOKEN",),
            stores=False,
        ),
        Provider(
            name="vercel",
            base_url="https://ai-gateway.vercel.sh/v1",
            key_env=("AI_GATEWAY_API_KEY", "VERCEL_OIDC_TOKEN"),
            stores=False,
        ),
        Provider(
            name="litellm",
            base_url="http://localhost:4000/v1",
            base_url_env=("LITELLM_PROXY_API_BASE",),
            key_env=("LITELLM_PROXY_API_KEY",),
            key_needed=False,
            stores=False,
        ),
        Provider(
            name="sglang",
            base_url="http://localhost:30000/v1",
            key_env=("SGLANG_API_KEY",),
            key_needed=False,
        ),
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
"""Name -> provider. Each has a native Responses endpoint."""


def find_provider(name: str) -> Provider:
    """Return the provider with this name. Raises ``UsageError``, which lists the known names, for an unknown name."""
    try:
        return PROVIDERS[name]
    except KeyError:
        raise UsageError(f"unknown provider {name!r}; known providers: {', '.join(sorted(PROVIDERS))}") from None

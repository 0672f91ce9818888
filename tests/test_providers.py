from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from responses_proto.exceptions import UsageError
from responses_proto.providers import PROVIDERS, find_provider


@pytest.mark.parametrize("name", sorted(PROVIDERS))
def test_every_provider_is_complete(name: str) -> None:
    provider = PROVIDERS[name]
    assert provider.name == name
    assert find_provider(name) is provider
    assert provider.base_url or provider.base_url_env
    if provider.base_url:
        parts = urlsplit(provider.base_url)
        assert parts.scheme == ("https" if provider.key_needed else "http")
        assert not provider.base_url.endswith("/")
    assert provider.key_env or not provider.key_needed
    assert provider.key_header == provider.key_header.lower()


def test_the_documented_providers_exist() -> None:
    expected = {
        "huggingface", "openai", "azure", "openrouter", "xai", "groq", "together", "fireworks",
        "ollama", "lmstudio", "vllm", "llamacpp",
    }  # fmt: skip
    assert expected <= set(PROVIDERS)


def test_no_two_providers_share_a_key() -> None:
    keys = [name for provider in PROVIDERS.values() for name in provider.key_env]
    assert len(keys) == len(set(keys))


def test_an_unknown_provider_is_an_error_with_the_known_names() -> None:
    with pytest.raises(UsageError, match="huggingface"):
        find_provider("hugging-face")

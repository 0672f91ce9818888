from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from responses_proto.exceptions import LocalProtocolError
from responses_proto.providers import PROVIDERS, find_provider


@pytest.mark.parametrize("name", sorted(PROVIDERS))
def test_every_dialect_is_where_its_name_says_and_complete(name: str) -> None:
    dialect = PROVIDERS[name]
    assert dialect.name == name
    assert find_provider(name) is dialect
    assert dialect.base_url or dialect.base_url_env
    if dialect.base_url:
        parts = urlsplit(dialect.base_url)
        assert parts.scheme == ("https" if dialect.key_needed else "http")
        assert not dialect.base_url.endswith("/")
    assert dialect.key_env or not dialect.key_needed
    assert dialect.key_header == dialect.key_header.lower()


def test_the_providers_that_the_documentation_names_are_there() -> None:
    expected = {
        "huggingface", "openai", "azure", "openrouter", "xai", "groq", "together", "fireworks",
        "ollama", "lmstudio", "vllm", "llamacpp",
    }  # fmt: skip
    assert expected <= set(PROVIDERS)


def test_no_two_dialects_share_a_key() -> None:
    keys = [name for dialect in PROVIDERS.values() for name in dialect.key_env]
    assert len(keys) == len(set(keys))


def test_an_unknown_provider_is_answered_with_the_known_ones() -> None:
    with pytest.raises(LocalProtocolError, match="huggingface"):
        find_provider("hugging-face")

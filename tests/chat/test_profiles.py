"""What is stated about providers, and how the profile of a URL is found."""

from __future__ import annotations

from typing import Any, get_args

import attrs
import pytest

from responses_proto.chat import PROFILES, find_profile, profile_for
from responses_proto.exceptions import UsageError
from responses_proto.models.config import ReasoningEffort
from responses_proto.providers import PROVIDERS


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://api.openai.com/v1", "openai"),
        ("https://mine.openai.azure.com/openai/v1", "openai"),
        ("https://router.huggingface.co/v1", "huggingface"),
        ("https://api.groq.com/openai/v1", "groq"),
        ("https://api.together.ai/v1", "together"),
        ("https://API.Mistral.AI./v1", "mistral"),
        ("https://api.deepseek.com/v1", "deepseek"),
        ("https://generativelanguage.googleapis.com/v1beta/openai/", "gemini"),
        ("https://api.anthropic.com/v1/", "anthropic"),
        ("http://localhost:11434/v1", "ollama"),
        ("http://127.0.0.1:8000/v1", "vllm"),
        ("http://[::1]:8080", "llamacpp"),
        ("http://localhost:1234/v1", "lmstudio"),
        ("http://127.0.0.1:30000/v1", "sglang"),
        ("http://127.0.0.1:5000/v1", "compatible"),
        ("http://gpu.example.org:8000/v1", "compatible"),
        ("https://notopenai.com/v1", "compatible"),
        ("https://api.openai.com.example.org/v1", "compatible"),
        ("", "compatible"),
    ],
)
def test_the_profile_of_a_url(url: str, name: str) -> None:
    assert profile_for(url).name == name


@pytest.mark.parametrize("url", ["http://[::1", "http://localhost:x/v1"])
def test_what_is_no_url(url: str) -> None:
    with pytest.raises(UsageError, match="is not a URL"):
        profile_for(url)


def test_a_profile_by_name() -> None:
    assert find_profile("vllm") is PROFILES["vllm"]
    with pytest.raises(UsageError, match="known profiles: anthropic"):
        find_profile("acme")


@pytest.mark.parametrize("name", PROFILES)
def test_profiles_agree_with_the_rest_of_the_library(name: str) -> None:
    profile = PROFILES[name]
    assert profile.name == name == profile.provider.name
    known = PROVIDERS.get(name)
    assert known is None or profile.provider is known
    efforts = {effort for arm in get_args(ReasoningEffort) for effort in get_args(arm)}
    assert set(profile.efforts) == efforts  # none is refused
    assert name == "compatible" or profile.provider.base_url
    assert profile.reasoning != "think" or profile.think_tags


@pytest.mark.parametrize("changes", [{"reasoning": "think"}, {"think_open": True}])
def test_reasoning_in_the_text_needs_tags(changes: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="think_tags must have"):
        attrs.evolve(PROFILES["openai"], **changes)


def test_a_key_is_never_that_of_another_host() -> None:
    # The key is found by the profile, and the profile by the host: a host that is not known gets none.
    assert profile_for("https://example.org/v1").provider.key_env == ()

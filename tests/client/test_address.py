from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from responses_proto.client._address import (
    check_headers,
    endpoint_url,
    normalize_base_url,
    resolve_endpoint,
    split_userinfo,
)
from responses_proto.client.transport._errors import public_url
from responses_proto.exceptions import UsageError
from responses_proto.providers import PROVIDERS, Provider

if TYPE_CHECKING:
    from pathlib import Path

OPENAI = "https://api.openai.com/v1"
PLAIN = Provider(name="plain", key_needed=False)


def resolve(
    base_url: str | None = None, api_key: str | None = None, dialect: str | None = None, **env: str
) -> tuple[str, str, str]:
    found, url, key = resolve_endpoint(base_url, api_key, dialect, env)
    return found.name, url, key


def test_openai_is_the_default() -> None:
    assert resolve(OPENAI_API_KEY="k") == ("openai", OPENAI, "k")


def test_the_environment_has_the_address_and_the_key() -> None:
    env = {"RESPONSES_BASE_URL": "http://here/v1", "RESPONSES_API_KEY": "k", "OPENAI_API_KEY": "o"}
    assert resolve(**env) == ("server", "http://here/v1", "k")


def test_arguments_win_over_the_environment() -> None:
    env = {"RESPONSES_BASE_URL": "http://here/v1", "RESPONSES_API_KEY": "k"}
    assert resolve("http://there/v1", "a", **env) == ("server", "http://there/v1", "a")
    assert resolve("http://there/v1", "", **env) == ("server", "http://there/v1", "")


def test_a_providers_key_goes_to_that_provider_only() -> None:
    env = {"OPENAI_API_KEY": "o", "HF_TOKEN": "h"}
    assert resolve("https://elsewhere.example/v1", **env) == ("server", "https://elsewhere.example/v1", "")
    assert resolve("https://api.openai.com.example/v1", **env)[2] == ""
    assert resolve("http://api.openai.com/v1", **env)[2] == ""  # another origin, where everyone could read along
    assert resolve("https://router.huggingface.co/v1", **env) == (
        "huggingface",
        "https://router.huggingface.co/v1",
        "h",
    )
    assert resolve(RESPONSES_BASE_URL="https://api.openai.com:443/v2", **env)[2] == "o"


def test_a_dialect_has_its_own_variables() -> None:
    env = {"RESPONSES_BASE_URL": "http://here/v1", "RESPONSES_API_KEY": "k", "HF_TOKEN": " h\n"}
    assert resolve(dialect="huggingface", **env) == ("huggingface", "https://router.huggingface.co/v1", "h")
    assert resolve(dialect="xai", **env) == ("xai", "https://api.x.ai/v1", "")
    assert resolve("http://proxy/v1", dialect="huggingface", **env)[1:] == ("http://proxy/v1", "h")


def test_a_dialect_without_an_address_needs_one() -> None:
    with pytest.raises(UsageError, match="AZURE_OPENAI_ENDPOINT"):
        resolve(dialect="azure")
    assert (
        resolve(dialect="azure", AZURE_OPENAI_ENDPOINT="https://x.openai.azure.com/")[1]
        == "https://x.openai.azure.com/"
    )


def test_a_base_url_is_normalized() -> None:
    assert normalize_base_url(" http://h:1/v1/ ", PLAIN) == "http://h:1/v1"
    assert normalize_base_url("https://h", PLAIN) == "https://h"
    assert (
        normalize_base_url("https://x.openai.azure.com/", PROVIDERS["azure"]) == "https://x.openai.azure.com/openai/v1"
    )
    assert normalize_base_url("https://h/v1?api-version=1", PLAIN) == "https://h/v1?api-version=1"


def test_a_websocket_url_becomes_http() -> None:
    assert normalize_base_url("ws://h:1/v1", PLAIN) == "http://h:1/v1"
    assert normalize_base_url("WSS://h/v1/", PLAIN) == "https://h/v1"
    assert resolve("wss://api.openai.com/v1", OPENAI_API_KEY="o")[2] == "o"
    assert resolve("ws://api.openai.com/v1", OPENAI_API_KEY="o")[2] == ""


@pytest.mark.parametrize(
    "url",
    [
        "", "localhost:8000/v1", "ftp://h/v1", "file:///etc/passwd", "http://", "http://h/v1#x", "http://h:x/v1",
        "http://h/a b", "http://h:0/", "http://[::1/v1", "javascript:alert(1)", "http://h/\nv1",
    ],
)  # fmt: skip
def test_an_invalid_base_url_is_refused(url: str) -> None:
    with pytest.raises(UsageError, match="base_url must look like") as caught:
        normalize_base_url(url, PLAIN)
    assert ("https:// is missing" in str(caught.value)) == ("://" not in url)


@pytest.mark.parametrize(("url", "key"), [("", "k"), ("  ", "k"), (5, "k"), (b"https://h", "k"), ("https://h", 5)])
def test_an_empty_address_does_not_send_the_key_to_the_default(url: Any, key: Any) -> None:
    for dialect in (None, "openai"):
        with pytest.raises(UsageError, match=r"base_url is empty|must be a str"):
            resolve_endpoint(url, key, dialect, {"RESPONSES_BASE_URL": "https://other.example"})


@pytest.mark.parametrize("headers", [{"a": 1}, {1: "a"}, {"a": None}])
def test_a_header_is_text(headers: Any) -> None:
    with pytest.raises(UsageError, match="must be str"):
        check_headers(headers)


def test_the_url_of_an_endpoint_is_refused_as_base_url() -> None:
    for url in ("https://api.openai.com/v1/responses", "https://u:p@h/v1/responses/"):
        with pytest.raises(UsageError, match=r"before /responses: 'https://.*/v1'$") as caught:
            normalize_base_url(url, PROVIDERS["openai"])
        assert "u:p" not in str(caught.value)


def test_a_password_in_a_base_url_is_not_shown() -> None:
    assert public_url("https://user:pass@h/v1?key=secret") == "https://h/v1"
    with pytest.raises(UsageError) as caught:
        normalize_base_url("ftp://user:pass@h/v1?key=secret", PLAIN)
    assert "pass" not in str(caught.value)
    assert "secret" not in str(caught.value)


@given(st.text(min_size=1, max_size=30).filter(lambda text: text.strip() not in ("", ".", "..") and text.isprintable()))
def test_an_id_stays_one_segment_of_the_path(segment: str) -> None:
    parts = urlsplit(endpoint_url("https://h/v1?a=b", "responses", segment, "cancel"))
    assert parts.query == "a=b"
    assert parts.fragment == ""
    before, name, after = parts.path.removeprefix("/v1/").split("/")
    assert (before, unquote(name), after) == ("responses", segment, "cancel")


@pytest.mark.parametrize("segment", ["../models", "a?b=c", "a#b", "a\nb", "ä/ö", "%2e%2e"])
def test_an_id_with_characters_of_urls_is_quoted(segment: str) -> None:
    assert urlsplit(endpoint_url("https://h/v1", "responses", segment)).path.count("/") == 3


@pytest.mark.parametrize("segment", ["", " ", ".", ".."])
def test_an_id_that_would_change_the_path_is_refused(segment: str) -> None:
    with pytest.raises(UsageError, match="cannot be an id"):
        endpoint_url("https://h/v1", "responses", segment)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x", "secret\r\nevil: 1"),
        ("x", "secret\0"),
        ("x", "secret ✓"),
        ("", "secret"),
        ("a b", "secret"),
        ("ä", "secret"),
    ],
)
def test_a_header_that_cannot_be_sent_is_refused_without_showing_it(name: str, value: str) -> None:
    with pytest.raises(UsageError) as caught:
        check_headers({name: value})
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("segment", [None, 5, True, ["resp_1"], b"resp_1", "\ud800", "resp_\udfff"])
def test_an_id_is_a_string_of_whole_characters(segment: Any) -> None:
    with pytest.raises(UsageError, match=r"id"):
        endpoint_url("https://h/v1", "responses", segment)


@pytest.mark.parametrize("headers", [[("a", "b")], "a: b", 5])
def test_headers_are_a_mapping(headers: Any) -> None:
    with pytest.raises(UsageError, match="must be a mapping"):
        check_headers(headers)


def test_credentials_in_a_base_url_become_a_header() -> None:
    assert split_userinfo("http://h:1/v1?a=b") == ("http://h:1/v1?a=b", "")
    assert split_userinfo("http://user:pass%20word@h:1/v1?a=b") == (
        "http://h:1/v1?a=b",
        "Basic " + base64.b64encode(b"user:pass word").decode(),
    )
    assert split_userinfo("http://token@[::1]:1/v1") == (
        "http://[::1]:1/v1",
        "Basic " + base64.b64encode(b"token:").decode(),
    )


# ---- Hugging Face's token


@pytest.mark.parametrize(
    ("env", "key"),
    [
        ({"HF_TOKEN": "a", "HUGGING_FACE_HUB_TOKEN": "b", "HF_TOKEN_PATH": "file"}, "a"),
        ({"HUGGING_FACE_HUB_TOKEN": "b", "HF_TOKEN_PATH": "file"}, "b"),
        ({"HF_TOKEN_PATH": "file", "HF_HOME": "home"}, "from file"),
        ({"HF_TOKEN_PATH": "missing", "HF_HOME": "home"}, ""),  # the first path counts, as in huggingface_hub
        ({"HF_HOME": "home", "HOME": "user"}, "from home"),
        ({"HF_HOME": "~/hf", "HOME": "user"}, "from user's hf"),
        ({"XDG_CACHE_HOME": "cache", "HOME": "user"}, "from cache"),
        ({"HOME": "user"}, "from user"),
        ({"USERPROFILE": "user"}, "from user"),
        ({"HOME": "missing"}, ""),
        ({"HF_TOKEN": " ", "HOME": "user"}, "from user"),
        ({}, ""),
        ({"HF_TOKEN": "a", "HOME": "user", "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1"}, ""),
        ({"HF_TOKEN": "a", "HF_HUB_DISABLE_IMPLICIT_TOKEN": "Yes"}, ""),
        ({"HF_TOKEN": "a", "HF_HUB_DISABLE_IMPLICIT_TOKEN": "0"}, "a"),
    ],
)
def test_the_token_is_found_where_huggingface_hub_finds_it(tmp_path: Path, env: dict[str, str], key: str) -> None:
    files = {
        "file": "from file\n",
        "home/token": "from home",
        "user/hf/token": "from user's hf",
        "cache/huggingface/token": " from cache\n\n",
        "user/.cache/huggingface/token": "from user",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    paths = {"HF_TOKEN_PATH", "HF_HOME", "XDG_CACHE_HOME", "HOME", "USERPROFILE"}
    placed = {name: str(tmp_path / v) if name in paths and v[0] != "~" else v for name, v in env.items()}
    assert resolve(dialect="huggingface", **placed)[2] == key
    assert resolve("https://router.huggingface.co/v1", **placed)[2] == key
    assert resolve("https://elsewhere.example/v1", **placed)[2] == ""
    assert resolve(dialect="huggingface", api_key="mine", **placed)[2] == "mine"


@pytest.mark.parametrize("name", [name for name, provider in PROVIDERS.items() if not provider.key_needed])
@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]"])
def test_a_local_server_is_known_by_its_port(name: str, host: str) -> None:
    provider = PROVIDERS[name]
    assert provider.base_url
    port = urlsplit(provider.base_url).port
    for url in (f"http://{host}:{port}/v1", f"http://{host}:{port}", f"ws://{host}:{port}/v1/"):
        assert resolve(url, **{provider.key_env[0]: "k"}) == (name, url, "k")
    for url in (f"https://{host}:{port}/v1", f"http://{host}:{port}1/v1", f"http://10.0.0.1:{port}/v1"):
        assert resolve(url, **{provider.key_env[0]: "k"}) == ("server", url, "")

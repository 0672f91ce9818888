from __future__ import annotations

from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from responses_proto.client._address import check_headers, checked_url, endpoint, resolve_endpoint, shown
from responses_proto.exceptions import LocalProtocolError
from responses_proto.providers import PROVIDERS, Provider

OPENAI = "https://api.openai.com/v1"
PLAIN = Provider(name="plain", key_needed=False)


def settled(
    base_url: str | None = None, api_key: str | None = None, dialect: str | None = None, **env: str
) -> tuple[str, str, str]:
    found, url, key = resolve_endpoint(base_url, api_key, dialect, env)
    return found.name, url, key


def test_openai_is_the_default() -> None:
    assert settled(OPENAI_API_KEY="k") == ("openai", OPENAI, "k")


def test_the_environment_says_where_and_as_whom() -> None:
    env = {"RESPONSES_BASE_URL": "http://here/v1", "RESPONSES_API_KEY": "k", "OPENAI_API_KEY": "o"}
    assert settled(**env) == ("server", "http://here/v1", "k")


def test_arguments_win_over_the_environment() -> None:
    env = {"RESPONSES_BASE_URL": "http://here/v1", "RESPONSES_API_KEY": "k"}
    assert settled("http://there/v1", "a", **env) == ("server", "http://there/v1", "a")
    assert settled("http://there/v1", "", **env) == ("server", "http://there/v1", "")


def test_a_providers_key_goes_to_that_provider_only() -> None:
    env = {"OPENAI_API_KEY": "o", "HF_TOKEN": "h"}
    assert settled("https://elsewhere.example/v1", **env) == ("server", "https://elsewhere.example/v1", "")
    assert settled("https://api.openai.com.example/v1", **env)[2] == ""
    assert settled("http://api.openai.com/v1", **env)[2] == ""  # another origin, where everyone could read along
    assert settled("https://router.huggingface.co/v1", **env) == (
        "huggingface",
        "https://router.huggingface.co/v1",
        "h",
    )
    assert settled(RESPONSES_BASE_URL="https://api.openai.com:443/v2", **env)[2] == "o"


def test_a_dialect_has_its_own_variables() -> None:
    env = {"RESPONSES_BASE_URL": "http://here/v1", "RESPONSES_API_KEY": "k", "HF_TOKEN": " h\n"}
    assert settled(dialect="huggingface", **env) == ("huggingface", "https://router.huggingface.co/v1", "h")
    assert settled(dialect="xai", **env) == ("xai", "https://api.x.ai/v1", "")
    assert settled("http://proxy/v1", dialect="huggingface", **env)[1:] == ("http://proxy/v1", "h")


def test_a_dialect_without_an_address_needs_one() -> None:
    with pytest.raises(LocalProtocolError, match="AZURE_OPENAI_ENDPOINT"):
        settled(dialect="azure")
    assert (
        settled(dialect="azure", AZURE_OPENAI_ENDPOINT="https://x.openai.azure.com/")[1]
        == "https://x.openai.azure.com/"
    )


def test_a_base_url_is_brought_to_one_form() -> None:
    assert checked_url(" http://h:1/v1/ ", PLAIN) == "http://h:1/v1"
    assert checked_url("https://h", PLAIN) == "https://h"
    assert checked_url("https://x.openai.azure.com/", PROVIDERS["azure"]) == "https://x.openai.azure.com/openai/v1"
    assert checked_url("https://h/v1?api-version=1", PLAIN) == "https://h/v1?api-version=1"


def test_a_websocket_url_means_the_server_that_it_is_on() -> None:
    assert checked_url("ws://h:1/v1", PLAIN) == "http://h:1/v1"
    assert checked_url("WSS://h/v1/", PLAIN) == "https://h/v1"
    assert settled("wss://api.openai.com/v1", OPENAI_API_KEY="o")[2] == "o"
    assert settled("ws://api.openai.com/v1", OPENAI_API_KEY="o")[2] == ""


@pytest.mark.parametrize(
    "url",
    [
        "", "localhost:8000/v1", "ftp://h/v1", "file:///etc/passwd", "http://", "http://h/v1#x", "http://h:x/v1",
        "http://h/a b", "http://h:0/", "http://[::1/v1", "javascript:alert(1)", "http://h/\nv1",
    ],
)  # fmt: skip
def test_what_is_no_base_url_is_refused(url: str) -> None:
    with pytest.raises(LocalProtocolError, match="base_url has to be like"):
        checked_url(url, PLAIN)


@pytest.mark.parametrize(("url", "key"), [("", "k"), ("  ", "k"), (5, "k"), (b"https://h", "k"), ("https://h", 5)])
def test_an_address_that_is_none_does_not_send_a_key_elsewhere(url: Any, key: Any) -> None:
    for dialect in (None, "openai"):
        with pytest.raises(LocalProtocolError, match=r"base_url is empty|has to be a str"):
            resolve_endpoint(url, key, dialect, {"RESPONSES_BASE_URL": "https://other.example"})


@pytest.mark.parametrize("headers", [{"a": 1}, {1: "a"}, {"a": None}])
def test_a_header_is_text(headers: Any) -> None:
    with pytest.raises(LocalProtocolError, match="has to be text"):
        check_headers(headers)


def test_the_url_of_an_endpoint_is_no_base_url() -> None:
    for url in ("https://api.openai.com/v1/responses", "https://u:p@h/v1/responses/"):
        with pytest.raises(LocalProtocolError, match=r"before /responses: 'https://.*/v1'$") as caught:
            checked_url(url, PROVIDERS["openai"])
        assert "u:p" not in str(caught.value)


def test_a_password_in_a_base_url_is_not_shown() -> None:
    assert shown("https://user:pass@h/v1?key=secret") == "https://h/v1"
    with pytest.raises(LocalProtocolError) as caught:
        checked_url("ftp://user:pass@h/v1?key=secret", PLAIN)
    assert "pass" not in str(caught.value)
    assert "secret" not in str(caught.value)


@given(st.text(min_size=1, max_size=30).filter(lambda text: text.strip() not in ("", ".", "..") and text.isprintable()))
def test_an_id_stays_one_segment_of_the_path(segment: str) -> None:
    parts = urlsplit(endpoint("https://h/v1?a=b", "responses", segment, "cancel"))
    assert parts.query == "a=b"
    assert parts.fragment == ""
    before, name, after = parts.path.removeprefix("/v1/").split("/")
    assert (before, unquote(name), after) == ("responses", segment, "cancel")


@pytest.mark.parametrize("segment", ["../models", "a?b=c", "a#b", "a\nb", "ä/ö", "%2e%2e"])
def test_an_id_with_characters_of_urls_is_quoted(segment: str) -> None:
    assert urlsplit(endpoint("https://h/v1", "responses", segment)).path.count("/") == 3


@pytest.mark.parametrize("segment", ["", " ", ".", ".."])
def test_what_cannot_be_a_segment_is_refused(segment: str) -> None:
    with pytest.raises(LocalProtocolError, match="cannot be an id"):
        endpoint("https://h/v1", "responses", segment)


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
    with pytest.raises(LocalProtocolError) as caught:
        check_headers({name: value})
    assert "secret" not in str(caught.value)

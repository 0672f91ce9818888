"""The core of a client, which the client of this API and the upstreams of the chat bridge share."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from responses_proto import Limits, RetryPolicy, Timeouts
from responses_proto.client._core import make_core
from responses_proto.client.transport import HTTPTransport
from responses_proto.exceptions import UsageError
from responses_proto.providers import PROVIDERS

UNSET: dict[str, Any] = dict.fromkeys(
    ("http_client", "timeouts", "retry", "limits", "headers", "hooks", "gate"),
)


def core(base_url: str | None = "http://h/v1", api_key: Any = None, dialect: Any = None, **settings: Any) -> Any:
    return make_core(base_url, api_key, dialect, **{**UNSET, **settings})


def test_what_is_not_given_has_a_default() -> None:
    made = core()
    assert (made.timeouts, made.retry, made.limits, made.gate) == (Timeouts(), RetryPolicy(), Limits(), None)
    assert made.base_url == "http://h/v1"
    assert made.provider.name == "server"
    assert set(made.headers) == {"user-agent"}


def test_a_transport_of_the_callers_is_the_callers_to_close() -> None:
    assert core().owns_transport
    assert isinstance(core().transport, HTTPTransport)
    client = httpx.AsyncClient()
    wrapped = core(http_client=client)
    assert wrapped.owns_transport  # which knows that the HTTP client in it is not its own
    given = HTTPTransport()
    assert core(http_client=given).transport is given
    assert not core(http_client=given).owns_transport


@pytest.mark.parametrize("name", ["timeouts", "retry", "limits", "hooks", "converter", "gate"])
def test_a_setting_of_another_type_is_refused_even_if_it_is_empty(name: str) -> None:
    wrongs: list[Any] = [5, {}, ""]
    for wrong in wrongs:
        with pytest.raises(UsageError, match=f"{name} must be a"):
            core(**dict[str, Any]({name: wrong}))


def test_the_endpoints_of_the_api_do_not_belong_to_the_address() -> None:
    for endpoint in ("/responses", "/chat/completions", "/completions"):
        with pytest.raises(UsageError, match=f"before {endpoint}: 'http://h/v1'") as caught:
            core(f"http://me:pw@h/v1{endpoint}/?key=x")
        assert "pw" not in str(caught.value)


def test_a_missing_key_says_how_to_do_without_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RESPONSES_BASE_URL", "RESPONSES_API_KEY", "OPENAI_BASE_URL", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(UsageError, match=r"openai needs an API key: .*RESPONSES_BASE_URL.*`responses-proto serve`"):
        core(None)


def test_one_credential_is_sent() -> None:
    assert core("http://me:pw@h/v1").headers["authorization"] == "Basic bWU6cHc="
    for more in ({"api_key": "k"}, {"api_key": lambda: "k"}, {"headers": {"Authorization": "x"}}):
        with pytest.raises(UsageError, match="only one of them"):
            core("http://me:pw@h/v1", **more)


def test_who_pays_is_an_option_of_one_provider() -> None:
    router = PROVIDERS["huggingface"]
    made = core(router.base_url, "k", router, bill_to="team")
    assert made.headers[router.bill_to_header] == "team"
    with pytest.raises(UsageError, match="an option of Hugging Face"):
        core(bill_to="team")

"""Make the core of a client: where its requests go, with which key and headers, over which transport."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final, cast

from .._version import __version__
from ..codec import Converter, default_converter
from ..exceptions import UsageError
from ..limits import Limits
from ._address import check_headers, normalize_base_url, resolve_endpoint, split_userinfo
from ._calls import ClientCore
from ._keys import KeySource
from ._secrets import HiddenStr, hidden_headers
from .gate import Gate
from .hooks import Hooks
from .retry import RetryPolicy
from .timeouts import Timeouts
from .transport.http import HTTPTransport

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..providers import Provider
    from ._keys import ApiKey
    from .transport.base import Transport
    from .transport.http import HTTPClient

_ELSEWHERE: Final = "for another server pass base_url=..., or set RESPONSES_BASE_URL (`responses-proto serve` starts one that needs no key)"


def make_core(
    base_url: str | None,
    api_key: ApiKey | None,
    dialect: Provider | str | None,
    *,
    http_client: HTTPClient | Transport | None,
    timeouts: Timeouts | None,
    retry: RetryPolicy | None,
    limits: Limits | None,
    headers: Mapping[str, str] | None,
    hooks: Hooks | None,
    converter: Converter | None = None,
    gate: Gate | None,
    bill_to: str | None = None,
) -> ClientCore:
    """Return the core of a client with these settings, which are those of :class:`~responses_proto.ResponsesClient`.

    Raises ``UsageError`` for a setting that cannot be used, and for a missing key.
    """
    # Tracebacks with variables show the parameters of every function that an error passes.
    api_key = HiddenStr(api_key) if isinstance(api_key, str) else api_key
    headers = hidden_headers(headers)
    headers = check_headers(headers)
    _check_types(
        timeouts=(timeouts, Timeouts),
        retry=(retry, RetryPolicy),
        limits=(limits, Limits),
        hooks=(hooks, Hooks),
        converter=(converter, Converter),
        gate=(gate, Gate),
    )
    given_key = "" if callable(api_key) else api_key
    provider, url, found_key = resolve_endpoint(base_url, given_key, dialect, os.environ)
    key = KeySource(api_key if callable(api_key) else found_key, provider)
    anonymous = not found_key and not key.renewable and provider.key_header not in headers
    if anonymous and provider.key_needed and http_client is None:
        names = " or ".join((*(("RESPONSES_API_KEY",) if dialect is None else ()), *provider.key_env[:1]))
        elsewhere = "" if base_url or dialect else f"; {_ELSEWHERE}"
        raise UsageError(f"{provider.name} needs an API key: pass api_key=..., or set {names}{elsewhere}")
    url, userinfo = split_userinfo(normalize_base_url(url, provider))
    if userinfo and (found_key or key.renewable or "authorization" in headers):
        raise UsageError(
            "base_url has credentials (user:...@host), and there is an API key, too, but only one of them can be sent: "
            "remove the credentials from base_url, or use api_key='' with headers={...} for the key"
        )
    all_headers = {"user-agent": f"responses-proto/{__version__}", **key.headers(found_key)}
    if userinfo:
        all_headers["authorization"] = userinfo
    if bill_to is not None:
        if not provider.bill_to_header:
            raise UsageError(f"bill_to is an option of Hugging Face, which {provider.name} does not have")
        all_headers[provider.bill_to_header] = bill_to
    # A transport that was passed is closed by the caller. HTTPTransport itself knows whether it owns its HTTP client.
    owns_transport = http_client is None or hasattr(http_client, "build_request")
    # A synchronous client of httpx has `send`, but not `aclose`.
    if http_client is not None and not (hasattr(http_client, "send") and hasattr(http_client, "aclose")):
        kind = type(http_client).__name__
        raise UsageError(f"http_client must be an httpx.AsyncClient or a Transport, got {kind}")
    return ClientCore(
        transport=HTTPTransport(cast("HTTPClient | None", http_client))
        if owns_transport
        else cast("Transport", http_client),
        owns_transport=owns_transport,
        base_url=url,
        headers=check_headers(all_headers | headers),
        key=key,
        timeouts=timeouts or Timeouts(),
        limits=limits or Limits(),
        retry=retry or RetryPolicy(),
        hooks=hooks or Hooks(),
        converter=converter or default_converter(),
        gate=gate,
        provider=provider,
    )


def _check_types(**settings: tuple[object, type[object]]) -> None:
    for name, (value, cls) in settings.items():
        if value is not None and not isinstance(value, cls):
            raise UsageError(f"{name} must be a {cls.__name__} instance, got {value!r}")

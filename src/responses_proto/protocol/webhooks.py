"""Sign, verify and read webhooks: the messages with which a server reports that a background response has ended.

::

    event = unwrap_webhook(body, headers, secret)      # verifies, then parses
    match event:
        case WebhookResponseCompleted():
            response = await client.retrieve(event.data.id)

The signatures follow Standard Webhooks: HMAC-SHA256 over ``id.timestamp.body``, keyed with the endpoint's secret. Pass the body exactly
as received: a body that was parsed and serialized again has different bytes, and so a different signature.

A verified webhook may still be a duplicate, because servers repeat a webhook that was not answered with 2xx. Remember the ids of the
events that you have handled.

:func:`sign_webhook` is the sender's part; :class:`responses_proto.server.WebhookEndpoint` sends webhooks.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import time
from typing import TYPE_CHECKING, Final

from ..codec import loads
from ..exceptions import UsageError, WebhookVerificationError
from ..models.webhooks import WebhookEvent

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["DEFAULT_TOLERANCE", "parse_webhook", "sign_webhook", "unwrap_webhook", "verify_webhook"]

DEFAULT_TOLERANCE: Final = 300.0
"""The seconds by which the timestamp of a webhook may differ from the receiver's clock, in either direction."""
_PREFIX: Final = "whsec_"
_VERSION: Final = "v1"
_MAX_TIMESTAMP: Final = 18  # digits: enough for any clock, and few enough to convert


def sign_webhook(body: bytes | str, secret: str | bytes, *, id: str, now: float | None = None) -> dict[str, str]:  # noqa: A002 - as in the header
    """Return the headers that sign the body of a webhook: ``webhook-id``, ``webhook-timestamp`` and ``webhook-signature``.

    ``secret``: as for :func:`verify_webhook`. ``id``: identifies the message; use the same id when you send it again. ``now``: the time
    in seconds since 1970; default: the system clock. Raises ``UsageError`` for an invalid secret.
    """
    timestamp = str(int(time.time() if now is None else now))
    signature = _signature(_key_of(secret), id, timestamp, _bytes_of(body)).decode()
    return {"webhook-id": id, "webhook-timestamp": timestamp, "webhook-signature": f"{_VERSION},{signature}"}


def unwrap_webhook(
    body: bytes | str,
    headers: Mapping[str, str],
    secret: str | bytes,
    *,
    now: float | None = None,
    tolerance: float = DEFAULT_TOLERANCE,
) -> WebhookEvent:
    """Verify a webhook and return its event. The arguments are those of :func:`verify_webhook`.

    Raises ``WebhookVerificationError``, ``DecodeError`` if the body is not a JSON object, and ``UsageError`` for a wrong argument.
    """
    verify_webhook(body, headers, secret, now=now, tolerance=tolerance)
    return parse_webhook(body)


def verify_webhook(
    body: bytes | str,
    headers: Mapping[str, str],
    secret: str | bytes,
    *,
    now: float | None = None,
    tolerance: float = DEFAULT_TOLERANCE,
) -> None:
    """Check that a webhook was signed with the secret, and recently.

    * ``body``: the request's body, as received.
    * ``headers``: the request's headers, with names in any case. ``webhook-id``, ``webhook-timestamp`` and ``webhook-signature`` are
      required.
    * ``secret``: the endpoint's secret as the server shows it (``whsec_`` and Base64), or the key itself as bytes.
    * ``now``: the time in seconds since 1970; default: the system clock.
    * ``tolerance``: the seconds by which the timestamp may differ from ``now``, in either direction.

    Raises ``WebhookVerificationError`` if the check fails. Answer such a request with 400, and do nothing else with it. Raises
    ``UsageError`` for an invalid secret, and for a body that was parsed already.
    """
    key, data = _key_of(secret), _bytes_of(body)
    names = {name.lower(): value for name, value in headers.items()}
    message_id, timestamp, signatures = (
        _header(names, name) for name in ("webhook-id", "webhook-timestamp", "webhook-signature")
    )
    if not (timestamp.isascii() and timestamp.isdecimal() and len(timestamp) <= _MAX_TIMESTAMP):
        raise WebhookVerificationError(
            f"webhook-timestamp must be seconds since 1970, got {timestamp[:40]!r}", reason="timestamp_invalid"
        )
    age = (time.time() if now is None else now) - int(timestamp)
    if not abs(age) <= tolerance:
        when = "old" if age > 0 else "far in the future"
        raise WebhookVerificationError(
            f"the webhook is too {when}: its timestamp differs from the current time by {abs(age):.0f} s; at most {tolerance:.0f} s are allowed; "
            "check the clock of this machine",
            reason="timestamp_too_old" if age > 0 else "timestamp_too_new",
        )
    expected = _signature(key, message_id, timestamp, data)
    matches = False
    for signature in signatures.split():
        version, _, given = signature.partition(",")
        # All are compared, each in constant time, so that the time taken says nothing about the expected one.
        matches |= version == _VERSION and hmac.compare_digest(expected, _utf8(given))
    if not matches:
        raise WebhookVerificationError(
            "no signature of the webhook matches: check that the secret is that of this endpoint, and that the body is as received",
            reason="signature_mismatch",
        )


def parse_webhook(body: bytes | str) -> WebhookEvent:
    """Return the event in the body of a webhook, without verifying it: see :func:`unwrap_webhook`.

    An event of another type is an ``UnknownWebhook``. Raises ``DecodeError`` if the body is not a JSON object.
    """
    return loads(_bytes_of(body), WebhookEvent)


def _signature(key: bytes, message_id: str, timestamp: str, data: bytes) -> bytes:
    signed = _utf8(f"{message_id}.{timestamp}.") + data
    return base64.b64encode(hmac.digest(key, signed, hashlib.sha256))


def _bytes_of(body: bytes | str) -> bytes:
    if isinstance(body, str):
        return _utf8(body)
    if not isinstance(body, (bytes, bytearray, memoryview)):  # pyright: ignore[reportUnnecessaryIsInstance] - a parsed body is a common mistake
        raise UsageError(f"the body must be bytes or str as received, got {type(body).__name__}: do not parse it first")
    return bytes(body)


def _utf8(text: str) -> bytes:
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # half a character, which nobody can have sent or signed: let the comparison fail
        return text.encode("utf-8", "surrogatepass")


def _key_of(secret: str | bytes) -> bytes:
    key = secret if isinstance(secret, bytes) else b""
    if isinstance(secret, str) and secret.startswith(_PREFIX):
        with contextlib.suppress(ValueError):
            key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    if not key:  # the message must not show it
        raise UsageError(
            f"the secret must begin with {_PREFIX!r}, followed by Base64; pass another kind of key as bytes"
        )
    return key


def _header(headers: Mapping[str, str], name: str) -> str:
    value = headers.get(name, "")
    if not value:
        raise WebhookVerificationError(f"the webhook has no {name!r} header", reason="header_missing")
    return value

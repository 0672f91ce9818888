"""Webhooks: what is signed and recent is accepted, and nothing else."""

from __future__ import annotations

import base64
import hashlib
import time
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from responses_proto.exceptions import DecodeError, ProtocolError, UsageError, WebhookVerificationError
from responses_proto.models import UnknownWebhook, WebhookResponseCompleted, WebhookResponseData
from responses_proto.protocol import parse_webhook, sign_webhook, unwrap_webhook, verify_webhook

# Computed with: openssl dgst -sha256 -mac HMAC. The first one is also the example of the Standard Webhooks libraries.
SECRET: Final = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # noqa: S105 - the secret of the example
EXAMPLE_BODY: Final = b'{"test": 2432232314}'
EXAMPLE: Final = {
    "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "webhook-timestamp": "1614265330",
    "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
}
BODY: Final = (
    '{"id":"evt_1","object":"event","created_at":1700000000,"type":"response.completed","data":{"id":"resp_1"}}'
)
SIGNATURE: Final = "v1,MeVW1CIJmAyaIXYoGYi6igE0YQb1p/71v27Kb+mv8I4="
HEADERS: Final = {"Webhook-Id": "wh_1", "Webhook-Timestamp": "1700000000", "Webhook-Signature": SIGNATURE}
SENT: Final = 1700000000


def signature_of(key: bytes, message_id: str, timestamp: int, body: bytes) -> str:
    """Compute a signature by the definition of HMAC (RFC 2104), without the module that the library uses."""
    key = (hashlib.sha256(key).digest() if len(key) > 64 else key).ljust(64, b"\0")
    inner = hashlib.sha256(bytes(b ^ 0x36 for b in key) + f"{message_id}.{timestamp}.".encode() + body).digest()
    return "v1," + base64.b64encode(hashlib.sha256(bytes(b ^ 0x5C for b in key) + inner).digest()).decode()


def refused(**changes: Any) -> str:
    arguments: dict[str, Any] = {"body": BODY, "headers": HEADERS, "secret": SECRET, "now": SENT, **changes}
    with pytest.raises(WebhookVerificationError) as caught:
        verify_webhook(arguments.pop("body"), arguments.pop("headers"), arguments.pop("secret"), **arguments)
    assert isinstance(caught.value, ProtocolError)
    assert "MfKQ9r8" not in str(caught.value)
    return caught.value.reason


def test_the_known_vectors_are_accepted() -> None:
    verify_webhook(EXAMPLE_BODY, EXAMPLE, SECRET, now=1614265330)
    for body in (BODY, BODY.encode()):
        assert unwrap_webhook(body, HEADERS, SECRET, now=SENT) == WebhookResponseCompleted(
            id="evt_1", created_at=SENT, data=WebhookResponseData(id="resp_1"), extra={}
        )


def test_the_known_vectors_are_signed_so() -> None:
    assert sign_webhook(EXAMPLE_BODY, SECRET, id=EXAMPLE["webhook-id"], now=1614265330.9) == EXAMPLE
    assert sign_webhook(BODY, SECRET, id="wh_1", now=SENT)["webhook-signature"] == SIGNATURE
    verify_webhook(BODY, sign_webhook(BODY, SECRET, id="wh_1"), SECRET)
    with pytest.raises(UsageError, match="the secret must begin with 'whsec_'"):
        sign_webhook(BODY, "hunter2", id="wh_1")


@given(st.binary(min_size=1, max_size=100), st.text("abc_", min_size=1), st.integers(0, 2**40), st.binary())
def test_what_is_signed_is_accepted(key: bytes, message_id: str, timestamp: int, body: bytes) -> None:
    headers = {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": signature_of(key, message_id, timestamp, body),
    }
    secret = "whsec_" + base64.b64encode(key).decode()
    verify_webhook(body, headers, secret, now=timestamp)
    verify_webhook(body, headers, key, now=timestamp)
    for change in (
        {"body": body + b" "},
        {"headers": {**headers, "webhook-id": message_id + "x"}},
        {"secret": key + b"x"},
    ):
        assert (
            refused(**{"body": body, "headers": headers, "secret": secret, "now": timestamp, **change})
            == "signature_mismatch"
        )


def test_one_of_several_signatures_is_enough() -> None:
    other = signature_of(b"other", "wh_1", SENT, BODY.encode())
    for listed in (f"{other} {SIGNATURE}", f"{SIGNATURE} {other}", f"v1a,AAAA {SIGNATURE}  v2,x", f"v1 , {SIGNATURE}"):
        verify_webhook(BODY, {**HEADERS, "Webhook-Signature": listed}, SECRET, now=SENT)
    for listed in (
        other,
        SIGNATURE.replace("v1,", "v2,"),
        SIGNATURE.removeprefix("v1,"),
        SIGNATURE[:-1],
        "v1,",
        "v1,\xfc",
        ",",
    ):
        assert refused(headers={**HEADERS, "Webhook-Signature": listed}) == "signature_mismatch"


@pytest.mark.parametrize("off", [-300, 0, 300])
def test_within_the_tolerance_it_is_accepted(off: float) -> None:
    verify_webhook(BODY, HEADERS, SECRET, now=SENT + off)


def test_out_of_the_tolerance_it_is_refused() -> None:
    assert refused(now=SENT + 300.5) == "timestamp_too_old"
    assert refused(now=SENT - 300.5) == "timestamp_too_new"
    assert refused(now=SENT + 6, tolerance=5) == "timestamp_too_old"
    verify_webhook(BODY, HEADERS, SECRET, now=SENT + 1000, tolerance=1000)
    with pytest.raises(WebhookVerificationError, match="too old"):  # by the clock of the system
        verify_webhook(BODY, HEADERS, SECRET)


def test_the_clock_of_the_system_is_the_default() -> None:
    timestamp = int(time.time())
    signature = signature_of(b"key", "wh_1", timestamp, b"{}")
    headers = {"webhook-id": "wh_1", "webhook-timestamp": str(timestamp), "webhook-signature": signature}
    assert unwrap_webhook(b"{}", headers, b"key") == UnknownWebhook(type="", raw={})


@pytest.mark.parametrize("timestamp", ["soon", "1e9", "-1", "1700000000.0", " 1700000000", "\u0661", "9" * 5000])
def test_a_timestamp_that_is_none_is_refused(timestamp: str) -> None:
    assert refused(headers={**HEADERS, "Webhook-Timestamp": timestamp}) == "timestamp_invalid"


@pytest.mark.parametrize("name", HEADERS)
def test_all_headers_are_needed(name: str) -> None:
    assert refused(headers={key: value for key, value in HEADERS.items() if key != name}) == "header_missing"
    assert refused(headers={**HEADERS, name: ""}) == "header_missing"


@pytest.mark.parametrize("code_point", [0xD83D, 0xDCFF], ids=hex)
def test_half_a_character_matches_nothing(code_point: int) -> None:
    half = chr(code_point)
    assert refused(body=BODY + half) == "signature_mismatch"
    assert refused(headers={**HEADERS, "Webhook-Id": half}) == "signature_mismatch"
    assert refused(headers={**HEADERS, "Webhook-Signature": f"v1,{half}"}) == "signature_mismatch"
    with pytest.raises(DecodeError):
        parse_webhook(BODY + half)


@pytest.mark.parametrize(
    "secret", ["", "whsec_", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_MfKQ9r8", "whsec_\xe4\xe4\xe4\xe4", b"", None]
)
def test_what_is_no_secret_is_a_usage_error_that_does_not_show_it(secret: Any) -> None:
    with pytest.raises(UsageError, match="the secret must begin with 'whsec_'") as caught:
        verify_webhook(BODY, HEADERS, secret, now=SENT)
    assert "MfKQ9r8" not in str(caught.value)


def test_a_parsed_body_is_a_usage_error() -> None:
    parsed: Any = {"id": "evt_1"}
    for call in (lambda: verify_webhook(parsed, HEADERS, SECRET), lambda: parse_webhook(parsed)):
        with pytest.raises(UsageError, match="as received, got dict"):
            call()


@pytest.mark.parametrize("body", ["", "[]", "nope", "7", b"\xff"])
def test_a_body_that_is_no_object_is_a_decode_error(body: bytes | str) -> None:
    with pytest.raises(DecodeError):
        parse_webhook(body)

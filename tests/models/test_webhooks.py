"""The events of webhooks: one class per type, and an open union."""

from __future__ import annotations

import pickle
import subprocess
import sys
from typing import TYPE_CHECKING, get_args

import pytest

from responses_proto import models
from responses_proto.codec import dump, load, make_converter
from responses_proto.models import WEBHOOK_TYPES, UnknownWebhook, WebhookEvent, WebhookResponseData

if TYPE_CHECKING:
    from responses_proto.typing import JSONObject

KINDS = ["response.completed", "response.failed", "response.incomplete", "response.cancelled"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("named", [True, False])
def test_each_type_has_its_class(kind: str, named: bool) -> None:
    wire: JSONObject = {"id": "evt_1", "created_at": 1700000000, "type": kind, "data": {"id": "resp_1"}}
    if named:
        wire = {**wire, "object": "event"}
    event: WebhookEvent = make_converter(strict=True).load(wire, WebhookEvent)
    assert type(event) is WEBHOOK_TYPES[kind]
    assert not isinstance(event, UnknownWebhook)
    assert (event.id, event.created_at, event.data) == ("evt_1", 1700000000, WebhookResponseData(id="resp_1"))
    assert dump(event) == wire
    assert pickle.loads(pickle.dumps(event)) == event  # noqa: S301 - our own bytes
    assert type(event).__name__ == "Webhook" + "".join(word.capitalize() for word in kind.split("."))


def test_other_types_are_kept() -> None:
    wire: JSONObject = {"id": "evt_1", "type": "batch.completed", "data": {"id": "batch_1"}}
    event: WebhookEvent = load(wire, WebhookEvent)
    assert event == UnknownWebhook(type="batch.completed", raw=wire)
    assert dump(event) == wire


def test_the_registry_is_the_union_without_the_unknown() -> None:
    assert list(WEBHOOK_TYPES) == [cls.type for cls in get_args(WebhookEvent)[:-1]]
    assert get_args(WebhookEvent)[-1] is UnknownWebhook
    assert {cls.__name__ for cls in get_args(WebhookEvent)} <= set(models.__all__) <= {*dir(models)}


def test_they_are_imported_when_they_are_used() -> None:
    code = "import sys, responses_proto.models as m; assert 'responses_proto.models.webhooks' not in sys.modules; m.WebhookEvent"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)  # noqa: S603 - our own interpreter and code

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal, get_args

import pytest

from responses_proto import UNSET
from responses_proto.codec import make_converter
from responses_proto.models import (
    ContentEventBase,
    Event,
    EventBase,
    ItemEventBase,
    Model,
    OutputEventBase,
    ResponseEventBase,
    SummaryEventBase,
    UnknownEvent,
    UnnumberedEventBase,
    Unset,
    event_bases,
    model,
)

if TYPE_CHECKING:
    from responses_proto.typing import JSONObject


@model
class AcmeProgress(ItemEventBase):
    type: ClassVar[Literal["acme:search.progress"]] = "acme:search.progress"
    percent: int | Unset = UNSET


def test_a_vendors_event_derives_from_a_base_and_is_registered() -> None:
    converter = make_converter(strict=True)
    converter.register(AcmeProgress, Event)
    wire: JSONObject = {
        "type": "acme:search.progress", "sequence_number": 3, "output_index": 0, "item_id": "i", "percent": 50, "stream_id": "s",
    }  # fmt: skip
    event: object = converter.load(wire, Event)
    assert event == AcmeProgress(sequence_number=3, output_index=0, item_id="i", percent=50, stream_id="s")
    assert converter.dump(event) == wire


@pytest.mark.parametrize(
    ("base", "fields"),
    [
        (EventBase, {"sequence_number"}),
        (UnnumberedEventBase, {"sequence_number"}),
        (ResponseEventBase, {"sequence_number", "response"}),
        (OutputEventBase, {"sequence_number", "output_index"}),
        (ItemEventBase, {"sequence_number", "output_index", "item_id"}),
        (ContentEventBase, {"sequence_number", "output_index", "item_id", "content_index"}),
        (SummaryEventBase, {"sequence_number", "output_index", "item_id", "summary_index"}),
    ],
)
def test_a_base_has_the_fields_that_the_table_lists(base: type[Model], fields: set[str]) -> None:
    assert {a.name for a in base.__attrs_attrs__} == fields | {"stream_id", "agent", "extra"}
    assert f":class:`{base.__name__}`" in (event_bases.__doc__ or "")


def test_every_event_derives_from_a_base() -> None:
    assert all(issubclass(cls, EventBase | UnnumberedEventBase) for cls in get_args(Event) if cls is not UnknownEvent)

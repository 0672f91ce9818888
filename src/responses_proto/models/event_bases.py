"""Define the base classes of events, which hold the fields that events share.

Derive from one of these classes to declare an event of a vendor, and add it to a converter with
:meth:`responses_proto.codec.Converter.register`:

============================ =================================== ========================================
base                         the event concerns                  fields
============================ =================================== ========================================
:class:`EventBase`           the stream                          ``sequence_number``
:class:`ResponseEventBase`   the response, with a snapshot of it ``sequence_number``, ``response``
:class:`OutputEventBase`     an output item, by position         ``sequence_number``, ``output_index``
:class:`ItemEventBase`       an output item, by position and id  the above, ``item_id``
:class:`ContentEventBase`    a content part                      those of an item, ``content_index``
:class:`SummaryEventBase`    a part of a reasoning summary       those of an item, ``summary_index``
:class:`UnnumberedEventBase` nothing in the sequence             ``sequence_number``, which may be absent
============================ =================================== ========================================

Every event also has ``stream_id``, for WebSocket, and ``agent``, for multi-agent responses. Indices count from 0.
"""

from __future__ import annotations

from ..typing import UNSET, Unset
from ._base import Model, model
from .actions import AgentReference
from .response import Response

__all__ = [
    "ContentEventBase",
    "EventBase",
    "ItemEventBase",
    "OutputEventBase",
    "ResponseEventBase",
    "SummaryEventBase",
    "UnnumberedEventBase",
]


@model
class _AnyEvent(Model):
    """The base of all event bases."""

    stream_id: str | None | Unset = UNSET
    """The WebSocket lane of the event: requests that run concurrently on a connection have different ids. Absent over SSE."""
    agent: AgentReference | None | Unset = UNSET
    """The agent that the event is about, in a multi-agent response."""


@model
class UnnumberedEventBase(_AnyEvent):
    """An event outside the sequence: it may have no sequence number."""

    sequence_number: int | None | Unset = UNSET


@model
class EventBase(_AnyEvent):
    """An event in the sequence of a response."""

    sequence_number: int
    """Starts at 0 and increases by 1 with every event. A stream can be resumed after a sequence number."""


@model
class ResponseEventBase(EventBase):
    """An event of the response itself."""

    response: Response
    """The response at this point."""


@model
class OutputEventBase(EventBase):
    """An event of one output item, identified by its position."""

    output_index: int
    """Position in ``response.output``."""


@model
class ItemEventBase(OutputEventBase):
    """An event of one output item, identified by position and id."""

    item_id: str
    """The ``id`` of the item."""


@model
class ContentEventBase(ItemEventBase):
    """An event of one content part."""

    content_index: int
    """Position in the item's ``content``."""


@model
class SummaryEventBase(ItemEventBase):
    """An event of one part of a reasoning summary."""

    summary_index: int
    """Position in the item's ``summary``."""

"""Typed models of everything on the wire: content, items, tools, events, requests, responses, conversations.

This module exports every public name of the modules below: the classes, the registries that map a wire name to its class
(``EVENT_TYPES``, ``ITEM_TYPES``, ``TOOL_TYPES``, ``CONTENT_TYPES``), and the open unions (``Event``, ``Item``, ``Tool``,
``Content``).

To declare a type of your own, such as a vendor's event, derive from the base that has its common fields (``ItemEventBase``,
for instance; items, tools and content parts derive from ``Model``), decorate it with ``@model`` and give it a wire string::

    @model
    class AcmeSearchFinished(ItemEventBase):
        type: ClassVar[Literal["acme:search.finished"]] = "acme:search.finished"
        hits: int | Unset = UNSET

Then add it to a converter: ``converter.register(AcmeSearchFinished, Event)`` (:meth:`responses_proto.codec.Converter.register`).
"""

from __future__ import annotations

from ..typing import UNSET, Unset
from . import (
    _base,
    actions,
    config,
    content,
    conversations,
    event_bases,
    event_parts,
    events,
    items,
    request,
    response,
    tools,
)
from ._base import *
from .actions import *
from .config import *
from .content import *
from .conversations import *
from .event_bases import *
from .event_parts import *
from .events import *
from .items import *
from .request import *
from .response import *
from .tools import *

__all__: list[str] = ["UNSET", "Unset"]
__all__ += _base.__all__
__all__ += actions.__all__
__all__ += config.__all__
__all__ += content.__all__
__all__ += conversations.__all__
__all__ += event_bases.__all__
__all__ += event_parts.__all__
__all__ += events.__all__
__all__ += items.__all__
__all__ += request.__all__
__all__ += response.__all__
__all__ += tools.__all__

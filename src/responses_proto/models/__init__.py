"""Typed models of everything on the wire: content, items, tools, events, requests, responses, conversations.

Every public name of the modules below is here too. The registries (wire name -> class) and the open unions stand
beside the classes: ``EVENT_TYPES`` and ``Event``, ``ITEM_TYPES`` and ``Item``, ``TOOL_TYPES`` and ``Tool``,
``CONTENT_TYPES`` and ``Content``.
"""

from __future__ import annotations

from ..typing import UNSET, Unset
from . import _base, actions, config, content, conversations, event_parts, events, items, request, response, tools
from ._base import *
from .actions import *
from .config import *
from .content import *
from .conversations import *
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
__all__ += event_parts.__all__
__all__ += events.__all__
__all__ += items.__all__
__all__ += request.__all__
__all__ += response.__all__
__all__ += tools.__all__

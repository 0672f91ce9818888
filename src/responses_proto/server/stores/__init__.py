"""Stores for responses, their events and conversations: the :class:`Store` contract, and its implementations.

:class:`MemoryStore` is bounded, and its contents are lost when the process ends; :class:`SQLiteStore` keeps everything in a file,
which several processes may share; :class:`RedisStore` is for any number of hosts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..._lazy import lazy_exports

if TYPE_CHECKING:
    __all__: list[str]

    from ._base import HistoryLink as HistoryLink
    from ._base import SharedStore as SharedStore
    from ._base import Signal as Signal
    from ._base import Store as Store
    from ._base import StoredResponse as StoredResponse
    from ._base import WireEvent as WireEvent
    from ._base import wire_event as wire_event
    from ._memory import MemoryStore as MemoryStore
    from ._redis import RedisStore as RedisStore
    from ._sqlite import SQLiteStore as SQLiteStore
else:
    __all__, __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            "._base": ("HistoryLink", "SharedStore", "Signal", "Store", "StoredResponse", "WireEvent", "wire_event"),
            "._memory": ("MemoryStore",),
            "._redis": ("RedisStore",),
            "._sqlite": ("SQLiteStore",),
        },
    )

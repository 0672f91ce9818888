"""The Responses API protocol: typed models, a sans-IO engine, an anyio client, and a server.

This module exports the names used most; each folder exports its own. Every name is imported on first use, so importing
this package imports neither httpx nor anyio.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._lazy import lazy_exports

if TYPE_CHECKING:
    __all__: list[str]

    from . import anomalies as anomalies
    from . import client as client
    from . import codec as codec
    from . import exceptions as exceptions
    from . import limits as limits
    from . import models as models
    from . import protocol as protocol
    from . import providers as providers
    from . import rules as rules
    from . import schema as schema
    from . import scripted as scripted
    from . import server as server
    from . import testing as testing
    from . import tools as tools
    from . import typing as typing
    from ._version import __version__ as __version__
    from .client.client import ResponsesClient as ResponsesClient
    from .client.hooks import Hooks as Hooks
    from .client.retry import RetryPolicy as RetryPolicy
    from .client.stream import EventStream as EventStream
    from .client.timeouts import Timeouts as Timeouts
    from .limits import Limits as Limits
    from .models.request import CreateResponse as CreateResponse
    from .models.response import Response as Response
    from .protocol.accumulator import Accumulator as Accumulator
    from .protocol.stream import Outcome as Outcome
    from .protocol.stream import ResponseStream as ResponseStream
    from .tools.executors import function_tool as function_tool
    from .typing import UNSET as UNSET
    from .typing import Cursor as Cursor
else:
    __all__, __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            ".": (
                "anomalies",
                "client",
                "codec",
                "exceptions",
                "limits",
                "models",
                "protocol",
                "providers",
                "rules",
                "schema",
                "scripted",
                "server",
                "testing",
                "tools",
                "typing",
            ),
            "._version": ("__version__",),
            ".client.client": ("ResponsesClient",),
            ".client.hooks": ("Hooks",),
            ".client.retry": ("RetryPolicy",),
            ".client.stream": ("EventStream",),
            ".client.timeouts": ("Timeouts",),
            ".limits": ("Limits",),
            ".models.request": ("CreateResponse",),
            ".models.response": ("Response",),
            ".protocol.accumulator": ("Accumulator",),
            ".protocol.stream": ("Outcome", "ResponseStream"),
            ".tools.executors": ("function_tool",),
            ".typing": ("Cursor", "UNSET"),
        },
    )

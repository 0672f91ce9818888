"""The Responses API protocol: typed models, a sans-IO engine, an anyio client, and the other end of the wire.

Names are loaded when they are first asked for: importing this package imports neither httpx nor anyio.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from . import codec as codec
    from . import exceptions as exceptions
    from . import models as models
    from . import testing as testing
    from ._version import __version__ as __version__
    from .accumulator import Accumulator as Accumulator
    from .aio.client import EventStream as EventStream
    from .aio.client import ResponsesClient as ResponsesClient
    from .aio.hooks import Hooks as Hooks
    from .aio.tools import function_tool as function_tool
    from .cursor import Cursor as Cursor
    from .limits import Limits as Limits
    from .models.request import CreateResponse as CreateResponse
    from .models.response import Response as Response
    from .protocol import Outcome as Outcome
    from .protocol import ResponseStream as ResponseStream
    from .retry import RetryPolicy as RetryPolicy
    from .timeouts import Timeouts as Timeouts
    from .typing import UNSET as UNSET

__all__ = [
    "UNSET",
    "Accumulator",
    "CreateResponse",
    "Cursor",
    "EventStream",
    "Hooks",
    "Limits",
    "Outcome",
    "Response",
    "ResponseStream",
    "ResponsesClient",
    "RetryPolicy",
    "Timeouts",
    "__version__",
    "codec",
    "exceptions",
    "function_tool",
    "models",
    "testing",
]

# Name -> the module that has it. A module itself stands under its own name.
_HOMES: Final[dict[str, str]] = {
    "UNSET": ".typing",
    "Accumulator": ".accumulator",
    "CreateResponse": ".models.request",
    "Cursor": ".cursor",
    "EventStream": ".aio.client",
    "Hooks": ".aio.hooks",
    "Limits": ".limits",
    "Outcome": ".protocol",
    "Response": ".models.response",
    "ResponseStream": ".protocol",
    "ResponsesClient": ".aio.client",
    "RetryPolicy": ".retry",
    "Timeouts": ".timeouts",
    "__version__": "._version",
    "codec": ".codec",
    "exceptions": ".exceptions",
    "function_tool": ".aio.tools",
    "models": ".models",
    "testing": ".testing",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module(home, __name__)
    value = module if home == f".{name}" else getattr(module, name)
    globals()[name] = value  # so that the next look-up costs nothing
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

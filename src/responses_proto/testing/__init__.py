"""The other end of the wire, for tests: a server that says anything, in any broken way, and checks of what servers say.

::

    async with FakeServer(Answer.text("Hello, world.").with_faults(Fault.split_every(1))) as server:
        async with ResponsesClient(server.url) as client, client.stream(model="m", input="x") as stream:
            assert (await stream.result()).output_text == "Hello, world."

Everything works on asyncio and trio, and none of it needs a network or a key.

Names are loaded when they are first asked for, so that pytest can have the plugin (:mod:`.plugin`) without the rest.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from ..rules import RULES as RULES
    from ..rules import Rule as Rule
    from . import strategies as strategies
    from .answers import Answer as Answer
    from .answers import Close as Close
    from .answers import Draft as Draft
    from .answers import Pause as Pause
    from .answers import Reset as Reset
    from .answers import Stall as Stall
    from .answers import Step as Step
    from .cassettes import Cassette as Cassette
    from .cassettes import record as record
    from .cassettes import replay as replay
    from .conformance import Finding as Finding
    from .conformance import Report as Report
    from .conformance import StreamReport as StreamReport
    from .conformance import assert_ok as assert_ok
    from .conformance import check_stream as check_stream
    from .faults import FAULTS as FAULTS
    from .faults import Fault as Fault
    from .peer import Peer as Peer
    from .peer import Request as Request
    from .prober import Check as Check
    from .prober import ServerReport as ServerReport
    from .prober import check_server as check_server
    from .recording import RecordingServer as RecordingServer
    from .server import FakeServer as FakeServer
    from .server import Script as Script
    from .server import Scriptable as Scriptable

__all__ = [
    "FAULTS",
    "RULES",
    "Answer",
    "Cassette",
    "Check",
    "Close",
    "Draft",
    "FakeServer",
    "Fault",
    "Finding",
    "Pause",
    "Peer",
    "RecordingServer",
    "Report",
    "Request",
    "Reset",
    "Rule",
    "Script",
    "Scriptable",
    "ServerReport",
    "Stall",
    "Step",
    "StreamReport",
    "assert_ok",
    "check_server",
    "check_stream",
    "record",
    "replay",
]

# Name -> the module that has it. A module itself stands under its own name: the strategies, which are in no `__all__` because they
# need an extra.
_HOMES: Final[dict[str, str]] = {
    "FAULTS": ".faults",
    "RULES": "..rules",
    "Answer": ".answers",
    "Cassette": ".cassettes",
    "Check": ".prober",
    "Close": ".answers",
    "Draft": ".answers",
    "FakeServer": ".server",
    "Fault": ".faults",
    "Finding": ".conformance",
    "Pause": ".answers",
    "Peer": ".peer",
    "RecordingServer": ".recording",
    "Report": ".conformance",
    "Request": ".peer",
    "Reset": ".answers",
    "Rule": "..rules",
    "Script": ".server",
    "Scriptable": ".server",
    "ServerReport": ".prober",
    "Stall": ".answers",
    "Step": ".answers",
    "StreamReport": ".conformance",
    "assert_ok": ".conformance",
    "check_server": ".prober",
    "check_stream": ".conformance",
    "record": ".cassettes",
    "replay": ".cassettes",
    "strategies": ".strategies",
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

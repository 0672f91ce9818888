"""The other end of the wire, for tests: a server that says anything, in any broken way, and checks of what servers say.

::

    async with FakeServer(Answer.text("Hello, world.").with_faults(Fault.split_every(1))) as server:
        async with ResponsesClient(server.url) as client, client.stream(model="m", input="x") as stream:
            assert (await stream.result()).output_text == "Hello, world."

Everything works on asyncio and trio, and none of it needs a network or a key.
"""

from __future__ import annotations

from ..rules import RULES, Rule
from .answers import Answer, Close, Draft, Pause, Reset, Stall, Step
from .cassettes import Cassette, record, replay
from .conformance import Finding, Report, StreamReport, check_stream
from .faults import FAULTS, Fault
from .peer import Peer, Request
from .prober import Check, ServerReport, check_server
from .server import FakeServer, Script, Scriptable

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
    "check_server",
    "check_stream",
    "record",
    "replay",
]

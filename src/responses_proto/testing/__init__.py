"""Tools for tests: a fake server with faults, conformance checks, cassettes, and Hypothesis strategies.

::

    async with FakeServer(Answer.text("Hello, world.").with_faults(Fault.split_every(1))) as server:
        async with ResponsesClient(server.url) as client, client.stream(model="m", input="x") as stream:
            assert (await stream.result()).output_text == "Hello, world."

Everything works on asyncio and trio, and needs neither a network nor a key, except for recording a cassette. Names are loaded on first
use, so that pytest can load :mod:`.plugin` without the other modules.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._lazy import lazy_exports

if TYPE_CHECKING:
    __all__: list[str]

    from ..rules import RULES as RULES
    from ..rules import Rule as Rule
    from . import strategies as strategies
    from .cassettes import Cassette as Cassette
    from .cassettes import replay as replay
    from .conformance.clients import ClientReport as ClientReport
    from .conformance.clients import check_client as check_client
    from .conformance.fields import Profile as Profile
    from .conformance.servers import Check as Check
    from .conformance.servers import ServerReport as ServerReport
    from .conformance.servers import check_server as check_server
    from .conformance.streams import Finding as Finding
    from .conformance.streams import Report as Report
    from .conformance.streams import StreamReport as StreamReport
    from .conformance.streams import assert_ok as assert_ok
    from .conformance.streams import check_stream as check_stream
    from .fake.answers import Answer as Answer
    from .fake.chat import FakeChat as FakeChat
    from .fake.chat_dialects import CHAT_DIALECTS as CHAT_DIALECTS
    from .fake.chat_dialects import ChatCall as ChatCall
    from .fake.chat_dialects import ChatDialect as ChatDialect
    from .fake.chat_dialects import ChatTurn as ChatTurn
    from .fake.dialects import DIALECTS as DIALECTS
    from .fake.dialects import Dialect as Dialect
    from .fake.exchange import Request as Request
    from .fake.exchange import ServerExchange as ServerExchange
    from .fake.faults import FAULTS as FAULTS
    from .fake.faults import Fault as Fault
    from .fake.script import Script as Script
    from .fake.script import Scriptable as Scriptable
    from .fake.server import FakeServer as FakeServer
    from .fake.steps import Close as Close
    from .fake.steps import Pause as Pause
    from .fake.steps import Reset as Reset
    from .fake.steps import Stall as Stall
    from .fake.steps import Step as Step
    from .fake.steps import WireAnswer as WireAnswer
    from .recording import RecordingServer as RecordingServer
    from .recording import record as record
    from .stores import check_store as check_store
else:
    __all__, __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            "..rules": ("RULES", "Rule"),
            ".cassettes": ("Cassette", "replay"),
            ".conformance.clients": ("ClientReport", "check_client"),
            ".conformance.fields": ("Profile",),
            ".conformance.servers": ("Check", "ServerReport", "check_server"),
            ".conformance.streams": ("Finding", "Report", "StreamReport", "assert_ok", "check_stream"),
            ".fake.answers": ("Answer",),
            ".fake.chat": ("FakeChat",),
            ".fake.chat_dialects": ("CHAT_DIALECTS", "ChatCall", "ChatDialect", "ChatTurn"),
            ".fake.dialects": ("DIALECTS", "Dialect"),
            ".fake.exchange": ("Request", "ServerExchange"),
            ".fake.faults": ("FAULTS", "Fault"),
            ".fake.script": ("Script", "Scriptable"),
            ".fake.server": ("FakeServer",),
            ".fake.steps": ("Close", "Pause", "Reset", "Stall", "Step", "WireAnswer"),
            ".recording": ("RecordingServer", "record"),
            ".stores": ("check_store",),
        },
        extras=("strategies",),
    )

"""Checks of a server: what it answers to good and to bad requests, at every endpoint of the protocol.

::

    report = await check_server("http://127.0.0.1:8080/v1", model="scripted")
    print(report)                                  # a line for each check: passed, failed or skipped
    assert report.ok

Each check makes the requests that it needs, so that any of them can be made alone, and is called by the id of the rule that it
checks (:data:`~responses_proto.rules.RULES`). The requests are small, but they are real: a server in front of a model makes the model work.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, cast

import anyio
import attrs

from ...client._address import checked_url, resolve_endpoint
from ...client.transport._exchange import shut
from ...client.transport.http import HTTPTransport
from ...exceptions import LocalProtocolError, ResponsesProtoError
from ._checks import CHECKS
from ._probe import CheckFailed, Probe, Skipped
from .streams import Finding, Report, check_rules

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, MutableMapping

    from ...client.transport.base import Transport
    from ...client.transport.http import HTTPClient

__all__ = ["ASGIApp", "Check", "ServerReport", "check_server"]

_Message: TypeAlias = "MutableMapping[str, Any]"
ASGIApp: TypeAlias = (
    "Callable[[_Message, Callable[[], Awaitable[_Message]], Callable[[_Message], Awaitable[None]]], Awaitable[None]]"
)
"""An application as ASGI 3 has it."""

_IN_MEMORY: Final = "http://app.invalid/v1"
_STATUSES: Final = ("passed", "failed", "skipped")


@attrs.frozen(kw_only=True)
class Check:
    """What came of one check."""

    rule: str
    """The rule that was checked, a key of :data:`~responses_proto.rules.RULES`."""
    status: Literal["passed", "failed", "skipped"]
    """``skipped``: the server does not offer what the check is about."""
    request: str
    """The last request that was made: ``POST /responses``."""
    detail: str = ""
    """Why it was not passed, for people."""
    stream: tuple[Finding, ...] = ()
    """What was found in the stream that came, if that is why."""

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What was found: nothing, unless it failed; then that, and what was found in the stream that came."""
        return (Finding(self.rule, None, self.request, self.detail), *self.stream) if self.status == "failed" else ()

    def __str__(self) -> str:
        head = f"{self.status:7} {self.rule}" + (f": {self.request}: {self.detail}" if self.detail else "")
        return "\n".join([head, *(f"        {finding}" for finding in self.stream)])


@attrs.frozen
class ServerReport(Report):
    """What was found at one server."""

    checks: tuple[Check, ...]
    """All checks that were made, in the order of the table."""

    def __str__(self) -> str:
        counts = {status: sum(check.status == status for check in self.checks) for status in _STATUSES}
        head = ", ".join(f"{count} {status}" for status, count in counts.items())
        return "\n".join([head, *map(str, self.checks)])


async def check_server(
    server: str | ASGIApp,
    *,
    key: str | None = None,
    model: str = "scripted",
    only: Collection[str] | None = None,
    ignore: Collection[str] = (),
    deadline: float = 30.0,
    http_client: HTTPClient | Transport | None = None,
) -> ServerReport:
    """Check what a server answers: one at a base URL (``http://127.0.0.1:8080/v1``), or an ASGI application, in memory.

    ``only`` names the checks to make, all if not given; ``ignore`` names rules that do not count, be they of checks or of streams. A
    check that has not come to its end after ``deadline`` seconds has failed. ``key`` is sent as the server's provider wants it.
    ``http_client`` is what a ``ResponsesClient`` takes under this name.

    What the server does not offer (404, 405, 501) is skipped, which is no finding; a server that cannot be reached fails every
    check. Raises ``LocalProtocolError`` for a rule that is not known or is no server's, for a base URL that is none, and for an
    application that does not start.
    """
    ignored = check_rules(ignore)
    chosen = [rule for rule in CHECKS if (only is None or rule in only) and rule not in ignored]
    for rule in check_rules(only or ()) - CHECKS.keys():
        raise LocalProtocolError(f"{rule!r} is no check of a server: these are {', '.join(CHECKS)}")
    dialect, url, secret = resolve_endpoint(server if isinstance(server, str) else _IN_MEMORY, key, None, {})
    headers = {dialect.key_header: f"{dialect.key_prefix}{secret}"} if secret else {}
    url = checked_url(url, dialect)

    async def made(client: HTTPClient | Transport | None) -> ServerReport:
        owned = client is None or hasattr(client, "build_request")
        transport = HTTPTransport(cast("HTTPClient | None", client)) if owned else cast("Transport", client)
        probe = Probe(transport, url, headers, model, ignored)
        try:
            checks = [await _check(probe, rule, deadline) for rule in chosen]
        finally:
            if owned:
                await shut(transport)
        return ServerReport(tuple(finding for check in checks for finding in check.findings), tuple(checks))

    return await (made(http_client) if isinstance(server, str) else _in_memory(server, deadline, made))


async def _check(probe: Probe, rule: str, deadline: float) -> Check:
    """Make one check."""
    stream: tuple[Finding, ...] = ()
    status: Literal["failed", "skipped"] = "failed"
    detail = f"no end after {deadline} seconds"
    try:
        with anyio.move_on_after(deadline):
            await CHECKS[rule](probe)
            return Check(rule=rule, status="passed", request=probe.last_request)
    except Skipped as skipped:
        status, detail = "skipped", str(skipped)
    except CheckFailed as broken:
        detail, stream = str(broken), broken.stream
    except ResponsesProtoError as error:  # the connection's, mostly
        detail = f"{type(error).__name__}: {error}"
    return Check(rule=rule, status=status, request=probe.last_request, detail=detail, stream=stream)


async def _in_memory(
    app: ASGIApp, deadline: float, work: Callable[[HTTPClient], Awaitable[ServerReport]]
) -> ServerReport:
    """Do the work with a client of an application that is begun and ended around it, as ASGI's lifespan has it."""
    import httpx  # noqa: PLC0415 - only who has an application of their own pays for it

    report: ServerReport | None = None
    life = _Life(app)
    transport = httpx.ASGITransport(cast("Any", app), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport) as client, anyio.create_task_group() as tasks:
        tasks.start_soon(life.live)
        with anyio.move_on_after(deadline):
            await life.begun.wait()
        if life.begun.is_set():
            report = await work(client)
        life.over.set()
        with anyio.move_on_after(deadline):
            await life.ended.wait()
        tasks.cancel_scope.cancel()
    if report is None:
        raise LocalProtocolError(f"the application has not started after {deadline} seconds")
    return report


class _Life:
    """The server's side of an application's lifespan (ASGI, Lifespan protocol)."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._told = False
        self.begun = anyio.Event()
        self.over = anyio.Event()
        self.ended = anyio.Event()

    async def live(self) -> None:
        try:
            await self._app({"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}, self._receive, self._send)
        except Exception:  # noqa: BLE001, S110 - an application need not know of it, and raises what it likes then
            pass
        finally:
            self.begun.set()
            self.ended.set()

    async def _receive(self) -> _Message:
        if self._told:
            await self.over.wait()
            return {"type": "lifespan.shutdown"}
        self._told = True
        return {"type": "lifespan.startup"}

    async def _send(self, message: _Message) -> None:
        # An application that says that it failed to start is asked all the same: its answers say what is wrong.
        (self.ended if message["type"].startswith("lifespan.shutdown") else self.begun).set()

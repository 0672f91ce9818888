"""Check what a server answers to valid and invalid requests, at every endpoint of the protocol.

::

    report = await check_server("http://127.0.0.1:8080/v1", model="scripted")
    print(report)                                  # a line for each check: passed, failed or skipped
    assert report.ok

Each check makes the requests that it needs, so it can run alone, and has the id of the rule that it checks
(:data:`~responses_proto.rules.RULES`). The requests are small but real: a server in front of a model makes the model work.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, cast

import anyio
import attrs

from ...client._address import normalize_base_url, resolve_endpoint
from ...client.transport._exchange import shut
from ...client.transport.http import HTTPTransport
from ...exceptions import ResponsesProtoError, UsageError
from ._checks import CHECKS
from ._probe import CheckFailed, Probe, Skipped
from .streams import Finding, Report, check_rules

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, MutableMapping

    from ...client.transport.base import Transport
    from ...client.transport.http import HTTPClient

__all__ = ["ASGIApp", "Check", "ServerReport", "check_server"]

_ASGIMessage: TypeAlias = "MutableMapping[str, Any]"
ASGIApp: TypeAlias = "Callable[[_ASGIMessage, Callable[[], Awaitable[_ASGIMessage]], Callable[[_ASGIMessage], Awaitable[None]]], Awaitable[None]]"
"""An ASGI 3 application."""

_IN_MEMORY: Final = "http://app.invalid/v1"
_STATUSES: Final = ("passed", "failed", "skipped")


@attrs.frozen(kw_only=True)
class Check:
    """The result of one check."""

    rule: str
    """The rule that was checked, a key of :data:`~responses_proto.rules.RULES`."""
    status: Literal["passed", "failed", "skipped"]
    """``skipped`` means that the server does not offer what the rule applies to."""
    request: str
    """The last request of the check, such as ``POST /responses``."""
    detail: str = ""
    """Why the check did not pass, for people."""
    stream: tuple[Finding, ...] = ()
    """The findings in the stream, if the check failed because a stream does not conform."""

    @property
    def findings(self) -> tuple[Finding, ...]:
        """The failure as a finding, followed by the findings in the stream; empty if the check did not fail."""
        return (Finding(self.rule, None, self.request, self.detail), *self.stream) if self.status == "failed" else ()

    def __str__(self) -> str:
        head = f"{self.status:7} {self.rule}" + (f": {self.request}: {self.detail}" if self.detail else "")
        return "\n".join([head, *(f"        {finding}" for finding in self.stream)])


@attrs.frozen
class ServerReport(Report):
    """The results of all checks of one server."""

    checks: tuple[Check, ...]
    """In the order of the table of rules."""

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
    """Check a server, and return a report with the result of each check.

    ``server``: the base URL (``http://127.0.0.1:8080/v1``), or an ASGI application, which is then called in memory.
    ``key``: the API key, sent in the header that the server's provider expects.
    ``only``: the ids of the rules to check; all by default.
    ``ignore``: ids of rules to leave out, both checks and rules of streams.
    ``deadline``: seconds after which a check fails.
    ``http_client``: as for ``ResponsesClient``.

    A check of an endpoint that the server does not offer (404, 405, 501) is skipped, which is not a finding. If the server cannot be
    reached, every check fails. Raises ``UsageError`` for an unknown rule, a rule that does not apply to servers, an invalid base
    URL, and an application that does not start within the deadline.
    """
    ignored = check_rules(ignore)
    chosen = [rule for rule in CHECKS if (only is None or rule in only) and rule not in ignored]
    for rule in check_rules(only or ()) - CHECKS.keys():
        raise UsageError(f"{rule!r} is not a rule of servers, expected one of {', '.join(CHECKS)}")
    provider, url, api_key = resolve_endpoint(server if isinstance(server, str) else _IN_MEMORY, key, None, {})
    headers = {provider.key_header: f"{provider.key_prefix}{api_key}"} if api_key else {}
    url = normalize_base_url(url, provider)

    async def run_checks(client: HTTPClient | Transport | None) -> ServerReport:
        owned = client is None or hasattr(client, "build_request")
        transport = HTTPTransport(cast("HTTPClient | None", client)) if owned else cast("Transport", client)
        probe = Probe(transport, url, headers, model, ignored)
        try:
            checks = [await _run_check(probe, rule, deadline) for rule in chosen]
        finally:
            if owned:
                await shut(transport)
        return ServerReport(tuple(finding for check in checks for finding in check.findings), tuple(checks))

    return await (run_checks(http_client) if isinstance(server, str) else _in_memory(server, deadline, run_checks))


async def _run_check(probe: Probe, rule: str, deadline: float) -> Check:
    stream: tuple[Finding, ...] = ()
    status: Literal["failed", "skipped"] = "failed"
    detail = f"not finished after {deadline} seconds"
    try:
        with anyio.move_on_after(deadline):
            await CHECKS[rule](probe)
            return Check(rule=rule, status="passed", request=probe.last_request)
    except Skipped as skipped:
        status, detail = "skipped", str(skipped)
    except CheckFailed as failed:
        detail, stream = str(failed), failed.findings
    except ResponsesProtoError as error:  # mostly transport errors
        detail = f"{type(error).__name__}: {error}"
    return Check(rule=rule, status=status, request=probe.last_request, detail=detail, stream=stream)


async def _in_memory(
    app: ASGIApp, deadline: float, run_checks: Callable[[HTTPClient], Awaitable[ServerReport]]
) -> ServerReport:
    """Start an application, run the checks with a client of it, and shut it down."""
    import httpx  # noqa: PLC0415 - only needed for applications

    report: ServerReport | None = None
    lifespan = _Lifespan(app)
    transport = httpx.ASGITransport(cast("Any", app), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport) as client, anyio.create_task_group() as tasks:
        tasks.start_soon(lifespan.run)
        with anyio.move_on_after(deadline):
            await lifespan.started.wait()
        if lifespan.started.is_set():
            report = await run_checks(client)
        lifespan.shutdown.set()
        with anyio.move_on_after(deadline):
            await lifespan.stopped.wait()
        tasks.cancel_scope.cancel()
    if report is None:
        raise UsageError(f"the application has not started after {deadline} seconds")
    return report


class _Lifespan:
    """The server's side of the ASGI lifespan protocol."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._startup_sent = False
        self.started = anyio.Event()
        self.shutdown = anyio.Event()
        """Set by the user of this class to shut the application down."""
        self.stopped = anyio.Event()

    async def run(self) -> None:
        try:
            await self._app({"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}, self._receive, self._send)
        except Exception:  # noqa: BLE001, S110 - an application without lifespan support may raise anything
            pass
        finally:
            self.started.set()
            self.stopped.set()

    async def _receive(self) -> _ASGIMessage:
        if self._startup_sent:
            await self.shutdown.wait()
            return {"type": "lifespan.shutdown"}
        self._startup_sent = True
        return {"type": "lifespan.startup"}

    async def _send(self, message: _ASGIMessage) -> None:
        # An application that reports a failed startup is checked all the same: its answers show the problem.
        (self.stopped if message["type"].startswith("lifespan.shutdown") else self.started).set()

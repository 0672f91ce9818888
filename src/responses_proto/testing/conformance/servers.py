"""Check the answers of a server to valid and invalid requests, at every endpoint of the protocol.

::

    report = await check_server("http://127.0.0.1:8080/v1", model="scripted")
    print(report)                                  # a line for each check: passed, failed or skipped
    assert report.ok

Each check sends the requests that it needs, so it can run alone, and has the id of the rule that it checks
(:data:`~responses_proto.rules.RULES`). The requests are small but real: a server in front of a model makes the model work.

Each cause is reported once. A check that depends on a broken rule is skipped. A rule that one stream breaks is not reported again for
later streams. All faults of fields belong to the check ``create-fields``, once for each field. A server that cannot be reached, refuses
the key, or is not a Responses API results in a single finding.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, cast

import anyio
import attrs

from ...client._address import check_headers, normalize_base_url, resolve_endpoint
from ...client.transport._exchange import shut
from ...client.transport.http import HTTPTransport
from ...exceptions import ConnectError, ResponsesProtoError, TransportError, UsageError
from ._checks import CHECKS
from ._probe import CheckFailed, Probe, Skipped
from .streams import Finding, Report, check_profile, check_rules, counted, grouped

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, MutableMapping

    from ...client.transport.base import Transport
    from ...client.transport.http import HTTPClient
    from ._probe_socket import ASGIApp
    from .fields import Profile
    from .timeline import Recording

__all__ = ["Check", "CheckStatus", "ServerReport", "check_server", "server_checks"]

_Message: TypeAlias = "MutableMapping[str, Any]"
CheckStatus: TypeAlias = Literal["passed", "failed", "skipped"]

_IN_MEMORY: Final = "http://app.invalid/v1"
_STATUSES: Final[tuple[CheckStatus, ...]] = ("passed", "failed", "skipped")
_DETAIL: Final = 300  # characters of a detail


@attrs.frozen(kw_only=True)
class Check:
    """The result of one check."""

    rule: str
    """The rule that was checked, a key of :data:`~responses_proto.rules.RULES`."""
    status: CheckStatus
    """``skipped`` means that the server does not offer the feature, or that another finding explains the failure."""
    request: str
    """The last request of the check, such as ``POST /responses``."""
    detail: str = ""
    """Why the check did not pass, as readable text."""
    causes: tuple[Finding, ...] = ()
    """The individual faults: the findings in a stream, or the fields at fault."""

    @property
    def findings(self) -> tuple[Finding, ...]:
        """The causes, or the failure itself as a finding if it has no causes; empty if the check did not fail."""
        failed = self.status == "failed"
        return (self.causes or (Finding(self.rule, None, self.request, self.detail),)) if failed else ()

    def __str__(self) -> str:
        told = ": ".join(part for part in (self.request, self.detail[:_DETAIL]) if part)
        return f"{self.status:7} {self.rule}" + (f": {told}" if self.detail else "")


@attrs.frozen
class ServerReport(Report):
    """The results of all checks of one server."""

    checks: tuple[Check, ...]
    """In the order of the table of rules; only ``unreachable``, ``unauthorized`` or ``unavailable`` if nothing could be checked."""
    server: str = ""
    """The base URL."""
    profile: Profile = "openresponses"
    """The specification that the server was compared with."""
    recordings: tuple[Recording, ...] = attrs.field(default=(), repr=False)
    """The streams of the server, with the time of arrival of each piece."""

    @property
    def rules(self) -> frozenset[str]:
        """The ids of the rules that were broken: those of the failed checks, and of the findings."""
        return frozenset(check.rule for check in self.checks if check.status == "failed") | super().rules

    @property
    def counts(self) -> dict[str, int]:
        """The number of checks by status."""
        return {status: sum(check.status == status for check in self.checks) for status in _STATUSES}

    def __str__(self) -> str:
        head = ", ".join(f"{count} {status}" for status, count in self.counts.items())
        return "\n".join([head, *map(str, self.checks), *grouped(self.findings)])


async def check_server(
    server: str | ASGIApp,
    *,
    key: str | None = None,
    model: str = "scripted",
    profile: Profile = "openresponses",
    only: Collection[str] | None = None,
    ignore: Collection[str] = (),
    deadline: float = 30.0,
    http_client: HTTPClient | Transport | None = None,
    on_check: Callable[[Check], object] | None = None,
) -> ServerReport:
    """Check a server, and return a report with the result of each check.

    ``server``: the base URL (``http://127.0.0.1:8080/v1``), or an ASGI application, which is then called in memory.
    ``key``: the API key, sent in the header that the server's provider expects.
    ``profile``: the specification that the server should follow: ``openresponses`` requires 31 fields of a response, ``openai`` 14.
    ``only``: the ids of the rules to check; all by default.
    ``ignore``: ids of rules to leave out, both checks and rules of streams.
    ``deadline``: seconds after which a check fails. Time spent waiting for a rate limit (429) does not count.
    ``http_client``: as for ``ResponsesClient``.
    ``on_check``: called with each result as soon as it is known.

    A check of an endpoint that the server does not offer (404, 405, 501) is skipped, which is not a finding. If the server cannot be
    reached, does not answer, refuses the key, or answers the simplest request unlike a Responses API, that is the only finding:
    ``unreachable``, ``unauthorized`` or ``unavailable``. WebSockets of a URL need the extra ``ws``. Raises ``UsageError`` for an unknown
    rule or profile, a rule that does not apply to servers, an invalid base URL or key, and an application that does not start within the
    deadline.
    """
    ignored = check_rules(ignore)
    check_profile(profile)
    chosen = [rule for rule in CHECKS if (only is None or rule in only) and rule not in ignored]
    for rule in sorted(check_rules(only or ()) - CHECKS.keys()):
        raise UsageError(f"{rule!r} is not a rule of servers, expected one of {', '.join(CHECKS)}")
    provider, url, api_key = resolve_endpoint(server if isinstance(server, str) else _IN_MEMORY, key, None, {})
    headers = check_headers({provider.key_header: f"{provider.key_prefix}{api_key}"} if api_key else {})
    url = normalize_base_url(url, provider)

    async def run_checks(client: HTTPClient | Transport | None) -> ServerReport:
        owned = client is None or hasattr(client, "build_request")
        transport = HTTPTransport(cast("HTTPClient | None", client)) if owned else cast("Transport", client)
        app = None if isinstance(server, str) else server
        probe = Probe(transport, url, headers, model, ignore=ignored, profile=profile, secret=api_key, app=app)
        try:
            checks = await _run_checks(probe, chosen, deadline, on_check or (lambda _: None))
        finally:
            if owned:
                await shut(transport)
        findings = tuple(finding for check in checks for finding in check.findings if finding.rule not in ignored)
        return ServerReport(findings, tuple(checks), url, profile, tuple(probe.recordings))

    return await (run_checks(http_client) if isinstance(server, str) else _in_memory(server, deadline, run_checks))


def server_checks() -> list[str]:
    """Return the rules of servers, in the order of the table of rules."""
    return list(CHECKS)


async def _run_checks(
    probe: Probe, chosen: list[str], deadline: float, on_check: Callable[[Check], object]
) -> list[Check]:
    """Run the checks in order, except for ``create-fields``: it runs last, because it covers the answers to all other checks."""
    results: dict[str, Check] = {}
    blocked = await _blocked(probe, deadline)
    if blocked is not None:
        on_check(blocked)
        return [blocked]
    for rule in sorted(chosen, key=lambda rule: rule == "create-fields"):
        broken = [need for need in CHECKS[rule].needs if need in results and _explains(results[need])]
        if broken:
            check = Check(rule=rule, status="skipped", request="", detail=f"not checked: {broken[0]} failed")
        else:
            probe.check = rule
            check = await _run_check(probe, rule, deadline)
        if check.rule == "unreachable":
            on_check(check)
            return [check, *(results[rule] for rule in chosen if rule in results)]
        if rule == "create-fields" and probe.field_faults:
            faults = tuple(probe.field_faults.values())
            detail = f"{counted(len(faults), 'finding')} in the fields of bodies and events"
            check = Check(rule=rule, status="failed", request=check.request, detail=detail, causes=faults)
        results[rule] = check
        on_check(check)
    return [results[rule] for rule in chosen]


def _explains(check: Check) -> bool:
    """Return whether a check failed in a way that makes dependent checks fail too. A failure with causes does not."""
    return check.status == "failed" and not check.causes


async def _blocked(probe: Probe, deadline: float) -> Check | None:
    """Return the failure that prevents all checks; ``None`` if there is none."""
    rule, detail = "unreachable", f"no answer after {deadline:g} seconds"
    try:
        with anyio.move_on_after(deadline) as probe.scope:
            reply = await probe.basic()
            if reply.blocks is None:
                return None
            rule, detail = reply.blocks, str(reply)
    except TransportError as error:
        if probe.answered:
            return None  # the server is reachable; the checks report the broken connection
        detail = f"{type(error).__name__}: {error}"
    except (CheckFailed, ResponsesProtoError):
        return None
    return Check(rule=rule, status="failed", request="POST /responses", detail=detail)


async def _run_check(probe: Probe, rule: str, deadline: float) -> Check:
    causes: tuple[Finding, ...] = ()
    status: CheckStatus = "failed"
    detail = f"not finished after {deadline:g} seconds"
    try:
        with anyio.move_on_after(deadline) as probe.scope:
            await CHECKS[rule].run(probe)
            return Check(rule=rule, status="passed", request=probe.last_request)
    except Skipped as skipped:
        status, detail = "skipped", str(skipped)
    except CheckFailed as failed:
        detail, causes = str(failed), failed.findings
    except ConnectError as error:
        rule, detail = (
            "unreachable",
            f"{type(error).__name__}: {error}; the server went away during the check of {rule}",
        )
    except ResponsesProtoError as error:  # mostly transport errors
        detail = f"{type(error).__name__}: {error}"
    return Check(rule=rule, status=status, request=probe.last_request, detail=detail, causes=causes)


async def _in_memory(
    app: ASGIApp, deadline: float, run_checks: Callable[[HTTPClient], Awaitable[ServerReport]]
) -> ServerReport:
    """Start an application, run the checks with a client in memory, and shut the application down."""
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

    async def _receive(self) -> _Message:
        if self._startup_sent:
            await self.shutdown.wait()
            return {"type": "lifespan.shutdown"}
        self._startup_sent = True
        return {"type": "lifespan.startup"}

    async def _send(self, message: _Message) -> None:
        # An application that reports a failed startup is checked all the same: its answers show the problem.
        (self.stopped if message["type"].startswith("lifespan.shutdown") else self.started).set()

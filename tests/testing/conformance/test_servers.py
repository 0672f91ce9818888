"""A good server passes all checks, and each fault is found by the check of the rule that it breaks."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, Self, TypeAlias

import anyio
import attrs
import httpx
import pytest
from tests.support import both_loops, run
from tests.testing.conformance.test_streams import BROKEN

from responses_proto.exceptions import UsageError
from responses_proto.rules import RULES
from responses_proto.scripted import Scripted
from responses_proto.server import ResponsesApp
from responses_proto.testing import FAULTS, Answer, FakeServer, Fault, ServerReport, check_server

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping
    from types import TracebackType

    from responses_proto.testing import Request, ServerExchange

SERVER_RULES: Final = [rule.id for rule in RULES.values() if rule.found_by == "server"]


# ---- a server that does one thing wrong


@attrs.define
class Said:
    """The answer of a good server, to be spoilt."""

    status: int
    value: Any
    """The decoded body, or the list of events of a stream."""
    streams: bool
    faults: tuple[Fault, ...] = ()


Spoil: TypeAlias = "Callable[[Request, Said], None]"


class Spoilt(FakeServer):
    """A server that forwards requests to the scripted server and spoils the answers."""

    def __init__(self, *spoils: Spoil, listen: bool = False) -> None:
        super().__init__(self._answer, listen=listen)
        self._spoils = spoils
        self._app = ResponsesApp(Scripted())

    async def __aenter__(self) -> Self:
        await self._app.__aenter__()
        return await super().__aenter__()

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        try:
            return await super().__aexit__(exc_type, exc, traceback)
        finally:
            await self._app.__aexit__(None, None, None)

    async def _answer(self, peer: ServerExchange) -> Answer:
        request = peer.request
        way = httpx.ASGITransport(self._app)
        async with httpx.AsyncClient(transport=way, base_url="http://app.invalid") as client:
            headers = {"content-type": "application/json"}
            good = await client.request(request.method, request.target, content=request.body, headers=headers)
        streams = good.headers["content-type"].startswith("text/event-stream")
        said = Said(good.status_code, events_in(good.text) if streams else good.json(), streams)
        for spoil in self._spoils:
            spoil(request, said)
        answer = Answer.events(said.value) if said.streams else Answer.json(said.value, said.status)
        return answer.with_faults(*said.faults)


def events_in(body: str) -> list[Any]:
    lines = [line.removeprefix("data: ") for line in body.splitlines() if line.startswith("data: ")]
    return [json.loads(line) for line in lines if line != "[DONE]"]


def at(method: str, end: str, change: Callable[[Said], object]) -> Spoil:
    """Change the answers to requests with this method and end of the path, in which ``*`` matches any segment."""

    def spoil(request: Request, said: Said) -> None:
        ours = request.path.removeprefix("/v1").split("/")
        theirs = end.split("/")
        same = len(ours) == len(theirs) and all(t in ("*", o) for t, o in zip(theirs, ours, strict=True))
        if request.method == method and same:
            change(said)

    return spoil


def fields(**changed: Any) -> Callable[[Said], None]:
    """Replace fields of the object in a good answer."""

    def change(said: Said) -> None:
        if said.status == 200 and not said.streams:
            said.value |= changed

    return change


def without(*names: str) -> Callable[[Said], None]:
    def change(said: Said) -> None:
        if said.status == 200 and not said.streams:
            for name in names:
                said.value.pop(name, None)

    return change


def instead(status: int, now: int, **value: Any) -> Callable[[Said], None]:
    """Answer with the status ``now`` instead of ``status``."""

    def change(said: Said) -> None:
        if said.status == status:
            said.status, said.value, said.streams = now, value or said.value, False

    return change


def faulty(fault: Fault) -> Callable[[Said], None]:
    """Add a fault to streams."""
    return lambda said: setattr(said, "faults", (fault,) if said.streams else ())


def items(change: Callable[[Any], Any]) -> Callable[[Said], None]:
    """Change each item of the output."""

    def spoil(said: Said) -> None:
        if said.status == 200 and not said.streams:
            said.value["output"] = [change(item) for item in said.value["output"]]

    return spoil


CREATE: Final = ("POST", "/responses")
DROPPED: Final = instead(200, 400, error={"message": "No.", "type": "x", "param": None, "code": None})
SPOILS: Final[list[tuple[str, str, Spoil]]] = [
    ("create", "no output", at(*CREATE, fields(output=[]))),
    ("create", "no id", at(*CREATE, fields(id=""))),
    ("create", "no end", at(*CREATE, fields(status="in_progress"))),
    ("create-fields", "another object", at(*CREATE, fields(object="chat.completion"))),
    ("create", "an error", at(*CREATE, instead(200, 500, error="broken"))),
    ("create", "no object", at(*CREATE, lambda said: setattr(said, "value", [said.value]))),
    ("create", "a page", at(*CREATE, lambda said: setattr(said, "faults", (Fault.content_type("text/html"),)))),
    ("create", "half a body", at(*CREATE, lambda said: setattr(said, "faults", (Fault.bad_json(0),)))),
    ("create-fields", "no model", at(*CREATE, without("model"))),
    ("create-fields", "a text for a number", at(*CREATE, fields(created_at="now"))),
    ("create-fields", "an item without role", at(*CREATE, items(lambda item: {"type": item["type"], "id": item["id"]}))),
    ("create-stream", "no stream", at(*CREATE, lambda said: setattr(said, "faults", (Fault.status(200, b"{}"),)))),
    ("create-stream", "an error", at(*CREATE, lambda said: setattr(said, "faults", (Fault.status(502),)))),
    ("create-stream", "no text", at(*CREATE, lambda said: setattr(said, "value", [said.value[0], said.value[1], ending(said.value)]))),
    ("create-stream", "failed", at(*CREATE, lambda said: setattr(said, "value", [*said.value[:-1], failed(said.value)]))),
    ("function-call", "no call", at(*CREATE, fields(output=[]))),
    ("function-call", "no JSON", at(*CREATE, items(lambda item: {**item, "arguments": '{"city": '}))),
    ("function-call", "other arguments", at(*CREATE, items(lambda item: {**item, "arguments": '{"town": "Paris"}'}))),
    ("function-call", "a list", at(*CREATE, items(lambda item: {**item, "arguments": "[]"}))),
    ("function-call", "another function", at(*CREATE, items(lambda item: {**item, "name": "get_time"}))),
    ("function-call-stream", "no item", at(*CREATE, faulty(Fault.dropped("response.output_item.added")))),
    ("function-output", "refused", lambda request, said: DROPPED(said) if b"function_call_output" in request.body else None),
    ("orphan-refused", "taken", at(*CREATE, instead(400, 200))),
    ("json-refused", "taken for the server's fault", at(*CREATE, instead(400, 500))),
    ("type-refused", "taken", at(*CREATE, instead(400, 200))),
    ("model-required", "taken", at(*CREATE, instead(400, 200))),
    ("error-body", "of another shape", at(*CREATE, instead(400, 400, detail="No."))),
    ("error-body", "without a code", at(*CREATE, instead(400, 400, error={"message": "No.", "type": "x", "param": None}))),
    ("error-body", "without a text", at(*CREATE, instead(400, 400, error={"message": None, "type": "x", "param": None, "code": None}))),
    ("id-unknown", "taken for the server's fault", at("GET", "/responses/*", instead(404, 500))),
    ("retrieve", "another id", at("GET", "/responses/*", fields(id="resp_other"))),
    ("retrieve", "no output", at("GET", "/responses/*", fields(output=[]))),
    ("delete", "not done", at("DELETE", "/responses/*", fields(deleted=False))),
    ("delete", "still there", at("GET", "/responses/*", instead(404, 200, object="response"))),
    ("input-items", "all at once", at("GET", "/responses/*/input_items", fields(has_more=False))),
    ("input-items", "none", at("GET", "/responses/*/input_items", fields(data=[]))),
    ("input-items", "no ids", at("GET", "/responses/*/input_items", fields(first_id=None, last_id=None))),
    ("input-items", "never an end", lambda request, said: fields(has_more=True)(said) if "after=" in request.target else None),
    ("input-items", "others", lambda request, said: rename(said) if "input_items" in request.target else None),
    ("previous-response", "not said", at(*CREATE, fields(previous_response_id=None))),
    ("previous-response", "refused", lambda request, said: DROPPED(said) if b"previous_response_id" in request.body else None),
    ("previous-unknown", "taken", lambda request, said: instead(400, 200)(said) if b"previous_response_id" in request.body else None),
    ("background", "failed", at("GET", "/responses/*", fields(status="failed"))),
    ("background", "gone", at("GET", "/responses/*", instead(200, 500))),
    ("cancel", "but it goes on", at("POST", "/responses/*/cancel", fields(status="cancelled"))),
    ("cancel", "failed", at("GET", "/responses/*", fields(status="failed"))),
    ("conversations", "without metadata", at("GET", "/conversations/*", fields(metadata={}))),
    ("conversations", "unchanged", at("POST", "/conversations/*", fields(metadata={"topic": "names"}))),
    ("conversations", "without items", at("GET", "/conversations/*/items", fields(data=[]))),
    ("conversations", "not deleted", at("DELETE", "/conversations/*", fields(deleted=False))),
    ("conversations", "still there", at("GET", "/conversations/*", instead(404, 200, object="conversation"))),
    ("compact", "nothing", at("POST", "/responses/compact", fields(output=[]))),
    ("compact", "without usage", at("POST", "/responses/compact", without("usage"))),
    ("compact-model-required", "taken", at("POST", "/responses/compact", instead(400, 200))),
    ("input-tokens", "none", at("POST", "/responses/input_tokens", fields(input_tokens=0))),
    ("input-tokens", "a text", at("POST", "/responses/input_tokens", fields(input_tokens="many"))),
    ("input-tokens", "another object", at("POST", "/responses/input_tokens", fields(object="count"))),
]  # fmt: skip
"""(rule, what is wrong, how)."""


def ending(events: list[Any]) -> Any:
    return {**events[-1], "sequence_number": 2, "response": {**events[-1]["response"], "output": []}}


def failed(events: list[Any]) -> Any:
    return {**events[-1], "type": "response.failed", "response": {**events[-1]["response"], "status": "failed"}}


def rename(said: Said) -> None:
    for item in said.value["data"]:
        item["content"] = "four"


async def checked(server: FakeServer, *rules: str, **options: Any) -> ServerReport:
    return await check_server(server.url, only=rules or None, http_client=server.transport, **options)


# ---- findings


def test_every_rule_of_a_server_is_covered() -> None:
    assert {rule for rule, _, _ in SPOILS} == set(SERVER_RULES)


@both_loops
def test_the_scripted_server_keeps_every_rule(backend: str) -> None:
    async def test() -> None:
        report = await check_server(ResponsesApp(Scripted()))
        assert report.ok, str(report)
        assert [check.rule for check in report.checks] == SERVER_RULES
        assert {check.status for check in report.checks} == {"passed"}
        assert str(report).startswith(f"{len(SERVER_RULES)} passed, 0 failed, 0 skipped\npassed  create\n")

    run(backend, test)


@both_loops
def test_a_server_is_checked_over_a_socket_as_well(backend: str) -> None:
    async def test() -> None:
        async with Spoilt(listen=True) as server:
            report = await check_server(server.url, key="key-that-nobody-may-see")
            assert report.ok, str(report)
            assert {request.headers["authorization"] for request in server.requests} == {
                "Bearer key-that-nobody-may-see"
            }
            assert "key-that-nobody" not in str(report)

    run(backend, test)


@pytest.mark.parametrize(("rule", "spoil"), [pytest.param(r, s, id=f"{r}: {name}") for r, name, s in SPOILS])
def test_each_fault_is_found_by_its_rule(rule: str, spoil: Spoil) -> None:
    async def test() -> None:
        async with Spoilt(spoil) as server:
            report = await checked(server, rule)
        assert rule in report.rules, str(report)
        (check,) = report.checks
        assert (check.rule, check.status) == (rule, "failed")
        assert check.findings[0].event is None
        assert check.findings[0].path == check.request
        assert check.detail in str(report)

    run("asyncio", test)


# These have no effect on a response of one item, or never end.
NOT_HERE: Final = {"repeated item_id", "repeated output_index", "stall after response.output_item.added"}


@pytest.mark.parametrize("name", sorted(BROKEN.keys() - NOT_HERE))
def test_each_fault_of_a_stream_is_found_by_its_rule_too(name: str) -> None:
    async def test() -> None:
        spoil = at(*CREATE, faulty(FAULTS[name]))
        async with Spoilt(spoil) as server:
            report = await checked(server, "create-stream")
        assert "create-stream" in report.rules, str(report)
        if name.startswith(("EOF", "reset")):
            assert "TransportError" in str(report) or "StreamTruncated" in str(report)
        else:
            assert BROKEN[name] in report.rules, str(report)
            assert any(finding.event is not None for finding in report.findings)

    run("asyncio", test)


# ---- endpoints that are not offered


@pytest.mark.parametrize("status", [404, 405, 501])
def test_what_is_not_offered_is_skipped(status: int) -> None:
    def nothing_else(request: Request, said: Said) -> None:
        if request.path != "/v1/responses" or b"background" in request.body or b"previous" in request.body:
            said.status, said.streams = status if request.path != "/v1/responses" else 400, False

    async def test() -> None:
        async with Spoilt(nothing_else) as server:
            report = await checked(server)
        assert report.ok, str(report)
        skipped = {check.rule for check in report.checks if check.status == "skipped"}
        assert skipped >= {"retrieve", "delete", "input-items", "previous-response", "background", "cancel"}
        assert skipped >= {"conversations", "compact", "compact-model-required", "input-tokens"}
        assert f"not offered (HTTP {status})" in str(report)

    run("asyncio", test)


def test_background_checks_are_skipped_for_a_foreground_server() -> None:
    async def test() -> None:
        spoil = at(*CREATE, fields(background=False, status="completed"))
        async with Spoilt(spoil) as server:
            report = await checked(server, "background", "cancel")
        assert [check.status for check in report.checks] == ["skipped", "skipped"]
        assert report.ok

    run("asyncio", test)


# ---- servers that hang or break


@both_loops
def test_a_silent_server_fails_at_the_deadline(backend: str) -> None:
    async def test() -> None:
        async def script(peer: ServerExchange) -> None:
            await peer.until_closed()

        async with FakeServer(script) as server:
            report = await check_server(server.url, only=["create", "retrieve"], deadline=0.2)
        assert [check.status for check in report.checks] == ["failed", "failed"]
        assert "not finished after 0.2 seconds" in str(report)

    run(backend, test)


@both_loops
def test_an_endless_response_fails_at_the_deadline(backend: str) -> None:
    async def test() -> None:
        spoil = at("GET", "/responses/*", fields(status="in_progress"))
        async with Spoilt(spoil) as server:
            report = await checked(server, "background", deadline=0.5)
        assert report.rules == {"background"}
        assert "not finished" in str(report)

    run(backend, test)


@both_loops
def test_a_connection_that_stays_open_after_the_end_passes(backend: str) -> None:
    async def test() -> None:
        spoil = at(*CREATE, faulty(Fault.open_socket()))
        async with Spoilt(spoil, listen=True) as server:
            report = await check_server(server.url, only=["create-stream"])
            assert report.ok, str(report)

    run(backend, test)


def test_data_after_the_end_is_found() -> None:
    async def test() -> None:
        late = Fault.late_events({"type": "response.output_text.delta"})
        async with Spoilt(at(*CREATE, faulty(late))) as server:
            report = await checked(server, "create-stream")
        assert "late-event" in report.rules

    run("asyncio", test)


def test_a_server_that_cannot_be_reached_fails_every_check() -> None:
    async def test() -> None:
        report = await check_server("http://127.0.0.1:9/v1")
        assert report.rules == set(SERVER_RULES)
        assert "ConnectError" in str(report)

    run("asyncio", test)


# ---- applications


@both_loops
def test_an_application_is_started_and_shut_down(backend: str) -> None:
    async def test() -> None:
        told: list[str] = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            told.append(scope["type"])
            if scope["type"] == "lifespan":
                for step in ("startup", "shutdown"):
                    assert (await receive())["type"] == f"lifespan.{step}"
                    told.append(step)
                    await send({"type": f"lifespan.{step}.complete"})
            else:
                raise ZeroDivisionError

        report = await check_server(app, only=["create", "compact"])
        assert told == ["lifespan", "startup", "http", "http", "shutdown"]
        assert report.rules == {"create", "compact"}
        assert "HTTP 500" in str(report)

    run(backend, test)


@both_loops
def test_an_application_without_lifespan_support_is_checked(backend: str) -> None:
    async def test() -> None:
        good = ResponsesApp(Scripted())

        async def app(scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
            if scope["type"] == "lifespan":
                raise NotImplementedError
            await good(scope, receive, send)

        assert (await check_server(app, only=["create", "create-stream"])).ok

    run(backend, test)


@both_loops
def test_the_deadline_bounds_startup_and_shutdown(backend: str) -> None:
    async def test() -> None:
        async def never(scope: MutableMapping[str, Any], _receive: Any, _send: Any) -> None:
            if scope["type"] == "lifespan":
                await anyio.sleep_forever()

        async def for_ever(scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
            if scope["type"] == "lifespan":
                await receive()
                await send({"type": "lifespan.startup.complete"})
                await anyio.sleep_forever()

        with pytest.raises(UsageError, match=r"has not started after 0\.1 seconds"):
            await check_server(never, deadline=0.1)
        assert (await check_server(for_ever, only=["create"], deadline=0.1)).rules == {"create"}

    run(backend, test)


# ---- arguments


def test_rules_can_be_left_out() -> None:
    async def test() -> None:
        spoil = at(*CREATE, faulty(Fault.no_done()))
        async with Spoilt(spoil) as server:
            assert (await checked(server, "create-stream", ignore=["no-done"])).ok
            assert (await checked(server, "create-stream")).rules == {"create-stream", "no-done"}
            assert (await checked(server, "create", "create-stream", ignore=["create-stream"])).ok

    run("asyncio", test)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"only": ["no-such"]}, "unknown rule 'no-such'"),
        ({"ignore": ["no-such"]}, "unknown rule 'no-such'"),
        ({"only": ["sequence-gap"]}, "'sequence-gap' is not a rule of servers"),
    ],
)
def test_an_unknown_rule_is_refused(options: Any, said: str) -> None:
    async def test() -> None:
        with pytest.raises(UsageError, match=said):
            await check_server("http://127.0.0.1:9/v1", **options)

    run("asyncio", test)


def test_an_invalid_address_is_refused() -> None:
    async def test() -> None:
        with pytest.raises(UsageError, match="base_url"):
            await check_server("127.0.0.1:8080")

    run("asyncio", test)

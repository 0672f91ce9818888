"""A good server passes all checks, and each fault is found by the check of the rule that it breaks."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, Self, TypeAlias

import anyio
import attrs
import httpx
import pytest
import trio
import trio.testing
from tests.support import PATIENCE, both_loops, run
from tests.testing.conformance.test_streams import BROKEN

from responses_proto.exceptions import UsageError
from responses_proto.rules import RULES
from responses_proto.scripted import Scripted
from responses_proto.server import ResponsesApp, serving
from responses_proto.testing import FAULTS, Answer, Check, FakeServer, Fault, Script, ServerReport, check_server
from responses_proto.testing.conformance.servers import server_checks

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping
    from types import TracebackType

    from responses_proto.testing import Request, ServerExchange

SERVER_RULES: Final = server_checks()
BLOCKING: Final = {"unreachable", "unauthorized", "unavailable"}


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
        script = Script(self._answer).on("GET", "/responses", Answer.error(404))  # it has no WebSocket
        super().__init__(script, listen=listen, check_requests=False)
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


def asked(what: bytes, change: Callable[[Said], object]) -> Spoil:
    """Change the answers to requests that contain this."""

    def spoil(request: Request, said: Said) -> None:
        if what in request.body:
            change(said)

    return spoil


def streamed(change: Callable[[list[Any]], list[Any]]) -> Callable[[Said], None]:
    """Change the events of streams."""

    def spoil(said: Said) -> None:
        if said.streams:
            said.value = change(said.value)

    return spoil


def said_text(text: str) -> Callable[[Any], Any]:
    """Return a change of a message that makes it say something else."""
    return lambda item: {**item, "content": [{**item["content"][0], "text": text}]}


def used(given: int, generated: int, *, total: int | None = None, cached: int = 0, reasoned: int = 0) -> Any:
    """Return a usage."""
    return {
        "input_tokens": given,
        "output_tokens": generated,
        "total_tokens": given + generated if total is None else total,
        "input_tokens_details": {"cached_tokens": cached},
        "output_tokens_details": {"reasoning_tokens": reasoned},
    }


def used_in_a_stream(usage: Any) -> Callable[[Said], None]:
    """Replace the usage in the terminal event of streams."""

    def change(events: list[Any]) -> list[Any]:
        return [*events[:-1], {**events[-1], "response": {**events[-1]["response"], "usage": usage}}]

    return streamed(change)


CREATE: Final = ("POST", "/responses")
CALL: Final = {
    "type": "function_call",
    "id": "fc_1",
    "call_id": "call_1",
    "name": "get_weather",
    "arguments": '{"city":"Paris"}',
    "status": "completed",
}
REASONING: Final[dict[str, Any]] = {"type": "reasoning", "id": "rs_1", "summary": []}
DROPPED: Final = instead(200, 400, error={"message": "No.", "type": "x", "param": None, "code": None})
SPOILS: Final[list[tuple[str, str, Spoil]]] = [
    ("create", "no output", at(*CREATE, fields(output=[]))),
    ("create", "no id", at(*CREATE, fields(id=""))),
    ("create", "no end", at(*CREATE, fields(status="in_progress"))),
    ("create-fields", "another object", at(*CREATE, fields(object="chat.completion"))),
    ("create-fields", "null for a number", at(*CREATE, fields(top_p=None))),
    ("create-fields", "an empty object", at(*CREATE, fields(text={}))),
    ("create-fields", "a value that does not exist", at(*CREATE, fields(truncation="none"))),
    ("create-fields", "an item of no extension", at(*CREATE, items(lambda item: {**item, "type": "thing"}))),
    ("create-fields", "an extension without status", at(*CREATE, items(lambda item: {"type": "acme:thing", "id": item["id"]}))),
    ("create-fields", "a phase that does not exist", at(*CREATE, items(lambda item: {**item, "phase": "thinking"}))),
    ("create-fields", "a stream without a field", at(*CREATE, lambda said: said.streams and [event["response"].pop("completed_at") for event in said.value if "response" in event])),
    ("usage", "a wrong sum", at(*CREATE, fields(usage=used(1, 2, total=4)))),
    ("usage", "a wrong sum in a stream", at(*CREATE, used_in_a_stream(used(1, 2, total=4)))),
    ("usage", "none", at(*CREATE, fields(usage=used(0, 0)))),
    ("usage", "more cached than given", at(*CREATE, fields(usage=used(1, 2, cached=2)))),
    ("usage", "more reasoning than generated", at(*CREATE, fields(usage=used(1, 2, reasoned=3)))),
    ("system-prompt", "refused", asked(b'"system"', DROPPED)),
    ("multi-turn", "refused", asked(b'"assistant"', DROPPED)),
    ("phase", "refused", asked(b'"commentary"', DROPPED)),
    ("image-input", "refused", asked(b"input_image", DROPPED)),
    ("system-prompt", "not answered", asked(b'"system"', fields(output=[]))),
    ("multi-turn", "not answered", asked(b'"assistant"', fields(output=[]))),
    ("phase", "not answered", asked(b'"commentary"', fields(output=[REASONING]))),
    ("image-input", "not answered", asked(b"input_image", items(said_text("")))),
    ("json-object", "prose", asked(b"json_object", items(said_text("It is a city.")))),
    ("json-object", "a list", asked(b"json_object", items(said_text('["Paris"]')))),
    ("effort-none", "an item", asked(b'"effort":"none"', lambda said: said.value["output"].insert(0, REASONING))),
    ("effort-none", "tokens", asked(b'"effort":"none"', fields(usage=used(1, 2, reasoned=1)))),
    ("structured-output", "prose", asked(b"json_schema", items(said_text("It is a city.")))),
    ("structured-output", "another object", asked(b"json_schema", items(said_text('{"city": "Paris", "inhabitants": "many"}')))),
    ("token-limit", "ignored", asked(b'"max_output_tokens":16', fields(status="completed", incomplete_details=None))),
    ("token-limit", "no reason", asked(b'"max_output_tokens":16', fields(incomplete_details={"reason": "content_filter"}))),
    ("token-limit", "exceeded", asked(b'"max_output_tokens":16', fields(usage=used(1, 17)))),
    ("tool-choice-none", "called", asked(b'"tool_choice":"none"', fields(output=[CALL]))),
    ("tool-choice-allowed", "called", asked(b"allowed_tools", fields(output=[CALL]))),
    ("parallel-calls", "the same call", asked(b'"parallel_tool_calls":true', streamed(lambda events: [same_call(event) for event in events]))),
    ("parallel-calls", "at the same place", asked(b'"parallel_tool_calls":true', streamed(lambda events: [{**event, "output_index": 0} if "output_index" in event else event for event in events]))),
    ("one-call", "two calls", asked(b'"parallel_tool_calls":false', fields(output=[CALL, {**CALL, "id": "fc_2", "call_id": "call_2"}]))),
    ("resume", "from the beginning", at("GET", "/responses/*", lambda said: said.streams and said.value.insert(0, {**said.value[0], "sequence_number": 0}))),
    ("resume", "nothing", at("GET", "/responses/*", lambda said: said.streams and said.value.clear())),
    ("conversation-items", "all at once", at("GET", "/conversations/*/items", fields(has_more=False))),
    ("conversation-items", "no ids", at("POST", "/conversations/*/items", fields(data=[]))),
    ("conversation-items", "another item", at("GET", "/conversations/*/items/*", fields(id="msg_other"))),
    ("create", "an error", at(*CREATE, instead(200, 500, error="broken"))),
    ("create", "no object", at(*CREATE, lambda said: setattr(said, "value", [said.value]))),
    ("create", "a page", at(*CREATE, lambda said: setattr(said, "faults", (Fault.content_type("text/html"),)))),
    ("create", "half a body", at(*CREATE, lambda said: setattr(said, "faults", (Fault.bad_json(0),)))),
    ("create-fields", "no model", at(*CREATE, without("model"))),
    ("create-fields", "a text for a number", at(*CREATE, fields(created_at="now"))),
    ("create-fields", "an item without role", at(*CREATE, items(lambda item: {"type": item["type"], "id": item["id"]}))),
    ("create-stream", "no stream", at(*CREATE, lambda said: setattr(said, "faults", (Fault.status(200, b"{}"),)))),
    ("create-stream", "an error", at(*CREATE, faulty(Fault.status(502)))),
    ("create-stream", "no text", at(*CREATE, streamed(lambda events: [events[0], events[1], ending(events)]))),
    ("create-stream", "failed", at(*CREATE, streamed(lambda events: [*events[:-1], failed(events)]))),
    ("function-call", "no call", at(*CREATE, fields(output=[]))),
    ("function-call", "no JSON", at(*CREATE, items(lambda item: {**item, "arguments": '{"city": '}))),
    ("function-call", "other arguments", at(*CREATE, items(lambda item: {**item, "arguments": '{"town": "Paris"}'}))),
    ("function-call", "a text for a number", at(*CREATE, items(lambda item: {**item, "arguments": '{"city": "Paris", "days": "3"}'}))),
    ("function-call", "a list", at(*CREATE, items(lambda item: {**item, "arguments": "[]"}))),
    ("function-call", "another function", at(*CREATE, items(lambda item: {**item, "name": "get_time"}))),
    ("function-call-stream", "no item", at(*CREATE, faulty(Fault.dropped("response.output_item.added")))),
    ("reasoning-stream", "one place for all", asked(b'"effort":"medium"', streamed(lambda events: [{**event, "output_index": 0} if "output_index" in event else event for event in events]))),
    ("function-output", "refused", lambda request, said: DROPPED(said) if b"function_call_output" in request.body else None),
    ("function-output", "not answered", asked(b"function_call_output", fields(output=[]))),
    ("orphan-refused", "taken", at(*CREATE, instead(400, 200))),
    ("json-refused", "taken for the server's fault", at(*CREATE, instead(400, 500))),
    ("type-refused", "taken", at(*CREATE, instead(400, 200))),
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
    ("previous-response", "not used", asked(b"previous_response_id", fields(usage=used(1, 2)))),
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
    ("compact", "another object", at("POST", "/responses/compact", fields(object="response"))),
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


def same_call(event: Any) -> Any:
    """Return the event with the same ``call_id`` in every call."""
    items = [event.get("item"), *event.get("response", {}).get("output", ())]
    for item in filter(None, items):
        item["call_id"] = "call_1"
    return event


async def checked(server: FakeServer, *rules: str, **options: Any) -> ServerReport:
    return await check_server(server.url, only=rules or None, http_client=server.transport, **options)


# ---- findings


def test_every_rule_of_a_server_is_covered() -> None:
    assert {rule for rule, _, _ in SPOILS} | SOCKET_SPOILS.keys() == set(SERVER_RULES)
    assert {rule.id for rule in RULES.values() if rule.found_by == "server"} == BLOCKING | set(SERVER_RULES)


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
            over_http = [rule for rule in SERVER_RULES if "websocket" not in rule]
            report = await check_server(server.url, key="key-that-nobody-may-see", only=over_http)
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
        assert check.findings
        assert check.detail[:100] in str(report)

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
def test_a_silent_server_is_one_finding(backend: str) -> None:
    async def test() -> None:
        async def script(peer: ServerExchange) -> None:
            await peer.until_closed()

        async with FakeServer(script) as server:
            report = await check_server(server.url, deadline=0.2)
        assert [check.rule for check in report.checks] == ["unreachable"]
        assert "no answer after 0.2 seconds" in str(report)

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


@both_loops
def test_a_server_that_cannot_be_reached_is_one_finding(backend: str) -> None:
    async def test() -> None:
        report = await check_server("http://127.0.0.1:9/v1")
        (finding,) = report.findings
        assert finding.rule == "unreachable"
        assert report.rules == {"unreachable"}
        assert "ConnectError" in finding.detail

    run(backend, test)


def test_a_server_that_goes_away_is_one_finding() -> None:
    async def test() -> None:
        with serving(ResponsesApp(Scripted())) as url:
            async with httpx.AsyncClient() as client:

                def refuse(check: Check) -> None:
                    if check.rule == "create-stream":
                        gone.append(client)

                gone: list[httpx.AsyncClient] = []

                async def hook(request: httpx.Request) -> None:
                    if gone:
                        raise httpx.ConnectError("refused", request=request)

                client.event_hooks = {"request": [hook], "response": []}
                report = await check_server(url, http_client=client, on_check=refuse)
        assert [finding.rule for finding in report.findings] == ["unreachable"], str(report)
        assert report.checks[0].rule == "unreachable"
        assert len(report.checks) < 6  # the rest needs no further request
        assert "went away" in report.findings[0].detail

    run("asyncio", test)


@pytest.mark.parametrize("status", [401, 403])
def test_a_wrong_key_is_one_finding(status: int) -> None:
    async def test() -> None:
        async with FakeServer(Answer.error(status, "No such key."), listen=False) as server:
            report = await checked(server)
        (finding,) = report.findings
        assert (finding.rule, finding.detail) == ("unauthorized", f"HTTP {status}, No such key.")

    run("asyncio", test)


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (Answer.body(b"<html><title>Welcome!</title><body><h1>Hi</h1></body></html>"), "HTTP 200, Welcome!"),
        (Answer.body(b"Internal Server Error", 500, content_type="text/plain"), "HTTP 500, Internal Server Error"),
        (Answer.body(b"data: \xff[\n\ndata: 5\n\n", content_type="text/event-stream"), "HTTP 200, data:"),
        (Answer.body(b"", content_type=None), "HTTP 200, no body"),
        (Answer.json({"detail": "Not Found"}, 404), "HTTP 404, Not Found"),
        (Answer.error(429, "No money.", code="insufficient_quota"), "HTTP 429, No money."),
        (Answer.error(503, "Away."), "HTTP 503, Away."),
        (Answer.error(400, "No such model.", param="model"), "HTTP 400, No such model."),
        (Answer.redirect("https://other.invalid/v1"), "HTTP 307, a redirect to https://other.invalid/v1"),
    ],
)
def test_an_address_that_is_no_responses_api_is_one_finding(answer: Answer, told: str) -> None:
    async def test() -> None:
        async with FakeServer(answer, check_requests=False) as server:
            report = await checked(server)
        (finding,) = report.findings
        assert finding.rule == "unavailable"
        assert finding.detail.startswith(told)
        assert len(server.requests) == 1

    run("asyncio", test)


class Limited(Spoilt):
    """A server that refuses some requests, the first one among them, because there are too many."""

    def __init__(self, refused: Callable[[int], bool], **headers: str) -> None:
        super().__init__()
        self._refused = refused
        self._headers = {name.replace("_", "-"): value for name, value in headers.items()}
        self._asked = -1

    async def _answer(self, peer: ServerExchange) -> Answer:
        self._asked += 1
        if self._refused(self._asked):
            return Answer.error(429, "Too fast.", headers=self._headers)
        return await super()._answer(peer)


@both_loops
def test_a_rate_limit_is_waited_for_and_is_no_finding(backend: str) -> None:
    async def test() -> None:
        async with Limited(lambda number: number % 3 == 0, retry_after="0.01") as server:
            report = await checked(server, *SERVER_RULES[:12], deadline=PATIENCE)
        assert report.ok, str(report)
        assert not [check for check in report.checks if "429" in check.detail]

    run(backend, test)


def test_a_rate_limit_that_lasts_skips_what_it_hits() -> None:
    async def test() -> None:
        async with Limited(lambda number: number > 2, retry_after="3600") as server:
            report = await checked(server)
        assert report.ok, str(report)
        assert {check.status for check in report.checks} == {"passed", "skipped"}
        skipped = [check.detail for check in report.checks if check.status == "skipped"]
        assert "not checked: the server accepts no more requests at the moment (HTTP 429, Too fast.)" in skipped

    run("asyncio", test)


def test_the_deadline_does_not_count_the_waiting_for_a_rate_limit() -> None:
    async def test() -> None:
        async with Limited(lambda number: number < 4, retry_after="20") as server:
            report = await checked(server, "create", deadline=30)
        assert report.ok, str(report)
        assert trio.current_time() - begin >= 4 * 20

    clock = trio.testing.MockClock(autojump_threshold=0.01)
    begin = clock.current_time()
    trio.run(test, clock=clock)


def test_a_key_that_a_server_repeats_is_not_in_the_report() -> None:
    async def test() -> None:
        key = "key-that-nobody-may-see"
        answer = Answer.json({"object": "response", "id": key, "status": key, "error": {"message": f"Bad: {key}"}})
        async with FakeServer(answer) as server:
            report = await check_server(server.url, key=key, only=["create", "create-fields", "json-refused"])
        assert not report.ok
        assert key not in str(report)
        assert key not in str(report.findings)

    run("asyncio", test)


STRANGE: Final[dict[str, Callable[[list[Any]], list[Any]]]] = {
    "no numbers": lambda events: [{k: v for k, v in event.items() if k != "sequence_number"} for event in events],
    "one number": lambda events: [{**event, "sequence_number": 0} for event in events],
    "odd numbers": lambda events: [{**event, "sequence_number": [1]} for event in events],
    "no types": lambda events: [{k: v for k, v in event.items() if k != "type"} for event in events],
    "odd types": lambda events: [{**event, "type": [1]} for event in events],
    "odd responses": lambda events: [{**event, "response": 5, "item": [], "part": "x"} for event in events],
    "nothing": lambda events: events[:0],
}


@pytest.mark.parametrize("name", STRANGE)
def test_no_stream_breaks_the_checks(name: str) -> None:
    async def test() -> None:
        async with Spoilt(lambda _, said: streamed(STRANGE[name])(said)) as server:
            report = await checked(server)
        assert "create-stream" in report.rules | {finding.rule for finding in report.findings}, str(report)

    run("asyncio", test)


@pytest.mark.parametrize(
    "value", [5, "x", [], [[]], {}, {"object": []}, {"object": "response", "output": 5, "usage": 5}]
)
def test_no_body_breaks_the_checks(value: Any) -> None:
    async def test() -> None:
        async with FakeServer(Answer.json(value), check_requests=False) as server:
            report = await checked(server)
        assert not report.ok

    run("asyncio", test)


# ---- one cause is one finding


def no_status_of_items(_request: Request, said: Said) -> None:
    """Leave the status out of every message, in bodies and in events."""
    bodies: list[Any] = said.value if said.streams else [said.value]
    for each in bodies:
        response = each.get("response", each)
        for item in [each.get("item"), *response.get("output", ())]:
            if item and item["type"] == "message":
                item.pop("status", None)


def no_usage(_request: Request, said: Said) -> None:
    """Leave the usage out of every response, in bodies and in events."""
    bodies: list[Any] = said.value if said.streams else [said.value]
    for each in bodies:
        response = each.get("response", each)
        if response.get("object") == "response":
            response.pop("usage", None)


@pytest.mark.parametrize(
    ("rule", "spoil"),
    [
        ("create", at(*CREATE, instead(200, 500, error="broken"))),
        ("create", at(*CREATE, fields(status="incomplete"))),
        ("create-fields", at(*CREATE, without("status"))),
        ("create-fields", no_usage),
        ("usage", at(*CREATE, fields(usage=used(0, 0)))),
        ("create-fields", no_status_of_items),
        ("no-done", at(*CREATE, faulty(Fault.no_done()))),
        ("event-line", at(*CREATE, faulty(Fault.no_event_lines()))),
        ("create-stream", at(*CREATE, lambda said: setattr(said, "faults", (Fault.content_type("application/json"),) if said.streams else ()))),
        ("function-call", asked(b'"tool_choice":"required"', fields(output=[]))),
    ],
)  # fmt: skip
def test_one_cause_is_one_finding(rule: str, spoil: Spoil) -> None:
    async def test() -> None:
        async with Spoilt(spoil) as server:
            report = await checked(server)
        assert len(report.findings) == 1, str(report)
        assert rule in report.rules

    run("asyncio", test)


def test_a_server_may_leave_the_call_to_the_model() -> None:
    # Open Responses does not say that a server must accept `required`.
    async def test() -> None:
        async with Spoilt(asked(b'"tool_choice":"required"', DROPPED)) as server:
            report = await checked(server, "function-call", "function-call-stream", "function-output")
        assert {check.status for check in report.checks} == {"passed"}, str(report)

    run("asyncio", test)


def test_a_server_that_keeps_no_responses_must_not_take_one_for_granted() -> None:
    not_kept = at("GET", "/responses/*", instead(200, 404, error={"message": "No."}))

    async def test() -> None:
        async with Spoilt(not_kept, asked(b"previous_response_id", DROPPED)) as server:
            refused = await checked(server, "previous-response")
        async with Spoilt(not_kept, asked(b"previous_response_id", fields(usage=used(1, 2)))) as server:
            ignored = await checked(server, "previous-response", "previous-unknown")
        assert [check.status for check in refused.checks] == ["skipped"], str(refused)
        assert [check.status for check in ignored.checks] == ["failed", "skipped"], str(ignored)

    run("asyncio", test)


def test_openai_requires_fewer_fields() -> None:
    async def test() -> None:
        spoil = at(*CREATE, without("completed_at", "service_tier", "frequency_penalty"))
        async with Spoilt(spoil) as server:
            strict = await checked(server, "create-fields")
            lax = await checked(server, "create-fields", profile="openai")
        assert len(strict.findings) == 3, str(strict)
        assert lax.ok, str(lax)

    run("asyncio", test)


def test_the_streams_are_recorded_with_their_times() -> None:
    async def test() -> None:
        async with Spoilt(at(*CREATE, faulty(Fault.delayed(0.001))), listen=True) as server:
            report = await check_server(server.url, only=["create-stream"])
        (recording,) = report.recordings
        times = [at for at, _ in recording.pieces]
        assert recording.name == "create-stream"
        assert len(times) > 3
        assert times == sorted(time for time in times if time is not None)

    run("asyncio", test)


# ---- over a WebSocket


class SpoiltSocket:
    """An application whose WebSockets do one thing wrong: ``change`` gets each event, and returns what is sent instead."""

    def __init__(self, change: Callable[[dict[str, Any], dict[str, Any]], Any]) -> None:
        self._app = ResponsesApp(Scripted())
        self._change = change

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        asked: dict[str, Any] = {}

        async def heard() -> Any:
            message = await receive()
            if message["type"] == "websocket.receive":
                asked.clear()
                asked.update(json.loads(message["text"]))
            return message

        async def said(message: Any) -> None:
            if message["type"] == "websocket.send":
                changed = self._change(json.loads(message["text"]), asked)
                if changed is None:
                    return
                message = {**message, "text": json.dumps(changed)}
            await send(message)

        await self._app(scope, heard, said)


def failing(event: dict[str, Any], _asked: dict[str, Any]) -> Any:
    if event["type"] != "response.completed":
        return event
    response = {**event["response"], "status": "failed", "error": {"code": "server_error", "message": "Broken."}}
    return {**event, "type": "response.failed", "response": response}


def second_fails() -> Any:
    seen: list[str] = []

    def change(event: dict[str, Any], asked: dict[str, Any]) -> Any:
        if event["type"] == "response.created":
            seen.append("")
        return failing(event, asked) if len(seen) > 1 else event

    return change


def continued(event: dict[str, Any], asked: dict[str, Any]) -> Any:
    return failing(event, asked) if "previous_response_id" in asked else event


def compacted(event: dict[str, Any], asked: dict[str, Any]) -> Any:
    return failing(event, asked) if "compaction" in str(asked["input"]) else event


def other_code(event: dict[str, Any], _asked: dict[str, Any]) -> Any:
    return {**event, "error": {**event["error"], "code": "gone"}} if event["type"] == "error" else event


SOCKET_SPOILS: Final[dict[str, Callable[[], Any]]] = {
    "websocket": lambda: failing,
    "websocket-sequential": second_fails,
    "websocket-continuation": lambda: continued,
    "websocket-reconnect": lambda: other_code,
    "websocket-unknown": lambda: other_code,
    "websocket-evicted": lambda: other_code,
    "websocket-compacted": lambda: compacted,
}
"""Rule -> makes the change that breaks it."""


@pytest.mark.parametrize("rule", SOCKET_SPOILS)
def test_each_fault_of_a_websocket_is_found_by_its_rule(rule: str) -> None:
    async def test() -> None:
        report = await check_server(SpoiltSocket(SOCKET_SPOILS[rule]()), only=[rule])
        (check,) = report.checks
        assert (check.rule, check.status) == (rule, "failed"), str(report)

    run("asyncio", test)


@both_loops
def test_a_websocket_of_a_url_is_checked(backend: str) -> None:
    pytest.importorskip("httpx_ws")

    async def test() -> None:
        rules = [rule for rule in SERVER_RULES if rule.startswith("websocket")]
        with serving(ResponsesApp(Scripted())) as url:
            report = await check_server(url, only=rules)
        assert {check.status for check in report.checks} == {"passed"}, str(report)

    run(backend, test)


@both_loops
def test_a_server_without_websockets_is_not_at_fault(backend: str) -> None:
    async def test() -> None:
        good = ResponsesApp(Scripted())

        async def app(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "websocket":
                await receive()
                await send({"type": "websocket.close", "code": 1008})
            else:
                await good(scope, receive, send)

        report = await check_server(app, only=["websocket", "websocket-unknown"])
        assert {check.status for check in report.checks} == {"skipped"}, str(report)

    run(backend, test)


@both_loops
def test_a_websocket_that_breaks_off_is_a_finding(backend: str) -> None:
    async def test() -> None:
        good = ResponsesApp(Scripted())

        async def app(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "websocket":
                await receive()
                await send({"type": "websocket.accept"})
                raise ZeroDivisionError
            await good(scope, receive, send)

        report = await check_server(app, only=["websocket"])
        assert report.rules == {"websocket"}, str(report)

    run(backend, test)


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
        assert told == ["lifespan", "startup", "http", "shutdown"]
        assert report.rules == {"unavailable"}
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
        assert (await check_server(for_ever, only=["create"], deadline=0.1)).rules == {"unreachable"}

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

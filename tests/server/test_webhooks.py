"""Webhooks of background responses: signed, repeated until they are accepted, and in nobody's way."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from anyio.abc import SocketAttribute, SocketStream
from tests.asgi import Client, body
from tests.sockets import eventually
from tests.support import both_loops, run

from responses_proto.exceptions import UsageError
from responses_proto.protocol import unwrap_webhook
from responses_proto.server import MemoryStore, ResponsesApp, StoredResponse, WebhookEndpoint
from responses_proto.testing import Answer, FakeServer

if TYPE_CHECKING:
    from collections.abc import Callable

    from responses_proto import CreateResponse
    from responses_proto.server import Reply
    from responses_proto.testing import Request, ServerExchange

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # noqa: S105 - an example


async def handler(request: CreateResponse, reply: Reply) -> None:
    """Do what the input says."""
    match request.input:
        case "fail":
            await reply.fail("server_error", "no")
        case "stop":
            await reply.incomplete()
        case "wait":
            await reply.start()
            await anyio.sleep_forever()
        case _:
            async with reply.message() as message:
                await message.text("done")


def endpoint(server: FakeServer, **options: Any) -> WebhookEndpoint:
    return WebhookEndpoint(f"{server.origin}/hooks?token=hunter2", SECRET, initial_delay=0.001, **options)


def ok(_exchange: ServerExchange) -> Answer:
    return Answer.body(b"")


async def create(app: ResponsesApp, text: str, **fields: Any) -> str:
    return str((await Client(app).request(body(input=text, **{"background": True, **fields}))).json["id"])


def told(request: Request) -> tuple[str, str]:
    """Verify a webhook as its receiver does, and return its type and the id of the response."""
    event: Any = unwrap_webhook(request.body, request.headers, SECRET)
    assert request.headers["webhook-id"] == event.id
    assert (request.method, request.headers["content-type"]) == ("POST", "application/json")
    return event.type, event.data.id


@both_loops
def test_each_end_of_a_background_response_is_told_once(backend: str) -> None:
    async def main() -> None:
        async with (
            FakeServer(ok, check_requests=False) as server,
            ResponsesApp(handler, webhook=endpoint(server)) as app,
        ):
            expected = {
                ("response.completed", await create(app, "say")),
                ("response.failed", await create(app, "fail")),
                ("response.incomplete", await create(app, "stop")),
                ("response.cancelled", waits := await create(app, "wait")),
            }
            for _ in range(2):
                await Client(app).request(path=f"/v1/responses/{waits}/cancel")
            await create(app, "say", background=False)
            deleted = await create(app, "wait")
            await Client(app).request(method="DELETE", path=f"/v1/responses/{deleted}")
            await eventually(lambda: len(server.requests) >= 4)
        assert {told(request) for request in server.requests} == expected
        assert len(server.requests) == 4

    run(backend, main)


@both_loops
def test_what_is_not_accepted_is_sent_again_with_the_same_id(backend: str) -> None:
    answers = [Answer.body(b"", 500), Answer.redirect("/elsewhere"), Answer.body(b"", 404), Answer.body(b"", 204)]

    async def main() -> None:
        async with FakeServer(lambda _: answers.pop(0), check_requests=False) as server:
            async with ResponsesApp(handler, webhook=endpoint(server)) as app:
                response_id = await create(app, "say")
                await eventually(lambda: not answers)
            assert [told(request) for request in server.requests] == [("response.completed", response_id)] * 4
            assert len({request.headers["webhook-id"] for request in server.requests}) == 1

    run(backend, main)


@both_loops
def test_it_is_given_up_after_some_attempts(backend: str, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with FakeServer(lambda _: Answer.body(b"hunter3", 500), check_requests=False) as server:
            async with ResponsesApp(handler, webhook=endpoint(server, attempts=3)) as app:
                await create(app, "say")
            assert len(server.requests) == 3

    with caplog.at_level(logging.ERROR, "responses_proto.server.webhooks"):
        run(backend, main)
    assert "HTTP 500 (attempt 3 of 3)" in caplog.text
    assert not any(secret in caplog.text for secret in ("hunter2", "hunter3", SECRET))


@both_loops
def test_a_receiver_that_never_answers_is_in_nobodys_way(backend: str, caplog: pytest.LogCaptureFixture) -> None:
    async def silent(stream: SocketStream) -> None:
        async with stream:
            await anyio.sleep_forever()

    async def main() -> None:
        listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
        port = listener.extra(SocketAttribute.local_port)  # noqa: S610 - anyio's, not Django's
        async with listener, anyio.create_task_group() as tasks:
            tasks.start_soon(listener.serve, silent)
            hook = WebhookEndpoint(f"http://127.0.0.1:{port}", SECRET, timeout=60, drain=0.01, max_pending=2)
            async with ResponsesApp(handler, webhook=hook) as app:
                ids = [await create(app, "say") for _ in range(4)]
                await eventually(lambda: not app.service.running)
                for response_id in ids:
                    found = await Client(app).request(method="GET", path=f"/v1/responses/{response_id}")
                    assert found.json["status"] == "completed"
            tasks.cancel_scope.cancel()

    run(backend, main)
    assert caplog.text.count("too many pending webhooks") == 2
    assert "2 webhooks were not delivered" in caplog.text


@both_loops
def test_what_is_under_way_is_delivered_when_the_server_stops(backend: str) -> None:
    async def main() -> None:
        async with FakeServer(ok, check_requests=False) as server:
            async with ResponsesApp(handler, webhook=endpoint(server)) as app:
                done, stopped = await create(app, "say"), await create(app, "wait")
            assert {told(request) for request in server.requests} == {
                ("response.completed", done),
                ("response.failed", stopped),
            }

    run(backend, main)


@both_loops
def test_a_response_that_an_earlier_process_lost_is_told_when_that_is_found(backend: str) -> None:
    async def main() -> None:
        store = MemoryStore()
        async with ResponsesApp(handler, store=store) as app:
            response_id = await create(app, "wait")
            task = app.service.running[response_id]
            running = StoredResponse(response=task.response, input=task.input)
        await store.save(running)  # as a process that was killed has left it
        async with (
            FakeServer(ok, check_requests=False) as server,
            ResponsesApp(handler, store=store, webhook=endpoint(server)) as app,
        ):
            found = await Client(app).request(method="GET", path=f"/v1/responses/{response_id}")
            assert found.json["status"] == "failed"
            await eventually(lambda: server.requests)
        assert [told(request) for request in server.requests] == [("response.failed", response_id)]

    run(backend, main)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: WebhookEndpoint("ftp://x", SECRET),
        lambda: WebhookEndpoint("https://:443/hooks", SECRET),
        lambda: WebhookEndpoint("https://x", "hunter2"),
        lambda: WebhookEndpoint("https://x", b""),
    ],
)
def test_what_is_no_endpoint_is_refused(wrong: Callable[[], object]) -> None:
    with pytest.raises(UsageError) as caught:
        wrong()
    assert "hunter2" not in str(caught.value)


def test_an_endpoint_does_not_show_its_secrets() -> None:
    shown = repr(WebhookEndpoint("https://user:pw@x/hooks?token=t", SECRET))
    assert not any(secret in shown for secret in ("pw", "token", SECRET))

"""Send webhooks: notify another server that a response in the background has ended.

::

    app = ResponsesApp(handler, webhook=WebhookEndpoint("https://app.example/hooks", "whsec_..."))

The messages have OpenAI's format and are signed according to Standard Webhooks; :func:`responses_proto.protocol.unwrap_webhook` reads
them. They contain only the id of the response: retrieve it with that. A message that is not answered with 2xx is retried with
increasing delays, so a receiver may get it more than once, with the same ``webhook-id``. Messages are sent in the background. When the
server stops, it keeps trying for a few seconds; a process that is killed loses its undelivered messages.
"""

from __future__ import annotations

import logging
import random
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, Self

import anyio
import attrs
import httpx

from ..client._address import check_http_url
from ..codec import dumps
from ..models.webhooks import WEBHOOK_TYPES
from ..protocol.webhooks import sign_webhook

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from anyio.abc import TaskGroup

    from ..models.response import Response

__all__ = ["WebhookEndpoint", "WebhookSender"]

_MAX_SENDING: Final = 16  # requests at a time

_log: Final = logging.getLogger(__name__)


def _check_url(_: object, _attribute: attrs.Attribute[str], url: str) -> None:
    check_http_url("the URL of a webhook", url)


def _check_secret(_: object, _attribute: attrs.Attribute[str | bytes], secret: str | bytes) -> None:
    sign_webhook(b"", secret, id="")


@attrs.frozen
class WebhookEndpoint:
    """Where webhooks are sent. Raises ``UsageError`` if the URL or the secret is invalid."""

    url: str = attrs.field(validator=_check_url, repr=False)  # it may contain a password
    secret: str | bytes = attrs.field(validator=_check_secret, repr=False)
    """The signing secret, shared with the receiver: ``whsec_`` and Base64, or the key itself as bytes."""
    attempts: int = attrs.field(default=8, kw_only=True)
    """The maximum number of attempts to send a message."""
    initial_delay: float = attrs.field(default=1.0, kw_only=True)
    """Seconds before the second attempt. Each further delay is twice as long, up to ``max_delay``."""
    max_delay: float = attrs.field(default=300.0, kw_only=True)
    """The longest delay between two attempts, in seconds."""
    timeout: float = attrs.field(default=10.0, kw_only=True)
    """Seconds to wait for the receiver's answer."""
    drain: float = attrs.field(default=5.0, kw_only=True)
    """Seconds for which undelivered messages are retried when the server stops."""
    max_pending: int = attrs.field(default=10_000, kw_only=True)
    """The maximum number of undelivered messages. Further messages are dropped and logged."""


class WebhookSender:
    """Sends the webhooks of a server to an endpoint, inside ``async with``. ``clock`` and ``ids`` are those of the server."""

    def __init__(self, endpoint: WebhookEndpoint, *, clock: Callable[[], float], ids: Callable[[str], str]) -> None:
        self._endpoint = endpoint
        self._clock = clock
        self._ids = ids
        self._tasks: TaskGroup | None = None
        self._client: httpx.AsyncClient | None = None
        self._sending: anyio.Semaphore | None = None
        self._pending = 0
        self._delivered: anyio.Event | None = None  # exists only while `__aexit__` waits

    async def __aenter__(self) -> Self:
        self._client = httpx.AsyncClient(timeout=self._endpoint.timeout, trust_env=False)
        self._sending = anyio.Semaphore(_MAX_SENDING)
        self._tasks = anyio.create_task_group()
        await self._tasks.__aenter__()
        return self

    async def __aexit__(
        self, _exc_type: type[BaseException] | None, _exc: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        tasks, client, self._tasks = self._tasks, self._client, None
        if tasks is None or client is None:
            return
        try:
            with anyio.move_on_after(self._endpoint.drain, shield=True):
                while self._pending:
                    self._delivered = anyio.Event()
                    await self._delivered.wait()
            if self._pending:
                _log.error("the server stops: %d webhooks were not delivered", self._pending)
            tasks.cancel_scope.cancel()
            await tasks.__aexit__(None, None, None)
        finally:
            with anyio.CancelScope(shield=True):
                await client.aclose()

    def notify(self, response: Response) -> None:
        """Send the webhook for a response that has ended, in the background. Returns at once."""
        webhook = WEBHOOK_TYPES.get(f"response.{response.status}")
        if webhook is None or self._tasks is None:
            return
        if self._pending >= self._endpoint.max_pending:
            _log.error("too many pending webhooks: dropped the one for %s", response.id)
            return
        self._pending += 1
        event_id, created_at = self._ids("evt"), int(self._clock())
        body = dumps(
            {
                "id": event_id,
                "object": "event",
                "created_at": created_at,
                "type": webhook.type,
                "data": {"id": response.id},
            }
        )
        self._tasks.start_soon(self._deliver, event_id, body, response.id)

    async def _deliver(self, event_id: str, body: bytes, response_id: str) -> None:
        delay = self._endpoint.initial_delay
        try:
            for attempt in range(1, self._endpoint.attempts + 1):
                problem = await self._send(event_id, body)
                if not problem:
                    return
                _log.log(
                    logging.ERROR if attempt == self._endpoint.attempts else logging.INFO,
                    "the webhook of %s was not delivered: %s (attempt %d of %d)",
                    response_id,
                    problem,
                    attempt,
                    self._endpoint.attempts,
                )
                if attempt < self._endpoint.attempts:
                    await anyio.sleep(delay * random.uniform(0.75, 1.0))  # noqa: S311 - not a secret
                    delay = min(2 * delay, self._endpoint.max_delay)
        finally:
            self._pending -= 1
            if self._delivered is not None:
                self._delivered.set()

    async def _send(self, event_id: str, body: bytes) -> str:
        """Try once to send a message. Return what went wrong; empty if the message was accepted."""
        headers = sign_webhook(body, self._endpoint.secret, id=event_id, now=self._clock())
        headers["content-type"] = "application/json"
        client, sending = self._client, self._sending
        if client is None or sending is None:
            return "the sender is closed"
        async with sending:
            try:
                with anyio.fail_after(self._endpoint.timeout):
                    async with client.stream("POST", self._endpoint.url, content=body, headers=headers) as answer:
                        status = answer.status_code  # the body may be endless, and does not matter
            except (httpx.HTTPError, TimeoutError, OSError) as error:
                return type(error).__name__  # its text may contain the URL
        return "" if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES else f"HTTP {status}"

"""Requests with an ``Idempotency-Key``: equal ones run one at a time, and once one has a result, the others get that.

Within a process the requests wait for each other. With a store that several servers share, the store notes which response
answers a request. The one that is noted is stored before its handler runs, and its lease tells the other servers that it is
being worked on. Responses that are not to be stored are known to their own server only.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

import anyio
import attrs

from ..protocol._requests import weight_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping

    from ..models.response import Response
    from ._task import ResponseTask
    from .service import Service
    from .stores import SharedStore

_MAX_RESULTS: Final = 1024
_MAX_BYTES: Final = 32 * 1024 * 1024  # of the results that are not stored

_REPEATABLE: Final = frozenset({"failed", "cancelled"})  # a repetition of such a request is a new attempt


def fingerprint_of(headers: Mapping[str, str], body: bytes) -> bytes:
    """Return what makes a request a repetition of another: its idempotency key, API key and body. Empty without the first."""
    idempotency_key = headers.get("idempotency-key", "")
    authorization = headers.get("authorization", "")
    return hashlib.sha256(f"{idempotency_key}\n{authorization}\n".encode() + body).digest() if idempotency_key else b""


@attrs.frozen
class _Result:
    response_id: str
    response: Response | None
    """The response if it is not in the store."""
    weight: int


@attrs.define(eq=False)
class Claim:
    """The right to answer a request, while no equal one is being answered in this process."""

    service: Service
    fingerprint: bytes = b""
    earlier: _Result | None = None
    """The result of an earlier request, to be repeated if it still exists."""
    result: ResponseTask | None = None
    """The task that answers the request."""
    _announced: ResponseTask | None = None

    async def response_or_task(self, prepare: Callable[[], Awaitable[ResponseTask]]) -> Response | ResponseTask:
        """Return the response to an earlier request like this one, or else the task that ``prepare`` returns, to be run or started."""
        if (response := await self._response_of_earlier()) is not None:
            return response
        if self.service.shared is None or not self.fingerprint:
            self.result = await prepare()
            return self.result
        return await self._shared_response_or_task(self.service.shared, prepare)

    async def _response_of_earlier(self) -> Response | None:
        if self.earlier is None or self.earlier.response is not None:
            return None if self.earlier is None else self.earlier.response
        found = await self.service.find(self.earlier.response_id)
        return None if found is None else found.response

    async def _shared_response_or_task(
        self, store: SharedStore, prepare: Callable[[], Awaitable[ResponseTask]]
    ) -> Response | ResponseTask:
        digest = self.fingerprint.hex()
        task: ResponseTask | None = None
        noted = await store.recall(digest)
        while True:
            if noted is not None and (response := await self._ended(noted)) is not None:
                return response
            if task is None:
                task = await prepare()
                if task.request.store is not False:
                    self._announced = task
                    await task.announce()
            if self._announced is not None:
                winner = await store.remember(digest, task.id, instead_of=noted)
                if winner != task.id:  # an equal request was faster in another server
                    noted = winner
                    continue
            self.result = task
            return task

    async def _ended(self, response_id: str) -> Response | None:
        """Return the response to an equal request when it has ended, or at once if it runs in the background; ``None`` to try again."""
        found = await self.service.find(response_id)
        if found is not None and not found.response.background:
            found = await self.service.wait_for_end(response_id)
        return None if found is None or found.response.status in _REPEATABLE else found.response

    async def withdraw(self) -> None:
        """Delete what was stored for a task that has not come to anything."""
        task = self._announced
        if task is not None and not task.ended and task.id not in self.service.running:
            task.discard()
            with anyio.CancelScope(shield=True):
                await self.service.store.delete(task.id)


class IdempotentRequests:
    """What is known of the requests with an idempotency key, while the process lives. The oldest results are forgotten."""

    def __init__(self) -> None:
        self._under_way: dict[bytes, anyio.Event] = {}
        self._results: OrderedDict[bytes, _Result] = OrderedDict()
        self._weight = 0

    @contextlib.asynccontextmanager
    async def claim(self, service: Service, fingerprint: bytes) -> AsyncGenerator[Claim]:
        """Wait until no equal request is being answered, and claim this one for the length of the block."""
        if not fingerprint:
            yield Claim(service)
            return
        while event := self._under_way.get(fingerprint):
            await event.wait()
        self._under_way[fingerprint] = anyio.Event()
        claim = Claim(service, fingerprint, self._results.get(fingerprint))
        try:
            yield claim
        finally:
            if claim.result is not None:
                self._remember(fingerprint, claim.result)
            try:
                await claim.withdraw()
            finally:
                self._under_way.pop(fingerprint).set()

    def _remember(self, fingerprint: bytes, task: ResponseTask) -> None:
        self._forget(fingerprint)
        if task.response.status in _REPEATABLE or not (task.ended or task.background):
            return
        response = task.response if task.request.store is False else None
        result = _Result(task.id, response, weight_of(response))
        self._results[fingerprint] = result
        self._weight += result.weight
        while len(self._results) > _MAX_RESULTS or self._weight > _MAX_BYTES:
            self._forget(next(iter(self._results)))

    def _forget(self, fingerprint: bytes) -> None:
        result = self._results.pop(fingerprint, None)
        if result is not None:
            self._weight -= result.weight

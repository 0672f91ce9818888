"""Requests with an ``Idempotency-Key``: equal requests run one at a time, and once one of them has a result, the others get it.

Within a process, equal requests wait for each other. A store that several servers share records which response answers a
request. That response is stored before its handler runs, and its lease shows the other servers that it is in progress.
Responses that are not to be stored are known only to their own server.
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

_REPEATABLE: Final = frozenset({"failed", "cancelled"})  # a repeated request is a new attempt after these


def fingerprint_of(headers: Mapping[str, str], body: bytes) -> bytes:
    """Return a hash of the idempotency key, API key and body of a request; empty if it has no idempotency key."""
    idempotency_key = headers.get("idempotency-key", "")
    authorization = headers.get("authorization", "")
    return hashlib.sha256(f"{idempotency_key}\n{authorization}\n".encode() + body).digest() if idempotency_key else b""


@attrs.frozen
class _Result:
    response_id: str
    response: Response | None
    """The response, if it is not in the store."""
    weight: int


@attrs.define(eq=False)
class Claim:
    """The right to answer a request. No equal request is answered in this process meanwhile."""

    service: Service
    fingerprint: bytes = b""
    earlier: _Result | None = None
    """The result of an earlier equal request, returned again if it still exists."""
    result: ResponseTask | None = None
    """The task that answers the request."""
    _announced: ResponseTask | None = None

    async def response_or_task(self, prepare: Callable[[], Awaitable[ResponseTask]]) -> Response | ResponseTask:
        """Return the response to an earlier equal request, or else the task that ``prepare`` returns. The caller must run or start it."""
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
                if winner != task.id:  # another server was first with an equal request
                    noted = winner
                    continue
            self.result = task
            return task

    async def _ended(self, response_id: str) -> Response | None:
        """Return the response to an equal request, once it has ended or at once if it runs in the background; ``None`` if there is none.

        A failed or cancelled response does not count: the request may run again.
        """
        found = await self.service.find(response_id)
        if found is not None and not found.response.background:
            found = await self.service.wait_for_end(response_id)
        return None if found is None or found.response.status in _REPEATABLE else found.response

    async def withdraw(self) -> None:
        """Delete the announced response of a task that was not run."""
        task = self._announced
        if task is not None and not task.ended and task.id not in self.service.running:
            task.discard()
            with anyio.CancelScope(shield=True):
                await self.service.store.delete(task.id)


class IdempotentRequests:
    """The results of requests with an idempotency key, for the life of the process. Above a limit, the oldest are dropped."""

    def __init__(self) -> None:
        self._under_way: dict[bytes, anyio.Event] = {}
        self._results: OrderedDict[bytes, _Result] = OrderedDict()
        self._weight = 0

    @contextlib.asynccontextmanager
    async def claim(self, service: Service, fingerprint: bytes) -> AsyncGenerator[Claim]:
        """Wait until no equal request is being answered, and claim this one while the block runs."""
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

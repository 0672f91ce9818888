"""Requests with an ``Idempotency-Key``: equal ones run one at a time, and once one has a result, the others get that."""

from __future__ import annotations

import contextlib
import hashlib
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

import anyio
import attrs

from ..protocol._requests import weight_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from ..models.response import Response
    from ._task import ResponseTask

__all__ = ["Claim", "IdempotentRequests", "fingerprint_of"]

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
    """The right to answer a request, while no equal one is being answered."""

    earlier: _Result | None = None
    """The result of an earlier request, to be repeated if it still exists."""
    result: ResponseTask | None = None
    """The task that answers the request; set it before the claim ends."""


class IdempotentRequests:
    """What is known of the requests with an idempotency key, while the process lives. The oldest results are forgotten."""

    def __init__(self) -> None:
        self._under_way: dict[bytes, anyio.Event] = {}
        self._results: OrderedDict[bytes, _Result] = OrderedDict()
        self._weight = 0

    @contextlib.asynccontextmanager
    async def claim(self, fingerprint: bytes) -> AsyncGenerator[Claim]:
        """Wait until no equal request is being answered, and claim this one for the length of the block."""
        if not fingerprint:
            yield Claim()
            return
        while event := self._under_way.get(fingerprint):
            await event.wait()
        self._under_way[fingerprint] = anyio.Event()
        claim = Claim(self._results.get(fingerprint))
        try:
            yield claim
        finally:
            if claim.result is not None:
                self._remember(fingerprint, claim.result)
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

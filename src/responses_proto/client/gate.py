"""Share the capacity of a server between many calls: limit how many requests are open and how fast they are sent, and pause all of them."""

from __future__ import annotations

import math
import time
from collections import deque
from typing import TYPE_CHECKING, Final

import anyio

from ..exceptions import APIError, UsageError
from ..protocol.headers import rate_limits
from ._admission import Admission
from .retry import is_refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Gate", "GatePlace"]

_NO_HEADERS: Final[Mapping[str, str]] = {}
_MAX_WAIT: Final = 60.0  # seconds for which one reply may delay all requests


class Gate:
    """Limits how many requests are open at a time and how fast they are sent, and adapts these limits to the server.

    Pass one gate to any number of clients (``ResponsesClient(gate=gate)``) or to :meth:`ResponsesClient.map`. Each attempt of a call waits
    for a place. When the server refuses a request (429, 503, 529, or an equivalent error in a stream), all requests wait as long as the
    server asks, or for half a second, doubled with each refusal in a row. Then they continue with three quarters of the width, at
    the rate at which the server answered. All requests also wait when the headers of a reply report that a quota is used up.

    - ``width``: how many requests may be open at first (default 8). It doubles in each round until the first refusal.
    - ``max_width``: the upper bound of ``width`` (default 64).

    A stream keeps its place until its block is left, so a call inside the block needs a second place. A gate belongs to one event loop.

    Raises ``UsageError`` unless ``1 <= width <= max_width``.
    """

    def __init__(self, width: int = 8, *, max_width: int = 64) -> None:
        if not 1 <= width <= max_width:
            raise UsageError(f"a gate needs 1 <= width <= max_width, got width={width!r}, max_width={max_width!r}")
        self._admission = Admission(width=float(width), max_width=max_width)
        self._queue: deque[_Waiter] = deque()  # only the first one looks at the clock

    def __repr__(self) -> str:
        rate = "" if self.rate is None else f", rate={self.rate:.3g}"
        return f"<Gate width={self.width}, open={self.open}{rate}>"

    @property
    def width(self) -> int:
        """How many requests may be open now."""
        return int(self._admission.width)

    @property
    def max_width(self) -> int:
        """The upper bound of :attr:`width`."""
        return self._admission.max_width

    @property
    def open(self) -> int:
        """How many requests are open now."""
        return self._admission.open

    @property
    def rate(self) -> float | None:
        """How many requests may be sent per second; ``None``, for no bound, until the first refusal."""
        return None if self._admission.rate == math.inf else self._admission.rate

    @property
    def closed_for(self) -> float:
        """Seconds for which nothing is sent because the server refused a request or a quota is used up; usually 0."""
        return max(0.0, self._admission.not_before - time.monotonic())

    async def enter(self, *, again: bool = False) -> GatePlace:
        """Wait until a request may be sent, and return its place.

        ``again``: whether the request was refused before. It then goes ahead of those that were not sent yet.
        """
        waiter = _Waiter()
        if again:
            self._queue.appendleft(waiter)
        else:
            self._queue.append(waiter)
        try:
            while (delay := self._delay(waiter)) > 0:
                waiter.wake = anyio.Event()
                with anyio.move_on_after(delay):
                    await waiter.wake.wait()
            place = GatePlace(self, self._admission)
        finally:
            self._queue.remove(waiter)
            self._wake_first()
        return place

    def _delay(self, waiter: _Waiter) -> float:
        return self._admission.delay(time.monotonic()) if self._queue[0] is waiter else math.inf

    def _wake_first(self) -> None:
        if self._queue:
            self._queue[0].wake.set()


class _Waiter:
    """A call that waits in a gate."""

    __slots__ = ("wake",)

    def __init__(self) -> None:
        self.wake = anyio.Event()


class GatePlace:
    """The place of one request in a :class:`Gate`, from the time that it is sent until :meth:`leave`."""

    __slots__ = ("_admission", "_gate", "_left", "_sent")

    def __init__(self, gate: Gate, admission: Admission) -> None:
        self._gate = gate
        self._admission = admission
        self._sent = time.monotonic()
        self._left = False
        admission.send(self._sent)

    def leave(self, error: BaseException | None = None, *, headers: Mapping[str, str] = _NO_HEADERS) -> None:
        """Give the place to another request, and adapt the gate to the result of this one. Idempotent.

        ``error`` is the exception that was raised, if any; ``headers`` are those of the reply, with names in lower case.
        """
        if self._left:
            return
        self._left = True
        now = time.monotonic()
        self._admission.end()
        if is_refusal(error):
            asked = error.retry_after
            self._admission.refuse(now, sent=self._sent, retry_after=None if asked is None else min(asked, _MAX_WAIT))
        elif error is None or isinstance(error, APIError):
            self._admission.answer()
        spent = [limit.reset_after for limit in rate_limits(headers).values() if limit.remaining == 0]
        reset = max((seconds for seconds in spent if seconds is not None), default=0.0)
        if reset > 0:
            self._admission.wait_until(now + min(reset, _MAX_WAIT))
        self._gate._wake_first()  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - a place is a part of its gate

"""Decide when a request may be sent to a server that refuses some of them. Pure: the caller passes the time.

Two bounds adapt to how the server answers, as the congestion window of TCP does:

- ``width``, how many requests may be open. It doubles in each round of answers until the first refusal, which reduces it to three quarters
  of the open requests. From then on it grows by one in each round.
- ``rate``, how many requests may be sent per second. It is unbounded until the first refusal. Then it is a guess: the requests that the
  server accepted, divided by the time since the first one, including the pause that follows. A guessed rate doubles in a second until it is
  refused. Each refusal lowers the rate by a fifth; after the first of these, it grows by 2 % per second.

A refusal also sets ``not_before``, before which nothing is sent: the server's ``Retry-After``, or a pause that doubles while nothing is
answered. Requests that were sent before a refusal are refused for the same reason, so they change neither bound again.
"""

from __future__ import annotations

import math
import random as _random
from typing import TYPE_CHECKING, Final

import attrs

if TYPE_CHECKING:
    from collections.abc import Callable

_SHRINK: Final = 0.75  # factor of the width after a refusal
_SLOWDOWN: Final = 0.8  # factor of the rate after a refusal
_SEARCH: Final = 1.0  # requests per second that an answer adds to a rate that is a guess: it doubles in a second
_GROWTH: Final = 0.02  # the same for a rate that was too high once: it grows by 2 % per second
_MIN_RATE: Final = 0.1  # requests per second
_CREDIT: Final = 0.05  # seconds of unused rate that may be used later, after a time with nothing to send
_FIRST_PAUSE: Final = 0.5  # seconds; doubles with each refusal that no answer preceded
_MAX_PAUSE: Final = 30.0  # seconds
_JITTER: Final = 0.1  # largest share of a pause that is added at random, so that processes do not retry together


@attrs.define(kw_only=True)
class Admission:
    """The state of one gate. Times are seconds of one monotonic clock."""

    width: float
    """How many requests may be open; grows and shrinks by fractions."""
    max_width: int
    random: Callable[[], float] = _random.random
    """Returns a float from 0 to below 1."""
    open: int = 0
    """The requests that were sent and have not ended."""
    rate: float = math.inf
    """Requests per second; infinite until the first refusal."""
    not_before: float = -math.inf
    """The time before which nothing is sent."""
    _next: float = -math.inf  # when the rate allows the next request
    _refused_at: float = -math.inf  # requests that were sent earlier belong to the last refusal
    _since: float | None = None  # when the first request was sent
    _answered: int = 0  # answers since `_since`
    _guessed: bool = True  # whether the rate has never been too high
    _pauses: int = 0  # refusals since the last answer

    def delay(self, now: float) -> float:
        """Return the seconds until the next request may be sent: 0 for now, infinity until an open one ends."""
        if self.open >= int(self.width):
            return math.inf
        return max(0.0, self.not_before - now, self._next - now)

    def send(self, now: float) -> None:
        """Count a request that is sent. Call it when :meth:`delay` is 0, and :meth:`end` when the request has ended."""
        self.open += 1
        if self._since is None:
            self._since = now
        if self.rate != math.inf:
            self._next = max(self._next, now - _CREDIT) + 1 / self.rate

    def end(self) -> None:
        """Count a request that has ended, with any result."""
        self.open -= 1

    def answer(self) -> None:
        """Note that the server answered a request and did not refuse it."""
        self._answered += 1
        self._pauses = 0
        grown = self.width + (1 if self.rate == math.inf else 1 / self.width)
        self.width = min(grown, float(self.max_width))
        self.rate += _SEARCH if self._guessed else _GROWTH

    def refuse(self, now: float, *, sent: float, retry_after: float | None = None) -> None:
        """Note that the server refused a request. ``sent`` is when it was sent, ``retry_after`` the seconds that the server names."""
        anew = sent >= self._refused_at
        if retry_after is not None:
            pause = retry_after
        elif anew:
            pause = min(_MAX_PAUSE, _FIRST_PAUSE * 2.0 ** min(self._pauses, 16))
        else:
            return
        pause *= 1 + _JITTER * self.random()
        if anew:
            self._slow_down(now, pause)
        self.wait_until(now + pause)

    def wait_until(self, time: float) -> None:
        """Send nothing before ``time``."""
        self.not_before = max(self.not_before, time)
        self._next = max(self._next, time)

    def _slow_down(self, now: float, pause: float) -> None:
        self.width = max(1.0, min(self.width, self.open + 1.0) * _SHRINK)
        if self.rate != math.inf:
            if not self._pauses:  # without an answer in between, the refusal says nothing about the rate
                self.rate = max(_MIN_RATE, self.rate * _SLOWDOWN)
                self._guessed = False
        elif self._since is not None:
            self.rate = max(1.0, (self._answered + self.open) / max(now + pause - self._since, 1e-3))
        self._pauses += 1
        self._refused_at = now

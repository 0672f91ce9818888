"""The bounds of a gate in virtual time, against limiters as servers have them."""

from __future__ import annotations

import heapq
import itertools
import math
import random
from typing import TYPE_CHECKING

import attrs
import pytest

from responses_proto.client._admission import Admission

if TYPE_CHECKING:
    from collections.abc import Callable

PER_SECOND = 20
REQUESTS = 200
IDEAL = REQUESTS / PER_SECOND  # seconds


class TokenBucket:
    """Admits ``PER_SECOND`` a second, and at once what was not used before, up to ``burst``."""

    def __init__(self, burst: int) -> None:
        self._burst = burst
        self._tokens = float(burst)
        self._at = 0.0

    def wait(self, now: float) -> float:
        self._tokens = min(self._burst, self._tokens + (now - self._at) * PER_SECOND)
        self._at = now
        if self._tokens < 1 - 1e-9:
            return (1 - self._tokens) / PER_SECOND
        self._tokens -= 1
        return 0.0


class FixedWindow:
    """Admits the first ``PER_SECOND`` requests of each second."""

    def __init__(self) -> None:
        self._second = -1
        self._used = 0

    def wait(self, now: float) -> float:
        if int(now) != self._second:
            self._second, self._used = int(now), 0
        self._used += 1
        return 0.0 if self._used <= PER_SECOND else int(now) + 1 - now


class SlidingWindow:
    """Admits a request if fewer than ``PER_SECOND`` were admitted in the second before it."""

    def __init__(self) -> None:
        self._admitted: list[float] = []

    def wait(self, now: float) -> float:
        self._admitted = [at for at in self._admitted if at > now - 1]
        if len(self._admitted) >= PER_SECOND:
            return self._admitted[0] + 1 - now
        self._admitted.append(now)
        return 0.0


LIMITERS: dict[str, Callable[[], TokenBucket | FixedWindow | SlidingWindow]] = {
    "burst of a second": lambda: TokenBucket(20),
    "small burst": lambda: TokenBucket(5),
    "no burst": lambda: TokenBucket(1),
    "fixed window": FixedWindow,
    "sliding window": SlidingWindow,
}
HEADERS: dict[str, Callable[[float], float | None]] = {
    "no header": lambda _wait: None,
    "exact": lambda wait: wait,
    "whole seconds": math.ceil,
}


@attrs.frozen
class Played:
    """What it took until every request was answered."""

    sent: int
    seconds: float


def play(
    refuse: Callable[[float], float], retry_after: Callable[[float], float | None], *, latency: float, seed: int
) -> Played:
    """Send ``REQUESTS`` requests through an admission to a server in virtual time.

    ``refuse`` returns the seconds that a request which arrives now would have to wait; 0 admits it.
    """
    chance = random.Random(seed)
    admission = Admission(width=8.0, max_width=64, random=chance.random)
    numbers = itertools.count()
    now, waiting, answered, sent = 0.0, REQUESTS, 0, 0
    events: list[tuple[float, int, str, float, float | None]] = []
    while answered < REQUESTS:
        while waiting and admission.delay(now) <= 0:
            admission.send(now)
            waiting -= 1
            sent += 1
            heapq.heappush(events, (now + 0.002, next(numbers), "arrives", now, None))
        opens_at = now + admission.delay(now) if waiting else math.inf
        if not events or opens_at < events[0][0]:
            now = opens_at
            continue
        now, _, what, sent_at, seconds = heapq.heappop(events)
        if what == "arrives":
            wait = refuse(now)
            ends = now + (0.002 if wait else latency * chance.uniform(0.5, 1.5))
            reply = "refused" if wait else "answered"
            heapq.heappush(events, (ends, next(numbers), reply, sent_at, retry_after(wait)))
            continue
        admission.end()
        if what == "answered":
            admission.answer()
            answered += 1
        else:
            admission.refuse(now, sent=sent_at, retry_after=seconds)
            waiting += 1
    return Played(sent, now)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("latency", [0.005, 0.1, 1.0])
@pytest.mark.parametrize("header", HEADERS)
@pytest.mark.parametrize("limiter", LIMITERS)
def test_few_requests_are_refused_whatever_the_limiter(limiter: str, header: str, latency: float, seed: int) -> None:
    played = play(LIMITERS[limiter]().wait, HEADERS[header], latency=latency, seed=seed)
    assert played.sent <= 1.2 * REQUESTS


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("header", HEADERS)
@pytest.mark.parametrize("limiter", ["burst of a second", "fixed window"])
def test_the_time_is_near_the_ideal_one_if_a_second_of_requests_may_come_at_once(
    limiter: str, header: str, seed: int
) -> None:
    played = play(LIMITERS[limiter]().wait, HEADERS[header], latency=0.02, seed=seed)
    assert played.seconds <= 1.3 * IDEAL


@pytest.mark.parametrize("latency", [0.1, 1.0])
def test_a_server_that_takes_ten_at_a_time_is_kept_busy(latency: float) -> None:
    """A server without a rate refuses by how many requests are open: the width finds that number."""
    busy: list[float] = []

    def refuse(now: float) -> float:
        busy[:] = [end for end in busy if end > now]
        if len(busy) >= 10:
            return 1.0
        busy.append(now + latency)
        return 0.0

    played = play(refuse, HEADERS["no header"], latency=latency, seed=1)
    assert played.sent <= 1.2 * REQUESTS
    assert played.seconds <= 3 * REQUESTS * latency / 10


def make(width: float = 8.0) -> Admission:
    return Admission(width=width, max_width=64, random=lambda: 0.5)


def test_the_width_doubles_in_a_round_until_the_first_refusal() -> None:
    admission = make()
    for _ in range(8):
        admission.send(0.0)
    assert admission.delay(0.0) == math.inf
    for _ in range(8):
        admission.end()
        admission.answer()
    assert admission.width == 16
    assert admission.rate == math.inf


def test_a_refusal_closes_the_gate_for_as_long_as_the_server_says() -> None:
    admission = make()
    admission.send(0.0)
    admission.end()
    admission.refuse(1.0, sent=0.0, retry_after=10.0)
    assert 10.0 <= admission.delay(1.0) <= 11.0
    assert admission.delay(20.0) == 0


def test_requests_that_were_sent_before_a_refusal_lower_nothing_again() -> None:
    admission = make()
    for at in (0.0, 0.1, 0.2):
        admission.send(at)
    admission.end()
    admission.refuse(1.0, sent=0.0)
    width, rate, closed_until = admission.width, admission.rate, admission.not_before
    admission.end()
    admission.refuse(1.1, sent=0.1)
    assert (admission.width, admission.rate, admission.not_before) == (width, rate, closed_until)
    admission.end()
    admission.refuse(1.1, sent=0.2, retry_after=60.0)  # but what it asks for counts
    assert admission.not_before > closed_until


def test_pauses_double_while_nothing_is_answered() -> None:
    admission = make()
    pauses: list[float] = []
    now = 0.0
    for _ in range(10):
        admission.send(now)
        admission.end()
        admission.refuse(now, sent=now)
        pauses.append(admission.delay(now))
        now += pauses[-1]
    assert pauses[:3] == pytest.approx([pauses[0], 2 * pauses[0], 4 * pauses[0]])
    assert pauses[-1] == pytest.approx(31.5)  # the bound, jitter included
    admission.send(now)
    admission.end()
    admission.answer()
    admission.refuse(now, sent=now)
    assert admission.not_before - now == pytest.approx(pauses[0])

"""Time several functions in one run, so that their ratios do not depend on the speed of the machine."""

from __future__ import annotations

import gc
import statistics
import time
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable

Seconds: TypeAlias = float


def timed(work: Callable[[], object]) -> Seconds:
    """Run a function once. Return the seconds it took. Garbage is collected before."""
    gc.collect()
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def alternate(*works: Callable[[], object], rounds: int) -> list[Seconds]:
    """Run all functions in turn, once unmeasured and then ``rounds`` times. Return the median seconds of each."""
    for work in works:
        work()
    taken = [[timed(work) for work in works] for _ in range(rounds)]
    return [statistics.median(column) for column in zip(*taken, strict=True)]


def row(name: str, measured: float, bar: float, *, at_least: bool, note: str = "") -> bool:
    """Print a measurement, its bar, and whether the bar is met. Return whether it is."""
    met = measured >= bar if at_least else measured <= bar
    print(f"{'ok  ' if met else 'MISS'} {name:<58} {measured:8.2f}  {'>=' if at_least else '<='} {bar:<6g} {note}")
    return met

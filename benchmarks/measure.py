"""Timing two things against each other, in one run, so that the ratio holds where the machine's speed does not."""

from __future__ import annotations

import gc
import statistics
import time
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable

Seconds: TypeAlias = float


def timed(work: Callable[[], object]) -> Seconds:
    """Run once, and give the seconds it took, without the garbage that others left."""
    gc.collect()
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def alternate(*works: Callable[[], object], rounds: int) -> list[Seconds]:
    """Run all in turn, once unmeasured and then ``rounds`` times; give the median of each."""
    for work in works:
        work()
    taken = [[timed(work) for work in works] for _ in range(rounds)]
    return [statistics.median(column) for column in zip(*taken, strict=True)]


def row(name: str, measured: float, bar: float, *, at_least: bool, note: str = "") -> bool:
    """Print one line: what was measured, the bar, and whether it is met."""
    met = measured >= bar if at_least else measured <= bar
    print(f"{'ok  ' if met else 'MISS'} {name:<58} {measured:8.2f}  {'>=' if at_least else '<='} {bar:<6g} {note}")
    return met

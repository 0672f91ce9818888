"""Compare the CPU time of several functions within one run, so that the ratios do not depend on the machine or its load."""

from __future__ import annotations

import gc
import statistics
import time
from typing import TYPE_CHECKING, Any, TypeAlias

import attrs

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

__all__ = ["Report", "Rounds", "alternate", "alternate_async", "cpu_time"]

Seconds: TypeAlias = float


@attrs.define
class Rounds:
    """The CPU times of several works that ran in turn, round by round."""

    taken: dict[str, list[Seconds]] = attrs.field(factory=dict[str, list[float]])
    """The seconds of each round, by the name of the work."""

    def ratios(self, over: str, under: str) -> list[float]:
        """Return the ratio of two works in each round."""
        return [a / b for a, b in zip(self.taken[over], self.taken[under], strict=True)]

    def median(self, work: str) -> Seconds:
        """Return the median time of a work."""
        return statistics.median(self.taken[work])


@attrs.define
class Report:
    """All measurements: figures, and ratios with their bars. Prints each row when it is added."""

    rows: list[dict[str, Any]] = attrs.field(factory=list[dict[str, Any]])
    figures: dict[str, dict[str, float]] = attrs.field(factory=dict[str, dict[str, float]])
    profile: list[dict[str, Any]] = attrs.field(factory=list[dict[str, Any]])
    """The cost of each type of event, the most expensive first."""

    @property
    def missed(self) -> int:
        """The number of bars that were missed."""
        return sum(not row["met"] for row in self.rows)

    def times(self, part: str, rounds: Rounds, events: int) -> None:
        """Add the median time of each work in µs per event."""
        self.figures[part] = {work: rounds.median(work) / events * 1e6 for work in rounds.taken}
        print(f"     {part}, CPU µs per event:")
        for work, value in self.figures[part].items():
            print(f"       {work:<32} {value:8.2f}")

    def ratio(
        self,
        name: str,
        ratios: list[float],
        *,
        at_least: float | None = None,
        at_most: float | None = None,
        goal: float,
    ) -> None:
        """Add a ratio with its goal, and with its bar if it has one. The median counts; the quartiles are also printed."""
        low, middle, high = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else (ratios[0],) * 3
        met = (at_least is None or middle >= at_least) and (at_most is None or middle <= at_most)
        bar = f">= {at_least:g}" if at_least is not None else f"<= {at_most:g}" if at_most is not None else ""
        self.rows.append(
            {"name": name, "median": middle, "quartiles": [low, high], "bar": bar, "goal": goal, "met": met}
        )
        state = "MISS" if not met else "ok  " if bar else "    "
        print(f"{state} {name:<46} {middle:8.2f}  {bar:<8} goal {goal:<5g} ({low:.2f} to {high:.2f})")


def cpu_time(work: Callable[[], object]) -> Seconds:
    """Run a function, and return the CPU time that this process spent, in seconds. Garbage is collected first."""
    gc.collect()
    begin = time.process_time()
    work()
    return time.process_time() - begin


def alternate(works: Mapping[str, Callable[[], object]], rounds: int) -> Rounds:
    """Run all functions in turn, once as a warm-up and then ``rounds`` times."""
    for work in works.values():
        work()
    result = Rounds({name: [] for name in works})
    for _ in range(rounds):
        for name, work in works.items():
            result.taken[name].append(cpu_time(work))
    return result


async def alternate_async(works: Mapping[str, Callable[[], Awaitable[object]]], rounds: int) -> Rounds:
    """Do the same with async functions, on the running loop."""
    result = Rounds({name: [] for name in works})
    for number in range(rounds + 1):
        for name, work in works.items():
            gc.collect()
            begin = time.process_time()
            await work()
            if number:
                result.taken[name].append(time.process_time() - begin)
    return result

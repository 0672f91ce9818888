"""Show where the engine's time goes: the cost of each type of event in the recorded streams, and its share of the total."""

from __future__ import annotations

import gc
import itertools
import time
from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

import openai
from benchmarks.engine import recordings

from responses_proto import ResponseStream

if TYPE_CHECKING:
    from benchmarks.measure import Report

__all__ = ["run"]

_SHOWN: Final = 12
_OTHERS: Final = "others"


def run(report: Report, rounds: int) -> None:
    """Measure all of this module."""
    with openai.OpenAI(base_url="http://bench.invalid/v1", api_key="none") as client:
        streams = recordings(client)
    fastest: dict[tuple[int, int], tuple[str, int]] = {}
    gc.disable()  # a collection would be charged to whichever event it interrupts
    for _ in range(rounds):
        for number, reads in enumerate(streams):
            stream = ResponseStream()
            for at, read in enumerate(reads):
                begin = time.thread_time_ns()
                stream.receive_data(read)
                events = stream.events_received()
                taken = time.thread_time_ns() - begin
                kind = events[0].type if events else _OTHERS
                fastest[number, at] = min(fastest.get((number, at), (kind, taken)), (kind, taken))
        gc.collect()
    gc.enable()
    by_type: dict[str, list[int]] = defaultdict(list)
    clock = _cost_of_the_clock()
    for kind, taken in fastest.values():
        by_type[kind].append(taken - clock)
    _show(report, by_type)


def _cost_of_the_clock() -> int:
    """Return the nanoseconds that pass from one reading of the clock to the next."""
    readings = [time.thread_time_ns() for _ in range(1000)]
    return min(after - before for before, after in itertools.pairwise(readings))


def _show(report: Report, by_type: dict[str, list[int]]) -> None:
    ordered = sorted(by_type, key=lambda kind: sum(by_type[kind]), reverse=True)
    groups = [*((kind, by_type[kind]) for kind in ordered[:_SHOWN] if kind != _OTHERS)]
    groups.append((_OTHERS, [taken for kind in ordered if kind not in dict(groups) for taken in by_type[kind]]))
    whole = sum(map(sum, by_type.values()))
    print("     where the time goes, in recorded streams:           share  events     µs each")
    for kind, taken in groups:
        row: dict[str, Any] = {
            "event": kind,
            "share": sum(taken) / whole,
            "events": len(taken),
            "microseconds": sum(taken) / max(len(taken), 1) / 1000,
        }
        report.profile.append(row)
        print(f"       {kind:<46} {row['share']:8.1%} {row['events']:7} {row['microseconds']:11.2f}")

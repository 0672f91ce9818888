"""Compare speed and memory with other libraries: ``make bench``. The exit status is 0 if all bars are met.

    python -m benchmarks [PART ...] [--rounds 7] [--json FILE] [--plot FILE]

The parts are ``loopback``, ``engine`` and ``by_event``; the default is all of them.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from importlib.metadata import version
from pathlib import Path

from benchmarks import by_event, engine, loopback
from benchmarks.measure import Report

_PARTS = {"loopback": loopback.run, "engine": engine.run, "by_event": by_event.run}
_PEERS = ("openai", "httpx", "aiohttp", "orjson", "msgspec")


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Measure speed and memory beside the peers."
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"{', '.join(_PARTS)}; by default all")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results to this file")
    parser.add_argument(
        "--plot", type=Path, metavar="FILE", help="draw the CPU times per event (SVG); needs matplotlib"
    )
    options = parser.parse_args()
    if unknown := set(options.parts) - set(_PARTS):
        parser.error(f"unknown part {', '.join(unknown)}")
    report = Report()
    for name in options.parts or _PARTS:
        _PARTS[name](report, options.rounds)
    if options.json is not None:
        machine = {
            "python": platform.python_version(),
            "machine": platform.machine(),
            **{name: version(name) for name in _PEERS},
        }
        result = {
            "versions": machine,
            "rounds": options.rounds,
            "figures": report.figures,
            "ratios": report.rows,
            "profile": report.profile,
        }
        options.json.write_text(json.dumps(result, indent=2) + "\n")
    if options.plot is not None:
        from benchmarks.plot import draw  # noqa: PLC0415 - matplotlib is loaded after the measuring

        draw(report.figures, options.plot)
    bars = sum(bool(row["bar"]) for row in report.rows)
    print(f"{bars - report.missed} of {bars} bars hold")
    return min(report.missed, 1)


if __name__ == "__main__":
    sys.exit(main())

"""Draw the CPU times per event as bars."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["draw"]


def draw(figures: Mapping[str, Mapping[str, float]], path: Path) -> None:
    """Write an SVG file with one panel per part of the benchmark. ``figures`` holds µs per event, by part and by library."""
    matplotlib: Any = importlib.import_module("matplotlib")  # typed too vaguely for strict checking
    matplotlib.use("svg")
    matplotlib.rcParams.update({"svg.hashsalt": "responses_proto", "font.size": 8, "axes.titlesize": 9})
    pyplot: Any = importlib.import_module("matplotlib.pyplot")
    figure, panels = pyplot.subplots(
        len(figures), 1, figsize=(7, 1.5 * len(figures)), squeeze=False, layout="constrained"
    )
    for panel, (part, times) in zip(panels[:, 0], figures.items(), strict=True):
        names = list(times)[::-1]
        colours = ["#2b6cb0" if name == "responses_proto" else "#b8c2cc" for name in names]
        bars = panel.barh(names, [times[name] for name in names], color=colours)
        panel.bar_label(bars, fmt="%.1f", padding=3)
        panel.set_title(f"{part} (CPU µs per event)", loc="left")
        panel.spines[["top", "right", "bottom"]].set_visible(False)
        panel.xaxis.set_visible(False)
        panel.margins(x=0.1)
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)

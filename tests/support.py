"""Where tests find what is not part of the repository: facts and recordings beside the checkout."""

from __future__ import annotations

from pathlib import Path

_SHARED = Path(__file__).resolve().parents[2] / "shared"

NO_SHARED = "the facts and recordings in ../shared are not there"
"""The reason that a skipped test gives."""


def shared(*parts: str) -> Path:
    """Give the path of something in ``../shared``; it need not exist."""
    return _SHARED.joinpath(*parts)

"""What tests need wherever they are: event loops to run on, and what is not part of the repository."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import pytest

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_SHARED = Path(__file__).resolve().parents[2] / "shared"

NO_SHARED = "the facts and recordings in ../shared are not there"
"""The reason that a skipped test gives."""

both_loops = pytest.mark.parametrize("backend", ["asyncio", "trio"])
"""For a test that takes ``backend`` and gives it to :func:`run`."""


def shared(*parts: str) -> Path:
    """Give the path of something in ``../shared``; it need not exist."""
    return _SHARED.joinpath(*parts)


def run(backend: str, test: Callable[[], Awaitable[None]]) -> None:
    """Run a test's coroutine function on an event loop, for half a minute at most."""

    async def bounded() -> None:
        with anyio.fail_after(30):
            await test()

    anyio.run(bounded, backend=backend)

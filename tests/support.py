"""What all tests share: event loops to run on, bounds for waiting, and the files outside of the repository."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import anyio
import pytest

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_SHARED = Path(__file__).resolve().parents[2] / "shared"

PATIENCE: Final = 60.0
"""Seconds to wait for something that must happen. Only a test that hangs reaches it, however loaded the machine is."""

NO_SHARED = "../shared, with the facts and recordings, does not exist"
"""The reason for which a test is skipped."""

both_loops = pytest.mark.parametrize("backend", ["asyncio", "trio"])
"""For a test that passes its parameter ``backend`` to :func:`run`."""


def shared(*parts: str) -> Path:
    """Return a path below ``../shared``, whether it exists or not."""
    return _SHARED.joinpath(*parts)


def run(backend: str, test: Callable[[], Awaitable[None]]) -> None:
    """Run a test's coroutine function on an event loop. Raise ``TimeoutError`` if it hangs."""

    async def bounded() -> None:
        with anyio.fail_after(2 * PATIENCE):
            await test()

    anyio.run(bounded, backend=backend)

"""Starts a program that speaks MCP, and exchanges messages with it over its standard input and output.

Importing this module imports the ``mcp`` SDK. Its own transport ends at the first byte that is not UTF-8, does not
bound a line, reads a long one in quadratic time, and leaves a request unanswered if the answer cannot be read.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import anyio
from mcp.client.stdio import get_default_environment
from mcp.shared.message import SessionMessage

from ...codec import default_backend
from ._json import Lines
from ._messages import messages_of
from ._transports import has_descriptor

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from anyio.abc import ObjectReceiveStream, ObjectSendStream
    from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

    from ...client._task_holder import TaskHolder
    from ...limits import Limits
    from ._transports import Stdio

# Seconds; MCP, Lifecycle: Shutdown.
_FLUSH_TIMEOUT: Final = 0.5
"""For writing the messages that were accepted."""
_EXIT_TIMEOUT: Final = 2.0
"""For the program to end after its input was closed, and after it was killed."""
_TERMINATE_TIMEOUT: Final = 2.0
"""Between the signal to terminate and the one to kill."""
_POLL_INTERVAL: Final = 0.01

_GONE: Final = (anyio.EndOfStream, anyio.ClosedResourceError, anyio.BrokenResourceError, OSError)


@asynccontextmanager
async def stdio_streams(settings: Stdio, limits: Limits, holder: TaskHolder) -> AsyncGenerator[tuple[Any, Any]]:
    """Start a program. Yield the streams of its messages; end it, and its children, at the end of the block.

    Raises ``OSError`` if the program cannot be started.
    """
    with holder.no_cancel():  # anyio does not end a program whose start was cancelled
        process = await _start(settings)
    received, incoming = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    outgoing, to_send = anyio.create_memory_object_stream[SessionMessage](0)
    written = anyio.Event()
    async with anyio.create_task_group() as group:
        group.start_soon(_read, process.stdout, received, limits)
        group.start_soon(_write, process.stdin, to_send, received, written)
        try:
            yield incoming, outgoing
        finally:
            incoming.close()  # from now on, output is discarded: a program that is stuck writing cannot end
            outgoing.close()
            with anyio.CancelScope(shield=True):
                with anyio.move_on_after(_FLUSH_TIMEOUT):
                    await written.wait()
                await _stop(process)
            group.cancel_scope.cancel()


async def _read(
    stdout: ObjectReceiveStream[bytes],
    received: MemoryObjectSendStream[SessionMessage | Exception],
    limits: Limits,
) -> None:
    lines = Lines(limits.max_event_bytes)
    with received:
        while True:
            try:
                data = await stdout.receive()
            except _GONE:
                return
            with contextlib.suppress(anyio.ClosedResourceError, anyio.BrokenResourceError):  # nobody reads any more
                for line in lines.feed(data):
                    for message in messages_of(line):
                        await received.send(message)


async def _write(
    stdin: ObjectSendStream[bytes],
    to_send: MemoryObjectReceiveStream[SessionMessage],
    received: MemoryObjectSendStream[SessionMessage | Exception],
    written: anyio.Event,
) -> None:
    json = default_backend()
    try:
        with to_send:
            async for item in to_send:
                message = item.message.model_dump(by_alias=True, exclude_unset=True)
                await stdin.send(json.dumps(message) + b"\n")
    except _GONE:
        received.close()  # the program does not read, so no answer will come
    finally:
        written.set()


# ---- the process


async def _start(settings: Stdio) -> Any:
    command, args = settings.command, [*settings.args]
    env = get_default_environment() | dict(settings.env)
    # In notebooks, sys.stderr has no descriptor.
    errlog: Any = settings.errlog or (sys.stderr if has_descriptor(sys.stderr) else subprocess.DEVNULL)
    if sys.platform == "win32":
        from mcp.os.win32 import utilities  # noqa: PLC0415 - exists on Windows only

        command = await anyio.to_thread.run_sync(utilities.get_windows_executable_command, command)
        return await utilities.create_windows_process(command, args, env, errlog, settings.cwd)
    # A session of its own, so that it can be ended together with its children.
    return await anyio.open_process([command, *args], env=env, stderr=errlog, cwd=settings.cwd, start_new_session=True)


async def _stop(process: Any) -> None:
    await _close(process.stdin)
    if not await _has_ended(process):
        await _terminate(process)
        await _has_ended(process)
    await _close(process.stdout)
    # A child that outlived the program may hold the pipes. asyncio's transport would wait for it.
    transport = getattr(getattr(process, "_process", None), "_transport", None)
    if transport is not None:
        with contextlib.suppress(PermissionError):
            transport.close()


async def _terminate(process: Any) -> None:
    if sys.platform == "win32":
        from mcp.os.win32 import utilities  # noqa: PLC0415 - as above

        await utilities.terminate_windows_process_tree(process)
        utilities.close_process_job(process)
    else:
        from mcp.os.posix.utilities import terminate_posix_process_tree  # noqa: PLC0415 - exists on POSIX only

        await terminate_posix_process_tree(process, _TERMINATE_TIMEOUT)


async def _close(stream: Any) -> None:
    with contextlib.suppress(*_GONE):
        await stream.aclose()


async def _has_ended(process: Any) -> bool:
    # Not `process.wait()`: on asyncio, it also waits for the ends of the pipes.
    with anyio.move_on_after(_EXIT_TIMEOUT):
        while process.returncode is None:  # noqa: ASYNC110 - as said above
            await anyio.sleep(_POLL_INTERVAL)
    return process.returncode is not None

"""The conversation of the command ``chat``: the keyboard in the main thread, the event loop in another.

A thread that waits for the keyboard cannot be cancelled, and an interruption is only raised in the main thread. So the main thread
reads lines and waits for answers. An interruption is raised only while it reads; while it waits, it is noted, and cancels the answer.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import importlib
import signal
import sys
from typing import TYPE_CHECKING, Any, Final, Self

import anyio
from anyio.from_thread import start_blocking_portal

from ..exceptions import ResponsesProtoError
from ..models.items import Message
from ..protocol.history import as_input
from ._errors import describe, print_error
from ._output import Format, StreamPrinter, write

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from types import FrameType

    from anyio.abc import TaskStatus
    from anyio.from_thread import BlockingPortal

    from ..client.client import ResponsesClient
    from ..models.items import Item

_PROMPT: Final = "> "
_POLL: Final = 0.1  # seconds between checks for an interruption, which does not by itself end the wait for an answer
_HELP: Final = "/new begins another conversation, /quit or Ctrl-D ends the program, Ctrl-C stops an answer.\n"


class Chat:
    """A conversation on the terminal."""

    def __init__(self, client: ResponsesClient, model: str, instructions: str | None, tools: Sequence[Any]) -> None:
        self._client = client
        self._model = model
        self._fields: dict[str, Any] = {} if instructions is None else {"instructions": instructions}
        self._tools = tools
        self._items: list[Item] = []

    def run(self) -> None:
        """Read questions and print answers until the input ends."""
        with contextlib.suppress(ImportError):
            importlib.import_module("readline")  # gives `input` a history and editing keys, where available
        interactive = sys.stdin.isatty()
        if interactive:
            sys.stderr.write(f"{self._model} at {self._client.base_url}\n{_HELP}")
        with (
            _Interruptions() as interruptions,
            start_blocking_portal() as portal,
            portal.wrap_async_context_manager(self._client),
        ):
            while True:
                try:
                    with interruptions.raised():
                        line = input(_PROMPT if interactive else "").strip()
                except EOFError:
                    break
                except KeyboardInterrupt:
                    write("\n")
                    continue
                if line in ("/quit", "/exit"):
                    break
                if line == "/new":
                    self._items = []
                elif line == "/help":
                    sys.stderr.write(_HELP)
                elif line:
                    self._wait(portal, line, interruptions)
        if interactive:
            write("\n")

    def _wait(self, portal: BlockingPortal, question: str, interruptions: _Interruptions) -> None:
        """Wait for an answer. An interruption cancels it, and what arrived is kept."""
        answer, scope = portal.start_task(self._answer_in_scope, question)
        while not answer.done():
            if interruptions.noted:
                interruptions.noted = False
                portal.call(scope.cancel)
            concurrent.futures.wait([answer], timeout=_POLL)
        try:
            answer.result()
        except ResponsesProtoError as error:
            print_error(describe(error))
        if scope.cancelled_caught:
            sys.stderr.write("[stopped]\n")

    async def _answer_in_scope(self, question: str, *, task_status: TaskStatus[anyio.CancelScope]) -> None:
        with anyio.CancelScope() as scope:
            task_status.started(scope)
            await self._answer(question)

    async def _answer(self, question: str) -> None:
        asked: list[Item] = [*self._items, Message(role="user", content=question)]
        printer = StreamPrinter(Format.TEXT)
        run = self._client.run(model=self._model, input=asked, tools=self._tools, store=False, **self._fields)
        try:
            async with run:
                async for event in run:
                    printer.print_event(event)
                result = await run.result()
            self._items = result.history
        except BaseException:
            # Keep the text that arrived: the next question may refer to it.
            text = run.response.output_text if run.response is not None else ""
            if text:
                self._items = as_input(
                    [*asked, Message(role="assistant", content=text)], self._client.dialect, stored=False
                )
            raise
        finally:
            printer.close()


class _Interruptions:
    """Records interruptions (Ctrl-C) during a block, instead of raising them anywhere in it."""

    def __init__(self) -> None:
        self.noted = False
        """Whether an interruption occurred. The caller resets it to ``False``."""
        self._before: Any = None

    def __enter__(self) -> Self:
        self._before = signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(self, *_exc: object) -> None:
        signal.signal(signal.SIGINT, self._before)

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        self.noted = True

    @contextlib.contextmanager
    def raised(self) -> Generator[None]:
        """Raise interruptions as ``KeyboardInterrupt`` within the block, as usual."""
        signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, self._note)
            self.noted = False

"""Tools: the hook that answers calls of the model's, and executors made of Python functions.

::

    @function_tool
    async def get_weather(city: str, units: Literal["c", "f"] = "c") -> str:
        '''Tell the weather in a city.'''
        ...

    async with client.run(model=..., input=..., tools=[get_weather]) as run: ...

Whatever fulfils :class:`ToolExecutor` can answer calls. Ready-made are functions (:func:`function_tool`), functions of free text
(:func:`custom_tool`), and functions that get the call itself (:func:`handler`), for the kinds of calls that name no tool: shells,
patches, computers, tool searches. Nothing is ever run that the caller did not write.
"""

from __future__ import annotations

import copy
import functools
import inspect
import time
from collections.abc import Mapping, Sequence
from typing import (
    TYPE_CHECKING,
    Any,
    Concatenate,
    Final,
    Generic,
    ParamSpec,
    Protocol,
    Self,
    TypeAlias,
    TypeVar,
    cast,
    get_args,
    overload,
)

import anyio.to_thread
import attrs

from ..codec import load
from ..exceptions import LocalProtocolError, ToolArgumentsInvalid
from ..models._base import Model
from ..models.items import CustomToolCall, FunctionCall, McpApprovalRequest
from ..models.response import PendingCall
from ..models.tools import CustomTool, FunctionTool, NamespaceTool, Tool
from ..typing import UNSET
from ._signature import description_of, label_of, name_of, parameters_of, signature_of
from .output import Approval, ToolOutput, ToolResult, tool_output

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ..models.items import Item
    from ..models.tools import AllowedCaller, CustomToolFormat
    from ..typing import JSONObject

__all__ = [
    "Approval",
    "Function",
    "ItemHandler",
    "ProgressReporter",
    "ToolContext",
    "ToolExecutor",
    "ToolOutput",
    "ToolResult",
    "Tools",
    "custom_tool",
    "function_tool",
    "handler",
]

_P = ParamSpec("_P")
_Q = ParamSpec("_Q")
_R = TypeVar("_R")
_C = TypeVar("_C", bound=PendingCall)
_D = TypeVar("_D", bound=FunctionTool | CustomTool)


# ---- the hook


@attrs.frozen
class ProgressReporter:
    """How far a call has come, in whatever unit its tool counts."""

    message: str = ""
    done: float | None = None
    total: float | None = None
    """``None`` if the tool does not know."""


@attrs.define(eq=False)
class ToolContext:
    """One call that is being executed: what it is part of, how long it may take, and who is told how far it has come.

    One object for each call, made by whoever executes it; ``ToolContext(call)`` is enough to execute one by hand. May be
    used from the worker thread of a tool that is no coroutine.
    """

    call: PendingCall
    """The item that asks for it."""
    response_id: str = attrs.field(default="", kw_only=True)
    """The response that the call is part of; empty if it has none."""
    turn: int = attrs.field(default=1, kw_only=True)
    """Which response of the run that is, from 1."""
    timeout: float | None = attrs.field(default=None, kw_only=True)
    """Seconds that the call may take; ``None`` if there is no bound."""
    cancelled: bool = attrs.field(default=False, kw_only=True)
    """Whether nobody waits for the output any more. A coroutine is cancelled then; a thread cannot be, and should look here."""
    on_progress: Callable[[ProgressReporter], object] | None = attrs.field(default=None, kw_only=True, repr=False)
    """What :meth:`progress` tells; has to be safe to call from the worker thread."""
    _started: float = attrs.field(factory=time.monotonic, init=False, repr=False)

    @property
    def seconds_left(self) -> float | None:
        """What is left of :attr:`timeout`, 0 at least; ``None`` if there is no bound."""
        return None if self.timeout is None else max(0.0, self.timeout - (time.monotonic() - self._started))

    def progress(self, message: str = "", *, done: float | None = None, total: float | None = None) -> None:
        """Tell how far the call has come. Waits for nobody, and does nothing once the call is over or cancelled."""
        if self.on_progress is not None and not self.cancelled:
            self.on_progress(ProgressReporter(message, done, total))


class ToolExecutor(Protocol):
    """Something that answers calls: a function, an MCP session, a handler of shell calls.

    An executor that has to be opened is an async context manager as well, and says with an attribute ``entered: bool``
    whether it is open: ``client.run`` enters those that are not, before the first request, and leaves them at the end, both in
    the task that the run's own block is in. Those that are open stay the caller's to leave, who thereby can share them between runs.
    One that has an attribute ``timeout``, in seconds, is held to that instead of the run's ``tool_timeout``.
    """

    def definitions(self) -> list[Tool]:
        """Give what the request offers to the model for it. Asked before each request, as it may change; may be empty."""
        ...

    def handles(self, item: Item) -> bool:
        """Tell whether a call is for it. The first of a run's executors that says so gets the call."""
        ...

    async def execute(self, call: PendingCall, context: ToolContext) -> ToolOutput:
        """Carry out a call that it handles, and give what the model gets to read.

        Any exception means that it did not work; whoever executes it decides what becomes of that. Cancellation means
        that nobody waits any more: clean up, and let it through. May run several times at once, for different calls.
        """
        ...


Tools: TypeAlias = "Sequence[ToolExecutor | Callable[..., Any] | Tool | JSONObject]"
"""What can stand in a run's ``tools``: executors; functions, which become :func:`function_tool`; and definitions of tools that the
server runs, or that are for the caller to answer."""


# ---- what is made of functions


async def call_function(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Call a function of the caller's: here if it is a coroutine function, else in a worker thread."""
    if _is_async(function):
        return await function(*args, **kwargs)
    # A thread cannot be cancelled; one that is given up is left to come to its end, and nobody looks at what it gives. What it
    # gives is put into something, since trio refuses what is to be awaited.
    (result,) = await anyio.to_thread.run_sync(lambda: (function(*args, **kwargs),), abandon_on_cancel=True)
    return await result if inspect.isawaitable(result) else result


def _is_async(function: Callable[..., Any]) -> bool:
    written = function.func if isinstance(function, functools.partial) else function
    call = getattr(written, "__call__", None)  # noqa: B004 - not whether it can be called, but how
    return inspect.iscoroutinefunction(written) or inspect.iscoroutinefunction(call)


class _Called:
    """A function, and how it is called."""

    def __init__(self, function: Callable[..., Any]) -> None:
        if not callable(function) or inspect.isclass(function):
            raise LocalProtocolError(f"a tool is made of a function or a method, not of {function!r}")
        parameters = parameters_of(function, ToolContext)
        self.function = function
        self.parameters: tuple[inspect.Parameter, ...] = parameters.listed
        self._context = parameters.context
        self._bound = parameters.bound

    def bound(self, instance: object) -> _Called:
        made = copy.copy(self)
        made.function = functools.partial(self.function, instance)
        made._bound = True  # noqa: SLF001 - its own
        return made

    def require_bound(self) -> None:
        if not self._bound:
            raise LocalProtocolError(
                f"{label_of(self.function)} is a method: give the run that of an object, as in tools=[thing.method]"
            )

    async def __call__(self, context: ToolContext, *args: Any, **kwargs: Any) -> ToolOutput:
        self.require_bound()
        if self._context:
            args = (context, *args)
        return tool_output(await call_function(self.function, *args, **kwargs))


class Function(Generic[_P, _R, _D]):
    """A function that the model can call, by :func:`function_tool` or :func:`custom_tool`. To everybody else it still is one."""

    def __init__(
        self,
        function: Callable[_P, _R],
        called: _Called,
        definition: _D,
        read: Callable[[Any], tuple[Sequence[Any], Mapping[str, Any]]],
        timeout: float | None,
    ) -> None:
        # `read` makes the arguments of the function of a call.
        self._called = called
        self._read = read
        self.definition: _D = definition
        """What is offered to the model."""
        self.timeout: float | None = checked_timeout("timeout", timeout)
        """Seconds that a call may take; ``None`` leaves it to the run."""
        functools.update_wrapper(cast("Any", self), function, updated=())

    @property
    def name(self) -> str:
        """What the model knows it by."""
        return self.definition.name

    def __call__(self, *args: _P.args, **kwargs: _P.kwargs) -> _R:
        """Call the function, as if it were not a tool."""
        return cast("_R", self._called.function(*args, **kwargs))

    @overload
    def __get__(self, instance: None, owner: type | None = None) -> Self: ...
    @overload
    def __get__(
        self: Function[Concatenate[Any, _Q], _R, _D], instance: object, owner: type | None = None
    ) -> Function[_Q, _R, _D]: ...
    def __get__(self, instance: object, owner: type | None = None) -> Any:
        """Be a method."""
        if instance is None:
            return self
        made = copy.copy(self)
        made._called = self._called.bound(instance)  # noqa: SLF001 - its own
        return made

    def definitions(self) -> list[Tool]:
        """Give what is offered to the model. Raises ``LocalProtocolError`` for a method of no object."""
        self._called.require_bound()
        return [self.definition]

    def handles(self, item: Item) -> bool:
        """Tell whether a call is for this function."""
        kind = FunctionCall if isinstance(self.definition, FunctionTool) else CustomToolCall
        return isinstance(item, kind) and item.name == self.name and not item.namespace

    async def execute(self, call: PendingCall, context: ToolContext) -> ToolOutput:
        """Check the arguments, call the function, and make an output of what it returns.

        Raises ``ToolArgumentsInvalid`` for arguments that do not fit, before anything is called; and what the function raises.
        """
        try:
            args, kwargs = self._read(call)
        except ToolArgumentsInvalid as error:
            error.call = call
            raise
        return await self._called(context, *args, **kwargs)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"


class ItemHandler:
    """A function that gets calls of one kind as they are. From :func:`handler`."""

    def __init__(
        self,
        kind: type[PendingCall] | str,
        function: Callable[..., Any],
        *,
        definition: Tool | JSONObject | Sequence[Tool | JSONObject] | None = None,
        timeout: float | None = None,
    ) -> None:
        self.kind: str = kind if isinstance(kind, str) else kind.type
        """The type of the calls, as on the wire."""
        if self.kind not in _KINDS:
            raise LocalProtocolError(f"no call of kind {self.kind!r} waits for a handler, only {', '.join(_KINDS)}")
        self._called = _Called(function)
        _require_one(function, self._called, "the call")
        self.timeout: float | None = checked_timeout("timeout", timeout)
        """Seconds that a call may take; ``None`` leaves it to the run."""
        given = cast(
            "Sequence[Tool | JSONObject]",
            [definition] if isinstance(definition, (Model, Mapping)) else definition or (),
        )
        self._definitions: list[Tool] = [load(tool, Tool) if isinstance(tool, Mapping) else tool for tool in given]
        self._names = set(names_of(self._definitions))

    def definitions(self) -> list[Tool]:
        """Give what is offered to the model."""
        return [*self._definitions]

    def handles(self, item: Item) -> bool:
        """Tell whether a call is of this kind and, where calls name a tool and some were defined, of one of them."""
        if item.type != self.kind:
            return False
        return not self._names or not isinstance(item, FunctionCall | CustomToolCall) or _name(item) in self._names

    async def execute(self, call: PendingCall, context: ToolContext) -> ToolOutput:
        """Call the function with the call, and make an output of what it returns. Raises what the function raises."""
        return await self._called(context, call)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.kind}>"


_KINDS: Final = tuple(sorted(cls.type for cls in get_args(PendingCall) if cls is not McpApprovalRequest))


def _name(call: FunctionCall | CustomToolCall) -> tuple[str, str]:
    return call.namespace or "", call.name


def names_of(tools: Iterable[Tool], namespace: str = "") -> Iterable[tuple[str, str]]:
    """Give what calls of the caller's tools name: the namespace, which may be empty, and the tool."""
    for tool in tools:
        if isinstance(tool, FunctionTool | CustomTool):
            yield namespace, tool.name
        elif isinstance(tool, NamespaceTool):
            yield from names_of(tool.tools, tool.name)


def _named(name: str | None, function: Callable[..., Any]) -> str:
    found = name if name is not None else name_of(function)
    if not found:
        raise LocalProtocolError(
            f"{function!r} has no name that a tool can have (letters, digits, _ and -, at most 64): name=..."
        )
    return found


def checked_timeout(name: str, timeout: float | None) -> float | None:
    """Give a timeout back. Raises ``LocalProtocolError`` for one that is none."""
    if timeout is not None and not 0 < timeout < float("inf"):
        raise LocalProtocolError(f"{name} has to be a number of seconds above 0, not {timeout!r}")
    return timeout


def _require_one(function: Callable[..., Any], called: _Called, what: str) -> None:
    needed = [parameter for parameter in called.parameters if parameter.default is inspect.Parameter.empty]
    if not called.parameters or len(needed) > 1 or called.parameters[0].kind is inspect.Parameter.KEYWORD_ONLY:
        raise LocalProtocolError(f"{label_of(function)}() has to take {what}, after the context if it wants one")


# ---- making them


@overload
def function_tool(
    function: Callable[_P, _R],
    /,
    *,
    name: str | None = None,
    description: str | None = None,
    strict: bool = True,
    timeout: float | None = None,
    allowed_callers: Sequence[AllowedCaller] | None = None,
    defer_loading: bool | None = None,
) -> Function[_P, _R, FunctionTool]: ...
@overload
def function_tool(
    *,
    name: str | None = None,
    description: str | None = None,
    strict: bool = True,
    timeout: float | None = None,
    allowed_callers: Sequence[AllowedCaller] | None = None,
    defer_loading: bool | None = None,
) -> Callable[[Callable[_P, _R]], Function[_P, _R, FunctionTool]]: ...
def function_tool(
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    description: str | None = None,
    strict: bool = True,
    timeout: float | None = None,
    allowed_callers: Sequence[AllowedCaller] | None = None,
    defer_loading: bool | None = None,
) -> Any:
    """Make a tool of a function, a coroutine function or a method: ``@function_tool``, or ``function_tool(f, name=...)``.

    The model is told the name, the docstring, and the parameters: their types as a JSON Schema, as for structured output, and what
    the docstring (in the manner of Google, NumPy or Sphinx) or ``Annotated`` says of each. ``strict`` holds the model to it; a
    parameter with a default may then be null, which means the default. A first parameter annotated :class:`ToolContext` gets the
    context and is not told. The arguments are checked before the function is called: it gets values of the types it names.

    A plain function is called in a worker thread. On cancellation, and after its ``timeout``, the thread is left behind: it goes on to
    its end, unless it looks at ``context.cancelled``, and what it gives is thrown away. What is returned, :func:`~.tooloutput.tool_output` makes an
    output of; what is raised means that the call failed.

    Raises ``LocalProtocolError`` for parameters that have no type, or one that no schema can say, for ``*args`` and ``**kwargs``, and
    for a name that is none.
    """

    def make(function: Callable[..., Any]) -> Function[..., Any, FunctionTool]:
        called = _Called(function)
        signature = signature_of(function, called.parameters)
        definition = FunctionTool(
            name=_named(name, function),
            description=(description_of(function) if description is None else description) or UNSET,
            parameters=signature.schema(strict=strict),
            strict=strict,
            allowed_callers=UNSET if allowed_callers is None else allowed_callers,
            defer_loading=UNSET if defer_loading is None else defer_loading,
        )
        return Function(function, called, definition, lambda call: signature.bind(call.arguments), timeout)

    return make if function is None else make(function)


@overload
def custom_tool(
    function: Callable[_P, _R],
    /,
    *,
    name: str | None = None,
    description: str | None = None,
    format: CustomToolFormat | None = None,
    timeout: float | None = None,
    allowed_callers: Sequence[AllowedCaller] | None = None,
    defer_loading: bool | None = None,
) -> Function[_P, _R, CustomTool]: ...
@overload
def custom_tool(
    *,
    name: str | None = None,
    description: str | None = None,
    format: CustomToolFormat | None = None,
    timeout: float | None = None,
    allowed_callers: Sequence[AllowedCaller] | None = None,
    defer_loading: bool | None = None,
) -> Callable[[Callable[_P, _R]], Function[_P, _R, CustomTool]]: ...
def custom_tool(
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    description: str | None = None,
    format: CustomToolFormat | None = None,  # noqa: A002 - the wire's own name for it
    timeout: float | None = None,
    allowed_callers: Sequence[AllowedCaller] | None = None,
    defer_loading: bool | None = None,
) -> Any:
    """Make a tool of a function that takes one text (Tools, Custom tools): ``@custom_tool``, or ``custom_tool(f, name=...)``.

    ``format`` can hold the text to a grammar. The rest is as with :func:`function_tool`. Raises ``LocalProtocolError`` for a
    function that does not take one text, and for a name that is none.
    """

    def make(function: Callable[..., Any]) -> Function[..., Any, CustomTool]:
        called = _Called(function)
        _require_one(function, called, "the text")
        definition = CustomTool(
            name=_named(name, function),
            description=(description_of(function) if description is None else description) or UNSET,
            format=UNSET if format is None else format,
            allowed_callers=UNSET if allowed_callers is None else allowed_callers,
            defer_loading=UNSET if defer_loading is None else defer_loading,
        )
        return Function(function, called, definition, lambda call: ((call.input,), {}), timeout)

    return make if function is None else make(function)


@overload
def handler(
    kind: type[_C],
    function: Callable[[_C], Any] | Callable[[ToolContext, _C], Any],
    /,
    *,
    definition: Tool | JSONObject | Sequence[Tool | JSONObject] | None = None,
    timeout: float | None = None,
) -> ItemHandler: ...
@overload
def handler(
    kind: str,
    function: Callable[..., Any],
    /,
    *,
    definition: Tool | JSONObject | Sequence[Tool | JSONObject] | None = None,
    timeout: float | None = None,
) -> ItemHandler: ...
def handler(
    kind: Any,
    function: Callable[..., Any],
    /,
    *,
    definition: Tool | JSONObject | Sequence[Tool | JSONObject] | None = None,
    timeout: float | None = None,
) -> ItemHandler:
    """Let a function answer all calls of one kind: ``handler(ShellCall, run_it, definition=ShellTool(environment=LocalEnvironment()))``.

    ``kind`` is the class of the calls or its wire string: ``shell_call``, ``local_shell_call``, ``apply_patch_call``, ``computer_call``,
    ``tool_search_call``; also ``function_call`` and ``custom_tool_call``, of the tools that are defined here or, if none are, of any name.
    ``definition`` is what the request offers for it, if that is not in the request already.

    The function, a coroutine function or not, gets the call, after the context if its first parameter is annotated :class:`ToolContext`. It gives
    text, or what the kind of call is answered with: a list of ``ShellOutput``, an image of the screen, a list of found tools, or the ready item. What
    it does to the machine it runs on is its own business. Raises ``LocalProtocolError`` for other kinds.
    """
    return ItemHandler(kind, function, definition=definition, timeout=timeout)

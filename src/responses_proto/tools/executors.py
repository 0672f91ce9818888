"""Tools: the :class:`ToolExecutor` interface that answers calls, and ready-made executors from Python functions.

::

    @function_tool
    async def get_weather(city: str, units: Literal["c", "f"] = "c") -> str:
        '''Return the weather in a city.'''
        ...

    async with client.run(model=..., input=..., tools=[get_weather]) as run: ...

:func:`function_tool` makes an executor from a function with typed parameters, :func:`custom_tool` from a function that
takes one text, and :func:`handler` from a function that receives the call itself, for calls that name no tool: shell commands,
patches, computer actions, tool searches. A call runs only code that the caller passed in; this library runs no shell
and no command itself.
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

from ..exceptions import ToolArgumentsInvalid, UsageError
from ..models._base import Model
from ..models.items import CustomToolCall, FunctionCall, McpApprovalRequest
from ..models.response import PendingCall
from ..models.tools import CustomTool, FunctionTool, Tool
from ..typing import UNSET
from ._signature import description_of, label_of, name_of, parameters_of, signature_of
from .loop import load_tool, tool_names
from .output import ToolOutput, tool_output

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from ..models.items import Item
    from ..models.tools import AllowedCaller, CustomToolFormat
    from ..typing import JSONObject

__all__ = [
    "Function",
    "ItemHandler",
    "NeedsApproval",
    "ProgressReport",
    "ToolContext",
    "ToolExecutor",
    "Tools",
    "custom_tool",
    "function_tool",
    "handler",
]

if TYPE_CHECKING:
    from typing_extensions import TypeVar as _TypeVarWithDefault  # type checkers bundle it

    DepsT = _TypeVarWithDefault("DepsT", default=Any)
else:
    DepsT = TypeVar("DepsT")

_P = ParamSpec("_P")
_Q = ParamSpec("_Q")
_R = TypeVar("_R")
_C = TypeVar("_C", bound=PendingCall)
_D = TypeVar("_D", bound=FunctionTool | CustomTool)


# ---- the interface


@attrs.frozen
class ProgressReport:
    """The progress of a call, in the tool's own unit."""

    message: str = ""
    done: float | None = None
    """The amount that is done; ``None`` if it is not known."""
    total: float | None = None
    """The amount at the end; ``None`` if it is not known."""


@attrs.define(eq=False)
class ToolContext(Generic[DepsT]):
    """The context of a call: its response and turn, its timeout, ``deps``, and :meth:`progress`.

    A run makes one for each call. To execute a call by hand, ``ToolContext(call)`` is enough. May be used from the
    worker thread of a plain function. ``ToolContext[Database]`` is the annotation of a context whose ``deps`` is a
    ``Database``.
    """

    call: PendingCall
    """The call that is being executed."""
    response_id: str = attrs.field(default="", kw_only=True)
    """The id of the response that contains the call; empty if it has none."""
    turn: int = attrs.field(default=1, kw_only=True)
    """The number of the turn in the run, from 1."""
    timeout: float | None = attrs.field(default=None, kw_only=True)
    """Seconds that the call may take; ``None`` for no bound."""
    cancelled: bool = attrs.field(default=False, kw_only=True)
    """Whether the output is no longer wanted: the call was cancelled or timed out. A coroutine is cancelled as well; a
    worker thread cannot be, so a long-running plain function should check this and return."""
    on_progress: Callable[[ProgressReport], object] | None = attrs.field(default=None, kw_only=True, repr=False)
    """Called by :meth:`progress`, also from a worker thread."""
    deps: DepsT = attrs.field(default=cast("Any", None), kw_only=True, repr=False)
    """The value that was passed to the run: ``client.run(..., deps=...)``."""
    _started: float = attrs.field(factory=time.monotonic, init=False, repr=False)

    @property
    def seconds_left(self) -> float | None:
        """The seconds left of :attr:`timeout`, at least 0; ``None`` for no bound."""
        return None if self.timeout is None else max(0.0, self.timeout - (time.monotonic() - self._started))

    def progress(self, message: str = "", *, done: float | None = None, total: float | None = None) -> None:
        """Report progress to the reader of the run, as a ``ToolProgress`` event.

        ``done`` and ``total`` are amounts in any unit. Never waits. Does nothing once the call is finished or
        cancelled.
        """
        if self.on_progress is not None and not self.cancelled:
            self.on_progress(ProgressReport(message, done, total))


class ToolExecutor(Protocol):
    """The interface for anything that answers calls.

    Implement its three methods and pass the object in a run's ``tools``.

    For each turn, a run calls :meth:`definitions` before it sends the request, then :meth:`handles` for the calls in
    the response, then :meth:`execute` for those that the executor handles.

    Three optional attributes are not part of the protocol class, because most executors do not need them:

    ``entered: bool``
        For an executor that is also an async context manager, such as one that holds a connection: whether it is open.
        Set it in ``__aenter__`` and clear it in ``__aexit__``. If it is false, a run enters the executor before the
        first request and leaves it at the end, both in one task of the run; several executors are entered at the same
        time. If it is true, the run does neither, so several runs can share an executor that the caller opened and will
        close. Without the attribute, every run enters the executor.
    ``timeout: float | None``
        Seconds that one call may take, instead of the run's ``tool_timeout``. ``None``, or no attribute, leaves it to
        the run.
    ``needs_approval(call: PendingCall) -> bool | Awaitable[bool]``
        Whether the run must ask its ``approve`` callback before it executes a call that this executor handles. Without
        the method, it need not. Must have no effects, as it may be called more than once for one call. An exception
        ends the run.
    """

    def definitions(self) -> list[Tool]:
        """Return the tools to offer to the model: the ``tools`` that are added to each request. The list may be empty.

        Called before each request, so the list may change from turn to turn. Called only while the executor is open. An
        exception ends the run.
        """
        ...

    def handles(self, item: Item) -> bool:
        """Return whether this executor answers a call.

        ``item`` is a call from a response, of any type: check the type before reading a name. The first executor of the
        run that returns true gets the call. Must be fast and without effects, as it may be called more than once for
        one call. An exception ends the run.
        """
        ...

    async def execute(self, call: PendingCall, context: ToolContext[Any]) -> ToolOutput:
        """Execute a call and return the output for the model.

        ``call`` is a complete call for which :meth:`handles` returned true. Its arguments are the model's text and are
        not checked: a function call's ``arguments`` may not be valid JSON. ``context`` has the timeout and reports
        progress.

        Return a :class:`ToolOutput` whose ``output`` fits the type of call: text or content parts for function and
        custom calls; for other types, see :func:`~responses_proto.tools.output_item`. To report a failure in your own
        words, return ``ToolOutput(text, failed=True)``, which fits every type.

        Any ``Exception`` means that the call failed. The model reads its type and message; for a ``ToolError``, only the
        message. Raise ``ToolArgumentsInvalid`` for wrong arguments. With ``on_error="raise"``, the run also ends with a
        ``ToolError``.

        The call is cancelled when its timeout expires and when the run is left: clean up, and do not suppress the
        cancellation. Several calls may be executed concurrently.
        """
        ...


NeedsApproval: TypeAlias = "bool | Callable[[_C], bool | Awaitable[bool]]"
"""Whether calls need approval: all, none, or those for which a function of the call returns true."""

Tools: TypeAlias = "Sequence[ToolExecutor | Callable[..., Any] | Tool | JSONObject]"
"""What a run's ``tools`` may contain: executors; functions, which become :func:`function_tool`; and definitions of
tools that the server executes or that the caller answers, as models or raw objects."""


# ---- functions


# The parameters of a tool can have any name, so the functions that pass them on have positional-only parameters themselves.
async def call_function(function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    """Call a function of the caller: a coroutine function in this task, a plain one in a worker thread."""
    if _is_async(function):
        return await function(*args, **kwargs)
    # A thread cannot be cancelled. On cancellation it is abandoned, and its result is dropped. The result is wrapped in
    # a tuple because trio refuses a plain function that returns an awaitable.
    (result,) = await anyio.to_thread.run_sync(lambda: (function(*args, **kwargs),), abandon_on_cancel=True)
    return await result if inspect.isawaitable(result) else result


def _is_async(function: Callable[..., Any]) -> bool:
    inner = function.func if isinstance(function, functools.partial) else function
    call = getattr(inner, "__call__", None)  # noqa: B004 - to inspect it, not to test whether it is there
    return inspect.iscoroutinefunction(inner) or inspect.iscoroutinefunction(call)


class _Target:
    """The function behind a tool: its parameters, and how it is called."""

    def __init__(self, function: Callable[..., Any]) -> None:
        if not callable(function) or inspect.isclass(function):
            raise UsageError(f"a tool must be made from a function or a method, got {function!r}")
        parameters = parameters_of(function, ToolContext)
        self.function = function
        self.parameters: tuple[inspect.Parameter, ...] = parameters.arguments
        self._takes_context = parameters.takes_context
        self._bound = parameters.bound

    def bind(self, instance: object) -> _Target:
        """Return the target of a method, bound to an object."""
        made = copy.copy(self)
        made.function = functools.partial(self.function, instance)
        made._bound = True  # noqa: SLF001 - of the same class
        return made

    def require_bound(self) -> None:
        if not self._bound:
            raise UsageError(
                f"{label_of(self.function)} is a method without an object: pass a bound method, tools=[thing.method]"
            )

    def require_one_argument(self, what: str) -> None:
        required = [parameter for parameter in self.parameters if parameter.default is inspect.Parameter.empty]
        if not self.parameters or len(required) > 1 or self.parameters[0].kind is inspect.Parameter.KEYWORD_ONLY:
            raise UsageError(
                f"{label_of(self.function)}() must take one positional argument, {what}, after an optional ToolContext"
            )

    async def __call__(self, context: ToolContext[Any], /, *args: Any, **kwargs: Any) -> ToolOutput:
        self.require_bound()
        if self._takes_context:
            args = (context, *args)
        return tool_output(await call_function(self.function, *args, **kwargs))


class Function(Generic[_P, _R, _D]):
    """An executor made from a function by :func:`function_tool` or :func:`custom_tool`.

    It can still be called like the function.
    """

    def __init__(
        self,
        function: Callable[_P, _R],
        target: _Target,
        definition: _D,
        read_arguments: Callable[[Any], tuple[Sequence[Any], Mapping[str, Any]]],
        timeout: float | None,
        needs_approval: NeedsApproval[Any],
    ) -> None:
        # `read_arguments` returns the positional and the keyword arguments in a call.
        self._target = target
        self._read_arguments = read_arguments
        self._needs_approval = needs_approval
        self.definition: _D = definition
        """The definition that is offered to the model."""
        self.timeout: float | None = check_timeout("timeout", timeout)
        """Seconds that a call may take; ``None`` leaves it to the run."""
        functools.update_wrapper(cast("Any", self), function, updated=())

    @property
    def name(self) -> str:
        """The name that the model calls."""
        return self.definition.name

    def __call__(self, /, *args: _P.args, **kwargs: _P.kwargs) -> _R:
        """Call the function directly."""
        return cast("_R", self._target.function(*args, **kwargs))

    @overload
    def __get__(self, instance: None, owner: type | None = None) -> Self: ...
    @overload
    def __get__(
        self: Function[Concatenate[Any, _Q], _R, _D], instance: object, owner: type | None = None
    ) -> Function[_Q, _R, _D]: ...
    def __get__(self, instance: object, owner: type | None = None) -> Any:
        """Return the tool bound to an object, as a method is."""
        if instance is None:
            return self
        made = copy.copy(self)
        made._target = self._target.bind(instance)  # noqa: SLF001 - of the same class
        return made

    def definitions(self) -> list[Tool]:
        """Return the definition, in a list. Raises ``UsageError`` for a method that is not bound to an object."""
        self._target.require_bound()
        return [self.definition]

    def handles(self, item: Item) -> bool:
        """Return whether an item is a call of this function."""
        kind = FunctionCall if isinstance(self.definition, FunctionTool) else CustomToolCall
        return isinstance(item, kind) and item.name == self.name and not item.namespace

    def needs_approval(self, call: PendingCall) -> bool | Awaitable[bool]:
        """Return whether a call needs approval. A call with invalid arguments does not, because it cannot be executed."""
        if not callable(self._needs_approval):
            return self._needs_approval
        try:
            self._read_arguments(call)
        except ToolArgumentsInvalid:
            return False
        return self._needs_approval(call)

    async def execute(self, call: PendingCall, context: ToolContext[Any]) -> ToolOutput:
        """Check the arguments, call the function, and return its result as an output.

        Raises ``ToolArgumentsInvalid``, before the function is called, if the arguments are invalid, and what the function
        raises.
        """
        try:
            args, kwargs = self._read_arguments(call)
        except ToolArgumentsInvalid as error:
            error.call = call
            raise
        return await self._target(context, *args, **kwargs)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"


class ItemHandler:
    """An executor whose function receives all calls of one type.

    Made by :func:`handler`, which documents the parameters.
    """

    def __init__(
        self,
        kind: type[PendingCall] | str,
        function: Callable[..., Any],
        *,
        definition: Tool | JSONObject | Sequence[Tool | JSONObject] | None = None,
        timeout: float | None = None,
        needs_approval: NeedsApproval[Any] = False,
    ) -> None:
        self._needs_approval = needs_approval
        self.kind: str = kind if isinstance(kind, str) else kind.type
        """The type of the calls, as on the wire."""
        if self.kind not in _CALL_TYPES:
            raise UsageError(f"a handler can answer {', '.join(_CALL_TYPES)}, not {self.kind!r}")
        self._target = _Target(function)
        self._target.require_one_argument("the call")
        self.timeout: float | None = check_timeout("timeout", timeout)
        """Seconds that a call may take; ``None`` leaves it to the run."""
        tools = cast(
            "Sequence[Tool | JSONObject]",
            [definition] if isinstance(definition, (Model, Mapping)) else definition or (),
        )
        self._definitions: list[Tool] = [load_tool(tool) for tool in tools]
        self._names = set(tool_names(self._definitions))

    def definitions(self) -> list[Tool]:
        """Return the definitions that were passed to :func:`handler`."""
        return [*self._definitions]

    def handles(self, item: Item) -> bool:
        """Return whether an item is a call of this type and, if tools with names were defined, of one of them."""
        if item.type != self.kind:
            return False
        if not self._names or not isinstance(item, FunctionCall | CustomToolCall):
            return True
        return (item.namespace or "", item.name) in self._names

    def needs_approval(self, call: PendingCall) -> bool | Awaitable[bool]:
        """Return whether a call needs approval."""
        return self._needs_approval(call) if callable(self._needs_approval) else self._needs_approval

    async def execute(self, call: PendingCall, context: ToolContext[Any]) -> ToolOutput:
        """Call the function with the call, and return its result as an output. Raises what the function raises."""
        return await self._target(context, call)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.kind}>"


_CALL_TYPES: Final = tuple(sorted(cls.type for cls in get_args(PendingCall) if cls is not McpApprovalRequest))


def check_timeout(name: str, timeout: float | None) -> float | None:
    """Return a timeout. Raises ``UsageError`` if it is not a finite number of seconds above 0."""
    if timeout is not None and not 0 < timeout < float("inf"):
        raise UsageError(f"{name} must be a finite number of seconds above 0, got {timeout!r}")
    return timeout


def _tool_name(name: str | None, function: Callable[..., Any]) -> str:
    name = name_of(function) if name is None else name
    if not name:
        raise UsageError(
            f"{function!r} has no name that a tool can have (at most 64 letters, digits, _ and -): pass name=..."
        )
    return name


def _common_fields(
    function: Callable[..., Any],
    *,
    name: str | None,
    description: str | None,
    allowed_callers: Sequence[AllowedCaller] | None,
    defer_loading: bool | None,
) -> dict[str, Any]:
    """Return the fields that the definitions of function and custom tools share."""
    return {
        "name": _tool_name(name, function),
        "description": (description_of(function) if description is None else description) or UNSET,
        "allowed_callers": UNSET if allowed_callers is None else allowed_callers,
        "defer_loading": UNSET if defer_loading is None else defer_loading,
    }


# ---- making executors


@overload
def function_tool(
    function: Callable[_P, _R],
    /,
    *,
    name: str | None = None,
    description: str | None = None,
    strict: bool = True,
    timeout: float | None = None,
    needs_approval: NeedsApproval[FunctionCall] = False,
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
    needs_approval: NeedsApproval[FunctionCall] = False,
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
    needs_approval: NeedsApproval[FunctionCall] = False,
    allowed_callers: Sequence[AllowedCaller] | None = None,
    defer_loading: bool | None = None,
) -> Any:
    """Make a tool from a function or a method: ``@function_tool``, or ``function_tool(f, name=...)``.

    The definition that the model sees is made from the signature: the types of the parameters become a JSON Schema, as in
    structured output, with the descriptions in the docstring (Google, NumPy or Sphinx style) or in ``Annotated``, and
    the constraints in ``Annotated``. The arguments of a call are checked before the function is called, and converted
    to the annotated types. A first parameter annotated :class:`ToolContext` receives the context and is not part of the
    schema.

    - ``name``: the name that the model calls. Default: that of the function.
    - ``description``: what the tool does, for the model. Default: the docstring without the descriptions of
      parameters.
    - ``strict``: whether the server holds the model to the schema. A parameter with a default may then be null, which
      means the default. Without it, more types are supported, such as ``dict[str, X]``; see
      :class:`~responses_proto.schema.Structured`.
    - ``timeout``: seconds that a call may take; ``None`` leaves it to the run.
    - ``needs_approval``: whether the run's ``approve`` is asked before a call is executed, or a function that decides this for
      a call. The arguments are checked before such a function is called.
    - ``allowed_callers``, ``defer_loading``: fields of the definition (Tools, Function calling).

    A plain function is called in a worker thread. If the call is cancelled or times out, the thread is abandoned: it
    runs on until it returns, which it can do early if it checks ``context.cancelled``, and its result is dropped. The
    result of the function is converted by :func:`~responses_proto.tools.tool_output`; an exception means that the call
    failed.

    Raises ``UsageError`` for a parameter without a type, for a type or constraint that the schema cannot express, for
    ``*args`` and ``**kwargs``, for a generator function, and for a name that a tool cannot have.
    """

    def make(function: Callable[..., Any]) -> Function[..., Any, FunctionTool]:
        target = _Target(function)
        signature = signature_of(function, target.parameters, strict=strict)
        definition = FunctionTool(
            **_common_fields(
                function,
                name=name,
                description=description,
                allowed_callers=allowed_callers,
                defer_loading=defer_loading,
            ),
            parameters=signature.schema,
            strict=strict,
        )
        return Function(
            function, target, definition, lambda call: signature.bind(call.arguments), timeout, needs_approval
        )

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
    needs_approval: NeedsApproval[CustomToolCall] = False,
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
    needs_approval: NeedsApproval[CustomToolCall] = False,
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
    needs_approval: NeedsApproval[CustomToolCall] = False,
    allowed_callers: Sequence[AllowedCaller] | None = None,
    defer_loading: bool | None = None,
) -> Any:
    """Make a tool from a function that takes one text (Tools, Custom tools): ``@custom_tool``, or ``custom_tool(f, name=...)``.

    - ``format``: a grammar that the text must follow. Default: any text.
    - The other parameters, threads and results are as in :func:`function_tool`.

    Raises ``UsageError`` if the function does not take one positional argument, and for a name that a tool cannot have.
    """

    def make(function: Callable[..., Any]) -> Function[..., Any, CustomTool]:
        target = _Target(function)
        target.require_one_argument("the text")
        definition = CustomTool(
            **_common_fields(
                function,
                name=name,
                description=description,
                allowed_callers=allowed_callers,
                defer_loading=defer_loading,
            ),
            format=UNSET if format is None else format,
        )
        return Function(function, target, definition, lambda call: ((call.input,), {}), timeout, needs_approval)

    return make if function is None else make(function)


@overload
def handler(
    kind: type[_C],
    function: Callable[[_C], Any] | Callable[[ToolContext[Any], _C], Any],
    /,
    *,
    definition: Tool | JSONObject | Sequence[Tool | JSONObject] | None = None,
    timeout: float | None = None,
    needs_approval: NeedsApproval[_C] = False,
) -> ItemHandler: ...
@overload
def handler(
    kind: str,
    function: Callable[..., Any],
    /,
    *,
    definition: Tool | JSONObject | Sequence[Tool | JSONObject] | None = None,
    timeout: float | None = None,
    needs_approval: NeedsApproval[Any] = False,
) -> ItemHandler: ...
def handler(
    kind: Any,
    function: Callable[..., Any],
    /,
    *,
    definition: Tool | JSONObject | Sequence[Tool | JSONObject] | None = None,
    timeout: float | None = None,
    needs_approval: NeedsApproval[Any] = False,
) -> ItemHandler:
    """Make an executor from a function that receives all calls of one type.

    ::

        handler(ShellCall, run_commands, definition=ShellTool(environment=LocalEnvironment()))

    - ``kind``: the class of the calls or its wire string: ``shell_call``, ``local_shell_call``, ``apply_patch_call``,
      ``computer_call``, ``tool_search_call``, ``function_call`` or ``custom_tool_call``. Of the last two, the handler
      gets the calls of the tools in ``definition``, or calls of any name if none are defined.
    - ``function``: a coroutine function or a plain one, as in :func:`function_tool`. It receives the call, after the
      context if its first parameter is annotated :class:`ToolContext`. It returns the output for the type of call: text,
      a list of ``ShellOutput``, an image of the screen, a list of found tools, or the item itself. Running commands
      safely is the responsibility of the function.
    - ``definition``: one or several tools to add to the request. Omit it if the request has them already.
    - ``timeout``: seconds that a call may take; ``None`` leaves it to the run.
    - ``needs_approval``: as in :func:`function_tool`, without the check of the arguments.

    Raises ``UsageError`` for any other type, and if the function does not take one positional argument.
    """
    return ItemHandler(kind, function, definition=definition, timeout=timeout, needs_approval=needs_approval)

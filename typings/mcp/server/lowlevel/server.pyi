from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Generic

from typing_extensions import TypeVar

_L = TypeVar("_L")

class Server(Generic[_L]):
    name: str
    def __init__(
        self,
        name: str,
        *,
        on_list_tools: Callable[[Any, Any], Awaitable[Any]] | None = None,
        on_call_tool: Callable[[Any, Any], Awaitable[Any]] | None = None,
    ) -> None: ...
    lifespan: Callable[[Server[_L]], AbstractAsyncContextManager[_L]]

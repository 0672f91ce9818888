# ruff: noqa: A002, N802, N818 - the names are typer's
# The parts of typer (extra `cli`) that this project touches. tests/test_stubs.py proves them true.
from collections.abc import Callable
from typing import Any, TypeVar

_F = TypeVar("_F", bound=Callable[..., Any])

class Exit(RuntimeError):
    exit_code: int
    def __init__(self, code: int = 0) -> None: ...

class Typer:
    def __init__(
        self,
        *,
        name: str | None = ...,
        no_args_is_help: bool = ...,
        help: str | None = ...,
        add_completion: bool = True,
        context_settings: dict[str, Any] | None = ...,
        pretty_exceptions_enable: bool = True,
    ) -> None: ...
    def __call__(self, *args: Any, **kwargs: Any) -> Any: ...
    def callback(self, *, invoke_without_command: bool = ...) -> Callable[[_F], _F]: ...
    def command(self, name: str | None = None) -> Callable[[_F], _F]: ...

def Argument(*, envvar: str | list[str] | None = None, help: str | None = None) -> Any: ...
def Option(
    default: Any | None = ...,
    *param_decls: str,
    envvar: str | list[str] | None = None,
    autocompletion: Callable[..., Any] | None = None,
    help: str | None = None,
    min: float | None = None,
    max: float | None = None,
) -> Any: ...

from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, TextIO

class _Meta(type): ...

class StdioServerParameters(metaclass=_Meta):
    def __init__(
        self,
        *,
        command: str,
        args: list[str] = ...,
        env: dict[str, str] | None = None,
        cwd: str | Path | None = None,
    ) -> None: ...

def get_default_environment() -> dict[str, str]: ...
def stdio_client(server: StdioServerParameters, errlog: TextIO = ...) -> AbstractAsyncContextManager[Any]: ...

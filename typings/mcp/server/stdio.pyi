from contextlib import AbstractAsyncContextManager
from typing import Any

def stdio_server() -> AbstractAsyncContextManager[tuple[Any, Any]]: ...

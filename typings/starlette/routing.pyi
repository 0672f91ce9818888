from collections.abc import Callable, Collection
from typing import Any

class BaseRoute: ...

class Router:
    redirect_slashes: bool

class Route(BaseRoute):
    def __init__(self, path: str, endpoint: Callable[..., Any], *, methods: Collection[str] | None = None) -> None: ...

class WebSocketRoute(BaseRoute):
    def __init__(self, path: str, endpoint: Callable[..., Any]) -> None: ...

class Mount(BaseRoute):
    def __init__(self, path: str, app: Callable[..., Any] | None = None) -> None: ...

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from starlette.datastructures import URL, Headers

class HTTPConnection:
    @property
    def url(self) -> URL: ...
    @property
    def headers(self) -> Headers: ...
    @property
    def path_params(self) -> dict[str, Any]: ...

class Request(HTTPConnection):
    @property
    def method(self) -> str: ...
    @property
    def receive(self) -> Callable[[], Awaitable[MutableMapping[str, Any]]]: ...

# ruff: noqa: N818 - the name is starlette's
from collections.abc import Mapping

class HTTPException(Exception):
    status_code: int
    detail: str
    headers: Mapping[str, str] | None
    def __init__(
        self, status_code: int, detail: str | None = None, headers: Mapping[str, str] | None = None
    ) -> None: ...

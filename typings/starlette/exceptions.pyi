from collections.abc import Mapping

class HTTPException(Exception):
    status_code: int
    detail: str
    headers: Mapping[str, str] | None

from collections.abc import Iterable, Sequence
from typing import Any

class Script:
    def __call__(self, keys: Sequence[str] | None = ..., args: Iterable[bytes | str | int] | None = ...) -> Any: ...

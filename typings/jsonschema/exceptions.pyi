from collections.abc import Iterable

class ValidationError(Exception):
    message: str
    @property
    def json_path(self) -> str: ...

def best_match(errors: Iterable[ValidationError]) -> ValidationError | None: ...

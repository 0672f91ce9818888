from collections.abc import Iterator, Mapping
from typing import Any

from jsonschema.exceptions import ValidationError

class Draft202012Validator:
    def __init__(self, schema: Mapping[str, Any] | bool) -> None: ...
    def iter_errors(self, instance: Any) -> Iterator[ValidationError]: ...
    @classmethod
    def check_schema(cls, schema: Mapping[str, Any] | bool) -> None: ...

# The part of openapi-spec-validator (tests only) that this project touches. tests/test_stubs.py proves it true.
from collections.abc import Mapping
from typing import Any

def validate(spec: Mapping[str, Any]) -> None: ...

from collections.abc import Mapping, Sequence
from typing import TypeAlias

AnyValue: TypeAlias = str | bool | int | float | bytes | Sequence[AnyValue] | Mapping[str, AnyValue] | None

"""JSON to models and back: exact, and honest about what does not fit.

``dump(load(x, cls)) == x`` holds for every payload that fits the specification or carries more than it: the same keys and
values, absent stays absent, null stays null. A value that does not fit its field is kept raw in the model's ``extra``, the
attribute gets the type's neutral value, and an :class:`~responses_proto.anomalies.Anomaly` is reported; a converter made
with ``make_converter(strict=True)`` raises :class:`~responses_proto.exceptions.DecodeError` instead.

orjson is used when it is installed (extra ``speed``); results are the same without it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, overload

from ._converter import Converter, default_converter, make_converter
from ._json import ORJSON, STDLIB, JSONBackend, default_backend

if TYPE_CHECKING:
    from typing_extensions import TypeForm  # for the type checker, which brings it

    from ..anomalies import Anomaly
    from ..typing import JSONValue

__all__ = [
    "ORJSON",
    "STDLIB",
    "Converter",
    "JSONBackend",
    "default_backend",
    "default_converter",
    "dump",
    "dumps",
    "load",
    "loads",
    "make_converter",
]

T = TypeVar("T")


@overload
def load(data: JSONValue, cls: type[T], *, anomalies: list[Anomaly] | None = None) -> T: ...
@overload
def load(data: JSONValue, cls: TypeForm[T], *, anomalies: list[Anomaly] | None = None) -> T: ...
def load(data: JSONValue, cls: Any, *, anomalies: list[Anomaly] | None = None) -> Any:
    """Make a model of a JSON value with the shared lenient converter; see :meth:`Converter.load`."""
    return default_converter().load(data, cls, anomalies=anomalies)


@overload
def loads(text: bytes | bytearray | memoryview | str, cls: type[T], *, anomalies: list[Anomaly] | None = None) -> T: ...
@overload
def loads(
    text: bytes | bytearray | memoryview | str, cls: TypeForm[T], *, anomalies: list[Anomaly] | None = None
) -> T: ...
def loads(text: bytes | bytearray | memoryview | str, cls: Any, *, anomalies: list[Anomaly] | None = None) -> Any:
    """Make a model of JSON text with the shared lenient converter; see :meth:`Converter.loads`."""
    return default_converter().loads(text, cls, anomalies=anomalies)


def dump(obj: Any) -> Any:
    """Make a JSON value of a model, or of lists and dicts of models and raw wire values. Raises ``EncodeError``."""
    return default_converter().dump(obj)


def dumps(obj: Any) -> bytes:
    """Make JSON text of a model: UTF-8, without spaces. Raises ``EncodeError``."""
    return default_converter().dumps(obj)

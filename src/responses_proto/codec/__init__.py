"""Convert JSON to models and back, without loss.

``dump(load(x, cls)) == x`` holds for every JSON object: absent fields stay absent, null stays null, unknown fields are kept.
A value that does not match its field is kept raw in the model's ``extra``, the attribute gets the neutral value of its type,
and an :class:`~responses_proto.anomalies.Anomaly` is reported. A converter from ``make_converter(strict=True)`` raises
:class:`~responses_proto.exceptions.DecodeError` instead.

orjson is used if it is installed (extra ``speed``). The results are the same without it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, overload

from ._converter import Converter, Growth, default_converter, make_converter
from ._json import ORJSON, STDLIB, JSONBackend, default_backend

if TYPE_CHECKING:
    from typing_extensions import TypeForm  # type checkers bundle it

    from ..anomalies import Anomaly
    from ..typing import JSONValue

__all__ = [
    "ORJSON",
    "STDLIB",
    "Converter",
    "Growth",
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
    """Load a JSON value into a model with the shared lenient converter; see :meth:`Converter.load`."""
    return default_converter().load(data, cls, anomalies=anomalies)


@overload
def loads(text: bytes | bytearray | memoryview | str, cls: type[T], *, anomalies: list[Anomaly] | None = None) -> T: ...
@overload
def loads(
    text: bytes | bytearray | memoryview | str, cls: TypeForm[T], *, anomalies: list[Anomaly] | None = None
) -> T: ...
def loads(text: bytes | bytearray | memoryview | str, cls: Any, *, anomalies: list[Anomaly] | None = None) -> Any:
    """Load JSON text into a model with the shared lenient converter; see :meth:`Converter.loads`."""
    return default_converter().loads(text, cls, anomalies=anomalies)


def dump(obj: Any) -> Any:
    """Return the JSON value of a model; see :meth:`Converter.dump`."""
    return default_converter().dump(obj)


def dumps(obj: Any) -> bytes:
    """Return a model as JSON text; see :meth:`Converter.dumps`."""
    return default_converter().dumps(obj)

"""The converter: a cattrs ``Converter`` that knows every model of the protocol."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, TypeVar, cast, get_args, overload

import cattrs

from ..anomalies import Anomaly
from ..exceptions import DecodeError, LimitExceeded, LocalProtocolError
from ..limits import DEFAULT_MAX_NESTING
from ..models._base import Model, Unknown
from ._dump import Dumpers, dump_or_raise
from ._json import JSONBackend, default_backend
from ._load import TYPE_MISMATCH, DecodeFinding, Loader, Loaders
from ._specs import is_model, is_model_union, tag_of, value_spec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from typing_extensions import TypeForm  # for the type checker, which brings it

    from ..typing import JSONValue

__all__ = ["Converter", "default_converter", "make_converter"]

T = TypeVar("T")
M = TypeVar("M", bound=Model)


class Converter(cattrs.Converter):
    """Turns JSON values into models and back.

    ``load``, ``loads``, ``dump`` and ``dumps`` are the verbs; ``structure`` and ``unstructure`` of cattrs work too, also
    for classes of yours that contain models. ``register`` adds classes for tags that the protocol does not define.
    """

    def __init__(self, *, strict: bool = False, json: JSONBackend | None = None) -> None:
        super().__init__()
        self.strict = strict
        """Whether a finding is an error."""
        self.json: JSONBackend = json if json is not None else default_backend()
        """The JSON library in use."""
        self._loaders = Loaders()
        self._dumpers = Dumpers()
        self._by_type: dict[Any, Loader] = {}
        self.growth: dict[str, Any] = {}
        """Type of a registered delta event -> the field that it grows; see ``register``."""
        self.register_structure_hook_func(_is_ours, self.load)
        self.register_unstructure_hook_func(_is_ours, self.dump)

    def register(self, cls: type[Model], into: Any) -> None:
        """Decode objects of ``cls.type`` as ``cls``, wherever the open union ``into`` is due, in this converter only.

        For the ``slug:name`` types that servers may add: ``converter.register(AcmeSearchCall, Item)``. ``into`` is one of
        the unions (``Event``, ``Item``, ``Tool``, ``Content``, …) or its ``Unknown*`` class. Raises ``LocalProtocolError``
        if ``cls`` has no wire string of its own, ``into`` is not open, or has another class for that string already.
        """
        tag = tag_of(cls) if is_model(cls) and not issubclass(cls, Unknown) else None
        if tag is None:
            message = f"{getattr(cls, '__name__', cls)} is no model with a wire string: give it `type: ClassVar[Literal['slug:name']]`"
            raise LocalProtocolError(message)
        unknown = next(
            (arm for arm in (into, *get_args(into)) if isinstance(arm, type) and issubclass(arm, Unknown)), None
        )
        if unknown is None:
            raise LocalProtocolError(f"{into!r} is no open union: it has no Unknown* member")
        known = next((arm for arm in value_spec(into).models if tag_of(arm) == tag), None)
        if known is not None and not issubclass(cls, known):
            raise LocalProtocolError(f"{tag!r} is a {known.__name__}: only a subclass of it can take its place")
        self._loaders.register(unknown, tag, cls)
        self._by_type.clear()

    def loader(self, tp: Any) -> Loader:
        """Give the bare loader of a class or union, for loops: ``loader(value, found) -> instance``.

        Findings are appended to ``found``, whatever the mode; a value of the wrong JSON kind gives ``TYPE_MISMATCH``.
        """
        loader = self._by_type.get(tp)
        if loader is None:
            loader = self._by_type[tp] = self._loaders.of_shape(value_spec(tp))
        return loader

    def loaders(self, union: Any) -> Mapping[str, Loader]:
        """Give the bare loaders of a union of models by their wire string, for loops that have looked at the tag."""
        return self._loaders.of_tags(value_spec(union))

    @overload
    def load(self, data: JSONValue, cls: type[T], *, anomalies: list[Anomaly] | None = None) -> T: ...
    @overload
    def load(self, data: JSONValue, cls: TypeForm[T], *, anomalies: list[Anomaly] | None = None) -> T: ...
    def load(self, data: JSONValue, cls: Any, *, anomalies: list[Anomaly] | None = None) -> Any:
        """Make a model of a JSON value.

        ``cls`` is a model class, one of the unions (``load(data, Event)``), or a list or dict of these. Lenient mode
        appends what it finds to ``anomalies``; strict mode raises the first finding as ``DecodeError``. A value that is
        not of the JSON kind of ``cls`` at all (a number for a model) is a ``DecodeError`` in both.
        """
        found: list[DecodeFinding] = []
        try:
            loaded = self.loader(cls)(data, found)
        except RecursionError as error:
            raise LimitExceeded("max_nesting", DEFAULT_MAX_NESTING) from error
        if loaded is TYPE_MISMATCH:
            raise DecodeError("wrong JSON type", type_name=_name(cls), excerpt=DecodeFinding("", "", "", data).excerpt)
        if found:
            if self.strict:
                raise as_error(found[0])
            if anomalies is not None:
                anomalies += [Anomaly(finding.code, f"${finding.path}", finding.detail) for finding in found]
        return loaded

    @overload
    def loads(
        self, text: bytes | bytearray | memoryview | str, cls: type[T], *, anomalies: list[Anomaly] | None = None
    ) -> T: ...
    @overload
    def loads(
        self, text: bytes | bytearray | memoryview | str, cls: TypeForm[T], *, anomalies: list[Anomaly] | None = None
    ) -> T: ...
    def loads(
        self, text: bytes | bytearray | memoryview | str, cls: Any, *, anomalies: list[Anomaly] | None = None
    ) -> Any:
        """Make a model of JSON text; as :meth:`load`, and ``DecodeError`` for what is not JSON."""
        return self.load(self.json.loads(text), cls, anomalies=anomalies)

    def dump(self, obj: Any) -> Any:
        """Make a JSON value of a model, or of lists and dicts of models and raw wire values. Raises ``EncodeError``."""
        return dump_or_raise(self._dumpers, obj)

    def dumps(self, obj: Any) -> bytes:
        """Make JSON text of a model: UTF-8, without spaces. Raises ``EncodeError``."""
        return self.json.dumps(self.dump(obj))


def as_error(finding: DecodeFinding) -> DecodeError:
    """Make the strict mode's error of a finding."""
    return DecodeError(
        {"missing-field": "required field missing", "wrong-constant": "wrong constant"}.get(
            finding.code, "wrong JSON type"
        ),
        path=f"${finding.path}",
        type_name=finding.type_name,
        excerpt=finding.excerpt,
    )


def _is_ours(tp: Any) -> bool:
    return is_model(tp) or is_model_union(tp)


def _name(tp: Any) -> str:
    if isinstance(tp, type):
        return tp.__name__
    # An open union is called what its unknown member is unknown of: Event, Item, Tool.
    unknown = (arm.__name__ for arm in get_args(tp) if isinstance(arm, type) and issubclass(arm, Unknown))
    return next(unknown, str(tp)[:80]).removeprefix("Unknown")


def make_converter(strict: bool = False, *, json: JSONBackend | None = None) -> Converter:  # noqa: FBT001, FBT002 - a public contract
    """Make a converter of your own: strict, or with another JSON library, or to :meth:`~Converter.register` classes in."""
    return Converter(strict=strict, json=json)


@functools.cache
def default_converter(*, strict: bool = False) -> Converter:
    """Give the shared converter of a mode. Nothing can be registered in it."""
    return cast("Converter", _Shared(strict=strict))


class _Shared(Converter):
    def register(self, cls: type[Model], into: Any) -> None:  # noqa: ARG002 - the signature is the base's
        """Refuse: it would change every caller's decoding."""
        raise LocalProtocolError("the shared converter cannot be changed: register in one of make_converter()")

"""Define the converter: a ``cattrs.Converter`` that knows every model of the protocol."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast, get_args, overload

import attrs
import cattrs

from ..anomalies import Anomaly
from ..exceptions import DecodeError, LimitExceeded, UsageError
from ..limits import DEFAULT_MAX_NESTING
from ..models._base import Model, Unknown
from ._dump import Dumper
from ._json import JSONBackend, default_backend
from ._load import TYPE_MISMATCH, DecodeFinding, Loader, LoaderFactory
from ._specs import is_model, is_model_union, tag_of, value_spec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from typing_extensions import TypeForm  # type checkers bundle it

    from ..typing import JSONValue

T = TypeVar("T")
M = TypeVar("M", bound=Model)


@attrs.frozen
class Growth:
    """The text field that a vendor's delta event extends: each event appends its ``delta``, a string, to a field of an item."""

    item: str
    """The type of the item, such as ``acme:search``."""
    field: str
    """The field of the item that holds the text; a dotted path if it is inside another object."""


class Converter(cattrs.Converter):
    """Converts JSON values to models and back with ``load``, ``loads``, ``dump`` and ``dumps``.

    ``structure`` and ``unstructure`` of cattrs work too, including for your own classes that contain models. ``register``
    adds classes for types that the protocol does not define.

    ``strict`` makes every deviation a ``DecodeError``. ``json`` is the JSON library to use; default: :func:`default_backend`.
    """

    def __init__(self, *, strict: bool = False, json: JSONBackend | None = None) -> None:
        super().__init__()
        self.strict = strict
        """Whether a deviation raises ``DecodeError``."""
        self.json: JSONBackend = json if json is not None else default_backend()
        """The JSON library in use."""
        self._loaders = LoaderFactory()
        self._dumper = Dumper()
        self._loader_of: dict[Any, Loader] = {}
        self.growth: dict[str, Growth] = {}
        """Type of a registered delta event -> the field that it extends; see :meth:`register`."""
        self.register_structure_hook_func(_has_models, self.load)
        self.register_unstructure_hook_func(_has_models, self.dump)

    def register(self, cls: type[Model], into: Any, *, grows: Growth | None = None) -> None:
        """Decode objects with the wire string ``cls.type`` as ``cls``, as members of the open union ``into``.

        This is for the ``slug:name`` types that servers may add: ``converter.register(AcmeSearchCall, Item)``. ``into`` is
        one of the unions (``Event``, ``Item``, ``Tool``, ``Content``, …) or its ``Unknown*`` class. Only this converter
        changes.

        ``grows`` is for an event that appends its ``delta`` to a field of its item:
        ``converter.register(AcmeSearchDelta, Event, grows=Growth(item="acme:search", field="query"))``. A ``ResponseStream`` with this
        converter then extends that field in its snapshot.

        Raises ``UsageError`` if ``cls`` has no wire string, if ``into`` is not open, or if it already has a class for that string,
        unless ``cls`` is a subclass of it. Also raises ``UsageError`` if ``grows`` is given for a class without a field ``delta``, or
        for an event of the protocol.
        """
        tag = tag_of(cls) if is_model(cls) and not issubclass(cls, Unknown) else None
        if tag is None:
            name = getattr(cls, "__name__", cls)
            raise UsageError(
                f"{name} must be a model with a wire string: type: ClassVar[Literal['slug:name']] = 'slug:name'"
            )
        unknown = next(
            (arm for arm in (into, *get_args(into)) if isinstance(arm, type) and issubclass(arm, Unknown)), None
        )
        if unknown is None:
            raise UsageError(f"{into!r} is not an open union: it has no Unknown* member")
        known = next((arm for arm in value_spec(into).models if tag_of(arm) == tag), None)
        if known is not None and not issubclass(cls, known):
            raise UsageError(f"{tag!r} is the wire string of {known.__name__}: {cls.__name__} must be a subclass of it")
        if grows is not None:
            if known is not None or "delta" not in {a.name for a in cls.__attrs_attrs__}:
                why = (
                    "the protocol defines the field that its events extend"
                    if known is not None
                    else "it has no field 'delta'"
                )
                raise UsageError(f"{cls.__name__} cannot be registered with grows=...: {why}")
            self.growth[tag] = grows
        self._loaders.register(unknown, tag, cls)
        self._loader_of.clear()

    def in_mode(self, *, strict: bool) -> Converter:
        """Return a converter with the same classes and JSON library that is strict, or lenient.

        Returns this converter if it is in that mode already. Otherwise the two converters share all registered classes, now and later.
        """
        if strict == self.strict:
            return self
        other = Converter(strict=strict, json=self.json)
        other._loaders, other._dumper = self._loaders, self._dumper
        other._loader_of, other.growth = self._loader_of, self.growth
        return other

    def loader(self, tp: Any) -> Loader:
        """Return the loader function of a class or union, for hot loops: ``loader(value, findings) -> instance``.

        It appends deviations to the list ``findings`` in both modes, and returns ``TYPE_MISMATCH`` for a value of the wrong
        JSON kind.
        """
        loader = self._loader_of.get(tp)
        if loader is None:
            loader = self._loader_of[tp] = self._loaders.for_spec(value_spec(tp))
        return loader

    def loaders(self, union: Any) -> Mapping[str, Loader]:
        """Return the loader functions of a union by wire string, for hot loops that have read the ``type`` already."""
        return self._loaders.by_tag(value_spec(union))

    @overload
    def load(self, data: JSONValue, cls: type[T], *, anomalies: list[Anomaly] | None = None) -> T: ...
    @overload
    def load(self, data: JSONValue, cls: TypeForm[T], *, anomalies: list[Anomaly] | None = None) -> T: ...
    def load(self, data: JSONValue, cls: Any, *, anomalies: list[Anomaly] | None = None) -> Any:
        """Load a JSON value into a model.

        ``cls`` is a model class, one of the unions (``load(data, Event)``), or a list or dict of these. Lenient mode
        appends deviations to the list ``anomalies``; strict mode raises ``DecodeError`` for the first one. A value of another
        JSON kind than ``cls``, such as a number for a model, raises ``DecodeError`` in both modes. A value that is nested too
        deep raises ``LimitExceeded``.
        """
        findings: list[DecodeFinding] = []
        try:
            loaded = self.loader(cls)(data, findings)
        except RecursionError as error:
            raise LimitExceeded("max_nesting", DEFAULT_MAX_NESTING) from error
        if loaded is TYPE_MISMATCH:
            raise DecodeError("wrong JSON type", type_name=_name(cls), excerpt=DecodeFinding("", "", "", data).excerpt)
        if findings:
            if self.strict:
                raise as_error(findings[0])
            if anomalies is not None:
                anomalies += [Anomaly(finding.code, f"${finding.path}", finding.detail) for finding in findings]
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
        """Load JSON text into a model, as :meth:`load` does. Also raises ``DecodeError`` if the text is not JSON."""
        return self.load(self.json.loads(text), cls, anomalies=anomalies)

    def dump(self, obj: Any) -> Any:
        """Return the JSON value of a model, or of lists and dicts of models and raw wire values.

        The result consists of dicts, lists, strings, numbers, booleans and ``None``. Raises ``EncodeError`` if ``obj``
        contains anything else, or itself.
        """
        return self._dumper.dump(obj)

    def dumps(self, obj: Any) -> bytes:
        """Return the JSON text of any value that :meth:`dump` accepts: UTF-8, without spaces. Raises ``EncodeError``."""
        return self.json.dumps(self.dump(obj))


def as_error(finding: DecodeFinding) -> DecodeError:
    """Return the error that strict mode raises for a finding."""
    return DecodeError(
        _MESSAGES.get(finding.code, "wrong JSON type"),
        path=f"${finding.path}",
        type_name=finding.type_name,
        excerpt=finding.excerpt,
    )


_MESSAGES: Final = {"missing-field": "required field missing", "wrong-constant": "wrong constant"}


def _has_models(tp: Any) -> bool:
    return is_model(tp) or is_model_union(tp)


def _name(tp: Any) -> str:
    if isinstance(tp, type):
        return tp.__name__
    # An open union is named after its unknown member: UnknownEvent -> Event.
    unknown = (arm.__name__ for arm in get_args(tp) if isinstance(arm, type) and issubclass(arm, Unknown))
    return next(unknown, str(tp)[:80]).removeprefix("Unknown")


def make_converter(strict: bool = False, *, json: JSONBackend | None = None) -> Converter:  # noqa: FBT001, FBT002 - a public contract
    """Return a new converter, in which classes can be registered; see :class:`Converter` for the arguments."""
    return Converter(strict=strict, json=json)


@functools.cache
def default_converter(*, strict: bool = False) -> Converter:
    """Return the shared converter of a mode. Its method :meth:`~Converter.register` raises ``UsageError``."""
    return cast("Converter", _SharedConverter(strict=strict))


class _SharedConverter(Converter):
    def register(self, cls: type[Model], into: Any, *, grows: Growth | None = None) -> None:  # noqa: ARG002 - the signature of the base
        """Raise ``UsageError``, because registering would change the decoding of every caller."""
        raise UsageError("classes cannot be registered in the shared converter: create one with make_converter()")

    def in_mode(self, *, strict: bool) -> Converter:
        """Return the shared converter of a mode."""
        return default_converter(strict=strict)

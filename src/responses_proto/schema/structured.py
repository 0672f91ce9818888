"""Convert a Python type to the schema of a request, and the text of the response to a value of the type (structured output).

::

    event = Structured(CalendarEvent)
    response = await client.create(model=..., input=..., text=TextConfig(format=event.text_format()))
    match event.parse_response(response):           # or client.parse(CalendarEvent, model=..., input=...)
        case Parsed(value): ...                     # a CalendarEvent
        case Refused(text): ...                     # the model declined
        case Incomplete(reason, partial): ...       # the response did not complete
        case Invalid(path, message): ...            # the text is not JSON, or does not match the type

Supported types: classes of attrs and dataclasses, ``TypedDict``, ``NamedTuple``, pydantic models and dataclasses, ``Literal``,
enumerations, unions, lists, tuples and sets, ``str``, ``int``, ``float``, ``bool``, ``None``, ``datetime``, ``date``, ``time``,
``timedelta`` (ISO 8601, such as ``PT5M``), ``UUID`` and ``Decimal``. They can be generic and nested, and recursive by name, by ``Self``
or by a type alias.

The strict subset of JSON Schema cannot express other types. With ``strict=False``, for servers that do not enforce schemas,
these are supported too: ``dict`` and ``dict[str, X]``, ``Any`` and ``object``, lists and tuples without element types, ``bytes`` (in
Base64), and ``Path``. :func:`register_type` adds your own class.

Descriptions are taken from docstrings, from ``metadata={"description": ...}`` of a field, and from ``Annotated``: a string,
``Doc("...")``, or pydantic's ``Field(description=...)``. Constraints in ``Annotated``, of annotated_types (``Ge``, ``MaxLen``, …) or
``Field`` (``ge=``, ``pattern=``, …), are added to the schema if there is a keyword for them, and checked when a value is read. A
constraint that cannot be checked, such as a predicate, is refused. ``Field`` can also be the default of a field, and have ``default``,
``default_factory`` and ``alias``.

The strict subset has no optional properties. A field with a default can therefore be null on the wire, which means the default, or the
value ``None`` if the type of the field includes it. A field with a single literal, such as ``kind: Literal["a"] = "a"``, is always
required, because it distinguishes classes. Fields of pydantic models are always required.

A type that is not a JSON object is wrapped in one, as ``{"value": ...}``, and unwrapped again.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Final, Generic, TypeAlias, TypeVar, cast, get_args, get_origin

import attrs

from ..codec import default_backend, dump
from ..exceptions import DecodeError, LimitExceeded, UsageError
from ..limits import Limits
from ..models.config import JsonSchemaFormat, TextConfig
from ..models.content import OutputText
from ..models.items import Message
from ..protocol._texts import MessageTexts
from ..typing import UNSET
from ._errors import ShapeError, path_of
from ._models import is_wire_type, wire_schema
from ._planner import add_type, description_of, object_of, shape_of, type_name
from ._pydantic import PydanticShape
from ._shapes import Array, Dictionary, Object, ObjectField, ReadCache, Tuple, root_schema
from .partial import PartialJSON, partial_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from typing_extensions import TypeForm  # type checkers bundle it

    from ..models.events import Event
    from ..models.request import CreateResponse, CreateResponseFields
    from ..models.response import Response
    from ..protocol._texts import FollowedMessage, NewText
    from ..protocol.stream import Outcome
    from ..typing import JSONObject, JSONValue, Unset
    from ._shapes import Shape

__all__ = [
    "Incomplete",
    "Invalid",
    "Parameter",
    "ParseResult",
    "Parsed",
    "PartialElements",
    "PartialOutput",
    "Refused",
    "Structured",
    "answer_text",
    "json_schema",
    "parse_response",
    "register_type",
    "structure",
    "structured_for",
    "text_format",
    "with_text_format",
]

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

_WRAPPER_KEY: Final = "value"
_MAX_NAME_CHARS: Final = 64
_FINAL: Final = "final_answer"
_MAX_BEFORE_FENCE: Final = 1024
"""The number of characters within which a text that begins with a backtick must open a fence. After that, it is read as JSON."""
_MAX_PLANS: Final = 256
_UNFINISHED: Final = frozenset({"queued", "in_progress", "incomplete", "failed", "cancelled"})


# ---- results


@attrs.frozen
class Parsed(Generic[T_co]):
    """The text matches the type."""

    value: T_co
    response: Response | None = attrs.field(default=None, kw_only=True, eq=False, repr=False)
    """The response; ``None`` if a text was parsed."""


@attrs.frozen
class Refused:
    """The model declined to answer."""

    text: str
    """The text of the refusal."""
    response: Response | None = attrs.field(default=None, kw_only=True, eq=False, repr=False)
    """The response."""


@attrs.frozen
class Incomplete:
    """The response did not complete, so its text is not parsed as the answer."""

    reason: str
    """``max_output_tokens``, ``content_filter``, the code of an error, ``truncated``, or else the status of the response."""
    partial: JSONValue | Unset = UNSET
    """The JSON received so far; ``UNSET`` if there is none."""
    message: str = attrs.field(default="", eq=False)
    """The message of the server; empty if there is none."""
    response: Response | None = attrs.field(default=None, kw_only=True, eq=False, repr=False)
    """The response; see its ``error`` and ``incomplete_details``."""


@attrs.frozen
class Invalid:
    """The response is completed, but its text does not match the type."""

    path: str
    """The JSONPath of the value that does not match; ``$`` if the text is not JSON."""
    message: str
    """A description of the fault, in one line."""
    text: str = ""
    """The whole text."""
    response: Response | None = attrs.field(default=None, kw_only=True, eq=False, repr=False)
    """The response; ``None`` if a text was parsed."""


ParseResult: TypeAlias = Parsed[T] | Refused | Incomplete | Invalid
"""The result of a request for a value: exactly one of these four."""


# ---- types


@attrs.frozen
class Parameter:
    """A parameter of a function, for :meth:`Structured.of_parameters`."""

    type: Any
    """The annotation."""
    optional: bool = False
    """Whether the parameter has a default, and so can be null on the wire."""
    description: str = ""
    """The description for the model; if empty, the description in ``Annotated`` is used."""


class Structured(Generic[T]):
    """A type with its schema and its parser. Immutable; create it once and use it for any number of responses.

    - ``name``: the name of the schema (letters, digits, ``_`` and ``-``, at most 64). Default: the name of the type.
    - ``strict``: whether the server enforces the schema, so that it must be in the strict subset of JSON Schema. If not, more types
      are supported. The library checks the text in either case.

    Raises ``UsageError``, with the path in the message, if the schema cannot express the type. :func:`structured_for` returns a cached
    object instead of planning the type again.
    """

    __slots__ = ("_root", "_wrapped", "description", "name", "schema", "strict")

    strict: bool
    """Whether the server is asked to enforce the schema."""
    name: str
    """The name of the schema."""
    description: str
    """The docstring of the type; empty if it has none."""
    schema: JSONObject
    """The JSON Schema. Do not change it."""

    def __init__(self, of: TypeForm[T], *, name: str | None = None, strict: bool = True) -> None:
        shape = shape_of(of, strict=strict)
        wrapped = not isinstance(shape, (Object, Dictionary)) and not (
            isinstance(shape, PydanticShape) and shape.is_object
        )
        if wrapped:
            field = ObjectField(wire=_WRAPPER_KEY, name=_WRAPPER_KEY, shape=shape)
            shape = Object(name="Wrapped", build=dict, fields=(field,))
        description = description_of(of) if isinstance(of, type) and not wrapped else ""
        name = name if name is not None else type_name(of) or "output"
        self._init(shape, name, strict=strict, wrapped=wrapped, description=description)

    @classmethod
    def of_parameters(
        cls, name: str, parameters: Mapping[str, Parameter], *, strict: bool = True
    ) -> Structured[dict[str, Any]]:
        """Create a ``Structured`` for the parameters of a function, by name. Its values are dictionaries of arguments.

        A null argument whose type does not include null is omitted, so that the default is used.
        """
        fields = {key: (p.type, p.optional, p.description) for key, p in parameters.items()}
        structured = cast("Structured[dict[str, Any]]", cls.__new__(cls))
        structured._init(object_of(name, fields, strict=strict), name, strict=strict)  # noqa: SLF001 - an instance of this class
        return structured

    def _init(self, shape: Shape, name: str, *, strict: bool, wrapped: bool = False, description: str = "") -> None:
        self._wrapped = wrapped
        self.description = description
        self._root = shape
        self.name = re.sub(r"[^A-Za-z0-9_-]+", "_", name).strip("_")[:_MAX_NAME_CHARS] or "output"
        self.strict = strict
        self.schema = root_schema(shape, strict=strict)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"

    def text_format(self) -> JsonSchemaFormat:
        """Return the format for a request: ``text=TextConfig(format=...)`` (Responses, Structured outputs)."""
        return JsonSchemaFormat(name=self.name, schema=self.schema, strict=self.strict)

    def structure(self, text: str) -> T:
        """Parse a text: JSON, or JSON in a Markdown fence. Raises ``DecodeError`` with the path if it does not match the type."""
        result = self.parse_text(text)
        if isinstance(result, Invalid):
            raise DecodeError(result.message, path=result.path, type_name=self.name)
        return result.value

    def load(self, value: JSONValue, *, closed: bool = False) -> T:
        """Convert a JSON value, wrapped or not. Raises ``DecodeError`` with the path if it does not match the type.

        ``closed``: whether unknown properties are errors. Otherwise they are ignored.
        """
        try:
            return self._read(value, closed=closed)
        except ShapeError as error:
            raise DecodeError(error.message, path=path_of(error.steps), type_name=self.name) from None

    def parse_text(self, text: str) -> Parsed[T] | Invalid:
        """Parse a text as :meth:`structure` does, but return :class:`Invalid` instead of raising."""
        try:
            value = _json_in(text)
            return Parsed(self._read(value))
        except DecodeError as error:
            return Invalid("$", str(error.__cause__ or error), text)
        except LimitExceeded as error:
            return Invalid("$", str(error), text)
        except ShapeError as error:
            return Invalid(path_of(error.steps), error.message, text)

    def _read(self, value: Any, *, closed: bool = False) -> T:
        shape = self._root
        unwrapped = self._wrapped and not (isinstance(value, dict) and _WRAPPER_KEY in value)
        if unwrapped:  # from a server that does not enforce schemas
            shape = cast("Object", shape).fields[0].shape
        try:
            result = ReadCache(closed=closed).read(shape, value, exact=False)
        except RecursionError:
            raise ShapeError("nested too deep") from None
        return cast("T", result[_WRAPPER_KEY] if self._wrapped and not unwrapped else result)

    def parse_response(self, response: Response) -> ParseResult[T]:
        """Return the result of a response: :class:`Refused` if the model declined, :class:`Incomplete` if it did not complete.

        Otherwise parse the text of :func:`answer_text`. A completed response without text, such as one that calls a function,
        is :class:`Invalid`. A response without a status is treated as completed.
        """
        status = response.status or "completed"
        if status not in _UNFINISHED:
            return self._parse(response, "")
        details, error = response.incomplete_details, response.error
        reason = (details and details.reason) or (error and error.code) or status
        return self._parse(response, reason, error.message if error else "")

    def parse_outcome(self, outcome: Outcome) -> ParseResult[T]:
        """Return the result of a stream, as :meth:`parse_response` does. A truncated stream is :class:`Incomplete`."""
        if outcome.status == "completed":
            return self._parse(outcome.response, "")
        if outcome.status in _UNFINISHED and outcome.response.status in _UNFINISHED:
            return self.parse_response(outcome.response)
        error = outcome.error
        return self._parse(outcome.response, (error and error.code) or outcome.status, error.message if error else "")

    def _parse(self, response: Response, unfinished: str, message: str = "") -> ParseResult[T]:
        if response.refusal:
            return Refused(response.refusal, response=response)
        text = answer_text(response)
        if unfinished:
            return Incomplete(unfinished, self._partial(text), message, response=response)
        if not text.strip():
            return Invalid("$", "the response has no text", text, response=response)
        return attrs.evolve(self.parse_text(text), response=response)

    def _partial(self, text: str) -> JSONValue | Unset:
        try:
            return self.unwrapped(partial_json(_after_fence(text)))
        except LimitExceeded:
            return UNSET

    def unwrapped(self, partial: JSONValue | Unset) -> JSONValue | Unset:
        """Return a partial value without its wrapper, if the type has one; ``UNSET`` if the value has not begun."""
        return partial.get(_WRAPPER_KEY, UNSET) if self._wrapped and isinstance(partial, Mapping) else partial


class _TypeKey:
    """A type as the key of a cache, also if it is not hashable. Keys are equal for types that have the same plan."""

    __slots__ = ("_token", "of")

    def __init__(self, of: Any) -> None:
        self.of = of  # also keeps the objects alive that the token identifies by id()
        self._token = _type_token(of)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _TypeKey) and self._token == other._token

    def __hash__(self) -> int:
        return hash(self._token)


def _type_token(of: Any) -> object:
    # The equality of types is not sufficient: `int | str == str | int`, and Annotated treats 1 and True as equal.
    if isinstance(of, (str, int, float, bytes)) or of is None:
        return type(of), of
    if isinstance(of, (list, tuple)):
        return tuple(map(_type_token, cast("Sequence[object]", of)))
    origin = get_origin(of)
    if origin is None:
        return id(of)
    arguments = (of.__origin__, *of.__metadata__) if origin is Annotated else get_args(of)
    return id(origin), *map(_type_token, arguments)


@functools.lru_cache(maxsize=_MAX_PLANS)
def _plan(key: _TypeKey, name: str | None, strict: bool) -> Structured[Any]:  # noqa: FBT001 - lru_cache is faster without keywords
    return Structured(key.of, name=name, strict=strict)


def structured_for(of: TypeForm[T], *, name: str | None = None, strict: bool = True) -> Structured[T]:
    """Return the :class:`Structured` of a type. The last 256 are cached, because planning a large type takes milliseconds.

    The parameters and the errors are those of :class:`Structured`.
    """
    return _plan(_TypeKey(of), name, strict)


def register_type(cls: type[T], schema: JSONObject, load: Callable[[Any], T]) -> None:
    """Support your own class in structured output and as a parameter of tools, or override the support of a known class.

    - ``schema``: the complete JSON Schema of its values, without references. If it is not in the strict subset, the class is only
      supported with ``strict=False``.
    - ``load``: converts the JSON value to the Python value. It raises ``ValueError`` if the value does not match.

    Existing tools and ``Structured`` objects keep their schema. Raises ``UsageError`` if ``cls`` is not a class or ``schema`` is not a
    dictionary.
    """
    add_type(cls, schema, load)
    _plan.cache_clear()


def json_schema(of: Any, *, strict: bool = True) -> JSONObject:
    """Return the JSON Schema of a type.

    For your own types, the schema is in the strict subset if ``strict``; see :class:`Structured`. For a class or union of
    ``responses_proto.models``, or a list or dict of these, the schema describes the values on the wire (draft 2020-12): unknown fields,
    enumeration values and types are valid.

    Raises ``UsageError`` if the type has no schema.
    """
    return wire_schema(of) if is_wire_type(of) else copy.deepcopy(structured_for(of, strict=strict).schema)


def text_format(of: Any, *, name: str | None = None, strict: bool = True) -> JsonSchemaFormat:
    """Return the text format of a request for a type. Raises ``UsageError``; see :class:`Structured`."""
    shared = structured_for(of, name=name, strict=strict).text_format()
    return attrs.evolve(shared, schema=copy.deepcopy(shared.schema))


def structure(text: str, of: TypeForm[T], *, strict: bool = True) -> T:
    """Parse a text as a value of a type. Raises ``DecodeError``; see :meth:`Structured.structure`.

    ``strict``: as in the request. If false, more types are supported; see :class:`Structured`.
    """
    return structured_for(of, strict=strict).structure(text)


def parse_response(response: Response, of: TypeForm[T], *, strict: bool = True) -> ParseResult[T]:
    """Return the result of a response as a value of a type; see :meth:`Structured.parse_response`.

    ``strict``: as in the request; see :class:`Structured`.
    """
    return structured_for(of, strict=strict).parse_response(response)


# ---- requests and texts


def with_text_format(
    output: Structured[Any], request: CreateResponse | JSONObject | None, fields: CreateResponseFields
) -> CreateResponseFields:
    """Return ``fields`` with the text format of ``output`` added. Other text settings of ``request`` and ``fields`` are kept.

    Raises ``UsageError`` if the request has a text format already.
    """
    text: Any = UNSET
    if "text" in fields:
        text = fields["text"]
    elif request is not None:
        text = request.get("text") if isinstance(request, Mapping) else request.text
    format_ = output.text_format()
    if isinstance(text, Mapping):
        wire = cast("JSONObject", text)
        _check_no_format(wire.get("format"))
        return {**fields, "text": {**wire, "format": dump(format_)}}
    _check_no_format(text and text.format)
    return {**fields, "text": attrs.evolve(text, format=format_) if text else TextConfig(format=format_)}


def _check_no_format(format_: object) -> None:
    if format_:
        raise UsageError("the request must not have a text format: it is derived from the type to parse")


def answer_text(response: Response) -> str:
    """Return the text of the answer, which is the last message with the phase ``final_answer``.

    If there is none, the answer is the last message that is not ``commentary``, or else the last message. Messages without text are
    ignored.
    """
    messages = [item for item in response.output if isinstance(item, Message) and _text_of(item).strip()]
    final = [message for message in messages if message.phase == _FINAL]
    not_commentary = [message for message in messages if message.phase != "commentary"]
    chosen = final or not_commentary or messages
    return _text_of(chosen[-1]) if chosen else ""


def _text_of(message: Message) -> str:
    if isinstance(message.content, str):
        return message.content
    return "".join(part.text for part in message.content if isinstance(part, OutputText))


# Possessive quantifiers: a text that is not a fence is not tried again with a different split of its blanks.
_FENCE: Final = re.compile(r"```[ \t]*+[A-Za-z0-9_+-]*+[ \t]*+(?:\r?\n|(?=[\[{\"]))")


def _after_fence(text: str) -> str:
    """Return the text after the first opening fence; the whole text if it starts with JSON or has no fence."""
    if text.lstrip()[:1] in ("{", "[", '"'):
        return text
    fence = _FENCE.search(text)
    return text[fence.end() :] if fence else text


def _json_in(text: str) -> JSONValue:
    backend = default_backend()
    text = text.strip().removeprefix("\ufeff")
    inner = _after_fence(text)
    # Strings in the JSON, and the text after it, may contain a fence, so both possible ends are tried.
    ends = dict.fromkeys((inner.rfind("```"), inner.find("\n```"))) if inner is not text else {}
    for end in ends:
        if end >= 0:
            try:
                value: JSONValue = backend.loads(inner[:end])
            except DecodeError:
                continue
            return value
    result: JSONValue = backend.loads(inner)
    return result


class PartialOutput:
    """Parses the answer of a stream while it is received.

    The answer is the newest message that is not commentary; once there are messages with the phase ``final_answer``, it is the newest of
    those. A new content part replaces the old one.

    Call :meth:`push` with each event; when it returns true, :attr:`value` may have changed. ``output``: the requested type, so that its
    wrapper can be removed. ``midway``: whether the response is not followed from its beginning. Texts that began before are left out.
    """

    def __init__(
        self, output: Structured[Any] | None = None, *, limits: Limits | None = None, midway: bool = False
    ) -> None:
        self._output = output
        self._limits = limits or Limits()
        self._texts = MessageTexts(phase="final_answer", midway=midway)
        self._answer: NewText | None = None  # the newest text of the answer
        self._start = ""  # the text so far, while it may be the start of a fence
        self._reader: PartialJSON | None = None

    def begin_with(self, response: Response, waiting: Iterable[Event]) -> None:
        """Continue from a snapshot. The events in ``waiting`` will be pushed next, although the snapshot includes them already."""
        self._texts.begin_with(response, waiting)

    @property
    def reader(self) -> PartialJSON | None:
        """The parser of the answer, a new one for each answer; ``None`` before it begins."""
        return self._reader

    @property
    def value(self) -> JSONValue | Unset:
        """The certain part of the answer; ``UNSET`` if there is none. A returned value is never changed later."""
        value = self._reader.value if self._reader is not None else UNSET
        return value if self._output is None else self._output.unwrapped(value)

    def push(self, event: Event) -> bool:
        """Process an event and return whether :attr:`value` may have changed.

        Raises ``LimitExceeded`` if the JSON is nested too deep.
        """
        changed = False
        for new in self._texts.push(event):
            changed |= self._take(new)
        return changed

    def _take(self, new: NewText) -> bool:
        answer, text = self._answer, new.text
        if answer is None or new.part is not answer.part:
            if answer is not None and _comes_before(new.message, answer.message):
                return False
            self._start, self._reader = "", None
            text = new.part.text.value()[: new.part.told]
        self._answer = new
        if self._reader is None:
            self._start = (self._start + text).lstrip()
            if self._start.startswith("`") and len(self._start) <= _MAX_BEFORE_FENCE:
                inner = _after_fence(self._start)
                if inner is self._start or (inner == "" and not self._start.endswith("\n")):
                    return False  # the fence is not complete yet
                self._start = inner
            if not self._start:
                return False
            self._reader = PartialJSON(limits=self._limits)
            text = self._start
        self._reader.feed(text)
        return True


class PartialElements(Generic[T]):
    """Reads the elements of a list in the answer of a stream, each as soon as it is complete.

    The list is the answer itself, or its only member that is a list. ``output``: the requested type. ``of``: the type of the elements.
    One of them is needed. Call :meth:`push` with each event, and :meth:`load` with each value that it returns.

    Raises ``UsageError`` if ``output`` has no list, or more than one that matches.
    """

    def __init__(
        self, output: Structured[Any] | None, of: Any = None, *, limits: Limits | None = None, midway: bool = False
    ) -> None:
        self._partial = PartialOutput(limits=limits, midway=midway)
        self._key, self._shape = _list_in(output, of)
        self._reader: PartialJSON | None = None
        self._count = 0  # of the elements that were returned

    def begin_with(self, response: Response, waiting: Iterable[Event]) -> None:
        """Continue as :meth:`PartialOutput.begin_with` does. The elements of the snapshot are also returned."""
        self._partial.begin_with(response, waiting)

    def push(self, event: Event) -> list[tuple[int, JSONValue]]:
        """Process an event, and return the elements that it completes, each with its index in the list.

        Raises ``LimitExceeded`` if the JSON is nested too deep.
        """
        if not self._partial.push(event):
            return []
        reader = cast("PartialJSON", self._partial.reader)
        if reader is not self._reader:  # the answer is a different message now
            self._reader, self._count = reader, 0
        first = self._count
        found = reader.elements(self._key, first)
        self._count += len(found)
        return list(enumerate(found, first))

    def load(self, index: int, element: JSONValue) -> T:
        """Convert an element. Raises ``DecodeError`` with the path if it does not match the type."""
        path: list[str | int] = [index] if self._key == _WRAPPER_KEY else [self._key, index]
        try:
            return cast("T", ReadCache().read(self._shape, element, exact=False))
        except ShapeError as error:
            path += error.steps
            message = error.message
        except RecursionError:
            message = "nested too deep"
        raise DecodeError(message, path=path_of(path), type_name=self._shape.expects)


def _list_in(output: Structured[Any] | None, of: Any) -> tuple[str, Shape]:
    """Return the name of the member of the answer that is a list, and the shape of its elements."""
    strict = output is not None and output.strict
    wanted = None if of is None else _lists_of(structured_for(cast("Any", list)[of], strict=strict))[_WRAPPER_KEY]
    if output is None:
        if wanted is None:
            raise UsageError(
                "elements() needs the type of the elements: elements(T), or client.stream(..., output=list[T])"
            )
        return _WRAPPER_KEY, wanted
    lists = _lists_of(output)
    if wanted is not None and len(lists) > 1:
        schema = root_schema(wanted)
        lists = {key: shape for key, shape in lists.items() if root_schema(shape) == schema}
    if len(lists) != 1:
        which = f"several lists: {', '.join(lists)}" if lists else "no list"
        raise UsageError(f"elements() needs an output with one list, but {output.name} has {which}")
    key, shape = lists.popitem()
    return key, wanted or shape


def _lists_of(output: Structured[Any]) -> dict[str, Shape]:
    """Return the members of an object that are lists, each with the shape of its elements."""
    root = output._root  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - of this module
    members: dict[str, Shape] = {}
    if isinstance(root, Object):
        members = {field.wire: field.shape for field in root.fields}
    elif isinstance(root, PydanticShape):
        fields: Mapping[str, Any] = getattr(root.model, "model_fields", {})
        for name, field in fields.items():
            with contextlib.suppress(UsageError):  # a type that only pydantic supports
                members[field.alias or name] = shape_of(field.annotation, strict=output.strict)
    return {key: array.item for key, shape in members.items() if (array := _array_in(shape, ())) is not None}


def _array_in(shape: Shape, around: tuple[Shape, ...]) -> Array | None:
    """Return the list in a shape, without its name, its description and the option null; ``None`` if the shape is not a list."""
    if isinstance(shape, Array):
        return shape
    if isinstance(shape, (Object, Tuple)) or any(shape is outer for outer in around):
        return None
    arrays = [array for part in shape.parts() if (array := _array_in(part, (*around, shape))) is not None]
    return arrays[0] if len(arrays) == 1 else None


def _comes_before(message: FollowedMessage, answer: FollowedMessage) -> bool:
    """Return whether a message cannot be the answer, because the current answer takes precedence."""
    if message is answer:
        return False
    return (message.phase == _FINAL, message.index) < (answer.phase == _FINAL, answer.index)

"""Structured output: from a type to the schema that is asked for, and from a model's text to a value of the type.

::

    event = Structured(CalendarEvent)
    response = await client.create(model=..., input=..., text=TextConfig(format=event.text_format()))
    match event.parse_response(response):           # or client.parse(CalendarEvent, model=..., input=...)
        case Parsed(value): ...                     # a CalendarEvent
        case Refused(text): ...                     # the model declined
        case Incomplete(reason, partial): ...       # the response did not complete: nothing is parsed
        case Invalid(path, message): ...            # the text is no JSON, or JSON of another shape

Types: classes of attrs and dataclasses, ``TypedDict``, ``NamedTuple``, pydantic models, ``Literal``, enumerations, unions,
lists, tuples and sets, ``str``, ``int``, ``float``, ``bool``, ``None``, ``datetime``, ``date``, ``time``, ``UUID`` and
``Decimal``; generic, nested and recursive. Descriptions come from docstrings, from ``Annotated[..., "text"]`` and from
``metadata={"description": ...}`` of a field. Dictionaries with free keys and ``Any`` cannot be said in the strict subset.

A field with a default may be null on the wire (the strict subset has no optional properties) and has its default then;
where null is a value of the field's type, it is that. Pydantic models have no such rule: all their fields have to come.

A type that is no JSON object is asked for inside one, as ``{"value": ...}``, and taken out again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Generic, TypeAlias, TypeVar, cast

import attrs

from ..codec import default_backend, dump
from ..exceptions import DecodeError, LimitExceeded, LocalProtocolError
from ..limits import Limits
from ..models.config import JsonSchemaFormat, TextConfig
from ..models.content import OutputText
from ..models.events import OutputTextDelta
from ..models.items import Message
from ..typing import UNSET
from ._planner import description_of, plan, plan_fields, type_name
from ._pydantic import Foreign
from ._shapes import Object, ObjectField, Reading, ShapeError, path_of, root_schema
from .partial import PartialJSON, partial_json

if TYPE_CHECKING:
    from typing_extensions import TypeForm  # for the type checker, which brings it

    from ..models.events import Event
    from ..models.request import CreateResponse, CreateResponseFields
    from ..models.response import Response
    from ..protocol.stream import Outcome
    from ..typing import JSONObject, JSONValue, Unset
    from ._shapes import Shape

__all__ = [
    "Incomplete",
    "Invalid",
    "Parameter",
    "ParseResult",
    "Parsed",
    "PartialOutput",
    "Refused",
    "Structured",
    "answer_text",
    "json_schema",
    "parse_response",
    "structure",
    "text_format",
    "with_text_format",
]

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

_WRAPPED: Final = "value"
_LONGEST_NAME: Final = 64
_UNFINISHED: Final = frozenset({"queued", "in_progress", "incomplete", "failed", "cancelled"})


# ---- results


@attrs.frozen
class Parsed(Generic[T_co]):
    """The text is a value of the type."""

    value: T_co
    response: Response | None = attrs.field(default=None, kw_only=True, eq=False, repr=False)
    """What it was taken from; ``None`` if from a bare text."""


@attrs.frozen
class Refused:
    """The model declined to answer."""

    text: str
    """What it said."""
    response: Response | None = attrs.field(default=None, kw_only=True, eq=False, repr=False)
    """What it was taken from."""


@attrs.frozen
class Incomplete:
    """The response is not completed. Whatever text there is, it is not taken for the answer."""

    reason: str
    """``max_output_tokens``, ``content_filter``, an error's code, ``truncated``, or else the response's status."""
    partial: JSONValue | Unset = UNSET
    """The JSON as far as it came; ``UNSET`` if none did."""
    response: Response | None = attrs.field(default=None, kw_only=True, eq=False, repr=False)
    """What it was taken from; ``.error`` and ``.incomplete_details`` tell more."""


@attrs.frozen
class Invalid:
    """The response is completed, but its text is no value of the type."""

    path: str
    """Where, in JSONPath; ``$`` for a text that is no JSON."""
    message: str
    """What is wrong there, in one line."""
    text: str = ""
    """The whole text."""
    response: Response | None = attrs.field(default=None, kw_only=True, eq=False, repr=False)
    """What it was taken from; ``None`` if from a bare text."""


ParseResult: TypeAlias = Parsed[T] | Refused | Incomplete | Invalid
"""What became of a request for a value: exactly one of four."""


# ---- types


@attrs.frozen
class Parameter:
    """One parameter of a function, for :meth:`Structured.of_parameters`."""

    type: Any
    """Its annotation."""
    optional: bool = False
    """Whether it has a default, and so may be null on the wire."""
    description: str = ""
    """For the model; what ``Annotated`` says counts where this is empty."""


class Structured(Generic[T]):
    """A type, ready to be asked for and to be read. Immutable; make it once and use it for any number of responses.

    ``name`` is the schema's name (letters, digits, ``_`` and ``-``, at most 64); by default the type's. Raises
    ``LocalProtocolError`` with a path for what the strict subset of JSON Schema cannot say.
    """

    __slots__ = ("_root", "_wrapped", "description", "name", "schema")

    name: str
    """The schema's name."""
    description: str
    """The type's docstring; empty if it has none."""
    schema: JSONObject
    """The JSON Schema, in the strict subset. Not to be changed."""

    def __init__(self, of: TypeForm[T], *, name: str | None = None) -> None:
        shape = plan(of)
        wrapped = not isinstance(shape, Object) and not (isinstance(shape, Foreign) and shape.is_object)
        if wrapped:
            shape = Object(name="Wrapped", build=dict, fields=(ObjectField(wire=_WRAPPED, shape=shape),))
        description = description_of(of) if isinstance(of, type) and not wrapped else ""
        name = name if name is not None else type_name(of) or "output"
        self._settle(shape, name, wrapped=wrapped, description=description)

    @classmethod
    def of_parameters(cls, name: str, parameters: Mapping[str, Parameter]) -> Structured[dict[str, Any]]:
        """Make one of a function's parameters: its values are dictionaries of arguments.

        An argument that is null where the parameter's type has no null is left out, so that the default counts.
        """
        fields = {key: (p.type, p.optional, p.description) for key, p in parameters.items()}
        made = cast("Structured[dict[str, Any]]", cls.__new__(cls))
        made._settle(plan_fields(name, fields), name)  # noqa: SLF001 - its own
        return made

    def _settle(self, shape: Shape, name: str, *, wrapped: bool = False, description: str = "") -> None:
        self._wrapped = wrapped
        self.description = description
        self._root = shape
        self.name = re.sub(r"[^A-Za-z0-9_-]+", "_", name).strip("_")[:_LONGEST_NAME] or "output"
        self.schema = root_schema(shape)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"

    def text_format(self) -> JsonSchemaFormat:
        """Give what a request asks with: ``text=TextConfig(format=...)`` (Responses, Structured outputs)."""
        return JsonSchemaFormat(name=self.name, schema=self.schema, strict=True)

    def structure(self, text: str) -> T:
        """Make a value of a text: JSON, or JSON in a Markdown fence. Raises ``DecodeError``, with ``.path``."""
        result = self.parse_text(text)
        if isinstance(result, Invalid):
            raise DecodeError(result.message, path=result.path, type_name=self.name)
        return result.value

    def load(self, value: JSONValue) -> T:
        """Make a value of a JSON value, in its wrapping or without. Raises ``DecodeError``, with ``.path``."""
        try:
            return self._read(value)
        except ShapeError as misfit:
            raise DecodeError(misfit.message, path=path_of(misfit.steps), type_name=self.name) from None

    def parse_text(self, text: str) -> Parsed[T] | Invalid:
        """Make a value of a text, as :meth:`structure` does, without raising."""
        try:
            value = _json_in(text)
            return Parsed(self._read(value))
        except DecodeError as error:
            return Invalid("$", str(error.__cause__ or error), text)
        except LimitExceeded as error:
            return Invalid("$", str(error), text)
        except ShapeError as misfit:
            return Invalid(path_of(misfit.steps), misfit.message, text)

    def _read(self, value: Any) -> T:
        shape = self._root
        bare = self._wrapped and not (isinstance(value, dict) and _WRAPPED in value)
        if bare:  # a server that does not know schemas, and a model that was told of the type in words
            shape = cast("Object", shape).fields[0].shape
        try:
            made = Reading().read(shape, value, exact=False)
        except RecursionError:
            raise ShapeError("nested too deep") from None
        return cast("T", made[_WRAPPED] if self._wrapped and not bare else made)

    def parse_response(self, response: Response) -> ParseResult[T]:
        """Make a value of a response. A refusal counts first, then the status: a text is parsed if it is completed.

        The text is that of :func:`answer_text`. A completed response without any (it called a function, say) is
        :class:`Invalid`; a response that states no status counts as completed.
        """
        status = response.status or "completed"
        if status not in _UNFINISHED:
            return self._parse(response, "")
        details, error = response.incomplete_details, response.error
        return self._parse(response, (details and details.reason) or (error and error.code) or status)

    def parse_outcome(self, outcome: Outcome) -> ParseResult[T]:
        """Make a value of what a stream ended with, as :meth:`parse_response` does; a truncated one is not completed."""
        if outcome.status == "completed":
            return self._parse(outcome.response, "")
        if outcome.status in _UNFINISHED and outcome.response.status in _UNFINISHED:
            return self.parse_response(outcome.response)
        return self._parse(outcome.response, (outcome.error and outcome.error.code) or outcome.status)

    def _parse(self, response: Response, unfinished: str) -> ParseResult[T]:
        if response.refusal:
            return Refused(response.refusal, response=response)
        text = answer_text(response)
        if unfinished:
            return Incomplete(unfinished, self._partial(text), response=response)
        if not text.strip():
            return Invalid("$", "the response has no text", text, response=response)
        return attrs.evolve(self.parse_text(text), response=response)

    def _partial(self, text: str) -> JSONValue | Unset:
        try:
            return self.unwrapped(partial_json(_after_fence(text)))
        except LimitExceeded:
            return UNSET

    def unwrapped(self, partial: JSONValue | Unset) -> JSONValue | Unset:
        """Take a partial value out of the object that stands around what is no object."""
        return partial.get(_WRAPPED, UNSET) if self._wrapped and isinstance(partial, Mapping) else partial


def json_schema(of: Any) -> JSONObject:
    """Give the schema of a type, in the strict subset. Raises ``LocalProtocolError``; see :class:`Structured`."""
    return Structured[Any](of).schema


def text_format(of: Any, *, name: str | None = None) -> JsonSchemaFormat:
    """Give what a request for a type asks with. Raises ``LocalProtocolError``; see :class:`Structured`."""
    return Structured[Any](of, name=name).text_format()


def structure(text: str, of: TypeForm[T]) -> T:
    """Make a value of a text. Raises ``DecodeError``, with ``.path``; see :meth:`Structured.structure`."""
    return Structured[T](of).structure(text)


def parse_response(response: Response, of: TypeForm[T]) -> ParseResult[T]:
    """Make a value of a response; see :meth:`Structured.parse_response`."""
    return Structured[T](of).parse_response(response)


# ---- requests and texts


def with_text_format(
    output: Structured[Any], request: CreateResponse | JSONObject | None, fields: CreateResponseFields
) -> CreateResponseFields:
    """Give the fields that add the format to a request; what it says of the text besides is kept.

    Raises ``LocalProtocolError`` if the request asks for a format already.
    """
    text: Any = UNSET
    if "text" in fields:
        text = fields["text"]
    elif request is not None:
        text = request.get("text") if isinstance(request, Mapping) else request.text
    format_ = output.text_format()
    if isinstance(text, Mapping):
        wire = cast("JSONObject", text)
        _refuse(wire.get("format"))
        return {**fields, "text": {**wire, "format": dump(format_)}}
    _refuse(text and text.format)
    return {**fields, "text": attrs.evolve(text, format=format_) if text else TextConfig(format=format_)}


def _refuse(format_: object) -> None:
    if format_:
        raise LocalProtocolError("the request asks for a text format already; the type to parse is what says it")


def answer_text(response: Response) -> str:
    """Give the text that is the answer: of the last message whose phase is ``final_answer``.

    Without such a one, of the last message with text that is not ``commentary``; then of the last one with text.
    """
    messages = [item for item in response.output if isinstance(item, Message) and _text_of(item).strip()]
    final = [message for message in messages if message.phase == "final_answer"]
    said = [message for message in messages if message.phase != "commentary"]
    chosen = final or said or messages
    return _text_of(chosen[-1]) if chosen else ""


def _text_of(message: Message) -> str:
    if isinstance(message.content, str):
        return message.content
    return "".join(part.text for part in message.content if isinstance(part, OutputText))


_FENCE: Final = re.compile(r"```[ \t]*[A-Za-z0-9_+-]*[ \t]*(?:\r?\n|(?=[\[{\"]))")


def _after_fence(text: str) -> str:
    """Give the text after the first opening fence; all of it if it begins with JSON, or has none."""
    if text.lstrip()[:1] in ("{", "[", '"'):
        return text
    fence = _FENCE.search(text)
    return text[fence.end() :] if fence else text


def _json_in(text: str) -> JSONValue:
    backend = default_backend()
    text = text.strip().removeprefix("\ufeff")
    inner = _after_fence(text)
    # A string in the JSON may have a fence in it, and so may what the model says after it.
    ends = dict.fromkeys((inner.rfind("```"), inner.find("\n```"))) if inner is not text else {}
    for end in ends:
        if end >= 0:
            try:
                value: JSONValue = backend.loads(inner[:end])
            except DecodeError:
                continue
            return value
    whole: JSONValue = backend.loads(inner)
    return whole


class PartialOutput:
    """Follows the answer of a stream while it is written. Verbs: :meth:`push` each event, then look at :attr:`value`."""

    def __init__(self, output: Structured[Any] | None = None, *, limits: Limits | None = None) -> None:
        self._output = output
        self._limits = limits or Limits()
        self._place: tuple[object, ...] | None = None
        self._start = ""  # of a text that may begin with a fence
        self._reader: PartialJSON | None = None

    @property
    def value(self) -> JSONValue | Unset:
        """The answer as far as it is certain; ``UNSET`` if nothing is. What it gave is never changed afterwards."""
        value = self._reader.value if self._reader is not None else UNSET
        return value if self._output is None else self._output.unwrapped(value)

    def push(self, event: Event) -> bool:
        """Take an event; tell whether there may be more to see. A new message starts anew.

        Raises ``LimitExceeded`` if the JSON is nested too deep.
        """
        if not isinstance(event, OutputTextDelta):
            return False
        place = (event.output_index, event.content_index)
        if place != self._place:
            self._place, self._start, self._reader = place, "", None
        if self._reader is not None:
            self._reader.feed(event.delta)
            return True
        self._start = (self._start + event.delta).lstrip()
        if self._start.startswith("`"):
            inner = _after_fence(self._start)
            if inner is self._start or (inner == "" and not self._start.endswith("\n")):
                return False  # the fence is not whole yet
            self._start = inner
        if not self._start:
            return False
        self._reader = PartialJSON(limits=self._limits)
        self._reader.feed(self._start)
        return True

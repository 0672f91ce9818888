"""From what a client sends to typed requests, or to the error that says what is wrong with it.

The server's counterpart of :mod:`responses_proto.protocol.api_errors`. Every error is an ``APIError`` in the form of the specification: a
status, a ``code``, and the ``param`` at fault, by its path in the body (``input[0].content[1].text``) or its name in the query.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, TypeVar, get_args

import attrs

from ..exceptions import APIError, DecodeError, LimitExceeded
from ..models._base import Model, Unknown
from ..models.config import ReasoningEffort, ServiceTier, Truncation, Verbosity
from ..models.items import Message, MessageRole, UnknownItem
from ..models.request import ListParams, RetrieveParams
from ..typing import UNSET

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from ..codec import Converter
    from ..models.items import Item
    from ..models.request import CreateResponse
    from ..typing import JSONValue

__all__ = [
    "INVALID",
    "PageQuery",
    "check_create",
    "id_of",
    "invalid",
    "not_found",
    "page_of",
    "read_body",
    "read_list_params",
    "read_retrieve_params",
    "read_value",
]

INVALID: Final = "invalid_request_error"
"""The ``type`` of every error that is the client's."""

_M = TypeVar("_M", bound=Model)

_PAGE: Final = 20  # items, if the client does not say
_LONGEST_PAGE: Final = 100


def invalid(message: str, param: str | None, code: str | None) -> APIError:
    """Make the error of a request that is wrong: 400."""
    return APIError.for_status(400)(message, status=400, type=INVALID, param=param, code=code)


def not_found(what: str, id: str, param: str) -> APIError:  # noqa: A002 - what it is of everything here
    """Make the error of an id that is not known: 404."""
    message = f"There is no {what} with id {id!r} here."
    return APIError.for_status(404)(message, status=404, type=INVALID, param=param)


# ---- bodies


def read_body(body: bytes, cls: type[_M], converter: Converter, *, required: Sequence[str] = ()) -> _M:
    """Make a model of a body. ``converter`` is a strict one; ``required`` are fields that may not be missing, null or empty.

    Raises ``APIError``: for what is not JSON, does not fit, or is not known.
    """
    try:
        value = converter.json.loads(body)
    except (DecodeError, LimitExceeded) as error:
        raise invalid(f"The body is not JSON that can be read: {error}", None, None) from error
    return read_value(value, cls, converter, required=required)


def read_value(value: JSONValue, cls: type[_M], converter: Converter, *, required: Sequence[str] = ()) -> _M:
    """Make a model of a JSON value; see :func:`read_body`."""
    try:
        asked: _M = converter.load(value, cls)
    except DecodeError as error:
        param = error.path.removeprefix("$").removeprefix(".")
        if param in required and isinstance(value, dict) and param not in value:
            raise _missing(param) from error
        raise invalid(f"{param or 'The body'} does not fit: {error}", param or None, "invalid_type") from error
    for field in asked.extra:
        raise invalid(f"There is no parameter {field!r}.", field, "unknown_parameter")
    for field in required:
        if not getattr(asked, field):
            raise _missing(field)
    for field in ("input", "items"):
        items: str | Sequence[Item] | None = getattr(asked, field, None)
        for index, item in enumerate(() if isinstance(items, str) else items or ()):
            if isinstance(item, UnknownItem) and not item.type:
                raise _missing(f"{field}[{index}].type")
    return asked


def _missing(param: str) -> APIError:
    return invalid(f"The parameter {param!r} is missing.", param, "missing_required_parameter")


def check_create(request: CreateResponse) -> None:
    """Check what the types do not say about a request for a response. Raises ``APIError``."""
    if not request.model and not request.prompt:
        raise _missing("model")
    if request.previous_response_id and request.conversation:
        raise invalid(
            "A response follows another one or belongs to a conversation, not both: leave out "
            "'previous_response_id' or 'conversation'.",
            "previous_response_id",
            "mutually_exclusive_parameters",
        )
    if request.background and request.store is False:
        raise invalid(
            "A response in the background is fetched later, so that it has to be stored: leave out 'store'.",
            "store",
            "unsupported_value",
        )
    _check_values(request)


def _known(alias: object) -> frozenset[object]:
    """Give the values that an open enumeration names."""
    return frozenset(value for arm in get_args(alias) for value in get_args(arm))


_CHOICES: Final[Mapping[str, frozenset[object]]] = {
    "truncation": _known(Truncation),
    "service_tier": _known(ServiceTier),
    "reasoning.effort": _known(ReasoningEffort),
    "reasoning.summary": frozenset({"auto", "concise", "detailed"}),
    "text.verbosity": _known(Verbosity),
    "tool_choice": frozenset({"none", "auto", "required"}),
}
"""Parameter -> the values that there are, where it is a text (Open Responses, Schema). What is echoed has to be one of them."""

_RANGES: Final[Mapping[str, tuple[float, float]]] = {
    "temperature": (0, 2),
    "top_p": (0, 1),
    "presence_penalty": (-2, 2),
    "frequency_penalty": (-2, 2),
    "top_logprobs": (0, 20),
    "max_output_tokens": (1, math.inf),
    "max_tool_calls": (1, math.inf),
}
"""Parameter -> the least and the greatest number that it can be (Responses, Create)."""


def _check_values(request: CreateResponse) -> None:
    for param, known in _CHOICES.items():
        value: object = request
        for name in param.split("."):
            value = getattr(value, name, None)
        if isinstance(value, str) and value not in known:
            raise _no_value(param, value, f"one of {', '.join(sorted(map(str, known)))}")
    for param, (least, most) in _RANGES.items():
        number = getattr(request, param)
        if isinstance(number, int | float) and not least <= number <= most:
            bounds = f"at least {least:g}" if most == math.inf else f"from {least:g} to {most:g}"
            raise _no_value(param, number, bounds)
    shape = request.text.format if request.text else None
    if isinstance(shape, Unknown):
        raise _no_value("text.format.type", shape.type, "one of json_object, json_schema, text")
    for index, item in enumerate(() if isinstance(request.input, str) else request.input or ()):
        if isinstance(item, Message) and item.role not in _ROLES:
            raise _no_value(f"input[{index}].role", item.role, f"one of {', '.join(sorted(map(str, _ROLES)))}")


_ROLES: Final = _known(MessageRole)


def _no_value(param: str, value: object, wanted: str) -> APIError:
    return invalid(f"{param!r} is {wanted}, not {str(value)[:80]!r}.", param, "invalid_value")


# ---- queries


def _int(name: str, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise invalid(f"{name!r} is a whole number, not {text[:80]!r}.", name, "invalid_type") from None


def _bool(name: str, text: str) -> bool:
    found = {"true": True, "1": True, "false": False, "0": False}.get(text.lower())
    if found is None:
        raise invalid(f"{name!r} is true or false, not {text[:80]!r}.", name, "invalid_type")
    return found


def _text(_name: str, text: str) -> str:
    return text


_PARAMS: Final[Mapping[str, Callable[[str, str], object]]] = {
    "after": _text,
    "limit": _int,
    "order": _text,
    "stream": _bool,
    "starting_after": _int,
    "include_obfuscation": _bool,
}
"""Parameter of a query -> how its text is read. Others are passed over: proxies add their own."""


def _read_params(query: Iterable[tuple[str, str]], cls: type[_M]) -> _M:
    known = {field.name for field in attrs.fields(cls)}
    found: dict[str, Any] = {}
    for name, text in query:
        plain = name.removesuffix("[]")
        if plain == "include":
            found.setdefault("include", []).append(text)
        elif plain in _PARAMS and plain in known:
            found[plain] = _PARAMS[plain](plain, text)
    return cls(**found)


def read_list_params(query: Iterable[tuple[str, str]]) -> ListParams:
    """Make the parameters of a page of a query. Raises ``APIError``."""
    params = _read_params(query, ListParams)
    if params.limit is not UNSET and not 1 <= params.limit <= _LONGEST_PAGE:
        code = "integer_below_min_value" if params.limit < 1 else "integer_above_max_value"
        raise invalid(f"'limit' is from 1 to {_LONGEST_PAGE}, not {params.limit}.", "limit", code)
    if params.order is not UNSET and params.order not in ("asc", "desc"):
        raise invalid(f"'order' is 'asc' or 'desc', not {params.order[:80]!r}.", "order", "invalid_value")
    return params


def read_retrieve_params(query: Iterable[tuple[str, str]]) -> RetrieveParams:
    """Make the parameters of fetching a response of a query. Raises ``APIError``."""
    params = _read_params(query, RetrieveParams)
    if params.starting_after is not UNSET and not params.stream:
        raise invalid("'starting_after' says where a stream begins: ask for 'stream=true'.", "starting_after", None)
    return params


# ---- pages


def id_of(item: Item) -> str:
    """Give the id of an item, of whatever kind; empty if it has none."""
    found = item.raw.get("id") if isinstance(item, UnknownItem) and isinstance(item.raw, dict) else None
    found = found or getattr(item, "id", None)
    return found if isinstance(found, str) else ""


@attrs.frozen
class PageQuery:
    """Some items of a list, in the order that was asked for."""

    data: list[Item]
    has_more: bool

    @property
    def first_id(self) -> str | None:
        """The id of the first item; ``None`` for an empty page."""
        return id_of(self.data[0]) if self.data else None

    @property
    def last_id(self) -> str | None:
        """The id of the last item, which the next page begins behind; ``None`` for an empty page."""
        return id_of(self.data[-1]) if self.data else None


def page_of(items: Sequence[Item], params: ListParams) -> PageQuery:
    """Cut the page that was asked for out of a list, which is in the order in which the items came.

    Raises ``APIError`` for an ``after`` that is not in the list.
    """
    found = [*items] if params.order == "asc" else [*reversed(items)]
    if params.after:
        places = [index for index, item in enumerate(found) if id_of(item) == params.after]
        if not places:
            raise invalid(f"There is no item with id {params.after[:80]!r} in the list.", "after", "invalid_value")
        found = found[places[-1] + 1 :]
    end = params.limit or _PAGE
    # Some outputs have the id of their call. They are on one page, since the next one begins behind the last of them.
    while 0 < end < len(found) and id_of(found[end]) and id_of(found[end]) == id_of(found[end - 1]):
        end += 1
    return PageQuery(found[:end], has_more=len(found) > end)

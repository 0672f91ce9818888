"""Read and validate the requests of clients, for servers.

This is the counterpart of :mod:`responses_proto.protocol.api_errors`. Every error is an ``APIError`` as the specification defines it:
with a status, a ``code``, and the ``param`` at fault, given as a path in the body (``input[0].content[1].text``) or a name in the query.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, TypeVar, cast, get_args

import attrs

from ..codec._converter import as_error
from ..codec._json import has_more_values
from ..codec._specs import model_spec
from ..exceptions import APIError, DecodeError, LimitExceeded
from ..models._base import EMPTY, Extra, Model, Unknown
from ..models.config import ReasoningEffort, ServiceTier, Truncation, Verbosity
from ..models.items import LocalShellCallOutput, Message, MessageRole, UnknownItem
from ..models.request import ListParams, RetrieveParams
from ..typing import UNSET

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from ..codec import Converter
    from ..codec._load import DecodeFinding
    from ..models.items import Item
    from ..models.request import CreateResponse
    from ..typing import JSONValue

INVALID: Final = "invalid_request_error"
"""The ``type`` of all errors that the client caused."""

_M = TypeVar("_M", bound=Model)

DEFAULT_LIMIT: Final = 20
"""The number of items in a page if the request gives no limit."""
MAX_LIMIT: Final = 100
"""The maximum number of items in a page."""


def invalid(message: str, param: str | None, code: str | None) -> APIError:
    """Return the error for an invalid request (400)."""
    return APIError.for_status(400)(message, status=400, type=INVALID, param=param, code=code)


def not_found(what: str, id: str, param: str) -> APIError:  # noqa: A002 - the wire's own name for it
    """Return the error for an unknown id (404). ``what``: the kind of object, such as ``response``."""
    message = f"There is no {what} with id {id!r} here."
    return APIError.for_status(404)(message, status=404, type=INVALID, param=param)


# ---- bodies


UnknownParameters: TypeAlias = Literal["refuse", "pass"] | None
"""How to handle unknown parameters: refuse all of them, pass all of them on in ``extra``, or (``None``) refuse only those whose name
resembles that of a known parameter."""


def read_body(
    body: bytes, cls: type[_M], converter: Converter, *, required: Sequence[str] = (), unknown: UnknownParameters = None
) -> _M:
    """Return a body as a model; its ``extra`` has the unknown parameters.

    ``required``: fields that must not be missing, null or empty. Any other parameter that is null counts as absent. Raises
    ``APIError`` if the body is not JSON, does not fit the model, or has unknown parameters that ``unknown`` refuses.
    """
    return read_value(parse_json(body, converter), cls, converter, required=required, unknown=unknown)


def parse_json(text: bytes | str, converter: Converter, what: str = "body") -> Any:
    """Return the JSON value of a request. ``what``: the name of the text in error messages.

    Raises ``APIError`` if the text is not JSON, or has more values than a request may have.
    """
    data = text if isinstance(text, bytes) else text.encode(errors="surrogatepass")
    if has_more_values(data, MAX_VALUES):
        raise invalid(f"The {what} has more than {MAX_VALUES} JSON values.", None, "request_too_large")
    try:
        return converter.json.loads(text)
    except (DecodeError, LimitExceeded) as error:
        raise invalid(f"The {what} is not valid JSON: {error}", None, None) from error


MAX_VALUES: Final = 500_000
"""The maximum number of JSON values in a request. Each takes about a hundred bytes of memory, but may take only two on the wire."""
MAX_ITEMS: Final = 10_000
"""The maximum number of items in the input of a request, also after its compactions are unfolded."""


def read_value(
    value: JSONValue,
    cls: type[_M],
    converter: Converter,
    *,
    required: Sequence[str] = (),
    unknown: UnknownParameters = None,
) -> _M:
    """Return a JSON value as a model; see :func:`read_body`."""
    findings: list[DecodeFinding] = []
    try:
        request: _M = converter.loader(cls)(value, findings)
    except RecursionError as error:
        raise invalid("The body is nested too deep.", None, None) from error
    if not isinstance(request, cls) or not isinstance(value, dict):
        raise invalid("The body is invalid: it must be a JSON object.", None, "invalid_type")
    _check_findings(findings, value, required)
    request = _with_unknown(request, value, unknown)
    for field in required:
        if not getattr(request, field):
            raise _missing(field)
    for field in ("input", "items"):
        items: str | Sequence[Item] | None = getattr(request, field, None)
        for index, item in enumerate(() if isinstance(items, str) else items or ()):
            if isinstance(item, UnknownItem) and not item.type:
                raise _missing(f"{field}[{index}].type")
            if index >= MAX_ITEMS:
                raise invalid(f"{field!r} has more than {MAX_ITEMS} items.", field, "array_above_max_length")
    return request


def _check_findings(findings: Sequence[DecodeFinding], value: dict[str, Any], required: Sequence[str]) -> None:
    for finding in findings:
        if _is_acceptable(finding, value):
            continue
        error = as_error(finding)
        param = error.path.removeprefix("$").removeprefix(".")
        if param in required and param not in value:
            raise _missing(param)
        raise invalid(f"{param or 'The body'} is invalid: {error}", param or None, "invalid_type")


def _with_unknown(request: _M, value: dict[str, Any], unknown: UnknownParameters) -> _M:
    """Return the request with only unknown parameters in ``extra``. Raise ``APIError`` if ``unknown`` refuses them."""
    if not request.extra:
        return request
    known = model_spec(type(request)).by_wire
    extra = {name: given for name, given in request.extra.items() if name not in known}
    for name in extra:
        # If a known parameter is given, a longer or shorter name is a different parameter: `models` next to `model`.
        meant = [wire for wire in known if wire not in value or not (name.startswith(wire) or wire.startswith(name))]
        _check_unknown(name, meant, unknown)
    return attrs.evolve(request, extra=Extra(extra) if extra else EMPTY)


def _is_acceptable(finding: DecodeFinding, value: dict[str, Any]) -> bool:
    """Return whether a deviation from the models is allowed in requests: a null, or a missing field that the server does not need."""
    if finding.says_nothing:
        return True
    place = _ITEM_FIELD.fullmatch(finding.path)
    if finding.code != "missing-field" or place is None:
        return False
    item, field = value[place["list"]][int(place["index"])], place["field"]
    if field == "id":
        # Clients name the call by its `call_id`, as the outputs of all other calls do.
        return item["type"] == LocalShellCallOutput.type and isinstance(item.get("call_id"), str)
    return field == "status" or (item["type"] in _MADE_BY_SERVER and isinstance(item.get("id"), str))


_ITEM_FIELD: Final = re.compile(r"\.(?P<list>input|items)\[(?P<index>\d+)\]\.(?P<field>\w+)")

_MADE_BY_SERVER: Final = frozenset(
    {
        "code_interpreter_call",
        "file_search_call",
        "image_generation_call",
        "mcp_call",
        "mcp_list_tools",
        "reasoning",
        "web_search_call",
        "x_search_call",
    }
)
"""Types of items that a client may refer to by their id alone, because the server created them."""


def _check_unknown(name: str, known: Sequence[str], unknown: UnknownParameters) -> None:
    """Raise ``APIError`` if an unknown parameter must be refused. ``known``: the parameters of which it may be a misspelling."""
    if unknown == "pass":
        return
    meant = next((one for one in known if _is_misspelt(name, one)), None)
    if meant is not None:
        raise invalid(f"There is no parameter {name!r}. Did you mean {meant!r}?", name, "unknown_parameter")
    if unknown == "refuse":
        raise invalid(f"There is no parameter {name!r}.", name, "unknown_parameter")


_SIMILAR: Final = 0.8  # the least similarity of two words, by difflib: one wrong letter in five


def _is_misspelt(name: str, known: str) -> bool:
    """Return whether a name is a misspelling of a known name: other separators, or a wrong letter in some of its words.

    Names that differ by a whole word, such as ``top_k`` and ``top_p``, are different parameters.
    """
    if _NOT_LETTERS.sub("", name).lower() == known.replace("_", ""):
        return True
    words, known_words = name.lower().split("_"), known.split("_")
    return (
        len(name) < _MAX_NAME
        and len(words) == len(known_words)
        and all(SequenceMatcher(None, *pair).ratio() >= _SIMILAR for pair in zip(words, known_words, strict=True))
    )


_NOT_LETTERS: Final = re.compile("[^A-Za-z]")
_MAX_NAME: Final = 64  # characters; a longer name is not a misspelt one


def _missing(param: str) -> APIError:
    return invalid(f"The parameter {param!r} is missing.", param, "missing_required_parameter")


def check_create(request: CreateResponse) -> None:
    """Check the values of a request for a response, beyond their types. Raises ``APIError``."""
    if not request.model and not request.prompt:
        raise _missing("model")
    if request.previous_response_id and request.conversation:
        raise invalid(
            "A response can continue a previous response or a conversation, not both: leave out "
            "'previous_response_id' or 'conversation'.",
            "previous_response_id",
            "mutually_exclusive_parameters",
        )
    if request.background and request.store is False:
        raise invalid(
            "A background response must be stored to be retrieved later: leave out 'store' or 'background'.",
            "store",
            "unsupported_value",
        )
    _check_values(request)


def _values_of(alias: object) -> frozenset[object]:
    """Return the values that an open enumeration lists."""
    return frozenset(value for arm in get_args(alias) for value in get_args(arm))


_CHOICES: Final[Mapping[str, frozenset[object]]] = {
    "truncation": _values_of(Truncation),
    "service_tier": _values_of(ServiceTier),
    "reasoning.effort": _values_of(ReasoningEffort),
    "reasoning.summary": frozenset({"auto", "concise", "detailed"}),
    "text.verbosity": _values_of(Verbosity),
    "tool_choice": frozenset({"none", "auto", "required"}),
}
"""Parameter -> its valid strings (Open Responses, Schema). Responses repeat the parameter, so other strings are refused."""

_RANGES: Final[Mapping[str, tuple[float, float]]] = {
    "temperature": (0, 2),
    "top_p": (0, 1),
    "presence_penalty": (-2, 2),
    "frequency_penalty": (-2, 2),
    "top_logprobs": (0, 20),
    "max_output_tokens": (1, math.inf),
    "max_tool_calls": (1, math.inf),
}
"""Parameter -> its minimum and its maximum (Responses, Create)."""


def _check_values(request: CreateResponse) -> None:
    for param, known in _CHOICES.items():
        value: object = request
        for name in param.split("."):
            value = getattr(value, name, None)
        if isinstance(value, str) and value not in known:
            raise _invalid_value(param, value, f"one of {', '.join(sorted(map(str, known)))}")
    for param, (least, most) in _RANGES.items():
        number = getattr(request, param)
        if isinstance(number, int | float) and not least <= number <= most:
            bounds = f"at least {least:g}" if most == math.inf else f"from {least:g} to {most:g}"
            raise _invalid_value(param, number, bounds)
    shape = request.text.format if request.text else None
    if isinstance(shape, Unknown):
        raise _invalid_value("text.format.type", shape.type, "one of json_object, json_schema, text")
    for index, item in enumerate(() if isinstance(request.input, str) else request.input or ()):
        if isinstance(item, Message) and item.role not in _ROLES:
            raise _invalid_value(f"input[{index}].role", item.role, f"one of {', '.join(sorted(map(str, _ROLES)))}")


_ROLES: Final = _values_of(MessageRole)


def _invalid_value(param: str, value: object, expected: str) -> APIError:
    return invalid(f"{param!r} must be {expected}, got {str(value)[:80]!r}.", param, "invalid_value")


# ---- queries


def _int(name: str, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise invalid(f"{name!r} must be an integer, got {text[:80]!r}.", name, "invalid_type") from None


def _bool(name: str, text: str) -> bool:
    found = {"true": True, "1": True, "false": False, "0": False}.get(text.lower())
    if found is None:
        raise invalid(f"{name!r} must be true or false, got {text[:80]!r}.", name, "invalid_type")
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
"""Query parameter -> the function that reads its text. Other parameters are ignored, because proxies add some."""


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
    """Return the parameters of a list request from its query. Raises ``APIError``."""
    params = _read_params(query, ListParams)
    if params.limit is not UNSET and not 1 <= params.limit <= MAX_LIMIT:
        code = "integer_below_min_value" if params.limit < 1 else "integer_above_max_value"
        raise invalid(f"'limit' must be from 1 to {MAX_LIMIT}, got {params.limit}.", "limit", code)
    if params.order is not UNSET and params.order not in ("asc", "desc"):
        raise invalid(f"'order' must be 'asc' or 'desc', got {params.order[:80]!r}.", "order", "invalid_value")
    return params


def read_retrieve_params(query: Iterable[tuple[str, str]]) -> RetrieveParams:
    """Return the parameters of a request for a stored response from its query. Raises ``APIError``."""
    params = _read_params(query, RetrieveParams)
    if params.starting_after is not UNSET and not params.stream:
        raise invalid("'starting_after' is only valid for a stream: add 'stream=true'.", "starting_after", None)
    return params


# ---- sizes

_OBJECT_BYTES: Final = 64  # minimum memory of an object, without its texts


def weight_of(value: object, *, at_most: float = math.inf) -> int:
    """Return the approximate size of a model or other JSON value, in bytes. Unlike encoding, this copies nothing.

    Counting stops above ``at_most``.
    """
    weight = 0
    waiting = [value]
    while waiting and weight <= at_most:
        one = waiting.pop()
        if isinstance(one, str):
            weight += len(one)
        elif isinstance(one, Model):
            weight += _OBJECT_BYTES
            waiting += [field for a in one.__attrs_attrs__ if (field := getattr(one, a.name))]
        elif isinstance(one, Mapping):
            weight += _OBJECT_BYTES
            waiting += [*cast("Mapping[str, object]", one).items()]
        elif isinstance(one, list | tuple):
            weight += _OBJECT_BYTES
            waiting += cast("list[object]", one)
    return weight


# ---- pages


def id_of(item: Item) -> str:
    """Return the id of an item of any type; empty if it has none."""
    found = item.raw.get("id") if isinstance(item, UnknownItem) and isinstance(item.raw, dict) else None
    found = found or getattr(item, "id", None)
    return found if isinstance(found, str) else ""


@attrs.frozen
class PageQuery:
    """A page of a list of items, in the order of the request."""

    data: list[Item]
    has_more: bool
    """Whether there are items after this page."""

    @property
    def first_id(self) -> str | None:
        """The id of the first item; ``None`` for an empty page."""
        return id_of(self.data[0]) if self.data else None

    @property
    def last_id(self) -> str | None:
        """The id of the last item, after which the next page begins; ``None`` for an empty page."""
        return id_of(self.data[-1]) if self.data else None


def page_of(items: Sequence[Item], params: ListParams) -> PageQuery:
    """Return the requested page of a list. ``items`` are in ascending order.

    Raises ``APIError`` if ``after`` is not the id of an item in the list.
    """
    found = [*items] if params.order == "asc" else [*reversed(items)]
    if params.after:
        places = [index for index, item in enumerate(found) if id_of(item) == params.after]
        if not places:
            raise invalid(f"There is no item with id {params.after[:80]!r} in the list.", "after", "invalid_value")
        found = found[places[-1] + 1 :]
    end = params.limit or DEFAULT_LIMIT
    # Some outputs have the id of their call. Both must be on one page, because the next page begins after the last item with that id.
    while 0 < end < len(found) and id_of(found[end]) and id_of(found[end]) == id_of(found[end - 1]):
        end += 1
    return PageQuery(found[:end], has_more=len(found) > end)

"""Code that must type-check in both pyright and mypy. Checked by test_typing.py, never run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypedDict, TypeVar, Unpack, assert_never, assert_type

import attrs

from responses_proto.codec import Converter, dump, dumps, load, loads, make_converter
from responses_proto.models import (
    Content,
    CreateResponse,
    CreateResponseFields,
    Event,
    FunctionCall,
    FunctionCallOutput,
    FunctionTool,
    Item,
    Message,
    OutputText,
    OutputTextDelta,
    Reasoning,
    Response,
    ResponseCompleted,
    Tool,
    UnknownEvent,
    UnknownItem,
)
from responses_proto.schema import (
    Incomplete,
    Invalid,
    Parsed,
    ParseResult,
    Refused,
    Structured,
    parse_response,
    structure,
)
from responses_proto.typing import JSONObject, JSONValue, Unset

if TYPE_CHECKING:
    from responses_proto import EventStream, ResponsesClient
    from responses_proto.anomalies import Anomaly

T = TypeVar("T")


def create(**fields: Unpack[CreateResponseFields]) -> None:
    """Stand for every function with typed keyword fields."""


# --- items go both ways -----------------------------------------------------------------------------------------------


def output_of_a_response_is_input_of_the_next(response: Response, outputs: list[FunctionCallOutput]) -> None:
    follow_up = Message(role="user", content="And then?")
    CreateResponse(model="m", input=[*response.output, follow_up])
    CreateResponse(model="m", input=response.output)
    CreateResponse(model="m", input=[*response.output, *outputs])
    CreateResponse(model="m", input=outputs)
    create(model="m", input=[*response.output, follow_up])
    create(model="m", input=response.output)
    create(model="m", input=outputs)


def raw_objects_stand_in_keyword_fields(response: Response, raw: dict[str, Any], strict: JSONObject) -> None:
    create(model="m", input=[*response.output, {"role": "user", "content": "Hi"}, raw, strict])
    create(tools=[{"type": "acme:search"}, FunctionTool(name="f", parameters={"type": "object"}, strict=True)])
    create(
        reasoning={"effort": "low"}, tool_choice={"type": "function", "name": "f"}, text={"format": {"type": "text"}}
    )
    create(input="Hi", extra={"provider": {"only": ["x"]}}, metadata={"a": "b"}, conversation="conv_1")


def open_enumerations_take_strings(effort: str) -> None:
    Message(role=effort, content="Hi")
    create(service_tier="acme", truncation=effort)


# --- reading ----------------------------------------------------------------------------------------------------------


def loading_knows_the_type(data: JSONValue, text: bytes, converter: Converter) -> None:
    anomalies: list[Anomaly] = []
    assert_type(load(data, Message), Message)
    assert_type(load(data, Event), Event)
    assert_type(load(data, list[Item], anomalies=anomalies), list[Item])
    assert_type(load(data, dict[str, Tool]), dict[str, Tool])
    assert_type(loads(text, Response), Response)
    assert_type(loads("", Content), Content)
    assert_type(converter.load(data, Event), Event)
    assert_type(converter.loads(text, Item), Item)
    assert_type(converter.load(data, Response), Response)
    assert_type(make_converter(strict=True), Converter)
    assert_type(dumps(load(data, Item)), bytes)
    load(dump(load(data, Item)), Item)


def a_class_may_come_as_a_variable(data: JSONValue, cls: type[OutputText | FunctionCall]) -> None:
    assert_type(load(data, cls), OutputText | FunctionCall)


def truth_narrows_absence_away(response: Response) -> None:
    if response.usage:
        assert_type(response.usage.input_tokens, int)
    if not isinstance(response.usage, Unset) and response.usage is not None:
        assert_type(response.usage.output_tokens, int)
    text: str = response.instructions if isinstance(response.instructions, str) else ""
    create(instructions=text, previous_response_id=response.id)


def matching_narrows(event: Event) -> str:
    match event:
        case OutputTextDelta(delta=delta):
            return delta
        case ResponseCompleted(response=response):
            return response.output_text
        case UnknownEvent(type=tag):
            return tag
        case _:
            return event.type


def matching_items_ends(item: FunctionCall | Reasoning | UnknownItem) -> str:
    match item:
        case FunctionCall():
            return item.call_id
        case Reasoning():
            return item.id or ""
        case UnknownItem():
            return item.type
        case _:
            assert_never(item)


# --- structured output ------------------------------------------------------------------------------------------------


@attrs.frozen
class Fair:
    """Something to be parsed."""

    name: str


@attrs.frozen
class Party:
    """Something else."""

    guests: int


class Film(TypedDict):
    """As a typed dictionary."""

    title: str


async def parsing_knows_the_type(client: ResponsesClient, stream: EventStream, response: Response) -> None:
    assert_type(await client.parse(Fair, model="m", input="x"), ParseResult[Fair])
    assert_type(await client.parse(Film, CreateResponse(model="m"), temperature=0.0), ParseResult[Film])
    assert_type(await client.parse(list[Fair], {"model": "m"}), ParseResult[list[Fair]])
    assert_type(await client.parse(Fair | Party, model="m"), ParseResult[Fair | Party])
    assert_type(await stream.parse(Literal["yes", "no"]), ParseResult[Literal["yes", "no"]])
    assert_type(parse_response(response, Fair | None), ParseResult[Fair | None])
    assert_type(structure("{}", Film), Film)
    assert_type(Structured(Fair).structure("{}"), Fair)
    assert_type(Structured(Fair | Party).parse_text("{}"), Parsed[Fair | Party] | Invalid)


def a_class_to_parse_may_come_as_a_variable(response: Response, cls: type[T]) -> ParseResult[T]:
    return parse_response(response, cls)


def matching_results_ends(result: ParseResult[Fair]) -> str:
    match result:
        case Parsed(value):
            assert_type(value, Fair)
            return value.name
        case Refused(text):
            return text
        case Incomplete(reason, partial):
            return f"{reason} {partial}"
        case Invalid(path, message):
            return f"{path} {message}"
        case _:
            assert_never(result)


# --- changing ---------------------------------------------------------------------------------------------------------


def evolving_keeps_the_type(request: CreateResponse, call: FunctionCall) -> None:
    assert_type(attrs.evolve(request, model="n", input=[call]), CreateResponse)
    assert_type(attrs.evolve(call, extra={"x": 1}), FunctionCall)

"""What must not type-check, in pyright and mypy alike: each line is an error that both are told to expect.

An ignore that is not needed is an error itself, so a line that became acceptable is found. Never run.
"""
# pyright: reportUnnecessaryTypeIgnoreComment=error

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack, assert_never

from responses_proto.codec import load
from responses_proto.models import (
    ComputerCall,
    CreateResponse,
    CreateResponseFields,
    FunctionCall,
    FunctionCallOutput,
    Message,
    OutputTextDelta,
    Reasoning,
    Response,
    ShellCall,
    UnknownItem,
)
from responses_proto.schema import Incomplete, Invalid, Parsed, ParseResult, Refused, structure
from responses_proto.tools import ToolContext, function_tool, handler

if TYPE_CHECKING:
    from responses_proto import ResponsesClient
    from responses_proto.tools import ToolLoop
    from responses_proto.typing import JSONValue


def create(**fields: Unpack[CreateResponseFields]) -> None:
    """Stand for every function with typed keyword fields."""


def a_model_is_frozen(call: FunctionCall, event: OutputTextDelta) -> None:
    call.name = "g"  # type: ignore[misc] # frozen
    event.type = "x"  # type: ignore[assignment,misc] # a constant
    call.extra["x"] = 1  # type: ignore[index] # read-only


def required_fields_are_required() -> None:
    FunctionCall(call_id="c", name="f")  # type: ignore[call-arg] # no arguments
    FunctionCallOutput("c", output="")  # type: ignore[call-arg,arg-type] # keywords only
    Message(role="user", content="", contents="")  # type: ignore[call-arg] # no such field


def fields_have_types() -> None:
    FunctionCall(call_id=None, name="f", arguments="")  # type: ignore[arg-type] # not null
    CreateResponse(model=7)  # type: ignore[arg-type] # not a number
    create(model=7)  # type: ignore[arg-type] # not a number
    create(modle="m")  # type: ignore[call-arg] # no such field
    create(input=7)  # type: ignore[arg-type] # not an input


def absence_has_to_be_looked_at(response: Response) -> int:
    return response.usage.input_tokens  # type: ignore[union-attr] # may be absent or null


def a_match_that_forgets_a_class_does_not_end(item: FunctionCall | Reasoning | UnknownItem) -> str:
    match item:
        case FunctionCall() | UnknownItem():
            return ""
        case _:
            assert_never(item)  # type: ignore[arg-type] # Reasoning is left


def what_is_loaded_is_not_anything(data: JSONValue) -> None:
    call: FunctionCall = load(data, Message)  # type: ignore[assignment] # another class
    load(object(), Message)  # type: ignore[call-overload] # not JSON
    load(data, call)  # type: ignore[call-overload] # not a type


def a_result_has_to_be_looked_at(result: ParseResult[int]) -> int:
    return result.value  # type: ignore[union-attr] # may be refused, incomplete or invalid


def a_match_that_forgets_a_result_does_not_end(result: ParseResult[int]) -> int:
    match result:
        case Parsed(value):
            return value
        case Refused() | Incomplete():
            return 0
        case _:
            assert_never(result)  # type: ignore[arg-type] # Invalid is left


def what_is_structured_is_of_the_type() -> None:
    number: int = structure("1", str)  # type: ignore[assignment] # another type
    Invalid(number)  # type: ignore[call-arg,arg-type] # no message


@function_tool
def double(n: int) -> int:
    """Double a number."""
    return 2 * n


def move(call: ComputerCall) -> str:
    """Move the mouse."""
    return call.call_id


def a_tool_takes_what_its_function_takes() -> None:
    double("2")  # type: ignore[arg-type] # a number
    double(n=2, m=3)  # type: ignore[call-arg] # one
    text: str = double(2)  # type: ignore[assignment] # gives a number
    function_tool(text)  # type: ignore[call-overload] # no function
    function_tool(double, strikt=True)  # type: ignore[call-overload] # no such option
    handler(ShellCall, move)  # type: ignore[arg-type] # of another kind of call


def a_run_takes_what_it_takes(client: ResponsesClient, loop: ToolLoop) -> None:
    client.run(model="m", tools=[3])  # type: ignore[list-item] # no tool
    client.run(model="m", start="now")  # type: ignore[arg-type] # no such time
    client.run(model="m", on_error="ignore")  # type: ignore[arg-type] # nothing is ignored
    client.run(model="m", approve=move)  # type: ignore[arg-type] # approves nothing
    client.run(model="m", stream=True)  # type: ignore[call-arg] # it always does
    loop.answer("call_1", "x")  # type: ignore[arg-type] # the call itself


def dependencies_have_their_type(context: ToolContext[int]) -> str:
    return context.deps  # type: ignore[return-value] # a number


def progress_is_named(context: ToolContext) -> None:
    context.progress("half", 1, 2)  # type: ignore[call-arg] # by name only

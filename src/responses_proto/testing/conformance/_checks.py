"""Check the rules of a server, one function for each rule. :data:`CHECKS` lists them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

import anyio

from ...codec import default_converter
from ...exceptions import DecodeError
from ...models.conversations import Conversation, ConversationItemList, DeletedConversation
from ...models.items import FunctionCallOutput, Message
from ...models.response import (
    RUNNING_STATUSES,
    CompactedResponse,
    DeletedResponse,
    InputTokenCount,
    Response,
    ResponseItemList,
)
from ...models.tools import FunctionTool
from ...protocol.emitter import random_id
from ._probe import NOT_OFFERED, CheckFailed, Skipped

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from ...models.items import FunctionCall
    from ._probe import JSONDict, Probe

__all__ = ["CHECKS"]

_POLL_INTERVAL: Final = 0.05  # seconds between two polls of a background response; doubles …
_MAX_POLL_INTERVAL: Final = 1.0  # … up to this
_WEATHER: Final = FunctionTool(
    name="get_weather",
    description="Returns the weather of a city.",
    parameters={
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
    strict=True,
)
_PROMPT: Final = Message(role="user", content="What is the weather in Paris?")
_CALL_FIELDS: Final[JSONDict] = {"input": [_PROMPT], "tools": [_WEATHER], "tool_choice": "required"}
_TEXTS: Final = ["one", "two", "three"]
_HISTORY: Final[list[JSONDict]] = [
    {"type": "message", "role": "user", "content": "My name is Ada."},
    {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Hello, Ada."}]},
]


# ---- responses


async def _create(probe: Probe) -> None:
    response = await probe.create_completed()
    for name in ("id", "output_text"):
        if not getattr(response, name):
            raise CheckFailed(f"the response has no {name}")


async def _create_fields(probe: Probe) -> None:
    (await probe.create()).assert_fits(Response)


async def _create_stream(probe: Probe) -> None:
    if not (await probe.create(stream=True)).assert_stream().output_text:
        raise CheckFailed("the response has no output_text")


def _weather_call(response: Response) -> FunctionCall:
    """Return the call of the offered function. Fails if there is none or its arguments do not fit."""
    call = next(iter(response.function_calls), None)
    if call is None:
        raise CheckFailed("expected a function call, got none")
    if call.name != _WEATHER.name:
        raise CheckFailed(f"expected a call of {_WEATHER.name!r}, got {call.name!r}, which was not offered")
    try:
        arguments = default_converter().json.loads(call.arguments)
    except DecodeError:
        arguments = None
    if not isinstance(arguments, dict) or not isinstance(cast("JSONDict", arguments).get("city"), str):
        raise CheckFailed(f"the arguments do not fit the schema of the function: {call.arguments!r}")
    return call


async def _function_call(probe: Probe) -> None:
    _weather_call(await probe.create_completed(**_CALL_FIELDS))


async def _function_call_stream(probe: Probe) -> None:
    _weather_call((await probe.create(**_CALL_FIELDS, stream=True)).assert_stream())


async def _function_output(probe: Probe) -> None:
    response = await probe.create_completed(**_CALL_FIELDS)
    output = FunctionCallOutput(call_id=_weather_call(response).call_id, output="Sunny, 20 °C.")
    await probe.create_completed(input=[_PROMPT, *response.output, output], tools=[_WEATHER])


async def _orphan_refused(probe: Probe) -> None:
    orphan = FunctionCallOutput(call_id=random_id("call"), output="Sunny, 20 °C.")
    (await probe.create(input=[_PROMPT, orphan], tools=[_WEATHER])).assert_refused()


# ---- bad requests


async def _json_refused(probe: Probe) -> None:
    (await probe.request("POST", "responses", content=b'{"model": ')).assert_refused()


async def _type_refused(probe: Probe) -> None:
    (await probe.create(input=5)).assert_refused()


async def _model_required(probe: Probe) -> None:
    (await probe.request("POST", "responses", content={"input": "Say hello."})).assert_refused()


async def _error_body(probe: Probe) -> None:
    reply = await probe.create(input=5)
    value = reply.json()
    error: Any = cast("JSONDict", value).get("error") if isinstance(value, dict) else None
    if not isinstance(error, dict):
        reply.fail("expected an object `error`")
    for name, kinds in (("message", str), ("type", str), ("param", str | None), ("code", str | None)):
        if name not in error or not isinstance(error[name], kinds):
            reply.fail(f"`error.{name}` is missing or has the wrong type")


# ---- stored responses


async def _id_unknown(probe: Probe) -> None:
    reply = await probe.request("GET", "responses", random_id("resp"))
    if reply.status in NOT_OFFERED - {404}:
        reply.skip_unless_offered()
    reply.assert_not_found()


async def _retrieve(probe: Probe) -> None:
    stored = await probe.stored_response()
    retrieved = (await probe.request("GET", "responses", stored.id)).parse(Response)
    for name in ("id", "status", "output"):
        if getattr(retrieved, name) != getattr(stored, name):
            raise CheckFailed(f"`{name}`: expected {getattr(stored, name)!r}, got {getattr(retrieved, name)!r}")


async def _delete(probe: Probe) -> None:
    await probe.stored_response()
    response = await probe.create_completed(store=True)
    reply = (await probe.request("DELETE", "responses", response.id)).skip_unless_offered()
    if not reply.parse(DeletedResponse).deleted:
        reply.fail("expected `deleted` to be true")
    (await probe.request("GET", "responses", response.id)).assert_not_found()


async def _input_items(probe: Probe) -> None:
    await probe.stored_response()
    response = await probe.create_completed(input=[Message(role="user", content=text) for text in _TEXTS], store=True)
    path = ("responses", response.id, "input_items")
    reply = (await probe.request("GET", *path, params={"limit": 2, "order": "asc"})).skip_unless_offered()
    first = reply.parse(ResponseItemList)
    if len(first.data) != 2 or not first.has_more:  # noqa: PLR2004 - the limit of the request
        reply.fail(f"expected 2 of 3 items and has_more, got {len(first.data)} items and has_more = {first.has_more}")
    ids = [getattr(item, "id", None) for item in first.data]
    if [first.first_id, first.last_id] != ids:
        reply.fail(f"`first_id` and `last_id` must be the ids of the first and last item, which are {ids}")
    reply = await probe.request("GET", *path, params={"after": first.last_id or "", "order": "asc"})
    rest = reply.parse(ResponseItemList)
    if len(rest.data) != 1 or rest.has_more:
        reply.fail(f"expected the last of 3 items, got {len(rest.data)} items and has_more = {rest.has_more}")
    texts = [item.text if isinstance(item, Message) else item.type for item in [*first.data, *rest.data]]
    if texts != _TEXTS:
        reply.fail(f"expected the items of the request in its order, got {texts}")


async def _previous_response(probe: Probe) -> None:
    stored = await probe.stored_response()
    response = await probe.create_completed(previous_response_id=stored.id)
    if response.previous_response_id != stored.id:
        raise CheckFailed(f"`previous_response_id`: expected {stored.id!r}, got {response.previous_response_id!r}")


async def _previous_unknown(probe: Probe) -> None:
    (await probe.create(previous_response_id=random_id("resp"))).assert_refused(404)


# ---- background responses


async def _start_in_background(probe: Probe) -> str:
    """Create a background response and return its id. Skips the check if the server has no background mode."""
    response = (await probe.create(background=True, store=True)).skip_unless_offered(400).parse(Response)
    if not response.background:
        raise Skipped("not offered: the server answers in the foreground")
    return response.id


async def _final_status(probe: Probe, response_id: str) -> object:
    """Poll a response until it has ended, and return its status."""
    interval = _POLL_INTERVAL
    while True:
        status = (await probe.request("GET", "responses", response_id)).parse(Response).status
        if status not in RUNNING_STATUSES:
            return status
        await anyio.sleep(interval)
        interval = min(2 * interval, _MAX_POLL_INTERVAL)


async def _background(probe: Probe) -> None:
    status = await _final_status(probe, await _start_in_background(probe))
    if status != "completed":
        raise CheckFailed(f"expected a completed response, got {status!r}")


async def _cancel(probe: Probe) -> None:
    response_id = await _start_in_background(probe)
    reply = (await probe.request("POST", "responses", response_id, "cancel")).skip_unless_offered()
    # A fast server may have completed the response already. It may then refuse the request or return the response.
    reported = "completed" if reply.status in (400, 409) else reply.parse(Response).status
    status = await _final_status(probe, response_id)
    if status != reported or status not in ("cancelled", "completed"):
        raise CheckFailed(f"cancelling returned a response that is {reported!r}, but its final status is {status!r}")


# ---- conversations


async def _conversations(probe: Probe) -> None:
    content: JSONDict = {"items": [Message(role="user", content="My name is Ada.")], "metadata": {"topic": "names"}}
    reply = (await probe.request("POST", "conversations", content=content)).skip_unless_offered()
    conversation_id = reply.parse(Conversation).id
    path = ("conversations", conversation_id)
    update: JSONDict = {"metadata": {"topic": "people"}}
    for expected, reply in (
        (content, await probe.request("GET", *path)),
        (update, await probe.request("POST", *path, content=update)),
    ):
        if reply.parse(Conversation).metadata != expected["metadata"]:
            reply.fail(f"`metadata`: expected {expected['metadata']}")
    await probe.create_completed(input="What is my name?", conversation=conversation_id)
    reply = await probe.request("GET", *path, "items", params={"order": "asc"})
    roles = [item.role for item in reply.parse(ConversationItemList).data if isinstance(item, Message)]
    if roles != ["user", "user", "assistant"]:
        reply.fail(f"expected messages of user, user and assistant in the conversation, got {roles}")
    reply = await probe.request("DELETE", *path)
    if not reply.parse(DeletedConversation).deleted:
        reply.fail("expected `deleted` to be true")
    (await probe.request("GET", *path)).assert_not_found()


# ---- counting and compacting


async def _compact(probe: Probe) -> None:
    content: JSONDict = {"model": probe.model, "input": _HISTORY}
    reply = (await probe.request("POST", "responses", "compact", content=content)).skip_unless_offered()
    reply.assert_fits(CompactedResponse)
    if not any(item.type == "compaction" for item in reply.parse(CompactedResponse).output):
        reply.fail("expected an item of the type `compaction`")


async def _compact_model_required(probe: Probe) -> None:
    (
        await probe.request("POST", "responses", "compact", content={"input": _HISTORY})
    ).skip_unless_offered().assert_refused()


async def _input_tokens(probe: Probe) -> None:
    content: JSONDict = {"model": probe.model, "input": "How many tokens is this?"}
    reply = (await probe.request("POST", "responses", "input_tokens", content=content)).skip_unless_offered()
    reply.assert_fits(InputTokenCount)
    if reply.parse(InputTokenCount).input_tokens < 1:
        reply.fail("expected at least 1 token")


CHECKS: Final[Mapping[str, Callable[[Probe], Awaitable[None]]]] = {
    "create": _create,
    "create-fields": _create_fields,
    "create-stream": _create_stream,
    "function-call": _function_call,
    "function-call-stream": _function_call_stream,
    "function-output": _function_output,
    "orphan-refused": _orphan_refused,
    "json-refused": _json_refused,
    "type-refused": _type_refused,
    "model-required": _model_required,
    "error-body": _error_body,
    "id-unknown": _id_unknown,
    "retrieve": _retrieve,
    "delete": _delete,
    "input-items": _input_items,
    "previous-response": _previous_response,
    "previous-unknown": _previous_unknown,
    "background": _background,
    "cancel": _cancel,
    "conversations": _conversations,
    "compact": _compact,
    "compact-model-required": _compact_model_required,
    "input-tokens": _input_tokens,
}
"""Rule id -> its check, which returns if the server keeps the rule, and raises ``CheckFailed`` or ``Skipped`` otherwise."""

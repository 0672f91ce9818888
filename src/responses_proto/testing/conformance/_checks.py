"""The checks of a server: for each rule, the requests that show whether it is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

import anyio

from ...codec import default_converter
from ...exceptions import DecodeError
from ...models.conversations import Conversation, ConversationItemList, DeletedConversation
from ...models.items import FunctionCallOutput, Message
from ...models.response import CompactedResponse, DeletedResponse, InputTokenCount, Response, ResponseItemList
from ...models.tools import FunctionTool
from ...protocol.emitter import random_id
from ._probe import NOT_OFFERED, CheckFailed, Skipped

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from ...models.items import FunctionCall
    from ._probe import JSONDict, Probe

__all__ = ["CHECKS"]

_FIRST_POLL: Final = 0.05  # seconds between two looks at a response in the background; they double …
_LONGEST_POLL: Final = 1.0  # … up to this
_RUNNING: Final = frozenset({"queued", "in_progress"})
_WEATHER: Final = FunctionTool(
    name="get_weather",
    description="Gives the weather of a city.",
    parameters={
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
    strict=True,
)
_QUESTION: Final = Message(role="user", content="What is the weather in Paris?")
_CALLING: Final[JSONDict] = {"input": [_QUESTION], "tools": [_WEATHER], "tool_choice": "required"}
_SAID: Final = ["one", "two", "three"]
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


def _called(response: Response) -> FunctionCall:
    """Give the call that was asked for."""
    call = next(iter(response.function_calls), None)
    if call is None:
        raise CheckFailed("no function is called")
    if call.name != _WEATHER.name:
        raise CheckFailed(f"the function {call.name!r} is called, which was not offered")
    try:
        arguments = default_converter().json.loads(call.arguments)
    except DecodeError:
        arguments = None
    if not isinstance(arguments, dict) or not isinstance(cast("JSONDict", arguments).get("city"), str):
        raise CheckFailed(f"the arguments do not fit the function's schema: {call.arguments!r}")
    return call


async def _function_call(probe: Probe) -> None:
    _called(await probe.create_completed(**_CALLING))


async def _function_call_stream(probe: Probe) -> None:
    _called((await probe.create(**_CALLING, stream=True)).assert_stream())


async def _function_output(probe: Probe) -> None:
    response = await probe.create_completed(**_CALLING)
    output = FunctionCallOutput(call_id=_called(response).call_id, output="Sunny, 20 °C.")
    await probe.create_completed(input=[_QUESTION, *response.output, output], tools=[_WEATHER])


async def _orphan_refused(probe: Probe) -> None:
    orphan = FunctionCallOutput(call_id=random_id("call"), output="Sunny, 20 °C.")
    (await probe.create(input=[_QUESTION, orphan], tools=[_WEATHER])).assert_refused()


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
        reply.fail("there is no object `error`")
    for name, kinds in (("message", str), ("type", str), ("param", str | None), ("code", str | None)):
        if name not in error or not isinstance(error[name], kinds):
            reply.fail(f"`error.{name}` is missing or no string")


# ---- what is kept


async def _id_unknown(probe: Probe) -> None:
    reply = await probe.request("GET", "responses", random_id("resp"))
    if reply.status in NOT_OFFERED - {404}:
        reply.skip_unless_offered()
    reply.assert_not_found()


async def _retrieve(probe: Probe) -> None:
    stored = await probe.stored_response()
    again = (await probe.request("GET", "responses", stored.id)).parse(Response)
    for name in ("id", "status", "output"):
        if getattr(again, name) != getattr(stored, name):
            raise CheckFailed(f"`{name}` is {getattr(again, name)!r}, and was {getattr(stored, name)!r}")


async def _delete(probe: Probe) -> None:
    await probe.stored_response()
    response = await probe.create_completed(store=True)
    gone = (await probe.request("DELETE", "responses", response.id)).skip_unless_offered()
    if not gone.parse(DeletedResponse).deleted:
        gone.fail("`deleted` is not true")
    (await probe.request("GET", "responses", response.id)).assert_not_found()


async def _input_items(probe: Probe) -> None:
    await probe.stored_response()
    response = await probe.create_completed(input=[Message(role="user", content=text) for text in _SAID], store=True)
    path = ("responses", response.id, "input_items")
    reply = (await probe.request("GET", *path, params={"limit": 2, "order": "asc"})).skip_unless_offered()
    first = reply.parse(ResponseItemList)
    if len(first.data) != 2 or not first.has_more:  # noqa: PLR2004 - as many as were asked for
        reply.fail(f"the first two of three are {len(first.data)} items, has_more is {first.has_more}")
    ids = [getattr(item, "id", None) for item in first.data]
    if [first.first_id, first.last_id] != ids:
        reply.fail(f"`first_id` and `last_id` are not the ids of the items: {ids}")
    reply = await probe.request("GET", *path, params={"after": first.last_id or "", "order": "asc"})
    rest = reply.parse(ResponseItemList)
    if len(rest.data) != 1 or rest.has_more:
        reply.fail(f"after two of three there are {len(rest.data)} items, has_more is {rest.has_more}")
    said = [item.text if isinstance(item, Message) else item.type for item in [*first.data, *rest.data]]
    if said != _SAID:
        reply.fail(f"the items are not those of the request, in its order: {said}")


async def _previous_response(probe: Probe) -> None:
    stored = await probe.stored_response()
    response = await probe.create_completed(previous_response_id=stored.id)
    if response.previous_response_id != stored.id:
        raise CheckFailed(f"`previous_response_id` is {response.previous_response_id!r}, not {stored.id!r}")


async def _previous_unknown(probe: Probe) -> None:
    (await probe.create(previous_response_id=random_id("resp"))).assert_refused(404)


# ---- in the background


async def _begun(probe: Probe) -> str:
    """Begin a response in the background; give its id."""
    response = (await probe.create(background=True, store=True)).skip_unless_offered(400).parse(Response)
    if not response.background:
        raise Skipped("not offered: the request is answered in the foreground")
    return response.id


async def _end_of(probe: Probe, response_id: str) -> object:
    """Wait until a response runs no more; give its status."""
    pause = _FIRST_POLL
    while True:
        status = (await probe.request("GET", "responses", response_id)).parse(Response).status
        if status not in _RUNNING:
            return status
        await anyio.sleep(pause)
        pause = min(2 * pause, _LONGEST_POLL)


async def _background(probe: Probe) -> None:
    status = await _end_of(probe, await _begun(probe))
    if status != "completed":
        raise CheckFailed(f"the response is {status!r} in the end, not completed")


async def _cancel(probe: Probe) -> None:
    response_id = await _begun(probe)
    reply = (await probe.request("POST", "responses", response_id, "cancel")).skip_unless_offered()
    # A fast server may have been done before. Then it can say either, but the response has to stay as it is.
    said = "completed" if reply.status in (400, 409) else reply.parse(Response).status
    status = await _end_of(probe, response_id)
    if status != said or status not in ("cancelled", "completed"):
        raise CheckFailed(f"the response is {said!r} when it is cancelled, and {status!r} in the end")


# ---- conversations


async def _conversations(probe: Probe) -> None:
    content: JSONDict = {"items": [Message(role="user", content="My name is Ada.")], "metadata": {"topic": "names"}}
    made = (await probe.request("POST", "conversations", content=content)).skip_unless_offered().parse(Conversation)
    path = ("conversations", made.id)
    changed: JSONDict = {"metadata": {"topic": "people"}}
    for wanted, reply in (
        (content, await probe.request("GET", *path)),
        (changed, await probe.request("POST", *path, content=changed)),
    ):
        if reply.parse(Conversation).metadata != wanted["metadata"]:
            reply.fail(f"`metadata` is not {wanted['metadata']}")
    await probe.create_completed(input="What is my name?", conversation=made.id)
    reply = await probe.request("GET", *path, "items", params={"order": "asc"})
    roles = [item.role for item in reply.parse(ConversationItemList).data if isinstance(item, Message)]
    if roles != ["user", "user", "assistant"]:
        reply.fail(f"the messages in it are by {roles}, not two by the user and the answer")
    gone = await probe.request("DELETE", *path)
    if not gone.parse(DeletedConversation).deleted:
        gone.fail("`deleted` is not true")
    (await probe.request("GET", *path)).assert_not_found()


# ---- counting and compacting


async def _compact(probe: Probe) -> None:
    content: JSONDict = {"model": probe.model, "input": _HISTORY}
    reply = (await probe.request("POST", "responses", "compact", content=content)).skip_unless_offered()
    reply.assert_fits(CompactedResponse)
    if not any(item.type == "compaction" for item in reply.parse(CompactedResponse).output):
        reply.fail("there is no item of the type `compaction`")


async def _compact_model_required(probe: Probe) -> None:
    (
        await probe.request("POST", "responses", "compact", content={"input": _HISTORY})
    ).skip_unless_offered().assert_refused()


async def _input_tokens(probe: Probe) -> None:
    content: JSONDict = {"model": probe.model, "input": "How many tokens are this?"}
    reply = (await probe.request("POST", "responses", "input_tokens", content=content)).skip_unless_offered()
    reply.assert_fits(InputTokenCount)
    if reply.parse(InputTokenCount).input_tokens < 1:
        reply.fail("there are none")


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
"""Rule -> the check of it. A check that returns has been passed; else it raises what :mod:`._probe` has for that."""

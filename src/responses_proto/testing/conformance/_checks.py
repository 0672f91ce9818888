"""Check the rules of a server over HTTP, with one function for each rule. :data:`CHECKS` also lists the checks over a WebSocket."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, cast

import anyio
import attrs

from ...codec import default_converter
from ...exceptions import DecodeError, LimitExceeded
from ...models.conversations import Conversation, ConversationItemList, DeletedConversation
from ...models.items import FunctionCallOutput, Message, Reasoning
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
from ...protocol.sse import SSEDecoder
from ...typing import UNSET
from ._probe import NOT_OFFERED, CheckFailed, Skipped
from ._websocket_checks import WEBSOCKET_CHECKS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from ...models.items import FunctionCall
    from ._probe import JSONDict, Probe

_POLL_INTERVAL: Final = 0.01  # seconds between two polls of a background response; doubles …
_MAX_POLL_INTERVAL: Final = 1.0  # … up to this
_WEATHER: Final = FunctionTool(
    name="get_weather",
    description="Returns the weather of a city.",
    parameters={
        "type": "object",
        "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
        "required": ["city", "days"],
        "additionalProperties": False,
    },
    strict=True,
)
_PROMPT: Final = Message(role="user", content="What is the weather in Paris for the next 3 days?")
_TIME: Final = attrs.evolve(_WEATHER, name="get_time", description="Returns the local time of a city.")
_CALL_FIELDS: Final[JSONDict] = {"input": [_PROMPT], "tools": [_WEATHER]}
_TWO_CALLS: Final[JSONDict] = {
    "input": "What is the weather in Paris for the next 3 days, and what is the time in Paris? Use get_weather and get_time.",
    "tools": [_WEATHER, _TIME],
}
_SCHEMA: Final[JSONDict] = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "inhabitants": {"type": "integer"}},
    "required": ["city", "inhabitants"],
    "additionalProperties": False,
}
_PIXEL: Final = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
_FEW_TOKENS: Final = 16  # the least that OpenAI accepts
_TEXTS: Final = ["one", "two", "three"]
_HISTORY: Final[list[JSONDict]] = [
    {"type": "message", "role": "user", "content": "My name is Ada."},
    {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Hello, Ada."}]},
]


# ---- responses


async def _create(probe: Probe) -> None:
    response = probe.completed(await probe.basic())
    for name in ("id", "output_text"):
        if not getattr(response, name):
            raise CheckFailed(f"the response has no {name}")


async def _create_fields(probe: Probe) -> None:
    reply = await probe.basic()
    if reply.json_object().get("object") != "response":
        reply.fail("expected `object` to be 'response'")
    if not probe.recordings:  # otherwise another check has compared the events of a stream already
        (await probe.create(stream=True)).assert_stream()


async def _create_stream(probe: Probe) -> None:
    if not (await probe.create(stream=True)).assert_stream().output_text:
        raise CheckFailed("the response has no output_text")


async def _usage(probe: Probe) -> None:
    whole = probe.completed(await probe.basic())
    streamed = (await probe.create(stream=True)).streamed_response()
    usages = [response.usage for response in (whole, streamed) if response.usage]
    if not usages:
        raise Skipped("not reported")
    for usage in usages:
        given, generated = usage.input_tokens, usage.output_tokens
        if usage.total_tokens != given + generated:
            raise CheckFailed(f"{given} and {generated} tokens do not add up to {usage.total_tokens}")
        if given < 1 or generated < 1:
            raise CheckFailed(f"a text needs tokens, got {given} for the input and {generated} for the output")
        cached, reasoned = usage.input_tokens_details, usage.output_tokens_details
        for part, tokens, among in (
            ("cached", cached.cached_tokens if cached else UNSET, given),
            ("reasoning", reasoned.reasoning_tokens if reasoned else UNSET, generated),
        ):
            if tokens is not UNSET and tokens > among:
                raise CheckFailed(f"{tokens} {part} tokens exceed the total of {among}")


async def _system_prompt(probe: Probe) -> None:
    roles = [Message(role=role, content="You are a pirate.") for role in ("system", "developer")]
    await probe.create_completed(input=[*roles, Message(role="user", content="Say hello.")])


async def _multi_turn(probe: Probe) -> None:
    await probe.create_completed(input=[*_HISTORY, Message(role="user", content="What is my name?")])


async def _phase(probe: Probe) -> None:
    spoken: list[JSONDict] = [{**_HISTORY[1], "phase": phase} for phase in ("commentary", "final_answer")]
    await probe.create_completed(input=[_HISTORY[0], *spoken, Message(role="user", content="What is my name?")])


async def _image_input(probe: Probe) -> None:
    image = {"type": "input_image", "image_url": _PIXEL, "detail": "auto"}
    text = {"type": "input_text", "text": "What is in the image? Answer in one sentence."}
    await probe.create_completed(input=[{"type": "message", "role": "user", "content": [text, image]}])


def _object_in(text: str | bytes) -> JSONDict | None:
    """Return the JSON object in a text; ``None`` if the text is not one."""
    try:
        value: Any = default_converter().json.loads(text)
    except (DecodeError, LimitExceeded):
        return None
    return cast("JSONDict", value) if isinstance(value, dict) else None


async def _structured_output(probe: Probe) -> None:
    form = {"type": "json_schema", "name": "city", "schema": _SCHEMA, "strict": True}
    reply = await probe.create(input="Describe Paris.", text={"format": form})
    text = probe.completed(reply.skip_unless_offered(400)).output_text
    members = _object_in(text) or {}
    if (
        set(members) != set(_SCHEMA["required"])
        or not isinstance(members["city"], str)
        or not isinstance(members["inhabitants"], int)
    ):
        raise CheckFailed(f"the text does not fit the schema: {text[:100]!r}")


async def _json_object(probe: Probe) -> None:
    reply = await probe.create(input="Describe Paris as a JSON object.", text={"format": {"type": "json_object"}})
    text = probe.completed(reply.skip_unless_offered(400)).output_text
    if _object_in(text) is None:
        raise CheckFailed(f"the text is not a JSON object: {text[:100]!r}")


async def _effort_none(probe: Probe) -> None:
    reply = await probe.create(reasoning={"effort": "none"})
    response = probe.completed(reply.skip_unless_offered(400))
    if any(isinstance(item, Reasoning) for item in response.output):
        raise CheckFailed("the response has a reasoning item")
    details = response.usage.output_tokens_details if response.usage else None
    if details and details.reasoning_tokens:
        raise CheckFailed(f"{details.reasoning_tokens} tokens were spent on reasoning")


async def _token_limit(probe: Probe) -> None:
    reply = await probe.create(input="Tell me a story of 300 words.", max_output_tokens=_FEW_TOKENS)
    response = reply.skip_unless_offered(400).parse(Response)
    reason = response.incomplete_details.reason if response.incomplete_details else None
    if response.status not in ("incomplete", UNSET) or reason != "max_output_tokens":
        reply.fail(
            f"expected an incomplete response because of max_output_tokens, got {response.status!r} because of {reason!r}"
        )
    if response.usage and response.usage.output_tokens > _FEW_TOKENS:
        raise CheckFailed(f"{response.usage.output_tokens} tokens are more than {_FEW_TOKENS}")


def _weather_call(response: Response) -> FunctionCall:
    """Return the call of the offered function. Fails if there is no call, or if its arguments do not fit the schema."""
    call = next(iter(response.function_calls), None)
    if call is None:
        raise CheckFailed("expected a function call, got none")
    if call.name != _WEATHER.name:
        raise CheckFailed(f"expected a call of {_WEATHER.name!r}, got {call.name!r}, which was not offered")
    members = _object_in(call.arguments) or {}
    if not isinstance(members.get("city"), str) or type(members.get("days")) is not int:
        raise CheckFailed(f"the arguments do not fit the schema of the function: {call.arguments!r}")
    return call


async def _function_call(probe: Probe) -> None:
    _weather_call(await probe.call_response(**_CALL_FIELDS))


async def _function_call_stream(probe: Probe) -> None:
    await probe.call_response(**_CALL_FIELDS)
    _weather_call((await probe.create(**_CALL_FIELDS, **probe.call_choice, stream=True)).assert_stream())


async def _reasoning_stream(probe: Probe) -> None:
    await probe.call_response(**_CALL_FIELDS)
    reply = await probe.create(**_CALL_FIELDS, **probe.call_choice, reasoning={"effort": "medium"}, stream=True)
    output = reply.skip_unless_offered(400).assert_stream().output
    if not any(isinstance(item, Reasoning) for item in output):
        raise Skipped("not offered: there is no reasoning in the output")


async def _function_output(probe: Probe) -> None:
    response = await probe.call_response(**_CALL_FIELDS)
    output = FunctionCallOutput(call_id=_weather_call(response).call_id, output="Sunny, 20 °C.")
    await probe.create_completed(input=[_PROMPT, *response.output, output], tools=[_WEATHER])


async def _tool_choice_none(probe: Probe) -> None:
    reply = await probe.create(**_CALL_FIELDS, tool_choice="none")
    if calls := reply.skip_unless_offered(400).parse(Response).function_calls:
        raise CheckFailed(f"{calls[0].name!r} was called")


async def _tool_choice_allowed(probe: Probe) -> None:
    allowed = {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": _TIME.name}]}
    reply = await probe.create(input=[_PROMPT], tools=[_WEATHER, _TIME], tool_choice=allowed)
    calls = reply.skip_unless_offered(400).parse(Response).function_calls
    if excluded := [call.name for call in calls if call.name != _TIME.name]:
        raise CheckFailed(f"{excluded[0]!r} was called, but only {_TIME.name!r} is allowed")


async def _parallel_calls(probe: Probe) -> None:
    reply = await probe.create(**_TWO_CALLS, parallel_tool_calls=True, stream=True)
    ids = [call.call_id for call in reply.skip_unless_offered(400).assert_stream().function_calls]
    if len(ids) < 2:  # noqa: PLR2004 - one call cannot be confused with another
        raise Skipped("not checked: the model does not make two calls at once")
    if len(set(ids)) < len(ids):
        raise CheckFailed(f"the `call_id`s of {len(ids)} calls are {ids}")


async def _one_call(probe: Probe) -> None:
    reply = await probe.create(**_TWO_CALLS, parallel_tool_calls=False)
    calls = reply.skip_unless_offered(400).parse(Response).function_calls
    if len(calls) > 1:
        raise CheckFailed(f"{len(calls)} functions were called in one response")


async def _orphan_refused(probe: Probe) -> None:
    orphan = FunctionCallOutput(call_id=random_id("call"), output="Sunny, 20 °C.")
    (await probe.create(input=[_PROMPT, orphan], tools=[_WEATHER])).assert_refused()


# ---- bad requests


async def _json_refused(probe: Probe) -> None:
    (await probe.request("POST", "responses", content=b'{"model": ')).assert_refused()


async def _type_refused(probe: Probe) -> None:
    (await probe.bad_request()).assert_refused()


async def _error_body(probe: Probe) -> None:
    reply = await probe.bad_request()
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
        if getattr(stored, name) is not UNSET and getattr(retrieved, name) != getattr(stored, name):
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
    first = await probe.create_completed(store=True)
    reply = await probe.create(previous_response_id=first.id)
    if reply.status != HTTPStatus.OK:
        await probe.stored_response()  # skips the check if the server stores none
    response = probe.completed(reply)
    if response.previous_response_id != first.id:
        raise CheckFailed(f"`previous_response_id`: expected {first.id!r}, got {response.previous_response_id!r}")
    # A server that does not count tokens reports 0; the check of the usage finds that.
    if first.usage and response.usage and 0 < first.usage.input_tokens >= response.usage.input_tokens:
        counts = f"{first.usage.input_tokens} tokens without it, and {response.usage.input_tokens} with it"
        raise CheckFailed(f"the previous response is not part of the input: the same input took {counts}")


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


async def _resume(probe: Probe) -> None:
    started = (await probe.create(background=True, store=True, stream=True)).skip_unless_offered(400)
    response = started.assert_stream()
    if not response.background:
        raise Skipped("not offered: the server answers in the foreground")
    whole = _numbered(started.body)
    if len(whole) < 2:  # noqa: PLR2004 - there must be one to resume after
        raise Skipped("not checked: the events have no numbers to resume at")
    after = sorted(whole)[len(whole) // 2]
    params: dict[str, str | int] = {"stream": "true", "starting_after": after}
    resumed = await probe.request("GET", "responses", response.id, params=params)
    rest = _numbered(resumed.skip_unless_offered(400).body)
    expected = {number: kind for number, kind in whole.items() if number > after}
    if rest != expected:
        resumed.fail(f"expected the events {min(expected)} to {max(expected)}, got {sorted(rest)[:10]}")


def _numbered(body: bytes) -> dict[int, str]:
    """Return the types of the events in a stream by their sequence numbers. Events without a number are left out."""
    numbered: dict[int, str] = {}
    for frame in SSEDecoder().receive(body):
        members = _object_in(frame.data) or {}
        number: Any = members.get("sequence_number")
        if isinstance(number, int):
            numbered[number] = str(members.get("type"))
    return numbered


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


async def _conversation_items(probe: Probe) -> None:
    reply = (await probe.request("POST", "conversations", content={})).skip_unless_offered()
    path = ("conversations", reply.parse(Conversation).id)
    messages = [Message(role="user", content=text) for text in _TEXTS]
    reply = await probe.request("POST", *path, "items", content={"items": messages})
    ids = [getattr(item, "id", None) for item in reply.parse(ConversationItemList).data]
    if len(ids) != len(_TEXTS) or not all(ids):
        reply.fail(f"expected {len(_TEXTS)} items with ids, got {ids}")
    listed: list[Any] = []
    params: dict[str, str | int] = {"limit": 2, "order": "asc"}
    for more in (True, False):
        reply = await probe.request("GET", *path, "items", params=params)
        page = reply.parse(ConversationItemList)
        listed += [getattr(item, "id", None) for item in page.data]
        if page.has_more is not more:
            reply.fail(f"expected `has_more` to be {more}".lower())
        params["after"] = page.last_id or ""
    if listed != ids:
        reply.fail(f"expected the items {ids} in two pages, got {listed}")
    reply = await probe.request("GET", *path, "items", str(ids[0]))
    if reply.json_object().get("id") != ids[0]:
        reply.fail(f"expected the item {ids[0]}")
    await probe.request("DELETE", *path)


# ---- counting and compacting


async def _compact(probe: Probe) -> None:
    content: JSONDict = {"model": probe.model, "input": _HISTORY}
    reply = (await probe.request("POST", "responses", "compact", content=content)).skip_unless_offered()
    if reply.json_object().get("object") != "response.compaction":
        reply.fail("expected `object` to be 'response.compaction'")
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


@attrs.frozen
class ServerCheck:
    """One check."""

    run: Callable[[Probe], Awaitable[None]]
    """Returns if the server follows the rule; otherwise raises ``CheckFailed`` or ``Skipped``."""
    needs: tuple[str, ...] = ("create",)
    """The rules that this check depends on. If one of them is broken, this check would only report the same fault again."""


_CALL: Final = ("create", "function-call")
_STREAM: Final = ("create", "create-stream")

CHECKS: Final[Mapping[str, ServerCheck]] = {
    "create": ServerCheck(_create, ()),
    "create-fields": ServerCheck(_create_fields, _STREAM),
    "create-stream": ServerCheck(_create_stream),
    "usage": ServerCheck(_usage),
    "system-prompt": ServerCheck(_system_prompt),
    "multi-turn": ServerCheck(_multi_turn),
    "phase": ServerCheck(_phase, ("create", "multi-turn")),
    "image-input": ServerCheck(_image_input),
    "structured-output": ServerCheck(_structured_output),
    "json-object": ServerCheck(_json_object),
    "effort-none": ServerCheck(_effort_none),
    "token-limit": ServerCheck(_token_limit),
    "function-call": ServerCheck(_function_call),
    "function-call-stream": ServerCheck(_function_call_stream, (*_STREAM, "function-call")),
    "reasoning-stream": ServerCheck(_reasoning_stream, (*_STREAM, "function-call")),
    "function-output": ServerCheck(_function_output, _CALL),
    "tool-choice-none": ServerCheck(_tool_choice_none),
    "tool-choice-allowed": ServerCheck(_tool_choice_allowed),
    "parallel-calls": ServerCheck(_parallel_calls, _STREAM),
    "one-call": ServerCheck(_one_call),
    "orphan-refused": ServerCheck(_orphan_refused, ()),
    "json-refused": ServerCheck(_json_refused, ()),
    "type-refused": ServerCheck(_type_refused, ()),
    "error-body": ServerCheck(_error_body, ("type-refused",)),
    "id-unknown": ServerCheck(_id_unknown, ()),
    "retrieve": ServerCheck(_retrieve),
    "delete": ServerCheck(_delete),
    "input-items": ServerCheck(_input_items),
    "previous-response": ServerCheck(_previous_response),
    "previous-unknown": ServerCheck(_previous_unknown, ("create", "previous-response")),
    "background": ServerCheck(_background),
    "cancel": ServerCheck(_cancel, ("create", "background")),
    "resume": ServerCheck(_resume, (*_STREAM, "background")),
    "conversations": ServerCheck(_conversations),
    "conversation-items": ServerCheck(_conversation_items, ("create", "conversations")),
    "compact": ServerCheck(_compact, ()),
    "compact-model-required": ServerCheck(_compact_model_required, ()),
    "input-tokens": ServerCheck(_input_tokens, ()),
    **{
        rule: ServerCheck(check, ("create",) if rule == "websocket" else ("create", "websocket"))
        for rule, check in WEBSOCKET_CHECKS.items()
    },
}
"""Rule id -> its check, in the order of the table of rules."""

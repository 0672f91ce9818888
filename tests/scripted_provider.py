"""The scripted model as a provider of Chat Completions: what :class:`FakeChat` answers if a test wants a model with some sense.

The request is read back into one of the Responses API, the scripted model plans its answer to that, and the answer becomes a turn. So a
test of the scripted server can be a test of the bridge as well.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Final

from anyio.from_thread import start_blocking_portal

from responses_proto.codec import load
from responses_proto.exceptions import APIError
from responses_proto.models import CreateResponse, CustomToolCall, Item
from responses_proto.protocol.emitter import random_id, split_words
from responses_proto.scripted._cache import PromptCache
from responses_proto.scripted._checks import check_turn
from responses_proto.scripted._plan import plan_answer
from responses_proto.scripted._request import count_tokens, read_turn
from responses_proto.scripted._steps import (
    EmitCall,
    EmitItem,
    EmitMessage,
    EmitReasoning,
    EndEarly,
    Fail,
    Refuse,
    Wait,
)
from responses_proto.testing import Answer, Fault
from responses_proto.testing.fake.chat import FakeChat
from responses_proto.testing.fake.chat_dialects import ChatCall, ChatTurn

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from responses_proto.scripted._steps import ScriptedAnswer
    from responses_proto.testing.fake.chat_dialects import ChatDialect
    from responses_proto.testing.fake.exchange import ServerExchange

_FINISH: Final = {"max_output_tokens": "length", "content_filter": "content_filter"}
_PARTS: Final = {"text": "input_text", "image_url": "input_image", "file": "input_file", "input_audio": "input_audio"}


class ScriptedChat:
    """Answers a request as the scripted model does."""

    def __init__(self) -> None:
        self._cache = PromptCache()

    def __call__(self, exchange: ServerExchange) -> ChatTurn | Answer:
        """Return what the model says."""
        request, context = _read(exchange.request.json)
        turn = read_turn(request, context)
        try:
            check_turn(turn)
            answer = plan_answer(turn, random_id)
        except APIError as error:
            headers = {} if error.retry_after is None else {"retry-after": f"{error.retry_after:g}"}
            return Answer.error(
                error.answer_status, error.message, type=error.type or "error", code=error.code, headers=headers
            )
        usage = {"input": count_tokens(context), "cached": self._cache.tokens_read(request, context)}
        return _turn(answer, request, usage)


@contextlib.contextmanager
def scripted_provider(dialect: str | ChatDialect = "openai") -> Generator[str]:
    """Run a provider in a thread during the block. Yield its base URL."""
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(FakeChat(ScriptedChat(), dialect=dialect, models=["scripted"])) as provider,
    ):
        yield provider.url


# ---- the request


def _read(body: dict[str, Any]) -> tuple[CreateResponse, list[Item]]:
    items: list[dict[str, Any]] = []
    for message in body["messages"]:
        items += _items(message)
    wire: dict[str, Any] = {
        "model": body["model"],
        "input": [],
        "tools": [_tool(tool) for tool in body.get("tools", ())],
    }
    for theirs, ours in (("max_completion_tokens", "max_output_tokens"), ("max_tokens", "max_output_tokens")):
        if theirs in body:
            wire[ours] = body[theirs]
    if "parallel_tool_calls" in body:
        wire["parallel_tool_calls"] = body["parallel_tool_calls"]
    if "reasoning_effort" in body:
        wire["reasoning"] = {"effort": body["reasoning_effort"]}
    if body.get("logprobs"):
        wire |= {"include": ["message.output_text.logprobs"], "top_logprobs": body.get("top_logprobs", 0)}
    shape = body.get("response_format")
    if shape:
        wire["text"] = {"format": {"type": shape["type"], **shape.get("json_schema", {})}}
    if "tool_choice" in body:
        wire["tool_choice"] = _choice(body["tool_choice"])
    return load(wire, CreateResponse), [load(item, Item) for item in items]


def _choice(choice: Any) -> Any:
    if isinstance(choice, str):
        return choice
    kind = choice["type"]
    inner = choice[kind]
    if kind != "allowed_tools":
        return {"type": kind, "name": inner["name"]}
    tools = [{"type": "function", "name": tool["function"]["name"]} for tool in inner["tools"]]
    return {"type": kind, "mode": inner["mode"], "tools": tools}


def _items(message: dict[str, Any]) -> Iterator[dict[str, Any]]:
    role, content = message["role"], message.get("content")
    if role == "tool":
        yield {"type": "function_call_output", "call_id": message["tool_call_id"], "output": _text(content)}
        return
    if role == "assistant":
        parts: list[dict[str, Any]] = (
            [{"type": "output_text", "text": _text(content), "annotations": []}] if content else []
        )
        if message.get("refusal"):
            parts.append({"type": "refusal", "refusal": message["refusal"]})
        if parts:
            yield {"type": "message", "role": role, "content": parts}
        for call in message.get("tool_calls", ()):
            function = call.get("function") or {"name": call["custom"]["name"], "arguments": call["custom"]["input"]}
            yield {"type": "function_call", "call_id": call["id"], **function}
        return
    given: list[Any] = [{"type": "text", "text": content}] if isinstance(content, str) else content or []
    yield {"type": "message", "role": role, "content": [_part(part) for part in given]}


def _part(part: dict[str, Any]) -> dict[str, Any]:
    kind = part["type"]
    inner = part[kind]
    match kind:
        case "text":
            return {"type": "input_text", "text": inner}
        case "image_url":
            return {"type": "input_image", "image_url": inner["url"]}
        case _:
            return {"type": _PARTS[kind], **({"input_audio": inner} if kind == "input_audio" else inner)}


def _text(content: Any) -> str:
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content or ())


def _tool(tool: dict[str, Any]) -> dict[str, Any]:
    return {"type": tool["type"], **tool[tool["type"]]}


# ---- the answer


def _turn(  # noqa: C901 - a case for each kind of step
    answer: ScriptedAnswer, request: CreateResponse, usage: dict[str, int]
) -> ChatTurn:
    text: list[str] = []
    reasoning: list[str] = []
    refusal: list[str] = []
    calls: list[ChatCall] = []
    faults: list[Fault] = []
    finish_reason, error = "stop", None
    for step in answer.steps:
        match step:
            case EmitReasoning(summaries=summaries):
                reasoning += [word for summary in summaries for word in split_words(summary)]
            case EmitMessage(text=said):
                text += split_words(said)
            case Refuse(text=said):
                refusal += split_words(said)
            case EmitCall(name=name, arguments=arguments):
                calls.append(ChatCall(name=name, arguments=tuple(split_words(arguments)), id=random_id("call")))
            case EmitItem(item=CustomToolCall(name=name, input=given)):
                calls.append(ChatCall(name=name, arguments=(given,), id=random_id("call")))
            case EndEarly(reason=reason):
                finish_reason = _FINISH.get(reason, "length")
            case Fail(code=code, message=message):
                error = {"error": {"message": message, "type": "server_error", "code": code}}
            case Wait(seconds=seconds):
                faults.append(Fault.slow_head(seconds))
            case EmitItem():
                raise NotImplementedError(f"Chat Completions has nothing like {step.item.type}")
    if answer.delay:
        faults.append(Fault.delayed(answer.delay))
    limit = request.max_output_tokens
    if limit and len(reasoning) + len(text) > limit:
        reasoning, text = reasoning[:limit], text[: max(0, limit - len(reasoning))]
        finish_reason = "length"
    output = len(reasoning) + len(text) + len(refusal) + sum(len(call.arguments) for call in calls)
    return ChatTurn(
        text=tuple(text),
        reasoning=tuple(reasoning),
        refusal=tuple(refusal),
        calls=tuple(calls),
        logprobs=bool(request.include),
        finish_reason=finish_reason,
        usage={**usage, "output": output, "reasoning": len(reasoning)},
        error=error,
        faults=tuple(faults),
    )

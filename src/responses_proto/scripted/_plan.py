"""What the scripted model answers to a turn.

An answer is found by going down :data:`_ANSWERS`: what the last user message demands by a marker, what follows from an approval,
calls of tools, and at last words.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from ..codec import dumps
from ..exceptions import APIError
from ..models.config import ReasoningConfig
from ..models.items import CustomToolCall, FunctionCall, McpApprovalRequest, McpApprovalResponse, McpCall, Message
from ..models.response import Response
from ..models.tools import CustomTool, CustomToolGrammarFormat, FunctionTool, McpTool
from ..typing import UNSET
from ._fill import fill
from ._grammars import sample_grammar
from ._hosted import HOSTED
from ._mcp import answer_approvals, call_tool, list_tools
from ._offers import choose_calls
from ._steps import (
    EmitCall,
    EmitItem,
    EmitMessage,
    EmitReasoning,
    EndEarly,
    Fail,
    Refuse,
    ScriptedAnswer,
    ScriptedStep,
    Wait,
)
from ._words import answer_text, describe_outputs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from ..models.items import Item
    from ._offers import ChosenCall
    from ._request import ScriptedTurn
    from .script import ScriptRules

__all__ = ["plan_answer"]

_HALF: Final = "This is as far as I"
_SLOW: Final = 0.2  # seconds between two words
_SOON: Final = 1.0  # seconds, for a Retry-After that the marker leaves open
_ENCRYPTED: Final = "c2NyaXB0ZWQ="

_THOUGHTS: Final[Mapping[str, int]] = {"minimal": 1, "low": 1, "medium": 2, "high": 3}
"""Effort -> how many thoughts; any other effort has them all."""

_ERRORS: Final[Mapping[int, tuple[str, str | None]]] = {
    400: ("invalid_request_error", None),
    401: ("invalid_request_error", "invalid_api_key"),
    403: ("invalid_request_error", "permission_denied"),
    404: ("invalid_request_error", "model_not_found"),
    429: ("rate_limit_error", "rate_limit_exceeded"),
    500: ("server_error", "server_error"),
    503: ("server_error", "overloaded"),
}
"""Status -> type and code of the error; what is not here is as the first of its hundred."""


def plan_answer(turn: ScriptedTurn, ids: Callable[[str], str], script: ScriptRules | None = None) -> ScriptedAnswer:
    """Decide what to answer. ``ids`` makes an id of a prefix.

    Raises the ``APIError`` that a marker, or a rule of the script, asks for.
    """
    if "error" in turn.markers:
        raise _error(*turn.markers["error"].split())
    wait = [Wait(seconds=float(turn.markers["wait"]))] if "wait" in turn.markers else []
    pause = float(turn.markers["slow"] or _SLOW) if "slow" in turn.markers else None
    scripted = script.answer(turn, ids) if script else None
    if scripted is not None:
        return ScriptedAnswer(steps=(*wait, *scripted), delay=pause)
    answer = next(steps for find in _ANSWERS if (steps := list(find(turn, ids))))
    return ScriptedAnswer(steps=(*wait, *_thoughts(turn), *_phased(turn, answer)), delay=pause)


def _error(status: str, seconds: str = "") -> APIError:
    number = int(status)
    type_, code = _ERRORS.get(number) or _ERRORS[number // 100 * 100]
    return APIError.for_status(number)(
        f"The input asks for an error with status {status}.",
        status=number,
        type=type_,
        code=code,
        retry_after=float(seconds) if seconds else _SOON if number in (429, 503) else None,
    )


def _thoughts(turn: ScriptedTurn) -> Iterator[ScriptedStep]:
    reasoning = turn.request.reasoning or ReasoningConfig()
    if (reasoning.effort or "none") == "none" and not (reasoning.summary or reasoning.generate_summary):
        return
    thoughts = (
        f"The last input has {len(turn.prompt.split())} words. I answer by the script.",
        f"There are {len(turn.context)} items to consider, and {len(turn.request.tools or ())} tools.",
        "I have looked at it from all sides.",
    )
    encrypted = _ENCRYPTED if turn.includes("reasoning.encrypted_content") else None
    yield EmitReasoning(summaries=thoughts[: _THOUGHTS.get(reasoning.effort or "low")], encrypted_content=encrypted)


# ---- phases


def _phased(turn: ScriptedTurn, steps: Sequence[ScriptedStep]) -> Iterator[ScriptedStep]:
    """Tell what is said along the way from the answer, where the request does so too."""
    messages = [item for item in turn.context if isinstance(item, Message) and item.phase]
    if not messages and "commentary" not in turn.markers:
        yield from steps
        return
    told = any(isinstance(item, Message) and item.phase == "commentary" for item in turn.items_since_prompt())
    calls = ", ".join(name for step in steps if (name := _called(step)))
    if not told and (calls or "commentary" in turn.markers):
        yield EmitMessage(text=f"I call {calls}." if calls else "Let me see.", phase="commentary")
    for step in steps:
        yield attrs.evolve(step, phase="final_answer") if isinstance(step, EmitMessage) else step


def _called(step: ScriptedStep) -> str:
    match step:
        case EmitCall(name=name):
            return name
        case EmitItem(
            item=CustomToolCall(name=name)
            | FunctionCall(name=name)
            | McpCall(name=name)
            | McpApprovalRequest(name=name)
        ):
            return name
        case _:
            return ""


# ---- what to answer, in this order


def _demanded(turn: ScriptedTurn, _ids: Callable[[str], str]) -> Iterator[ScriptedStep]:
    marks = turn.markers
    if "fail" in marks:
        yield EmitMessage(text=_HALF, finished=False)
        yield Fail(code=marks["fail"] or "server_error", message="The input asks for a failure.")
    elif "incomplete" in marks:
        yield EmitMessage(text=_HALF, finished=False)
        yield EndEarly(reason=marks["incomplete"] or "max_output_tokens")
    elif "refuse" in marks:
        yield Refuse(text="I will not do that: the input asks me to refuse.")


def _approved(turn: ScriptedTurn, ids: Callable[[str], str]) -> Iterator[ScriptedStep]:
    if not isinstance(turn.last_item, McpApprovalResponse):
        return
    said: list[str] = []
    for call, words in answer_approvals(turn, ids):
        if call is not None:
            yield EmitItem(item=call)
        said.append(words)
    yield _say(turn, answer_text(turn, " ".join(said)))


def _calls(turn: ScriptedTurn, ids: Callable[[str], str]) -> Iterator[ScriptedStep]:
    for tool in turn.request.tools or ():
        if isinstance(tool, McpTool):
            yield from (EmitItem(item=item) for item in list_tools(turn, tool, ids))
    chosen = choose_calls(turn)
    before = [sum(earlier.tool is wanted.tool for earlier in chosen[:n]) for n, wanted in enumerate(chosen)]
    steps = [step for wanted, nth in zip(chosen, before, strict=True) for step in _call(turn, wanted, nth, ids)]
    yield from sorted(steps, key=_is_clients)  # what the server runs comes first
    if not _waits(steps):
        outputs = [
            step.item.output or "" for step in steps if isinstance(step, EmitItem) and isinstance(step.item, McpCall)
        ]
        yield _say(turn, answer_text(turn, describe_outputs(outputs)))


def _is_clients(step: ScriptedStep) -> bool:
    return isinstance(step, EmitCall) or (
        isinstance(step, EmitItem) and isinstance(step.item, CustomToolCall | FunctionCall)
    )


def _waits(steps: Sequence[ScriptedStep]) -> bool:
    """Tell whether the client has to do something before there can be an answer."""
    items: list[Item] = [step.item for step in steps if isinstance(step, EmitItem)]
    whole = Response(
        id="", model="", output=items, created_at=0, tools=[], tool_choice="auto", parallel_tool_calls=True
    )
    return bool(whole.pending_calls) or any(map(_is_clients, steps))


_ANSWERS: Final = (_demanded, _approved, _calls)


# ---- calls


def _call(turn: ScriptedTurn, wanted: ChosenCall, nth: int, ids: Callable[[str], str]) -> Iterator[ScriptedStep]:
    offer = wanted.tool
    match offer.definition:
        case FunctionTool() as tool:
            arguments = wanted.arguments or dumps(fill({"type": "object", **(tool.parameters or {})}, nth)).decode()
            if not offer.namespace:
                yield EmitCall(name=tool.name, arguments=arguments)
                return
            yield EmitItem(
                item=FunctionCall(
                    id=ids("fc"),
                    call_id=ids("call"),
                    name=tool.name,
                    namespace=offer.namespace,
                    arguments=arguments,
                    status="completed",
                )
            )
        case CustomTool() as tool:
            yield EmitItem(
                item=CustomToolCall(
                    id=ids("ctc"),
                    call_id=ids("call"),
                    name=tool.name,
                    namespace=offer.namespace or UNSET,
                    input=_custom_input(turn, tool),
                    status="completed",
                )
            )
        case McpTool() as tool:
            yield EmitItem(item=call_tool(turn, tool, offer.name, wanted.arguments, ids))
        case tool:
            yield from (EmitItem(item=item) for item in HOSTED[type(tool)](turn, tool, ids))


def _custom_input(turn: ScriptedTurn, tool: CustomTool) -> str:
    written = sample_grammar(tool.format) if isinstance(tool.format, CustomToolGrammarFormat) else None
    return turn.prompt if written is None else written


def _say(turn: ScriptedTurn, text: str) -> EmitMessage:
    return EmitMessage(text=text, with_citation="cite" in turn.markers)

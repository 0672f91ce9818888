"""Plan the answer of the scripted model to one turn.

:data:`_PLANNERS` lists the ways to answer; the first that yields any steps is used: markers, then calls that the user approved, then
tool calls and text.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import attrs

from ..codec import dumps
from ..exceptions import APIError
from ..models.config import ReasoningConfig
from ..models.items import (
    CustomToolCall,
    FunctionCall,
    McpApprovalRequest,
    McpApprovalResponse,
    McpCall,
    Message,
)
from ..models.response import Response
from ..models.tools import CustomTool, CustomToolGrammarFormat, FunctionTool, McpTool, ToolSearchTool
from ..typing import UNSET
from ._fill import fill
from ._grammars import sample_grammar
from ._hosted import HOSTED, search_tools
from ._mcp import answer_approvals, call_tool, list_tools
from ._offers import choose_calls
from ._rate_limits import exceeded_headers
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
from ._words import answer_text, describe_outputs, repeat_words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from ..models.items import Item
    from ._offers import ChosenCall
    from ._request import ScriptedTurn
    from .script import ScriptRules

_UNFINISHED_TEXT: Final = "This is as far as I"
_SLOW_DELAY: Final = 0.2  # seconds between two words
_TOO_MANY_REQUESTS: Final = 429
_RETRY_AFTER: Final = 1.0  # seconds
_ENCRYPTED_CONTENT: Final = "c2NyaXB0ZWQ="
_STEP_BY_STEP: Final = re.compile(r"\bstep[ -]by[ -]step\b", re.IGNORECASE)
_STEPS_WORDS: Final = 100  # of the reasoning then

_SUMMARY_PARTS: Final[Mapping[str, int]] = {"minimal": 1, "low": 1, "medium": 2, "high": 3}
"""Effort -> the number of reasoning summaries. Any other effort has all summaries."""

_ERRORS: Final[Mapping[int, tuple[str, str | None]]] = {
    400: ("invalid_request_error", None),
    401: ("invalid_request_error", "invalid_api_key"),
    403: ("invalid_request_error", "permission_denied"),
    404: ("invalid_request_error", "model_not_found"),
    429: ("rate_limit_error", "rate_limit_exceeded"),
    500: ("server_error", "server_error"),
    503: ("server_error", "overloaded"),
}
"""HTTP status -> type and code of the error. Other statuses use the entry of 400 or 500."""


def plan_answer(turn: ScriptedTurn, ids: Callable[[str], str], script: ScriptRules | None = None) -> ScriptedAnswer:
    """Return the answer to a turn.

    ``ids`` makes an id from a prefix. If a rule of ``script`` applies, it replaces everything but the markers ``error``, ``wait``
    and ``slow``. Raises the ``APIError`` that a marker or a rule asks for.
    """
    if "error" in turn.markers:
        raise _error(*turn.markers["error"].split())
    wait = [Wait(seconds=float(turn.markers["wait"]))] if "wait" in turn.markers else []
    delay = float(turn.markers["slow"] or _SLOW_DELAY) if "slow" in turn.markers else None
    scripted = script.answer(turn, ids) if script else None
    if scripted is not None:
        return ScriptedAnswer(steps=(*wait, *scripted), delay=delay)
    answer = next(steps for planner in _PLANNERS if (steps := list(planner(turn, ids))))
    return ScriptedAnswer(steps=(*wait, *_reasoning(turn), *_with_phases(turn, answer)), delay=delay)


def _error(status: str, retry_after: str = "") -> APIError:
    number = int(status)
    type_, code = _ERRORS.get(number) or _ERRORS[number // 100 * 100]
    seconds = float(retry_after) if retry_after else _RETRY_AFTER if number in (429, 503) else None
    return APIError.for_status(number)(
        f"The input asks for an error with status {status}.",
        status=number,
        type=type_,
        code=code,
        retry_after=seconds,
        headers=exceeded_headers(seconds) if number == _TOO_MANY_REQUESTS and seconds else None,
    )


def _reasoning(turn: ScriptedTurn) -> Iterator[ScriptedStep]:
    reasoning = turn.request.reasoning or ReasoningConfig()
    if "think" in turn.markers:
        yield _long_reasoning(turn, int(turn.markers["think"]))
        return
    if (reasoning.effort or "none") == "none" and not (reasoning.summary or reasoning.generate_summary):
        return
    if _STEP_BY_STEP.search(turn.prompt):
        yield _long_reasoning(turn, _STEPS_WORDS)
        return
    summaries = (
        f"The last input has {len(turn.prompt.split())} words. I answer by the script.",
        f"There are {len(turn.context)} items to consider, and {len(turn.request.tools or ())} tools.",
        "I have looked at it from all sides.",
    )
    count = _SUMMARY_PARTS.get(reasoning.effort or "low")
    yield EmitReasoning(summaries=summaries[:count], encrypted_content=_encrypted(turn))


def _long_reasoning(turn: ScriptedTurn, words: int) -> EmitReasoning:
    return EmitReasoning(summaries=(repeat_words(words),), encrypted_content=_encrypted(turn))


def _encrypted(turn: ScriptedTurn) -> str | None:
    return _ENCRYPTED_CONTENT if turn.includes("reasoning.encrypted_content") else None


# ---- phases


def _with_phases(turn: ScriptedTurn, steps: Sequence[ScriptedStep]) -> Iterator[ScriptedStep]:
    """Yield the steps with phases and a commentary, if the input has phases or ``[commentary]`` asks for them."""
    messages = [item for item in turn.context if isinstance(item, Message) and item.phase]
    if not messages and "commentary" not in turn.markers:
        yield from steps
        return
    commented = any(isinstance(item, Message) and item.phase == "commentary" for item in turn.items_since_prompt())
    calls = ", ".join(name for step in steps if (name := _called_name(step)))
    if not commented and (calls or "commentary" in turn.markers):
        yield EmitMessage(text=f"I call {calls}." if calls else "Let me see.", phase="commentary")
    for step in steps:
        yield attrs.evolve(step, phase="final_answer") if isinstance(step, EmitMessage) else step


def _called_name(step: ScriptedStep) -> str:
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


# ---- the planners, in their order


def _follow_markers(turn: ScriptedTurn, _ids: Callable[[str], str]) -> Iterator[ScriptedStep]:
    markers = turn.markers
    if "fail" in markers:
        yield EmitMessage(text=_UNFINISHED_TEXT, finished=False)
        yield Fail(code=markers["fail"] or "server_error", message="The input asks for a failure.")
    elif "incomplete" in markers:
        yield EmitMessage(text=_UNFINISHED_TEXT, finished=False)
        yield EndEarly(reason=markers["incomplete"] or "max_output_tokens")
    elif "refuse" in markers:
        yield Refuse(text="I will not do that: the input asks me to refuse.")


def _make_approved_calls(turn: ScriptedTurn, ids: Callable[[str], str]) -> Iterator[ScriptedStep]:
    if not isinstance(turn.last_item, McpApprovalResponse):
        return
    sentences: list[str] = []
    for call, sentence in answer_approvals(turn, ids):
        if call is not None:
            yield EmitItem(item=call)
        sentences.append(sentence)
    yield _message(turn, answer_text(turn, " ".join(sentences)))


def _call_tools_or_answer(turn: ScriptedTurn, ids: Callable[[str], str]) -> Iterator[ScriptedStep]:
    for tool in turn.request.tools or ():
        if isinstance(tool, McpTool):
            yield from (EmitItem(item=item) for item in list_tools(turn, tool, ids))
    chosen, searches = _searched(turn, choose_calls(turn), ids)
    yield from searches
    # How often the same tool is called before each call, so that `fill` generates different arguments.
    repeats = [sum(earlier.tool is call.tool for earlier in chosen[:n]) for n, call in enumerate(chosen)]
    steps = [step for call, nth in zip(chosen, repeats, strict=True) for step in _call_steps(turn, call, nth, ids)]
    yield from sorted(steps, key=_runs_on_client)  # hosted tools first
    if not _needs_client([*searches, *steps]):
        outputs = [
            step.item.output or "" for step in steps if isinstance(step, EmitItem) and isinstance(step.item, McpCall)
        ]
        yield _message(turn, answer_text(turn, describe_outputs(outputs)))


def _searched(
    turn: ScriptedTurn, chosen: Sequence[ChosenCall], ids: Callable[[str], str]
) -> tuple[list[ChosenCall], list[ScriptedStep]]:
    """Return the calls that can be made now, and the steps of a tool search that the other calls need first."""
    search = next((tool for tool in turn.request.tools or () if isinstance(tool, ToolSearchTool)), None)
    known = {getattr(tool, "name", "") for tool in turn.found_tools}
    hidden = [call for call in chosen if call.tool.deferred and call.tool.name not in known]
    if search is None or not hidden:
        return [*chosen], []
    found = list({id(call.tool.definition): call.tool.definition for call in hidden}.values())
    steps: list[ScriptedStep] = [EmitItem(item=item) for item in search_tools(turn, search, ids, found)]
    # The search itself may have been chosen too, since the message names it.
    others = [call for call in chosen if call not in hidden and call.tool.definition is not search]
    return (others if search.execution == "client" else [*others, *hidden]), steps


def _runs_on_client(step: ScriptedStep) -> bool:
    return isinstance(step, EmitCall) or (
        isinstance(step, EmitItem) and isinstance(step.item, CustomToolCall | FunctionCall)
    )


def _needs_client(steps: Sequence[ScriptedStep]) -> bool:
    """Return whether the client must run a tool or approve a call before the model can answer."""
    items: list[Item] = [step.item for step in steps if isinstance(step, EmitItem)]
    response = Response(
        id="", model="", output=items, created_at=0, tools=[], tool_choice="auto", parallel_tool_calls=True
    )
    return bool(response.pending_calls) or any(map(_runs_on_client, steps))


_PLANNERS: Final = (_follow_markers, _make_approved_calls, _call_tools_or_answer)


# ---- calls


def _call_steps(turn: ScriptedTurn, call: ChosenCall, nth: int, ids: Callable[[str], str]) -> Iterator[ScriptedStep]:
    name, namespace = call.tool.name, call.tool.namespace
    match call.tool.definition:
        case FunctionTool() as tool:
            arguments = call.arguments or dumps(fill({"type": "object", **(tool.parameters or {})}, nth)).decode()
            if not namespace:
                yield EmitCall(name=tool.name, arguments=arguments)
                return
            yield EmitItem(
                item=FunctionCall(
                    id=ids("fc"),
                    call_id=ids("call"),
                    name=tool.name,
                    namespace=namespace,
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
                    namespace=namespace or UNSET,
                    input=_custom_input(turn, tool),
                    status="completed",
                )
            )
        case McpTool() as tool:
            yield EmitItem(item=call_tool(turn, tool, name, call.arguments, ids))
        case tool:
            yield from (EmitItem(item=item) for item in HOSTED[type(tool)](turn, tool, ids))


def _custom_input(turn: ScriptedTurn, tool: CustomTool) -> str:
    text = sample_grammar(tool.format) if isinstance(tool.format, CustomToolGrammarFormat) else None
    return turn.prompt if text is None else text


def _message(turn: ScriptedTurn, text: str) -> EmitMessage:
    return EmitMessage(text=text, with_citation="cite" in turn.markers)

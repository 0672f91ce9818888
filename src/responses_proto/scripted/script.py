"""Read rules from a file that control the answers of the scripted model.

A file named ``.jsonl`` has one rule per line; any other file is a JSON list of rules. A rule has conditions, all of which must
hold, and an answer, which is a text, a step, or a list of steps::

    [
      {"when": {"contains": "weather", "after": "user"}, "then": {"call": "get_weather", "arguments": {"city": "Paris"}}},
      {"when": {"after": "get_weather"},                 "then": "It is {output} in Paris."},
      {"when": {"matches": "^book (.*)"},                "then": [{"think": "Nothing to lose."}, {"refuse": "No {1} for you."}]},
      {"when": {"contains": "flaky"},                    "then": {"error": {"status": 503, "retry_after": 2}}},
      {"then": "I do not know."}
    ]

The first rule whose conditions hold gives the answer. If there is none, the model answers as it would without a script.
"""

from __future__ import annotations

import re
from http import HTTPStatus
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self, cast

import attrs

from ..codec import dumps, make_converter
from ..exceptions import APIError, DecodeError, LimitExceeded, UsageError
from ..models._base import Model, model
from ..models.items import CustomToolCall, FunctionCall, Item, MessagePhase, UnknownItem
from ..models.tools import CustomTool
from ..protocol.api_errors import ERROR_STATUSES
from ..typing import UNSET, JSONObject, JSONValue, Unset
from ._offers import callable_tools
from ._request import output_text
from ._steps import EmitCall, EmitItem, EmitMessage, EmitReasoning, EndEarly, Fail, Refuse, ScriptedStep, Wait

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator, Mapping

    from ._request import ScriptedTurn

__all__ = ["Condition", "RuleStep", "ScriptError", "ScriptFailure", "ScriptRule", "ScriptRules"]


@model
class Condition(Model):
    """The conditions of a rule. All that are stated must hold."""

    contains: str | Unset = UNSET
    """The last user message contains this text; case is ignored."""
    matches: str | Unset = UNSET
    """The last user message contains a match of this regular expression."""
    after: str | Unset = UNSET
    """What the input ends with: ``user`` (a user message), ``output`` (of any tool), or the name of a function (its output)."""
    turn: int | Unset = UNSET
    """The number of the last user message in the conversation, counted from 1."""
    model: str | Unset = UNSET
    """The model of the request."""
    tool: str | Unset = UNSET
    """The name of a tool that the request offers."""


@model
class ScriptError(Model):
    """An HTTP error instead of a response."""

    status: int
    message: str | Unset = UNSET
    code: str | Unset = UNSET
    type: str | Unset = UNSET
    param: str | Unset = UNSET
    retry_after: float | Unset = UNSET
    """The value of ``Retry-After``, in seconds."""


@model
class ScriptFailure(Model):
    """The error of a failed response."""

    code: str | Unset = UNSET
    message: str | Unset = UNSET


@model
class RuleStep(Model):
    """One step of an answer: exactly one verb, and the fields that belong to it."""

    say: str | Unset = UNSET
    phase: MessagePhase | Unset = UNSET
    """The phase of the message in ``say``."""
    refuse: str | Unset = UNSET
    think: str | Unset = UNSET
    call: str | Unset = UNSET
    """The name of a function or a custom tool to call."""
    arguments: JSONObject | str | Unset = UNSET
    """The arguments of the function. A string is sent unchanged, so it may be malformed JSON."""
    input: str | Unset = UNSET
    """The input of the custom tool."""
    item: Item | Unset = UNSET
    """An output item of any type, in wire format."""
    wait: float | Unset = UNSET
    """Emit nothing for this number of seconds."""
    incomplete: str | Unset = UNSET
    """End the response as incomplete, for this reason."""
    fail: ScriptFailure | Unset = UNSET
    error: ScriptError | Unset = UNSET


_VERBS: Final = ("say", "refuse", "think", "call", "item", "wait", "incomplete", "fail", "error")
_FINAL_VERBS: Final = {"error", "fail", "incomplete"}
_VERB_OF_FIELD: Final[Mapping[str, str]] = {"phase": "say", "arguments": "call", "input": "call"}
"""Field -> the verb that it belongs to."""


@model
class ScriptRule(Model):
    """One rule: its conditions and its answer."""

    when: Condition | Unset = UNSET
    then: list[RuleStep]


_STRICT: Final = make_converter(strict=True)


@attrs.frozen
class ScriptRules:
    """The rules of a file. Create them with :meth:`read` or :meth:`parse`, and pass them to ``Scripted(script=...)``."""

    rules: tuple[ScriptRule, ...]
    """In the order of the file."""

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Self:
        """Read a file.

        Raises ``OSError`` if the file cannot be read, and ``UsageError``, which names the rule, if its content is invalid.
        """
        file = Path(path)
        try:
            return cls.parse(file.read_bytes(), lines=file.suffix in (".jsonl", ".ndjson"))
        except UsageError as error:
            raise UsageError(f"{file}: {error}") from error

    @classmethod
    def parse(cls, text: bytes | str, *, lines: bool = False) -> Self:
        """Read rules from text: a JSON list, or with ``lines`` one rule per line.

        Raises ``UsageError``, which names the rule, if the text is invalid.
        """
        if lines:
            raw = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
            numbered = [(f"line {n}", line) for n, line in enumerate(raw.splitlines(), 1) if line.strip()]
            return cls(tuple(_rule(_json(line, where), where) for where, line in numbered))
        rules = _json(text, "the script")
        if not isinstance(rules, list):
            raise UsageError("a script must be a JSON list of rules, or a file named .jsonl with one rule per line")
        return cls(tuple(_rule(rule, f"rule {n}") for n, rule in enumerate(rules, 1)))

    def answer(self, turn: ScriptedTurn, ids: Callable[[str], str]) -> list[ScriptedStep] | None:
        """Return the steps of the first rule whose conditions hold, or ``None`` if there is none.

        ``ids`` makes an id from a prefix. Raises the ``APIError`` that a rule asks for.
        """
        for rule in self.rules:
            placeholders = _match(rule.when or Condition(), turn)
            if placeholders is not None:
                return [_step(step, turn, placeholders, ids) for step in rule.then]
        return None


# ---- reading


def _json(text: bytes | str, where: str) -> JSONValue:
    value: JSONValue
    try:
        value = _STRICT.json.loads(text)
    except (DecodeError, LimitExceeded) as error:
        raise UsageError(f"{where}: {error}") from error
    return value


def _rule(value: JSONValue, where: str) -> ScriptRule:
    if isinstance(value, dict) and "then" in value:
        then = value["then"]
        steps = then if isinstance(then, list) else [then]
        value = {**value, "then": [{"say": step} if isinstance(step, str) else step for step in steps]}
    try:
        rule = _STRICT.load(value, ScriptRule)
    except DecodeError as error:
        raise UsageError(f"{where}: {error}") from error
    problem = next(chain(_unknown_names(rule), _contradictions(rule)), None)
    if problem:
        raise UsageError(f"{where}: {problem}")
    return rule


def _unknown_names(rule: ScriptRule) -> Iterator[str]:
    """Yield a message for each unknown field in the rule or its parts."""
    parts = [rule, rule.when, *rule.then, *(step.fail for step in rule.then), *(step.error for step in rule.then)]
    for part in [part for part in parts if part]:
        for name in part.extra:
            known = ", ".join(field.name for field in part.__attrs_attrs__ if field.name != "extra")
            yield f"unknown name {name!r}, expected one of {known}"


def _contradictions(rule: ScriptRule) -> Iterator[str]:
    """Yield a message for each problem that the types do not rule out."""
    when = rule.when or Condition()
    try:
        re.compile(when.matches or "")
    except re.error as error:
        yield f"'matches' must be a regular expression: {error}"
    if when.turn is not UNSET and when.turn < 1:
        yield f"'turn' is counted from 1, got {when.turn}"
    stated = [[name for name in _VERBS if getattr(step, name) is not UNSET] for step in rule.then]
    for step, verbs in zip(rule.then, stated, strict=True):
        yield from _contradictions_in(step, verbs)
    if any(_FINAL_VERBS & {*verbs} for verbs in stated[:-1]) or ["error"] in stated[1:]:
        yield "'fail' and 'incomplete' must be the last step, and 'error' the only one"


def _contradictions_in(step: RuleStep, verbs: list[str]) -> Iterator[str]:
    if len(verbs) != 1:
        yield f"a step must have exactly one of {', '.join(_VERBS)}, got {' and '.join(verbs) or 'none'}"
    for field, verb in _VERB_OF_FIELD.items():
        if getattr(step, field) is not UNSET and verb not in verbs:
            yield f"{field!r} needs {verb!r} in the same step"
    if step.wait is not UNSET and step.wait < 0:
        yield f"'wait' must not be negative, got {step.wait}"
    if step.error and step.error.status not in ERROR_STATUSES:
        yield f"the status of an error must be 400 to 599, got {step.error.status}"
    if isinstance(step.item, UnknownItem) and ":" not in step.item.type:
        yield f"unknown type of item {step.item.type!r}; prefix a custom type with a name: 'acme:{step.item.type}'"


# ---- answering


def _match(when: Condition, turn: ScriptedTurn) -> Mapping[str, str] | None:
    """Return the values of the placeholders (``{input}``, ``{output}``, ``{1}``) if the conditions hold, else ``None``."""
    found = re.search(when.matches, turn.prompt) if when.matches else None
    conditions = (
        not when.contains or when.contains.lower() in turn.prompt.lower(),
        not when.matches or found is not None,
        not when.after or when.after in _context_ends(turn),
        not when.turn or when.turn == len(turn.earlier_prompts) + 1,
        not when.model or when.model == turn.request.model,
        not when.tool or when.tool in [tool.name for tool in callable_tools(turn.request.tools or ())],
    )
    if not all(conditions):
        return None
    placeholders = {"input": turn.prompt, "output": " ".join(map(output_text, turn.outputs))}
    if found is not None:
        groups = {str(n): text for n, text in enumerate((found[0], *found.groups()))} | found.groupdict()
        placeholders |= {name: text or "" for name, text in groups.items()}
    return placeholders


def _context_ends(turn: ScriptedTurn) -> set[str]:
    """Return the values of ``after`` that describe the end of the context."""
    outputs = turn.outputs
    if not outputs:
        return {"user"}
    calls = {item.call_id: item.name for item in turn.context if isinstance(item, FunctionCall | CustomToolCall)}
    called = (calls.get(str(getattr(output, "call_id", ""))) for output in outputs)
    return {"output", *(name for name in called if name)}


def _step(  # noqa: PLR0911 - one return per verb
    step: RuleStep, turn: ScriptedTurn, placeholders: Mapping[str, str], ids: Callable[[str], str]
) -> ScriptedStep:
    def substitute(text: str) -> str:
        return re.sub(r"\{(\w+)\}", lambda match: placeholders.get(match[1], match[0]), text)

    if isinstance(step.say, str):
        return EmitMessage(text=substitute(step.say), phase=step.phase or None)
    if isinstance(step.refuse, str):
        return Refuse(text=substitute(step.refuse))
    if isinstance(step.think, str):
        return EmitReasoning(summaries=(substitute(step.think),))
    if isinstance(step.call, str):
        return _call(step.call, step, turn, substitute, ids)
    if step.item:
        return EmitItem(item=_with_id(step.item, ids))
    if isinstance(step.wait, float | int):
        return Wait(seconds=step.wait)
    if isinstance(step.incomplete, str):
        return EndEarly(reason=step.incomplete)
    if step.fail:
        message = step.fail.message or "The script asks for a failure."
        return Fail(code=step.fail.code or "server_error", message=message)
    raise _error(step.error or ScriptError(status=500))


def _call(
    name: str, step: RuleStep, turn: ScriptedTurn, substitute: Callable[[str], str], ids: Callable[[str], str]
) -> ScriptedStep:
    tools = turn.request.tools or ()
    if isinstance(step.input, str) or any(isinstance(tool, CustomTool) and tool.name == name for tool in tools):
        text = substitute(step.input or "")
        call = CustomToolCall(id=ids("ctc"), call_id=ids("call"), name=name, input=text, status="completed")
        return EmitItem(item=call)
    if isinstance(step.arguments, str):
        return EmitCall(name=name, arguments=substitute(step.arguments))
    return EmitCall(name=name, arguments=dumps(_substituted(step.arguments or {}, substitute)).decode())


def _substituted(value: JSONValue, substitute: Callable[[str], str]) -> JSONValue:
    match value:
        case str():
            return substitute(value)
        case dict():
            return {key: _substituted(inner, substitute) for key, inner in cast("JSONObject", value).items()}
        case list():
            return [_substituted(inner, substitute) for inner in value]
        case _:
            return value


def _with_id(item: Item, ids: Callable[[str], str]) -> Item:
    """Return the item with an id, if its type has ids and it has none."""
    untyped: Any = item
    return attrs.evolve(untyped, id=ids("item")) if not getattr(item, "id", "none") else item


def _error(error: ScriptError) -> APIError:
    default_type = "server_error" if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR else "invalid_request_error"
    return APIError.for_status(error.status)(
        error.message or "The script asks for an error.",
        status=error.status,
        code=error.code or None,
        type=error.type or default_type,
        param=error.param or None,
        retry_after=None if error.retry_after is UNSET else error.retry_after,
    )

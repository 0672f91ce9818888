"""A script for the scripted model: rules in a file that say what is answered to what.

A file with the suffix ``.jsonl`` has a rule on each line; any other is a JSON list of them. A rule has conditions, all of
which have to hold, and what is done then, which is a text, a step, or a list of steps::

    [
      {"when": {"contains": "weather", "after": "user"}, "then": {"call": "get_weather", "arguments": {"city": "Paris"}}},
      {"when": {"after": "get_weather"},                 "then": "It is {output} in Paris."},
      {"when": {"matches": "^book (.*)"},                "then": [{"think": "Nothing to lose."}, {"refuse": "No {1} for you."}]},
      {"when": {"contains": "flaky"},                    "then": {"error": {"status": 503, "retry_after": 2}}},
      {"then": "I do not know."}
    ]

The first rule that holds answers. Where none does, the scripted model answers as if there were no script.
"""

from __future__ import annotations

import re
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self, cast

import attrs

from ..codec import dumps, make_converter
from ..exceptions import APIError, DecodeError, LimitExceeded, LocalProtocolError
from ..models._base import Model, model
from ..models.items import CustomToolCall, FunctionCall, Item, MessagePhase, UnknownItem
from ..models.tools import CustomTool
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
    """When a rule holds: all that is stated has to be so."""

    contains: str | Unset = UNSET
    """The last user message has this text in it, in capitals or not."""
    matches: str | Unset = UNSET
    """This regular expression is found in the last user message."""
    after: str | Unset = UNSET
    """What the input ends with: ``user``, ``output`` (of any tool), or the name of the function whose output it is."""
    turn: int | Unset = UNSET
    """Which user message of the conversation the last one is, counted from 1."""
    model: str | Unset = UNSET
    """The model that is asked for."""
    tool: str | Unset = UNSET
    """A tool of this name is offered."""


@model
class ScriptError(Model):
    """An HTTP error instead of a response."""

    status: int
    message: str | Unset = UNSET
    code: str | Unset = UNSET
    type: str | Unset = UNSET
    param: str | Unset = UNSET
    retry_after: float | Unset = UNSET
    """Seconds."""


@model
class ScriptFailure(Model):
    """How a response fails."""

    code: str | Unset = UNSET
    message: str | Unset = UNSET


@model
class RuleStep(Model):
    """One step of an answer: exactly one of its verbs, and what belongs to it."""

    say: str | Unset = UNSET
    phase: MessagePhase | Unset = UNSET
    """Of what is said."""
    refuse: str | Unset = UNSET
    think: str | Unset = UNSET
    call: str | Unset = UNSET
    """The name of a function, or of a custom tool."""
    arguments: JSONObject | str | Unset = UNSET
    """Of the function; a string is taken as it is, so that it may be no JSON."""
    input: str | Unset = UNSET
    """Of the custom tool."""
    item: Item | Unset = UNSET
    """An output item of any kind, as it is on the wire."""
    wait: float | Unset = UNSET
    """Seconds."""
    incomplete: str | Unset = UNSET
    """The reason for which the response stops."""
    fail: ScriptFailure | Unset = UNSET
    error: ScriptError | Unset = UNSET


_VERBS: Final = ("say", "refuse", "think", "call", "item", "wait", "incomplete", "fail", "error")
_ENDS: Final = {"error", "fail", "incomplete"}
_ADDITIONS: Final[Mapping[str, str]] = {"phase": "say", "arguments": "call", "input": "call"}
"""What belongs to a verb -> the verb."""


@model
class ScriptRule(Model):
    """What is done when."""

    when: Condition | Unset = UNSET
    then: list[RuleStep]


_STRICT: Final = make_converter(strict=True)


@attrs.frozen
class ScriptRules:
    """The rules of a file. Verbs: :meth:`read`, or :meth:`parse`; then :meth:`answer` for each turn."""

    rules: tuple[ScriptRule, ...]

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Self:
        """Read a file. Raises ``LocalProtocolError``, which says where the script is wrong."""
        file = Path(path)
        try:
            return cls.parse(file.read_bytes(), lines=file.suffix in (".jsonl", ".ndjson"))
        except OSError as error:
            raise LocalProtocolError(f"cannot read the script {file}: {error.strerror or error}") from error
        except LocalProtocolError as error:
            raise LocalProtocolError(f"{file}: {error}") from error

    @classmethod
    def parse(cls, text: bytes | str, *, lines: bool = False) -> Self:
        """Read the text of a script: one JSON list, or a rule on each of its ``lines``. Raises ``LocalProtocolError``."""
        if lines:
            raw = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
            numbered = [(f"line {n}", line) for n, line in enumerate(raw.splitlines(), 1) if line.strip()]
            return cls(tuple(_rule(_json(line, where), where) for where, line in numbered))
        listed = _json(text, "the script")
        if not isinstance(listed, list):
            raise LocalProtocolError("a script is a list of rules (or a file named .jsonl, with a rule on each line)")
        return cls(tuple(_rule(rule, f"rule {n}") for n, rule in enumerate(listed, 1)))

    def answer(self, turn: ScriptedTurn, ids: Callable[[str], str]) -> list[ScriptedStep] | None:
        """Give what the first rule that holds has to say, or ``None``. Raises the ``APIError`` that a rule asks for."""
        for rule in self.rules:
            names = _holds(rule.when or Condition(), turn)
            if names is not None:
                return [_step(step, turn, names, ids) for step in rule.then]
        return None


# ---- reading


def _json(text: bytes | str, where: str) -> JSONValue:
    value: JSONValue
    try:
        value = _STRICT.json.loads(text)
    except (DecodeError, LimitExceeded) as error:
        raise LocalProtocolError(f"{where}: {error}") from error
    return value


def _rule(value: JSONValue, where: str) -> ScriptRule:
    if isinstance(value, dict) and "then" in value:
        then = value["then"]
        steps = then if isinstance(then, list) else [then]
        value = {**value, "then": [{"say": step} if isinstance(step, str) else step for step in steps]}
    try:
        rule = _STRICT.load(value, ScriptRule)
    except DecodeError as error:
        raise LocalProtocolError(f"{where}: {error}") from error
    problem = next(chain(_strange(rule), _wrong(rule)), None)
    if problem:
        raise LocalProtocolError(f"{where}: {problem}")
    return rule


def _strange(rule: ScriptRule) -> Iterator[str]:
    """Find names that nothing has here."""
    stated = [rule, rule.when, *rule.then, *(step.fail for step in rule.then), *(step.error for step in rule.then)]
    for part in [part for part in stated if part]:
        for name in part.extra:
            known = ", ".join(field.name for field in part.__attrs_attrs__ if field.name != "extra")
            yield f"there is no {name!r} here, only {known}"


def _wrong(rule: ScriptRule) -> Iterator[str]:
    """Find what the types cannot tell."""
    when = rule.when or Condition()
    try:
        re.compile(when.matches or "")
    except re.error as error:
        yield f"'matches' is no regular expression: {error}"
    stated = [[name for name in _VERBS if getattr(step, name) is not UNSET] for step in rule.then]
    for step, verbs in zip(rule.then, stated, strict=True):
        if len(verbs) != 1:
            yield f"a step has exactly one of {', '.join(_VERBS)}, and this one has {' and '.join(verbs) or 'none'}"
        for addition, owner in _ADDITIONS.items():
            if getattr(step, addition) is not UNSET and owner not in verbs:
                yield f"{addition!r} belongs to {owner!r}"
        if step.error and not 400 <= step.error.status <= 599:  # noqa: PLR2004 - HTTP's errors
            yield f"an error has a status from 400 to 599, not {step.error.status}"
        if isinstance(step.item, UnknownItem) and ":" not in step.item.type:
            yield f"there is no item of type {step.item.type!r} (one of your own would be 'name:type')"
    if any(_ENDS & {*verbs} for verbs in stated[:-1]) or ["error"] in stated[1:]:
        yield "nothing follows an error, a failure or an incomplete end, and nothing comes before an error"


# ---- answering


def _holds(when: Condition, turn: ScriptedTurn) -> Mapping[str, str] | None:
    """Tell whether the conditions hold: give what the texts of the answer may refer to, or ``None``."""
    found = re.search(when.matches, turn.prompt) if when.matches else None
    holds = (
        not when.contains or when.contains.lower() in turn.prompt.lower(),
        not when.matches or found is not None,
        not when.after or when.after in _ends(turn),
        not when.turn or when.turn == len(turn.earlier_prompts) + 1,
        not when.model or when.model == turn.request.model,
        not when.tool or when.tool in [offer.name for offer in callable_tools(turn.request.tools or ())],
    )
    if not all(holds):
        return None
    names = {"input": turn.prompt, "output": " ".join(map(output_text, turn.outputs))}
    if found is not None:
        groups = {str(n): text for n, text in enumerate((found[0], *found.groups()))} | found.groupdict()
        names |= {name: text or "" for name, text in groups.items()}
    return names


def _ends(turn: ScriptedTurn) -> set[str]:
    """Give the names for what the context ends with."""
    outputs = turn.outputs
    if not outputs:
        return {"user"}
    calls = {item.call_id: item.name for item in turn.context if isinstance(item, FunctionCall | CustomToolCall)}
    called = (calls.get(str(getattr(output, "call_id", ""))) for output in outputs)
    return {"output", *(name for name in called if name)}


def _step(step: RuleStep, turn: ScriptedTurn, names: Mapping[str, str], ids: Callable[[str], str]) -> ScriptedStep:  # noqa: PLR0911 - one per verb
    def put(text: str) -> str:
        return re.sub(r"\{(\w+)\}", lambda match: names.get(match[1], match[0]), text)

    if isinstance(step.say, str):
        return EmitMessage(text=put(step.say), phase=step.phase or None)
    if isinstance(step.refuse, str):
        return Refuse(text=put(step.refuse))
    if isinstance(step.think, str):
        return EmitReasoning(summaries=(put(step.think),))
    if isinstance(step.call, str):
        return _call(step.call, step, turn, put, ids)
    if step.item:
        return EmitItem(item=_named(step.item, ids))
    if isinstance(step.wait, float | int):
        return Wait(seconds=step.wait)
    if isinstance(step.incomplete, str):
        return EndEarly(reason=step.incomplete)
    if step.fail:
        message = step.fail.message or "The script asks for a failure."
        return Fail(code=step.fail.code or "server_error", message=message)
    raise _error(step.error or ScriptError(status=500))


def _call(
    name: str, step: RuleStep, turn: ScriptedTurn, put: Callable[[str], str], ids: Callable[[str], str]
) -> ScriptedStep:
    tools = turn.request.tools or ()
    if isinstance(step.input, str) or any(isinstance(tool, CustomTool) and tool.name == name for tool in tools):
        text = put(step.input or "")
        call = CustomToolCall(id=ids("ctc"), call_id=ids("call"), name=name, input=text, status="completed")
        return EmitItem(item=call)
    if isinstance(step.arguments, str):
        return EmitCall(name=name, arguments=put(step.arguments))
    return EmitCall(name=name, arguments=dumps(_filled(step.arguments or {}, put)).decode())


def _filled(value: JSONValue, put: Callable[[str], str]) -> JSONValue:
    match value:
        case str():
            return put(value)
        case dict():
            return {key: _filled(inner, put) for key, inner in cast("JSONObject", value).items()}
        case list():
            return [_filled(inner, put) for inner in value]
        case _:
            return value


def _named(item: Item, ids: Callable[[str], str]) -> Item:
    """Give an item an id, where it can have one and has none."""
    made: Any = item
    return attrs.evolve(made, id=ids("item")) if not getattr(item, "id", "none") else item


def _error(stated: ScriptError) -> APIError:
    family = "server_error" if stated.status >= 500 else "invalid_request_error"  # noqa: PLR2004 - HTTP's family of server errors
    return APIError.for_status(stated.status)(
        stated.message or "The script asks for an error.",
        status=stated.status,
        code=stated.code or None,
        type=stated.type or family,
        param=stated.param or None,
        retry_after=None if stated.retry_after is UNSET else stated.retry_after,
    )

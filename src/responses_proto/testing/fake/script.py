"""Scripts for a fake server: answers in turn, by path, or by the content of the request.

::

    Script("One.", "Two.")                                       # in turn; the last one is repeated
    Script("Else.").when("It rains.", contains="weather")        # by the request
    Script("Else.").on("GET", "/responses/resp_1", response)     # by method and path
    Script(ordered=True).when(call, model="m").when("Done.", contains="sunny")   # exactly these requests, in this order
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Final, Protocol, Self, TypeAlias, cast

import attrs

from ...exceptions import UsageError
from ...models.response import Response
from ...typing import UNSET, Unset
from .answers import Answer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from .exchange import Request, ServerExchange

__all__ = ["RequestCondition", "Script", "ScriptStep", "Scriptable", "called", "perform"]

_SHOWN: Final = 500  # characters of a body

Plain: TypeAlias = str | Response | Answer
Scriptable: TypeAlias = "Plain | Callable[[ServerExchange], Plain | Awaitable[Plain | None] | None]"
"""An answer to a request: a text, a response, an ``Answer``, or a function of the exchange.

A function, ``async`` or not, returns one of the others, or ``None`` if it has sent the answer itself.
"""


class RequestCondition(Protocol):
    """Decides which requests an answer is for. ``str()`` describes it in readable form."""

    def fits(self, request: Request) -> bool:
        """Return whether the answer is for this request."""
        ...


@attrs.frozen
class _Condition:
    """Decides which requests an answer is for. If empty: all requests that have no more specific answer."""

    endpoint: tuple[str, str] | None = None
    json: Any = UNSET
    contains: str = ""

    def fits(self, request: Request) -> bool:
        if self.endpoint is not None:
            return request.method == self.endpoint[0] and self.endpoint[1] in (request.path, request.endpoint)
        if self.json is UNSET and not self.contains:
            return True
        if request.method != "POST" or request.endpoint != "/responses":
            return False
        body = _json_of(request)
        if not isinstance(self.json, Unset) and not _agrees(body, self.json):
            return False
        return not self.contains or any(self.contains in text for text in _texts(body))

    def __str__(self) -> str:
        if self.endpoint is not None:
            return " ".join(self.endpoint)
        said = [f"json={self.json!r}"] if self.json is not UNSET else []
        return ", ".join([*said, *([f"contains={self.contains!r}"] if self.contains else [])]) or "any request"


@attrs.define(eq=False)
class ScriptStep:
    """An answer, and how often it was given."""

    condition: RequestCondition
    answer: Scriptable
    used: int = 0

    def __str__(self) -> str:
        return f"{self.answer!r:.60} for {self.condition}"


class Script:
    """Answers to requests. A script counts the answers that it has given, so use it for one server only.

    ``answers``: the answers for requests that match no condition of :meth:`on` or :meth:`when`.
    ``ordered``: give all answers in the order in which they were added, each once. A request that does not match the condition of the
    next answer is an error.

    Answers with the same condition are given in turn; the last of them is also given to all later requests. A request without an answer
    is an error of the script (``UsageError``); see :class:`FakeServer`. :meth:`assert_all_used` checks that every answer was given.
    """

    checks_requests = True
    """Whether the server refuses invalid requests before it asks the script."""

    def __init__(self, *answers: Scriptable, ordered: bool = False) -> None:
        self._ordered = ordered
        self._steps: list[ScriptStep] = []
        self._add(_Condition(), answers)

    def on(self, method: str, path: str, *answers: Scriptable) -> Self:
        """Add answers for this method and path, and return the script.

        ``path`` is percent-encoded, and either complete or relative to the base URL (``/responses/resp_1``). The server then answers
        requests for this path even if it is not part of the API.
        """
        return self._add(_Condition(endpoint=(method.upper(), path)), answers)

    def when(
        self,
        *answers: Scriptable,
        model: str | Unset = UNSET,
        json: Mapping[str, Any] | Unset = UNSET,
        contains: str = "",
    ) -> Self:
        """Add answers for requests that create a response and match all conditions, and return the script.

        ``model``: the model that the request names.
        ``json``: fields of its body; the body and its objects may have additional fields.
        ``contains``: a text that occurs in a string of its body.

        Conditions are tried in the order in which they were added. Raises ``UsageError`` without any condition or without any answer.
        """
        fields = dict(json) if not isinstance(json, Unset) else {}
        if not isinstance(model, Unset):
            fields["model"] = model
        if not answers or not (fields or contains):
            raise UsageError("expected answers and a condition: script.when('It rains.', contains='weather')")
        return self._add(_Condition(json=fields or UNSET, contains=contains), answers)

    def names(self, request: Request) -> bool:
        """Return whether :meth:`on` has answers for this method and path."""
        return any(
            isinstance(step.condition, _Condition) and step.condition.endpoint and step.condition.fits(request)
            for step in self._steps
        )

    @property
    def unused(self) -> list[str]:
        """The answers that were not given, with their conditions."""
        return [str(step) for step in self._steps if not step.used]

    def assert_all_used(self) -> None:
        """Raise ``AssertionError`` if an answer was never given."""
        if self.unused:
            raise AssertionError("these answers were not used:\n" + "\n".join(f"- {each}" for each in self.unused))

    async def __call__(self, exchange: ServerExchange) -> None:
        """Answer one request."""
        step = self._find(exchange.request)
        step.used += 1
        await perform(step.answer, exchange)

    def _add(self, condition: _Condition, answers: tuple[Scriptable, ...]) -> Self:
        self._steps += [ScriptStep(condition, answer) for answer in answers]
        return self

    def _find(self, request: Request) -> ScriptStep:
        target = f"{request.method} {request.path}"
        if self._ordered:
            step = next((step for step in self._steps if not step.used), None)
            if step is None:
                raise UsageError(f"the script has no answer to {target}: all {len(self._steps)} were given")
            if not step.condition.fits(request):
                raise UsageError(f"the next request must be: {step.condition}; got {target} {_shown(request)}")
            return step
        fitting = [step for step in self._steps if step.condition.fits(request)]
        special = [step for step in fitting if step.condition != _Condition()]
        found = [step for step in fitting if step.condition == (special or fitting)[0].condition]
        if not found:
            conditions = dict.fromkeys(f"\n- {step.condition}" for step in self._steps)
            raise UsageError(
                f"the script has no answer to {target} {_shown(request)}; it has answers for:{''.join(conditions) or ' nothing'}"
            )
        return next((step for step in found if not step.used), found[-1])


def _shown(request: Request) -> str:
    return request.body.decode("utf-8", "replace")[:_SHOWN]


def _json_of(request: Request) -> Any:
    try:
        return request.json
    except (ValueError, RecursionError):
        return None


def _agrees(value: Any, wanted: Any) -> bool:
    """Return whether a JSON value equals the wanted value. Its objects may have additional fields."""
    if isinstance(wanted, dict):
        fields = cast("dict[str, Any]", wanted)
        return isinstance(value, dict) and all(
            name in value and _agrees(value[name], each) for name, each in fields.items()
        )
    if isinstance(wanted, list | tuple):
        elements, given = cast("list[Any]", wanted), cast("list[Any]", value)
        return isinstance(value, list) and len(given) == len(elements) and all(map(_agrees, given, elements))
    return bool(value == wanted) and isinstance(value, bool) == isinstance(wanted, bool)


def _texts(value: Any) -> list[str]:
    """Return the strings in a JSON value."""
    texts: list[str] = []
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, str):
            texts.append(each)
        elif isinstance(each, dict | list):
            waiting += cast("dict[str, Any]", each).values() if isinstance(each, dict) else cast("Iterable[Any]", each)
    return texts


async def called(script: object, exchange: ServerExchange) -> object:
    """Call a function, ``async`` or not, with the exchange and return its result. Anything else is returned unchanged."""
    found: object = script(exchange) if callable(script) else script
    return await found if inspect.isawaitable(found) else found


async def perform(script: Scriptable | Script, exchange: ServerExchange) -> None:
    """Answer one request with a script. Raises ``UsageError`` if the value cannot be used as a script."""
    if isinstance(script, Script):
        await script(exchange)
        return
    answer = await called(script, exchange)
    if answer is None and callable(script):
        return
    if isinstance(answer, str):
        answer = Answer.text(answer)
    elif isinstance(answer, Response):
        answer = Answer.response(answer)
    if not isinstance(answer, Answer):
        raise UsageError(f"a script must give a text, a Response or an Answer, got {answer!r:.80}")
    await exchange.answer(answer)

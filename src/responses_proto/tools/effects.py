"""The effects of a run, for engines of durable execution, which store each result and replay it after a crash.

::

    async def on_effect(effect, perform):
        if effect.key not in journal:
            journal[effect.key] = await perform()       # JSON, both ways
        return journal[effect.key]

    async with client.run(model=..., input=..., tools=[...], on_effect=on_effect) as run: ...

A run calls ``on_effect`` once for each effect, instead of performing it. The function calls ``perform`` and returns its
result, or returns a stored result. A run that is started again with the same request and gets the same results makes
the same calls. With an engine such as Temporal, DBOS or Prefect, ``perform`` is the body of a step whose name is the key.

=============  =============================  ========================================================
``kind``       ``input``                      result
=============  =============================  ========================================================
``"request"``  the request, without           the response, as ``client.create`` returns it
               ``stream``
``"tool"``     the call                       ``{"output": item, "failed": bool}``; the item answers the
                                              call
=============  =============================  ========================================================

All of these are wire objects. A step that runs elsewhere can therefore do the work with the ``input`` alone, without
``perform``. The events of a response are published only if ``perform`` is called.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import attrs

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from ..typing import JSONObject

__all__ = ["Effect", "OnEffect", "Perform"]


@attrs.frozen(kw_only=True)
class Effect:
    """A request to the model, or the execution of a call."""

    kind: Literal["request", "tool"]
    key: str
    """The name of the effect in its run: the number of the turn, and for a tool the id of the call. The same in each
    replay: ``request/1``, ``tool/1/call_7``."""
    input: dict[str, Any] = attrs.field(repr=False)
    """The request or the call, as on the wire."""


Perform: TypeAlias = "Callable[[], Awaitable[dict[str, Any]]]"
"""Performs the effect and returns its result. Raises only for a request that failed, and then may be called again. A tool
that fails is a result."""

OnEffect: TypeAlias = "Callable[[Effect, Perform], Awaitable[JSONObject]]"
"""Called for each effect of a run. An exception from it ends the run."""

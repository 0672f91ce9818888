"""Check the rules of a server over a WebSocket, one function for each rule."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

from ...models.items import FunctionCallOutput, Message
from ...models.response import CompactedResponse
from ...protocol.emitter import random_id
from ...protocol.websocket import PREVIOUS_NOT_FOUND
from ._probe import CheckFailed, Skipped

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from ._probe import JSONDict, Probe
    from ._probe_socket import ProbeSocket

_BAD_REQUEST: Final = 400


async def _websocket(probe: Probe) -> None:
    async with probe.connect() as socket:
        if not (await probe.completed_turn(socket)).output_text:
            raise CheckFailed("the response has no output_text")


async def _sequential(probe: Probe) -> None:
    async with probe.connect() as socket:
        first = await probe.completed_turn(socket)
        second = await probe.completed_turn(socket, input="Say goodbye.")
        if first.id == second.id:
            raise CheckFailed(f"both responses have the id {first.id!r}")


async def _continuation(probe: Probe) -> None:
    async with probe.connect() as socket:
        first = await probe.completed_turn(socket)
        await probe.completed_turn(socket, previous_response_id=first.id)


async def _reconnect(probe: Probe) -> None:
    async with probe.connect() as socket:
        first = await probe.completed_turn(socket)
    async with probe.connect() as socket:
        await _assert_not_found(probe, socket, first.id)
        await probe.completed_turn(socket)


async def _unknown(probe: Probe) -> None:
    async with probe.connect() as socket:
        await _assert_not_found(probe, socket, random_id("resp"))


async def _evicted(probe: Probe) -> None:
    async with probe.connect() as socket:
        first = await probe.completed_turn(socket)
        orphan = FunctionCallOutput(call_id=random_id("call"), output="x")
        events = await probe.turn(socket, input=[orphan], previous_response_id=first.id)
        if events[-1].get("type") == "response.completed":
            raise Skipped("not checked: the server accepts what should make the continuation fail")
        await _assert_not_found(probe, socket, first.id)


async def _compacted(probe: Probe) -> None:
    history = [Message(role="user", content="My name is Ada.")]
    content: JSONDict = {"model": probe.model, "input": history}
    reply = (await probe.request("POST", "responses", "compact", content=content)).skip_unless_offered()
    compacted = reply.parse(CompactedResponse)
    async with probe.connect() as socket:
        await probe.completed_turn(socket, input=[*compacted.output, Message(role="user", content="Say hello.")])


async def _assert_not_found(probe: Probe, socket: ProbeSocket, previous: str) -> None:
    """Fail unless a request that continues a response is answered by ``previous_response_not_found``."""
    last = (await probe.turn(socket, previous_response_id=previous))[-1]
    error: Any = last.get("error")
    code = cast("JSONDict", error).get("code") if isinstance(error, dict) else None
    if last.get("type") != "error" or code != PREVIOUS_NOT_FOUND or last.get("status") != _BAD_REQUEST:
        got = f"{last.get('type')}, status {last.get('status')}, code {code!r}"
        raise CheckFailed(f"expected an error of status 400 with the code {PREVIOUS_NOT_FOUND!r}, got {got}")


WEBSOCKET_CHECKS: Final[Mapping[str, Callable[[Probe], Awaitable[None]]]] = {
    "websocket": _websocket,
    "websocket-sequential": _sequential,
    "websocket-continuation": _continuation,
    "websocket-reconnect": _reconnect,
    "websocket-unknown": _unknown,
    "websocket-evicted": _evicted,
    "websocket-compacted": _compacted,
}
"""Rule id -> its check."""

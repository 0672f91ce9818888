"""The Responses API in front of any provider of Chat Completions: a handler for :class:`~responses_proto.server.ResponsesApp`.

::

    bridge = ChatBridge(ChatUpstream("https://router.huggingface.co/v1"), allow_mcp=["gitmcp.io"])
    app = ResponsesApp(bridge, lifespan=lambda: bridge)

The application provides storage, ``previous_response_id``, conversations, background, resuming, WebSocket and idempotency. The bridge
answers one request:

1. It chooses the upstream by the request's ``model``.
2. It lists the tools of MCP servers that have no listing in the context yet, and runs approved calls.
3. It creates the body with ``to_chat``, sends it to the upstream, and writes the answer into the response with ``ChatDecoder``, as it
   arrives.
4. If the model called MCP or hosted tools, it runs them, and repeats step 3 with the results. The response ends when the model makes no
   such call, when it calls a function of the client, when a call needs approval, or at a limit.
"""

from __future__ import annotations

import importlib.util
import logging
import time
from typing import TYPE_CHECKING, Any, Final, Literal

import anyio
import attrs
from anyio.abc import AsyncResource

from ..exceptions import APIError, ResponsesProtoError, UsageError
from ..models.tools import ToolChoiceAllowed
from ..protocol._requests import INVALID, invalid
from ..tools.loop import add_usage
from ._failures import bad_gateway, failure_for_client
from ._hosted import stand_ins
from ._hosts import AllowedHosts
from ._server_tools import Listings, ServerTools, ToolBounds
from .decoder import ChatDecoder
from .translation import to_chat
from .upstream import ChatUpstream

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ..models.items import Item
    from ..models.request import CreateResponse
    from ..models.response import Usage
    from ..server.reply import Reply
    from ..tools.executors import ToolExecutor

__all__ = ["ChatBridge"]

_MODELS_LIFE: Final = 60.0
"""Seconds for which the model names of an upstream are cached."""
_MODELS_TIMEOUT: Final = 10.0

_log: Final = logging.getLogger(__name__)


class ChatBridge(AsyncResource):
    """Answers requests with providers of Chat Completions. Pass it to :class:`~responses_proto.server.ResponsesApp`.

    - ``upstreams``: one upstream for all models; or several by name, selected by a model of the form ``name/model``.
    - ``models``: aliases of models, each with its target (``{"small": "local/qwen3"}``).
    - ``allow_mcp``: the hosts of MCP servers that requests may name: ``"gitmcp.io"``, ``"*.example.com"``, ``"*"`` for every public
      host; an address or a network (``"10.0.0.0/8"``) for hosts that are not public; each with an optional port. Default: none.
    - ``tools``: executors for hosted tools, by type: ``{"web_search": search}``. Each defines one function, which the model calls.
      Hosted tools without an executor are refused (400). ``None`` for a type leaves such tools out, so that the model does not see them.
    - ``max_turns``: the maximum number of requests to the model for one response.
    - ``bounds``: limits on the tool calls of one response.
    - ``unknown_parameters``: ``"pass"`` passes parameters that the Responses API does not define on to the provider.

    ``async with`` closes the upstreams at its end. Raises ``UsageError`` for an invalid argument, and ``ImportError`` if ``allow_mcp`` is
    given and the extra ``mcp`` is not installed.
    """

    def __init__(
        self,
        upstreams: ChatUpstream | Mapping[str, ChatUpstream],
        *,
        models: Mapping[str, str] | None = None,
        allow_mcp: Iterable[str] = (),
        tools: Mapping[str, ToolExecutor | None] | None = None,
        max_turns: int = 16,
        bounds: ToolBounds | None = None,
        unknown_parameters: Literal["refuse", "pass"] = "refuse",
    ) -> None:
        self._upstreams: dict[str, ChatUpstream] = (
            {"": upstreams} if isinstance(upstreams, ChatUpstream) else {**upstreams}
        )
        if not self._upstreams:
            raise UsageError("a ChatBridge needs at least one upstream")
        for name in self._upstreams:
            if "/" in name or (not name and not isinstance(upstreams, ChatUpstream)):
                raise UsageError(f"the name of an upstream must not be empty or have a slash, got {name!r}")
        if max_turns < 1:
            raise UsageError(f"max_turns must be at least 1, got {max_turns!r}")
        self._table = dict(models or {})
        for name, target in self._table.items():
            if self._find(target) is None:
                raise UsageError(f"models: the target {target!r} of {name!r} names no upstream")
        self._allowed = AllowedHosts(allow_mcp)
        if self._allowed and importlib.util.find_spec("mcp") is None:
            raise ImportError("allow_mcp needs mcp 2.3 or newer: pip install 'responses-proto[mcp]'")
        self._hosted = stand_ins(tools or {})
        self._executors = {type_: executor for type_, executor in (tools or {}).items() if executor is not None}
        self.max_turns: int = max_turns
        """The maximum number of requests to the model for one response."""
        self._bounds = bounds or ToolBounds()
        self._unknown_parameters: Literal["refuse", "pass"] = unknown_parameters
        self._listings = Listings()
        self._known_models: dict[str, tuple[float, list[str]]] = {}

    async def aclose(self) -> None:
        """Close the connections of all upstreams. Idempotent."""
        for upstream in self._upstreams.values():
            await upstream.aclose()

    # Models

    def _find(self, model: str) -> tuple[str, ChatUpstream, str] | None:
        """Return the name of the upstream of a model, the upstream, and the model's name there; ``None`` if there is none."""
        name, slash, rest = model.partition("/")
        if slash and rest and name in self._upstreams:
            return name, self._upstreams[name], rest
        if len(self._upstreams) == 1:
            ((name, upstream),) = self._upstreams.items()
            return name, upstream, model
        return None

    def _route(self, model: str) -> tuple[str, ChatUpstream, str]:
        found = self._find(self._table.get(model, model))
        if found is None:
            names = ", ".join(f"{name}/…" for name in self._upstreams)
            message = f"The model {model!r} does not exist: the models of this server are {names}."
            raise APIError.for_status(404)(message, status=404, type=INVALID, code="model_not_found", param="model")
        return found

    async def models(self, headers: Mapping[str, str]) -> list[str]:
        """Return the names of the models of all upstreams. ``headers`` are those of the request, for keys that are forwarded.

        An upstream that fails is left out. Raises ``APIError`` if all upstreams fail.
        """
        found: dict[str, list[str] | ResponsesProtoError] = {}

        async def ask(name: str, upstream: ChatUpstream) -> None:
            try:
                with anyio.fail_after(_MODELS_TIMEOUT):
                    found[name] = await self._models_of(name, upstream, headers)
            except ResponsesProtoError as error:
                found[name] = error
            except TimeoutError:
                found[name] = bad_gateway("The model's server did not answer in time.", "upstream_timeout", status=504)

        async with anyio.create_task_group() as tasks:
            for name, upstream in self._upstreams.items():
                tasks.start_soon(ask, name, upstream)
        names = [*self._table]
        errors: list[ResponsesProtoError] = []
        for name, upstream in self._upstreams.items():
            answer = found[name]
            if isinstance(answer, ResponsesProtoError):
                _log.warning("the models of the upstream %r are not known: %s", name or upstream.base_url, answer)
                errors.append(failure_for_client(answer, name, forwarded=upstream.forwards_key))
            else:
                names += [f"{name}/{model}" if name else model for model in answer]
        if errors and len(errors) == len(self._upstreams):
            raise errors[0]
        return [*dict.fromkeys(names)]

    async def _models_of(self, name: str, upstream: ChatUpstream, headers: Mapping[str, str]) -> list[str]:
        if upstream.forwards_key:  # models may differ by key
            return await upstream.models(api_key=_key_in(headers))
        until, names = self._known_models.get(name, (0.0, []))
        if until < time.monotonic():
            names = await upstream.models()
            self._known_models[name] = (time.monotonic() + _MODELS_LIFE, names)
        return names

    # Responses

    async def __call__(self, request: CreateResponse, reply: Reply) -> None:
        """Answer one request. Raises the ``APIError`` for the client if the request is invalid or the upstream fails."""
        name, upstream, model = self._route(request.model or "")
        api_key = _key_in(reply.headers) if upstream.forwards_key else None
        # Clients may follow the events of a response in the background even if `stream` was not set.
        asked = attrs.evolve(request, model=model, stream=bool(request.stream or request.background))
        tools = ServerTools(
            asked,
            reply,
            allowed=self._allowed,
            executors=self._executors,
            listings=self._listings,
            bounds=self._bounds,
        )
        if not asked.model:
            raise invalid("The request must name a model.", "model", "missing_required_parameter")
        async with tools:
            await _Answer(self, name, upstream, api_key, tools, reply).write(asked)

    def body(self, request: CreateResponse, context: Sequence[Item], upstream: ChatUpstream) -> dict[str, Any]:
        """Return the body to send to an upstream for a request. Raises ``APIError`` (400) if the upstream does not support it."""
        return to_chat(
            request,
            context,
            upstream.profile,
            unknown_parameters=self._unknown_parameters,
            hosted=self._hosted,
        )

    def decoder(
        self, request: CreateResponse, context: Sequence[Item], upstream: ChatUpstream, reply: Reply
    ) -> ChatDecoder:
        """Start the response, and return a decoder that writes one turn of an upstream into it."""
        return ChatDecoder(
            reply.emitter(), request, context, upstream.profile, hosted=self._hosted, limits=upstream.limits
        )


class _Answer:
    """Writes one response."""

    def __init__(
        self,
        bridge: ChatBridge,
        name: str,
        upstream: ChatUpstream,
        api_key: str | None,
        tools: ServerTools,
        reply: Reply,
    ) -> None:
        self._bridge = bridge
        self._name = name or upstream.base_url
        self._upstream = upstream
        self._api_key = api_key
        self._tools = tools
        self._reply = reply
        self._usage: Usage | None = None
        self._last_usage: Usage | None = None

    async def write(self, request: CreateResponse) -> None:
        """Write the response, to its end."""
        tools, reply = self._tools, self._reply
        # Check the request before anything is written: only until then can an error become an HTTP error.
        if tools.has_work():
            self._bridge.body(attrs.evolve(request, tool_choice="auto"), tools.context(), self._upstream)
            await tools.list_tools()
            await tools.run_approved()
        body = self._bridge.body(request, tools.context(), self._upstream)
        for turn in range(1, self._bridge.max_turns + 1):
            decoder = await self._ask(request, body)
            if decoder is None:
                return
            if decoder.incomplete_reason is not None:
                await reply.incomplete(decoder.incomplete_reason, self._usage)
                return
            waits = await tools.answer(decoder.mcp_calls, decoder.hosted_calls)
            if waits or decoder.calls or not (decoder.mcp_calls or decoder.hosted_calls):
                await reply.complete(self._usage)
                return
            request = self._following(request, is_last=turn + 1 == self._bridge.max_turns or tools.calls_left <= 0)
            if request.max_output_tokens == 0:
                await reply.incomplete("max_output_tokens", self._usage)
                return
            body = self._bridge.body(request, tools.context(), self._upstream)
        await reply.incomplete("max_tool_calls", self._usage)

    def _following(self, request: CreateResponse, *, is_last: bool) -> CreateResponse:
        """Return the request for the turn that follows calls of server tools."""
        choice = request.tool_choice
        if is_last:
            choice = "none"
        elif isinstance(choice, ToolChoiceAllowed):
            choice = attrs.evolve(choice, mode="auto")
        elif choice != "none":
            choice = "auto"  # the required call has been made
        left = request.max_output_tokens
        if left and self._last_usage is not None:
            left = max(0, left - self._last_usage.output_tokens)
        return attrs.evolve(request, tool_choice=choice, max_output_tokens=left)

    async def _ask(self, request: CreateResponse, body: dict[str, Any]) -> ChatDecoder | None:
        """Send one request to the upstream, and write its answer. Return ``None`` if this failed midway and the response has failed.

        Raises ``APIError`` if the upstream failed before any output, so that the error can become an HTTP error.
        """
        reply = self._reply
        try:
            async with self._upstream.open(body, api_key=self._api_key) as answer:
                decoder = self._bridge.decoder(request, self._tools.context(), self._upstream, reply)
                await reply.send([])
                if answer.is_stream:
                    async for piece in answer:
                        events = decoder.receive_data(piece)
                        if events:
                            answer.note_progress()
                            await reply.send(events)
                        if decoder.ended:
                            break
                    await reply.send(decoder.receive_eof())
                    await answer.drain()
                else:
                    await reply.send(decoder.receive_completion(await answer.read()))
                if decoder.error is not None:
                    raise decoder.error
        except ResponsesProtoError as error:
            failure = failure_for_client(error, self._name, forwarded=self._api_key is not None)
            if not reply.response.output:
                raise failure from error
            code, type_ = failure.code or "server_error", failure.type or "server_error"
            await reply.fail(code, failure.message, type=type_, param=failure.param, usage=self._usage)
            return None
        self._last_usage = decoder.usage
        self._usage = add_usage(self._usage, decoder.usage)
        return decoder


def _key_in(headers: Mapping[str, str]) -> str:
    """Return the API key that a client sent. Raises ``APIError`` (401) if it sent none."""
    scheme, _, key = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not key.strip():
        message = "Send your API key for the model's server: 'Authorization: Bearer ...'."
        raise APIError.for_status(401)(message, status=401, type=INVALID, code="invalid_api_key")
    return key.strip()

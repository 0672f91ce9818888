"""Requests that the fake server refuses without asking the script, as a real server does: unknown paths and invalid bodies."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast

from ...exceptions import APIError
from ...models.conversations import CreateConversation, CreateConversationItems, UpdateConversation
from ...models.request import CompactRequest, CreateResponse, InputTokensRequest, ResponseCreateMessage
from ...protocol._requests import INVALID, check_create, invalid, parse_json, read_body, read_value
from ...protocol.websocket import CLIENT_MESSAGES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ...codec import Converter
    from ...models._base import Model
    from .exchange import Request

_Body: TypeAlias = "tuple[type[Model], Sequence[str]] | None"
"""The model of a body and its required fields; ``None`` if the endpoint has no body or accepts any body."""

_ENDPOINTS: Final[Mapping[str, Mapping[str, _Body]]] = {
    "/responses": {"POST": (CreateResponse, ())},
    "/responses/compact": {"POST": (CompactRequest, ("model",))},
    "/responses/input_tokens": {"POST": (InputTokensRequest, ())},
    "/responses/*": {"GET": None, "DELETE": None},
    "/responses/*/cancel": {"POST": None},
    "/responses/*/input_items": {"GET": None},
    "/conversations": {"POST": (CreateConversation, ())},
    "/conversations/*": {"GET": None, "POST": (UpdateConversation, ()), "DELETE": None},
    "/conversations/*/items": {"GET": None, "POST": (CreateConversationItems, ("items",))},
    "/conversations/*/items/*": {"GET": None, "DELETE": None},
    "/models": {"GET": None},
    "/models/**": {"GET": None},  # names of models have slashes
}
"""Path below the base URL -> method -> body. ``*`` matches one segment. The first row that matches is used."""
_PATTERNS: Final = [
    (re.compile(path.replace("**", ".+").replace("*", "[^/]+")), methods) for path, methods in _ENDPOINTS.items()
]
_HANDSHAKE: Final = "/responses"


def check_request(request: Request, converter: Converter, *, scripted: bool) -> None:
    """Raise ``APIError`` if a server of the Responses API would refuse the request: 404 and 405 for its path, 400 for its body.

    ``scripted``: whether the script has answers for this method and path. The API then need not have the path.
    """
    if request.message:
        _check_message(request, converter)
        return
    path = request.endpoint
    methods = next((methods for pattern, methods in _PATTERNS if path is not None and pattern.fullmatch(path)), None)
    target = f"{request.method} {request.path}"
    if scripted or (request.wants_websocket and path == _HANDSHAKE):
        pass
    elif methods is None:
        raise APIError.for_status(404)(f"There is no endpoint {target}.", status=404, type=INVALID, code="unknown_url")
    elif request.method not in methods:
        message = f"{target} is not allowed: the path supports {' and '.join(methods)}."
        raise APIError.for_status(405)(message, status=405, type=INVALID, code="method_not_allowed")
    body = (methods or {}).get(request.method)
    if body is not None:
        model, required = body
        value = read_body(
            request.body or (b"{}" if model is CreateConversation else b""), model, converter, required=required
        )
        if isinstance(value, CreateResponse):
            check_create(value)


def _check_message(request: Request, converter: Converter) -> None:
    value: Any = parse_json(request.body, converter)
    event_type = cast("dict[str, Any]", value).get("type") if isinstance(value, dict) else None
    if event_type not in CLIENT_MESSAGES:
        raise invalid(f"There is no message of the type {event_type!r:.80}.", "type", "invalid_value")
    if event_type == ResponseCreateMessage.type:
        message = read_value(cast("Any", value), ResponseCreateMessage, converter)
        if not message.model and not message.prompt:
            raise invalid("The parameter 'model' is missing.", "model", "missing_required_parameter")

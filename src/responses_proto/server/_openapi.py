"""The description of the application's endpoints as an OpenAPI 3.1 document.

The document is built from the routes of the application, the table :data:`OPERATIONS`, and the schemas of the models.

An event stream has the media type ``text/event-stream``. Its ``schema`` describes one event, the JSON in each ``data:`` line, as in
the Open Responses document. ``x-itemSchema`` repeats that schema for tools that support ``itemSchema``, which OpenAPI 3.2 adds and
3.1 does not allow. OpenAPI cannot describe a WebSocket: ``x-websocket`` lists its messages.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import attrs

from .._version import __version__
from ..codec import dumps
from ..models.conversations import (
    Conversation,
    ConversationItemList,
    CreateConversation,
    CreateConversationItems,
    DeletedConversation,
    UpdateConversation,
)
from ..models.events import Event
from ..models.items import Item
from ..models.request import ClientEvent, CompactRequest, CreateResponse, InputTokensRequest, ListParams, RetrieveParams
from ..models.response import CompactedResponse, DeletedResponse, InputTokenCount, Response, ResponseItemList
from ..protocol._requests import DEFAULT_LIMIT, MAX_LIMIT
from ..schema._models import ModelSchemas

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from ..models._base import Model
    from ..typing import JSONObject

_COMPONENTS: Final = "#/components/schemas/"
_STREAM: Final = "One event per frame, as JSON in its `data:` line; its `event:` line repeats the type. The last frame is `data: [DONE]`."


@attrs.frozen
class Operation:
    """An HTTP method of a path: its request and its response."""

    id: str
    summary: str
    answer: Any
    """The type of the response body, or the name of a component that is not a model."""
    body: type[Model] | None = None
    """The type of the request body."""
    may_be_empty: bool = False
    """Whether the request body may be left out."""
    query: type[Model] | None = None
    """The type of the query parameters."""
    streams: bool = False
    """Whether the response can be a stream of events."""
    headers: Mapping[str, str] = attrs.field(factory=dict[str, str])
    """Optional request header -> its description."""


OPERATIONS: Final[Mapping[tuple[str, str], Operation]] = {
    ("POST", "/responses"): Operation(
        "createResponse",
        "Create a response: JSON, or with `stream` a stream of events.",
        Response,
        body=CreateResponse,
        streams=True,
        headers={"Idempotency-Key": "A repeated request with the same key and body gets the earlier response."},
    ),
    ("GET", "/responses/{response_id}"): Operation(
        "getResponse",
        "Return a stored response, or with `stream` its events.",
        Response,
        query=RetrieveParams,
        streams=True,
    ),
    ("DELETE", "/responses/{response_id}"): Operation("deleteResponse", "Delete a stored response.", DeletedResponse),
    ("POST", "/responses/{response_id}/cancel"): Operation(
        "cancelResponse", "Cancel a response that runs in the background.", Response
    ),
    ("GET", "/responses/{response_id}/input_items"): Operation(
        "listInputItems", "List the items that a response was made from.", ResponseItemList, query=ListParams
    ),
    ("POST", "/responses/compact"): Operation(
        "compactResponse", "Shorten a history.", CompactedResponse, body=CompactRequest
    ),
    ("POST", "/responses/input_tokens"): Operation(
        "countInputTokens", "Count the tokens of an input.", InputTokenCount, body=InputTokensRequest
    ),
    ("POST", "/conversations"): Operation(
        "createConversation", "Create a conversation.", Conversation, body=CreateConversation, may_be_empty=True
    ),
    ("GET", "/conversations/{conversation_id}"): Operation(
        "getConversation", "Return a conversation, without its items.", Conversation
    ),
    ("POST", "/conversations/{conversation_id}"): Operation(
        "updateConversation", "Replace the metadata of a conversation.", Conversation, body=UpdateConversation
    ),
    ("DELETE", "/conversations/{conversation_id}"): Operation(
        "deleteConversation", "Delete a conversation.", DeletedConversation
    ),
    ("GET", "/conversations/{conversation_id}/items"): Operation(
        "listConversationItems", "List the items of a conversation.", ConversationItemList, query=ListParams
    ),
    ("POST", "/conversations/{conversation_id}/items"): Operation(
        "createConversationItems",
        "Add items to a conversation. Returns the added items.",
        ConversationItemList,
        body=CreateConversationItems,
    ),
    ("GET", "/conversations/{conversation_id}/items/{item_id}"): Operation(
        "getConversationItem", "Return an item of a conversation.", Item
    ),
    ("DELETE", "/conversations/{conversation_id}/items/{item_id}"): Operation(
        "deleteConversationItem", "Delete an item of a conversation.", Conversation
    ),
    ("GET", "/models"): Operation("listModels", "List the models.", "ModelList"),
    ("GET", "/models/{model}"): Operation("getModel", "Return a model.", "Model"),
}
"""Method and path -> their description. The keys are exactly the routes of the application."""

_STRICTER: Final[Mapping[str, JSONObject]] = {
    "limit": {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT},
    "order": {"enum": ["asc", "desc"], "default": "desc"},
}
"""Query parameter -> its schema, where this server accepts less than the protocol allows."""

_NULLABLE_STRING: Final = {"type": ["string", "null"]}
_OWN_SCHEMAS: Final[Mapping[str, JSONObject]] = {
    "ErrorResponse": {
        "type": "object",
        "description": "The body of every response with a status of 400 or above.",
        "properties": {
            "error": {
                "type": "object",
                "properties": {
                    "message": {"type": "string"},
                    "type": {"type": "string", "description": "`invalid_request_error`, `server_error`, and others."},
                    "param": {**_NULLABLE_STRING, "description": "The parameter at fault, such as `input[0].content`."},
                    "code": _NULLABLE_STRING,
                },
                "required": ["message", "type", "param", "code"],
            }
        },
        "required": ["error"],
    },
    "Model": {
        "type": "object",
        "properties": {
            "id": {"type": "string", "description": "The name of the model."},
            "object": {"const": "model"},
            "created": {"type": "integer", "description": "Seconds since 1970."},
            "owned_by": {"type": "string"},
        },
        "required": ["id", "object", "created", "owned_by"],
    },
    "ModelList": {
        "type": "object",
        "properties": {
            "object": {"const": "list"},
            "data": {"type": "array", "items": {"$ref": f"{_COMPONENTS}Model"}},
        },
        "required": ["object", "data"],
    },
}
"""The components that are not models."""

_ERRORS: Final = {
    "400": "The request is wrong.",
    "401": "The API key is missing or wrong.",
    "404": "An id in the request does not exist.",
    "413": "The body is too large.",
    "default": "Any other error, such as a failure of the model.",
}
"""Status -> description of the error."""


def openapi_document(routes: Mapping[str, Collection[str]], *, has_keys: bool) -> bytes:
    """Return the document as JSON, without ``servers`` (see :func:`with_servers`).

    ``routes`` maps paths in Starlette's syntax to methods. ``has_keys`` states whether requests need an API key.
    """
    schemas = ModelSchemas(_COMPONENTS)
    paths: dict[str, dict[str, Any]] = {}
    for route, methods in routes.items():
        path = re.sub(r":\w+}", "}", route)  # {model:path} -> {model}
        paths[path] = {
            method.lower(): _operation(OPERATIONS[method, path], path, schemas, has_keys=has_keys) for method in methods
        }
    paths["/responses"]["x-websocket"] = {
        "description": "A WebSocket connection to this path takes any number of requests.",
        "sends": schemas.of(ClientEvent),
        "receives": schemas.of(Event),
    }
    components: dict[str, Any] = {
        "schemas": {**dict(sorted(schemas.definitions.items())), **_OWN_SCHEMAS},
        "headers": {"RequestId": {"description": "The id of the request.", "schema": {"type": "string"}}},
        "responses": {
            _error_name(status): {
                "description": description,
                "headers": _HEADERS,
                "content": {"application/json": {"schema": {"$ref": f"{_COMPONENTS}ErrorResponse"}}},
            }
            for status, description in _ERRORS.items()
            if status != "401" or has_keys
        },
    }
    document: dict[str, Any] = {
        "openapi": "3.1.1",
        "info": {
            "title": "Responses API",
            "version": __version__,
            "description": "Schemas are open: objects may have further properties, and enumerations and unions further values.",
        },
        "paths": paths,
        "components": components,
    }
    if has_keys:
        components["securitySchemes"] = {"apiKey": {"type": "http", "scheme": "bearer"}}
        document["security"] = [{"apiKey": []}]
    return dumps(document)


def with_servers(document: bytes, root: str) -> bytes:
    """Return the document with the URLs of the API. ``root`` is the path at which the application is mounted."""
    servers = [{"url": f"{root}/v1"}, {"url": root or "/"}]
    return b'{"servers":' + dumps(servers) + b"," + document.removeprefix(b"{")


_HEADERS: Final = {"x-request-id": {"$ref": "#/components/headers/RequestId"}}


def _error_name(status: str) -> str:
    return f"Error{status}" if status.isdigit() else "Error"


def _operation(operation: Operation, path: str, schemas: ModelSchemas, *, has_keys: bool) -> dict[str, Any]:
    ids = re.findall(r"{(\w+)}", path)
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in ids
    ]
    parameters += _query(operation.query, schemas) if operation.query else []
    parameters += [
        {"name": name, "in": "header", "schema": {"type": "string"}, "description": text}
        for name, text in operation.headers.items()
    ]
    described: dict[str, Any] = {"operationId": operation.id, "summary": operation.summary}
    if parameters:
        described["parameters"] = parameters
    if operation.body is not None:
        described["requestBody"] = {
            "required": not operation.may_be_empty,
            "content": {"application/json": {"schema": schemas.of(operation.body)}},
        }
    happens = {
        "400": operation.body is not None or operation.query is not None,
        "401": has_keys,
        "404": bool(ids) or operation.body is not None,
        "413": operation.body is not None,
        "default": True,
    }
    described["responses"] = {
        "200": _success(operation, schemas),
        **{
            status: {"$ref": f"#/components/responses/{_error_name(status)}"}
            for status, does in happens.items()
            if does
        },
    }
    return described


def _query(cls: type[Model], schemas: ModelSchemas) -> list[dict[str, Any]]:
    parameters: list[dict[str, Any]] = []
    for name, schema in schemas.properties(cls).items():
        description = {"description": schema.pop("description")} if "description" in schema else {}
        parameters.append({"name": name, "in": "query", "schema": _STRICTER.get(name, schema), **description})
    return parameters


def _success(operation: Operation, schemas: ModelSchemas) -> dict[str, Any]:
    answer = operation.answer
    schema = {"$ref": _COMPONENTS + answer} if isinstance(answer, str) else schemas.of(answer)
    content: dict[str, Any] = {"application/json": {"schema": schema}}
    description = "The result."
    if operation.streams:
        event = schemas.of(Event)
        content["text/event-stream"] = {"schema": event, "x-itemSchema": event}
        description = f"The response, or its events. {_STREAM}"
    return {"description": description, "headers": _HEADERS, "content": content}

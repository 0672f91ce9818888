"""The OpenAPI document of the application: it is valid, complete, and says what the application does."""

from __future__ import annotations

import importlib.util
import json
import re
from typing import TYPE_CHECKING, Any, Final

import httpx
import pytest
from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match
from starlette.applications import Starlette
from starlette.routing import Mount
from tests.asgi import body
from tests.support import both_loops, run

from responses_proto import models
from responses_proto.protocol import SSEDecoder
from responses_proto.scripted import Scripted
from responses_proto.server import ResponsesApp
from responses_proto.server._openapi import OPERATIONS

if TYPE_CHECKING:
    from collections.abc import Mapping

KEY: Final = {"authorization": "Bearer k"}
NO_VALIDATOR: Final = "openapi-spec-validator is not installed (group `test`)"


def client_of(app: Any) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://local")


def document_of(app: ResponsesApp, path: str = "/v1/openapi.json") -> Any:
    found: list[Any] = []

    async def main() -> None:
        async with client_of(app) as client:
            answer = await client.get(path)
            assert answer.status_code == 200
            assert answer.headers["content-type"] == "application/json"
            found.append(answer.json())

    run("asyncio", main)
    return found[0]


def references(value: Any) -> set[str]:
    """Give every ``$ref`` in a document."""
    return set(re.findall(r'"\$ref": "([^"]+)"', json.dumps(value)))


def at(document: Any, pointer: str) -> Any:
    for step in pointer.removeprefix("#/").split("/"):
        document = document[step]
    return document


# ---- the document


@pytest.mark.skipif(importlib.util.find_spec("openapi_spec_validator") is None, reason=NO_VALIDATOR)
def test_the_document_is_valid() -> None:
    from openapi_spec_validator import validate  # noqa: PLC0415 - the test is skipped without it

    validate(document_of(ResponsesApp(Scripted(), keys=["k"])))


def test_the_document_has_the_routes_of_the_application() -> None:
    document = document_of(ResponsesApp(Scripted()))
    found = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    assert found - {("X-WEBSOCKET", "/responses")} == set(OPERATIONS)
    names = [operation.id for operation in OPERATIONS.values()]
    assert len(names) == len(set(names))
    assert document["openapi"] == "3.1.1"
    assert document["servers"] == [{"url": "/v1"}, {"url": "/"}]


def test_every_reference_leads_to_a_component_and_every_component_is_used() -> None:
    document = document_of(ResponsesApp(Scripted(), keys=["k"]))
    found = references(document)
    for pointer in found:
        at(document, pointer)
    components = {
        f"#/components/{kind}/{name}"
        for kind in ("schemas", "responses", "headers")
        for name in document["components"][kind]
    }
    assert found == components
    for schema in document["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


def test_an_endpoint_tells_its_parameters_its_body_and_its_answers() -> None:
    document = document_of(ResponsesApp(Scripted()))
    create = document["paths"]["/responses"]["post"]
    assert create["requestBody"]["required"] is True
    assert create["requestBody"]["content"]["application/json"]["schema"] == {
        "$ref": "#/components/schemas/CreateResponse"
    }
    content = create["responses"]["200"]["content"]
    event = {"$ref": "#/components/schemas/Event"}
    assert content["text/event-stream"] == {"schema": event, "x-itemSchema": event}
    assert content["application/json"]["schema"] == {"$ref": "#/components/schemas/Response"}
    assert create["responses"].keys() == {"200", "400", "404", "413", "default"}

    listing = document["paths"]["/conversations/{conversation_id}/items"]["get"]
    parameters = {parameter["name"]: parameter for parameter in listing["parameters"]}
    assert parameters["conversation_id"]["in"] == "path"
    assert parameters["conversation_id"]["required"] is True
    assert parameters["limit"]["schema"] == {"type": "integer", "minimum": 1, "maximum": 100, "default": 20}
    assert parameters["after"]["description"]
    assert "text/event-stream" not in listing["responses"]["200"]["content"]
    assert document["paths"]["/models/{model}"]["get"]["parameters"][0]["name"] == "model"
    assert document["paths"]["/conversations"]["post"]["requestBody"]["required"] is False


def test_the_components_do_not_replace_each_other() -> None:
    assert {"Model", "ModelList", "ErrorResponse"}.isdisjoint(set(models.__all__) - {"Model"})
    document = document_of(ResponsesApp(Scripted()))
    assert "owned_by" in document["components"]["schemas"]["Model"]["properties"]


# ---- how it is served


@both_loops
def test_it_needs_no_key(backend: str) -> None:
    async def main() -> None:
        async with client_of(ResponsesApp(Scripted(), keys=["k"])) as client:
            first = await client.get("/v1/openapi.json")
            assert first.status_code == 200
            assert first.headers["x-request-id"]
            assert (await client.get("/openapi.json")).content == first.content
            assert (await client.get("/openapi.json", headers={"authorization": "Bearer wrong"})).status_code == 200
            assert (await client.head("/openapi.json")).status_code == 200
            assert (await client.post("/openapi.json")).status_code == 401
            assert (await client.post("/openapi.json", headers=KEY)).status_code == 405
            assert (await client.get("/v1/models")).status_code == 401
            assert (await client.get("/v1/models/openapi.json")).status_code == 401

    run(backend, main)


def test_it_asks_for_a_key_where_the_application_does() -> None:
    document = document_of(ResponsesApp(Scripted(), keys=["k"]))
    assert document["security"] == [{"apiKey": []}]
    assert document["components"]["securitySchemes"] == {"apiKey": {"type": "http", "scheme": "bearer"}}
    assert "401" in document["paths"]["/models"]["get"]["responses"]
    document = document_of(ResponsesApp(Scripted()))
    assert "security" not in document
    assert "401" not in document["paths"]["/models"]["get"]["responses"]
    assert "Error401" not in document["components"]["responses"]


@both_loops
def test_the_addresses_are_those_of_the_place_where_it_is_mounted(backend: str) -> None:
    app = ResponsesApp(Scripted(), keys=["k"])
    outer = Starlette(routes=[Mount("/one", app), Mount("/two", app)])

    async def main() -> None:
        async with client_of(outer) as client:
            for root in ("/one", "/two"):
                document = (await client.get(f"{root}/v1/openapi.json")).json()
                assert document["servers"] == [{"url": f"{root}/v1"}, {"url": root}]
                assert (await client.get(f"{root}/v1/models")).status_code == 401
                answer = await client.post(f"{document['servers'][0]['url']}/responses", content=body(), headers=KEY)
                assert answer.status_code == 200

    run(backend, main)


# ---- it says what the application does


async def call(
    client: httpx.AsyncClient, document: Any, operation: str, ids: Mapping[str, str] | None = None, **how: Any
) -> Any:
    """Call an operation by its id, and hold its request and its response against the document."""
    ((path, method, described),) = (
        (path, method, described)
        for path, methods in document["paths"].items()
        for method, described in methods.items()
        if described.get("operationId") == operation
    )
    if "json" in how:
        schema = described["requestBody"]["content"]["application/json"]["schema"]
        assert_valid(document, schema, how["json"])
    answer = await client.request(method, "/v1" + path.format(**(ids or {})), **how)
    status = str(answer.status_code)
    told = described["responses"].get(status, described["responses"]["default"])
    told = at(document, told["$ref"]) if "$ref" in told else told
    media_type = answer.headers["content-type"].partition(";")[0]
    schema = told["content"][media_type]["schema"]
    if media_type == "application/json":
        assert_valid(document, schema, answer.json())
        return answer.json()
    events = [json.loads(frame.data) for frame in SSEDecoder().receive(answer.content) if frame.data != b"[DONE]"]
    assert events
    for event in events:
        assert_valid(document, schema, event)
    return events


def assert_valid(document: Any, schema: Any, value: Any) -> None:
    error = best_match(Draft202012Validator({**document, **schema}).iter_errors(value))
    assert error is None, f"{error.json_path}: {error.message}"


def test_every_operation_answers_as_the_document_says() -> None:
    app = ResponsesApp(Scripted(), models=["m"])
    document = document_of(app)
    called: set[str] = set()

    async def main() -> None:
        async with app, client_of(app) as client:

            async def ask(operation: str, ids: Mapping[str, str] | None = None, **how: Any) -> Any:
                called.add(operation)
                return await call(client, document, operation, ids, **how)

            made = await ask("createResponse", json={"model": "m", "input": "hello"})
            ids = {"response_id": made["id"]}
            assert (await ask("getResponse", ids)) == made
            events = await ask("createResponse", json={"model": "m", "input": "hello", "stream": True})
            assert events[-1]["type"] == "response.completed"
            assert (await ask("getResponse", ids, params={"stream": "true"}))[0]["type"] == "response.created"
            assert (await ask("listInputItems", ids, params={"limit": 1}))["data"]
            assert "error" in await ask("listInputItems", ids, params={"limit": 1000})
            later = await ask("createResponse", json={"model": "m", "input": "hello", "background": True})
            await ask("cancelResponse", {"response_id": later["id"]})
            assert (await ask("deleteResponse", ids))["deleted"]
            assert "error" in await ask("getResponse", ids)
            await ask("compactResponse", json={"model": "m", "input": "hello"})
            assert (await ask("countInputTokens", json={"model": "m", "input": "hello"}))["input_tokens"]
            thread = await ask("createConversation")
            ids = {"conversation_id": thread["id"]}
            assert (await ask("getConversation", ids)) == thread
            await ask("updateConversation", ids, json={"metadata": {"a": "b"}})
            added = await ask("createConversationItems", ids, json={"items": [{"role": "user", "content": "hi"}]})
            assert (await ask("listConversationItems", ids))["data"] == added["data"]
            both = {**ids, "item_id": added["data"][0]["id"]}
            assert (await ask("getConversationItem", both)) == added["data"][0]
            await ask("deleteConversationItem", both)
            assert (await ask("deleteConversation", ids))["deleted"]
            assert (await ask("listModels"))["data"][0] == await ask("getModel", {"model": "m"})

    run("asyncio", main)
    assert called == {operation.id for operation in OPERATIONS.values()}


def test_a_wrong_request_does_not_fit_the_document_either() -> None:
    document = document_of(ResponsesApp(Scripted()))
    requests: list[Any] = [{"model": 5}, {"model": "m", "input": {}}, {"model": "m", "tools": [{"type": "function"}]}]
    for wrong in requests:
        with pytest.raises(AssertionError):
            assert_valid(document, {"$ref": "#/components/schemas/CreateResponse"}, wrong)

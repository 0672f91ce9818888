"""The access log: one record for each request, with its facts."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Literal

import pytest
from tests.asgi import Client, body
from tests.support import both_loops, run

from responses_proto.scripted import Scripted
from responses_proto.server import ResponsesApp
from responses_proto.server._access import log_to_stderr

if TYPE_CHECKING:
    from collections.abc import Generator


@both_loops
def test_each_request_is_logged_with_its_facts(backend: str, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        app = ResponsesApp(Scripted(), keys=["secret"])
        key = {"authorization": "Bearer secret"}
        for content, headers in (body(), key), (body(stream=True), key), (b"{", key), (body(), {}):
            await Client(app).request(content, headers=headers, path="/v1/responses?api_key=secret")
        await Client(app).request(method="GET", path="/healthz")

    with caplog.at_level(logging.INFO, "responses_proto.server.access"):
        run(backend, main)
    facts = [(vars(record)["method"], vars(record)["path"], vars(record)["status"]) for record in caplog.records]
    assert facts == [*(("POST", "/v1/responses", status) for status in (200, 200, 400, 401)), ("GET", "/healthz", 200)]
    assert len({vars(record)["request_id"] for record in caplog.records}) == 5
    assert all(vars(record)["seconds"] >= 0 for record in caplog.records)
    assert "secret" not in caplog.text


@pytest.fixture
def package_logger() -> Generator[logging.Logger]:
    logger = logging.getLogger("responses_proto")
    before = logger.handlers, logger.level, logger.propagate
    yield logger
    logger.handlers, logger.level, logger.propagate = before


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_each_record_is_a_line(
    log_format: Literal["text", "json"], package_logger: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    log_to_stderr(log_format)

    async def main() -> None:
        await Client(ResponsesApp(Scripted())).request(method="GET", path="/v1/responses/a\nb")

    run("asyncio", main)
    (line,) = capsys.readouterr().err.splitlines()
    if log_format == "json":
        entry = json.loads(line)
        assert (entry["level"], entry["method"], entry["path"], entry["status"]) == (
            "INFO",
            "GET",
            "/v1/responses/a\nb",
            404,
        )
        assert entry["request_id"].startswith("req_")
    else:
        assert "GET '/v1/responses/a\\nb' 404" in line
    package_logger.error("something failed", exc_info=ValueError("no"))
    assert "ValueError: no" in capsys.readouterr().err

"""The checks tell good clients from bad ones, and say what is wrong with these."""

from __future__ import annotations

import json
import sys
import textwrap
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from tests.support import both_loops, run

from responses_proto import ResponsesClient
from responses_proto.client import RetryPolicy
from responses_proto.exceptions import ResponsesProtoError, StreamTruncated, UsageError
from responses_proto.testing import DIALECTS, check_client
from responses_proto.testing.conformance._scenes import all_scenes
from responses_proto.testing.conformance.clients import scene_names

if TYPE_CHECKING:
    from pathlib import Path


async def ours(url: str) -> dict[str, Any]:
    async with ResponsesClient(url, "none", retry=RetryPolicy(initial_delay=0.01)) as client:
        stream = client.stream(model="m", input="Hello")
        try:
            async with stream:
                async for _ in stream:
                    pass
        except ResponsesProtoError as error:
            status = "truncated" if isinstance(error, StreamTruncated) else "error"
            return {"status": status, "text": stream.response.output_text, "error": str(error)}
        calls = [{"name": call.name, "arguments": call.arguments} for call in stream.response.function_calls]
        assert stream.outcome is not None
        return {"status": stream.outcome.status, "text": stream.response.output_text, "calls": calls}


async def naive(url: str) -> dict[str, Any]:
    """Read as many do it: lines of chunks, and the end of the body as the end of the response."""
    text, calls = "", list[Any]()
    body = {"model": "m", "input": "Hello", "stream": True}
    async with httpx.AsyncClient(timeout=5) as client, client.stream("POST", f"{url}/responses", json=body) as reply:
        async for chunk in reply.aiter_raw():
            for line in chunk.decode("utf-8", "replace").split("\n"):
                if line.startswith("data: {"):
                    event = json.loads(line[6:])
                    if event["type"] == "response.output_text.delta":
                        text += event["delta"]
                    elif event["type"] == "response.completed":
                        calls = [item for item in event["response"]["output"] if item["type"] == "function_call"]
                        return {"status": "completed", "text": text, "calls": calls}
    return {"status": "completed", "text": text, "calls": calls}


@both_loops
def test_our_client_makes_the_right_thing_of_everything(backend: str) -> None:
    async def test() -> None:
        report = await check_client(ours)
        assert report.ok, str(report)
        assert [scene.name for scene in report.scenes] == scene_names()

    run(backend, test)


def test_a_naive_client_is_found_out() -> None:
    async def test() -> None:
        report = await check_client(naive)
        failed = {scene.name: {finding.rule for finding in scene.findings} for scene in report.scenes if scene.findings}
        # Truncation as success, split characters, late errors, and what is no stream at all.
        assert failed["no terminal event"] == {"client-status"}
        assert failed["error event, nested"] == {"client-status"}
        assert failed["page for a stream"] == {"client-status"}
        assert failed["HTTP 500"] == {"client-status"}
        assert failed["calls only streamed"] == {"client-calls"}
        assert {"split inside characters", "closed in the middle", "incomplete"} <= failed.keys()
        assert "clean" not in failed
        assert "in one piece" not in failed
        assert "client-status" in str(report)

    run("asyncio", test)


def test_the_client_of_openai_is_told_from_ours() -> None:
    openai = pytest.importorskip("openai")

    async def stream_of_events(url: str) -> dict[str, Any]:
        text, status, calls = "", "completed", list[Any]()
        async with openai.AsyncOpenAI(base_url=url, api_key="none", timeout=20) as client:
            try:
                async for event in await client.responses.create(model="m", input="Hello", stream=True):
                    if event.type == "response.output_text.delta":
                        text += event.delta
                    elif event.type == "response.output_item.done" and event.item.type == "function_call":
                        calls.append({"name": event.item.name, "arguments": event.item.arguments})
                    elif event.type in ("response.incomplete", "response.failed"):
                        status = event.type.removeprefix("response.")
            except openai.APIError as error:
                return {"status": "error", "text": text, "error": str(error)}
        return {"status": status, "text": text, "calls": calls}

    async def test() -> None:
        only = ["clean", "two calls", "no terminal event", "page for a stream", "error event, flat", "comment after id"]
        report = await check_client(stream_of_events, only=only)
        failed = {scene.name for scene in report.scenes if scene.findings}
        assert failed == {"no terminal event", "page for a stream", "error event, flat", "comment after id"}, str(
            report
        )

    run("asyncio", test)


# ---- a command


CLIENT = """
    import json, os, sys, urllib.request
    body = json.dumps({"model": "m", "input": "Hello", "stream": True}).encode()
    url = os.environ["RESPONSES_BASE_URL"]
    assert sys.argv[1:] == [url + "/x"]
    request = urllib.request.Request(url + "/responses", body, {"content-type": "application/json"})
    text, status = "", "truncated"
    for line in urllib.request.urlopen(request, timeout=30):
        if line.startswith(b"data: {"):
            event = json.loads(line[6:])
            text += event.get("delta", "")
            status = "completed" if event["type"] == "response.completed" else status
    print("working")
    print(json.dumps({"status": status, "text": text}))
"""


@both_loops
def test_a_command_reports_on_its_standard_output(backend: str, tmp_path: Path) -> None:
    script = tmp_path / "client.py"
    script.write_text(textwrap.dedent(CLIENT))

    async def test() -> None:
        command = [sys.executable, str(script), "{url}/x"]
        seen: list[str] = []
        report = await check_client(
            command, only=["clean", "no terminal event", "HTTP 400"], on_scene=lambda scene: seen.append(scene.name)
        )
        # An exit by an exception is no success, so it is right where there is nothing to read.
        assert report.ok, str(report)
        assert sorted(seen) == ["HTTP 400", "clean", "no terminal event"]
        assert [scene.verdict.status for scene in report.scenes] == ["completed", "truncated", "error"]

    run(backend, test)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("raise SystemExit(3)", "it ended with exit status 3"),
        ("raise ValueError('odd')", "it ended with exit status 1; ValueError: odd"),
        ("""print('{"status": "completed"}'); raise SystemExit(3)""", "it ended with exit status 3"),
        ("", "it printed nothing"),
        ("print('done')", "it printed 'done', which is not JSON"),
        ("print('[]')", "something other than a verdict: expected a verdict (an object), got list"),
        ("""print('{"status": "fine"}')""", "something other than a verdict: `status` must be one of completed"),
        ("""print('{"status": "completed", "text": 5}')""", "something other than a verdict: `text` must be a string"),
    ],
)
def test_a_command_without_a_verdict_has_crashed(code: str, said: str) -> None:
    async def test() -> None:
        report = await check_client([sys.executable, "-c", code], only=["clean"])
        (finding,) = report.findings
        assert finding.rule == "client-crash"
        assert said in finding.detail

    run("asyncio", test)


# ---- what else clients do


@pytest.mark.parametrize(
    ("verdict", "scene", "rule"),
    [
        ({"status": "completed", "text": "Something else."}, "clean", "client-text"),
        ({"status": "completed", "calls": []}, "two calls", "client-calls"),
        ({"status": "completed"}, "HTTP 400", "client-status"),
        ({"status": "incomplete", "text": ""}, "incomplete", "client-partial"),
        ({"status": "completed", "text": "", "calls": None}, "JSON response for a stream", "client-text"),
        (None, "clean", "client-crash"),
    ],
)
def test_each_verdict_is_judged(verdict: Any, scene: str, rule: str) -> None:
    async def test() -> None:
        report = await check_client(lambda _url: verdict, only=[scene])
        assert report.rules == {rule}, str(report)
        assert all(finding.about.suggestion for finding in report.findings)

    run("asyncio", test)


@both_loops
def test_a_client_that_hangs_is_stopped(backend: str) -> None:
    async def hangs(_url: str) -> dict[str, Any]:
        import anyio  # noqa: PLC0415 - a client of its own

        await anyio.sleep_forever()
        return {}

    async def test() -> None:
        report = await check_client(hangs, only=["clean"], deadline=0.05)
        assert report.rules == {"client-hangs"}

    run(backend, test)


def test_a_client_that_makes_nothing_of_a_clean_answer_plays_no_other_scene() -> None:
    async def test() -> None:
        nothing: Any = None
        report = await check_client(lambda _url: nothing, only=["HTTP 400", "clean", "two calls"])
        assert [scene.name for scene in report.scenes] == ["clean"]
        report = await check_client(lambda _url: nothing, only=["HTTP 400", "two calls"])
        assert [scene.name for scene in report.scenes] == ["two calls", "HTTP 400"]

    run("asyncio", test)


def test_a_client_that_asks_twice_is_noticed() -> None:
    async def twice(url: str) -> dict[str, Any]:
        await naive(url)
        return await naive(url)

    async def test() -> None:
        report = await check_client(twice, only=["clean", "HTTP 500"])
        repeats = [finding for finding in report.findings if finding.rule == "client-repeats"]
        assert [finding.path for finding in repeats] == ["clean", "HTTP 500"]
        assert "Idempotency-Key" in repeats[1].detail

    run("asyncio", test)


def test_the_scenes_are_faults_and_dialects() -> None:
    scenes = all_scenes()
    assert {name.partition(":")[0] for name in scenes if ":" in name} == DIALECTS.keys()
    assert all(name == scene.name for name, scene in scenes.items())


def test_wrong_usage_is_refused() -> None:
    async def test() -> None:
        with pytest.raises(UsageError, match="unknown scene 'x'"):
            await check_client(ours, only=["x"])
        with pytest.raises(UsageError, match="the command is empty"):
            await check_client([])

    run("asyncio", test)

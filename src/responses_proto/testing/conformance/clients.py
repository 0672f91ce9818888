"""Check how a client handles good, faulty and broken answers.

::

    async def my_client(base_url: str) -> dict[str, object]:
        async with ResponsesClient(base_url, "none") as client, client.stream(model="m", input="Hello") as stream:
            ...
        return {"status": "completed", "text": "..."}

    report = await check_client(my_client)
    report = await check_client(["node", "client.mjs"])          # or a command

The client is started once for each scene, with a new server each time. It sends one streaming ``POST {base_url}/responses``, and
reports one JSON object, the *verdict*: a function returns it, and a command prints it as the last line of its standard output.

================ ================================================================================================================
``status``       ``completed``, ``incomplete``, ``failed``, ``truncated``, or ``error`` for anything else that went wrong
``text``         the text of the response, as far as it arrived; default ``""``
``calls``        the function calls, each an object with ``name`` and ``arguments``; default ``[]``
``error``        a description for people; optional
================ ================================================================================================================

A command finds the base URL in the environment variables ``RESPONSES_BASE_URL`` and ``OPENAI_BASE_URL``, and ``none`` as the key in
``RESPONSES_API_KEY`` and ``OPENAI_API_KEY``; ``{url}`` in its arguments is replaced by the base URL. An exception, an exit status other
than 0, or a missing verdict counts as ``error``, and also as a crash unless the scene allows an error. If the client crashes or hangs in
the scene ``clean``, the other scenes are not played.
"""

from __future__ import annotations

import functools
import inspect
import json
import os
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast

import anyio
import anyio.to_thread
import attrs

from ...exceptions import UsageError
from ..fake.server import FakeServer
from ._scenes import CLEAN, Scene, all_scenes
from .streams import Finding, Report, grouped

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence

    from ..fake.exchange import Request

__all__ = ["Client", "ClientReport", "SceneResult", "Verdict", "check_client", "scene_names"]

Client: TypeAlias = "Sequence[str] | Callable[[str], Mapping[str, Any] | Awaitable[Mapping[str, Any]]]"
"""A command with its arguments, or a function of the base URL, sync or async, that returns the verdict."""

_STATUSES: Final = ("completed", "incomplete", "failed", "truncated", "error")
_SHOWN: Final = 100  # characters of a text in a detail


@attrs.frozen(kw_only=True)
class Verdict:
    """The result that a client reported for an answer."""

    status: str
    text: str = ""
    calls: tuple[tuple[str, str], ...] = ()
    """The name and the arguments of each call."""
    error: str = ""
    crashed: bool = False
    """Whether the client reported no verdict and this object takes its place."""
    hung: bool = False
    """Whether the client had to be stopped at the deadline."""


@attrs.frozen(kw_only=True)
class SceneResult:
    """The result of one scene."""

    name: str
    verdict: Verdict
    requests: int
    """How many requests the client sent."""
    findings: tuple[Finding, ...]

    def __str__(self) -> str:
        state = "failed" if self.findings else "passed"
        return f"{state:7} {self.name}: {self.verdict.status}, {len(self.verdict.text)} characters"


@attrs.frozen
class ClientReport(Report):
    """The results of a client in all scenes."""

    scenes: tuple[SceneResult, ...]

    def __str__(self) -> str:
        failed = sum(bool(scene.findings) for scene in self.scenes)
        head = f"{len(self.scenes) - failed} passed, {failed} failed"
        return "\n".join([head, *map(str, self.scenes), *grouped(self.findings)])


def scene_names() -> list[str]:
    """Return the names of all scenes."""
    return list(all_scenes())


async def check_client(
    client: Client,
    *,
    only: Collection[str] | None = None,
    deadline: float = 30.0,
    concurrency: int = 4,
    on_scene: Callable[[SceneResult], object] | None = None,
) -> ClientReport:
    """Check a client against every fault and dialect, and return a report.

    ``client``: a command or a function; see the module for what it must report.
    ``only``: the names of the scenes to play; all by default.
    ``deadline``: seconds after which a client counts as hanging.
    ``concurrency``: how many scenes are played at the same time.
    ``on_scene``: called with each result as soon as it is known.

    Raises ``UsageError`` for an unknown scene and an empty command, and ``OSError`` if the command cannot be started.
    """
    scenes = all_scenes()
    for name in sorted(set(only or ()) - scenes.keys()):
        raise UsageError(f"unknown scene {name!r}, expected one of {', '.join(scenes)}")
    if not callable(client) and not client:
        raise UsageError("the command is empty")
    chosen = [scene for name, scene in scenes.items() if only is None or name in only]
    results: dict[str, SceneResult] = {}
    limiter = anyio.CapacityLimiter(concurrency)

    failures: list[OSError] = []

    async def play(scene: Scene) -> None:
        async with limiter:
            try:
                result = await _play(scene, client, deadline)
            except OSError as error:  # raised below: the task group would wrap it
                failures.append(error)
                tasks.cancel_scope.cancel()
                return
        results[scene.name] = result
        if on_scene is not None:
            on_scene(result)

    # A client that cannot handle the clean answer would fail in all other scenes too.
    first = [scene for scene in chosen if scene.name == CLEAN]
    for together in (first, [scene for scene in chosen if scene not in first]):
        if any(result.verdict.crashed or result.verdict.hung for result in results.values()):
            break
        async with anyio.create_task_group() as tasks:
            for scene in together:
                tasks.start_soon(play, scene)
        if failures:
            raise failures[0]
    ordered = tuple(results[scene.name] for scene in chosen if scene.name in results)
    return ClientReport(tuple(finding for result in ordered for finding in result.findings), ordered)


async def _play(scene: Scene, client: Client, deadline: float) -> SceneResult:
    async with FakeServer(scene.answer) as server:
        verdict = Verdict(status="error", error=f"not finished after {deadline:g} seconds", hung=True)
        with anyio.move_on_after(deadline):
            verdict = await (_call(client, server.url) if callable(client) else _run(client, server.url))
        asked = [request for request in server.requests if request.method == "POST"]
    findings = tuple(Finding(rule, None, scene.name, detail) for rule, detail in _judge(scene, verdict, asked))
    return SceneResult(name=scene.name, verdict=verdict, requests=len(asked), findings=findings)


async def _call(client: Callable[[str], Mapping[str, Any] | Awaitable[Mapping[str, Any]]], url: str) -> Verdict:
    try:
        if inspect.iscoroutinefunction(client) or inspect.iscoroutinefunction(getattr(client, "__call__", None)):  # noqa: B004 - what is called, not whether it can be
            told: Any = client(url)
        else:
            told = await anyio.to_thread.run_sync(functools.partial(client, url), abandon_on_cancel=True)
        return _verdict(await told if inspect.isawaitable(told) else told)
    except Exception as error:  # noqa: BLE001 - a client under test may raise anything
        return Verdict(status="error", error=f"raised {type(error).__name__}: {error}"[:_SHOWN], crashed=True)


async def _run(command: Sequence[str], url: str) -> Verdict:
    variables = {
        "RESPONSES_BASE_URL": url,
        "OPENAI_BASE_URL": url,
        "RESPONSES_API_KEY": "none",
        "OPENAI_API_KEY": "none",
    }
    arguments = [argument.replace("{url}", url) for argument in command]
    done = await anyio.run_process(arguments, check=False, env={**os.environ, **variables})
    lines, told = (out.decode("utf-8", "replace").strip().splitlines() for out in (done.stdout, done.stderr))
    try:
        if lines and not done.returncode:
            return _verdict(json.loads(lines[-1]))
        said = f"ended with exit status {done.returncode}" if done.returncode else "printed nothing"
    except json.JSONDecodeError:
        said = f"printed {lines[-1][:_SHOWN]!r}, which is not JSON"
    except ValueError as error:
        said = f"printed something other than a verdict: {error}"
    return Verdict(status="error", error=f"{said}; {told[-1][:_SHOWN]}" if told else said, crashed=True)


def _verdict(value: object) -> Verdict:
    """Return the verdict that a client reported. Raises ``ValueError`` if the value is not a verdict."""
    if not isinstance(value, dict):
        raise ValueError(f"expected a verdict (an object), got {type(value).__name__}")  # noqa: TRY004 - one error for any verdict that is not one
    told = cast("dict[str, Any]", value)
    if told.get("status") not in _STATUSES:
        raise ValueError(f"`status` must be one of {', '.join(_STATUSES)}, got {told.get('status')!r}")
    text: Any = told.get("text") or ""
    calls: Any = told.get("calls") or []
    if not isinstance(text, str) or not isinstance(calls, list):
        raise ValueError("`text` must be a string and `calls` a list")  # noqa: TRY004 - as above
    named = tuple(
        (str(call.get("name")), str(call.get("arguments")))
        for call in cast("list[dict[str, Any]]", calls)
        if isinstance(call, dict)  # pyright: ignore[reportUnnecessaryIsInstance] - a client may report anything
    )
    return Verdict(status=told["status"], text=text, calls=named, error=str(told.get("error") or ""))


def _judge(scene: Scene, verdict: Verdict, asked: list[Request]) -> list[tuple[str, str]]:
    """Return the rules that the client broke, with details."""
    broken: list[tuple[str, str]] = []
    expected = " or ".join(sorted(scene.statuses))
    why = f" ({verdict.error})" if verdict.error else ""
    readable = scene.statuses.isdisjoint({"error"}) and not scene.may_fail
    failed_rightly = scene.may_fail and verdict.status in ("error", "failed", "truncated")
    if verdict.hung:
        broken.append(("client-hangs", verdict.error))
    elif verdict.crashed and readable:
        broken.append(("client-crash", f"expected {expected}, but it {verdict.error}"))
    elif verdict.status not in scene.statuses and not failed_rightly:
        broken.append(("client-status", f"expected {expected}, got {verdict.status}{why}"))
    elif scene.text is not None and not failed_rightly and verdict.text != scene.text:
        broken.append(("client-text", f"expected {scene.text!r}, got {verdict.text[:_SHOWN]!r}"))
    elif scene.partial is not None and verdict.text != scene.partial:
        broken.append(("client-partial", f"expected {scene.partial!r}, got {verdict.text[:_SHOWN]!r}"))
    elif scene.calls and verdict.calls != scene.calls:
        broken.append(("client-calls", f"expected {_told(scene.calls)}, got {_told(verdict.calls)}"))
    if len(asked) > 1:
        keys = {request.headers.get("idempotency-key") for request in asked}
        if not scene.may_repeat:
            broken.append(("client-repeats", f"it sent {len(asked)} requests"))
        elif len(keys) > 1 or None in keys:
            broken.append(("client-repeats", f"it sent {len(asked)} requests without one `Idempotency-Key`"))
    return broken


def _told(calls: tuple[tuple[str, str], ...]) -> str:
    return ", ".join(f"{name}({arguments[:_SHOWN]})" for name, arguments in calls) or "no calls"

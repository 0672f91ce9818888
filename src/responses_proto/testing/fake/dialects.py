"""The deviations of well-known servers from the specification, applied to clean answers: ``FakeServer(script, dialect="huggingface")``.

A dialect changes the events of streams, the responses to other requests, and the bodies of errors, as seen in recorded traffic of the
server. The content of responses stays the same. :data:`DIALECTS` has all dialects by name; ``docs/faults.md`` lists them.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, cast

import attrs

from ...codec import default_converter
from ...exceptions import UsageError
from ...protocol.state import TERMINAL
from .steps import JSON, Change, Stage, WireAnswer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .steps import Wire

__all__ = ["DIALECTS", "Dialect", "DialectName", "find_dialect"]

DialectName: TypeAlias = Literal[
    "azure", "codex", "copilot", "deepseek", "huggingface", "litellm", "llama-stack", "llama.cpp", "open-responses-server", "openai",
    "openrouter", "vllm", "xai",
]  # fmt: skip

_Rewrite: TypeAlias = "Callable[[list[Wire]], list[Wire]]"
_ErrorBody: TypeAlias = "Callable[[Wire], Any]"


@attrs.frozen(repr=False)
class Dialect:
    """The deviations of one server."""

    name: str
    deviation: str
    """A readable description of the differences."""
    rewrite: _Rewrite = attrs.field(eq=False)
    """Changes the events of a stream."""
    error: _ErrorBody = attrs.field(default=lambda error: {"error": error}, eq=False)
    """Returns the JSON body for an error with the fields of the specification: ``message``, ``type``, ``param``, ``code``."""
    error_type: str = JSON
    """The content type of an error."""
    event_lines: bool = True
    done_marker: bool = True
    comment: bytes = b""
    """A comment before the first frame."""

    @property
    def changes(self) -> tuple[Change, ...]:
        """The changes that the dialect makes to an answer."""
        return (Change(self._apply, Stage.DIALECT), Change(self._comment, Stage.FRAMES))

    def _apply(self, answer: WireAnswer) -> None:
        if answer.events is not None:
            answer.events = self.rewrite(answer.events)
            answer.event_lines &= self.event_lines
            answer.done_marker &= self.done_marker
        elif answer.status >= 400 and answer.content_type == JSON and len(answer.steps) == 1:  # noqa: PLR2004 - an HTTP error
            json = default_converter().json
            body: Any = json.loads(answer.steps[0]) if isinstance(answer.steps[0], bytes) else None
            error = _in(cast("Wire", body), "error") if isinstance(body, dict) else {}
            if error:
                answer.steps, answer.content_type = [json.dumps(self.error(error))], self.error_type

    def _comment(self, answer: WireAnswer) -> None:
        if self.comment and answer.events is not None:
            answer.steps.insert(0, self.comment)

    def __repr__(self) -> str:
        return f"<Dialect {self.name}>"


def find_dialect(dialect: Dialect | str | None) -> Dialect | None:
    """Return the dialect with this name. Raises ``UsageError`` if there is none."""
    if dialect is None or isinstance(dialect, Dialect):
        return dialect
    if dialect not in DIALECTS:
        raise UsageError(f"there is no dialect {dialect!r}: expected one of {', '.join(DIALECTS)}")
    return DIALECTS[dialect]


# ---- parts


def _numbered(events: list[Wire]) -> list[Wire]:
    for number, event in enumerate(events):
        event["sequence_number"] = number
    return events


def _without(event: Wire, *names: str) -> Wire:
    return {name: value for name, value in event.items() if name not in names}


def _in(event: Wire, name: str) -> Wire:
    """Return an object in an event; an empty one if it has none."""
    value = event.get(name)
    return cast("Wire", value) if isinstance(value, dict) else {}


def _items(event: Wire) -> list[Wire]:
    """Return the items in an event."""
    return [
        item for item in (_in(event, "item"), *cast("list[Wire]", _in(event, "response").get("output") or [])) if item
    ]


def _is_delta(event: Wire) -> bool:
    return str(event["type"]).endswith(".delta")


def _nested_errors(events: list[Wire]) -> list[Wire]:
    """Put the fields of ``error`` events into an object."""
    fields = ("code", "message", "param")
    return [
        {**_without(event, *fields), "error": {"type": "server_error", **{name: event.get(name) for name in fields}}}
        if event["type"] == "error" and "error" not in event
        else event
        for event in events
    ]


def _as_is(events: list[Wire]) -> list[Wire]:
    return events


# ---- the servers


def _huggingface(events: list[Wire]) -> list[Wire]:
    types = {e["output_index"]: e["item"]["type"] for e in events if e["type"] == "response.output_item.added"}
    left_open = {at for at, kind in types.items() if kind == "message" and types.get(at + 1, "message") not in _SPOKEN}
    kept = [event for event in events if not (event["type"] in _CLOSERS and event["output_index"] in left_open)]
    for event in kept:
        if event["type"] == "response.output_item.added" and event["item"]["type"] in _SPOKEN:
            event["output_index"] = 0
        if ".mcp_" in event["type"]:
            event.pop("item_id", None)
            event.pop("output_index", None)
        for each in (event, *_parts(event)):
            each.pop("logprobs", None)
        if "response" in event:
            _thin_out(event, left_open)
    return _numbered(kept)


def _thin_out(event: Wire, left_open: set[int]) -> None:
    """Change a response as the router does. Messages that were not closed stay in progress."""
    response = event["response"]
    response.pop("incomplete_details", None)
    if event["type"] in TERMINAL:
        for at in left_open & set(range(len(response["output"]))):
            response["output"][at]["status"] = "in_progress"
    if event["type"] == "response.incomplete":
        event["type"], response["status"] = "response.completed", "completed"


_SPOKEN: Final = ("message", "reasoning")
_CLOSERS: Final = ("response.output_text.done", "response.content_part.done", "response.output_item.done")
"""The events that close a message."""


def _parts(event: Wire) -> list[Wire]:
    contents = [part for item in _items(event) for part in cast("list[Wire]", item.get("content") or [])]
    return [part for part in (_in(event, "part"), *contents) if part]


def _litellm(events: list[Wire]) -> list[Wire]:
    failed = any(event["type"] == "response.failed" for event in events)
    if failed:
        events = [event for event in events if event["type"] not in ("response.created", "response.in_progress")]
    # Messages are closed only after all later items.
    open_until = next((place for place, event in enumerate(events) if event["type"] in TERMINAL), len(events))
    late = [
        e for e in events[:open_until] if e["type"] in _CLOSERS and _in(e, "item").get("type", "message") == "message"
    ]
    events = [*(e for e in events[:open_until] if e not in late), *late, *events[open_until:]]
    ids = {event["item_id"] for event in events if "item_id" in event}
    long_ids = {each: f"{each}_{'A' * (499 - len(each))}" for each in ids}
    for event in events:
        event["model"] = "fake"
        if event["type"] in TERMINAL:
            event["response"]["id"] = f"{event['response']['id']}_final"  # ids may change in the middle
            for item in event["response"]["output"]:
                item["id"] = long_ids.get(item.get("id"), item.get("id"))
        if event["type"].startswith("response.reasoning_summary_text"):
            event.pop("summary_index", None)
        if "item_id" in event:
            event["item_id"] = long_ids[event["item_id"]]
        item = _in(event, "item")
        if "id" in item:
            item["id"] = long_ids.get(item["id"], item["id"])
        if _is_delta(event):
            event.pop("sequence_number", None)
        elif "item" in event:
            event["sequence_number"] = max(0, event.get("sequence_number", 0) - 2)
    return events


def _llama_stack(events: list[Wire]) -> list[Wire]:
    calls = {event["output_index"] for event in events if _in(event, "item").get("type") == "function_call"}
    kept: list[Wire] = []
    for event in events:
        name: str = event["type"]
        if name == "response.output_item.added" or ".content_part." in name or event.get("output_index") in calls:
            continue
        if name in TERMINAL:
            for item in event["response"]["output"]:
                if item["type"] != "function_call":
                    item["id"] = f"{item.get('id', 'item')}_final"
        kept.append({"error": {"message": event.get("message")}} if name == "error" else event)
    return [event if "error" in event else {**event, "sequence_number": n} for n, event in enumerate(kept)]


def _open_responses_server(events: list[Wire]) -> list[Wire]:
    kept: list[Wire] = []
    for event in events:
        if "item_id" in event:
            event = {**_without(event, "item_id", "content_index"), "id": f"msg_{event['sequence_number']:08x}"}  # noqa: PLW2901 - as above
            event["output_index"] = 0
        if ".output_item." in event["type"] or ".content_part." in event["type"]:
            continue
        kept.append(event)
        if event["type"] == "response.in_progress":
            kept.append(dict(event))
    return _numbered(kept)


def _llama_cpp(events: list[Wire]) -> list[Wire]:
    call_ids: dict[int, str] = {}
    calls_end: list[Wire] = []
    kept: list[Wire] = []
    for event in events:
        item, index = _in(event, "item"), event.get("output_index")
        if item.get("type") == "function_call" and index is not None:
            call_ids[index] = item["call_id"]
            event["item"] = _without(item, "id")
        if "item_id" in event:
            event["item_id"] = call_ids.get(event["output_index"], event["item_id"])
        if "response" in event:
            event["response"] = {
                name: value
                for name, value in event["response"].items()
                if name
                in ("id", "object", "created_at", "status", "model", "output", "usage", "error", "incomplete_details")
            }
        if event["type"] in TERMINAL:
            kept += calls_end
        is_end = index in call_ids and str(event["type"]).endswith(".done")
        (calls_end if is_end else kept).append(_without(event, "output_index", "content_index"))
    return _numbered(kept)


def _vllm(events: list[Wire]) -> list[Wire]:
    places: Counter[str] = Counter()
    kept: list[Wire] = []
    for event in events:
        name: str = event["type"]
        if name in ("response.content_part.added", "response.output_item.added"):
            if _in(event, "item").get("type") != "function_call":
                continue
        elif name in TERMINAL:
            event["response"]["output"] = []
        elif "content_index" in event:
            key = event["item_id"]
            event["content_index"] = places[key] if _is_delta(event) else -1
            places[key] += _is_delta(event)
            event["item_id"] = ""
        if _in(event, "part").get("type") == "reasoning_text":
            event["type"] = name.replace("content_part", "reasoning_part")
        kept.append(event)
    return _numbered(kept)


def _copilot(events: list[Wire]) -> list[Wire]:
    kept: list[Wire] = []
    for event in events:
        if event["type"] == "response.output_text.delta":
            continue
        suffix = f"_{event.get('sequence_number', 0)}"
        if "item_id" in event:
            event["item_id"] += suffix
        for each in (_in(event, "item"), _in(event, "response")):
            if "id" in each:
                each["id"] += suffix
        kept.append(event)
    return _numbered(kept)


def _codex(events: list[Wire]) -> list[Wire]:
    for event in events:
        if event["type"] in TERMINAL:
            event["response"]["output"] = []
    return events


def _openai(events: list[Wire]) -> list[Wire]:
    kept: list[Wire] = []
    for event in _nested_errors(events):
        name: str = event["type"]
        if _is_delta(event):
            event["obfuscation"] = "x" * (event["sequence_number"] % 7 + 1)
        if name == "response.function_call_arguments.done":
            event.pop("name", None)
        if "response" in event:
            event["response"] |= {
                "store": True,
                "frequency_penalty": 0.0,
                "presence_penalty": 0.0,
                "billing": {"payer": "developer"},
            }
        for step, each in enumerate(_items(event)):
            if each.get("encrypted_content"):  # another text each time for the same reasoning
                each["encrypted_content"] += f"{name.rpartition('.')[2]}{step}"
        kept.append(event)
        if name == "response.in_progress":
            kept.append({"type": "keepalive", "sequence_number": 0})
    kept.append({"type": "response.rate_limits.updated", "sequence_number": 0, "rate_limits": []})
    return _numbered(kept)


def _azure(events: list[Wire]) -> list[Wire]:
    for event in events:
        if "response" in event:
            event["response"]["content_filters"] = [{"blocked": False, "source_type": "completion"}]
    return events


DIALECTS: Final[Mapping[str, Dialect]] = {
    dialect.name: dialect
    for dialect in (
        Dialect(
            "huggingface",
            "Hugging Face router: no `event:` lines and no `[DONE]`; messages and reasoning are added at `output_index` 0, their other "
            "events have the real one; messages before a call are never closed and stay `in_progress`; MCP events have no "
            "`item_id` and `output_index`; no `logprobs` and `incomplete_details`; never `incomplete`",
            _huggingface,
            error=lambda error: {"success": False, "error": [error["message"]]},
            event_lines=False,
            done_marker=False,
        ),
        Dialect(
            "litellm",
            "LiteLLM: messages are closed only after all later items; `sequence_number` missing or running backwards; ids of 500 characters; another `response.id` at the end; `model` in "
            "each event; reasoning deltas without `summary_index`; `failed` without `created`",
            _litellm,
        ),
        Dialect(
            "llama-stack",
            "llama-stack: no `output_item.added` and `content_part.*`; function calls only in the terminal event, and other ids there; "
            "errors as `detail`, and in a stream as an object without `type`",
            _llama_stack,
            error=lambda error: {"detail": error["message"]},
        ),
        Dialect(
            "open-responses-server",
            "open-responses-server: `in_progress` twice; no `content_index`, `output_item.*` and `content_part.*`; `output_index` always 0; `id` "
            "instead of `item_id`, with ids that match nothing",
            _open_responses_server,
            error=lambda error: {"detail": error["message"]},
        ),
        Dialect(
            "llama.cpp",
            "llama.cpp: no `output_index` and `content_index`; `function_call` without `id`, whose events have its `call_id` as `item_id`; "
            "all calls stay open until the end; a `response` of few fields",
            _llama_cpp,
        ),
        Dialect(
            "vllm",
            "vLLM: messages and reasoning have `done` events without `added` events; `content_index` -1, or one more with each delta; an empty "
            "`item_id`; `reasoning_part.*`; an empty `output` at the end",
            _vllm,
        ),
        Dialect(
            "copilot",
            "GitHub Copilot: other ids of items and of the response in every event; the text comes in `done`, without deltas",
            _copilot,
        ),
        Dialect("codex", "ChatGPT Codex: an empty `output` in the terminal event", _codex),
        Dialect(
            "openrouter",
            "OpenRouter: no `event:` lines; a comment before the first frame",
            _as_is,
            event_lines=False,
            comment=b": OPENROUTER PROCESSING\n\n",
        ),
        Dialect(
            "xai",
            "xAI: comments; nested `error` events; errors as `code` and a text",
            _nested_errors,
            error=lambda error: {"code": error["code"] or error["type"], "error": error["message"]},
            comment=b": keep-alive\n\n",
        ),
        Dialect(
            "openai",
            "OpenAI: `obfuscation`; `keepalive`; `response.rate_limits.updated` after the end; `function_call_arguments.done` without "
            "`name`; other `encrypted_content` each time; nested `error` events; fields beyond the specification",
            _openai,
        ),
        Dialect("azure", "Azure: `content_filters` in each response", _azure),
        Dialect(
            "deepseek",
            "DeepSeek: `content_filters` in each response; errors as `application/octet-stream`",
            _azure,
            error_type="application/octet-stream",
        ),
    )
}
"""Name -> dialect."""

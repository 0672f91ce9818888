"""Generate the page of the state machines from their tables: ``python docs/diagram.py > docs/life.md``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from responses_proto.protocol import (
    DELTA_FIELDS,
    ITEM_EVENTS,
    ITEM_LIFE,
    ITEM_RULES,
    ITEM_STEPS,
    OTHER_GROWTH_EVENTS,
    PART_EVENTS,
    PART_LIFE,
    PART_RULES,
    PROGRESS,
    RESPONSE_LIFE,
    RESPONSE_RULES,
)
from responses_proto.protocol.websocket import STEER_LIFE, TURN_LIFE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def lines() -> Iterator[str]:
    """Yield the lines of the page."""
    yield from machines()
    yield from kinds()
    yield from websocket()


def machines() -> Iterator[str]:
    """Yield the state machines of a response, an item and a content part."""
    yield "# The life of a response"
    yield ""
    yield "Drawn from the tables of `responses_proto.protocol`. The accumulator, the emitter and the checks use the same tables."
    yield ""
    yield from machine(RESPONSE_LIFE, "awaited")
    yield "Output items arrive while the response is `in_progress`: `response.output_item.added`, the events of the item, `response.output_item.done`."
    yield ""
    yield from violations(RESPONSE_RULES)
    yield "## The life of an item"
    yield ""
    yield "`added` and `done` are the events of `response.output_item`. The steps between them are listed under [progress](#progress)."
    yield ""
    yield from machine(ITEM_LIFE, "awaited")
    yield from violations(ITEM_RULES)
    yield "## The life of a part"
    yield ""
    added, delta, text_done, done = PART_LIFE["open"]
    yield f"`{added}` and `{done}` are the events of [parts](#parts). `{delta}` and `{text_done}` are the events of [texts](#texts)."
    yield ""
    yield from machine(PART_LIFE, "awaited")
    yield from violations(PART_RULES)


def kinds() -> Iterator[str]:
    """Yield the tables of the events by item type."""
    yield "## Item types"
    yield ""
    yield "The events between `added` and `done`, and the step that each takes. Items of other types have no events in between."
    yield ""
    yield "| item | step | events |"
    yield "|---|---|---|"
    for kind, names in ITEM_EVENTS.items():
        for step in dict.fromkeys(ITEM_STEPS[name] for name in names):
            listed = ", ".join(f"`{name}`" for name in names if ITEM_STEPS[name] == step)
            yield f"| `{kind}` | {step} | {listed} |"
    yield ""
    yield "## Texts"
    yield ""
    yield "| item | field | delta event | done event |"
    yield "|---|---|---|---|"
    for delta in DELTA_FIELDS:
        where = ".".join(name for name in (delta.container, delta.part, delta.field) if name)
        yield f"| `{delta.item}` | `{where}` | `{delta.delta}` | `{delta.done}` |"
    yield ""
    yield "Other events that extend an item:"
    yield ""
    for name, item in OTHER_GROWTH_EVENTS.items():
        yield f"- `{name}`: `{item}`"
    yield ""
    yield "## Parts"
    yield ""
    yield "| event | effect | items |"
    yield "|---|---|---|"
    for name, part in PART_EVENTS.items():
        items = ", ".join(f"`{item}`" for item in part.items)
        yield f"| `{name}` | {'opens' if part.opens else 'closes'} an entry of `{part.container}` | {items} |"
    yield ""
    yield "## Progress"
    yield ""
    yield "| event | item | step | status of the item |"
    yield "|---|---|---|---|"
    for name, progress in PROGRESS.items():
        status = f"`{progress.status}`" if progress.status else "unchanged"
        yield f"| `{name}` | `{progress.item}` | {progress.step} | {status} |"
    yield ""


def websocket() -> Iterator[str]:
    """Yield the state machines of a WebSocket connection."""
    yield "## A turn over WebSocket"
    yield ""
    yield "The steps are message kinds of `responses_proto.protocol.websocket`. The successor of a steered response begins as `due`, any other turn as `requested`."
    yield ""
    yield from machine(TURN_LIFE, "due", "requested")
    yield "The states of a steer. The `response.created` belongs to the successor:"
    yield ""
    yield from machine(STEER_LIFE, "sent")


def machine(life: Mapping[Any, Mapping[Any, str]], *first: str) -> Iterator[str]:
    """Yield one table as a Mermaid state diagram."""
    yield "```mermaid"
    yield "stateDiagram-v2"
    for state in first:
        yield f"    [*] --> {state}"
    for state, following in life.items():
        for step, target in following.items():
            yield f"    {state} --> {target}: {step}"
        if set(following.values()) <= {state}:
            yield f"    {state} --> [*]"
    yield "```"
    yield ""


def violations(table: Mapping[Any, Mapping[Any, str]]) -> Iterator[str]:
    """Yield the table of the steps that break a rule, by state."""
    yield "| state | illegal steps | broken rule |"
    yield "|---|---|---|"
    for state, steps in table.items():
        for rule in dict.fromkeys(steps.values()):
            named = ", ".join(f"`{step}`" for step, its in steps.items() if its == rule)
            yield f"| `{state}` | {named} | `{rule}` |"
    yield ""


if __name__ == "__main__":
    print("\n".join(lines()))

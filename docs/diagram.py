"""Draws the life of a response, and of a turn over WebSocket, from the tables: ``python docs/diagram.py > docs/life.md``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from responses_proto.protocol.state import (
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
from responses_proto.rules import RULES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def lines() -> Iterator[str]:
    """Give the page, line by line."""
    yield from lives()
    yield from kinds()
    yield from websocket()
    yield from asked()


def lives() -> Iterator[str]:
    """Say what may follow what."""
    yield "# The life of a response"
    yield ""
    yield "Drawn from the tables of `responses_proto.protocol.state`, which the accumulator, the emitter and the checks read too."
    yield ""
    yield from machine(RESPONSE_LIFE, "awaited")
    yield "Output items come while it is `in_progress`: `response.output_item.added`, what grows in them, `response.output_item.done`."
    yield ""
    yield from broken(RESPONSE_RULES)
    yield "## The life of an item"
    yield ""
    yield "`added` and `done` are the events of `response.output_item`; the stages between them are [progress](#progress)."
    yield ""
    yield from machine(ITEM_LIFE, "awaited")
    yield from broken(ITEM_RULES)
    yield "## The life of a part"
    yield ""
    yield "`added` and `done` are the events of [parts](#parts), `delta` and `whole` those of [texts](#texts-that-grow)."
    yield ""
    yield from machine(PART_LIFE, "awaited")
    yield from broken(PART_RULES)


def kinds() -> Iterator[str]:
    """Say what happens to which kind of item."""
    yield "## Kinds of items"
    yield ""
    yield "What can come of them between `added` and `done`, and which step it is. Other kinds are added and done."
    yield ""
    yield "| item | step | events |"
    yield "|---|---|---|"
    for kind, names in ITEM_EVENTS.items():
        for step in dict.fromkeys(ITEM_STEPS[name] for name in names):
            listed = ", ".join(f"`{name}`" for name in names if ITEM_STEPS[name] == step)
            yield f"| `{kind}` | {step} | {listed} |"
    yield ""
    yield "## Texts that grow"
    yield ""
    yield "| item | where | grows by | whole in |"
    yield "|---|---|---|---|"
    for channel in DELTA_FIELDS:
        where = ".".join(name for name in (channel.container, channel.part, channel.field) if name)
        yield f"| `{channel.item}` | `{where}` | `{channel.delta}` | `{channel.done}` |"
    yield ""
    yield "In ways of their own grow:"
    yield ""
    for name, item in OTHER_GROWTH_EVENTS.items():
        yield f"- `{item}` by `{name}`"
    yield ""
    yield "## Parts"
    yield ""
    yield "| event | opens or closes | in |"
    yield "|---|---|---|"
    for name, part in PART_EVENTS.items():
        items = ", ".join(f"`{item}`" for item in part.items)
        yield f"| `{name}` | {'opens' if part.opens else 'closes'} a place in `{part.container}` | {items} |"
    yield ""
    yield "## Progress"
    yield ""
    yield "| event | item | what it is | its status then |"
    yield "|---|---|---|---|"
    for name, progress in PROGRESS.items():
        status = f"`{progress.status}`" if progress.status else "unchanged"
        yield f"| `{name}` | `{progress.item}` | {progress.step} | {status} |"
    yield ""


def websocket() -> Iterator[str]:
    """Say what may follow what on a connection that has many responses."""
    yield "## A turn over WebSocket"
    yield ""
    yield "By the kinds of messages of `responses_proto.protocol.websocket`; `due` is the successor of a steered response, `requested` any other turn."
    yield ""
    yield from machine(TURN_LIFE, "due", "requested")
    yield "What becomes of a steer; the `response.created` is that of the response that follows:"
    yield ""
    yield from machine(STEER_LIFE, "sent")


def asked() -> Iterator[str]:
    """List the rules."""
    yield "# The rules"
    yield ""
    yield "All that is asked of a server, from `responses_proto.rules`."
    yield ""
    yield "| rule | found by | what is the case when it is broken | where it stands |"
    yield "|---|---|---|---|"
    for rule in RULES.values():
        yield f"| `{rule.id}` | {rule.found_by} | {rule.broken} | {rule.section} |"


def machine(life: Mapping[Any, Mapping[Any, str]], *first: str) -> Iterator[str]:
    """Draw one table as a state diagram."""
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


def broken(rules: Mapping[Any, Mapping[Any, str]]) -> Iterator[str]:
    """List what is out of order."""
    yield "| while it is | what must not come | breaks |"
    yield "|---|---|---|"
    for state, steps in rules.items():
        for rule in dict.fromkeys(steps.values()):
            named = ", ".join(f"`{step}`" for step, its in steps.items() if its == rule)
            yield f"| `{state}` | {named} | `{rule}` |"
    yield ""


if __name__ == "__main__":
    print("\n".join(lines()))

"""Draws the life of a response, and of a turn over WebSocket, from the tables: ``python docs/diagram.py > docs/life.md``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from responses_proto.state import CHANNELS, PART_EVENTS, PROGRESS, RESPONSE_LIFE
from responses_proto.wsprotocol import STEER_LIFE, TURN_LIFE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def lines() -> Iterator[str]:
    """Give the page, line by line."""
    yield "# The life of a response"
    yield ""
    yield "Drawn from the tables of `responses_proto.state`, which the accumulator and the emitter read too."
    yield ""
    yield from states(RESPONSE_LIFE, "awaited")
    yield ""
    yield "Output items come while it is `in_progress`: `response.output_item.added`, what grows in them, `response.output_item.done`."
    yield ""
    yield "## Texts that grow"
    yield ""
    yield "| item | where | grows by | whole in |"
    yield "|---|---|---|---|"
    for channel in CHANNELS:
        where = ".".join(name for name in (channel.container, channel.part, channel.field) if name)
        yield f"| `{channel.item}` | `{where}` | `{channel.delta}` | `{channel.done}` |"
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
    yield "| event | item | its status then |"
    yield "|---|---|---|"
    for name, progress in PROGRESS.items():
        yield f"| `{name}` | `{progress.item}` | {f'`{progress.status}`' if progress.status else 'unchanged'} |"
    yield ""
    yield "## A turn over WebSocket"
    yield ""
    yield "By the kinds of messages of `responses_proto.wsprotocol`; `due` is the successor of a steered response, `asked` any other turn."
    yield ""
    yield from states(TURN_LIFE, "due", "asked")
    yield ""
    yield "What becomes of a steer; the `response.created` is that of the response that follows:"
    yield ""
    yield from states(STEER_LIFE, "sent")


def states(life: Mapping[Any, Mapping[Any, str]], *first: str) -> Iterator[str]:
    """Draw a table of states: where each leads, by what."""
    yield "```mermaid"
    yield "stateDiagram-v2"
    for state in first:
        yield f"    [*] --> {state}"
    for state, following in life.items():
        for event, target in following.items():
            yield f"    {state} --> {target}: {event}"
        if not following:
            yield f"    {state} --> [*]"
    yield "```"


if __name__ == "__main__":
    print("\n".join(lines()))

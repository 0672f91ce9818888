"""Get a value of your own type instead of text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import attrs

from responses_proto.models import Message
from responses_proto.schema import Incomplete, Invalid, Parsed, Refused
from responses_proto.scripted.demo import run

if TYPE_CHECKING:
    from responses_proto import ResponsesClient


@attrs.frozen
class CalendarEvent:
    """An event in a calendar."""

    name: str
    date: Annotated[str, "the day of the week"]
    participants: list[str]


async def main(client: ResponsesClient, model: str) -> None:
    """Extract an event from a sentence."""
    found = await client.parse(
        CalendarEvent,
        model=model,
        input=[
            Message(role="system", content="Extract the event. Answer in JSON."),
            Message(role="user", content="Alice and Bob are going to a science fair on Friday."),
        ],
    )
    match found:
        case Parsed(event):
            print(f"{event.name}, {event.date}: {', '.join(event.participants)}")
        case Refused(text):
            print(f"The model declined: {text}")
        case Incomplete(reason, _):
            print(f"The model stopped early: {reason}")
        case Invalid(path, message):
            print(f"The model's JSON is wrong at {path}: {message}")


if __name__ == "__main__":
    run(main)

"""The tables of the protocol's life: complete, and true of the models that they speak of."""

from __future__ import annotations

from typing import Any, Final

import attrs
import pytest

from responses_proto.codec import load
from responses_proto.models.content import CONTENT_TYPES, Content
from responses_proto.models.events import DELTA_TYPES, EVENT_TYPES, LIFECYCLE_TYPES, TERMINAL_TYPES
from responses_proto.models.items import ITEM_TYPES, Item
from responses_proto.state import (
    CHANNELS,
    DELTAS,
    DONES,
    ITEM_CHANNELS,
    OVERRULED_BY,
    PART_EVENTS,
    PARTS,
    PROGRESS,
    RESPONSE_LIFE,
    TERMINAL,
    Channel,
)

# What no table has: events that are like no other, and those that say nothing about the response.
SINGULAR: Final = {
    "error",
    "keepalive",
    "response.audio.delta",
    "response.audio.done",
    "response.audio.transcript.delta",
    "response.audio.transcript.done",
    "response.image_generation_call.partial_image",
    "response.output_item.added",
    "response.output_item.done",
    "response.output_text.annotation.added",
    "response.rate_limits.updated",
    "response.shell_call_output_content.delta",
    "response.shell_call_output_content.done",
    "response.steer.accepted",
    "response.steer.failed",
    "response.steer.pending",
}


def names_of(cls: Any) -> set[str]:
    return {field.name for field in attrs.fields(cls)}


def test_every_event_is_in_one_table() -> None:
    tables: tuple[set[str], ...] = (
        set(LIFECYCLE_TYPES), set(DELTAS), set(DONES), set(PART_EVENTS), set(PROGRESS), SINGULAR,
    )  # fmt: skip
    assert sorted(name for table in tables for name in table) == sorted(EVENT_TYPES)


def test_every_delta_has_a_channel_or_is_singular() -> None:
    assert DELTA_TYPES - set(DELTAS) == {name for name in SINGULAR if name.endswith(".delta")}


@pytest.mark.parametrize("channel", CHANNELS, ids=lambda channel: channel.delta)
def test_a_channel_names_what_there_is(channel: Channel) -> None:
    delta, done = names_of(EVENT_TYPES[channel.delta]), names_of(EVENT_TYPES[channel.done])
    assert "delta" in delta
    assert channel.value in done
    assert not channel.index or {channel.index} <= delta & done
    assert DELTAS[channel.delta] == DONES[channel.done] == channel
    assert channel in ITEM_CHANNELS[channel.item]
    item = load({"type": channel.item}, Item)
    assert type(item) is ITEM_TYPES[channel.item]
    assert (channel.container or channel.field).partition(".")[0] in names_of(type(item))
    if channel.part:
        part = load({"type": channel.part}, Content)
        assert type(part) is CONTENT_TYPES[channel.part]
        assert channel.field in names_of(type(part))
        assert PARTS[channel.container, channel.part].field == channel.field


@pytest.mark.parametrize("name", PART_EVENTS)
def test_a_part_event_names_what_there_is(name: str) -> None:
    event = PART_EVENTS[name]
    assert {event.index, event.value, "output_index"} <= names_of(EVENT_TYPES[name])
    assert event.opens is name.endswith(".added")
    for kind in event.items:
        assert any(channel.container == event.container for channel in ITEM_CHANNELS[kind])


@pytest.mark.parametrize("name", PROGRESS)
def test_a_progress_event_names_a_kind_of_item(name: str) -> None:
    rule = PROGRESS[name]
    assert rule.item in ITEM_TYPES
    assert name.startswith(f"response.{rule.item}.")
    assert bool(rule.status) is ("status" in names_of(ITEM_TYPES[rule.item]))


def test_kinds_without_a_channel_come_whole() -> None:
    assert set(ITEM_TYPES) > set(ITEM_CHANNELS)
    assert sum(map(len, ITEM_CHANNELS.values())) == len(CHANNELS)


def test_the_life_of_a_response_begins_once_and_ends_for_good() -> None:
    assert RESPONSE_LIFE["awaited"] == {"response.created": "created"}
    assert RESPONSE_LIFE["ended"] == {}
    reached = {"awaited"}
    while (
        more := {after for state, steps in RESPONSE_LIFE.items() if state in reached for after in steps.values()}
        - reached
    ):
        reached |= more
    assert reached == set(RESPONSE_LIFE)
    for steps in RESPONSE_LIFE.values():
        assert set(steps) <= LIFECYCLE_TYPES
        assert {after == "ended" for name, after in steps.items() if name in TERMINAL_TYPES} <= {True}
        assert "ended" not in {after for name, after in steps.items() if name not in TERMINAL_TYPES}


def test_terminal_events_say_how_it_ended() -> None:
    assert set(TERMINAL) == TERMINAL_TYPES
    assert set(OVERRULED_BY) == set(TERMINAL.values())


def test_what_overrules_is_worse() -> None:
    rank = ["completed", "incomplete", "failed", "cancelled"]
    for said, worse in OVERRULED_BY.items():
        assert worse == set(rank[rank.index(said) + 1 :])

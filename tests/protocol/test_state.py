"""The tables of the protocol's life: complete, and true of the models that they speak of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, get_args

import attrs
import pytest

from responses_proto.codec import load
from responses_proto.models.content import CONTENT_TYPES, Content
from responses_proto.models.events import DELTA_TYPES, EVENT_TYPES, LIFECYCLE_TYPES, TERMINAL_TYPES
from responses_proto.models.items import ITEM_TYPES, Item
from responses_proto.protocol.state import (
    DELTA_EVENTS,
    DELTA_FIELDS,
    DONE_EVENTS,
    ITEM_DELTA_FIELDS,
    ITEM_EVENTS,
    ITEM_LIFE,
    ITEM_PROGRESS,
    ITEM_RULES,
    ITEM_STEPS,
    OTHER_GROWTH_EVENTS,
    PART_CLOSERS,
    PART_EVENTS,
    PART_LIFE,
    PART_OPENERS,
    PART_RULES,
    PART_STEPS,
    PARTS,
    PROGRESS,
    RESPONSE_LIFE,
    RESPONSE_RULES,
    STATUS_PRECEDENCE,
    TERMINAL,
    DeltaField,
    ItemStep,
    PartStep,
    ResponseStep,
)
from responses_proto.rules import RULES

if TYPE_CHECKING:
    from collections.abc import Mapping

# What no table has: the two that all items have in common, what is of no item, and what says nothing about the response.
SINGULAR: Final = {
    "error",
    "keepalive",
    "response.audio.delta",
    "response.audio.done",
    "response.audio.transcript.delta",
    "response.audio.transcript.done",
    "response.inject.created",
    "response.inject.failed",
    "response.output_item.added",
    "response.output_item.done",
    "response.rate_limits.updated",
    "response.steer.accepted",
    "response.steer.failed",
    "response.steer.pending",
}


def names_of(cls: Any) -> set[str]:
    return {field.name for field in attrs.fields(cls)}


def test_every_event_is_in_one_table() -> None:
    tables: tuple[set[str], ...] = (
        set(LIFECYCLE_TYPES), set(DELTA_EVENTS), set(DONE_EVENTS), set(PART_EVENTS), set(PROGRESS), set(OTHER_GROWTH_EVENTS), SINGULAR,
    )  # fmt: skip
    assert sorted(name for table in tables for name in table) == sorted(EVENT_TYPES)


def test_every_delta_has_a_channel_or_is_singular() -> None:
    assert DELTA_TYPES - set(DELTA_EVENTS) == {
        name for name in SINGULAR | set(OTHER_GROWTH_EVENTS) if name.endswith(".delta")
    }


@pytest.mark.parametrize("channel", DELTA_FIELDS, ids=lambda channel: channel.delta)
def test_a_channel_names_what_there_is(channel: DeltaField) -> None:
    delta, done = names_of(EVENT_TYPES[channel.delta]), names_of(EVENT_TYPES[channel.done])
    assert "delta" in delta
    assert channel.value in done
    assert not channel.index or {channel.index} <= delta & done
    assert DELTA_EVENTS[channel.delta] == DONE_EVENTS[channel.done] == channel
    assert channel in ITEM_DELTA_FIELDS[channel.item]
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
    for kind in set(event.items) - {"agent_message"}:  # whose texts are those of other kinds: ALSO_IN
        assert any(channel.container == event.container for channel in ITEM_DELTA_FIELDS[kind])


@pytest.mark.parametrize("name", PROGRESS)
def test_a_progress_event_names_a_kind_of_item(name: str) -> None:
    rule = PROGRESS[name]
    assert rule.item in ITEM_TYPES
    assert name.startswith(f"response.{rule.item}.")
    assert bool(rule.status) is ("status" in names_of(ITEM_TYPES[rule.item]))
    assert name in ITEM_PROGRESS[rule.item]


def test_kinds_without_a_channel_come_whole() -> None:
    assert set(ITEM_TYPES) > set(ITEM_DELTA_FIELDS)
    assert sum(map(len, ITEM_DELTA_FIELDS.values())) == len(DELTA_FIELDS)


def test_the_life_of_a_response_begins_once_and_ends_for_good() -> None:
    assert RESPONSE_LIFE["awaited"] == {"response.created": "created"}
    assert RESPONSE_LIFE["ended"] == {}
    for steps in RESPONSE_LIFE.values():
        assert set(steps) <= LIFECYCLE_TYPES
        assert {after == "ended" for name, after in steps.items() if name in TERMINAL_TYPES} <= {True}
        assert "ended" not in {after for name, after in steps.items() if name not in TERMINAL_TYPES}


LIVES: Final[dict[str, tuple[Mapping[Any, Mapping[Any, str]], Mapping[Any, Mapping[Any, str]], Any]]] = {
    "response": (RESPONSE_LIFE, RESPONSE_RULES, ResponseStep),
    "item": (ITEM_LIFE, ITEM_RULES, ItemStep),
    "part": (PART_LIFE, PART_RULES, PartStep),
}


@pytest.mark.parametrize("level", LIVES)
def test_every_state_can_be_reached(level: str) -> None:
    life, _, _ = LIVES[level]
    reached = {"awaited"}
    while more := {after for state in reached for after in life[state].values()} - reached:
        reached |= more
    assert reached == set(life)


@pytest.mark.parametrize("level", LIVES)
def test_every_step_in_every_state_is_allowed_or_breaks_a_rule(level: str) -> None:
    life, rules, steps = LIVES[level]
    assert list(life) == list(rules)
    assert {rule for broken in rules.values() for rule in broken.values()} <= set(RULES)
    # The life of a response goes by events: what else may come of it is said here.
    allowed = {"in_progress": ["output"]} if level == "response" else life
    for state in life:
        # Of a part that is awaited nothing can be missed when its item is done.
        impossible = ["item done"] if (level, state) == ("part", "awaited") else []
        assert sorted([*allowed.get(state, ()), *rules[state], *impossible]) == sorted(get_args(steps))


def test_every_event_of_an_item_is_a_step_of_its_life() -> None:
    assert set(ITEM_STEPS) == {name for name, cls in EVENT_TYPES.items() if "output_index" in names_of(cls)}
    assert set(ITEM_STEPS.values()) == set(get_args(ItemStep))
    assert {ITEM_STEPS[name] for name in PART_STEPS} == {"grows"}
    assert {*PART_STEPS.values(), "item done"} == set(get_args(PartStep))


def test_each_kind_of_item_has_its_own_events_and_all_of_them_have_a_kind() -> None:
    assert {name for names in ITEM_EVENTS.values() for name in names} | {
        "response.output_item.added",
        "response.output_item.done",
    } == set(ITEM_STEPS)
    assert set(ITEM_EVENTS) < set(ITEM_TYPES)
    shared = {name for name, event in PART_EVENTS.items() if len(event.items) > 1}
    single = [name for names in ITEM_EVENTS.values() for name in names if name not in shared]
    assert len(single) == len(set(single))
    assert [ITEM_STEPS[name] for name in ITEM_EVENTS["mcp_call"]] == ["begins", "ends", "fails", "grows", "grows"]


@pytest.mark.parametrize("name", OTHER_GROWTH_EVENTS)
def test_what_grows_in_a_way_of_its_own_names_a_kind_of_item(name: str) -> None:
    assert OTHER_GROWTH_EVENTS[name] in ITEM_TYPES
    assert ITEM_STEPS[name] == "grows"


def test_the_work_on_an_item_goes_forward_only() -> None:
    life = LIVES["item"][0]
    for names in ITEM_PROGRESS.values():
        state = "open"
        for step in dict.fromkeys(ITEM_STEPS[name] for name in names if ITEM_STEPS[name] != "fails"):
            state = life[state][step]
        assert life[state]["done"] == "done"


def test_what_is_opened_is_closed_by_an_event_or_with_its_text() -> None:
    for item, container in PART_OPENERS:
        assert (item, container) in PART_CLOSERS or container == "action.commands"
    assert PART_OPENERS["reasoning", "content"] == "response.content_part.added"
    assert PART_CLOSERS["reasoning", "content"] == "response.content_part.done"
    assert {*PART_OPENERS.values(), *PART_CLOSERS.values()} | {
        "response.reasoning_part.added",
        "response.reasoning_part.done",
    } == set(PART_EVENTS)


def test_terminal_events_say_how_it_ended() -> None:
    assert set(TERMINAL) == TERMINAL_TYPES
    assert set(STATUS_PRECEDENCE) == set(TERMINAL.values())


def test_what_overrules_is_worse() -> None:
    rank = ["completed", "incomplete", "failed", "cancelled"]
    for said, worse in STATUS_PRECEDENCE.items():
        assert worse == set(rank[rank.index(said) + 1 :])

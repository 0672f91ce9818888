"""Which item and which part an event belongs to, rule by rule, and what servers do to that."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.streams import (
    CALL,
    TEXT,
    THOUGHT,
    Wire,
    added,
    call,
    call_events,
    clean,
    clean_output,
    codes,
    codex,
    copilot,
    done,
    each,
    ending,
    fold,
    frame,
    litellm_reordered,
    llama_cpp,
    message,
    message_events,
    numbered,
    opening,
    output_of,
    output_text,
    part_event,
    read,
    reasoning,
    streamed_of,
    summary_events,
    text_delta,
    thought,
    thought_events,
    vllm_climbing,
    vllm_minus_one,
    vllm_unannounced,
    without,
)

from responses_proto.codec import dump, load
from responses_proto.exceptions import RemoteProtocolError
from responses_proto.models.events import Event
from responses_proto.protocol import ResponseStream

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from responses_proto.protocol import Accumulator


def begun(*events: Wire) -> Accumulator:
    """Return an accumulator with items in it and without anomalies."""
    wires = numbered([*opening(), *events])
    accumulator = fold(wires)
    assert codes(accumulator) == {}
    return accumulator


def push(accumulator: Accumulator, wire: Wire) -> Any:
    event: Any = load({**wire, "sequence_number": accumulator.next_sequence_number}, Event)
    accumulator.push(event)
    return event


def two_messages() -> Accumulator:
    items = [added(index, message("", id_, "in_progress")) for index, id_ in enumerate(["m0", "m1"])]
    parts = [part_event("content_part.added", output_text(), index, id_) for index, id_ in enumerate(["m0", "m1"])]
    return begun(*items, *parts)


def texts(accumulator: Accumulator) -> list[str]:
    return ["".join(part["text"] for part in item["content"]) for item in dump(accumulator.response)["output"]]


# ---- the order of precedence


def test_rule_1_the_index_is_believed_before_the_id() -> None:
    accumulator = two_messages()
    event = push(accumulator, text_delta("x", 0, "m1"))
    assert texts(accumulator) == ["x", ""]
    assert (event.output_index, event.item_id) == (0, "m0")
    assert codes(accumulator) == {"id-contradicted": 1}
    # The other item keeps its id.
    push(accumulator, without(text_delta("y", 0, "m1"), "output_index"))
    assert texts(accumulator) == ["x", "y"]


def test_rule_1_needs_an_item_that_can_take_the_event() -> None:
    accumulator = begun(added(0, call("", status="in_progress")), added(1, message("", "m", "in_progress")))
    event = push(accumulator, text_delta("x", 0, "m"))
    assert (event.output_index, event.item_id) == (1, "m")
    assert set(codes(accumulator)) == {"index-contradicted", "found-by-id", "part-implied"}


def test_rule_2_by_the_present_id() -> None:
    accumulator = two_messages()
    event = push(accumulator, without(text_delta("x", 0, "m1"), "output_index"))
    assert (texts(accumulator), event.output_index) == (["", "x"], 1)
    assert codes(accumulator) == {"index-missing": 1, "found-by-id": 1}
    event = push(accumulator, text_delta("y", 7, "m1"))
    assert (texts(accumulator), event.output_index) == (["", "xy"], 1)


def test_rule_2_by_a_former_id() -> None:
    accumulator = two_messages()
    assert push(accumulator, text_delta("x", 1, "m1-again")).item_id == "m1"
    event = push(accumulator, without(text_delta("y", 0, "m1-again"), "output_index"))
    assert (texts(accumulator), event.output_index, event.item_id) == (["", "xy"], 1, "m1")
    event = push(accumulator, without(text_delta("z", 0, "m1"), "output_index"))
    assert (texts(accumulator), event.item_id) == (["", "xyz"], "m1")
    assert codes(accumulator) == {"id-rotated": 1, "index-missing": 1, "found-by-id": 1}


def test_rule_2_comes_before_the_only_open_item() -> None:
    accumulator = two_messages()
    push(accumulator, done(1, message("said", "m1")))
    event = push(accumulator, without(text_delta("x", 0, "m1"), "output_index"))
    assert (texts(accumulator), event.output_index) == (["", "said"], 1)
    assert "delta-after-done" in codes(accumulator)


def test_rule_3_by_call_id() -> None:
    calls = [added(index, call("", f"f{index}", f"c{index}", "in_progress")) for index in (0, 1)]
    accumulator = begun(*calls)
    event = push(accumulator, without(done(0, without(call("{}", "", "c1"), "id")), "output_index"))
    assert event.output_index == 1
    assert [item["arguments"] for item in dump(accumulator.response)["output"]] == ["", "{}"]
    assert codes(accumulator) == {"index-missing": 1, "found-by-call-id": 1, "done-merged": 1}


def test_rule_3_against_the_index() -> None:
    calls = [added(index, call("", f"f{index}", f"c{index}", "in_progress")) for index in (0, 1)]
    accumulator = begun(*calls)
    event = push(accumulator, done(0, call("{}", "other", "c1")))
    assert event.output_index == 1
    assert codes(accumulator) == {"index-contradicted": 1, "found-by-call-id": 1, "id-rotated": 1}


def test_the_same_id_outweighs_another_call_id() -> None:
    # So OpenAI's own tool searches end.
    search: Wire = {
        "type": "tool_search_call",
        "id": "ts",
        "execution": "client",
        "arguments": {},
        "status": "in_progress",
    }
    accumulator = begun(
        added(0, {**search, "call_id": "c1"}), done(0, {**search, "call_id": "c2", "status": "completed"})
    )
    assert dump(accumulator.response)["output"] == [{**search, "call_id": "c2", "status": "completed"}]


@pytest.mark.parametrize(
    "where", [{}, {"item_id": "no-such-id"}, {"output_index": 9}, {"output_index": 9, "item_id": "no"}]
)
def test_rule_4_the_only_open_item_of_the_kind(where: Wire) -> None:
    accumulator = begun(
        added(0, message("", "m0", "in_progress")),
        done(0, message("a", "m0")),
        added(1, call("", status="in_progress")),
        added(2, message("", "m2", "in_progress")),
        part_event("content_part.added", output_text(), 2, "m2"),
    )
    event = push(accumulator, {**without(text_delta("x"), "output_index", "item_id"), **where})
    assert (event.output_index, event.item_id) == (2, "m2")
    assert dump(accumulator.response)["output"][2]["content"][0]["text"] == "x"
    assert codes(accumulator)["found-by-kind"] == 1


def test_rule_4_takes_the_newest_of_several_if_the_event_names_none() -> None:
    accumulator = two_messages()
    event = push(accumulator, without(text_delta("x"), "output_index", "item_id"))
    assert (texts(accumulator), event.output_index) == (["", "x"], 1)
    push(accumulator, text_delta("y", id_="m1"))  # spoken of last
    push(accumulator, without(text_delta("z"), "output_index", "item_id"))
    assert "item-implied" not in codes(accumulator)
    assert sorted(texts(accumulator)) == ["x", "yz"]


def test_rule_5_opens_one_item_for_all_that_nothing_names() -> None:
    accumulator = two_messages()
    for number in range(20):
        push(accumulator, without(text_delta("x", id_=f"nobody's {number}"), "output_index"))
    assert texts(accumulator) == ["", "", "x" * 20]
    assert codes(accumulator)["item-implied"] == 1


def test_rule_5_a_new_item_is_opened() -> None:
    accumulator = begun(added(0, call("", status="in_progress")))
    event = push(accumulator, text_delta("x", 1, "m"))
    assert (event.output_index, event.item_id, event.content_index) == (1, "m", 0)
    item = dump(accumulator.response)["output"][1]
    assert item == {
        "type": "message",
        "id": "m",
        "role": "assistant",
        "status": "in_progress",
        "content": [{"type": "output_text", "text": "x", "annotations": []}],
    }
    assert codes(accumulator) == {"item-implied": 1, "part-implied": 1}


def test_the_next_place_with_a_new_id_is_the_next_item_even_unannounced() -> None:
    deltas = [{**call_events(index, f"f{index}")[1], "delta": str(index)} for index in (0, 1)]
    accumulator = fold(numbered([*opening(), *deltas, *deltas]))
    assert [item["arguments"] for item in dump(accumulator.response)["output"]] == ["00", "11"]


def test_an_item_added_at_last_keeps_what_was_streamed() -> None:
    accumulator = fold(
        numbered(
            [*opening(), text_delta("x", 0, "m"), added(0, message("", "m", "in_progress")), text_delta("y", 0, "m")]
        )
    )
    assert texts(accumulator) == ["xy"]
    assert codes(accumulator) == {"item-implied": 1, "part-implied": 1}


def test_a_server_that_counts_from_one() -> None:
    events = [*opening(), *call_events(1, "f1", "c1"), *call_events(2, "f2", "c2"), *message_events(3)]
    interleaved = [*events[:4], *events[8:10], *events[4:8], *events[10:]]
    for order in (events, interleaved):
        accumulator = fold(numbered(order))
        assert [dump(item) for item in accumulator.streamed_output] == [
            call("".join(CALL), "f1", "c1"),
            call("".join(CALL), "f2", "c2"),
            message("".join(TEXT)),
        ]
        assert set(codes(accumulator)) == set()
        accumulator.push(
            load(
                {
                    **ending(
                        [call("".join(CALL), "f1", "c1"), call("".join(CALL), "f2", "c2"), message("".join(TEXT))]
                    ),
                    "sequence_number": accumulator.next_sequence_number,
                },
                Event,
            )
        )
        assert set(codes(accumulator)) == {"index-skipped"}


def test_items_added_in_another_order() -> None:
    late, early = call_events(1, "f1", "c1", ["1"]), call_events(0, "f0", "c0", ["0"])
    accumulator = fold(numbered([*opening(), late[0], early[0], early[1], late[1], *late[2:], *early[2:]]))
    assert [item["arguments"] for item in streamed_of(accumulator)] == ["0", "1"]
    assert set(codes(accumulator)) == set()


def test_repeated_ids_are_two_items() -> None:
    accumulator = fold(numbered([*opening(), *summary_events(0, "same"), *summary_events(1, "same", ["b"])]))
    assert [item["summary"][0]["text"] for item in streamed_of(accumulator)] == ["".join(THOUGHT), "b"]
    assert [item["id"] for item in dump(accumulator.streamed_output)] == ["same", "same"]
    assert codes(accumulator) == {"id-contradicted": 1}


# ---- added where another one is


def test_added_where_another_kind_is_opens_the_next_slot() -> None:
    accumulator = begun(added(0, thought("", "r")))
    event = push(accumulator, added(0, message("", "m", "in_progress")))
    assert event.output_index == 1
    assert codes(accumulator) == {"index-occupied": 1}
    # And the deltas may say the real place: so does the Hugging Face router.
    assert push(accumulator, text_delta("x", 1, "m")).output_index == 1
    assert set(codes(accumulator)) == {"index-occupied", "part-implied"}


def test_added_where_a_closed_item_is_opens_the_next_slot() -> None:
    accumulator = begun(*message_events(0, "m0"))
    assert push(accumulator, added(0, message("", "m1", "in_progress"))).output_index == 1
    assert push(accumulator, text_delta("x", 0, "m1")).output_index == 1
    assert texts(accumulator) == ["".join(TEXT), "x"]


def test_added_where_another_call_is_opens_the_next_slot() -> None:
    accumulator = begun(added(0, call("", "f0", "c0", "in_progress")))
    assert push(accumulator, added(0, call("", "f1", "c1", "in_progress"))).output_index == 1


def test_added_again_is_the_same_item() -> None:
    for again in (
        message("", "m0", "in_progress"),
        message("", "m0-again", "in_progress"),
        without(message("", "", "x"), "id"),
    ):
        accumulator = begun(
            added(0, message("", "m0", "in_progress")),
            part_event("content_part.added", output_text(), 0, "m0"),
            text_delta("x", 0, "m0"),
        )
        assert push(accumulator, added(0, again)).output_index == 0
        assert texts(accumulator) == ["x"]
        assert codes(accumulator)["item-repeated"] == 1


def test_the_same_kind_again_after_something_else_is_another_item() -> None:
    # The Hugging Face router adds every message at 0 and marks none of them done.
    accumulator = begun(added(0, message("", "m0", "in_progress")), *call_events(1))
    assert push(accumulator, added(0, message("", "m2", "in_progress"))).output_index == 2
    push(accumulator, text_delta("x", 2, "m2"))
    assert streamed_of(accumulator)[2]["content"][0]["text"] == "x"


def test_added_without_an_index() -> None:
    accumulator = begun()
    assert push(accumulator, without(added(0, message("", "m", "in_progress")), "output_index")).output_index == 0
    assert push(accumulator, without(added(0, message("", "m", "in_progress")), "output_index")).output_index == 0
    assert push(accumulator, without(added(0, call("", status="in_progress")), "output_index")).output_index == 1
    assert codes(accumulator) == {"index-missing": 1, "item-repeated": 1}


def test_done_without_added() -> None:
    accumulator = begun()
    assert push(accumulator, done(0, message("a"))).output_index == 0
    assert push(accumulator, done(1, message("b", "m1"))).output_index == 1
    assert texts(accumulator) == ["a", "b"]
    assert codes(accumulator) == {"item-implied": 1}


def test_done_as_another_kind_than_added_is_another_item() -> None:
    accumulator = begun(added(0, message("", "m", "in_progress")))
    assert push(accumulator, done(0, call("{}"))).output_index == 1
    assert codes(accumulator) == {"index-contradicted": 1, "item-implied": 1}


def test_done_twice_the_newest_is_believed() -> None:
    accumulator = begun(*message_events())
    push(accumulator, done(0, message("newest")))
    assert texts(accumulator) == ["newest"]
    assert codes(accumulator) == {"item-repeated": 1}


def test_unknown_items_are_found_by_their_raw_id() -> None:
    search = {"type": "acme:search", "id": "s"}
    accumulator = begun(added(0, search), added(1, {**search, "id": "t"}))
    event = push(accumulator, without(done(0, {**search, "id": "t", "hits": 3}), "output_index"))
    assert event.output_index == 1
    assert dump(accumulator.response)["output"] == [search, {**search, "id": "t", "hits": 3}]


# ---- ids under other names


def test_an_item_id_that_is_called_id() -> None:
    accumulator = two_messages()
    event = push(accumulator, {**without(text_delta("x"), "output_index", "item_id"), "id": "m1"})
    assert (event.output_index, event.item_id) == (1, "m1")


def test_an_item_id_on_an_event_that_has_none() -> None:
    shells: list[Wire] = [
        {"type": "shell_call", "id": f"s{n}", "call_id": f"c{n}", "action": {"commands": []}, "status": "in_progress"}
        for n in (0, 1)
    ]
    accumulator = begun(*(added(index, shell) for index, shell in enumerate(shells)))
    wire = {"type": "response.shell_call_command.added", "item_id": "s1", "command_index": 0, "command": "ls"}
    event = push(accumulator, wire)
    assert (event.output_index, event.extra) == (1, {"item_id": "s1"})
    assert dump(accumulator.response)["output"][1]["action"]["commands"] == ["ls"]
    event = push(accumulator, {**added(2, message("", "m", "in_progress")), "item_id": "m"})
    assert event.output_index == 2


def test_a_missing_id_is_filled_in() -> None:
    accumulator = two_messages()
    event = push(accumulator, without(text_delta("x", 1), "item_id"))
    assert (event.item_id, event.extra) == ("m1", {})
    event = push(accumulator, text_delta("y", 1, ""))
    assert event.item_id == "m1"
    assert codes(accumulator) == {"id-missing": 1}


def test_positions_of_a_wrong_type_are_missing_ones() -> None:
    accumulator = two_messages()
    event = push(accumulator, {**text_delta("x"), "output_index": "1", "item_id": 7, "content_index": None})
    assert (event.output_index, event.item_id, event.content_index, event.extra) == (1, "m1", 0, {})
    event = push(accumulator, {**text_delta("x", id_="m1"), "output_index": -1, "more": 1})
    assert (event.output_index, event.extra) == (1, {"more": 1})


# ---- parts


def parts_of(accumulator: Accumulator) -> list[str]:
    return [part.get("text", part.get("refusal")) for part in dump(accumulator.response)["output"][0]["content"]]


def one_message(*parts: Wire) -> Accumulator:
    opened = [part_event("content_part.added", part, at=at) for at, part in enumerate(parts)]
    return begun(added(0, message("", status="in_progress")), *opened)


@pytest.mark.parametrize("index", [None, -1, 5, "0"])
def test_a_wrong_content_index_means_the_open_part_of_the_kind(index: Any) -> None:
    accumulator = one_message(output_text(), {"type": "refusal", "refusal": ""})
    wire = (
        {**text_delta("x"), "content_index": index} if index is not None else without(text_delta("x"), "content_index")
    )
    event = push(accumulator, wire)
    assert (event.content_index, parts_of(accumulator)) == (0, ["x", ""])
    assert codes(accumulator) == {"part-index": 1}


def test_a_content_index_that_names_another_kind() -> None:
    accumulator = one_message({"type": "refusal", "refusal": ""}, output_text())
    event = push(accumulator, text_delta("x", part=0))
    assert (event.content_index, parts_of(accumulator)) == (1, ["", "x"])
    accumulator = one_message({"type": "refusal", "refusal": ""})
    event = push(accumulator, text_delta("x", part=0))
    assert (event.content_index, parts_of(accumulator)) == (1, ["", "x"])
    assert set(codes(accumulator)) == {"part-implied", "part-index"}


def test_a_delta_for_a_closed_part_goes_to_the_open_one() -> None:
    accumulator = one_message(output_text(), output_text())
    push(accumulator, part_event("content_part.done", output_text("a"), at=0))
    assert push(accumulator, text_delta("x", part=0)).content_index == 1
    assert parts_of(accumulator) == ["a", "x"]


def test_a_part_added_elsewhere_than_next() -> None:
    accumulator = one_message(output_text())
    assert push(accumulator, part_event("content_part.added", output_text("b"), at=-1)).content_index == 1
    assert (
        push(accumulator, without(part_event("content_part.added", output_text("c")), "content_index")).content_index
        == 2
    )
    assert (
        push(accumulator, part_event("content_part.added", {"type": "refusal", "refusal": "d"}, at=0)).content_index
        == 3
    )
    assert parts_of(accumulator) == ["", "b", "c", "d"]
    assert codes(accumulator) == {"part-index": 1}


@pytest.mark.parametrize("made", [message_events, summary_events, thought_events])
@pytest.mark.parametrize("item_done", [True, False])
def test_parts_that_a_server_counts_from_one(made: Callable[[], list[Wire]], item_done: bool) -> None:
    events = made() if item_done else made()[:-1]
    shifted = [
        {name: value + 1 if name in ("content_index", "summary_index") else value for name, value in event.items()}
        for event in events
    ]
    output = [made()[-1]["item"]]
    stream = read(numbered([*opening(), *shifted, ending(output)]))
    assert output_of(stream) == [without(item, "id") for item in output]
    assert codes(stream) == ({"part-index": 1} if item_done else {"part-index": 1, "item-unfinished": 1})


def unindexed(event: Wire, shift: int | None) -> Wire:
    """Return an event with another content index, or (``None``) without one."""
    if "content_index" not in event:
        return event
    return (
        without(event, "content_index") if shift is None else {**event, "content_index": event["content_index"] + shift}
    )


@pytest.mark.parametrize("shift", [0, 1, None])
@pytest.mark.parametrize("deltas", [True, False])
def test_texts_without_part_events_are_parts_of_their_own(*, shift: int | None, deltas: bool) -> None:
    texts = ("First part.", "Second part.")
    events = [added(0, message("", status="in_progress"))]
    for at, text in enumerate(texts):
        events += [text_delta(piece, part=at) for piece in (text[:5], text[5:]) if deltas]
        events += [
            {
                **without(text_delta("", part=at), "delta"),
                "type": "response.output_text.done",
                "text": text,
                "logprobs": [],
            }
        ]
    stream = read(numbered([*opening(), *(unindexed(event, shift) for event in events), ending([])]))
    assert [part["text"] for part in output_of(stream)[0]["content"]] == [*texts]


@pytest.mark.parametrize("shift", [0, 1, -9, None])
def test_events_that_are_sent_twice_say_nothing_new(shift: int | None) -> None:
    events = [unindexed(event, shift) for event in message_events()]
    twice = [event for one in events for event in ([one] if one["type"].endswith("delta") else [one, one])]
    for last in ([], [events[-1]["item"]]):
        stream = read(numbered([*opening(), *twice, ending(last)]))
        assert output_of(stream) == [without(events[-1]["item"], "id")]


def test_an_item_that_is_added_twice_at_a_wrong_index_is_one_item() -> None:
    events = call_events(1)
    first = {**events[0], "output_index": 0}  # where the message is
    stream = read(numbered([*opening(), *message_events(0), first, first, *events[1:], ending([])]))
    assert [item["type"] for item in output_of(stream)] == ["message", "function_call"]
    assert codes(stream)["item-repeated"] == 1


@pytest.mark.parametrize("texts", [True, False])
def test_a_final_output_under_other_ids_and_places_is_matched_item_by_item(*, texts: bool) -> None:
    two = {**message("Two"), "content": [output_text("Two"), output_text("parts.")]}
    items = [call("{}"), message("One."), two, message("Three.")]
    streamed = [
        event
        for at, item in enumerate(items)
        for event in (added(at + 1, {**item, "id": f"a_{at}"}), done(at + 1, {**item, "id": f"d_{at}"}))
    ]
    listed: list[Wire] = [{**item, "id": f"f_{at}"} for at, item in enumerate(items)]
    if not texts:
        listed = [{**item, "content": []} if "content" in item else item for item in listed]
    stream = read(numbered([*opening(), *streamed, ending(listed)]))
    assert output_of(stream) == [without(item, "id") for item in items]


def test_a_part_that_no_later_statement_repeats_stays() -> None:
    shifted = [{**event, "content_index": 1} if "content_index" in event else event for event in message_events()]
    stream = read(numbered([*opening(), *shifted[:-1], done(0, message("Another text."))]))
    assert [part["text"] for part in output_of(stream)[0]["content"]] == ["Another text.", "".join(TEXT)]
    assert {"done-merged"} <= codes(stream).keys()


def test_too_late_for_a_part_but_not_for_a_place() -> None:
    accumulator = begun(*message_events())
    wires: list[Wire] = [
        text_delta("x"),
        part_event("content_part.added", output_text("x")),
        part_event("content_part.done", output_text("x")),
        {**without(text_delta(""), "delta"), "type": "response.output_text.done", "text": "x"},
        {
            **without(text_delta(""), "delta"),
            "type": "response.output_text.annotation.added",
            "annotation": {},
            "annotation_index": 0,
        },
    ]
    for wire in wires:
        event = push(accumulator, {**wire, "content_index": -1})
        assert event.content_index == 0
        assert push(accumulator, wire).content_index == 0
    assert parts_of(accumulator) == ["".join(TEXT)]


# ---- dialects: the same snapshot as the clean stream, but for the ids

DIALECTS: dict[str, tuple[Callable[[Sequence[Wire]], list[Wire]], dict[str, int]]] = {
    "llama.cpp": (
        llama_cpp,
        {
            "missing-field": 9,
            "index-missing": 10,
            "found-by-id": 9,
            "found-by-kind": 1,
            "found-by-call-id": 1,
            "part-index": 6,
        },
    ),
    "vLLM, content_index -1": (vllm_minus_one, {"part-index": 6, "id-missing": 6}),
    "vLLM, content_index rising": (vllm_climbing, {"part-index": 2}),
    "vLLM, done without added": (vllm_unannounced, {"item-implied": 3, "part-implied": 2, "output-empty": 1}),
    "Copilot": (copilot, {"response-id-changed": 2, "id-rotated": 9, "output-differs": 3}),
    "Codex": (codex, {"output-empty": 1}),
    "LiteLLM": (litellm_reordered, {"sequence-missing": 3, "sequence-gap": 1, "sequence-repeated": 3}),
}


@pytest.mark.parametrize("name", DIALECTS)
def test_a_dialect_gives_the_snapshot_of_the_clean_stream(name: str) -> None:
    dialect, found = DIALECTS[name]
    stream = read(dialect(clean()))
    assert stream.outcome is not None
    assert stream.outcome.status == "completed"
    assert output_of(stream) == streamed_of(stream) == [without(item, "id") for item in clean_output()]
    assert codes(stream) == found


@pytest.mark.parametrize("name", DIALECTS)
def test_a_dialect_gives_its_text_by_deltas_alone(name: str) -> None:
    dialect, _ = DIALECTS[name]

    def deltas(event: Wire) -> Wire | None:
        return None if event["type"].endswith(".done") else event

    stream = read(codex(each(dialect(clean()), deltas)))
    assert stream.response.output_text == "".join(TEXT)
    assert stream.response.reasoning_text == "".join(THOUGHT)
    assert [item.arguments for item in stream.response.function_calls] == ["".join(CALL)]


@pytest.mark.parametrize("name", DIALECTS)
def test_a_dialects_events_have_the_positions_of_the_clean_stream(name: str) -> None:
    dialect, _ = DIALECTS[name]
    stream = ResponseStream()
    for event in dialect(clean()):
        stream.receive_data(frame(event))
    dumped = [dump(event) for event in stream.events_received()]
    seen = [(event["output_index"], event.get("content_index", 0)) for event in dumped if "output_index" in event]
    assert set(seen) == {(0, 0), (1, 0), (2, 0)}
    if len(seen) == len(clean()) - 3:
        assert sorted(seen) == [(event["output_index"], 0) for event in clean() if "output_index" in event]


@pytest.mark.parametrize("name", DIALECTS)
def test_strict_refuses_a_dialect(name: str) -> None:
    dialect, _ = DIALECTS[name]
    with pytest.raises(RemoteProtocolError):
        read(dialect(clean()), strict=True)


def test_copilot_says_texts_without_deltas() -> None:
    events = [event for event in copilot(clean()) if not event["type"].endswith(".delta")]
    assert output_of(read(codex(events))) == [without(item, "id") for item in clean_output()]


def test_litellm_leaves_out_the_summary_index() -> None:
    whole = reasoning("".join(THOUGHT))
    events = numbered([*opening(), *summary_events(0), ending([whole])])
    bare = each(events, lambda event: without(event, "summary_index"))
    stream = read(bare)
    assert output_of(stream) == streamed_of(stream) == [without(whole, "id")]
    assert set(codes(stream)) == {"part-index"}

"""Events to a snapshot: every kind of text, the last word, and totality. Where events belong: test_identity.py."""

from __future__ import annotations

import copy
import pickle
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from tests.streams import (
    BLANK,
    CALL,
    SHELL,
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
    done,
    ending,
    fold,
    message,
    message_events,
    numbered,
    opening,
    output_text,
    part_event,
    plain,
    response,
    text_delta,
    thought_events,
    without,
)

from responses_proto.codec import dump, dumps, load
from responses_proto.exceptions import LimitExceeded, LocalProtocolError, RemoteProtocolError
from responses_proto.limits import Limits
from responses_proto.models.events import Event, OutputTextDelta, UnknownEvent
from responses_proto.models.items import ShellCallOutput
from responses_proto.protocol import Accumulator
from responses_proto.protocol.state import DELTA_FIELDS, PART_EVENTS, PROGRESS, DeltaField

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def channel_event(channel: DeltaField, name: str, **fields: Any) -> Wire:
    event: Wire = {"type": name, "output_index": 0, **({channel.index: 0} if channel.index else {}), **fields}
    return event if channel.item == "shell_call" else {**event, "item_id": "it_1"}


def part_of(channel: DeltaField, text: str) -> Any:
    if not channel.part:
        return text
    extra: Wire = {"annotations": []} if channel.part == "output_text" else {}
    return {"type": channel.part, channel.field: text, **extra}


def opened(channel: DeltaField) -> list[Wire]:
    """Return the beginning of a stream, up to the first delta of a channel."""
    events = [*opening(), added(0, BLANK[channel.item])]
    for name, rule in PART_EVENTS.items():
        if channel.index == rule.index and channel.container == rule.container and rule.opens:
            return [*events, channel_event(channel, name, **{rule.value: part_of(channel, "")})]
    return events


def text_at(channel: DeltaField, item: Wire) -> Any:
    value: Any = item
    for step in filter(None, (channel.container or channel.field).split(".")):
        value = value[step]
    if channel.container:
        value = value[0]
    return value[channel.field] if channel.part else value


def item_of(accumulator: Accumulator, index: int = 0) -> Wire:
    item: Wire = dump(accumulator.response)["output"][index]
    return item


# ---- every text that grows


@pytest.mark.parametrize("channel", DELTA_FIELDS, ids=lambda channel: channel.delta)
def test_deltas_add_up_and_the_whole_is_believed(channel: DeltaField) -> None:
    deltas = [channel_event(channel, channel.delta, delta=piece) for piece in ("a", "b", "c")]
    said = channel_event(channel, channel.done, **{channel.value: "abc"})
    accumulator = fold(numbered([*opened(channel), *deltas]), strict=True)
    assert text_at(channel, item_of(accumulator)) == "abc"
    accumulator = fold(numbered([*opened(channel), *deltas, said]), strict=True)
    assert text_at(channel, item_of(accumulator)) == "abc"
    assert accumulator.response.output[0].type == channel.item
    assert codes(accumulator) == {}


@pytest.mark.parametrize("channel", DELTA_FIELDS, ids=lambda channel: channel.delta)
def test_the_whole_text_beats_its_deltas_unless_it_is_left_out(channel: DeltaField) -> None:
    delta = channel_event(channel, channel.delta, delta="streamed")
    for whole, believed, found in (("said", "said", ["delta-mismatch"]), ("", "streamed", ["done-merged"])):
        said = channel_event(channel, channel.done, **{channel.value: whole})
        accumulator = fold(numbered([*opened(channel), delta, said]))
        assert text_at(channel, item_of(accumulator)) == believed
        assert list(codes(accumulator)) == found


@pytest.mark.parametrize("channel", DELTA_FIELDS, ids=lambda channel: channel.delta)
def test_a_whole_text_needs_no_deltas(channel: DeltaField) -> None:
    said = channel_event(channel, channel.done, **{channel.value: "said"})
    accumulator = fold(numbered([*opened(channel), said]), strict=True)
    assert text_at(channel, item_of(accumulator)) == "said"


@pytest.mark.parametrize("channel", DELTA_FIELDS, ids=lambda channel: channel.delta)
def test_nothing_is_added_to_what_is_done(channel: DeltaField) -> None:
    delta = channel_event(channel, channel.delta, delta="a")
    said = channel_event(channel, channel.done, **{channel.value: "a"})
    accumulator = fold(numbered([*opened(channel), delta, said, delta]))
    assert text_at(channel, item_of(accumulator)) == "a"
    assert codes(accumulator) == {"delta-after-done": 1}
    last = item_of(accumulator)
    accumulator = fold(numbered([*opened(channel), delta, said, done(0, last), delta, said]))
    assert item_of(accumulator) == last
    assert codes(accumulator) == {"delta-after-done": 1}


@pytest.mark.parametrize("channel", DELTA_FIELDS, ids=lambda channel: channel.delta)
def test_an_item_that_was_never_added_is_opened_by_its_first_delta(channel: DeltaField) -> None:
    deltas = [channel_event(channel, channel.delta, delta=piece) for piece in ("a", "b")]
    accumulator = fold(numbered([*opening(), *deltas]))
    assert text_at(channel, item_of(accumulator)) == "ab"
    assert set(codes(accumulator)) == {"item-implied", *(["part-implied"] if channel.index else [])}


@pytest.mark.parametrize("channel", DELTA_FIELDS, ids=lambda channel: channel.delta)
def test_the_items_own_last_word(channel: DeltaField) -> None:
    delta = channel_event(channel, channel.delta, delta="streamed")
    accumulator = fold(numbered([*opened(channel), delta]))
    whole = item_of(accumulator)
    empty = BLANK[channel.item]
    other = copy.deepcopy(whole)
    if channel.container == "action.commands":
        other["action"]["commands"] = ["said"]
    elif channel.part:
        other[channel.container][0][channel.field] = "said"
    elif channel.field == "operation.diff":
        other["operation"]["diff"] = "said"
    else:
        other[channel.field] = "said"
    for last, believed, found in (
        (whole, "streamed", {}),
        (empty, "streamed", {"done-merged": 1}),
        (other, "said", {"delta-mismatch": 1}),
    ):
        accumulator = fold(numbered([*opened(channel), delta, done(0, last)]))
        assert text_at(channel, item_of(accumulator)) == believed
        assert codes(accumulator) == found


def test_a_part_of_the_last_word_that_is_empty_leaves_the_streamed_one() -> None:
    last = message("x")
    last["content"] = [output_text(""), output_text("b")]
    parts = [part_event("content_part.added", output_text(), at=at) for at in (0, 1)]
    deltas = [text_delta("a", part=0), text_delta("b", part=1)]
    accumulator = fold(
        numbered([*opening(), added(0, message("", status="in_progress")), *parts, *deltas, done(0, last)])
    )
    assert [part["text"] for part in item_of(accumulator)["content"]] == ["a", "b"]
    assert last["content"][0]["text"] == ""
    assert codes(accumulator) == {"done-merged": 1}


def test_texts_begin_with_what_the_item_came_with() -> None:
    begun = message("Once ", status="in_progress")
    accumulator = fold(numbered([*opening(), added(0, begun), text_delta("upon")]), strict=True)
    assert accumulator.output_text == "Once upon"
    accumulator = fold(
        numbered([*opening(), added(1, call("{", status="in_progress")), call_events(1, deltas=["}"])[1]]), strict=False
    )
    assert accumulator.response.function_calls[0].arguments == "{}"


# ---- parts


def test_part_events_open_and_close_parts() -> None:
    events = numbered([*opening(), *thought_events(0), *message_events(1), *call_events(2)])
    accumulator = fold(events, strict=True)
    assert dump(accumulator.streamed_output) == clean_output()


@pytest.mark.parametrize("step", ["content_part", "reasoning_part"])
def test_reasoning_parts_by_either_name(step: str) -> None:
    events = [
        {**event, "type": event["type"].replace("content_part", step)} for event in [*opening(), *thought_events(0)]
    ]
    assert dump(fold(numbered(events), strict=True).streamed_output) == clean_output()[:1]


def test_a_part_that_is_done_without_text_keeps_the_streamed_one() -> None:
    bare = {"type": "output_text", "text": ""}
    begun = [added(0, message("", status="in_progress")), part_event("content_part.added", output_text())]
    accumulator = fold(
        numbered([*opening(), *begun, text_delta("a"), part_event("content_part.done", bare), text_delta("b")])
    )
    assert item_of(accumulator)["content"] == [{"type": "output_text", "text": "a"}]
    assert {"done-merged", "delta-after-done"} <= set(codes(accumulator))


def test_a_part_added_twice_is_one_part() -> None:
    begun = [*opening(), added(0, message("", status="in_progress"))]
    first, second = part_event("content_part.added", output_text()), part_event("content_part.added", output_text("a"))
    assert item_of(fold(numbered([*begun, first, second])))["content"] == [output_text("a")]
    accumulator = fold(numbered([*begun, first, text_delta("x"), second]))
    assert item_of(accumulator)["content"] == [output_text("x")]
    assert codes(accumulator) == {"part-repeated": 1}


def test_parts_without_a_text_of_their_own() -> None:
    image = {"type": "input_image", "image_url": "data:", "detail": "auto"}
    begun = [*opening(), added(0, message("", status="in_progress"))]
    accumulator = fold(
        numbered([*begun, part_event("content_part.added", image), part_event("content_part.done", image)])
    )
    assert item_of(accumulator)["content"] == [image]
    accumulator = fold(numbered([*begun, part_event("content_part.done", image)]))
    assert item_of(accumulator)["content"] == [image]
    assert codes(accumulator) == {"part-implied": 1}
    odd = {"type": "acme:chart", "points": [1]}
    accumulator = fold(numbered([*begun, part_event("content_part.added", odd)]), strict=True)
    assert item_of(accumulator)["content"] == [odd]


def test_annotations_and_logprobs_come_beside_the_text() -> None:
    logprob = {"token": "a", "logprob": -1.0, "bytes": [97], "top_logprobs": []}
    url = {"type": "url_citation", "url": "u", "title": "t", "start_index": 0, "end_index": 1}
    noted = {
        **without(text_delta(""), "delta", "logprobs"),
        "type": "response.output_text.annotation.added",
        "annotation": url,
        "annotation_index": 0,
    }
    begun = [*opening(), added(0, message("", status="in_progress")), part_event("content_part.added", output_text())]
    deltas = [{**text_delta(piece), "logprobs": [logprob]} for piece in "ab"]
    streamed = {**output_text("ab"), "annotations": [url], "logprobs": [logprob, logprob]}
    accumulator = fold(numbered([*begun, *deltas, noted]), strict=True)
    assert item_of(accumulator)["content"] == [streamed]
    # The part's last word may leave them out, or say others.
    accumulator = fold(numbered([*begun, *deltas, noted, part_event("content_part.done", output_text("ab"))]))
    assert item_of(accumulator)["content"] == [streamed]
    assert codes(accumulator) == {"done-merged": 2}
    last = {**streamed, "annotations": [url, url], "logprobs": [logprob]}
    accumulator = fold(numbered([*begun, *deltas, noted, part_event("content_part.done", last)]), strict=True)
    assert item_of(accumulator)["content"] == [last]
    # So may the text's.
    said = {
        **without(text_delta(""), "delta"),
        "type": "response.output_text.done",
        "text": "ab",
        "logprobs": [logprob],
    }
    accumulator = fold(numbered([*begun, *deltas, noted, said]), strict=True)
    assert item_of(accumulator)["content"] == [{**streamed, "logprobs": [logprob]}]
    # A part that came with some of them gets more; an annotation may be null; after the item's last word it is too late.
    given_one = part_event("content_part.added", {**output_text(), "annotations": [url]})
    accumulator = fold(numbered([*opening(), begun[2], given_one, noted, {**noted, "annotation": None}]), strict=True)
    assert item_of(accumulator)["content"][0]["annotations"] == [url, url]
    accumulator = fold(numbered([*opening(), begun[2], done(0, message("ab")), noted]))
    assert item_of(accumulator) == message("ab")


# ---- what is like nothing else


@pytest.mark.parametrize("name", PROGRESS)
def test_progress_is_the_items_status(name: str) -> None:
    rule = PROGRESS[name]
    item = {"type": rule.item, "id": "it_1"}
    event = {"type": name, "output_index": 0, "item_id": "it_1"}
    accumulator = fold(numbered([*opening(), added(0, item), event]))
    assert item_of(accumulator).get("status", "") == rule.status
    assert codes(accumulator) == {}
    last = {**item, "status": "failed"}
    assert item_of(fold(numbered([*opening(), added(0, item), event, done(0, last), event]))) == last


def test_a_partial_image_is_a_preview_and_never_the_result() -> None:
    at = {"type": "response.image_generation_call.partial_image", "item_id": "ig", "output_index": 0}
    parts = [
        {**at, "partial_image_index": index, "partial_image_b64": image} for index, image in enumerate(["AA", "BBBB"])
    ]
    item = {"type": "image_generation_call", "id": "ig", "status": "in_progress"}
    accumulator = fold(numbered([*opening(), added(0, item), *parts]), strict=True)
    assert item_of(accumulator) == item
    for last in ({**item, "status": "completed", "result": "CC"}, {**item, "status": "failed", "result": None}):
        accumulator = fold(numbered([*opening(), added(0, item), *parts, done(0, last), parts[0]]))
        assert item_of(accumulator) == last
        assert codes(accumulator) == {}


def shell_wrote(command: int, **wrote: str | None) -> Wire:
    at = {"type": "response.shell_call_output_content.delta", "item_id": "so", "output_index": 0}
    return {**at, "command_index": command, "delta": wrote}


def shell_done(command: int, *output: Wire) -> Wire:
    at = {"type": "response.shell_call_output_content.done", "item_id": "so", "output_index": 0}
    return {**at, "command_index": command, "output": list(output)}


def test_shell_output_grows_in_both_streams() -> None:
    ended = {"stdout": "ab", "stderr": "e", "outcome": {"type": "exit", "exit_code": 0}}
    begun = [*opening(), added(0, SHELL)]
    deltas = [
        shell_wrote(1, stdout="a", stderr=None),
        shell_wrote(1, stdout="b"),
        shell_wrote(1, stderr="e"),
        shell_wrote(0),
    ]
    accumulator = fold(numbered([*begun, *deltas]), strict=True)
    assert item_of(accumulator)["output"] == [{"stdout": "", "stderr": ""}, {"stdout": "ab", "stderr": "e"}]
    before = accumulator.response
    accumulator.push(load({**shell_wrote(1, stdout="c"), "sequence_number": 7}, Event))
    assert item_of(accumulator)["output"][1]["stdout"] == "abc"
    assert dump(before)["output"][0]["output"][1]["stdout"] == "ab"
    accumulator = fold(numbered([*begun, *deltas, shell_done(1, ended)]), strict=True)
    assert item_of(accumulator)["output"][1] == ended
    # The item's last word may leave the output out. After it, nothing is added.
    for last in (SHELL, {**SHELL, "output": [{"stdout": "", "stderr": ""}, ended]}):
        accumulator = fold(numbered([*begun, *deltas, shell_done(1, ended), done(0, last), deltas[0]]))
        assert item_of(accumulator)["output"] == [{"stdout": "", "stderr": ""}, ended]
        assert set(codes(accumulator)) == {"delta-after-done", *(["done-merged"] if last is SHELL else [])}


def test_shell_output_without_a_command() -> None:
    unplaced = without(shell_wrote(0, stdout="b"), "command_index")
    accumulator = fold(
        numbered([*opening(), added(0, SHELL), unplaced, shell_wrote(1, stdout="a"), unplaced, shell_wrote(-1)])
    )
    item = accumulator.response.output[0]
    assert isinstance(item, ShellCallOutput)
    assert [output.stdout for output in item.output] == ["b", "ab"]
    assert codes(accumulator) == {"part-index": 1}


def test_sound_is_beside_the_output() -> None:
    sound = [{"type": f"response.audio.{kind}delta", "delta": piece} for kind in ("", "transcript.") for piece in "ab"]
    ends = [{"type": "response.audio.done"}, {"type": "response.audio.transcript.done"}]
    accumulator = fold(numbered([*opening(), *sound, *ends]), strict=True)
    assert (accumulator.audio, accumulator.audio_transcript) == ("ab", "ab")
    assert accumulator.response.output == []


def test_what_is_beside_the_sequence_changes_nothing() -> None:
    accumulator = fold(clean(), strict=True)
    before = accumulator.response
    beside: list[Wire] = [
        {"type": "keepalive"},
        {"type": "response.rate_limits.updated"},
        {"type": "keepalive", "sequence_number": 3},
    ]
    for wire in beside:
        accumulator.push(load(wire, Event))
    assert accumulator.response is before
    assert accumulator.last_sequence_number == len(clean()) - 1
    assert codes(accumulator) == {}


def test_a_numbered_keepalive_is_in_the_sequence() -> None:
    events = [*opening(), {"type": "keepalive"}, *message_events()]
    accumulator = fold(numbered(events), strict=True)
    assert accumulator.last_sequence_number == len(events) - 1


def test_unknown_events_count_but_change_nothing() -> None:
    events = [*opening(), {"type": "acme:thing", "x": 1}, *message_events()]
    assert fold(numbered(events), strict=True).last_sequence_number == len(events) - 1
    accumulator = fold(numbered(opening()))
    before = accumulator.response
    raws: list[Any] = [[1], {"type": "x"}, {"type": "x", "sequence_number": "2"}, {"type": "x", "sequence_number": 9}]
    for raw in raws:
        accumulator.push(UnknownEvent(type="x", raw=raw))
    assert accumulator.response is before
    assert accumulator.next_sequence_number == 2


# ---- the last word of the response


def test_the_terminal_output_is_the_last_word() -> None:
    final = [message("other"), call("{}")]
    accumulator = fold(numbered([*opening(), *message_events(0), *call_events(1), ending(final)]))
    assert dump(accumulator.response)["output"] == final
    assert codes(accumulator) == {"output-differs": 2}
    assert dump(accumulator.streamed_output) == [message("".join(TEXT)), call("".join(CALL))]
    assert accumulator.status == "completed"


@pytest.mark.parametrize("output", [(), None])
def test_no_terminal_output_leaves_the_streamed_one(output: Any) -> None:
    accumulator = fold(codex(clean(), output))
    assert dump(accumulator.response)["output"] == clean_output()
    assert accumulator.response.status == "completed"
    assert codes(accumulator) == {"output-empty": 1}
    missing = [*clean()[:-1], {**clean()[-1], "response": without(clean()[-1]["response"], "output")}]
    assert dump(fold(missing).response)["output"] == clean_output()


def test_a_failed_response_keeps_what_was_streamed_and_that_is_no_finding() -> None:
    failed = ending([], "failed", error={"code": "server_error", "message": "m"})
    accumulator = fold(numbered([*opening(), *message_events(), failed]), strict=True)
    assert accumulator.output_text == "".join(TEXT)
    assert accumulator.status == "failed"


def test_other_items_at_the_end_are_added_to_those_that_were_streamed() -> None:
    accumulator = fold(numbered([*opening(), *message_events(), ending([call("{}")])]))
    assert dump(accumulator.response)["output"] == [message("".join(TEXT)), call("{}")]
    assert set(codes(accumulator)) == {"output-differs"}
    assert codes(fold(numbered([*opening(), ending([call("{}")])]))) == {"output-differs": 1}


def test_items_that_were_never_done_are_reported_for_a_completed_response_only() -> None:
    begun = [*opening(), added(0, message("", status="in_progress"))]
    assert codes(fold(numbered([*begun, ending([message("a")])]))) == {"item-unfinished": 1}
    assert codes(fold(numbered([*begun, ending([message("a")], "incomplete")]))) == {}


@pytest.mark.parametrize(
    ("event", "said", "status", "found"),
    [
        ("completed", "completed", "completed", 0),
        ("completed", "incomplete", "incomplete", 1),
        ("completed", "failed", "failed", 1),
        ("completed", "in_progress", "completed", 0),
        ("incomplete", "completed", "incomplete", 0),
        ("incomplete", "failed", "failed", 1),
        ("failed", "incomplete", "failed", 0),
        ("completed", "cancelled", "cancelled", 0),
        ("incomplete", "cancelled", "cancelled", 0),
        ("failed", "cancelled", "cancelled", 0),
    ],
)
def test_the_worse_of_event_and_status_is_believed(event: str, said: str, status: str, found: int) -> None:
    last = {"type": f"response.{event}", "response": response(status=said)}
    accumulator = fold(numbered([*opening(), last]))
    assert accumulator.status == status
    assert codes(accumulator) == ({"status-contradicted": 1} if found else {})


def test_late_events_are_not_folded_in() -> None:
    accumulator = fold(plain())
    before = accumulator.response
    late = [
        text_delta("late"),
        {"type": "keepalive"},
        plain()[-1],
        {"type": "error", "message": "m", "code": None, "param": None},
    ]
    for event in numbered(late, len(plain())):
        accumulator.push(load(event, Event))
    assert accumulator.response is before
    assert accumulator.error is None
    assert codes(accumulator) == {"late-event": 3}


# ---- the life of the response


def test_before_anything_came_there_is_an_empty_response() -> None:
    accumulator = Accumulator()
    assert (accumulator.response.id, accumulator.response.output, accumulator.output_text) == ("", [], "")
    assert (accumulator.response_id, accumulator.last_sequence_number, accumulator.status) == ("", None, None)
    assert (accumulator.audio, accumulator.audio_transcript, accumulator.delivered_output) == ("", "", False)


def test_output_is_delivered_with_the_first_item() -> None:
    accumulator = fold(numbered([*opening(), {"type": "error", "message": "m", "code": None, "param": None}]))
    assert not accumulator.delivered_output
    accumulator.push(load({**message_events()[0], "sequence_number": 3}, Event))
    assert accumulator.delivered_output


@pytest.mark.parametrize(
    ("order", "found"),
    [
        (["created", "in_progress", "completed"], {}),
        (["created", "queued", "in_progress", "incomplete"], {}),
        (["created", "failed"], {}),
        (["queued", "in_progress", "completed"], {"created-missing": 1}),
        (["failed"], {"created-missing": 1}),
        (["created", "created", "in_progress"], {"lifecycle": 1}),
        (["created", "in_progress", "in_progress", "completed"], {"lifecycle": 1}),
        (["created", "in_progress", "queued", "completed"], {"lifecycle": 1}),
        (["created", "completed", "completed"], {"late-event": 1}),
    ],
)
def test_lifecycle_events_have_their_order(order: Sequence[str], found: dict[str, int]) -> None:
    accumulator = fold(numbered({"type": f"response.{step}", "response": response()} for step in order))
    assert codes(accumulator) == found


def test_a_stream_without_its_beginning() -> None:
    assert codes(fold(numbered(message_events()))) == {"created-missing": 1}
    accumulator = Accumulator(strict=True)
    accumulator.skip_start()
    for event in numbered([*message_events(), ending([message("".join(TEXT)), call("{}")])], 5):
        accumulator.push(load(event, Event))
    assert (accumulator.status, codes(accumulator)) == ("completed", {})
    with pytest.raises(LocalProtocolError, match="before the first event"):
        fold(clean()[:1]).skip_start()


def test_the_newest_response_id_is_believed_and_an_empty_one_is_none() -> None:
    first, second = opening()
    renamed = {**second, "response": response(id="resp_2", status="queued")}
    accumulator = fold(numbered([first, renamed]))
    assert (accumulator.response_id, codes(accumulator)) == ("resp_2", {"response-id-changed": 1})
    nameless = {**second, "response": response(id="", status="in_progress")}
    accumulator = fold(numbered([first, nameless]))
    assert (accumulator.response_id, accumulator.response.id, codes(accumulator)) == ("resp_1", "resp_1", {})


def test_an_error_event_ends_nothing() -> None:
    accumulator = fold(
        numbered([*opening(), {"type": "error", "message": "m", "code": "c", "param": None}, *message_events()])
    )
    assert accumulator.error is not None
    assert (accumulator.error.message, accumulator.status, accumulator.output_text) == ("m", None, "".join(TEXT))


# ---- numbering


def numbers(*given_numbers: Any) -> tuple[list[Any], list[str]]:
    accumulator, seen = Accumulator(), list[Any]()
    accumulator.skip_start()
    for number in given_numbers:
        event: Any = load(
            {"type": "response.audio.delta", "delta": "", **({} if number is None else {"sequence_number": number})},
            Event,
        )
        accumulator.push(event)
        seen.append(event.sequence_number)
        assert event.extra == {}
    return seen, sorted(codes(accumulator))


def test_sequence_numbers_are_worked_out() -> None:
    assert numbers(0, 1, 2) == ([0, 1, 2], [])
    assert numbers(5, 6) == ([5, 6], [])
    assert numbers(None, None, 2) == ([0, 1, 2], ["sequence-missing"])
    assert numbers("0", 1.5, 2) == ([0, 1, 2], ["sequence-missing"])
    assert numbers(0, 4, 5) == ([0, 4, 5], ["sequence-gap"])
    assert numbers(0, 1, 1, 0, 4) == ([0, 1, 2, 3, 4], ["sequence-repeated"])


# ---- text


def test_half_characters_in_two_deltas_become_one() -> None:
    accumulator = fold(plain(["a\ud83d", "\ude00b"])[:6])
    assert accumulator.output_text == "a😀b"
    assert dumps(accumulator.response)
    # Also if somebody looked in between, and one half that stays alone stays as it is.
    accumulator = fold(plain(["é\ud83d", "\ude00", "\ud800", "x"])[:5])
    assert accumulator.output_text == "é\ud83d"
    for event in plain(["é\ud83d", "\ude00", "\ud800", "x"])[5:8]:
        accumulator.push(load(event, Event))
    assert accumulator.output_text == "é😀\ud800x"
    assert dumps(accumulator.response)


# ---- snapshots


def changed(before: Any, after: Any) -> bool:
    return bool(before != after)


@pytest.mark.parametrize("events", [clean(), codex(clean()), numbered([*opening(), *message_events()])])
def test_snapshots_never_change_afterwards(events: list[Wire]) -> None:
    accumulator = Accumulator()
    kept: list[tuple[Any, Any, bytes]] = []
    for event in events:
        accumulator.push(load(event, Event))
        snapshot = accumulator.response
        kept.append((snapshot, copy.deepcopy(snapshot), dumps(snapshot)))
    for snapshot, as_it_was, written in kept:
        assert snapshot == as_it_was
        assert dumps(snapshot) == written
    assert len({written for _, _, written in kept}) > len(events) // 2


def test_events_keep_what_they_said() -> None:
    events = [load(event, Event) for event in clean()]
    accumulator = Accumulator()
    for event in events:
        accumulator.push(event)
        assert accumulator.response
    assert [dump(event) for event in events] == clean()


def test_a_snapshot_is_made_once_and_shares_what_is_done() -> None:
    events = numbered([*opening(), *message_events(0), *call_events(1)])
    accumulator = fold(events[:-3])
    first = accumulator.response
    assert accumulator.response is first
    accumulator.push(load(events[-3], Event))
    second = accumulator.response
    assert second is not first
    assert second.output[0] is first.output[0]
    assert second.output[1] is not first.output[1]


def test_a_snapshot_pickles() -> None:
    accumulator = fold(clean()[:-1])
    assert pickle.loads(pickle.dumps(accumulator.response)) == accumulator.response  # noqa: S301 - our own bytes


# ---- cost


def work(action: Callable[[], object]) -> Counter[str]:
    """Count the calls, by name, that something takes."""
    counted: Counter[str] = Counter()

    def count(frame: Any, event: str, argument: Any) -> None:
        if event == "call":
            counted[frame.f_code.co_name] += 1
        elif event == "c_call":
            counted[argument.__name__] += 1

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        action()
    finally:
        sys.setprofile(before)
    return counted


def ready(events: Sequence[Wire]) -> list[Event]:
    return [load(event, Event) for event in events]


def test_an_event_costs_the_same_however_many_came_before() -> None:
    deltas = ["x"] * 3000
    accumulator = Accumulator()
    costs: set[tuple[tuple[str, int], ...]] = set()
    for number, event in enumerate(ready(plain(deltas)[:-4])):
        cost = work(lambda event=event: accumulator.push(event))  # type: ignore[misc] # mypy cannot infer a lambda with a default
        assert cost["join"] == cost["getvalue"] == 0
        if number > 10:
            costs.add(tuple(sorted(cost.items())))
    assert len(costs) == 1
    assert accumulator.output_text == "x" * 3000


def test_asking_twice_does_the_work_once() -> None:
    accumulator = fold(plain(["x"] * 100)[:-4])
    assert sum(work(lambda: accumulator.response).values()) > 10
    assert sum(work(lambda: accumulator.response).values()) < 4
    accumulator.push(load({**text_delta("y"), "sequence_number": accumulator.next_sequence_number}, Event))
    assert sum(work(lambda: accumulator.response).values()) > 10


@pytest.mark.parametrize("positions", [("output_index",), ("output_index", "item_id"), ()])
def test_an_event_costs_the_same_however_many_items_there_are(positions: Sequence[str]) -> None:
    costs: list[Counter[str]] = []
    for count in (10, 1000):
        items = [event for index in range(count) for event in message_events(index, f"msg_{index}", ["a"])[::5]]
        begun = numbered([*opening(), *items, added(count, message("", "msg_x", "in_progress"))])
        accumulator = fold(begun)
        event = load(without({**text_delta("b", count, "msg_x"), "sequence_number": len(begun)}, *positions), Event)
        costs.append(work(lambda event=event, accumulator=accumulator: accumulator.push(event)))  # type: ignore[misc] # as above
        assert accumulator.output_text.endswith("ab")
    assert costs[0] == costs[1]


# ---- limits


def test_limits_are_kept() -> None:
    def passed(limits: Limits, events: Sequence[Wire]) -> str:
        with pytest.raises(LimitExceeded) as caught:
            fold(numbered([*opening(), *events]), limits=limits)
        return caught.value.limit

    begun = [added(0, message("", status="in_progress")), part_event("content_part.added", output_text())]
    noted: Wire = {
        **without(text_delta(""), "delta"),
        "type": "response.output_text.annotation.added",
        "annotation": {},
        "annotation_index": 0,
    }
    sound = {"type": "response.audio.delta", "delta": "abc"}
    small = Limits(max_output_items=1, max_content_parts=1, max_text_chars=5)
    assert passed(small, [*begun, added(1, call(""))]) == "max_output_items"
    assert passed(small, [*begun, part_event("content_part.added", output_text(), at=1)]) == "max_content_parts"
    assert passed(small, [*begun, noted, noted]) == "max_content_parts"
    assert passed(small, [*begun, text_delta("abcdef")]) == "max_text_chars"
    assert passed(small, [*begun, text_delta("abc"), text_delta("def")]) == "max_text_chars"
    assert passed(small, [sound, sound]) == "max_text_chars"
    assert (
        passed(small, [added(0, SHELL), shell_wrote(0, stdout="abc"), shell_wrote(0, stdout="def")]) == "max_text_chars"
    )
    assert passed(small, [added(0, SHELL), shell_wrote(0), shell_wrote(1)]) == "max_content_parts"
    fold(numbered([*opening(), *begun, noted, text_delta("abcde"), done(0, message("abcde"))]), limits=small)


def test_findings_are_kept_once_each_and_not_without_end() -> None:
    events = [{"type": "response.audio.delta", "delta": ""}] * 3 + [{"type": "response.audio.done"}] * 2
    accumulator = fold([*numbered(opening()), *events])
    assert codes(accumulator) == {"sequence-missing": 2}
    accumulator = fold([*numbered(opening()), *events], limits=Limits(max_anomalies=1))
    assert codes(accumulator) == {"sequence-missing": 1}
    assert accumulator.findings == 5


# ---- strict


def test_strict_raises_what_lenient_reports() -> None:
    with pytest.raises(RemoteProtocolError, match=r"sequence-gap @ response\.in_progress") as caught:
        fold([{**event, "sequence_number": 2 * number} for number, event in enumerate(opening())], strict=True)
    error = caught.value
    assert (error.code, error.event_type, error.sequence_number) == ("sequence-gap", "response.in_progress", 2)
    with pytest.raises(RemoteProtocolError, match=r"item-unfinished @ response.completed \$\.response\.output\[0\]"):
        fold(numbered([*opening(), *message_events()[:-1], ending([message("".join(TEXT))])]), strict=True)


def test_a_delta_on_the_straight_road_is_the_event_that_was_given() -> None:
    accumulator = fold(plain()[:5])
    event = load({**plain()[5], "item_id": plain()[5]["item_id"][:4] + "1"}, Event)
    assert isinstance(event, OutputTextDelta)
    accumulator.push(event)
    assert (event.item_id, event.sequence_number, event.output_index) == ("msg_1", 5, 0)
    assert accumulator.output_text == "".join(TEXT[:2])
    assert "".join(THOUGHT) not in accumulator.output_text


def test_a_gap_on_the_straight_road_is_found() -> None:
    accumulator = fold(numbered([*opening(), *message_events()[:3]]))
    accumulator.push(load({**text_delta("x"), "sequence_number": 9}, Event))
    assert codes(accumulator) == {"sequence-gap": 1}
    assert accumulator.output_text == TEXT[0] + "x"


# ---- where events belong: each rule in short, see test_identity.py

OPEN: Wire = message("", "m0", "in_progress")
OTHER: Wire = message("", "m1", "in_progress")
CALLING: Wire = call("", status="in_progress")
DELTA: Wire = text_delta("x", 0, "m0")
LISTING: Wire = {"type": "response.mcp_list_tools.in_progress", "output_index": 0, "item_id": "l"}

PLACES: dict[str, tuple[list[Wire], dict[str, int], int]] = {
    "added again": ([added(0, OPEN), added(0, OPEN)], {"item-repeated": 1}, 1),
    "added again by its id": (
        [added(0, OPEN), without(added(0, OPEN), "output_index")], {"item-repeated": 1}, 1,
    ),
    "added again under another id": ([added(0, OPEN), added(0, OTHER)], {"item-repeated": 1, "id-rotated": 1}, 1),
    "added at last": ([DELTA, added(0, OPEN)], {"item-implied": 1, "part-implied": 1}, 1),
    "added nowhere": ([without(added(0, OPEN), "output_index")], {"index-missing": 1}, 1),
    "added where another kind is": ([added(0, OPEN), added(0, CALLING)], {"index-occupied": 1}, 2),
    "added where another call is": (
        [added(0, CALLING), added(0, call("", "fc_2", "call_2"))], {"index-occupied": 1}, 2,
    ),
    "never added": ([done(0, message("x", "m0"))], {"item-implied": 1}, 1),
    "of a kind without a status": ([LISTING], {"item-implied": 1}, 1),
    "done twice": ([added(0, OPEN), done(0, OPEN), done(0, OPEN)], {"item-repeated": 1}, 1),
    "another id": ([added(0, OPEN), {**DELTA, "item_id": "m9"}], {"id-rotated": 1, "part-implied": 1}, 1),
    "another item's id": (
        [added(0, OPEN), added(1, OTHER), {**DELTA, "item_id": "m1"}], {"id-contradicted": 1, "part-implied": 1}, 2,
    ),
    "another item's id for one that has none": (
        [added(0, without(OPEN, "id")), added(1, OTHER), {**DELTA, "item_id": "m1"}],
        {"id-contradicted": 1, "part-implied": 1}, 2,
    ),
    "no id": ([added(0, OPEN), without(DELTA, "item_id")], {"id-missing": 1, "part-implied": 1}, 1),
    "found by its id": (
        [added(0, CALLING), added(1, OPEN), DELTA], {"index-contradicted": 1, "found-by-id": 1, "part-implied": 1}, 2,
    ),
    "found by its call id": (
        [added(0, CALLING), without(done(0, call("{}", "fc_9")), "output_index")],
        {"index-missing": 1, "found-by-call-id": 1, "id-rotated": 1}, 1,
    ),
    "found by its kind": (
        [added(0, OPEN), without(DELTA, "output_index", "item_id")],
        {"index-missing": 1, "found-by-kind": 1, "id-missing": 1, "part-implied": 1}, 1,
    ),
    "found nowhere": ([added(0, OPEN), text_delta("x", 1, "m9")], {"item-implied": 1, "part-implied": 1}, 2),
    "done as another call": (
        [added(0, CALLING), done(0, call("{}", "fc_2", "call_2"))], {"index-contradicted": 1, "item-implied": 1}, 2,
    ),
    "a part nowhere": (
        [added(0, OPEN), part_event("content_part.added", output_text(), 0, "m0", 5), DELTA], {"part-index": 1}, 1,
    ),
    "a delta in no part": (
        [added(0, OPEN), part_event("content_part.added", output_text(), 0, "m0"), {**DELTA, "content_index": -1}],
        {"part-index": 1}, 1,
    ),
    "a part too late": (
        [added(0, OPEN), done(0, message("x", "m0")), part_event("content_part.done", output_text("x"), 0, "m0", -1)],
        {"part-index": 1}, 1,
    ),
}  # fmt: skip
"""What is wrong -> the events, what is found, and how many items there are then."""


@pytest.mark.parametrize("name", PLACES)
def test_an_event_finds_its_place(name: str) -> None:
    events, found, items = PLACES[name]
    accumulator = fold(numbered([*opening(), *events]))
    assert codes(accumulator) == found
    assert len(accumulator.response.output) == items

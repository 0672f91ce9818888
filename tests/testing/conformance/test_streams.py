from __future__ import annotations

from typing import Any, Final, get_args

import pytest
from tests.streams import BLANK, Wire, added, done, ending, message, numbered, opening, response
from tests.testing.fake.test_answers import WHOLE

from responses_proto.codec import dump, load
from responses_proto.exceptions import UsageError
from responses_proto.models.events import LIFECYCLE_TYPES
from responses_proto.models.response import Response
from responses_proto.protocol import emit, encode_stream
from responses_proto.protocol.state import (
    ITEM_LIFE,
    ITEM_PROGRESS,
    ITEM_RULES,
    ITEM_STEPS,
    PART_LIFE,
    PART_RULES,
    RESPONSE_LIFE,
    RESPONSE_RULES,
    ItemStep,
    PartStep,
)
from responses_proto.testing import FAULTS, RULES, Answer, Fault, check_stream

# A fault -> a rule that it breaks. Other faults break no rule.
BROKEN = {
    "missing sequence_number": "sequence-missing",
    "missing output_index": "index-missing",
    "missing item_id": "id-missing",
    "missing content_index": "part-index",
    "repeated sequence_number": "sequence-repeated",
    "repeated output_index": "index-contradicted",
    "repeated item_id": "id-contradicted",
    "rotating item_id": "id-rotated",
    "rotating content_index": "part-index",
    "dropped response.created": "created-missing",
    "dropped response.output_item.added": "item-implied",
    "dropped response.content_part.added": "part-implied",
    "doubled response.in_progress": "lifecycle",
    "doubled response.output_item.added": "item-repeated",
    "swapped response.created": "lifecycle",
    "empty output": "output-empty",
    "no event lines": "event-line",
    "no done": "no-done",
    "bad JSON 1": "invalid-json",
    "no terminal": "no-terminal",
    "EOF after response.output_item.added": "no-terminal",
    "reset after response.output_item.added": "no-terminal",
    "stall after response.output_item.added": "no-terminal",
}
HARMLESS = {
    "late events", "phantom ping 0", "comments", r"line ends '\r\n'", r"line ends '\r'", "byte order mark", "split at 100", "split every 7", "joined",
    "delayed 0.001", "slow head 0.01", "open socket", "content type None", "no answer", "content type text/html",
}  # fmt: skip
NOT_OF_A_STREAM = {"compressed", "status 502"}


def body(*faults: Fault) -> bytes:
    answer = Answer.response(WHOLE).with_faults(*faults)
    return b"".join(step for step in answer.to_wire().steps if isinstance(step, bytes))


def wire(*faults: Fault) -> list[dict[str, Any]]:
    return Answer.response(WHOLE).with_faults(*faults).to_wire().events or []


def test_the_streams_of_the_emitter_conform() -> None:
    report = check_stream(body())
    assert report.ok, str(report)
    assert report.outcome.status == "completed"
    assert report.outcome.response == WHOLE
    assert str(report) == f"{report.events} events, completed, no findings"


@pytest.mark.parametrize("name", BROKEN)
def test_each_fault_breaks_its_rule(name: str) -> None:
    report = check_stream(body(FAULTS[name]))
    assert not report.ok
    assert BROKEN[name] in report.rules, str(report)


@pytest.mark.parametrize("name", sorted(HARMLESS))
def test_legal_faults_are_not_findings(name: str) -> None:
    assert check_stream(body(FAULTS[name])).findings == ()


def test_every_fault_is_in_one_of_the_tables() -> None:
    assert {*BROKEN, *HARMLESS, *NOT_OF_A_STREAM} == set(FAULTS)
    assert set(BROKEN.values()) <= set(RULES)


def test_a_finding_says_where() -> None:
    report = check_stream(body(Fault.empty_output()))
    (finding,) = report.findings
    assert (finding.rule, finding.event, finding.path) == (
        "output-empty",
        report.events - 1,
        "response.completed $.response.output",
    )
    assert finding.place in str(report)


def test_events_can_be_checked_without_their_bytes() -> None:
    assert check_stream(emit(WHOLE)).ok
    assert check_stream(wire()).ok
    assert check_stream(wire(Fault.dropped("response.created"))).rules == {"created-missing", "sequence-start"}


def test_a_stream_that_ends_in_the_middle_of_a_frame_is_not_done() -> None:
    report = check_stream(body()[:-30])
    assert "no-done" in report.rules


def test_rules_can_be_left_out() -> None:
    assert check_stream(body(Fault.no_done(), Fault.no_event_lines()), ignore=["no-done", "event-line"]).ok
    with pytest.raises(UsageError, match="unknown rule 'no-such'"):
        check_stream(b"", ignore=["no-such"])


def test_rules_that_a_client_tolerates_silently() -> None:
    def rules(events: list[dict[str, Any]]) -> frozenset[str]:
        return check_stream([{**event, "sequence_number": number} for number, event in enumerate(events)]).rules

    def without(*kinds: str) -> list[dict[str, Any]]:
        return [event for event in wire() if event["type"] not in kinds]

    assert rules(without("response.output_text.done")) == {"text-unfinished"}
    assert rules(without("response.content_part.done")) == {"part-unfinished"}
    assert rules(without("response.function_call_arguments.done")) == {"text-unfinished"}
    assert rules(without("response.in_progress")) == {"output-early"}
    assert rules([wire()[0], {"type": "response.brand_new"}, *wire()[1:]]) == {"unknown-type"}
    assert rules([wire()[0], {"type": "acme:ping"}, *wire()[1:]]) == frozenset()


# For each state and step of the tables: a stream that reaches the state and takes the step.

_AT: Final[Wire] = {"item_id": "it_1", "output_index": 0}
_IN: Final[Wire] = {**_AT, "content_index": 0}
_PART: Final[Wire] = {"type": "output_text", "text": "x", "annotations": [], "logprobs": []}
OF_ITEMS: Final[dict[str, dict[str, Wire]]] = {
    kind: {
        "added": added(0, BLANK[kind]),
        "grows": {"type": grows, **_AT, "delta": "x"},
        **{ITEM_STEPS[name]: {"type": name, **_AT} for name in ITEM_PROGRESS[kind]},
        "done": done(0, BLANK[kind]),
    }
    for kind, grows in (
        ("mcp_call", "response.mcp_call_arguments.delta"),
        ("code_interpreter_call", "response.code_interpreter_call_code.delta"),
    )
}
"""Type of item -> step -> its event. The two types together have all steps."""
OF_PARTS: Final[dict[str, Wire]] = {
    "added": {"type": "response.content_part.added", **_IN, "part": {**_PART, "text": ""}},
    "delta": {"type": "response.output_text.delta", **_IN, "delta": "x", "logprobs": []},
    "text_done": {"type": "response.output_text.done", **_IN, "text": "x", "logprobs": []},
    "done": {"type": "response.content_part.done", **_IN, "part": _PART},
    "item done": done(0, message("x", "it_1")),
}


def way(life: Any, state: str) -> list[str]:
    """Return the shortest sequence of steps to a state."""
    ways: dict[str, list[str]] = {"awaited": []}
    for here in (found := ["awaited"]):
        for step, after in life[here].items():
            if after not in ways:
                ways[after] = [*ways[here], step]
                found.append(after)
    return ways[state]


def broken_by_the_last(events: list[Wire], rules: Any) -> set[str]:
    """Return the rules of a table that the last event breaks."""
    at_stake = {rule for broken in rules.values() for rule in broken.values()}
    found = check_stream(numbered(events)).findings
    return {finding.rule for finding in found if finding.event == len(events) - 1} & at_stake


ITEM_CASES: Final = [
    (kind, state, step)
    for kind, events in OF_ITEMS.items()
    for state in ITEM_LIFE
    for step in get_args(ItemStep)
    if {*way(ITEM_LIFE, state), step} <= events.keys()
]


def test_the_cases_cover_every_illegal_step_of_an_item() -> None:
    tried = {(state, step) for _, state, step in ITEM_CASES}
    assert {(state, step) for state, broken in ITEM_RULES.items() for step in broken} <= tried


@pytest.mark.parametrize(("kind", "state", "step"), ITEM_CASES)
def test_an_item_does_what_the_table_says_or_breaks_the_rule(kind: str, state: Any, step: Any) -> None:
    events = [*opening(), *(OF_ITEMS[kind][each] for each in (*way(ITEM_LIFE, state), step))]
    broken = ITEM_RULES[state].get(step)
    assert broken_by_the_last(events, ITEM_RULES) == ({broken} if broken else set())


@pytest.mark.parametrize("step", get_args(PartStep))
@pytest.mark.parametrize("state", PART_LIFE)
def test_a_part_does_what_the_table_says_or_breaks_the_rule(state: Any, step: Any) -> None:
    begun = added(0, message("", "it_1", "in_progress"))
    events = [*opening(), begun, *(OF_PARTS[each] for each in (*way(PART_LIFE, state), step))]
    broken = PART_RULES[state].get(step)
    assert broken_by_the_last(events, PART_RULES) == ({broken} if broken else set())


@pytest.mark.parametrize("kind", [*sorted(LIFECYCLE_TYPES), "output"])
@pytest.mark.parametrize("state", RESPONSE_LIFE)
def test_a_response_does_what_the_table_says_or_breaks_the_rule(state: Any, kind: str) -> None:
    life: dict[str, Wire] = {
        "output": added(0, message("", "it_1", "in_progress")),
        "response.created": opening()[0],
        "response.queued": {"type": "response.queued", "response": response(status="queued")},
        "response.in_progress": opening()[1],
        **{f"response.{status}": ending([], status) for status in ("completed", "incomplete", "failed")},
    }
    events = [life[each] for each in (*way(RESPONSE_LIFE, state), kind)]
    broken = RESPONSE_RULES[state].get("output" if kind == "output" else "lifecycle")
    allowed = kind in RESPONSE_LIFE[state]
    assert broken_by_the_last(events, RESPONSE_RULES) == ({broken} if broken and not allowed else set())


def test_after_the_end_there_is_a_keepalive_at_most() -> None:
    assert check_stream(body(Fault.late_events())).ok
    assert check_stream(body(Fault.late_events(wire()[4]))).rules == {"late-event", "sequence-repeated"}
    assert "late-data" in check_stream(body() + body()).rules


def test_an_html_page_is_not_a_stream() -> None:
    report = check_stream(b"<!DOCTYPE html><p>Hello</p>")
    assert report.outcome.status == "truncated"
    assert not report.ok


def test_a_failed_response_can_conform() -> None:
    failed = load({**dump(WHOLE), "status": "failed", "error": {"code": "server_error", "message": "Oops."}}, Response)
    report = check_stream(encode_stream(emit(failed)))
    assert report.ok, str(report)
    assert report.outcome.status == "failed"

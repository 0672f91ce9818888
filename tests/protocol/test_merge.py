"""The merge of two statements, row by row."""

from __future__ import annotations

import copy
from typing import Any, Final

import pytest
from hypothesis import given
from tests.protocol.test_emitter import ITEM_EXAMPLES

from responses_proto.codec import dump, load
from responses_proto.models.content import Content
from responses_proto.models.items import Item, UnknownItem
from responses_proto.models.response import Response
from responses_proto.protocol._merge import BY_INDEX, MAY_DIFFER, merge, says_something
from responses_proto.testing.strategies import items
from responses_proto.typing import UNSET

CALL: Final[dict[str, Any]] = {"type": "function_call", "id": "f", "call_id": "c", "name": "n", "arguments": "{}"}
PART: Final[dict[str, Any]] = {"type": "output_text", "text": "a", "annotations": [], "logprobs": []}
MESSAGE: Final[dict[str, Any]] = {"type": "message", "id": "m", "role": "assistant", "content": [PART]}
CITED: Final[dict[str, Any]] = {"type": "file_path", "file_id": "f", "index": 0}


class Found:
    """Collects differences."""

    def __init__(self) -> None:
        self.all: list[tuple[str, str]] = []
        self.values: list[tuple[Any, Any]] = []

    def __call__(self, what: str, path: str, earlier: Any, later: Any) -> None:
        self.all.append((what, path))
        self.values.append((earlier, later))


def merged(earlier: Any, later: Any, **options: Any) -> tuple[Any, list[tuple[str, str]]]:
    """Merge two items given as JSON; check that neither is changed."""
    before, after, found = load(earlier, Item), load(later, Item), Found()
    result = dump(merge(before, after, found, **options))
    assert (dump(before), dump(after)) == (earlier, later)
    return result, found.all


def less(wire: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in wire.items() if name not in names}


@pytest.mark.parametrize("value", [UNSET, None, "", [], {}, UnknownItem(type="", raw={})])
def test_what_says_nothing(value: Any) -> None:
    assert not says_something(value)


@pytest.mark.parametrize("value", [0, 0.0, False, " ", [None], {"a": None}, UnknownItem(type="x", raw={"type": "x"})])
def test_what_says_something(value: Any) -> None:
    assert says_something(value)


# ---- the rows of the table


@pytest.mark.parametrize("nothing", [UNSET, None, "", [], {}])
def test_a_later_statement_that_says_nothing_leaves_the_earlier_one(nothing: Any) -> None:
    found = Found()
    assert merge("a", nothing, found) == "a"
    assert (found.all, found.values) == ([("kept", "")], [("a", nothing)])


@pytest.mark.parametrize("nothing", [UNSET, None, "", [], {}])
def test_of_two_statements_that_say_nothing_the_later_one_stays(nothing: Any) -> None:
    found = Found()
    assert merge(UNSET, nothing, found) is nothing
    assert merge("", None, found) is None
    assert found.all == []


def test_a_later_statement_fills_in_an_earlier_one_silently() -> None:
    found = Found()
    assert merge(None, "a", found) == "a"
    assert merge([], ["a"], found) == ["a"]
    assert found.all == []


def test_the_same_value_is_no_difference() -> None:
    found = Found()
    later = ["a"]
    assert merge(["a"], later, found) is later
    assert merge(later, later, found) is later
    assert found.all == []


def test_the_later_of_two_values_counts() -> None:
    found = Found()
    assert merge({"x": "a", "y": 1}, {"x": "b", "y": 0}, found) == {"x": "b", "y": 0}
    assert found.all == [("differs", ".x"), ("differs", ".y")]


def test_other_lists_are_one_value() -> None:
    search = {"type": "file_search_call", "id": "s", "queries": ["a", "b"], "status": "completed"}
    assert merged(search, {**search, "queries": ["c"]}) == ({**search, "queries": ["c"]}, [("differs", ".queries")])
    assert merged(search, {**search, "queries": []}) == (search, [("kept", ".queries")])


def test_objects_of_two_kinds_are_two_values() -> None:
    search = {"type": "web_search_call", "id": "s", "action": {"type": "search", "query": "q"}, "status": "completed"}
    opened = {**search, "action": {"type": "open_page", "url": "u"}}
    assert merged(search, opened) == (opened, [("differs", ".action")])
    assert merged(search, CALL) == (CALL, [("differs", "")])


def test_nested_objects_are_merged_field_by_field() -> None:
    shell: dict[str, Any] = {
        "type": "shell_call",
        "id": "s",
        "call_id": "c",
        "action": {"commands": ["ls"], "timeout_ms": 5},
    }
    bare: dict[str, Any] = {**shell, "action": {"commands": [], "max_output_length": 9}}
    both = {**shell, "action": {"commands": ["ls"], "timeout_ms": 5, "max_output_length": 9}}
    assert merged(shell, bare) == (both, [("kept", ".action.commands[0]"), ("kept", ".action.timeout_ms")])


@pytest.mark.parametrize("kind", ITEM_EXAMPLES)
def test_an_item_keeps_each_field_that_is_left_out(kind: str) -> None:
    item = ITEM_EXAMPLES[kind]
    for name, value in item.items():
        if name in ("type", "status") or value in (None, "", [], {}):
            continue
        for silent in (less(item, name), {**item, name: None}):
            result, found = merged(item, silent)
            assert (result, {what for what, _ in found}) == (item, {"kept"})
            assert all(path.startswith(f".{name}") for _, path in found)
        assert merged(less(item, name), item) == (item, [])


# ---- what is not a plain value


@pytest.mark.parametrize("misfit", [7, ["x"], {"x": 1}])
def test_a_value_that_does_not_fit_says_nothing(misfit: Any) -> None:
    assert merged(CALL, {**CALL, "arguments": misfit}) == (CALL, [("kept", ".arguments")])
    # But it is kept where nothing else is said, and does not count against what is said later.
    assert merged(less(CALL, "arguments"), {**CALL, "arguments": misfit})[0] == {**CALL, "arguments": misfit}
    assert merged({**CALL, "arguments": misfit}, CALL) == (CALL, [])
    assert merged({**CALL, "arguments": misfit}, less(CALL, "arguments"))[0] == {**CALL, "arguments": misfit}


def test_the_neutral_value_of_a_misfit_is_no_statement() -> None:
    assert merged({**CALL, "arguments": ""}, {**CALL, "arguments": 7})[0] == {**CALL, "arguments": 7}


def test_fields_that_the_class_does_not_know_are_merged_too() -> None:
    known = {**CALL, "extra_content": {"signature": "s"}, "x": 1}
    assert merged(known, CALL) == (known, [("kept", ".extra_content"), ("kept", ".x")])
    assert merged(known, {**CALL, "x": 2, "y": 3})[0] == {**known, "x": 2, "y": 3}
    assert merged(CALL, known) == (known, [])
    assert merged(known, known) == (known, [])
    assert merged({**CALL, "x": None}, CALL)[0] == CALL
    assert merged(known, {**less(CALL, "name"), "x": 2}) == (
        {**known, "x": 2},
        [("kept", ".name"), ("kept", ".extra_content")],
    )


@pytest.mark.parametrize("value", [1, 0])
def test_many_unknown_fields_stay_and_a_few_are_reported(value: int) -> None:
    known = {**CALL, **{f"x{number}": value for number in range(100)}}
    result, found = merged(known, CALL)
    assert result == known
    assert len(found) == 16


def test_a_name_with_an_underscore_is_the_wires() -> None:
    later = {**CALL, "async": None}
    result, found = merged({**CALL, "async": True}, later)
    assert (result, found) == ({**CALL, "async": True}, [("kept", ".async")])
    assert merged({**CALL, "async": True}, {**CALL, "async": "x"}) == ({**CALL, "async": True}, [("kept", ".async")])


def test_a_constant_is_there_if_either_statement_has_it() -> None:
    shot = {"type": "computer_screenshot", "image_url": "u"}
    item = {"type": "computer_call_output", "id": "o", "call_id": "c", "output": shot}
    for later in ({}, {"image_url": "u"}, {"type": "computer_screenshot"}):
        assert merged(item, {**item, "output": later})[0] == item
    bare = {**item, "output": {"image_url": "u"}}
    assert merged(bare, bare) == (bare, [])


def test_an_object_of_nothing_but_its_type_stays_as_well() -> None:
    item = {"type": "computer_call_output", "id": "o", "call_id": "c", "output": {"type": "computer_screenshot"}}
    assert merged(item, less(item, "output")) == (item, [("kept", ".output")])
    assert merged(item, {**item, "output": 7}) == (item, [("kept", ".output")])


def test_unknown_items_are_merged_as_json() -> None:
    thing = {
        "type": "acme:thing",
        "id": "a",
        "deep": {"x": 1, "y": [1]},
        "content": [{"t": "a"}, {"t": "b"}],
        "z": None,
    }
    assert merged(thing, {"type": "acme:thing", "id": "a"})[0] == less(thing, "z")
    later = {**thing, "deep": {"x": 2}, "content": [{"u": "c"}]}
    result, found = merged(thing, later)
    assert result == {**thing, "deep": {"x": 2, "y": [1]}, "content": [{"t": "a", "u": "c"}, {"t": "b"}]}
    assert found == [("differs", ".deep.x"), ("kept", ".deep.y"), ("kept", ".content[0].t"), ("kept", ".content[1]")]
    assert merged(thing, {**thing, "encrypted_content": "x"})[0] == {**thing, "encrypted_content": "x"}
    assert merged({**thing, "status": "in_progress"}, {**thing, "status": "completed"}) == (
        {**thing, "status": "completed"},
        [],
    )


def test_of_what_is_no_object_the_later_stays() -> None:
    earlier, later = UnknownItem(type="", raw=[1]), UnknownItem(type="", raw=[2])
    assert merge(earlier, later, Found()) is later


# ---- what has a rule of its own


@pytest.mark.parametrize("name", sorted(MAY_DIFFER - {"status", "logprobs"}))
def test_what_may_differ_is_the_newest_silently(name: str) -> None:
    kind = "reasoning" if name == "encrypted_content" else "program"
    item = ITEM_EXAMPLES[kind]
    assert merged(item, {**item, name: "new"}) == ({**item, name: "new"}, [])
    assert merged(item, less(item, name)) == (item, [("kept", f".{name}")])


def test_other_log_probabilities_are_no_contradiction() -> None:
    one, two = ({**PART, "logprobs": [{"token": "a", "logprob": number}]} for number in (-1.0, -2.0))
    earlier, later, bare = ({**MESSAGE, "content": [part]} for part in (one, two, PART))
    assert merged(earlier, later) == (later, [])
    assert merged(earlier, bare) == (earlier, [("kept", ".content[0].logprobs")])


@pytest.mark.parametrize(
    ("earlier", "later", "right"),
    [
        ("in_progress", "completed", "completed"),
        ("completed", "in_progress", "in_progress"),
        ("completed", None, "completed"),
        ("incomplete", None, "incomplete"),
        ("failed", None, "failed"),
        ("in_progress", None, None),
        ("searching", None, None),
        (None, "completed", "completed"),
        (None, None, None),
    ],
)
def test_a_status_is_the_newest_and_no_stage_that_is_over(earlier: Any, later: Any, right: Any) -> None:
    def with_status(status: Any) -> dict[str, Any]:
        return {**CALL, **({"status": status} if status else {})}

    assert merged(with_status(earlier), with_status(later)) == (with_status(right), [])


# ---- lists of parts


def texts(*values: str) -> list[dict[str, Any]]:
    return [{**PART, "text": value} for value in values]


@pytest.mark.parametrize(
    ("earlier", "later", "right", "found"),
    [
        (["a", "b"], ["", "b"], ["a", "b"], [("kept", ".content[0].text")]),
        (["a", "b"], [], ["a", "b"], [("kept", ".content[0]")]),
        (["a", "b"], ["a"], ["a", "b"], [("kept", ".content[1]")]),
        (["a", "", ""], ["a"], ["a"], []),
        (["a", "", "c"], ["a"], ["a", "", "c"], [("kept", ".content[1]")]),
        (["a"], ["a", "b"], ["a", "b"], [("differs", ".content[1]")]),
        ([], ["a"], ["a"], []),
        (["a"], ["x"], ["x"], [("differs", ".content[0].text")]),
    ],
)
def test_parts_are_merged_by_index(earlier: list[str], later: list[str], right: list[str], found: Any) -> None:
    one, two, both = ({**MESSAGE, "content": texts(*values)} for values in (earlier, later, right))
    assert merged(one, two) == (both, found)


def test_parts_keep_what_belongs_to_them() -> None:
    cited = {**MESSAGE, "content": [{**PART, "annotations": [CITED]}]}
    assert merged(cited, MESSAGE) == (cited, [("kept", ".content[0].annotations")])
    refusal = {**MESSAGE, "content": [{"type": "refusal", "refusal": "no"}]}
    assert merged(cited, refusal) == (refusal, [("differs", ".content[0]")])


@pytest.mark.parametrize("silent", [None, UNSET, [], ""])
def test_content_that_is_a_string_stays_where_a_list_says_nothing(silent: Any) -> None:
    short = {**MESSAGE, "content": "Hello."}
    later = {**less(MESSAGE, "content"), **({"content": silent} if silent is not UNSET else {})}
    assert merged(short, later) == (short, [("kept", ".content")])
    assert merged(short, MESSAGE) == (MESSAGE, [("differs", ".content")])
    assert merged(MESSAGE, short) == (short, [("differs", ".content")])


def test_the_parts_of_a_tools_output_are_merged_by_index() -> None:
    output: dict[str, Any] = ITEM_EXAMPLES["shell_call_output"]
    silent: dict[str, Any] = {**output, "output": [{**output["output"][0], "stdout": ""}]}
    assert merged(output, silent) == (output, [("kept", ".output[0].stdout")])
    said = {"type": "function_call_output", "call_id": "c", "output": "o"}
    parts = {**said, "output": [{"type": "input_text", "text": "o"}]}
    assert merged(said, parts) == (parts, [("differs", ".output")])
    assert merged(said, {**said, "output": []}) == (said, [("kept", ".output")])


def test_parts_that_stand_elsewhere_than_in_their_list() -> None:
    first, third = (load(part, Content) for part in texts("a", "c"))
    parts = {".content": {0: first, 2: third}}
    earlier: Any = load(MESSAGE, Item)
    result = merge(earlier, load({**MESSAGE, "content": []}, Item), Found(), parts=parts)
    assert result.content == [first, third]
    result = merge(earlier, load({**MESSAGE, "content": texts("x", "y", "")}, Item), Found(), parts=parts)
    assert [part.text for part in result.content] == ["x", "y", "c"]


def shell_call(*commands: str) -> Any:
    action = {"commands": [*commands], "timeout_ms": None, "max_output_length": None}
    return load({"type": "shell_call", "call_id": "c", "status": "completed", "action": action}, Item)


def test_lists_with_gaps() -> None:
    def merged_commands(earlier: dict[int, str], later: list[str]) -> list[str]:
        result = merge(shell_call("x"), shell_call(*later), found, parts={".action.commands": earlier})
        commands: list[str] = result.action.commands
        return commands

    found = Found()
    assert merged_commands({0: "a", 3: "d", 5: ""}, ["", "b"]) == ["a", "b", "d"]
    path = ".action.commands"
    assert found.all == [("kept", f"{path}[0]"), ("differs", f"{path}[1]"), ("kept", f"{path}[3]")]
    assert merged_commands({}, ["a"]) == ["a"]
    assert merged_commands({1: "", 2: ""}, []) == []
    assert len(found.all) == 3


def test_parts_that_were_streamed_at_other_indices() -> None:
    first, second = (load(part, Content) for part in texts("a", "b"))
    earlier: Any = load(MESSAGE, Item)
    for parts in ({1: first, 2: second}, {0: first, 7: second}):
        found = Found()
        result = merge(earlier, load({**MESSAGE, "content": texts("a", "bc")}, Item), found, parts={".content": parts})
        assert [part.text for part in result.content] == ["a", "bc"]
        assert found.all[0][0] == "moved"
    found = Found()
    result = merge(earlier, load({**MESSAGE, "content": texts("x")}, Item), found, parts={".content": {1: first}})
    assert [part.text for part in result.content] == ["x", "a"]  # another text is another part


# ---- what is left alone


@pytest.mark.parametrize("kind", ITEM_EXAMPLES)
def test_nothing_new_makes_nothing_new(kind: str) -> None:
    wire = ITEM_EXAMPLES[kind]
    earlier, later, found = load(wire, Item), load(copy.deepcopy(wire), Item), Found()
    result = merge(earlier, later, found)
    assert result is later
    assert (dump(result), found.all) == (wire, [])


@given(items(), items())
def test_merging_is_total_and_changes_no_statement(earlier: Any, later: Any) -> None:
    before = dump(earlier), dump(later)
    result = merge(earlier, later, Found())
    dump(result)
    assert (dump(earlier), dump(later)) == before
    assert merge(later, later, Found()) is later
    assert dump(merge(result, result, Found())) == dump(result)


def test_a_response_keeps_its_fields() -> None:
    known = load({"id": "r", "object": "response", "model": "m", "instructions": "i", "metadata": {"a": "b"}}, Response)
    found = Found()
    result = dump(merge(known, load({"id": "r", "metadata": {"c": "d"}}, Response), found))
    assert (result["model"], result["instructions"], result["metadata"]) == ("m", "i", {"a": "b", "c": "d"})
    assert result["object"] == "response"


def test_the_names_of_the_tables_are_fields() -> None:
    fields = {name for item in ITEM_EXAMPLES.values() for name in item} | {"commands", *PART}
    assert fields >= (BY_INDEX | MAY_DIFFER)

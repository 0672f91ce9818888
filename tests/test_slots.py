"""The places that the accumulator keeps: texts, parts, items."""

from __future__ import annotations

from typing import Any

from responses_proto._slots import TEXT_FIELDS, Part, Slot, Text, at_path, field_of, list_at, part_of, put_at, text_of
from responses_proto.codec import dump, load
from responses_proto.models.content import OutputText, UnknownContent
from responses_proto.models.items import Item, Message, UnknownItem

PATCH: dict[str, Any] = {
    "type": "apply_patch_call",
    "call_id": "c",
    "status": "x",
    "operation": {"type": "delete_file", "path": "p"},
}


def test_a_text_grows_until_it_is_said_whole() -> None:
    text = Text("a")
    assert (text.value(), text.size, text.whole) == ("a", 1, False)
    for piece in ("b", "c\u00e9"):
        text.write(piece)
    assert (text.value(), text.value(), text.size) == ("abc\u00e9", "abc\u00e9", 4)
    text.set("x")
    assert (text.value(), text.size, text.whole) == ("x", 1, True)
    assert Text().value() == ""


def test_a_part_builds_anew_and_leaves_its_model_alone() -> None:
    model = OutputText(text="a")
    part = part_of(model)
    part.text.write("b")
    assert (part.build().text, model.text) == ("ab", "a")
    assert part.build() is not model
    assert part_of("ls").build() == "ls"
    assert Part("", None, "", "").build() == ""


def test_an_item_without_changes_is_itself() -> None:
    item = Message(role="assistant", content=[], id="m")
    slot = Slot(0, item, implied=False)
    assert slot.build() is item
    slot.parts("content").append(part_of(OutputText(text="a")))
    slot.built = None
    assert slot.build() == Message(role="assistant", content=[OutputText(text="a")], id="m")
    assert slot.build() is slot.build()
    assert item.content == []


def test_texts_are_read_where_they_are() -> None:
    item = load(PATCH, Item)
    assert at_path(item, "operation.path") == "p"
    assert at_path(item, "operation.no.such") is None
    assert list_at(item, "operation.path") == []
    assert text_of(item, "call_id") == "c"
    assert (text_of(item, ""), text_of(item, "no_such"), text_of(item, "operation")) == ("", "", "")
    assert text_of(UnknownItem(type="x", raw={"id": "i"}), "id") == "i"
    assert text_of(UnknownItem(type="x", raw=[]), "id") == ""
    assert (field_of(OutputText(text="")), field_of(UnknownContent(type="x")), field_of("ls")) == ("text", "", "")
    assert TEXT_FIELDS["refusal"] == "refusal"


def test_writing_copies_what_is_nested_and_skips_what_is_not_there() -> None:
    item: Any = load({**PATCH, "operation": {"type": "update_file", "path": "p", "diff": ""}}, Item)
    before = item.operation
    put_at(item, "operation.diff", "+a")
    assert dump(item)["operation"]["diff"] == "+a"
    assert dump(before)["diff"] == ""
    put_at(item, "operation.no_such", "x")
    put_at(item, "no_such", "x")
    assert dump(item)["operation"] == {"type": "update_file", "path": "p", "diff": "+a"}

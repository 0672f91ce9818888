"""The places that the accumulator keeps: texts, parts, items."""

from __future__ import annotations

from typing import Any

from responses_proto.codec import dump, load
from responses_proto.models._paths import get_path, set_path
from responses_proto.models.content import OutputText, UnknownContent
from responses_proto.models.items import Item, Message, UnknownItem
from responses_proto.protocol._snapshot import (
    TEXT_FIELDS,
    CommandOutput,
    SnapshotItem,
    SnapshotPart,
    TextBuffer,
    field_of,
    list_at,
    part_of,
    text_of,
)

PATCH: dict[str, Any] = {
    "type": "apply_patch_call",
    "call_id": "c",
    "status": "x",
    "operation": {"type": "delete_file", "path": "p"},
}


def test_a_text_grows_until_it_is_said_whole() -> None:
    text = TextBuffer("a")
    assert (text.value(), text.size, text.complete) == ("a", 1, False)
    for piece in ("b", "c\u00e9"):
        text.write(piece)
    assert (text.value(), text.value(), text.size) == ("abc\u00e9", "abc\u00e9", 4)
    text.set("x")
    assert (text.value(), text.size, text.complete) == ("x", 1, True)
    assert TextBuffer().value() == ""


def test_a_part_builds_anew_and_leaves_its_model_alone() -> None:
    model = OutputText(text="a")
    part = part_of(0, model)
    part.text.write("b")
    assert (part.build().text, model.text) == ("ab", "a")
    assert part.build() is not model
    assert part_of(0, "ls").build() == "ls"
    assert SnapshotPart(0, "", None, "", "").build() == ""


def test_an_item_without_changes_is_itself() -> None:
    item = Message(role="assistant", content=[], id="m")
    slot = SnapshotItem(0, item, implied=False)
    assert slot.build() is item
    slot.parts("content").add(part_of(0, OutputText(text="a")))
    assert slot.parts("content") is slot.parts("content")
    slot.built = None
    assert slot.build() == Message(role="assistant", content=[OutputText(text="a")], id="m")
    assert slot.build() is slot.build()
    assert item.content == []


def test_texts_are_read_where_they_are() -> None:
    item = load(PATCH, Item)
    assert get_path(item, "operation.path") == "p"
    assert get_path(item, "operation.no.such") is None
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
    set_path(item, "operation.diff", "+a")
    assert dump(item)["operation"]["diff"] == "+a"
    assert dump(before)["diff"] == ""
    set_path(item, "operation.no_such", "x")
    set_path(item, "no_such", "x")
    assert dump(item)["operation"] == {"type": "update_file", "path": "p", "diff": "+a"}


def test_halves_of_a_character_that_came_apart_are_one_again() -> None:
    text = TextBuffer()
    for half in ("\ud83d", "\ude00!"):
        text.write(half)
    assert text.value() == "\U0001f600!"
    lone = TextBuffer("\ud83d")
    lone.write("é")
    assert lone.value() == "\ud83dé"  # whose other half never came


CITED: dict[str, Any] = {"type": "file_path", "file_id": "f", "index": 0}
LIKELY: dict[str, Any] = {"token": "a", "logprob": -0.5}


def test_a_part_has_the_notes_that_came_with_it_and_those_that_came_later() -> None:
    part = part_of(
        0, load({"type": "output_text", "text": "a", "annotations": [CITED], "logprobs": [LIKELY]}, OutputText)
    )
    part.annotations.append(part.annotations[0])
    assert dump(part.build()) == {
        "type": "output_text", "text": "a", "annotations": [CITED, CITED], "logprobs": [LIKELY],
    }  # fmt: skip
    bare = part_of(0, OutputText(text="a"))
    assert dump(bare.build()) == {"type": "output_text", "text": "a"}
    unknown = part_of(0, UnknownContent(type="acme:x", raw={"type": "acme:x"}))
    assert dump(unknown.build()) == {"type": "acme:x"}


def test_the_last_word_of_a_part_leaves_standing_what_it_does_not_say() -> None:
    part = part_of(
        0, load({"type": "output_text", "text": "a", "annotations": [CITED], "logprobs": [LIKELY]}, OutputText)
    )
    found: list[tuple[str, str]] = []

    def note(what: str, path: str, _earlier: Any, _later: Any) -> None:
        found.append((what, path))

    part.close(OutputText(text="ab"), note)
    assert part.closed
    assert found == [("differs", ".text"), ("kept", ".annotations"), ("kept", ".logprobs")]
    assert dump(part.build()) == {"type": "output_text", "text": "ab", "annotations": [CITED], "logprobs": [LIKELY]}


def test_what_a_command_wrote_is_put_together_once() -> None:
    output = CommandOutput()
    output.stdout.write("a")
    output.stderr.write("b")
    built = output.build()
    assert (built.stdout, built.stderr) == ("a", "b")
    assert output.build() is built
    assert CommandOutput(built).build() is built


def test_an_item_has_its_fields_its_status_and_its_outputs() -> None:
    slot = SnapshotItem(
        0, load({**PATCH, "operation": {"type": "update_file", "path": "p", "diff": "+"}}, Item), implied=False
    )
    slot.field("operation.diff").write("a")
    slot.status = "completed"
    built = dump(slot.build())
    assert (built["operation"]["diff"], built["status"]) == ("+a", "completed")
    assert slot.field("operation.path").value() == "p"
    assert slot.field("operation.diff") is slot.field("operation.diff")
    assert slot.build() is slot.build()

    shell = SnapshotItem(0, load({"type": "shell_call_output", "call_id": "c", "output": []}, Item), implied=False)
    for index, text in ((1, "second"), (0, "first")):
        shell.outputs[index] = CommandOutput()
        shell.outputs[index].stdout.write(text)
    assert [output["stdout"] for output in dump(shell.build())["output"]] == ["first", "second"]

    stateless = SnapshotItem(0, load({"type": "compaction", "encrypted_content": "x"}, Item), implied=False)
    stateless.status = "completed"  # which this kind of item has no place for
    assert dump(stateless.build()) == {"type": "compaction", "encrypted_content": "x"}
    assert stateless.field("encrypted_content.nowhere").value() == ""

"""The requirements on a server, as data: a table of rules. The id of a rule does not change.

A rule is checked by one of four parts of the library (:data:`Finder`):

- the *decoder*: one JSON value against one class,
- the *engine*: what a client must know to read a stream,
- the checks of a *stream*: all other requirements on a stream,
- the checks of a *server*: its answers to certain requests.

The findings of the first two are the anomalies of :mod:`responses_proto.anomalies`. The others come from :mod:`responses_proto.testing`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import attrs

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["RULES", "Finder", "Rule"]

Finder: TypeAlias = Literal["decoder", "engine", "stream", "server"]
"""The part of the library that checks a rule."""


@attrs.frozen
class Rule:
    """One requirement."""

    id: str
    """The id of the rule in findings, reports and tests. It does not change."""
    found_by: Finder
    broken: str
    """What is wrong if the rule is broken. For the decoder and the engine, also what the client does then."""
    section: str
    """The source of the requirement: a specification and its section, or a section of the API reference."""

    def __str__(self) -> str:
        return f"{self.id}: {self.broken}"


# fmt: off
_RULES: Final = (
    # One JSON value against one class.
    Rule("missing-field", "decoder", "A field that the specification requires is absent.", "Open Responses, Schema"),
    Rule("wrong-type", "decoder", "A value has another JSON type than its field; it is kept raw in `extra`.", "Open Responses, Schema"),
    Rule("wrong-constant", "decoder", "A field that has only one legal value has another one; it is kept raw in `extra`.", "Open Responses, Schema"),
    Rule("not-an-object", "decoder", "A value is not an object where one is expected.", "Open Responses, Schema"),
    # Framing.
    Rule("content-type", "engine", "An event stream came under another content type, or none; it was read all the same.", "Responses, Create"),
    Rule("invalid-utf8", "engine", "A frame is not UTF-8; the bad bytes were replaced by U+FFFD.", "HTML, Parsing an event stream"),
    Rule("invalid-json", "engine", "The data of a frame is not JSON; the frame is kept as an UnknownEvent.", "Open Responses, Streaming"),
    Rule("unfinished-frame", "engine", "The input ended inside a frame; the frame was complete enough to be read.", "HTML, Interpreting an event stream"),
    Rule("dropped-frame", "engine", "The input ended inside a frame that could not be read.", "HTML, Interpreting an event stream"),
    Rule("event-name", "engine", "The `event:` line and the body's `type` differ; the body was believed.", "Open Responses, Streaming"),
    Rule("missing-type", "engine", "The body has no `type`; it was taken from the `event:` line or from the body's shape.", "Open Responses, Streaming"),
    Rule("json-body", "engine", "The reply to a streaming request is a JSON response object; it was taken as the result.", "Responses, Create"),
    Rule("event-line", "stream", "A frame has no `event:` line, which must equal the body's `type`.", "Open Responses, Streaming"),
    Rule("no-done", "stream", "The last frame is not the literal `[DONE]`. OpenAI leaves it out: ignore the rule there.", "Open Responses, Streaming"),
    Rule("unknown-type", "stream", "An event has a type that is neither in the specification nor of the form `slug:name`.", "Open Responses, Extensions"),
    # Numbering.
    Rule("sequence-missing", "engine", "An event has no sequence number; it was numbered in order of arrival.", "Responses, Streaming events"),
    Rule("sequence-gap", "engine", "Sequence numbers were skipped; events may be lost.", "Responses, Streaming events"),
    Rule("sequence-repeated", "engine", "A sequence number is repeated; the event was numbered in order of arrival.", "Responses, Streaming events"),
    Rule("sequence-start", "stream", "The first sequence number is not 0.", "Responses, Streaming events"),
    # Identity: which item and part an event belongs to.
    Rule("index-missing", "engine", "An event has no output index; it was worked out.", "Responses, Streaming events"),
    Rule("index-contradicted", "engine", "An event's output index names an item that it cannot belong to; it was worked out.", "Responses, Streaming events"),
    Rule("id-missing", "engine", "An event or item has no item id; it was worked out or left empty.", "Responses, Streaming events"),
    Rule("id-rotated", "engine", "An item was given another id; both are remembered.", "Open Responses, Items"),
    Rule("id-contradicted", "engine", "An event's item id is another item's than the one it belongs to; the other item keeps it.", "Responses, Streaming events"),
    Rule("found-by-id", "engine", "The item of an event was found by its id, because its index is missing or wrong.", "Responses, Streaming events"),
    Rule("found-by-call-id", "engine", "The item of an event was found by its call id.", "Responses, Streaming events"),
    Rule("found-by-kind", "engine", "The item of an event was found as the only open one of its kind.", "Responses, Streaming events"),
    Rule("item-implied", "engine", "An event belongs to an item that was never added; it was opened on the spot.", "Open Responses, Items"),
    Rule("index-occupied", "engine", "An item was added at the index of another one; it was given the next index.", "Open Responses, Items"),
    Rule("index-skipped", "engine", "The output indices of the events are not the places of their items in the final output.", "Open Responses, Items"),
    Rule("item-missing", "engine", "`output_item.added` or `output_item.done` has no item; it was ignored.", "Open Responses, Items"),
    Rule("part-index", "engine", "An event's content index is missing or wrong; the part was worked out.", "Responses, Streaming events"),
    Rule("part-implied", "engine", "An event belongs to a content part that was never added; it was opened on the spot.", "Open Responses, Streaming"),
    Rule("part-repeated", "engine", "A content part, or its text, was added or marked done twice.", "Open Responses, Streaming"),
    # The life of a response, its items and parts: see the tables of `state.py`.
    Rule("lifecycle", "engine", "A lifecycle event is out of order or repeated.", "Open Responses, State machines"),
    Rule("created-missing", "engine", "The stream does not begin with `response.created`.", "Open Responses, Streaming"),
    Rule("response-id-changed", "engine", "The response's id changed during the stream; the newest is believed.", "Open Responses, State machines"),
    Rule("output-early", "stream", "Output comes before `response.in_progress`.", "Open Responses, State machines"),
    Rule("item-unfinished", "engine", "The response ended while an item was never marked done.", "Open Responses, Items"),
    Rule("item-repeated", "engine", "An item was added or marked done twice; the newest is believed.", "Open Responses, Items"),
    Rule("progress-order", "stream", "An item goes back to an earlier stage of its work, or goes on after the last one.", "Open Responses, Items"),
    Rule("text-unfinished", "stream", "A part or an item was marked done while a text in it had deltas and no `done`.", "Open Responses, Streaming"),
    Rule("part-unfinished", "stream", "An item was marked done while a part in it was added and not marked done.", "Open Responses, Streaming"),
    Rule("delta-after-done", "engine", "A text grew after it was marked done; the late characters were dropped.", "Open Responses, Streaming"),
    Rule("delta-mismatch", "engine", "A finished text differs from its deltas; the finished text is believed.", "Open Responses, Streaming"),
    Rule("done-merged", "engine", "A `done` event leaves out what was said before about its item or part; that was kept.", "Open Responses, Streaming"),
    Rule("output-merged", "engine", "The terminal event's output leaves out what was streamed of an item; that was kept.", "Open Responses, State machines"),
    Rule("response-merged", "engine", "The terminal event's response leaves out a field that an earlier event had; that was kept.", "Open Responses, State machines"),
    Rule("output-empty", "engine", "The terminal event has no output; the streamed items stand.", "Open Responses, State machines"),
    Rule("status-contradicted", "engine", "The terminal event and the status of its response differ; the worse is believed.", "Open Responses, State machines"),
    Rule("output-differs", "engine", "The terminal event's output contradicts what was streamed, or has other items; it is believed, and streamed items that it lacks are kept.", "Open Responses, State machines"),
    # The end.
    Rule("error-untyped", "engine", "An error came without a `type`; it was taken as an error event.", "Open Responses, Errors"),
    Rule("late-event", "engine", "An event came after the terminal one; it is handed out, but only the reason of a failure is folded in.", "Open Responses, Streaming"),
    Rule("unasked-message", "engine", "A WebSocket message belongs to none of the requested responses; it was dropped.", "Open Responses, WebSocket"),
    Rule("late-data", "engine", "Data came after the end of the stream; it was dropped.", "Open Responses, Streaming"),
    Rule("no-terminal", "engine", "The input ended without a terminal event: the outcome is `truncated`.", "Open Responses, Streaming"),
    # What a server answers to which request.
    Rule("create", "server", "A request does not get a completed response with text, as JSON.", "Responses, Create"),
    Rule("create-fields", "server", "A response lacks a field that the specification requires, or the field has another type.", "Open Responses, Schema"),
    Rule("create-stream", "server", "A request with `stream` does not get a conforming stream that completes.", "Open Responses, Streaming"),
    Rule("function-call", "server", "A function that must be called is not called, or its arguments do not fit.", "Responses, Function calling"),
    Rule("function-call-stream", "server", "A function call is not streamed as the specification requires.", "Responses, Function calling"),
    Rule("function-output", "server", "A conversation with a function call and its output cannot be continued.", "Responses, Function calling"),
    Rule("orphan-refused", "server", "The output of a function that was not called is not refused.", "Responses, Function calling"),
    Rule("json-refused", "server", "A body that is not JSON is not refused.", "Open Responses, Errors"),
    Rule("type-refused", "server", "A field of the wrong type is not refused.", "Open Responses, Errors"),
    Rule("model-required", "server", "A request without a model is not refused.", "Responses, Create"),
    Rule("error-body", "server", "The `error` object of an error lacks `message`, `type`, `param` or `code`.", "Open Responses, Errors"),
    Rule("id-unknown", "server", "A response that does not exist is not answered with 404.", "Responses, Retrieve"),
    Rule("retrieve", "server", "A stored response differs from the one that was returned.", "Responses, Retrieve"),
    Rule("delete", "server", "A response cannot be deleted, or can still be retrieved afterwards.", "Responses, Delete"),
    Rule("input-items", "server", "The input items of a response are not listed, or not in pages.", "Responses, Input items"),
    Rule("previous-response", "server", "A stored response cannot be continued.", "Responses, Conversation state"),
    Rule("previous-unknown", "server", "A request that continues a response that does not exist is not refused.", "Responses, Conversation state"),
    Rule("background", "server", "A background response does not end.", "Responses, Background mode"),
    Rule("cancel", "server", "A background response cannot be cancelled.", "Responses, Cancel"),
    Rule("conversations", "server", "A conversation cannot be created, extended or deleted.", "Conversations, Create"),
    Rule("compact", "server", "A history is not compacted.", "Responses, Compact"),
    Rule("compact-model-required", "server", "A request to compact without a model is not refused.", "Responses, Compact"),
    Rule("input-tokens", "server", "The tokens of an input are not counted.", "Responses, Input tokens"),
)
# fmt: on

RULES: Final[Mapping[str, Rule]] = {rule.id: rule for rule in _RULES}
"""Id -> rule, in the order of a stream's life."""

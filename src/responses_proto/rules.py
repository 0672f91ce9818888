"""The requirements on a server, as data: a table of rules. The id of a rule does not change.

A rule is checked by one of five parts of the library (:data:`Finder`):

- the *decoder*: one JSON value against one class,
- the *engine*: what a client must know to read a stream,
- the checks of a *stream*: all other requirements on a stream,
- the checks of a *server*: its answers to certain requests,
- the checks of a *client*: how it handles certain answers.

The findings of the first two are the anomalies of :mod:`responses_proto.anomalies`. The others come from :mod:`responses_proto.testing`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import attrs

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["RULES", "Finder", "Rule", "Severity"]

Finder: TypeAlias = Literal["decoder", "engine", "stream", "server", "client"]
"""The part of the library that checks a rule."""
Severity: TypeAlias = Literal["error", "warning"]
"""``error``: the specification requires it, or a client that follows the specification loses or misreads something.
``warning``: a careful client copes, or only one of the two specifications asks for it."""


@attrs.frozen
class Rule:
    """One requirement."""

    id: str
    """The id of the rule in findings, reports and tests. It does not change."""
    found_by: Finder
    broken: str
    """What is wrong if the rule is broken. For the decoder and the engine, also what the client does then."""
    section: str
    """The clause: a specification and its section, or a section of the API reference."""
    severity: Severity = "error"
    suggestion: str = ""
    """What to do about it."""
    suite: str = ""
    """The id of the test of the official Open Responses suite that fails too; empty if there is none."""

    def __str__(self) -> str:
        return f"{self.id}: {self.broken}"


# fmt: off
_RULES: Final = (
    # One JSON value against one class.
    Rule("missing-field", "decoder", "A field that the specification requires is absent.", "Open Responses, Schema"),
    Rule("wrong-type", "decoder", "A value has a different JSON type than its field; it is kept raw in `extra`.", "Open Responses, Schema"),
    Rule("wrong-constant", "decoder", "A field with only one legal value has a different value; it is kept raw in `extra`.", "Open Responses, Schema"),
    Rule("not-an-object", "decoder", "A value is not an object where one is expected.", "Open Responses, Schema"),
    # Framing.
    Rule("content-type", "engine", "An event stream has a different content type, or none; it was read nevertheless.", "Responses, Create"),
    Rule("invalid-utf8", "engine", "A frame is not UTF-8; the bad bytes were replaced by U+FFFD.", "HTML, Parsing an event stream"),
    Rule("invalid-json", "engine", "The data of a frame is not JSON; the frame is kept as an UnknownEvent.", "Open Responses, Streaming"),
    Rule("unfinished-frame", "engine", "The input ended inside a frame; the frame was complete enough to be read.", "HTML, Interpreting an event stream"),
    Rule("dropped-frame", "engine", "The input ended inside a frame that could not be read.", "HTML, Interpreting an event stream"),
    Rule("event-name", "engine", "The `event:` line and the body's `type` differ; that of the body was used.", "Open Responses, Streaming"),
    Rule("missing-type", "engine", "The body has no `type`; it was taken from the `event:` line or from the body's shape.", "Open Responses, Streaming"),
    Rule("json-body", "engine", "The reply to a streaming request is a JSON response object; it was taken as the result.", "Responses, Create"),
    Rule("event-line", "stream", "A frame has no `event:` line, which must equal the body's `type`.", "Open Responses, Streaming"),
    Rule("no-done", "stream", "The last frame is not the literal `[DONE]`. OpenAI leaves it out: its profile does not ask for it.", "Open Responses, Streaming"),
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
    Rule("item-implied", "engine", "An event belongs to an item that was never added; it was added implicitly.", "Open Responses, Items"),
    Rule("index-occupied", "engine", "An item was added at the index of another one; it was given the next index.", "Open Responses, Items"),
    Rule("index-skipped", "engine", "The output indices of the events are not the places of their items in the final output.", "Open Responses, Items"),
    Rule("item-missing", "engine", "`output_item.added` or `output_item.done` has no item; it was ignored.", "Open Responses, Items"),
    Rule("part-index", "engine", "An event's content index is missing or wrong; the part was worked out.", "Responses, Streaming events"),
    Rule("part-implied", "engine", "An event belongs to a content part that was never added; it was added implicitly.", "Open Responses, Streaming"),
    Rule("part-repeated", "engine", "A content part, or its text, was added or marked done twice.", "Open Responses, Streaming"),
    # The life of a response, its items and parts: see the tables of `state.py`.
    Rule("lifecycle", "engine", "A lifecycle event is out of order or repeated.", "Open Responses, State machines"),
    Rule("created-missing", "engine", "The stream does not begin with `response.created`.", "Open Responses, Streaming"),
    Rule("response-id-changed", "engine", "The response's id changed during the stream; the newest is used.", "Open Responses, State machines"),
    Rule("output-early", "stream", "Output comes before `response.in_progress`.", "Open Responses, State machines"),
    Rule("item-unfinished", "engine", "The response ended while an item was never marked done.", "Open Responses, Items"),
    Rule("item-repeated", "engine", "An item was added or marked done twice; the newest is used.", "Open Responses, Items"),
    Rule("progress-order", "stream", "An item returns to an earlier stage of its work, or continues after its last one.", "Open Responses, Items"),
    Rule("text-unfinished", "stream", "A part or an item was marked done while a text in it had deltas and no `done`.", "Open Responses, Streaming"),
    Rule("part-unfinished", "stream", "An item was marked done while a part in it was added and not marked done.", "Open Responses, Streaming"),
    Rule("delta-after-done", "engine", "A text grew after it was marked done; the late characters were dropped.", "Open Responses, Streaming"),
    Rule("delta-mismatch", "engine", "A finished text differs from its deltas; the finished text is used.", "Open Responses, Streaming"),
    Rule("done-merged", "engine", "A `done` event omits earlier data of its item or part; the earlier data was kept.", "Open Responses, Streaming"),
    Rule("output-merged", "engine", "The terminal event's output omits streamed data of an item; the streamed data was kept.", "Open Responses, State machines"),
    Rule("response-merged", "engine", "The terminal event's response omits a field of an earlier event; the earlier value was kept.", "Open Responses, State machines"),
    Rule("output-empty", "engine", "The terminal event has no output; the streamed items are kept.", "Open Responses, State machines"),
    Rule("status-contradicted", "engine", "The terminal event and the status of its response differ; the worse is used.", "Open Responses, State machines"),
    Rule("output-differs", "engine", "The terminal event's output contradicts the streamed events, or has other items; it is used, and streamed items that it lacks are kept.", "Open Responses, State machines"),
    # The end.
    Rule("error-untyped", "engine", "An error came without a `type`; it was taken as an error event.", "Open Responses, Errors"),
    Rule("late-event", "engine", "An event arrived after the terminal event; it is delivered, but only a failure's reason changes the response.", "Open Responses, Streaming"),
    Rule("unasked-message", "engine", "A WebSocket message belongs to none of the requested responses; it was dropped.", "Open Responses, WebSocket"),
    Rule("late-data", "engine", "Data came after the end of the stream; it was dropped.", "Open Responses, Streaming"),
    Rule("no-terminal", "engine", "The input ended without a terminal event: the outcome is `truncated`.", "Open Responses, Streaming"),
    # Values against the specification's table of fields.
    Rule("null-field", "stream", "A field is null where the specification does not allow null.", "Open Responses, Schema"),
    Rule("wrong-value", "stream", "A field has a value that the specification does not list.", "Open Responses, Schema"),
    Rule("unknown-item", "stream", "An item or part has a type that is neither in the specification nor of the form `slug:name`.", "Open Responses, Extensions"),
    Rule("extension-fields", "stream", "An item of an extension lacks `id` or `status`.", "Open Responses, Extensions"),
    # Whether a server can be checked at all.
    Rule("unreachable", "server", "The server cannot be reached, so nothing was checked.", "HTTP, Connections"),
    Rule("unauthorized", "server", "The server refuses the API key, so nothing was checked.", "HTTP, Authentication"),
    Rule("unavailable", "server", "The address does not serve the Responses API, at least not for this model at this time, so nothing was checked.", "Responses, Create"),
    # A server's answers to certain requests.
    Rule("create", "server", "A request does not get a completed response with text, as JSON.", "Responses, Create"),
    Rule("create-fields", "server", "A body or an event lacks a field that the specification requires, or the field has another type or value.", "Open Responses, Schema"),
    Rule("create-stream", "server", "A request with `stream` does not get a conforming stream that completes.", "Open Responses, Streaming"),
    Rule("usage", "server", "The tokens of a response do not add up, or are zero.", "Responses, Create"),
    Rule("system-prompt", "server", "A message of the role `system` or `developer` is refused, or keeps the model from answering.", "Open Responses, Items"),
    Rule("multi-turn", "server", "A conversation that the request contains is refused, or not answered.", "Responses, Conversation state"),
    Rule("phase", "server", "An assistant message with a `phase` is refused, or a message has a phase that does not exist.", "Open Responses, Items"),
    Rule("image-input", "server", "An image in the input is refused, or not answered.", "Responses, Images"),
    Rule("structured-output", "server", "The text does not fit the JSON schema that the request asks for.", "Responses, Structured outputs"),
    Rule("json-object", "server", "The text is not the JSON object that the request asks for.", "Responses, Structured outputs"),
    Rule("effort-none", "server", "The model reasons although `reasoning.effort` is `none`.", "Open Responses, Schema"),
    Rule("token-limit", "server", "`max_output_tokens` does not end a response as incomplete for that reason, or is exceeded.", "Responses, Create"),
    Rule("function-call", "server", "An offered function is not called, or its arguments do not fit.", "Responses, Function calling"),
    Rule("function-call-stream", "server", "A function call is not streamed as the specification requires.", "Responses, Function calling"),
    Rule("reasoning-stream", "server", "Reasoning and the call after it are not streamed as the specification requires.", "Open Responses, Streaming"),
    Rule("function-output", "server", "A conversation with a function call and its output is refused, or not answered.", "Responses, Function calling"),
    Rule("tool-choice-none", "server", "A function is called although `tool_choice` is `none`.", "Responses, Function calling"),
    Rule("tool-choice-allowed", "server", "A function is called that `allowed_tools` excludes.", "Responses, Function calling"),
    Rule("parallel-calls", "server", "Several function calls in a response are not streamed as the specification requires, or have the same `call_id`.", "Open Responses, Schema"),
    Rule("one-call", "server", "Several functions are called although `parallel_tool_calls` is false.", "Responses, Function calling"),
    Rule("orphan-refused", "server", "The output of a function that was not called is not refused.", "Responses, Function calling"),
    Rule("json-refused", "server", "A body that is not JSON is not refused.", "Open Responses, Errors"),
    Rule("type-refused", "server", "A field of the wrong type is not refused.", "Open Responses, Errors"),
    Rule("error-body", "server", "The `error` object of an error lacks `message`, `type`, `param` or `code`.", "Open Responses, Errors"),
    Rule("id-unknown", "server", "A response that does not exist is not answered with 404.", "Responses, Retrieve"),
    Rule("retrieve", "server", "A stored response differs from the one that was returned.", "Responses, Retrieve"),
    Rule("delete", "server", "A response cannot be deleted, or can still be retrieved afterwards.", "Responses, Delete"),
    Rule("input-items", "server", "The input items of a response are not listed, or not in pages.", "Responses, Input items"),
    Rule("previous-response", "server", "A stored response cannot be continued, or is not part of the input then.", "Responses, Conversation state"),
    Rule("previous-unknown", "server", "A request that continues a response that does not exist is not refused.", "Responses, Conversation state"),
    Rule("background", "server", "A background response does not end.", "Responses, Background mode"),
    Rule("cancel", "server", "A background response cannot be cancelled.", "Responses, Cancel"),
    Rule("resume", "server", "The stream of a background response cannot be resumed where it was left.", "Responses, Background mode"),
    Rule("conversations", "server", "A conversation cannot be created, extended or deleted.", "Conversations, Create"),
    Rule("conversation-items", "server", "The items of a conversation are not added, or not listed in pages.", "Conversations, List items"),
    Rule("compact", "server", "A history is not compacted.", "Responses, Compact"),
    Rule("compact-model-required", "server", "A request to compact without a model is not refused.", "Responses, Compact"),
    Rule("input-tokens", "server", "The tokens of an input are not counted.", "Responses, Input tokens"),
    # The same over a WebSocket.
    Rule("websocket", "server", "A request over a WebSocket does not get the events of a response that completes.", "Open Responses, WebSocket"),
    Rule("websocket-sequential", "server", "A second request on the same WebSocket is not answered.", "Open Responses, WebSocket"),
    Rule("websocket-continuation", "server", "A response with `store: false` cannot be continued on its WebSocket.", "Open Responses, WebSocket"),
    Rule("websocket-reconnect", "server", "A response with `store: false` is still available on another WebSocket, or a full request fails after that.", "Open Responses, WebSocket"),
    Rule("websocket-unknown", "server", "A request that continues an unknown response is not answered with `previous_response_not_found`.", "Open Responses, WebSocket"),
    Rule("websocket-evicted", "server", "After a failed continuation, the previous response can still be continued.", "Open Responses, WebSocket"),
    Rule("websocket-compacted", "server", "A compacted history cannot begin a new chain over a WebSocket.", "Open Responses, WebSocket"),
    # How a client handles an answer.
    Rule("client-text", "client", "The client reports a different text from the one that the server sent.", "Open Responses, Streaming"),
    Rule("client-calls", "client", "The client reports different function calls from those that the server made.", "Responses, Function calling"),
    Rule("client-status", "client", "The client reports a different outcome from that of the response, such as success for a stream that broke off.", "Open Responses, State machines"),
    Rule("client-partial", "client", "The client loses the text that arrived before a failure.", "Open Responses, Streaming"),
    Rule("client-crash", "client", "The client crashes or reports nothing.", "Open Responses, Extensions"),
    Rule("client-hangs", "client", "The client does not end when the response has.", "Open Responses, Streaming"),
    Rule("client-repeats", "client", "The client repeats a request that may have had effects.", "Responses, Create"),
)
# fmt: on

# Violations that a careful client can handle, and rules of only one of the specifications.
_WARNINGS: Final = frozenset(
    {
        "unfinished-frame",
        "sequence-start",
        "found-by-id",
        "found-by-call-id",
        "found-by-kind",
        "index-skipped",
        "response-merged",
    }
    | {"late-data", "progress-order", "orphan-refused", "previous-unknown", "one-call", "usage", "client-partial"}
)

# Rule -> the test of the official suite, by its id there.
_SUITE: Final[Mapping[str, str]] = {
    "create": "basic-response",
    "create-fields": "basic-response",
    "create-stream": "streaming-response",
    "system-prompt": "system-prompt",
    "multi-turn": "multi-turn",
    "phase": "assistant-phase",
    "image-input": "image-input",
    "function-call": "tool-calling",
    "compact": "compact-response",
    "compact-model-required": "compact-missing-model",
    "websocket": "websocket-response",
    "websocket-sequential": "websocket-sequential-responses",
    "websocket-continuation": "websocket-continuation",
    "websocket-reconnect": "websocket-reconnect-store-false-recovery",
    "websocket-unknown": "websocket-previous-response-not-found",
    "websocket-evicted": "websocket-failed-continuation-evicts-cache",
    "websocket-compacted": "websocket-compact-new-chain",
    "missing-field": "basic-response",
    "null-field": "basic-response",
    "wrong-type": "basic-response",
    "wrong-value": "response-output-phase-schema",
}

_SUGGESTIONS: Final[Mapping[str, str]] = {
    "missing-field": "Send the field, as null where the specification allows null.",
    "wrong-type": "Send the JSON type that the specification gives the field.",
    "wrong-constant": "Send the one value that the specification lists.",
    "not-an-object": "Send an object.",
    "null-field": "Send the value that was in effect, such as the default, instead of null.",
    "wrong-value": "Send one of the listed values.",
    "unknown-item": "Name the type `slug:name`, with your own slug, so that clients recognize it as an extension.",
    "extension-fields": "Give every item an `id` and a `status`.",
    "content-type": "Answer with `content-type: text/event-stream`.",
    "invalid-utf8": "Encode the stream as UTF-8, and do not cut texts inside a character.",
    "invalid-json": "Write each event as one line of JSON, complete.",
    "unfinished-frame": "End every event with a blank line, the last one too.",
    "dropped-frame": "End every event with a blank line, and close the connection only after that.",
    "event-name": "Write the `type` of the body into the `event:` line.",
    "missing-type": "Give every event a `type`.",
    "json-body": "Answer a request with `stream: true` with an event stream.",
    "event-line": "Write an `event:` line with the `type` before each `data:` line.",
    "no-done": "Send `data: [DONE]` after the terminal event.",
    "unknown-type": "Name an event of your own `slug:name`.",
    "sequence-missing": "Number the events from 0.",
    "sequence-gap": "Number the events without gaps, and check that nothing drops one.",
    "sequence-repeated": "Give each event a unique number.",
    "sequence-start": "Begin with 0.",
    "index-missing": "Send `output_index` with every event of an item.",
    "index-contradicted": "Send the index at which the item was added.",
    "id-missing": "Send `item_id` with every event of an item, and `id` in every item.",
    "id-rotated": "Keep the id of an item from `added` to the final response.",
    "id-contradicted": "Send the id of the item at that index.",
    "found-by-id": "Send the `output_index` at which the item was added.",
    "found-by-call-id": "Send the `id` of the item as `item_id`, not its `call_id`.",
    "found-by-kind": "Send `output_index` and `item_id` of the item.",
    "item-implied": "Send `response.output_item.added` before anything else of an item.",
    "index-occupied": "Increment `output_index` for each new item.",
    "index-skipped": "Number the items in the order of the final output.",
    "item-missing": "Put the item into `item`.",
    "part-index": "Send the `content_index` at which the part was added.",
    "part-implied": "Send `response.content_part.added` before the first delta.",
    "part-repeated": "Send `added` and `done` once for each part.",
    "lifecycle": "Send `created`, `in_progress`, and one terminal event, in this order.",
    "created-missing": "Begin with `response.created`.",
    "response-id-changed": "Keep the id of the response.",
    "output-early": "Send `response.in_progress` before the first item.",
    "item-unfinished": "Send `response.output_item.done` for every item before the terminal event.",
    "item-repeated": "Send `added` and `done` once for each item.",
    "progress-order": "Send the stages of an item in order, each once.",
    "text-unfinished": "Send the `done` event of a text before that of its part or item.",
    "part-unfinished": "Send `response.content_part.done` before `response.output_item.done`.",
    "delta-after-done": "Send `done` after the last delta.",
    "delta-mismatch": "Send the concatenated deltas in `done`.",
    "done-merged": "Repeat in `done` all that `added` had.",
    "output-merged": "Send whole items in the terminal event.",
    "response-merged": "Send a whole response in the terminal event.",
    "output-empty": "Put the items into `output` of the terminal event.",
    "status-contradicted": "Send the terminal event that the status names.",
    "output-differs": "Send in the terminal event the items that were streamed.",
    "error-untyped": "Send errors as events with `type: error`.",
    "late-event": "Send nothing but `[DONE]` after the terminal event.",
    "late-data": "Close the stream after `[DONE]`.",
    "unasked-message": "Send only events of a request that is open.",
    "no-terminal": "End every stream with `completed`, `incomplete` or `failed`, even if the model stops early.",
    "unreachable": "Start the server, check the address, and give a slow server a longer deadline.",
    "unauthorized": "Pass a key that the server accepts.",
    "unavailable": "Read the server's message, and check the address, which usually ends in /v1, and the model.",
    "create": "Answer `POST /responses` with a completed response as `application/json`.",
    "create-fields": "Send every field of the specification's schema, with its type.",
    "create-stream": "Compare the events with the specification: the findings name the first one at fault.",
    "usage": "Send the tokens that were counted: `total_tokens` is the sum of `input_tokens`, of which some are cached, and `output_tokens`, of which some are reasoning.",
    "system-prompt": "Accept the roles `system` and `developer` in input messages.",
    "multi-turn": "Accept earlier messages of user and assistant in the input.",
    "phase": "Accept `phase` on assistant messages, and send only `commentary` or `final_answer`.",
    "image-input": "Accept `input_image` parts with a data URL.",
    "structured-output": "Constrain the text to `text.format.schema`, or refuse the request.",
    "json-object": "Constrain the text to JSON if `text.format.type` is `json_object`, or refuse the request.",
    "effort-none": "Turn reasoning off, or refuse the request.",
    "token-limit": "End with status `incomplete` and `incomplete_details.reason: max_output_tokens`.",
    "function-call": "Call an offered function, with arguments that fit its schema.",
    "function-call-stream": "Stream the call as an item with `function_call_arguments` events.",
    "reasoning-stream": "Stream the reasoning as an item of its own, with its own `output_index`, before the items that follow from it.",
    "function-output": "Accept the call and its output in the input.",
    "tool-choice-none": "Do not offer the tools to the model if `tool_choice` is `none`.",
    "tool-choice-allowed": "Offer the model only the tools that `allowed_tools` lists.",
    "parallel-calls": "Give each call an `output_index`, an `id` and a `call_id` of its own.",
    "one-call": "Make one call at a time if `parallel_tool_calls` is false.",
    "orphan-refused": "Answer 400 if no call in the history has the `call_id` of an output.",
    "json-refused": "Answer 400 with an error body.",
    "type-refused": "Validate the request, and answer 400 with the parameter in `error.param`.",
    "error-body": "Send `error` as an object with `message`, `type`, `param` and `code`, the last two null where they do not apply.",
    "id-unknown": "Answer 404.",
    "retrieve": "Store the response as it was returned.",
    "delete": "Answer with `deleted: true`, and 404 afterwards.",
    "input-items": "List the items in pages of `limit`, in the `order` asked for, with `first_id`, `last_id` and `has_more`.",
    "previous-response": "Accept `previous_response_id` of a stored response, put its input and output before the new input, and repeat the id in the response.",
    "previous-unknown": "Answer 400 or 404 instead of starting a new conversation.",
    "background": "Complete every background response, and report its status.",
    "cancel": "Answer with the cancelled response, and keep its status.",
    "resume": "Answer `GET /responses/{id}?stream=true&starting_after=N` with the events after N.",
    "conversations": "Compare the endpoints of conversations with the reference.",
    "conversation-items": "Compare the endpoints of a conversation's items with the reference.",
    "compact": "Answer with an object `response.compaction` that has an item `compaction`.",
    "compact-model-required": "Answer 400 if there is no `model`.",
    "input-tokens": "Answer with an object `response.input_tokens` and the number of tokens.",
    "websocket": "Send the events of the response, one per message, up to the terminal one.",
    "websocket-sequential": "Keep the connection open after a response.",
    "websocket-continuation": "Keep the last response of a connection, also if `store` is false.",
    "websocket-reconnect": "Discard responses that were not stored when their connection ends, and accept the full input again.",
    "websocket-unknown": "Answer with an `error` of status 400 and the code `previous_response_not_found`.",
    "websocket-evicted": "Forget the response that a failed request was to continue.",
    "websocket-compacted": "Accept the output of a compaction as input.",
    "client-text": "Build the text from the deltas, and compare it with the text in `done`.",
    "client-calls": "Read calls from the items, once each, whether they come by events or in the terminal response.",
    "client-status": "Count only a terminal event of the response as its end.",
    "client-partial": "Keep the text that arrived, and report it with the error.",
    "client-crash": "Ignore unknown data, and report an error for unreadable data.",
    "client-hangs": "Stop reading at the terminal event, and set a timeout.",
    "client-repeats": "Repeat a request only if no output has arrived and the server says that it did nothing.",
}

RULES: Final[Mapping[str, Rule]] = {
    rule.id: attrs.evolve(
        rule,
        severity="warning" if rule.id in _WARNINGS else "error",
        suggestion=_SUGGESTIONS.get(rule.id, ""),
        suite=_SUITE.get(rule.id, ""),
    )
    for rule in _RULES
}
"""Id -> rule, in the order of a stream's life."""

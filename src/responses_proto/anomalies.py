"""Findings: what a peer sent that the protocol does not provide for, and that was survived.

In lenient mode a finding is reported and the work goes on; in strict mode the same finding is an error.
Each kind of finding has a code here, in the one table that the decoder, the engine and the documentation share.
"""

from __future__ import annotations

from typing import Final

import attrs

__all__ = ["ANOMALY_CODES", "Anomaly"]


@attrs.frozen
class Anomaly:
    """One finding.

    ``code`` is a key of :data:`ANOMALY_CODES`; ``path`` says where, in JSONPath (``$.item.content[0].text``),
    in a stream with the event's type before it; ``detail`` is for people, its wording is no contract.
    """

    code: str
    path: str = "$"
    detail: str = ""


ANOMALY_CODES: Final[dict[str, str]] = {
    # The decoder: one JSON value against one class.
    "missing-field": "A field that the specification requires is absent.",
    "wrong-type": "A value has another JSON type than its field; it is kept raw in `extra`.",
    "wrong-constant": "A field with one lawful value has another one; it is kept raw in `extra`.",
    "not-an-object": "Something else stands where an object has to be.",
    # Framing.
    "invalid-utf8": "A frame is not UTF-8; the bad bytes were replaced by U+FFFD.",
    "invalid-json": "The data of a frame is not JSON; the frame is kept as an UnknownEvent.",
    "unfinished-frame": "The input ended inside a frame that was complete enough to read.",
    "dropped-frame": "The input ended inside a frame that could not be read.",
    "event-name": "The `event:` line and the body's `type` differ; the body was believed.",
    "missing-type": "The body has no `type`; it was taken from the `event:` line or from the body's shape.",
    "json-body": "A JSON response object came where a stream was asked for; it was taken as the whole result.",
    # Numbering.
    "sequence-missing": "An event has no sequence number; it was numbered in order of arrival.",
    "sequence-gap": "Sequence numbers were skipped; events may be lost.",
    "sequence-repeated": "A sequence number came again; it was renumbered in order of arrival.",
    # Identity: which item and part an event belongs to.
    "index-missing": "An event has no output index; it was worked out.",
    "index-contradicted": "An event's output index names an item that it cannot belong to; it was worked out.",
    "id-missing": "An event or item has no item id; it was worked out or left empty.",
    "id-rotated": "An item was given another id; both are remembered.",
    "id-contradicted": "An event's item id is another item's than the one it belongs to; the other item keeps it.",
    "found-by-id": "The item of an event was found by its id, because its index did not tell.",
    "found-by-call-id": "The item of an event was found by its call id.",
    "found-by-kind": "The item of an event was found as the only open one of its kind.",
    "item-implied": "An event belongs to an item that was never added; it was opened on the spot.",
    "index-occupied": "An item was added where another one is; it was given the next place.",
    "index-skipped": "An item was added elsewhere than at the next free place; it was given the next free place.",
    "part-index": "An event's content index is missing or wrong; the part was worked out.",
    "part-implied": "An event belongs to a content part that was never added; it was opened on the spot.",
    "part-repeated": "A content part was added again where one is.",
    # The life of a response, its items and parts.
    "lifecycle": "A lifecycle event is out of order, or came again.",
    "created-missing": "The stream does not begin with `response.created`.",
    "response-id-changed": "The response's id changed on the way; the newest is believed.",
    "item-unfinished": "The response ended while an item was never marked done.",
    "item-repeated": "An item was marked done twice; the newest is believed.",
    "delta-after-done": "A delta came for what was already marked done; it was not folded in.",
    "delta-mismatch": "A finished text differs from its deltas; the finished text is believed.",
    "output-empty": "The terminal event has no output; the streamed items stand.",
    "status-contradicted": "The terminal event and the status of its response differ; the worse is believed.",
    "output-differs": "The terminal event's output has other items than were streamed; it is believed.",
    # Over WebSocket.
    "unasked-message": "A message belongs to no response that was asked for; it was dropped.",
    # The end.
    "error-untyped": "An error came without a `type`; it was taken as an error event.",
    "late-event": "An event came after the terminal one; it is handed out but not folded in.",
    "late-data": "Data came after the end of the stream; it was dropped.",
    "no-terminal": "The input ended without a terminal event: the outcome is `truncated`.",
}
"""Code -> meaning. In strict mode each of these raises."""

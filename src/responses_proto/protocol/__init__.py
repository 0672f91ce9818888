"""The protocol engine of client and server, without I/O: it converts bytes to events and events to bytes, and never awaits.

:class:`ResponseStream` reads a stream of server-sent events and keeps a snapshot of the response; :class:`Emitter` writes such a stream.
The package also prepares and checks histories (:func:`as_input`, :func:`check_history`), reads API errors and rate-limit headers,
verifies webhooks, and contains the state tables. ``protocol.websocket`` is the engine of WebSocket connections.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._lazy import lazy_exports

if TYPE_CHECKING:
    __all__: list[str]

    from ..typing import Cursor as Cursor
    from . import websocket as websocket
    from .accumulator import Accumulator as Accumulator
    from .api_errors import api_error as api_error
    from .api_errors import api_error_from as api_error_from
    from .api_errors import readable as readable
    from .emitter import DONE as DONE
    from .emitter import CallWriter as CallWriter
    from .emitter import Emitter as Emitter
    from .emitter import FunctionCallWriter as FunctionCallWriter
    from .emitter import ItemWriter as ItemWriter
    from .emitter import MessageWriter as MessageWriter
    from .emitter import OpenItemWriter as OpenItemWriter
    from .emitter import ReasoningWriter as ReasoningWriter
    from .emitter import emit as emit
    from .emitter import encode_event as encode_event
    from .emitter import encode_stream as encode_stream
    from .emitter import initial_response as initial_response
    from .emitter import random_id as random_id
    from .emitter import split_words as split_words
    from .headers import REQUEST_ID_HEADERS as REQUEST_ID_HEADERS
    from .headers import RateLimit as RateLimit
    from .headers import parse_duration as parse_duration
    from .headers import rate_limits as rate_limits
    from .headers import request_id as request_id
    from .headers import retry_after as retry_after
    from .history import HistoryFinding as HistoryFinding
    from .history import HistoryRule as HistoryRule
    from .history import as_input as as_input
    from .history import check_history as check_history
    from .history import fit as fit
    from .sse import Frame as Frame
    from .sse import SSEDecoder as SSEDecoder
    from .sse import encode_comment as encode_comment
    from .sse import encode_frame as encode_frame
    from .state import DELTA_FIELDS as DELTA_FIELDS
    from .state import ITEM_EVENTS as ITEM_EVENTS
    from .state import ITEM_LIFE as ITEM_LIFE
    from .state import ITEM_RULES as ITEM_RULES
    from .state import ITEM_STEPS as ITEM_STEPS
    from .state import OTHER_GROWTH_EVENTS as OTHER_GROWTH_EVENTS
    from .state import PART_EVENTS as PART_EVENTS
    from .state import PART_LIFE as PART_LIFE
    from .state import PART_RULES as PART_RULES
    from .state import PROGRESS as PROGRESS
    from .state import RESPONSE_LIFE as RESPONSE_LIFE
    from .state import RESPONSE_RULES as RESPONSE_RULES
    from .stream import Outcome as Outcome
    from .stream import OutcomeStatus as OutcomeStatus
    from .stream import ResponseStream as ResponseStream
    from .stream import data_of as data_of
    from .webhooks import parse_webhook as parse_webhook
    from .webhooks import sign_webhook as sign_webhook
    from .webhooks import unwrap_webhook as unwrap_webhook
    from .webhooks import verify_webhook as verify_webhook
else:
    __all__, __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            ".": ("websocket",),
            "..typing": ("Cursor",),
            ".accumulator": ("Accumulator",),
            ".api_errors": ("api_error", "api_error_from", "readable"),
            ".emitter": (
                "DONE",
                "CallWriter",
                "Emitter",
                "FunctionCallWriter",
                "ItemWriter",
                "MessageWriter",
                "OpenItemWriter",
                "ReasoningWriter",
                "emit",
                "encode_event",
                "encode_stream",
                "initial_response",
                "random_id",
                "split_words",
            ),
            ".headers": (
                "REQUEST_ID_HEADERS",
                "RateLimit",
                "parse_duration",
                "rate_limits",
                "request_id",
                "retry_after",
            ),
            ".history": ("HistoryFinding", "HistoryRule", "as_input", "check_history", "fit"),
            ".sse": ("Frame", "SSEDecoder", "encode_comment", "encode_frame"),
            ".state": (
                "DELTA_FIELDS",
                "ITEM_EVENTS",
                "ITEM_LIFE",
                "ITEM_RULES",
                "ITEM_STEPS",
                "OTHER_GROWTH_EVENTS",
                "PART_EVENTS",
                "PART_LIFE",
                "PART_RULES",
                "PROGRESS",
                "RESPONSE_LIFE",
                "RESPONSE_RULES",
            ),
            ".stream": ("Outcome", "OutcomeStatus", "ResponseStream", "data_of"),
            ".webhooks": ("parse_webhook", "sign_webhook", "unwrap_webhook", "verify_webhook"),
        },
    )

"""Hypothesis strategies for models, wire objects and streams of the protocol. Needs the extra ``testing``.

::

    @given(strategies.streams())
    def test_my_reader(stream: Stream) -> None:
        assert read(stream.body) == stream.response

    @given(strategies.models(FunctionCall))
    def test_my_writer(call: FunctionCall) -> None: ...

Models are generated from the classes themselves, so every class has a strategy, and ``codec.dump(codec.load(x)) == x`` holds for
each wire object. They have all required fields of a class, and only known values of enumerations. With ``beyond=True`` they also have
unknown fields, types and values, such as servers add. Streams are generated from the tables of :mod:`responses_proto.protocol.state`,
so a conforming server may send each of them. :func:`damaged` generates faulty streams, and :func:`chat_streams` generates streams of
Chat Completions.
"""

from __future__ import annotations

import importlib.util

if importlib.util.find_spec("hypothesis") is None:
    raise ImportError("strategies need hypothesis: pip install 'responses-proto[testing]'", name="hypothesis")

from ._chat import ChatStream, chat_streams
from ._damage import DAMAGES, damaged
from ._models import contents, events, items, json_values, models, payloads, requests, responses, tools
from ._streams import Stream, streams

__all__ = [
    "DAMAGES",
    "ChatStream",
    "Stream",
    "chat_streams",
    "contents",
    "damaged",
    "events",
    "items",
    "json_values",
    "models",
    "payloads",
    "requests",
    "responses",
    "streams",
    "tools",
]

"""Hypothesis strategies: anything of the protocol that a test could want any of. Needs the extra ``testing``.

::

    @given(strategies.streams())
    def test_my_reader(stream: Stream) -> None:
        assert read(stream.body) == stream.response

    @given(strategies.models(FunctionCall))
    def test_my_writer(call: FunctionCall) -> None: ...

Models are made from the classes themselves, so that there is a strategy for each of them, and ``codec.dump(codec.load(x)) == x``
for each value. They have what all specifications of a class require, and of enumerations the known values; with ``beyond=True``
they also carry what no specification has: fields, types and values that nobody knows, as servers add them. Streams are made from
the tables of :mod:`responses_proto.protocol.state`: each is one that a server may send. :func:`damaged_streams` are those that no server should.
"""

from __future__ import annotations

import importlib.util

if importlib.util.find_spec("hypothesis") is None:
    raise ImportError("the strategies need hypothesis: pip install 'responses-proto[testing]'", name="hypothesis")

from ._damage import DAMAGES, damaged_streams
from ._models import contents, events, items, json_values, models, payloads, requests, responses, tools
from ._streams import Stream, streams

__all__ = [
    "DAMAGES",
    "Stream",
    "contents",
    "damaged_streams",
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

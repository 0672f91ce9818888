"""The decoder understands what providers say, in whatever way they write it and wherever the bytes are cut."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.chat.said import decode_bytes, said_by, said_in

from responses_proto.testing.strategies import ChatStream, chat_streams


@settings(max_examples=150)
@given(chat_streams(), st.data())
def test_a_decoded_stream_says_what_the_stream_says(stream: ChatStream, data: st.DataObject) -> None:
    body = stream.body
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=6)))
    pieces = [body[start:end] for start, end in zip([0, *cuts], [*cuts, len(body)], strict=True)]
    assert said_in(decode_bytes(stream, pieces)) == said_by(stream.turn)

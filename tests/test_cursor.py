"""The place in a stream: a plain value."""

from __future__ import annotations

import json
import pickle

import attrs
import pytest

from responses_proto.protocol import Cursor


def test_a_cursor_is_a_value() -> None:
    cursor = Cursor("resp_1", 4)
    assert cursor == Cursor("resp_1", 4) != Cursor("resp_1", 5)
    assert len({cursor, Cursor("resp_1", 4), Cursor("resp_1")}) == 2
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        cursor.sequence_number = 5  # type: ignore[misc] # what the test is about


@pytest.mark.parametrize("cursor", [Cursor("resp_1"), Cursor("resp_1", 0), Cursor("resp_1", 4)])
def test_a_cursor_survives_storage(cursor: Cursor) -> None:
    assert pickle.loads(pickle.dumps(cursor)) == cursor  # noqa: S301 - our own bytes
    assert Cursor(**json.loads(json.dumps(attrs.asdict(cursor)))) == cursor

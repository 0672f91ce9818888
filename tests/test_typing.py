"""UNSET is falsy, a singleton, and the same object after every copy."""

from __future__ import annotations

import copy
import json
import pickle
from typing import get_type_hints

import attrs
import pytest

from responses_proto.typing import UNSET, Cursor, JSONObject, JSONValue, Unset


def test_absent_is_falsy_and_not_null() -> None:
    assert not UNSET
    assert UNSET is not None
    assert repr(UNSET) == "UNSET"


def test_there_is_one_unset() -> None:
    for again in (copy.copy(UNSET), copy.deepcopy([UNSET])[0], pickle.loads(pickle.dumps(UNSET)), Unset("UNSET")):  # noqa: S301 - our own bytes
        assert again is UNSET
    assert list(Unset) == [UNSET]


def test_json_types_can_be_read_at_run_time() -> None:
    @attrs.define
    class Holder:
        value: JSONValue
        mapping: JSONObject

    hints = get_type_hints(Holder)
    assert set(hints) == {"value", "mapping"}


def test_if_narrows_to_a_present_value() -> None:
    def length(value: str | Unset) -> int:
        return len(value) if value else 0  # the type checkers agree, or this file does not pass

    assert (length("abc"), length(UNSET), length("")) == (3, 0, 0)


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

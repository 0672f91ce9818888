"""Bounds have names, defaults and an exception."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from responses_proto.exceptions import LimitExceeded, UsageError
from responses_proto.limits import Limits

NAMES = [field.name for field in attrs.fields(Limits)]


@pytest.mark.parametrize("name", NAMES)
def test_each_bound_can_be_set_and_is_checked(name: str) -> None:
    limits = Limits(**{name: 5})
    limits.check(name, 5)
    with pytest.raises(LimitExceeded) as caught:
        limits.check(name, 6)
    assert (caught.value.limit, caught.value.value, caught.value.maximum) == (name, 6, 5)
    assert f"Limits({name}=...)" in str(caught.value)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("bad", [0, -1, 1.5, "1", None, True])
def test_a_bound_is_a_positive_whole_number(name: str, bad: Any) -> None:
    with pytest.raises(UsageError, match=f"{name} must be an int of at least 1"):
        Limits(**{name: bad})


def test_defaults_are_generous_and_fixed() -> None:
    limits = Limits()
    assert limits.max_event_bytes == 64 * 1024 * 1024
    assert all(getattr(limits, name) >= 256 for name in NAMES)
    assert limits == Limits()
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        limits.max_nesting = 3  # type: ignore[misc] # what the test is about

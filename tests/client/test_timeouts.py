from __future__ import annotations

from typing import Any

import attrs
import pytest

from responses_proto.client import Timeouts
from responses_proto.exceptions import UsageError


def test_only_the_total_has_no_default_bound() -> None:
    assert {name for name, value in attrs.asdict(Timeouts()).items() if value is None} == {"total"}


@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf"), True, "10"])
@pytest.mark.parametrize("field", [field.name for field in attrs.fields(Timeouts)])
def test_a_bound_is_a_positive_number_or_none(field: str, value: Any) -> None:
    with pytest.raises(UsageError, match=rf"Timeouts\.{field}"):
        Timeouts(**{field: value})
    assert getattr(Timeouts(**{field: None}), field) is None


def test_timeouts_cannot_be_changed() -> None:
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        Timeouts().connect = 1.0  # type: ignore[misc] # what is tested

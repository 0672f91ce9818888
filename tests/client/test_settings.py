"""Settings that remember which of their fields were passed."""

from __future__ import annotations

import copy
import pickle
from typing import TYPE_CHECKING, Any, cast

import attrs
import pytest

from responses_proto import RetryPolicy, Timeouts

if TYPE_CHECKING:
    from responses_proto.client._settings import Settings

KINDS: list[tuple[type[Settings], dict[str, Any]]] = [
    (Timeouts, {"connect": 1.5, "first_byte": 2.5, "total": 3.5}),
    (RetryPolicy, {"attempts": 7, "max_delay": 2.0, "max_total_delay": 9.0}),
]
each_kind = pytest.mark.parametrize(("cls", "values"), KINDS)


@each_kind
def test_what_is_not_passed_comes_from_the_other(cls: type[Settings], values: dict[str, Any]) -> None:
    base = cls(**values)
    assert cls().with_defaults(base) == base
    for field in attrs.fields(cast("Any", cls)):
        changed = 1 if field.name == "attempts" else 0.125
        assert cls(**{field.name: changed}).with_defaults(base) == attrs.evolve(
            cast("Any", base), **{field.name: changed}
        )


@each_kind
def test_a_default_that_is_passed_counts(cls: type[Settings], values: dict[str, Any]) -> None:
    defaults = {name: getattr(cls(), name) for name in values}
    assert cls(**defaults).with_defaults(cls(**values)) == cls()


def pickled(settings: Settings) -> Settings:
    again: Settings = pickle.loads(pickle.dumps(settings))  # noqa: S301 - our own
    return again


@each_kind
@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, pickled])
def test_a_copy_remembers_it_too(cls: type[Settings], values: dict[str, Any], again: Any) -> None:
    (name, value), *others = values.items()
    merged = again(cls(**{name: value})).with_defaults(cls(**dict(others)))
    assert merged == cls(**values)


@each_kind
def test_unknown_and_positional_arguments_are_refused(cls: type[Settings], values: dict[str, Any]) -> None:
    for arguments, fields in (((), {"nope": 1}), ((1,), values)):
        with pytest.raises(TypeError, match=cls.__name__):
            cls(*arguments, **fields)

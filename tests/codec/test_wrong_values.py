"""Every event, with each field dropped and each field of each wrong JSON kind: survived, kept, and named.

What a field admits is read here from its annotation, not from the codec, so that the two can disagree.
"""

from __future__ import annotations

import json
import typing
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import attrs
import pytest

from responses_proto.codec import make_converter
from responses_proto.exceptions import DecodeError
from responses_proto.models import Event, Extra, Model
from responses_proto.models.events import EVENT_TYPES
from responses_proto.typing import UNSET, Unset

if typing.TYPE_CHECKING:
    from responses_proto.anomalies import Anomaly

LENIENT = make_converter()
STRICT = make_converter(strict=True)

# JSON kind -> values of it that are wrong wherever the kind is: the nested ones fit no model and no element.
EXAMPLES: dict[str, list[Any]] = {
    "null": [None],
    "bool": [True, False],
    "int": [0, 7, -(2**63)],
    "float": [0.0, 1.5],
    "str": ["", "text"],
    "list": [[], [1], [[None]]],
    "object": [{}, {"a": 1}],
}


def kinds(tp: Any) -> set[str]:
    """The JSON kinds that an annotation admits."""
    origin, args = typing.get_origin(tp), typing.get_args(tp)
    if tp is Any:
        return set(EXAMPLES)
    if origin is Literal:
        return {"null" if value is None else type(value).__name__ for value in args}
    if args and origin not in (list, dict, Sequence, Mapping):
        return {kind for arm in args for kind in kinds(arm)}
    if origin in (list, Sequence):
        return {"list"}
    if origin in (dict, Mapping) or (isinstance(tp, type) and issubclass(tp, Model)):
        return {"object"}
    scalars = {
        str: {"str"},
        bool: {"bool"},
        int: {"int"},
        float: {"int", "float"},
        type(None): {"null"},
        Unset: set[str](),
    }
    return scalars[tp]


def fields_of(cls: type[Model]) -> dict[str, attrs.Attribute[Any]]:
    return {name.removesuffix("_"): field for name, field in attrs.fields_dict(cls).items() if name != "extra"}


def admitted(cls: type[Model], wire: str) -> set[str]:
    return kinds(typing.get_type_hints(cls)[fields_of(cls)[wire].name])


def fitting(tp: Any) -> Any:
    """The plainest value that an annotation admits."""
    origin, args = typing.get_origin(tp), typing.get_args(tp)
    if tp is Any or "null" in kinds(tp):
        return None
    if isinstance(tp, type) and issubclass(tp, Model):
        return payload_of(tp)
    if args and origin not in (list, dict, Sequence, Mapping, Literal):
        return fitting(args[0])
    if origin is Literal:
        return args[0]
    plainest: dict[str, Any] = {"str": "s", "int": 3, "float": 3, "bool": True, "list": [], "object": {}}
    return plainest[min(kinds(tp))]


def payload_of(cls: type[Model]) -> dict[str, Any]:
    """An object of ``cls`` with nothing but what it must have."""
    hints = typing.get_type_hints(cls)
    constants = {
        name: getattr(cls, name)
        for name, hint in hints.items()
        if "Literal" in str(hint) and isinstance(getattr(cls, name, 0), str)
    }
    required = {wire: field for wire, field in fields_of(cls).items() if field.default is attrs.NOTHING}
    return {**constants, **{wire: fitting(hints[field.name]) for wire, field in required.items()}}


def wrong_values(cls: type[Model]) -> list[tuple[str, Any]]:
    return [
        (wire, value)
        for wire in fields_of(cls)
        for kind in EXAMPLES.keys() - admitted(cls, wire)
        for value in EXAMPLES[kind]
    ]


def same(one: Any, other: Any) -> bool:
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


@pytest.mark.parametrize("tag", sorted(EVENT_TYPES))
def test_a_minimal_event_has_no_finding(tag: str) -> None:
    payload = payload_of(EVENT_TYPES[tag])
    event = STRICT.load(payload, Event)
    assert type(event) is EVENT_TYPES[tag]
    assert same(STRICT.dump(event), payload)


def test_the_table_of_wrong_values_is_not_empty_for_any_event() -> None:
    assert all(wrong_values(cls) for cls in EVENT_TYPES.values())


@pytest.mark.parametrize("tag", sorted(EVENT_TYPES))
def test_a_wrong_value_of_a_field_is_kept_and_reported(tag: str) -> None:
    cls = EVENT_TYPES[tag]
    for wire, value in wrong_values(cls):
        payload = {**payload_of(cls), wire: value}
        anomalies: list[Anomaly] = []
        event = LENIENT.load(payload, Event, anomalies=anomalies)
        case = (wire, value)
        assert type(event) is cls, case
        assert [(anomaly.code, anomaly.path) for anomaly in anomalies] == [("wrong-type", f"$.{wire}")], case
        assert event.extra == {wire: value}, case
        assert kind_of(getattr(event, fields_of(cls)[wire].name)) in admitted(cls, wire) | {"absent"}, case
        assert same(LENIENT.dump(event), payload), case
        with pytest.raises(DecodeError) as caught:
            STRICT.load(payload, Event)
        assert (caught.value.path, caught.value.type_name) == (f"$.{wire}", cls.__name__), case
        assert caught.value.excerpt == repr(value), case


@pytest.mark.parametrize("tag", sorted(EVENT_TYPES))
def test_a_missing_field_is_reported(tag: str) -> None:
    cls = EVENT_TYPES[tag]
    whole = payload_of(cls)
    for wire in whole.keys() - {"type"}:
        payload = {key: value for key, value in whole.items() if key != wire}
        anomalies: list[Anomaly] = []
        event = LENIENT.load(payload, Event, anomalies=anomalies)
        assert type(event) is cls, wire
        assert [(anomaly.code, anomaly.path) for anomaly in anomalies] == [("missing-field", f"$.{wire}")], wire
        assert event.extra == Extra((), [wire]), wire
        assert kind_of(getattr(event, fields_of(cls)[wire].name)) in admitted(cls, wire), wire
        assert same(LENIENT.dump(event), payload), wire
        with pytest.raises(DecodeError) as caught:
            STRICT.load(payload, Event)
        assert (caught.value.path, caught.value.type_name) == (f"$.{wire}", cls.__name__), wire


@pytest.mark.parametrize("tag", sorted(EVENT_TYPES))
def test_an_event_with_a_missing_or_wrong_type_is_unknown(tag: str) -> None:
    whole = payload_of(EVENT_TYPES[tag])
    tags: list[Any] = [None, True, 7, 1.5, "response.nonsense", [], {}]
    wrong: list[dict[str, Any]] = [{**whole, "type": value} for value in tags]
    for payload in ({key: value for key, value in whole.items() if key != "type"}, *wrong):
        event = LENIENT.load(payload, Event)
        assert type(event).__name__ == "UnknownEvent"
        assert same(LENIENT.dump(event), payload)


def kind_of(value: Any) -> str:
    if value is UNSET:
        return "absent"
    if value is None:
        return "null"
    return {"dict": "object"}.get(name := type(value).__name__, "object" if isinstance(value, Model) else name)

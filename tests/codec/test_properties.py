"""Exactness by chance: payloads made from the model classes themselves, tidy and mangled, on both back ends."""

from __future__ import annotations

import json
import pickle
from typing import Any

import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from responses_proto import models
from responses_proto.anomalies import ANOMALY_CODES, Anomaly
from responses_proto.codec import ORJSON, STDLIB, Converter, JSONBackend, make_converter
from responses_proto.codec._specs import ValueSpec, is_model, model_spec
from responses_proto.exceptions import DecodeError
from responses_proto.models import CreateResponse, Event, Item, Model, Response, Unknown
from responses_proto.models.events import EVENT_TYPES
from responses_proto.models.items import ITEM_TYPES
from responses_proto.testing import strategies
from responses_proto.typing import UNSET

EXPORTED: list[Any] = [getattr(models, name) for name in models.__all__]
CLASSES: list[type[Model]] = [
    cls for cls in EXPORTED if is_model(cls) and not issubclass(cls, Unknown) and cls is not Model
]
BACKENDS = [backend for backend in (STDLIB, ORJSON) if backend is not None]
LENIENT = make_converter()
STRICT = make_converter(strict=True)


def examples(count: int) -> settings:
    checks = [HealthCheck.too_slow, HealthCheck.data_too_large]
    return settings(max_examples=count, deadline=None, suppress_health_check=checks)


TEXT = st.text(st.characters(codec="utf-8"), max_size=8)
JSON = strategies.json_values()


def payloads(cls: type[Model]) -> st.SearchStrategy[dict[str, Any]]:
    """An object that fits ``cls`` and carries more."""
    return strategies.payloads(cls, beyond=True).map(dict)


@st.composite
def with_class(draw: st.DrawFn) -> tuple[type[Model], dict[str, Any]]:
    cls = draw(st.sampled_from(CLASSES))
    return cls, draw(payloads(cls))


@st.composite
def mangled(draw: st.DrawFn, payload: Any) -> Any:
    """The same with up to four places dropped or replaced, at any depth."""
    changed = json.loads(json.dumps(payload))
    for _ in range(draw(st.integers(1, 4))):
        place: Any = changed
        while True:
            keys: list[Any] = list(place) if kind(place) is dict else list(range(len(place)))
            if not keys:
                break
            key = draw(st.sampled_from(keys))
            if kind(place[key]) in (dict, list) and place[key] and draw(st.booleans()):
                place = place[key]
                continue
            if draw(st.booleans()):
                del place[key]
            else:
                place[key] = draw(JSON)
            break
    return changed


def kind(value: object) -> type[Any]:
    """As ``type``, which for a type checker says something of the elements too: that they are unknown."""
    return type(value)


def text_of(value: Any) -> str:
    """A text that tells 1 from 1.0 and from true, which ``==`` does not."""
    return json.dumps(value, sort_keys=True)


def models_in(value: Any) -> list[Model]:
    if isinstance(value, Model):
        return [
            value,
            *(inner for field in attrs.fields(type(value)) for inner in models_in(getattr(value, field.name))),
        ]
    inside: list[Any] = list(value.values()) if kind(value) is dict else value if kind(value) is list else []
    return [inner for element in inside for inner in models_in(element)]


@examples(400)
@given(with_class())
def test_a_valid_payload_survives_exactly_and_without_a_finding(case: tuple[type[Model], dict[str, Any]]) -> None:
    cls, payload = case
    anomalies: list[Anomaly] = []
    loaded = LENIENT.load(payload, cls, anomalies=anomalies)
    assert anomalies == []
    assert type(loaded) is cls
    assert text_of(LENIENT.dump(loaded)) == text_of(payload)
    assert STRICT.load(payload, cls) == loaded
    assert pickle.loads(pickle.dumps(loaded)) == loaded  # noqa: S301 - our own bytes


@examples(150)
@given(with_class())
@pytest.mark.parametrize("backend", BACKENDS, ids=lambda backend: backend.name)
def test_a_payload_survives_exactly_as_text(backend: JSONBackend, case: tuple[type[Model], dict[str, Any]]) -> None:
    cls, payload = case
    converter = make_converter(json=backend)
    loaded = converter.loads(json.dumps(payload), cls)
    assert loaded == LENIENT.load(payload, cls)
    assert text_of(json.loads(converter.dumps(loaded))) == text_of(payload)
    assert converter.loads(converter.dumps(loaded), cls) == loaded


@examples(300)
@given(st.data(), with_class())
def test_an_invalid_payload_survives_exactly_with_the_declared_types(
    data: st.DataObject, case: tuple[type[Model], dict[str, Any]]
) -> None:
    cls, payload = case
    payload = data.draw(mangled(payload))
    anomalies: list[Anomaly] = []
    loaded = LENIENT.load(payload, cls, anomalies=anomalies)
    assert type(loaded) is cls
    assert text_of(LENIENT.dump(loaded)) == text_of(payload)
    assert {anomaly.code for anomaly in anomalies} <= ANOMALY_CODES.keys()
    assert all(holds_what_it_says(model) for model in models_in(loaded))
    assert refused(STRICT, payload, cls) == bool(anomalies)


@examples(100)
# A message and a reference may leave out their type: they are recognized by their required fields.
@given(
    st.sampled_from([Event, Item]),
    st.dictionaries(TEXT.filter(lambda name: name not in ("id", "role")), JSON, max_size=4),
)
def test_any_object_is_kept_as_a_member_of_a_union(union: Any, payload: dict[str, Any]) -> None:
    loaded = LENIENT.load(payload, union)
    assert isinstance(loaded, Unknown)
    assert text_of(LENIENT.dump(loaded)) == text_of(payload)


@examples(150)
@given(st.data(), st.sampled_from([(Event, EVENT_TYPES), (Item, ITEM_TYPES)]))
def test_the_tag_alone_selects_the_class(data: st.DataObject, case: tuple[Any, dict[str, Any]]) -> None:
    union, registry = case
    tag, cls = data.draw(st.sampled_from(sorted(registry.items(), key=str)))
    payload = {**data.draw(payloads(cls).flatmap(mangled)), "type": tag}
    loaded = LENIENT.load(payload, union)
    assert type(loaded) is cls
    assert text_of(LENIENT.dump(loaded)) == text_of(payload)


@examples(60)
@given(st.sampled_from([Response, CreateResponse]).flatmap(lambda cls: st.tuples(st.just(cls), payloads(cls))))
def test_what_was_loaded_can_be_built_by_hand(case: tuple[type[Model], dict[str, Any]]) -> None:
    cls, payload = case
    loaded = LENIENT.load(payload, cls)
    built = cls(**{field.name: getattr(loaded, field.name) for field in attrs.fields(cls)})
    assert built == loaded
    assert text_of(LENIENT.dump(built)) == text_of(payload)


def refused(converter: Converter, payload: Any, cls: type[Model]) -> bool:
    try:
        converter.load(payload, cls)
    except DecodeError as error:
        return error.path.startswith("$")
    return False


def holds_what_it_says(model: Model) -> bool:
    if isinstance(model, Unknown):
        return type(model.type) is str
    return all(fits(getattr(model, field.name), field.shape) for field in model_spec(type(model)).fields)


def fits(value: Any, shape: ValueSpec) -> bool:  # noqa: PLR0911 - one line for each kind
    if shape.anything:
        return True
    if isinstance(value, Model):
        return type(value) in shape.models or type(value) is shape.unknown
    if kind(value) is list:
        return shape.items is not None and all(fits(element, shape.items) for element in value)
    if kind(value) is dict:
        return shape.values is not None and all(fits(element, shape.values) for element in value.values())
    if value is None:
        return shape.null
    if value is UNSET:
        return shape.unset
    return type(value) in shape.scalars

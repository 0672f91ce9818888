"""Everything that was recorded comes back exactly, and real traffic has no value of a wrong type."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from tests.corpus import corpus, is_json, items_in, texts_of

from responses_proto.codec import ORJSON, STDLIB, JSONBackend, load, make_converter
from responses_proto.models import Item

if TYPE_CHECKING:
    from responses_proto.anomalies import Anomaly

BACKENDS = [backend for backend in (STDLIB, ORJSON) if backend is not None]


def text_of(value: Any) -> str:
    """A text that tells 1 from 1.0 and from true, which ``==`` does not."""
    return json.dumps(value, sort_keys=True)


@pytest.mark.parametrize("kind", ["requests", "responses", "streams", "other"])
@pytest.mark.parametrize("backend", BACKENDS, ids=lambda backend: backend.name)
def test_every_recorded_body_survives_exactly(backend: JSONBackend, kind: str) -> None:
    converter = make_converter(json=backend)
    for file in corpus():
        if file["kind"] != kind:
            continue
        for text, cls in filter(lambda found: is_json(found[0]), texts_of(file)):
            expected = json.loads(text)
            loaded = converter.load(expected, cls)
            assert text_of(converter.dump(loaded)) == text_of(expected), file["file"]
            assert converter.loads(text, cls) == loaded, file["file"]
            assert text_of(json.loads(converter.dumps(loaded))) == text_of(expected), file["file"]


def test_every_recorded_item_survives_exactly() -> None:
    converter = make_converter()
    seen: set[str] = set()
    for file in corpus():
        for text, _cls in filter(lambda found: is_json(found[0]), texts_of(file)):
            for item in items_in(json.loads(text)):
                seen.add(item.get("type", ""))
                assert text_of(converter.dump(converter.load(item, Item))) == text_of(item), file["file"]
    assert {"message", "function_call", "reasoning"} < seen


@pytest.mark.parametrize("kind", ["requests", "responses", "streams", "other"])
def test_real_traffic_has_no_value_of_a_wrong_type(kind: str) -> None:
    found: list[tuple[str, Anomaly]] = []
    for file in corpus():
        if file["kind"] == kind and not file.get("likely_hand_written"):
            for text, cls in filter(lambda found: is_json(found[0]), texts_of(file)):
                anomalies: list[Anomaly] = []
                load(json.loads(text), cls, anomalies=anomalies)
                found += [(file["file"], anomaly) for anomaly in anomalies if anomaly.code != "missing-field"]
    assert found == []


def test_every_recorded_stream_is_nearly_all_json() -> None:
    texts = [text for file in corpus() if file["kind"] == "streams" for text, _cls in texts_of(file)]
    assert len(texts) > 1000
    assert sum(not is_json(text) for text in texts) < 5  # a hand-written file has line breaks inside its JSON

"""The schemas of the wire: they accept what the codec loads without anomalies, and nothing else."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match
from tests.corpus import corpus, is_json, items_in, texts_of
from tests.openresponses import SCHEMA
from tests.support import NO_SHARED

from responses_proto import models
from responses_proto.codec import dump, load
from responses_proto.codec._specs import model_spec
from responses_proto.exceptions import UsageError
from responses_proto.models import (
    CONTENT_TYPES,
    EVENT_TYPES,
    ITEM_TYPES,
    UNSET,
    CompactedResponse,
    Content,
    CreateResponse,
    Event,
    FunctionCall,
    Item,
    Message,
    Model,
    Response,
    Tool,
    Unknown,
    UnknownItem,
    Unset,
    Usage,
    model,
)
from responses_proto.schema import json_schema
from responses_proto.testing import strategies

if TYPE_CHECKING:
    from collections.abc import Mapping

    from responses_proto.anomalies import Anomaly

CLASSES: Final[list[type[Model]]] = sorted(
    {
        value
        for name in models.__all__
        if isinstance(value := getattr(models, name), type) and issubclass(value, Model) and not issubclass(value, Unknown)
    }
    - {Model},
    key=lambda cls: cls.__name__,
)  # fmt: skip
_VALIDATORS: dict[Any, Draft202012Validator] = {}


def validator(tp: Any) -> Draft202012Validator:
    if tp not in _VALIDATORS:
        schema = json_schema(tp)
        Draft202012Validator.check_schema(schema)
        _VALIDATORS[tp] = Draft202012Validator(schema)
    return _VALIDATORS[tp]


def fault(value: Any, tp: Any) -> str:
    """Say what the schema of a type finds wrong with a value; nothing if it is valid."""
    error = best_match(validator(tp).iter_errors(value))
    return "" if error is None else f"{error.json_path}: {error.message[:300]}"


def loads_cleanly(value: Any, tp: Any) -> bool:
    anomalies: list[Anomaly] = []
    load(value, tp, anomalies=anomalies)
    return not anomalies


# ---- what is valid


@pytest.mark.parametrize("kind", ["requests", "responses", "streams", "other"])
def test_every_recorded_body_without_anomalies_is_valid(kind: str) -> None:
    found: set[tuple[str, str]] = set()
    checked = 0
    for file in corpus():
        if file["kind"] != kind:
            continue
        met: set[str] = set()
        for text, tp in filter(lambda found: is_json(found[0]), texts_of(file)):
            value: Any = json.loads(text)
            if not loads_cleanly(value, tp):
                continue
            checked += 1
            tag = str(value.get("type"))
            if tp is Event and tag in met:  # the whole union once for each type: it has seventy members
                tp = EVENT_TYPES.get(tag, Event)  # noqa: PLW2901 - a narrower type of the same value
            met.add(tag)
            if wrong := fault(value, tp):
                found.add((file["file"], wrong))
    assert found == set()
    assert checked > 20


def test_every_recorded_item_without_anomalies_is_valid() -> None:
    found: set[tuple[str, str]] = set()
    seen: set[str] = set()
    for file in corpus():
        for text, _ in filter(lambda found: is_json(found[0]), texts_of(file)):
            for item in items_in(json.loads(text)):
                key = json.dumps(item, sort_keys=True)
                if not item.keys() & {"type", "role"}:  # the `output` of an event of a shell has no items
                    continue
                if key in seen or not loads_cleanly(item, Item):
                    continue
                seen.add(key)
                if wrong := fault(item, Item):
                    found.add((file["file"], wrong))
    assert found == set()
    assert len(seen) > 100


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_every_model_is_valid(cls: type[Model]) -> None:
    @settings(max_examples=10, deadline=None)  # the first example makes the schema
    @given(strategies.models(cls))
    def holds(value: Model) -> None:
        assert fault(dump(value), cls) == ""

    holds()


@pytest.mark.parametrize("tp", [Event, Item, Tool, Content, Response, CreateResponse], ids=str)
def test_what_is_new_on_the_wire_is_valid(tp: Any) -> None:
    @settings(max_examples=30, deadline=None)  # as above
    @given(strategies.payloads(tp, beyond=True))
    def holds(payload: Any) -> None:
        assert fault(payload, tp) == ""

    holds()


def test_lists_maps_and_null() -> None:
    call = dump(FunctionCall(call_id="c", name="f", arguments="{}"))
    assert fault([call, {"type": "acme:thing"}], list[Item]) == ""
    assert "$[0]" in fault([{**call, "name": 1}], list[Item])
    assert fault({"a": call}, dict[str, Item]) == ""
    assert fault(None, FunctionCall | None) == ""
    assert fault(None, FunctionCall) != ""
    assert fault({"type": "anything"}, UnknownItem) == ""
    assert fault({}, UnknownItem) != ""


# ---- what is not valid

_VALUES: Final = (None, True, 1, 1.5, "x", ["x"], [1], {"x": 1})


@settings(max_examples=500, deadline=None)  # the first example of a class makes its schema
@given(st.sampled_from(CLASSES), st.data())
def test_the_schema_refuses_what_the_codec_reports(cls: type[Model], data: st.DataObject) -> None:
    payload = dict(data.draw(strategies.payloads(cls)))
    spec = model_spec(cls)
    wires = [*spec.constants, *(field.wire for field in spec.fields)]
    if not wires:
        return
    wire = data.draw(st.sampled_from(wires))
    if data.draw(st.booleans()):
        payload.pop(wire, None)
    else:
        payload[wire] = data.draw(st.sampled_from(_VALUES))
        if isinstance(payload[wire], dict) and wire in spec.by_wire and spec.by_wire[wire].shape.unknown:
            return  # the codec keeps an object without a `type`, and the schema asks for one
    assert (fault(payload, cls) == "") == loads_cleanly(payload, cls), payload


@settings(max_examples=400, deadline=None)  # as above
@given(st.sampled_from([Item, Tool, Content, Event, models.ToolChoice, models.FileSearchFilter]), st.data())
def test_the_schema_of_a_union_refuses_what_the_codec_reports(tp: Any, data: st.DataObject) -> None:
    payload = dict(data.draw(strategies.payloads(tp)))
    wire = data.draw(st.sampled_from([*payload, "id", "type"]))
    if data.draw(st.booleans()):
        payload.pop(wire, None)
    else:
        payload[wire] = data.draw(st.sampled_from([value for value in _VALUES if not isinstance(value, dict)]))
    anomalies: list[Anomaly] = []
    loaded = load(payload, tp, anomalies=anomalies)
    if isinstance(loaded, Unknown):
        assert (fault(payload, tp) == "") == isinstance(payload.get("type"), str), payload
    else:
        assert (fault(payload, tp) == "") == (not anomalies), payload


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_each_required_field_must_be_there(cls: type[Model]) -> None:
    spec = model_spec(cls)
    required = {wire for wire in spec.constants if wire not in cls.wire_optional}
    required |= {field.wire for field in spec.fields if field.required}
    schema: Any = json_schema(cls)
    assert set(schema.get("required", ())) == required
    for wire in required:
        assert f"'{wire}' is a required property" in str([error.message for error in validator(cls).iter_errors({})])


@pytest.mark.parametrize(
    ("value", "tp"),
    [
        ({"type": "function_call", "call_id": "c", "name": "f", "arguments": {}}, Item),
        ({"type": "function_call", "call_id": "c", "name": "f"}, Item),
        ({"type": "message", "role": "user", "content": 5}, Item),
        ({"role": 5, "content": "x"}, Item),
        ({"id": "m", "role": "user", "content": 5}, Item),  # a message, not a reference: it has a role and content
        ({"id": "m", "content": "x", "type": 5}, Item),
        ({"type": "response.output_text.delta", "delta": "x"}, Event),
        ({"type": "function", "name": 1}, Tool),
        ({"type": "output_text"}, Content),
        ("text", Item),
    ],
)
def test_a_wrong_member_of_a_union_is_not_taken_for_an_unknown_one(value: object, tp: Any) -> None:
    assert fault(value, tp) != ""


# ---- what the schemas look like


def test_a_schema_tells_what_is_on_the_wire() -> None:
    schema: Any = json_schema(Message)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert (schema["title"], schema["type"], schema["required"]) == ("Message", "object", ["role", "content"])
    assert schema["description"].startswith("A message of the user")
    assert schema["properties"]["type"] == {"anyOf": [{"const": "message"}, {"type": "null"}]}  # may be absent, too
    assert schema["properties"]["content"]["description"].startswith("A string is short for one `input_text` part")
    phase = schema["properties"]["phase"]
    assert phase == {"anyOf": [{"enum": ["commentary", "final_answer"]}, {"type": ["string", "null"]}]}
    assert schema["properties"]["content"]["anyOf"][1]["items"] == {"$ref": "#/$defs/Content"}
    assert "Message" not in schema["$defs"]


def test_wire_names_are_used() -> None:
    schema: Any = json_schema(FunctionCall)
    assert "async" in schema["properties"]
    assert "extra" not in schema["properties"]
    assert "additionalProperties" not in schema


def test_a_union_is_open() -> None:
    schema: Any = json_schema(Item)
    *members, other = schema["anyOf"]
    assert [member["$ref"].removeprefix("#/$defs/") for member in members] == [
        cls.__name__ for cls in ITEM_TYPES.values()
    ]
    assert other["properties"]["type"]["not"]["enum"] == [*ITEM_TYPES]
    assert schema["title"] == "Item"
    assert schema["description"]


@pytest.mark.parametrize("tp", [Response, models.NamespaceTool, models.FileSearchFilter, models.AndFilter])
def test_every_reference_has_a_definition_and_every_definition_is_used(tp: Any) -> None:
    schema: Any = json_schema(tp)
    text = json.dumps(schema)
    referred = {part.split('"')[0] for part in text.split('"#/$defs/')[1:]}
    assert referred == set(schema["$defs"])


def test_each_call_returns_a_schema_of_its_own() -> None:
    first: Any = json_schema(Usage)
    first["properties"].clear()
    assert json_schema(Usage) != first


@model
class Vendor(Model):
    """A vendor's item. See :class:`~responses_proto.models.Item` and ``type``."""

    type: ClassVar[Literal["acme:thing"]] = "acme:thing"
    size: int | Unset | None = UNSET
    """Its size."""


def test_a_class_of_a_vendor() -> None:
    schema: Any = json_schema(Vendor)
    assert schema["description"] == "A vendor's item. See `Item` and `type`."
    assert schema["properties"] == {
        "type": {"const": "acme:thing"},
        "size": {"type": ["integer", "null"], "description": "Its size."},
    }
    assert "$defs" not in schema


def test_two_classes_of_one_name() -> None:
    @model
    class Usage(Model):
        tokens: str

    wrong: Any = Usage | models.Usage  # no wire strings: the codec cannot tell them apart, but the schema can name them
    schema: Any = json_schema(wrong)
    assert [arm["$ref"] for arm in schema["anyOf"]] == ["#/$defs/Usage", "#/$defs/Usage_"]


def test_without_the_source_there_are_no_descriptions_of_fields() -> None:
    namespace: dict[str, Any] = {"__name__": "nowhere", "Model": Model, "model": model}
    exec("@model\nclass Made(Model):\n    'A class.'\n    size: int\n    'Its size.'", namespace)  # noqa: S102 - a class without a source file
    schema: Any = json_schema(namespace["Made"])
    assert (schema["description"], schema["properties"]) == ("A class.", {"size": {"type": "integer"}})


def test_a_union_with_another_class_has_no_schema() -> None:
    with pytest.raises(UsageError, match="has no schema"):
        json_schema(Message | set[str])


def test_types_of_the_caller_are_in_the_strict_subset_as_before() -> None:
    class Mine(dict[str, Any]):
        pass

    with pytest.raises(UsageError):
        json_schema(Mine)
    assert json_schema(list[int])["required"] == ["value"]


def test_nothing_is_made_at_import() -> None:
    code = (
        "import responses_proto.schema._models as m, responses_proto.codec._specs as s; from responses_proto.schema import json_schema;"
        "print(m._unions.cache_info().currsize, m._attribute_docstrings.cache_info().currsize, len(s._MODEL_SPECS))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)  # noqa: S603 - our own interpreter and code
    assert done.stdout.split() == ["0", "0", "0"]


# ---- agreement with Open Responses


def open_responses() -> Mapping[str, tuple[Any, dict[str, Any]]]:
    """Give the definitions of objects that have a class here: name -> class, definition."""
    definitions: dict[str, dict[str, Any]] = json.loads(SCHEMA.read_text())["components"]["schemas"]
    roots = {
        "ResponseResource": Response, "CreateResponseBody": CreateResponse, "CompactResource": CompactedResponse, "Usage": Usage,
    }  # fmt: skip
    found: dict[str, tuple[Any, dict[str, Any]]] = {}
    for name, definition in definitions.items():
        tags = definition.get("properties", {}).get("type", {}).get("enum", [])
        registry = {**CONTENT_TYPES, **ITEM_TYPES, **EVENT_TYPES}
        cls = roots.get(name) or (registry.get(tags[0]) if len(tags) == 1 else None)
        # Parameters (`...Param`) are the forms in requests, which may be shorter; formats have the wire strings of parts.
        if cls is not None and not name.endswith(("Param", "Format")):
            found[name] = cls, definition
    return found


@pytest.mark.skipif(not SCHEMA.exists(), reason=NO_SHARED)
def test_the_schemas_agree_with_open_responses() -> None:
    definitions = open_responses()
    assert len(definitions) > 40
    wrong: list[str] = []
    for name, (cls, theirs) in definitions.items():
        ours: Any = json_schema(cls)
        missing = theirs["properties"].keys() - ours["properties"].keys()
        wrong += [f"{name}.{wire} is not in {cls.__name__}" for wire in sorted(missing)]
        stricter = set(ours.get("required", ())) - set(theirs.get("required", ()))
        wrong += [f"{cls.__name__} requires {wire}, {name} does not" for wire in sorted(stricter)]
    assert wrong == []

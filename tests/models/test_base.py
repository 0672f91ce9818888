"""What every model shares: construction, equality, repr, copies, matching, and what `extra` is."""

from __future__ import annotations

import copy
import importlib
import pickle
import pkgutil
import typing
from typing import Any, ClassVar, Literal

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from responses_proto import models
from responses_proto.codec import dump, load
from responses_proto.models import (
    Event,
    Extra,
    FunctionCall,
    FunctionCallOutput,
    InputImage,
    Item,
    McpTool,
    Message,
    Model,
    OutputItemDone,
    OutputText,
    OutputTextDelta,
    Response,
    Unknown,
    UnknownItem,
)
from responses_proto.models._base import EMPTY, model
from responses_proto.typing import UNSET, Unset

EXPORTED: list[Any] = [getattr(models, name) for name in models.__all__]
CLASSES: list[type[Model]] = [cls for cls in EXPORTED if isinstance(cls, type) and issubclass(cls, Model)]
each_class = pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)

CALL = FunctionCall(call_id="c", name="f", arguments="{}")
DEVIANT: Any = {"type": "function_call", "name": 7, "arguments": "{}", "x": [1, {"y": 2}]}


def filled(cls: type[Model]) -> Model:
    """An instance with something in each required field."""
    required = [field.name for field in attrs.fields(cls) if field.default is attrs.NOTHING]
    return cls(**dict.fromkeys(required, "x"), extra={"more": [1]})


# --- construction -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [info.name for info in pkgutil.iter_modules(models.__path__)])
def test_every_model_of_a_module_is_public(name: str) -> None:
    module = importlib.import_module(f"{models.__name__}.{name}")
    own = [each for each in vars(module).values() if isinstance(each, type) and each.__module__ == module.__name__]
    classes = {each.__name__ for each in own if issubclass(each, Model) and not each.__name__.startswith("_")}
    assert classes <= {*getattr(module, "__all__", ())}


@each_class
def test_annotations_can_be_read_at_run_time(cls: type[Model]) -> None:
    hints = typing.get_type_hints(cls)
    assert {field.name for field in attrs.fields(cls)} <= hints.keys()


@each_class
def test_fields_are_keywords_and_may_be_absent_if_they_are_not_required(cls: type[Model]) -> None:
    made = filled(cls)
    for field in attrs.fields(cls):
        assert field.kw_only
        assert field.default in (attrs.NOTHING, UNSET) or field.name in {"extra", "raw"} or issubclass(cls, Unknown)
        assert field.default is not UNSET or getattr(made, field.name) is UNSET
    with pytest.raises(TypeError):
        cls("positional")  # type: ignore[call-arg,arg-type,misc,unused-ignore] # wrong, on purpose
    with pytest.raises(TypeError):
        cls(no_such_field=1)  # type: ignore[call-arg] # as above
    required = [field.name for field in attrs.fields(cls) if field.default is attrs.NOTHING]
    if required:
        with pytest.raises(TypeError, match=required[0]):
            cls()


@each_class
def test_instances_have_slots_only(cls: type[Model]) -> None:
    made = filled(cls)
    assert not hasattr(made, "__dict__")
    with pytest.raises(AttributeError):
        made.no_such_field = 1  # type: ignore[attr-defined] # wrong, on purpose


@each_class
def test_a_class_says_what_it_is(cls: type[Model]) -> None:
    assert cls.__doc__
    assert not cls.__doc__.startswith("Method generated")


# --- equality and copies ----------------------------------------------------------------------------------------------


@each_class
def test_copies_are_equal(cls: type[Model]) -> None:
    made = filled(cls)
    pickled = [pickle.loads(pickle.dumps(made, protocol)) for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1)]  # noqa: S301 - our own
    for other in (copy.copy(made), copy.deepcopy(made), attrs.evolve(made), *pickled):
        assert other == made
        assert other is not made
        assert type(other) is cls


@each_class
def test_models_are_not_hashable(cls: type[Model]) -> None:
    with pytest.raises(TypeError, match="unhashable"):
        hash(filled(cls))


def test_equality_is_of_class_fields_and_extra() -> None:
    assert FunctionCall(call_id="c", name="f", arguments="{}") == CALL
    assert attrs.evolve(CALL, name="g") != CALL
    assert attrs.evolve(CALL, id=None) != CALL
    assert attrs.evolve(CALL, extra={"x": 1}) != CALL
    assert FunctionCallOutput(call_id="c", output="") != CALL
    assert dump(CALL) != CALL


def test_a_subclass_is_another_class() -> None:
    @model
    class Named(FunctionCall):
        pass

    assert Named(call_id="c", name="f", arguments="{}") != CALL


def test_deviations_survive_copies() -> None:
    call = load(DEVIANT, FunctionCall)
    for other in (copy.copy(call), copy.deepcopy(call), pickle.loads(pickle.dumps(call))):  # noqa: S301 - our own bytes
        assert other == call
        assert dump(other) == DEVIANT
        assert type(other.extra) is Extra
        assert other.extra.absent == {"call_id"}


def test_an_empty_extra_stays_the_one_empty_extra() -> None:
    for other in (copy.copy(CALL), copy.deepcopy(CALL), pickle.loads(pickle.dumps(CALL))):  # noqa: S301 - our own bytes
        assert other.extra is EMPTY
        assert other.id is UNSET


def test_a_deep_copy_shares_nothing_with_the_payload() -> None:
    payload: dict[str, Any] = {**DEVIANT, "x": [1]}
    other = copy.deepcopy(load(payload, FunctionCall))
    payload["x"].append(2)
    assert other.extra["x"] == [1]


# --- matching ---------------------------------------------------------------------------------------------------------


def test_events_can_be_matched() -> None:
    event = load(
        {"type": "response.output_item.done", "sequence_number": 1, "output_index": 0, "item": dump(CALL)},
        Event,
    )
    match event:
        case OutputTextDelta():
            matched = "delta"
        case OutputItemDone(item=FunctionCall(name="f", call_id=call_id)):
            matched = call_id
        case _:
            matched = "other"
    assert matched == "c"


def test_the_wire_string_can_be_matched() -> None:
    item: Any = CALL
    match item:
        case Message(type="message"):
            matched = "message"
        case FunctionCall(type="function_call"):
            matched = "function_call"
        case _:
            matched = "other"
    assert matched == "function_call"


# --- repr -------------------------------------------------------------------------------------------------------------


@each_class
def test_a_repr_omits_absent_fields(cls: type[Model]) -> None:
    shown = repr(filled(cls))
    assert shown.startswith(f"{cls.__name__}(")
    assert "UNSET" not in shown
    assert "absent" not in shown
    assert shown.endswith("extra={'more': [1]})")


def test_a_repr_shows_what_is_set() -> None:
    assert repr(CALL) == "FunctionCall(call_id='c', name='f', arguments='{}')"
    assert "id=None" in repr(attrs.evolve(CALL, id=None))


def test_a_repr_shows_deviations() -> None:
    shown = repr(load(DEVIANT, FunctionCall))
    assert "extra={'name': 7, 'x': [1, {'y': 2}]}, absent=['call_id']" in shown


def test_a_repr_hides_secrets_wherever_they_are() -> None:
    tool = McpTool(server_label="s", authorization="sk-1", headers={"a": "sk-2"}, extra={"authorization": "sk-3"})
    assert "sk-" not in repr(tool)
    assert "authorization=***" in repr(tool)
    assert "sk-" not in repr(load({"tools": [{"type": "mcp", "headers": {"a": ["sk-1"]}}]}, Response))
    assert dump(tool)["authorization"] == "sk-1"


def test_a_repr_omits_an_absent_secret() -> None:
    assert "authorization" not in repr(McpTool(server_label="s"))


@pytest.mark.parametrize(
    "made",
    [
        InputImage(image_url="data:" + "A" * 100_000),
        Message(role="user", content=[InputImage(image_url="data:" + "A" * 100_000)]),
        UnknownItem(type="acme:x", raw={"type": "acme:x", "deep": [{"data": "A" * 100_000}]}),
        attrs.evolve(CALL, extra={"data": ["A" * 100_000]}),
    ],
    ids=lambda made: type(made).__name__,
)
def test_a_repr_cuts_long_strings(made: Model) -> None:
    shown = repr(made)
    assert len(shown) < 500
    assert "…(+99" in shown


def test_a_repr_of_something_very_deep_ends() -> None:
    raw: dict[str, Any] = {}
    raw["again"] = raw
    assert "…" in repr(UnknownItem(raw=raw))


NAMES = st.text(max_size=3)
SHORT = st.recursive(
    st.none() | st.text(max_size=9) | st.integers() | st.floats(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)


@settings(deadline=None)
@given(st.dictionaries(NAMES, SHORT, max_size=3))
def test_a_repr_of_anything_short_is_pythons_own(raw: dict[str, Any]) -> None:
    assert repr(UnknownItem(type="t", raw=raw)) == f"UnknownItem(type='t', raw={raw!r})"


# --- extra ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("extra", [EMPTY, Extra({"a": 1}, ["b"])], ids=["empty", "filled"])
def test_extra_is_read_only(extra: Any) -> None:
    def assign() -> None:
        extra["x"] = 1

    def delete() -> None:
        del extra["a"]

    def merge() -> None:
        nonlocal extra
        extra |= {"x": 1}

    attempts = [
        assign, delete, merge, extra.clear, lambda: extra.pop("a", None), extra.popitem,
        lambda: extra.setdefault("x", 1), lambda: extra.update(x=1),
    ]  # fmt: skip
    before = dict(extra)
    for attempt in attempts:
        with pytest.raises(TypeError, match="read-only"):
            attempt()
    assert dict(extra) == before


def test_extra_equals_a_dict_and_an_extra_with_the_same_absent_fields() -> None:
    assert Extra({"a": 1}) == {"a": 1}
    assert {"a": 1} == Extra({"a": 1})  # noqa: SIM300 - both ways are tested
    assert Extra({"a": 1}) != {"a": 2}
    assert Extra({}, ["a"]) != Extra({}, ["b"])
    assert Extra({}, ["a"]) == Extra({}, ["a"])
    with pytest.raises(TypeError, match="unhashable"):
        hash(EMPTY)


def test_extra_set_by_the_user_is_dumped() -> None:
    assert dump(FunctionCall(call_id="c", name="f", arguments="", extra={"x": 1}))["x"] == 1


def test_a_field_takes_precedence_over_extra_set_by_the_user() -> None:
    assert dump(FunctionCall(call_id="c", name="f", arguments="", extra={"name": "g"}))["name"] == "f"


# --- classes of a user's own ------------------------------------------------------------------------------------------


def test_a_constant_that_may_be_absent_is_named_with_the_class() -> None:
    @model(optional=("type",))
    class Thing(Model):
        type: ClassVar[Literal["acme:thing"]] = "acme:thing"
        name: str | Unset = UNSET

    assert Thing.wire_optional == {"type"}
    assert FunctionCall.wire_optional == frozenset()
    assert dump(load({"name": "n"}, Thing)) == {"name": "n"}
    assert dump(Thing(name="n")) == {"type": "acme:thing", "name": "n"}


def test_an_unknown_object_can_be_created() -> None:
    raw: dict[str, Any] = {"type": "acme:x", "n": 1}
    assert dump(UnknownItem(type="acme:x", raw=raw)) == raw
    assert load(raw, Item) == UnknownItem(type="acme:x", raw=raw)
    assert OutputText(text="a") != UnknownItem()


def test_extra_shows_what_it_holds_and_what_was_absent() -> None:
    assert repr(Extra({"x": 1})) == "{'x': 1}"
    assert repr(Extra({"x": 1}, ["b", "a"])) == "{'x': 1}, absent=['a', 'b']"


@pytest.mark.parametrize(
    ("name", "use"),
    [
        ("model_dump", "codec.dump"),
        ("to_dict", "codec.dump"),
        ("dict", "codec.dump"),
        ("model_dump_json", "codec.dumps"),
        ("to_json", "codec.dumps"),
        ("json", "codec.dumps"),
        ("model_validate", "codec.load"),
        ("model_validate_json", "codec.loads"),
        ("model_json_schema", "schema.json_schema"),
    ],
)
def test_methods_of_other_libraries_name_the_function_to_use(name: str, use: str) -> None:
    item = OutputText(text="x", annotations=[])
    for holder in (item, OutputText):
        assert not hasattr(holder, name)
        with pytest.raises(AttributeError, match=rf"OutputText.*{name}.*{use}\("):
            getattr(holder, name)
    assert copy.copy(item) == item
    for there, here in (("choices", "output_text"), ("output_parsed", r"client\.parse")):
        assert not hasattr(item, there)
        with pytest.raises(AttributeError, match=rf"Response.*{there}.*{here}"):
            getattr(Response, there)
    with pytest.raises(AttributeError):
        _ = item.nothing_of_the_kind  # type: ignore[attr-defined] # pyright: ignore[reportAttributeAccessIssue] - that is the test

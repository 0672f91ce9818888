"""Types of every supported kind. Each has a valid JSON text, its value, and an invalid text."""

from __future__ import annotations

import dataclasses
import datetime as dt
import decimal
import enum
import json
import uuid
from typing import Annotated, Any, Generic, Literal, NamedTuple, NewType, NotRequired, TypedDict, TypeVar

import attrs
import pydantic
from typing_extensions import Doc, TypeAliasType

T = TypeVar("T")


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    """How loud."""

    LOW = 1
    HIGH = 2


@attrs.frozen
class Event:
    """Something in a calendar."""

    name: str
    date: Annotated[dt.date, "the first day"]
    participants: list[str]
    place: str | None
    colour: Colour = Colour.RED
    seats: int = attrs.field(default=0, metadata={"description": "how many may come"})


@dataclasses.dataclass
class Point:
    x: float
    y: float
    label: str | None = dataclasses.field(default="none", metadata={"description": "what to call it"})
    marks: list[int] = dataclasses.field(default_factory=list[int])


class Movie(TypedDict):
    title: str
    year: NotRequired[int]


class Pair(NamedTuple):
    left: int
    right: int = 7


class Author(pydantic.BaseModel):
    """Who wrote it."""

    name: str = pydantic.Field(min_length=1, description="in full")
    born: dt.date | None = None


class Book(pydantic.BaseModel):
    title: str
    kind: Literal["novel"] = "novel"
    authors: list[Author]
    sequels: list[Book] = []


@attrs.frozen
class Tree:
    value: int
    branches: list[Tree]


@attrs.frozen
class Circle:
    kind: Literal["circle"]
    radius: float


@attrs.frozen
class Square:
    kind: Literal["square"]
    side: float


@attrs.frozen
class Add:
    left: Add | Num
    right: Add | Num


@attrs.frozen
class Num:
    number: int


@attrs.frozen
class One:
    """Looks like the other one, so both must be tried."""

    inner: One | Other | int


@attrs.frozen
class Other:
    inner: One | Other | int


@attrs.frozen
class Page(Generic[T]):
    items: list[T]
    next: T | None


@attrs.frozen
class Moment:
    at: dt.datetime
    on: dt.date
    time: dt.time
    id: uuid.UUID
    price: decimal.Decimal


@attrs.frozen
class Shelf:
    book: Book
    other: Book
    point: Point
    again: Point
    movie: Movie


@attrs.frozen
class Bounded:
    low: int = attrs.field(validator=attrs.validators.ge(0))


@attrs.frozen
class Base:
    _id: int


@attrs.frozen
class Derived(Base):
    label: Annotated[str, Doc("what to call it")]
    made: int = attrs.field(init=False, default=3)


alias: Any = TypeAliasType  # a checker cannot resolve what is resolved at run time here
listed: Any = list
paired: Any = tuple
generic: Any = Generic
Nested = alias("Nested", int | listed["Nested"])

U = TypeVar("U")
Twice = alias("Twice", paired[U, U], type_params=(U,))
Word = alias("Word", str)
Boxed: Any = attrs.make_class(
    "Boxed",
    {"pairs": attrs.field(type=listed[Twice[U]]), "words": attrs.field(type=paired[Word, Word, listed[Twice[int]]])},
    bases=(generic[U],),
)

UserId = NewType("UserId", int)


@attrs.frozen
class Case:
    name: str
    type: Any
    text: str
    value: Any
    wrong: str
    """JSON of another shape."""
    path: str
    """Where it is wrong."""


def wire(**members: Any) -> str:
    return json.dumps(members)


BOOK = {"title": "t", "kind": "novel", "authors": [{"name": "n", "born": "1900-01-02"}], "sequels": []}
A_BOOK = Book(title="t", authors=[Author(name="n", born=dt.date(1900, 1, 2))])
POINT = {"x": 1, "y": 2.5, "label": None, "marks": None}
A_POINT = Point(1.0, 2.5, None)

CASES = [
    Case(
        "attrs",
        Event,
        wire(name="Fair", date="2026-11-27", participants=["Ann"], place=None, colour="blue", seats=3),
        Event("Fair", dt.date(2026, 11, 27), ["Ann"], None, Colour.BLUE, 3),
        wire(name="Fair", date="2026-11-27", participants=["Ann", 7], place=None, colour="blue", seats=3),
        "$.participants[1]",
    ),
    Case(
        "attrs-defaults",
        Event,
        wire(name="Fair", date="2026-11-27", participants=[], place=None, colour=None, seats=None),
        Event("Fair", dt.date(2026, 11, 27), [], None),
        wire(name="Fair", date="Friday", participants=[], place=None, colour=None, seats=None),
        "$.date",
    ),
    Case("dataclass", Point, json.dumps(POINT), A_POINT, wire(x="1", y=2.5, label=None, marks=None), "$.x"),
    Case("typed-dict", Movie, wire(title="Jaws", year=1975), {"title": "Jaws", "year": 1975}, wire(year=1), "$.title"),
    Case("typed-dict-left-out", Movie, wire(title="Jaws", year=None), {"title": "Jaws"}, wire(title=None), "$.title"),
    Case("named-tuple", Pair, wire(left=1, right=None), Pair(1), wire(left=1, right=True), "$.right"),
    Case(
        "pydantic", Book, json.dumps(BOOK), A_BOOK, json.dumps(BOOK | {"authors": [{"name": ""}]}), "$.authors[0].name"
    ),
    Case(
        "recursive",
        Tree,
        wire(value=1, branches=[{"value": 2, "branches": []}]),
        Tree(1, [Tree(2, [])]),
        wire(value=1, branches=[{"value": 2}]),
        "$.branches[0].branches",
    ),
    Case(
        "recursive-union",
        Add,
        wire(left={"left": {"number": 1}, "right": {"number": 2}}, right={"number": 3}),
        Add(Add(Num(1), Num(2)), Num(3)),
        wire(left={"left": {"number": 1}, "right": {"number": "2"}}, right={"number": 3}),
        "$.left.right.number",
    ),
    Case(
        "union-by-tag",
        Circle | Square,
        wire(value={"kind": "square", "side": 2}),
        Square("square", 2.0),
        wire(value={"kind": "square", "side": None}),
        "$.value.side",
    ),
    Case("union-by-keys", Num | Tree, wire(value={"number": 1}), Num(1), wire(value={"count": 1}), "$.value.number"),
    Case("union-no-object", int | str | None, wire(value="x"), "x", wire(value=[]), "$.value"),
    Case("union-narrowest", str | dt.date, wire(value="2026-01-02"), dt.date(2026, 1, 2), wire(value=1.5), "$.value"),
    Case("optional", Num | None, wire(value=None), None, wire(value=3), "$.value"),
    Case("literal", Literal["a", 2] | None, wire(value=2), 2, wire(value="b"), "$.value"),
    Case("enum", Colour, wire(value="red"), Colour.RED, wire(value="green"), "$.value"),
    Case("int-enum", Level, wire(value=2), Level.HIGH, wire(value=True), "$.value"),
    Case(
        "list", list[Num], wire(value=[{"number": 1}]), [Num(1)], wire(value=[{"number": 1}, {}]), "$.value[1].number"
    ),
    Case("set", set[str], wire(value=["a", "a"]), {"a"}, wire(value="a"), "$.value"),
    Case("tuple", tuple[int, ...], wire(value=[1, 2]), (1, 2), wire(value={"0": 1}), "$.value"),
    Case("pair", tuple[str, int], wire(value=["a", 1]), ("a", 1), wire(value=["a"]), "$.value"),
    Case("string", str, wire(value="x"), "x", wire(value=1), "$.value"),
    Case("number", float, wire(value=1), 1.0, wire(value="1"), "$.value"),
    Case("integer", UserId, wire(value=2.0), 2, wire(value=2.5), "$.value"),
    Case("boolean", bool, wire(value=False), value=False, wrong=wire(value=0), path="$.value"),
    Case(
        "formats",
        Moment,
        wire(
            at="2026-11-27T10:00:00Z",
            on="2026-11-27",
            time="10:00",
            id="12345678-1234-5678-1234-567812345678",
            price="1.10",
        ),
        Moment(
            dt.datetime(2026, 11, 27, 10, tzinfo=dt.UTC),
            dt.date(2026, 11, 27),
            dt.time(10),
            uuid.UUID("12345678-1234-5678-1234-567812345678"),
            decimal.Decimal("1.10"),
        ),
        wire(
            at="2026-11-27T10:00:00Z",
            on="2026-11-27",
            time="10:00",
            id="12345678-1234-5678-1234-567812345678",
            price="NaN",
        ),
        "$.price",
    ),
    Case(
        "generic",
        Page[Num],
        wire(items=[{"number": 1}], next=None),
        Page([Num(1)], None),
        wire(items=[1]),
        "$.items[0]",
    ),
    Case(
        "nested",
        Shelf,
        wire(book=BOOK, other=BOOK, point=POINT, again=POINT, movie={"title": "t", "year": None}),
        Shelf(A_BOOK, A_BOOK, A_POINT, A_POINT, {"title": "t"}),
        wire(book=BOOK, other={}, point=POINT, again=POINT, movie={"title": "t"}),
        "$.other.title",
    ),
    Case("inherited", Derived, wire(id=1, label="x"), Derived(1, "x"), wire(id=None, label="x"), "$.id"),
    Case("alias", Nested, wire(value=[1, [2]]), [1, [2]], wire(value=[1, [None]]), "$.value[1][0]"),
    Case("validated", Bounded, wire(low=3), Bounded(3), wire(low=-1), "$"),
]

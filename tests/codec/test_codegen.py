from __future__ import annotations

import linecache
import traceback
from typing import ClassVar, Literal

import pytest

from responses_proto import UNSET
from responses_proto.codec import _load, make_converter
from responses_proto.codec._codegen import compile_function
from responses_proto.models import Model, Unset, model


@model
class AcmeFile(Model):
    type: ClassVar[Literal["acme:file"]] = "acme:file"
    id: str
    size: int | Unset | None = UNSET


def source_of(filename: str) -> str:
    return "".join(linecache.getlines(filename))


def test_a_traceback_shows_the_generated_source() -> None:
    fail = compile_function("fail", ["def fail(value):", "    return value / zero"], {"zero": 0}, label="a test")
    with pytest.raises(ZeroDivisionError) as caught:
        fail(1)
    linecache.checkcache()
    shown = "".join(traceback.format_exception(caught.value))
    assert '"<responses_proto a test>", line 2, in fail' in shown
    assert "return value / zero" in shown


def test_equal_sources_share_an_entry_and_others_do_not() -> None:
    first, same, other = (
        compile_function("f", ["def f():", f"    return {value}"], {}, label="shared").__code__.co_filename
        for value in (1, 1, 2)
    )
    assert (first, same, other) == ("<responses_proto shared>", first, "<responses_proto shared 2>")
    assert source_of(other) == "def f():\n    return 2\n"


def test_the_example_in_the_documentation_is_what_is_generated() -> None:
    converter = make_converter()
    assert converter.load({"type": "acme:file", "id": "f"}, AcmeFile) == AcmeFile(id="f")
    example = (_load.__doc__ or "").partition("becomes::\n\n")[2].partition("\n\nThis is")[0]
    lines = [line.removeprefix("    ").partition("  #")[0].rstrip() for line in example.splitlines()]
    assert source_of("<responses_proto loader of AcmeFile>").splitlines() == lines

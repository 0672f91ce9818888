"""The public names of the package for tests: all there, and none loaded before it is asked for."""

from __future__ import annotations

import subprocess
import sys

import pytest

from responses_proto import testing


def test_every_public_name_is_there_and_no_other() -> None:
    code = (
        "import responses_proto.testing as t\n"
        "from responses_proto.testing import *\n"
        "assert all(globals()[name] is getattr(t, name) for name in t.__all__)\n"
        "print(sorted(set(t.__all__) - set(dir(t))))\n"
    )
    assert fresh(code) == "[]\n"
    assert len(testing.__all__) == len(set(testing.__all__))


def test_the_names_that_others_rely_on_are_public() -> None:
    assert {
        "FakeServer", "Script", "Answer", "Fault", "record", "replay", "check_stream", "check_server", "Report", "RULES",
    } <= set(testing.__all__)  # fmt: skip


def test_a_name_that_is_not_there_says_so() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Server'"):
        getattr(testing, "Server")  # noqa: B009 - what is tested is the look-up


def test_nothing_is_loaded_before_it_is_asked_for() -> None:
    code = "import sys, responses_proto.testing; print(sorted({'anyio', 'httpx', 'attrs', 'hypothesis', 'pytest'} & set(sys.modules)))"
    assert fresh(code) == "[]\n"


def test_the_strategies_are_a_module_of_their_own() -> None:
    assert fresh("from responses_proto import testing; print(testing.strategies.__name__)") == (
        "responses_proto.testing.strategies\n"
    )


def fresh(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)  # noqa: S603 - our own interpreter and code
    return done.stdout

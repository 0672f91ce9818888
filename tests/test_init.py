from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest

import responses_proto


def test_every_public_name_exists() -> None:
    code = (
        "import json, responses_proto as r\n"
        "from responses_proto import *\n"
        "assert all(globals()[name] is getattr(r, name) for name in r.__all__)\n"
        "print(json.dumps(sorted(set(r.__all__) - set(dir(r)))))\n"
    )
    assert fresh(code) == []
    assert len(responses_proto.__all__) == len(set(responses_proto.__all__))


def test_the_names_that_others_rely_on_are_public() -> None:
    assert {
        "ResponsesClient", "EventStream", "CreateResponse", "Response", "ResponseStream", "Accumulator", "Outcome",
        "Cursor", "Limits", "Timeouts", "UNSET", "exceptions", "models", "codec", "__version__",
    } <= set(responses_proto.__all__)  # fmt: skip


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Responses'"):
        getattr(responses_proto, "Responses")  # noqa: B009 - what is tested is the look-up


@pytest.mark.parametrize("statement", ["import responses_proto", "from responses_proto import Limits, Timeouts, UNSET"])
def test_names_that_need_no_io_load_none(statement: str) -> None:
    code = f"import sys, json; {statement}; print(json.dumps(sorted(sys.modules)))"
    loaded = set(fresh(code))
    assert loaded.isdisjoint({"anyio", "httpx", "asyncio", "ssl", "socket", "httpx_sse", "responses_proto.protocol"})


def test_creating_a_client_loads_everything_that_its_first_request_needs() -> None:
    code = (
        "import sys, json, anyio\n"
        "from responses_proto import ResponsesClient\n"
        "from responses_proto.exceptions import ConnectError\n"
        "async def main():\n"
        "    global before\n"
        "    async with ResponsesClient('http://127.0.0.1:9/v1') as client:\n"
        "        before = set(sys.modules)\n"
        "        try:\n"
        "            await client.create(model='m', input='x')\n"
        "        except ConnectError: pass\n"
        "anyio.run(main)\n"
        "print(json.dumps(sorted(set(sys.modules) - before)))\n"
    )
    assert fresh(code) == []


def fresh(code: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)  # noqa: S603 - our own interpreter and code
    return [str(name) for name in json.loads(done.stdout)]


def test_the_version_is_a_version() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+([a-z.]+\d+)?", responses_proto.__version__)

from __future__ import annotations

import io
import subprocess
import sys

import pytest

from responses_proto.tools.mcp._transports import HTTP, Stdio, has_descriptor

NOT_SHOWN = "value-that-nobody-may-see"


def test_names_have_no_secrets_and_secrets_are_known() -> None:
    program = Stdio("/opt/bin/server", ["--token", "x"], {"TOKEN": NOT_SHOWN}, None, None)
    assert (program.name, program.secrets) == ("server", [NOT_SHOWN])
    url = HTTP(f"https://user:{NOT_SHOWN}1@host/mcp?key={NOT_SHOWN}2", {"Authorization": f"Bearer {NOT_SHOWN}3"}, None)
    assert url.name == "https://host/mcp"
    assert {f"{NOT_SHOWN}1", f"key={NOT_SHOWN}2", f"{NOT_SHOWN}3"} <= set(url.secrets)


@pytest.mark.parametrize(("stream", "expected"), [(io.StringIO(), False), (object(), False), (sys.__stderr__, True)])
def test_only_files_have_descriptors(stream: object, expected: bool) -> None:
    assert has_descriptor(stream) is expected


def test_making_a_server_does_not_import_the_sdk() -> None:
    code = """
import sys
from responses_proto.tools.mcp import McpServer
McpServer.stdio("server"), McpServer.http("http://localhost/mcp")
print({"mcp", "httpx2", "pydantic"} & set(sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)  # noqa: S603 - our own code
    assert done.stdout.strip() == "set()"

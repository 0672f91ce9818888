"""Which hosts and addresses an operator's list allows, and which tricks do not get around it."""

from __future__ import annotations

import pytest

from responses_proto.chat._hosts import AllowedHosts
from responses_proto.exceptions import ConnectError, UsageError


def allows(entries: list[str], url: str) -> bool:
    try:
        AllowedHosts(entries).check_url(url)
    except ConnectError:
        return False
    return True


def connects(entries: list[str], address: str, port: int = 443) -> bool:
    try:
        AllowedHosts(entries).check_address("name.example", address, port)
    except ConnectError:
        return False
    return True


@pytest.mark.parametrize(
    ("entry", "url", "allowed"),
    [
        ("mcp.example", "https://mcp.example/mcp", True),
        ("mcp.example", "https://MCP.Example./mcp", True),
        ("MCP.example.", "https://mcp.example/mcp", True),
        ("mcp.example", "http://mcp.example:8080/mcp", True),
        ("mcp.example", "https://a.mcp.example/", False),
        ("mcp.example", "https://mcp.example.evil/", False),
        ("mcp.example:8080", "http://mcp.example:8080/", True),
        ("mcp.example:8080", "http://mcp.example/", False),
        ("mcp.example:443", "https://mcp.example/", True),
        ("*.example", "https://a.b.example/", True),
        ("*.example", "https://example/", False),
        ("*.example", "https://notexample/", False),
        ("*", "https://anything.test/", True),
        ("*", "https://93.184.216.34/", True),
        ("*", "https://10.0.0.1/", False),
        ("*", "http://[::1]/", False),
        ("*:8080", "https://anything.test/", False),
        ("10.0.0.0/8", "http://10.1.2.3/", True),
        ("10.0.0.0/8", "http://11.1.2.3/", False),
        ("10.0.0.0/8", "http://name.example/", False),
        ("10.1.2.3:9000", "http://10.1.2.3:9000/", True),
        ("10.1.2.3:9000", "http://10.1.2.3/", False),
        ("::1", "http://[::1]:99/", True),
        ("[::1]:99", "http://[::1]:99/", True),
        ("[::1]:99", "http://[::1]:98/", False),
        ("127.0.0.1", "http://[::ffff:127.0.0.1]/", True),
        ("127.0.0.1", "http://127.0.0.2/", False),
        ("localhost", "http://localhost:1/", True),
        ("localhost", "http://127.0.0.1:1/", True),
        ("localhost", "http://[::1]:1/", True),
        ("localhost", "http://a.localhost/", False),
    ],
)
def test_the_host_of_a_url_is_on_the_list(entry: str, url: str, *, allowed: bool) -> None:
    assert allows([entry], url) == allowed
    assert not allows([], url)
    assert not AllowedHosts()
    assert AllowedHosts([entry])


@pytest.mark.parametrize(
    "url",
    [
        "",
        "mcp.example",
        "//mcp.example/",
        "file:///etc/passwd",
        "gopher://mcp.example/",
        "http:///x",
        "http://[::1",
        "http://mcp.example:99999/",
        "http://user@mcp.example/",
        "http://user:password@mcp.example/",
        "http://@mcp.example/",
        "http://mcp.example\\@evil.test/",
        "http://mcp.example /",
        "http://mcp.example\t/",
        "http://mcp.example\n.evil.test/",
        "http://mcp.\u200bexample/",
        "http://ⓜcp.example/",
        "http://bücher.example/",
    ],
)
def test_a_url_that_is_not_plain_is_refused(url: str) -> None:
    assert not allows(["*", "mcp.example", "0.0.0.0/0"], url)


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",  # noqa: S104 - an address to refuse
        "10.0.0.1",
        "100.64.0.1",
        "127.0.0.1",
        "127.255.255.254",
        "169.254.169.254",
        "172.16.0.1",
        "192.0.0.1",
        "192.168.1.1",
        "198.18.0.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::127.0.0.1",
        "::ffff:10.0.0.1",
        "::ffff:127.0.0.1",
        "2001:0:7f00:1::",
        "2001:db8::1",
        "2002:7f00:1::",
        "2002:a00:1::",
        "64:ff9b::10.0.0.1",
        "64:ff9b:1::1",
        "fc00::1",
        "fe80::1",
        "fe80::1%eth0",
        "fec0::1",
        "ff02::1",
        "not an address",
    ],
)
def test_an_address_that_is_not_public_is_refused_unless_it_is_listed(address: str) -> None:
    assert not connects(["*", "name.example"], address)
    if "address" not in address:
        assert connects([address.partition("%")[0]], address)


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:2800:220:1::1", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_a_public_address_may_be_connected_to(address: str) -> None:
    assert connects(["name.example"], address)


def test_a_network_may_be_listed_for_a_port() -> None:
    assert connects(["10.0.0.0/8:8443"], "10.1.1.1", 8443)
    assert not connects(["10.0.0.0/8:8443"], "10.1.1.1", 443)


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("", "is not a host"),
        ("https://mcp.example", "is not a host"),
        ("mcp.example/mcp", "is not a host"),
        ("a b", "is not a host"),
        ("*.*.example", "is not a host"),
        ("2130706433", "is not a host"),
        ("0x7f.1", "is not a host"),
        ("10.0.0.1/8", "is not a host"),
        ("mcp.example:0", "port"),
        ("mcp.example:70000", "port"),
    ],
)
def test_an_entry_that_is_not_a_host_is_refused(entry: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        AllowedHosts([entry])


def test_one_string_is_not_a_list() -> None:
    with pytest.raises(UsageError, match=r"\['mcp.example'\]"):
        AllowedHosts("mcp.example")

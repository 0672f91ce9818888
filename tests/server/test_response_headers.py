"""Which headers a handler can set."""

from __future__ import annotations

import pytest

from responses_proto.exceptions import UsageError
from responses_proto.server._response_headers import checked_header_name, checked_header_value


def test_names_are_lower_case_and_values_have_no_space_around_them() -> None:
    assert checked_header_name("X-RateLimit-Remaining") == "x-ratelimit-remaining"
    assert checked_header_value("x-a", " 1\t") == "1"


@pytest.mark.parametrize("name", ["", "a b", "a:", "a\n", "ä", "\ud800"])
def test_what_is_not_a_name_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="is not the name of a header"):
        checked_header_name(name)


@pytest.mark.parametrize("name", ["Content-Type", "content-length", "Transfer-Encoding", "X-Request-Id"])
def test_what_the_server_sets_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="is set by the server"):
        checked_header_name(name)


@pytest.mark.parametrize("value", ["a\r\nset-cookie: b", "\0", "ä", "\ud800"])
def test_what_cannot_be_sent_is_refused(value: str) -> None:
    with pytest.raises(UsageError, match="'x-a' must be printable ASCII"):
        checked_header_value("x-a", value)

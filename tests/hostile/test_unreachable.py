"""Servers that do not accept the connection or the request: the two deadlines that a transport enforces itself."""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING, Any

import pytest
from tests.hostile.engines import KEY, over_sockets, run_on, using

from responses_proto import ResponsesClient, RetryPolicy, Timeouts
from responses_proto.exceptions import ConnectError, DeadlineExceeded

if TYPE_CHECKING:
    from collections.abc import Generator


@contextlib.contextmanager
def deaf(*, full: bool) -> Generator[str]:
    """Yield the URL of a server that accepts no connection; if it is `full`, its queue has no room either."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0 if full else 8))
        address = listener.getsockname()
        for _ in range(3 if full else 0):  # the kernel admits one or two more than the backlog
            waiting = stack.enter_context(socket.socket())
            waiting.settimeout(0)
            waiting.connect_ex(address)
        yield f"http://127.0.0.1:{address[1]}/v1"


@over_sockets
@pytest.mark.parametrize("kind", ["connect", "write"])
def test_a_server_that_does_not_react_is_a_deadline_of_the_right_kind(engine: str, kind: str) -> None:
    async def test() -> None:
        patience: Any = {kind: 0.2}
        with deaf(full=kind == "connect") as url:
            async with (
                using(engine) as http,
                ResponsesClient(
                    url, KEY, http_client=http, retry=RetryPolicy(attempts=1), timeouts=Timeouts(**patience)
                ) as client,
            ):
                with pytest.raises(DeadlineExceeded) as caught:
                    async with client.stream(model="m", input="x" * (64 * 1024 * 1024 if kind == "write" else 1)):
                        pass
        assert (caught.value.kind, caught.value.limit) == (kind, 0.2)
        assert caught.value.retry_safety == ("safe" if kind == "connect" else "unsafe")

    run_on(engine, test)


@over_sockets
def test_a_refused_connection_is_a_connect_error_that_is_safe_to_retry(engine: str) -> None:
    async def test() -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        async with (
            using(engine) as http,
            ResponsesClient(
                f"http://127.0.0.1:{port}/v1", KEY, http_client=http, retry=RetryPolicy(attempts=1)
            ) as client,
        ):
            with pytest.raises(ConnectError, match="refused") as caught:
                await client.create(model="m", input="x")
        assert caught.value.retry_safety == "safe"
        assert KEY not in repr(caught.value)

    run_on(engine, test)

"""Run an application on a socket of this machine with uvicorn, in the foreground or in a thread.

Requires the extra ``server``, which installs uvicorn.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING, Any, Final

from ..exceptions import UsageError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator

    import uvicorn

__all__ = ["listen", "serve", "serving", "url_of"]

_START_INTERVAL: Final = 0.005  # seconds between two checks whether the server has started
_SHUTDOWN_TIMEOUT: Final = 1  # seconds that open streams have to end when the `serving` block exits
_KEEP_ALIVE: Final = 75  # seconds; longer than clients keep connections, or they would send on one that is being closed
_PING_INTERVAL: Final = 15.0  # seconds; proxies cut connections that are silent for longer
_MAX_WEBSOCKET_MESSAGE: Final = 65 * 1024 * 1024  # bytes; above `ResponsesApp.max_body_bytes`, whose error is clearer


def listen(host: str = "127.0.0.1", port: int = 0) -> socket.socket:
    """Open a listening socket; port 0 chooses a free one. Clients can connect as soon as this returns.

    Call :func:`serve` next. Raises ``OSError`` if the address is not available.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, port), family=family, backlog=2048)
    # Accepted sockets inherit the option. asyncio sets it only on sockets whose protocol is given as TCP, unlike here.
    # Without it, the head and the body of a response arrive 40 ms apart.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def url_of(listener: socket.socket) -> str:
    """Return the base URL of the API on a listening socket, such as ``http://127.0.0.1:8000/v1``."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}/v1" if ":" in host else f"http://{host}:{port}/v1"


def serve(app: Callable[..., Awaitable[None]], listener: socket.socket, *, drain: int = 10) -> None:
    """Serve an ASGI application on a listening socket until the process is interrupted; then close the socket.

    After the interrupt, no new requests are accepted, and running ones have ``drain`` seconds to end. The process's soft limit of
    open files is raised to the hard limit, since each connection needs a file descriptor. Raises ``ImportError`` if uvicorn is not
    installed.
    """
    _raise_file_limit()
    with listener:
        _server(app, drain).run(sockets=[listener])


@contextlib.contextmanager
def serving(app: Callable[..., Awaitable[None]], *, host: str = "127.0.0.1", port: int = 0) -> Generator[str]:
    """Serve an ASGI application in a thread while the block runs. Yields the base URL.

    Port 0 chooses a free port. Exiting the block ends open streams, and takes up to about one second. Raises ``UsageError`` if
    the application does not start (the log contains its error), ``OSError`` if the address is not available, and
    ``ImportError`` if uvicorn is not installed.
    """
    server = _server(app, _SHUTDOWN_TIMEOUT)
    with listen(host, port) as listener:

        def run() -> None:
            with contextlib.suppress(SystemExit):  # uvicorn exits if the application does not start
                server.run(sockets=[listener])

        thread = threading.Thread(target=run, name="responses-proto", daemon=True)
        thread.start()
        try:
            while not server.started:
                if not thread.is_alive():
                    raise UsageError("the application did not start: see the log")
                thread.join(_START_INTERVAL)
            yield url_of(listener)
        finally:
            server.should_exit = True
            thread.join()


def _raise_file_limit() -> None:
    try:
        import resource  # noqa: PLC0415 - Unix only
    except ImportError:
        return
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):  # if the system refuses, the limit stays as it is
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _server(app: Any, drain: int) -> uvicorn.Server:
    try:
        import uvicorn  # noqa: PLC0415 - an extra: imported when it is needed
    except ImportError as error:
        raise ImportError("serving needs uvicorn: pip install 'responses-proto[server]'") from error
    return uvicorn.Server(
        uvicorn.Config(
            app,
            lifespan="on",
            log_level="warning",
            access_log=False,
            timeout_keep_alive=_KEEP_ALIVE,
            timeout_graceful_shutdown=drain,
            ws_ping_interval=_PING_INTERVAL,
            ws_max_size=_MAX_WEBSOCKET_MESSAGE,
        )
    )

"""Running an application on a socket of this machine: uvicorn, in the foreground or in a thread of its own.

Needs the extra ``server`` (uvicorn).
"""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING, Any

from ..exceptions import LocalProtocolError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator

    import uvicorn

__all__ = ["listen", "serve", "serving", "url_of"]

_STARTING = 0.005  # seconds between two looks at a server that starts
_GRACE = 1  # seconds that open streams get at the end
_LARGEST = 65 * 1024 * 1024  # bytes of a WebSocket message: over what an application refuses by itself


def listen(host: str = "127.0.0.1", port: int = 0) -> socket.socket:
    """Open a listening socket; port 0 takes a free one. From here on clients can connect. Raises ``OSError``."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, port), family=family, backlog=2048)
    # What is accepted inherits it. asyncio would set it itself, but not for sockets that come from here (they do not name TCP);
    # without it, head and body of an answer are 40 ms apart.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def url_of(listener: socket.socket) -> str:
    """Give the base URL of the API on this socket."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}/v1" if ":" in host else f"http://{host}:{port}/v1"


def serve(app: Callable[..., Awaitable[None]], listener: socket.socket) -> None:
    """Serve on this socket until the process is interrupted, with as many connections as the system allows the process.

    Raises ``ImportError`` if uvicorn is not installed.
    """
    _allow_many_files()
    with listener:
        _server(app).run(sockets=[listener])


@contextlib.contextmanager
def serving(app: Callable[..., Awaitable[None]], *, host: str = "127.0.0.1", port: int = 0) -> Generator[str]:
    """Serve in a thread for the length of the block, which gets the base URL. Ends cleanly, within about a second.

    Raises ``LocalProtocolError`` for an application whose lifespan does not begin; the log says why.
    """
    server = _server(app)
    with listen(host, port) as listener:

        def run() -> None:
            with contextlib.suppress(SystemExit):  # how uvicorn says that it did not start
                server.run(sockets=[listener])

        thread = threading.Thread(target=run, name="responses-proto", daemon=True)
        thread.start()
        try:
            while not server.started:  # a client that came before would only wait in the listener's queue
                if not thread.is_alive():
                    raise LocalProtocolError("the application did not start: see the log")
                thread.join(_STARTING)
            yield url_of(listener)
        finally:
            server.should_exit = True
            thread.join()


def _allow_many_files() -> None:
    # Each open stream is one, and many systems start a process with 1024 or fewer.
    try:
        import resource  # noqa: PLC0415 - Unix has it
    except ImportError:
        return
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):  # what the system then refuses it has refused before
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _server(app: Any) -> uvicorn.Server:
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
            timeout_graceful_shutdown=_GRACE,
            ws_max_size=_LARGEST,
        )
    )

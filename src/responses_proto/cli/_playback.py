"""Play a recorded event stream back over a socket, in chunks of a given size."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator


@contextlib.contextmanager
def playback(recording: bytes, chunk_bytes: int) -> Generator[str]:
    """Serve a recording from a thread to the first client that connects. The block gets the base URL."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=_serve, args=(listener, recording, chunk_bytes), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        finally:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)  # wakes the thread if no client has connected
            thread.join(1)


def _serve(listener: socket.socket, recording: bytes, chunk_bytes: int) -> None:
    with contextlib.suppress(OSError):  # the client may leave at any time
        connection, _ = listener.accept()
        with connection:
            # Otherwise the kernel joins small chunks.
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            request = b""
            while b"\r\n\r\n" not in request:
                request += connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n")
            for start in range(0, len(recording), chunk_bytes):
                connection.sendall(recording[start : start + chunk_bytes])
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65536):
                pass  # closing with unread input would reset the connection, and the client might miss the end

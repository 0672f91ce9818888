import socket

from uvicorn.config import Config

class Server:
    started: bool
    should_exit: bool
    def __init__(self, config: Config) -> None: ...
    def run(self, sockets: list[socket.socket] | None = None) -> None: ...

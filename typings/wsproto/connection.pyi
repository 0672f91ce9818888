import enum
from collections.abc import Generator

from wsproto.events import Event

class ConnectionState(enum.Enum):
    CONNECTING = 0
    OPEN = 1
    REMOTE_CLOSING = 2
    LOCAL_CLOSING = 3
    CLOSED = 4
    REJECTING = 5

class ConnectionType(enum.Enum):
    CLIENT = 1
    SERVER = 2

class Connection:
    def __init__(self, connection_type: ConnectionType) -> None: ...
    @property
    def state(self) -> ConnectionState: ...
    def send(self, event: Event) -> bytes: ...
    def receive_data(self, data: bytes | None) -> None: ...
    def events(self) -> Generator[Event]: ...

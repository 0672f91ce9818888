from abc import ABC

class Event(ABC): ...

class CloseConnection(Event):
    code: int
    reason: str | None
    def __init__(self, code: int, reason: str | None = None) -> None: ...

class Message(Event):
    data: str | bytes | bytearray
    message_finished: bool

class TextMessage(Message):
    def __init__(self, data: str, frame_finished: bool = True, message_finished: bool = True) -> None: ...

class BytesMessage(Message):
    def __init__(self, data: bytes, frame_finished: bool = True, message_finished: bool = True) -> None: ...

class Ping(Event):
    def __init__(self, payload: bytes = b"") -> None: ...
    def response(self) -> Event: ...

class Pong(Event):
    payload: bytes | bytearray

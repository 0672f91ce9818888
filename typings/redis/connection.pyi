from abc import ABCMeta

class ConnectionPool(metaclass=ABCMeta):
    def disconnect(self) -> None: ...

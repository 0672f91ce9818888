from enum import Enum

class StatusCode(Enum):
    UNSET = 0
    OK = 1
    ERROR = 2

class Status:
    @property
    def status_code(self) -> StatusCode: ...
    @property
    def description(self) -> str | None: ...

import abc

from opentelemetry.trace.status import Status, StatusCode

class Span(abc.ABC):
    @abc.abstractmethod
    def end(self, end_time: int | None = None) -> None: ...
    @abc.abstractmethod
    def get_span_context(self) -> object: ...
    @abc.abstractmethod
    def set_status(self, status: Status | StatusCode, description: str | None = None) -> None: ...

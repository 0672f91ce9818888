# The parts of opentelemetry-api (extra `otel`) that this project touches. tests/test_stubs.py proves them true.
import abc
from collections.abc import Mapping
from contextlib import AbstractContextManager
from enum import Enum

from opentelemetry.context.context import Context
from opentelemetry.trace.span import Span as Span
from opentelemetry.trace.status import Status as Status
from opentelemetry.trace.status import StatusCode as StatusCode
from opentelemetry.util.types import AnyValue

class SpanKind(Enum):
    INTERNAL = 0
    SERVER = 1
    CLIENT = 2
    PRODUCER = 3
    CONSUMER = 4

class TracerProvider(abc.ABC):
    @abc.abstractmethod
    def get_tracer(
        self, instrumenting_module_name: str, instrumenting_library_version: str | None = None
    ) -> Tracer: ...

class Tracer(abc.ABC):
    @abc.abstractmethod
    def start_span(
        self,
        name: str,
        context: Context | None = None,
        kind: SpanKind = ...,
        attributes: Mapping[str, AnyValue] | None = None,
        *,
        start_time: int | None = None,
    ) -> Span: ...
    @abc.abstractmethod
    def start_as_current_span(self, name: str) -> AbstractContextManager[Span]: ...

def get_tracer(
    instrumenting_module_name: str,
    instrumenting_library_version: str | None = None,
    tracer_provider: TracerProvider | None = None,
) -> Tracer: ...

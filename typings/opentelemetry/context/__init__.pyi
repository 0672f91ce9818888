# The parts of opentelemetry-api (extra `otel`) that this project touches. tests/test_stubs.py proves them true.
from opentelemetry.context.context import Context as Context

def get_current() -> Context: ...

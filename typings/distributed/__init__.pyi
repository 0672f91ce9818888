# The parts of Dask's distributed that an example uses. tests/test_stubs.py proves them true.
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import Generic, Self, TypeVar

_T = TypeVar("_T")
_A = TypeVar("_A")

class Future(Generic[_T]): ...

class LocalCluster:
    def __init__(
        self,
        *,
        n_workers: int | None = None,
        threads_per_worker: int | None = None,
        dashboard_address: str | None = ":8787",
    ) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self, exc_type: type[BaseException] | None, exc_value: BaseException | None, traceback: TracebackType | None
    ) -> None: ...

class Client:
    def __init__(self, address: str | LocalCluster | None = None) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self, exc_type: type[BaseException] | None, exc_value: BaseException | None, traceback: TracebackType | None
    ) -> None: ...
    def map(self, func: Callable[[_A], _T], *iterables: Iterable[_A], **kwargs: object) -> list[Future[_T]]: ...
    def gather(self, futures: Sequence[Future[_T]]) -> list[_T]: ...

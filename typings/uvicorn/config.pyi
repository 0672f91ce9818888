from collections.abc import Callable
from typing import Any, Literal

class Config:
    def __init__(
        self,
        app: Callable[..., Any] | str,
        host: str = "127.0.0.1",
        port: int = 8000,
        *,
        lifespan: Literal["auto", "on", "off"] = "auto",
        log_level: str | int | None = None,
        access_log: bool = True,
        timeout_keep_alive: int = ...,
        timeout_graceful_shutdown: int | None = None,
        ws_ping_interval: float | None = 20.0,
        ws_max_size: int = 16777216,
    ) -> None: ...

"""The access log: one record for each request, when it has been answered.

The records go to the logger ``responses_proto.server.access``, at level INFO. Their facts are attributes: ``method``, ``path`` (without the
query), ``status``, ``seconds``, ``request_id`` and ``client``.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ._http import Scope

__all__ = ["AccessRecord", "log_to_stderr"]

_log: Final = logging.getLogger("responses_proto.server.access")
_FACTS: Final = ("method", "path", "status", "seconds", "request_id", "client")
_MAX_PATH: Final = 200  # characters


class AccessRecord:
    """Measures one request. Set :attr:`status` when the response begins, and call :meth:`log` at its end."""

    def __init__(self, scope: Scope, request_id: str) -> None:
        self.status: int | None = None
        """The status of the response; ``None`` if there was none, because the client had left."""
        self._scope = scope
        self._request_id = request_id
        self._started = time.monotonic()

    def log(self) -> None:
        """Write the record."""
        if not _log.isEnabledFor(logging.INFO):
            return
        scope = self._scope
        method = "WEBSOCKET" if scope["type"] == "websocket" else str(scope["method"])
        client = scope.get("client") or ("-",)
        facts: Mapping[str, Any] = {
            "method": method,
            "path": str(scope["path"])[:_MAX_PATH],
            "status": self.status,
            "seconds": round(time.monotonic() - self._started, 4),
            "request_id": self._request_id,
            "client": client[0],
        }
        # As repr, since a path may contain line ends.
        _log.info(
            "%s %r %s %.4f s %s",
            method,
            facts["path"],
            self.status or "-",
            facts["seconds"],
            self._request_id,
            extra=facts,
        )


class _JSONFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, Any] = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        entry |= {name: getattr(record, name) for name in _FACTS if hasattr(record, name)}
        if record.exc_info:
            entry["traceback"] = self.formatException(record.exc_info)
        return json.dumps(entry)


def log_to_stderr(log_format: Literal["text", "json"]) -> None:
    """Write the log of the package to standard error, a line for each record: as text, or as a JSON object."""
    handler = logging.StreamHandler(sys.stderr)
    text = logging.Formatter("%(asctime)s %(levelname)s %(message)s")
    handler.setFormatter(_JSONFormatter() if log_format == "json" else text)
    package = logging.getLogger("responses_proto")
    package.handlers = [handler]
    package.setLevel(logging.INFO)
    package.propagate = False

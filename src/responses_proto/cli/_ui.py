"""The page of ``serve --ui``, which shows streams event by event."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.responses import HTMLResponse

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

_FILE = Path(__file__).with_name("ui.html")
# The page loads nothing, and talks to this server only.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; base-uri 'none'; form-action 'none'"

if TYPE_CHECKING:
    _Scope = MutableMapping[str, Any]
    _Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
    _Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
    _App = Callable[[_Scope, _Receive, _Send], Awaitable[None]]


def with_page(app: _App) -> _App:
    """Return the application with the page at ``/``."""
    page = HTMLResponse(_FILE.read_text(encoding="utf-8"), headers={"content-security-policy": _POLICY})

    async def answer(scope: _Scope, receive: _Receive, send: _Send) -> None:
        if scope["type"] == "http" and scope["path"] == "/" and scope["method"] in ("GET", "HEAD"):
            await page(scope, receive, send)
        else:
            await app(scope, receive, send)

    return answer

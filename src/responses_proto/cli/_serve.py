"""Run the server of ``responses-proto serve``. Importing this module needs the extra ``server``."""

from __future__ import annotations

import gc
import os
import signal
import sys
from typing import TYPE_CHECKING, Any, Final, NoReturn

from ..exceptions import UsageError
from ..scripted.model import MODEL, Scripted
from ..scripted.script import ScriptRules
from ..server._access import log_to_stderr
from ..server.app import ResponsesApp
from ..server.stores import RedisStore, SQLiteStore
from ..server.uvicorn import listen, url_of
from ..server.uvicorn import serve as serve_app
from ._config import make_bridge
from ._errors import TERMINATED, file_errors
from ._output import write
from ._ui import with_page

if TYPE_CHECKING:
    from types import FrameType

    from ..server.stores import Store
    from ._config import ServeSettings

_DELAY: Final = 0.02  # seconds between two words of the scripted model
_REDIS: Final = ("redis://", "rediss://", "unix://")
_LOG_FORMATS: Final = ("text", "json")


def serve_with(settings: ServeSettings, *, ui: bool = False) -> None:
    """Serve until the process is interrupted, with ``ui`` also the page at ``/``. Raises ``UsageError`` for settings that cannot be used."""
    host, port = settings.host or "127.0.0.1", 8000 if settings.port is None else settings.port
    with file_errors("read", settings.script):
        application = _application(settings)
    try:
        listener = listen(host, port)
    except OSError as error:
        # `error.strerror` may repeat the address. Errors of the name service have negative numbers that os.strerror does not know.
        number = error.errno or 0
        reason = os.strerror(number) if number > 0 else error.strerror or error
        message = f"cannot listen on {host}, port {port}: {reason}. Choose others with --host and --port."
        raise UsageError(message) from error
    # uvicorn restores this handler when it has shut down, and raises the signal again. The default handler would kill the process.
    signal.signal(signal.SIGTERM, _exit_terminated)
    keys = "only the keys given" if settings.api_key else "any API key"
    write(f"serving on {url_of(listener)} ({_models(settings)}, {keys}); press Ctrl-C to stop\n")
    write(f"in another terminal, for clients: export RESPONSES_BASE_URL={url_of(listener)}\n")
    log_to_stderr("json" if settings.log_format == "json" else "text")
    drain = 10 if settings.drain is None else settings.drain
    gc.freeze()  # a full collection stops all streams, and would spend most of its time on imported modules
    if ui:
        write(f"to look at streams, open {url_of(listener).removesuffix('v1')}\n")
        serve_app(with_page(application), listener, drain=drain)
    else:
        serve_app(application, listener, drain=drain)


def _application(settings: ServeSettings) -> ResponsesApp:
    if settings.log_format not in (None, *_LOG_FORMATS):
        raise UsageError(f"log_format must be 'text' or 'json', got {settings.log_format!r}")
    if settings.upstreams:
        if settings.script or settings.delay is not None:
            raise UsageError("--script and --delay are for the scripted model, which is not served with --upstream")
        bridge = make_bridge(settings)
        handler: dict[str, Any] = {"handler": bridge, "lifespan": lambda: bridge}
        if settings.unknown_parameters == "pass":
            handler["unknown_parameters"] = "pass"
    else:
        rules = ScriptRules.read(settings.script) if settings.script else None
        delay = _DELAY if settings.delay is None else settings.delay
        handler = {"handler": Scripted(delay=delay, script=rules), "models": [MODEL]}
    return ResponsesApp(
        store=_store(settings),
        keys=settings.api_key or None,
        allow_hosts=settings.allow_host,
        allow_origins=settings.allow_origin,
        **handler,
    )


def _store(settings: ServeSettings) -> Store | None:
    if not settings.store:
        return None
    if settings.store.startswith(_REDIS):
        return RedisStore(settings.store)
    return SQLiteStore(settings.store, shared=bool(settings.shared))


def _models(settings: ServeSettings) -> str:
    if not settings.upstreams:
        return f"model {MODEL}"
    named = [f"{name}/… at {given.get('url') or given.get('profile')}" for name, given in settings.upstreams.items()]
    return f"models of {', '.join(named).removeprefix('/… at ')}"


def _exit_terminated(_number: int, _frame: FrameType | None) -> NoReturn:
    sys.exit(TERMINATED)

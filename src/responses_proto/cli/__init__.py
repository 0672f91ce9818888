"""The command ``responses-proto``: stream or create a response, serve the scripted model, check a server or a client, inspect recordings.

Requires the extra ``cli``, which installs typer and rich; ``serve`` and ``demo`` also require ``server``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._lazy import lazy_exports

if TYPE_CHECKING:
    __all__: list[str]

    from ._app import app as app
    from ._app import run as run
else:
    __all__, __getattr__, __dir__ = lazy_exports(__name__, {"._app": ("app", "run")})

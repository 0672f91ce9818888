"""Run small demonstration programs against the best model that the environment offers. The scripts in ``examples/`` use it.

The first of these applies:

* ``HF_TOKEN`` is set: the Hugging Face router, with the model that the program names;
* ``RESPONSES_BASE_URL`` is set (and perhaps ``RESPONSES_API_KEY``): the server at that address;
* otherwise: the scripted model on a local server. It needs no network and no key, but requires the extra ``server``.

``MODEL`` overrides the name of the model in every case.
"""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING, Final

import anyio

from ..client.client import ResponsesClient
from ..exceptions import ResponsesProtoError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator

__all__ = ["HUGGINGFACE_MODEL", "demo_client", "run"]

HUGGINGFACE_MODEL: Final = "openai/gpt-oss-120b:groq"
"""The default model on Hugging Face."""

_SCRIPTED: Final = "scripted"
_DELAY: Final = 0.02  # seconds between two words of the scripted model, so that the output visibly streams
_INTERRUPTED: Final = 130  # the exit status of shells for a program ended by Ctrl-C: 128 + SIGINT


def run(main: Callable[[ResponsesClient, str], Awaitable[None]], *, model: str = HUGGINGFACE_MODEL) -> None:
    """Run ``main(client, model_name)`` on an event loop. ``model`` names the model to use on Hugging Face.

    If ``main`` raises a ``ResponsesProtoError``, exit with one line instead of a traceback. Exit quietly on Ctrl-C.
    """

    async def with_client(client: ResponsesClient, name: str) -> None:
        async with client:
            await main(client, name)

    try:
        with demo_client(model) as (client, name):
            anyio.run(with_client, client, name)
    except (ResponsesProtoError, OSError) as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)


@contextlib.contextmanager
def demo_client(model: str = HUGGINGFACE_MODEL) -> Generator[tuple[ResponsesClient, str]]:
    """Yield a client for the server that the environment selects, not yet entered, and the name of a model for it.

    ``model`` names the model to use on Hugging Face. If the scripted server is used, it runs until the block is left.
    """
    override = os.environ.get("MODEL", "").strip()
    if os.environ.get("HF_TOKEN", "").strip():
        yield ResponsesClient.for_provider("huggingface"), override or model
    elif os.environ.get("RESPONSES_BASE_URL", "").strip():
        yield ResponsesClient(), override or _SCRIPTED
    else:
        from ..server.app import ResponsesApp  # noqa: PLC0415 - needs the extra `server`, which the other cases do not
        from ..server.uvicorn import serving  # noqa: PLC0415 - as above
        from .model import Scripted  # noqa: PLC0415 - as above

        with serving(ResponsesApp(Scripted(delay=_DELAY), models=[_SCRIPTED])) as url:
            yield ResponsesClient(url, "none"), override or _SCRIPTED

"""For small programs that show something: a client of whoever is there to answer. The scripts in ``examples/`` run on it.

Who answers, the environment says, the first of these that it has:

* ``HF_TOKEN``: the Hugging Face router, with the program's own choice of a model;
* ``RESPONSES_BASE_URL`` (and ``RESPONSES_API_KEY``): the server there;
* nothing: the embedded model, which needs no network and no key. It needs the extra ``server``.

``MODEL`` overrules the model.
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

__all__ = ["HUGGINGFACE_MODEL", "answering", "run"]

HUGGINGFACE_MODEL: Final = "openai/gpt-oss-120b:groq"
"""The model on Hugging Face that programs use unless they choose another."""

_EMBEDDED: Final = "scripted"
_DELAY: Final = 0.02  # seconds between two words of the embedded model, so that a stream looks like one
_INTERRUPTED: Final = 130  # 128 + SIGINT, as shells have it


def run(main: Callable[[ResponsesClient, str], Awaitable[None]], *, model: str = HUGGINGFACE_MODEL) -> None:
    """Run a program: ``main`` gets the client, and the name of the model. ``model`` is the one on Hugging Face.

    An error of this library, or an interruption, ends the process with a line instead of a traceback.
    """

    async def with_client(client: ResponsesClient, name: str) -> None:
        async with client:
            await main(client, name)

    try:
        with answering(model) as (client, name):
            anyio.run(with_client, client, name)
    except (ResponsesProtoError, OSError) as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)


@contextlib.contextmanager
def answering(model: str = HUGGINGFACE_MODEL) -> Generator[tuple[ResponsesClient, str]]:
    """Give a client, to be used in ``async with``, and the name of a model for it. The embedded server lives in the block."""
    chosen = os.environ.get("MODEL", "").strip()
    if os.environ.get("HF_TOKEN", "").strip():
        yield ResponsesClient.for_provider("huggingface"), chosen or model
    elif os.environ.get("RESPONSES_BASE_URL", "").strip():
        yield ResponsesClient(), chosen or _EMBEDDED
    else:
        from ..server.app import ResponsesApp  # noqa: PLC0415 - needs the extra `server`, the other ways do not
        from ..server.uvicorn import serving  # noqa: PLC0415 - as above
        from .model import Scripted  # noqa: PLC0415 - as above

        with serving(ResponsesApp(Scripted(delay=_DELAY), models=[_EMBEDDED])) as url:
            yield ResponsesClient(url, "none"), chosen or _EMBEDDED

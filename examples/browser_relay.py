"""Relay a stream to a browser: a Starlette application with one page in plain JavaScript. The key stays at this server.

``python examples/browser_relay.py`` prints an address to open. It uses the server in RESPONSES_BASE_URL, or else a scripted model.
Needs starlette and uvicorn (``pip install 'responses-proto[server]'``).
"""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING

import uvicorn
from starlette.applications import Starlette
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from responses_proto import ResponsesClient
from responses_proto.exceptions import APIError, ResponsesProtoError
from responses_proto.protocol import encode_event
from responses_proto.scripted import Scripted
from responses_proto.server import ResponsesApp, serving

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from starlette.requests import Request

MODEL = os.environ.get("MODEL", "scripted")
PAGE = """<!doctype html>
<meta charset="utf-8"><title>Relay</title>
<style>body { font: 1rem/1.5 system-ui; max-width: 40rem; margin: 3rem auto } input { width: 30rem }</style>
<form><input name="prompt" value="Tell me a story about a fox." autofocus> <button>Ask</button> <button type="button">Stop</button></form>
<p id="answer"></p><p id="status"></p>
<script>
const form = document.querySelector("form"), answer = document.querySelector("#answer"), status_ = document.querySelector("#status");
let controller = new AbortController();
form.querySelector("[type=button]").onclick = () => controller.abort();      // closes the connection, which stops the model
form.onsubmit = async (submitted) => {
  submitted.preventDefault();
  controller.abort();
  controller = new AbortController();
  answer.textContent = status_.textContent = "";
  try {
    const reply = await fetch("/answer", {
      method: "POST", signal: controller.signal,
      headers: {"content-type": "application/json"}, body: JSON.stringify({prompt: form.prompt.value}),
    });
    if (!reply.ok) throw new Error((await reply.json()).error);
    const reader = reply.body.pipeThrough(new TextDecoderStream()).getReader();
    for (let rest = "", part; !(part = await reader.read()).done; ) {
      const frames = (rest + part.value).split("\\n\\n");
      rest = frames.pop();
      for (const frame of frames) show(JSON.parse(frame.split("\\n").find((line) => line.startsWith("data: ")).slice(6)));
    }
  } catch (error) { status_.textContent = error.name == "AbortError" ? "stopped" : String(error); }
};
function show(event) {
  if (event.type == "response.output_text.delta") answer.textContent += event.delta;
  else if (event.type.match(/^response\\.(completed|incomplete|failed)$/)) status_.textContent = event.response.status;
}
</script>
"""


async def page(_request: Request) -> Response:
    """Return the page."""
    return HTMLResponse(PAGE)


async def answer(request: Request) -> Response:
    """Send the prompt to the model, and relay the events. If the browser disconnects, the connection to the model is closed too."""
    client: ResponsesClient = request.state.client
    stack = contextlib.AsyncExitStack()
    stream = client.stream(model=MODEL, input=str((await request.json())["prompt"]))
    try:
        await stack.enter_async_context(stream)
    except APIError as error:  # nothing has been sent yet, so the browser gets the status
        return JSONResponse({"error": error.message}, error.answer_status)
    except ResponsesProtoError as error:
        return JSONResponse({"error": str(error)}, 502)

    async def events() -> AsyncGenerator[bytes]:
        async with stack:
            async for event in stream:
                yield encode_event(event)

    return StreamingResponse(events(), media_type="text/event-stream", headers={"cache-control": "no-store"})


def make_app(base_url: str | None) -> Starlette:
    """Return the application. One client serves all its requests."""

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncGenerator[dict[str, ResponsesClient]]:
        async with ResponsesClient(base_url, "any" if base_url else None) as client:
            yield {"client": client}

    return Starlette(routes=[Route("/", page), Route("/answer", answer, methods=["POST"])], lifespan=lifespan)


if __name__ == "__main__":
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8001
    with contextlib.ExitStack() as stack:
        url = (
            None
            if "RESPONSES_BASE_URL" in os.environ
            else stack.enter_context(serving(ResponsesApp(Scripted(delay=0.05))))
        )
        uvicorn.Server(uvicorn.Config(make_app(url), port=port)).run()

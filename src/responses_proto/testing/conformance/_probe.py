"""How the checks of a server talk to it: one request at a time, and nothing between that and what came back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeAlias, TypeVar
from urllib.parse import urlencode

import anyio
import attrs

from ...client._address import endpoint
from ...client._replies import is_json, media_type
from ...client.transport._exchange import shut
from ...client.transport.base import WireRequest
from ...codec import default_converter, dumps, load, make_converter
from ...exceptions import DecodeError, LimitExceeded
from ...models._base import Model
from ...models.response import Response
from .streams import check_stream

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ...client.transport.base import Transport, WireReply
    from .streams import Finding

__all__ = ["NOT_OFFERED", "CheckFailed", "JSONDict", "Probe", "ProbeReply", "Skipped"]

M = TypeVar("M", bound=Model)

JSONDict: TypeAlias = dict[str, Any]
"""A request's body: wire values, models among them."""

NOT_OFFERED: Final = frozenset({404, 405, 501})
"""Statuses of a server that has no such endpoint."""
_OK: Final = 200
_REFUSED: Final = frozenset({400, 422})  # the documented one, and what some frameworks say for it
_LONGEST_BODY: Final = 64 * 1024 * 1024
_DRAIN: Final = 0.5  # seconds in which what comes behind [DONE] is waited for
_DONE: Final = b"data: [DONE]"
_EXCERPT: Final = 120  # characters of a body that a detail shows


class CheckFailed(Exception):  # noqa: N818 - no error of this program's
    """The rule that is being checked is broken."""

    def __init__(self, detail: str, stream: tuple[Finding, ...] = ()) -> None:
        super().__init__(detail)
        self.stream = stream
        """What was found in the stream that came, if that is why."""


class Skipped(Exception):  # noqa: N818 - as above
    """The server does not offer what the rule is about."""


@attrs.frozen
class ProbeReply:
    """An answer, read to its end. Whatever asks something of it raises :class:`CheckFailed` if it is not so."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    ignore: frozenset[str]
    """Rules that do not count."""

    def parse(self, cls: type[M]) -> M:
        """Give what a good answer says; what does not fit its field is not there."""
        return load(self._object(), cls)

    def assert_fits(self, cls: type[Model]) -> None:
        """Ask for all that the specification requires, each of its type."""
        try:
            make_converter(strict=True).load(self._object(), cls)
        except DecodeError as error:
            raise CheckFailed(str(error)) from error

    def assert_stream(self) -> Response:
        """Give what a stream adds up to that conforms and completes."""
        if self.status != _OK:
            self.fail("it is not answered well")
        if media_type(self.headers) != "text/event-stream":
            self.fail(f"the content type is {self.headers.get('content-type')!r}, not that of a stream")
        report = check_stream(self.body, ignore=self.ignore)
        if not report.ok:
            raise CheckFailed(f"the stream does not conform, see the {len(report.findings)} findings", report.findings)
        if report.outcome.status != "completed":
            raise CheckFailed(f"the stream ends as {report.outcome.status}")
        return report.outcome.response

    def assert_refused(self, *also: int) -> None:
        """Ask for the refusal of a bad request."""
        if self.status not in _REFUSED.union(also):
            self.fail("it is not refused")

    def assert_not_found(self) -> None:
        """Ask for 404."""
        if self.status != 404:  # noqa: PLR2004 - HTTP's number for it
            self.fail("it is not said to be missing")

    def skip_unless_offered(self, *also: int) -> ProbeReply:
        """Skip the check if the server has no such endpoint."""
        if self.status in NOT_OFFERED.union(also):
            raise Skipped(f"not offered (HTTP {self.status})")
        return self

    def json(self) -> Any:
        """Give the value that the body is."""
        if not is_json(media_type(self.headers)):
            self.fail(f"the content type is {self.headers.get('content-type')!r}, not that of JSON")
        try:
            return default_converter().json.loads(self.body)
        except (DecodeError, LimitExceeded) as error:
            raise CheckFailed(f"the body is not JSON: {error}") from error

    def fail(self, why: str) -> NoReturn:
        """Break the rule."""
        text = " ".join(self.body[: 4 * _EXCERPT].decode("utf-8", "replace").split())[:_EXCERPT]
        raise CheckFailed(f"{why}: HTTP {self.status}, {text or 'no body'}")

    def _object(self) -> dict[str, Any]:
        if self.status != _OK:
            self.fail("it is not answered well")
        value = self.json()
        if not isinstance(value, dict):
            self.fail("the body is no object")
        return value  # pyright: ignore[reportUnknownVariableType] # keys of JSON objects are strings


class Probe:
    """Asks one server. Verbs: :meth:`request`; :meth:`create`, :meth:`created` and :meth:`stored` for what most checks begin with."""

    def __init__(
        self, transport: Transport, base_url: str, headers: Mapping[str, str], model: str, ignore: frozenset[str]
    ) -> None:
        self._transport = transport
        self._base_url = base_url
        self._headers = headers
        self._ignore = ignore
        self._stored: Response | None = None
        self.model = model
        """What requests are for."""
        self.last_request: str = ""
        """The last request: ``POST /responses``."""

    async def request(
        self,
        method: str,
        *path: str,
        content: JSONDict | bytes | None = None,
        params: Mapping[str, str | int] | None = None,
    ) -> ProbeReply:
        """Make a request, and read the answer to its end. ``path`` are the segments; bytes are sent as they are."""
        self.last_request = f"{method} /{'/'.join(path)}"
        streaming = isinstance(content, dict) and content.get("stream") is True
        headers = {"accept": "text/event-stream" if streaming else "application/json", **self._headers}
        body = b""
        if content is not None:
            headers["content-type"] = "application/json"
            body = content if isinstance(content, bytes) else dumps(content)
        url = endpoint(self._base_url, *path) + (f"?{urlencode(params)}" if params else "")
        reply = await self._transport.send(
            WireRequest(method=method, url=url, headers=headers, body=body, stream=streaming)
        )
        try:
            return ProbeReply(reply.status, reply.headers, await _read(reply), self._ignore)
        finally:
            await shut(reply)

    async def create(self, **fields: Any) -> ProbeReply:
        """Ask for a response; for some short text, unless the fields say otherwise."""
        return await self.request("POST", "responses", content={"model": self.model, "input": "Say hello.", **fields})

    async def create_completed(self, **fields: Any) -> Response:
        """Ask for a response, and give it. Breaks the rule if it is not completed."""
        reply = await self.create(**fields)
        response = reply.parse(Response)
        if response.status != "completed":
            reply.fail(f"the response is {response.status!r}, not completed")
        return response

    async def stored_response(self) -> Response:
        """Give a response that the server keeps, the same each time. Skips the check if it keeps none."""
        if self._stored is None:
            response = await self.create_completed(store=True)
            (await self.request("GET", "responses", response.id)).skip_unless_offered()
            self._stored = response
        return self._stored


async def _read(reply: WireReply) -> bytes:
    """Read a body, up to what comes soon behind ``[DONE]``: some servers leave the connection open then."""
    body = bytearray()
    while piece := await reply.receive():
        body += piece
        if len(body) > _LONGEST_BODY:
            raise CheckFailed(f"the body is longer than {_LONGEST_BODY} bytes")
        if _DONE in body[-len(piece) - len(_DONE) :]:
            with anyio.move_on_after(_DRAIN):
                while piece := await reply.receive():
                    body += piece
            break
    return bytes(body)

"""Send requests to a server for its checks, and assert what it answers.

Requests go straight to the transport, so that the checks see what the server really sent.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeAlias, TypeVar
from urllib.parse import urlencode

import anyio
import attrs

from ...client._address import endpoint_url
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
"""The body of a request: JSON values and models."""

NOT_OFFERED: Final = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.NOT_IMPLEMENTED})
"""The HTTP statuses of a server that does not offer an endpoint."""
_REFUSED: Final = frozenset(
    {HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY}
)  # 400 is documented; some frameworks answer 422
_MAX_BODY: Final = 64 * 1024 * 1024
_DRAIN: Final = 0.5  # seconds to wait for data after [DONE]
_DONE: Final = b"data: [DONE]"
_EXCERPT: Final = 120  # characters of the body in a detail


class CheckFailed(Exception):  # noqa: N818 - a result, not an error of this library
    """The server breaks the rule that is being checked."""

    def __init__(self, detail: str, findings: tuple[Finding, ...] = ()) -> None:
        super().__init__(detail)
        self.findings = findings
        """The findings in the stream, if it does not conform."""


class Skipped(Exception):  # noqa: N818 - as above
    """The server does not offer what the rule applies to."""


@attrs.frozen
class ProbeReply:
    """A complete HTTP response. Its methods raise :class:`CheckFailed` if it is not as expected."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    ignore: frozenset[str]
    """Ids of rules whose findings are ignored."""

    def parse(self, cls: type[M]) -> M:
        """Return the model in the body. Fails for a status other than 200. Values that do not fit are left out."""
        return load(self._json_object(), cls)

    def assert_fits(self, cls: type[Model]) -> None:
        """Fail unless the body has all required fields of the model, each of its type."""
        try:
            make_converter(strict=True).load(self._json_object(), cls)
        except DecodeError as error:
            raise CheckFailed(str(error)) from error

    def assert_stream(self) -> Response:
        """Return the final response of the stream. Fails unless the stream conforms and completes."""
        if self.status != HTTPStatus.OK:
            self.fail("expected status 200")
        if media_type(self.headers) != "text/event-stream":
            self.fail(f"expected the content type text/event-stream, got {self.headers.get('content-type')!r}")
        report = check_stream(self.body, ignore=self.ignore)
        if not report.ok:
            raise CheckFailed(f"the stream does not conform: {len(report.findings)} findings", report.findings)
        if report.outcome.status != "completed":
            raise CheckFailed(f"expected a completed response, got {report.outcome.status}")
        return report.outcome.response

    def assert_refused(self, *also: int) -> None:
        """Fail unless the request is refused, with status 400, 422 or one of ``also``."""
        if self.status not in _REFUSED.union(also):
            self.fail("expected a refusal")

    def assert_not_found(self) -> None:
        """Fail unless the status is 404."""
        if self.status != HTTPStatus.NOT_FOUND:
            self.fail("expected status 404")

    def skip_unless_offered(self, *also: int) -> ProbeReply:
        """Return the reply. Skips the check if its status is one of ``NOT_OFFERED`` or ``also``."""
        if self.status in NOT_OFFERED.union(also):
            raise Skipped(f"not offered (HTTP {self.status})")
        return self

    def json(self) -> Any:
        """Return the JSON value of the body."""
        if not is_json(media_type(self.headers)):
            self.fail(f"expected the content type application/json, got {self.headers.get('content-type')!r}")
        try:
            return default_converter().json.loads(self.body)
        except (DecodeError, LimitExceeded) as error:
            raise CheckFailed(f"the body is not JSON: {error}") from error

    def fail(self, detail: str) -> NoReturn:
        """Raise :class:`CheckFailed` with the detail, the status and the beginning of the body."""
        text = " ".join(self.body[: 4 * _EXCERPT].decode("utf-8", "replace").split())[:_EXCERPT]
        raise CheckFailed(f"{detail}: HTTP {self.status}, {text or 'no body'}")

    def _json_object(self) -> dict[str, Any]:
        if self.status != HTTPStatus.OK:
            self.fail("expected status 200")
        value = self.json()
        if not isinstance(value, dict):
            self.fail("expected a JSON object")
        return value  # pyright: ignore[reportUnknownVariableType] # keys of JSON objects are strings


class Probe:
    """Sends requests to one server: any with :meth:`request`, and ``POST /responses`` with the other methods."""

    def __init__(
        self, transport: Transport, base_url: str, headers: Mapping[str, str], model: str, ignore: frozenset[str]
    ) -> None:
        self._transport = transport
        self._base_url = base_url
        self._headers = headers
        self._ignore = ignore
        self._stored: Response | None = None
        self.model = model
        """The model that requests name."""
        self.last_request: str = ""
        """The last request, such as ``POST /responses``."""

    async def request(
        self,
        method: str,
        *path: str,
        content: JSONDict | bytes | None = None,
        params: Mapping[str, str | int] | None = None,
    ) -> ProbeReply:
        """Send a request and read the whole reply.

        ``path``: the segments of the path below the base URL. ``content``: an object, or bytes to send unchanged.
        """
        self.last_request = f"{method} /{'/'.join(path)}"
        streaming = isinstance(content, dict) and content.get("stream") is True
        headers = {"accept": "text/event-stream" if streaming else "application/json", **self._headers}
        body = b""
        if content is not None:
            headers["content-type"] = "application/json"
            body = content if isinstance(content, bytes) else dumps(content)
        url = endpoint_url(self._base_url, *path) + (f"?{urlencode(params)}" if params else "")
        reply = await self._transport.send(
            WireRequest(method=method, url=url, headers=headers, body=body, stream=streaming)
        )
        try:
            return ProbeReply(reply.status, reply.headers, await _read(reply), self._ignore)
        finally:
            await shut(reply)

    async def create(self, **fields: Any) -> ProbeReply:
        """Send ``POST /responses``, by default for a short text. ``fields`` are fields of the request."""
        return await self.request("POST", "responses", content={"model": self.model, "input": "Say hello.", **fields})

    async def create_completed(self, **fields: Any) -> Response:
        """Create a response and return it. Fails unless its status is ``completed``."""
        reply = await self.create(**fields)
        response = reply.parse(Response)
        if response.status != "completed":
            reply.fail(f"expected a completed response, got {response.status!r}")
        return response

    async def stored_response(self) -> Response:
        """Return a stored response, the same for all checks. Skips the check if the server stores none."""
        if self._stored is None:
            response = await self.create_completed(store=True)
            (await self.request("GET", "responses", response.id)).skip_unless_offered()
            self._stored = response
        return self._stored


async def _read(reply: WireReply) -> bytes:
    """Read a body to its end, or until shortly after ``[DONE]``, because some servers then leave the connection open."""
    body = bytearray()
    while piece := await reply.receive():
        body += piece
        if len(body) > _MAX_BODY:
            raise CheckFailed(f"the body is longer than {_MAX_BODY} bytes")
        if _DONE in body[-len(piece) - len(_DONE) :]:
            with anyio.move_on_after(_DRAIN):
                while piece := await reply.receive():
                    body += piece
            break
    return bytes(body)

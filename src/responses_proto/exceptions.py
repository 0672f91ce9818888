"""The errors of this package: one tree, told apart by type, with facts as attributes.

::

    ResponsesProtoError
    ├── UsageError                    a call of this library was wrong; also a ValueError
    ├── DecodeError                   a value does not fit its type (strict mode, or not JSON at all)
    ├── EncodeError                   a value cannot be written as JSON
    ├── ProtocolError
    │   ├── LocalProtocolError        you asked for something the protocol does not allow
    │   └── RemoteProtocolError       the peer sent something the protocol does not allow
    ├── LimitExceeded                 a bound of `Limits` was passed
    ├── TransportError
    │   ├── ConnectError              no connection: nothing was sent
    │   ├── DeadlineExceeded          a timeout of `Timeouts` ran out
    │   ├── StreamTruncated           the stream ended without a terminal event
    │   └── StreamInterrupted         the connection broke after output was delivered
    ├── NotAnEventStream              a stream was asked for, something else came
    ├── APIError                      the server answered with an error
    │   ├── BadRequestError           400 and the other 4xx
    │   ├── AuthenticationError       401
    │   ├── PermissionDeniedError     403
    │   ├── NotFoundError             404
    │   ├── RequestTimeoutError       408
    │   ├── ConflictError             409
    │   ├── PayloadTooLargeError      413
    │   ├── UnprocessableEntityError  422
    │   ├── RateLimitError            429
    │   └── ServerError               5xx
    ├── ResponseNotCompleted          the response ended, but not as `completed`
    │   ├── ResponseFailedError
    │   ├── ResponseIncompleteError
    │   └── ResponseCancelledError
    └── ToolError
        ├── ToolNotFound
        ├── ToolArgumentsInvalid
        └── ApprovalRequired

Every one of them can be built without an HTTP object, can be pickled and copied, and carries what is known of the
stream it ended: ``response`` (the partial or final snapshot), ``cursor`` and ``retry_safety``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .models.response import Response
    from .typing import Cursor, JSONValue

__all__ = [
    "APIError",
    "ApprovalRequired",
    "AuthenticationError",
    "BadRequestError",
    "ConflictError",
    "ConnectError",
    "DeadlineExceeded",
    "DecodeError",
    "EncodeError",
    "LimitExceeded",
    "LocalProtocolError",
    "NotAnEventStream",
    "NotFoundError",
    "PayloadTooLargeError",
    "PermissionDeniedError",
    "ProtocolError",
    "RateLimitError",
    "RemoteProtocolError",
    "RequestTimeoutError",
    "ResponseCancelledError",
    "ResponseFailedError",
    "ResponseIncompleteError",
    "ResponseNotCompleted",
    "ResponsesProtoError",
    "RetrySafety",
    "ServerError",
    "StreamInterrupted",
    "StreamTruncated",
    "ToolArgumentsInvalid",
    "ToolError",
    "ToolNotFound",
    "TransportError",
    "UnprocessableEntityError",
    "UsageError",
]

RetrySafety: TypeAlias = Literal["safe", "unsafe", "resumable"]
"""What sending the request again would do: nothing twice, perhaps something twice, or nothing if resumed by cursor."""


class ResponsesProtoError(Exception):
    """Any error of this package. ``str(error)`` is one line for people; the facts are attributes."""

    response: Response | None = None
    """The snapshot, partial or final, of the response that this error ended; ``None`` if there was none yet."""
    cursor: Cursor | None = None
    """Where the stream stood; ``None`` if it never began."""
    retry_safety: RetrySafety | None = None
    """What sending the same request again would do; ``None`` where no request is concerned."""

    def __init__(self, message: str = "") -> None:
        super().__init__(message)

    def __reduce__(self) -> tuple[object, ...]:
        # The default calls the class with `args`, which only fits exceptions whose facts are positional.
        return _rebuild, (type(self), self.args), self.__dict__


def _rebuild(cls: type[ResponsesProtoError], args: tuple[object, ...]) -> ResponsesProtoError:
    error = cls.__new__(cls)
    error.args = args
    return error


class UsageError(ResponsesProtoError, ValueError):
    """A call of this library was wrong: a bad argument, a missing setting, a method that does not fit. Nothing was sent.

    The message says what is right. A ``ValueError`` too, so that generic code can catch it.
    """


class DecodeError(ResponsesProtoError):
    """A value does not fit its type: in strict mode, or because the text is not JSON at all."""

    def __init__(self, message: str, *, path: str = "$", type_name: str = "", excerpt: str = "") -> None:
        self.path = path
        """Where, in JSONPath: ``$.output[0].id``."""
        self.type_name = type_name
        """The name of the type that was asked for."""
        self.excerpt = excerpt
        """The beginning of the offending value, cut short."""
        seen = f", got {excerpt}" if excerpt else ""
        super().__init__(f"{message} @ {path} ({type_name}{seen})" if type_name else f"{message} @ {path}{seen}")


class EncodeError(ResponsesProtoError):
    """A value cannot be written as JSON: NaN, infinity, a type that JSON does not have, a reference cycle."""


class ProtocolError(ResponsesProtoError):
    """One side broke the rules of the protocol."""


class LocalProtocolError(ProtocolError):
    """The protocol does not allow this in its current state, such as an event after the response has ended. Nothing was sent."""


class RemoteProtocolError(ProtocolError):
    """The peer sent something that the protocol does not allow. Lenient mode reports an anomaly instead."""

    def __init__(
        self,
        message: str,
        *,
        sequence_number: int | None = None,
        event_type: str | None = None,
        code: str | None = None,
    ) -> None:
        self.sequence_number = sequence_number
        """Of the offending event; ``None`` if it has none."""
        self.event_type = event_type
        """The offending event's type; ``None`` if it has none."""
        self.code = code
        """The anomaly's code, a key of ``responses_proto.anomalies.ANOMALY_CODES``."""
        super().__init__(message)


class LimitExceeded(ResponsesProtoError):
    """A bound of ``Limits`` was passed. What was read until then is in ``response``."""

    def __init__(self, limit: str, value: int, *, maximum: int | None = None) -> None:
        self.limit = limit
        """The bound's name: a field of ``Limits``."""
        self.value = value
        """What was met, at least (reading stops at the bound)."""
        self.maximum = maximum
        over = f" (the limit is {maximum}; raise it with Limits({limit}=...))" if maximum is not None else ""
        super().__init__(f"{limit} exceeded: {value}{over}")


class TransportError(ResponsesProtoError):
    """The connection failed: before, during or after the answer."""


class ConnectError(TransportError):
    """No connection came about: name not found, refused, TLS failed. Nothing was sent, so ``retry_safety`` is ``safe``."""

    retry_safety: RetrySafety | None = "safe"


class DeadlineExceeded(TransportError):
    """Something took longer than allowed."""

    def __init__(self, kind: str, elapsed: float, *, limit: float | None = None) -> None:
        self.kind = kind
        """Which field of ``Timeouts`` ran out: ``connect``, ``write``, ``first_byte``, …; or ``tool``, for a call of a tool."""
        self.elapsed = elapsed
        """Seconds that had passed."""
        self.limit = limit
        """Seconds that were allowed."""
        allowed = f" ({limit:g} s allowed)" if limit is not None else ""
        super().__init__(f"{kind.replace('_', ' ')} took over {elapsed:.3g} s{allowed}")


class StreamTruncated(TransportError):
    """The stream ended without a terminal event. ``response`` holds what arrived."""


class StreamInterrupted(TransportError):
    """The connection broke after output had been delivered; resume from ``cursor`` if the response runs in background."""


class NotAnEventStream(ResponsesProtoError):
    """A stream was asked for and something else came: an HTML page, plain text, a redirect."""

    def __init__(self, message: str, *, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.status = status
        """The HTTP status code."""
        self.headers = headers
        """The response headers, names in lower case."""
        self.body = body
        """The start of the body, 64 KiB at most."""
        super().__init__(message)


class APIError(ResponsesProtoError):
    """The server answered with an error, in whatever shape; these attributes are the same for all of them.

    Use :meth:`for_status` to get the subclass of a status code.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        code: str | None = None,
        type: str | None = None,  # noqa: A002 - the wire's own name for it
        param: str | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
        headers: Mapping[str, str] | None = None,
        body: JSONValue = None,
    ) -> None:
        self.message = message
        """The server's sentence, without decoration."""
        self.status = status
        """The HTTP status; ``None`` for an error that came inside a stream."""
        self.code = code
        """The server's code for the error, such as ``rate_limit_exceeded``."""
        self.type = type
        """The server's class of error, such as ``invalid_request_error``."""
        self.param = param
        """The request field that is at fault."""
        self.request_id = request_id
        """The server's name for this exchange: give it to their support."""
        self.retry_after = retry_after
        """Seconds the server asks to wait; ``None`` if it does not say."""
        self.headers: Mapping[str, str] = headers if headers is not None else {}
        """The response headers, names in lower case."""
        self.body = body
        """The body as it came: decoded JSON, or text."""
        facts = [f"HTTP {status}"] if status is not None else []
        facts += [value for value in (code or type, f"param {param}" if param else None) if value]
        facts += [f"request {request_id}"] if request_id else []
        super().__init__(f"{message} ({', '.join(facts)})" if facts else message)

    @property
    def answer_status(self) -> int:
        """The HTTP status that a server answers with: its own, if that is one of an error; else its class's; else 500."""
        if self.status is not None and self.status >= 400:  # noqa: PLR2004 - HTTP's families
            return self.status
        return next((status for status, cls in _BY_STATUS.items() if isinstance(self, cls)), 500)

    @staticmethod
    def for_status(status: int | None) -> type[APIError]:
        """Give the class for an HTTP status code; ``APIError`` itself when there is none."""
        if status is None:
            return APIError
        return _BY_STATUS.get(status) or (
            ServerError if status >= 500 else BadRequestError if status >= 400 else APIError  # noqa: PLR2004 - HTTP's families
        )


class BadRequestError(APIError):
    """400, and any 4xx without a class of its own: the request is wrong and stays wrong."""


class AuthenticationError(APIError):
    """401: no key, or one that is not accepted."""


class PermissionDeniedError(APIError):
    """403: the key is known but may not do this."""


class NotFoundError(APIError):
    """404: no such model, response, conversation or path."""


class RequestTimeoutError(APIError):
    """408: the server gave up waiting for the request."""


class ConflictError(APIError):
    """409: the resource is in a state, or in use, so that this cannot be done now."""


class PayloadTooLargeError(APIError):
    """413: the body is larger than the server takes."""


class UnprocessableEntityError(APIError):
    """422: well-formed, but not acceptable."""


class RateLimitError(APIError):
    """429: too much, too fast, or the quota is used up."""


class ServerError(APIError):
    """5xx: the server failed."""


_BY_STATUS: Final[dict[int, type[APIError]]] = {
    400: BadRequestError,
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    408: RequestTimeoutError,
    409: ConflictError,
    413: PayloadTooLargeError,
    422: UnprocessableEntityError,
    429: RateLimitError,
}


class ResponseNotCompleted(ResponsesProtoError):
    """The response ended as something else than ``completed``; it is in ``response``."""

    def __init__(self, message: str, *, response: Response | None = None) -> None:
        super().__init__(message)
        self.response = response


class ResponseFailedError(ResponseNotCompleted):
    """The server reports ``failed``: the reason is in ``response.error``, and in the message."""


class ResponseIncompleteError(ResponseNotCompleted):
    """The server stopped early: the reason is in ``response.incomplete_details``, and in the message."""


class ResponseCancelledError(ResponseNotCompleted):
    """The response was cancelled."""


class ToolError(ResponsesProtoError):
    """A tool call could not be served. ``call`` is the item that asked for it."""

    def __init__(self, message: str, *, call: object = None) -> None:
        self.call = call
        """The tool-call item, such as a ``FunctionCall``."""
        super().__init__(message)


class ToolNotFound(ToolError):
    """The model called a tool that nobody registered."""


class ToolArgumentsInvalid(ToolError):
    """The model's arguments do not fit the tool's parameters."""

    def __init__(self, message: str, *, call: object = None, path: str = "$") -> None:
        self.path = path
        """Where, in JSONPath; ``$`` for arguments that are no JSON."""
        super().__init__(message, call=call)


class ApprovalRequired(ToolError):
    """The call needs an approval that nobody gave."""

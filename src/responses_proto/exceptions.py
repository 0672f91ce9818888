"""The errors of this package: one tree. The type identifies the kind of failure; the details are attributes.

::

    ResponsesProtoError
    ├── UsageError                    the library was called wrongly; also a ValueError
    ├── DecodeError                   a value does not match its type, or a text is not JSON
    ├── EncodeError                   a value cannot be written as JSON
    ├── ProtocolError
    │   ├── LocalProtocolError        you did something the protocol's state does not allow
    │   ├── RemoteProtocolError       the peer sent something the protocol does not allow
    │   └── WebhookVerificationError  a webhook is not signed with the secret, or not recent
    ├── LimitExceeded                 a bound of `Limits` was exceeded
    ├── TransportError
    │   ├── ConnectError              no connection was made; nothing was sent
    │   ├── DeadlineExceeded          a timeout of `Timeouts` ran out
    │   ├── StreamTruncated           the stream ended without a terminal event
    │   └── StreamInterrupted         the connection broke after output was delivered
    ├── NotAnEventStream              the response is not an event stream
    ├── APIError                      the server answered with an error
    │   ├── BadRequestError           400 and the other 4xx
    │   ├── AuthenticationError       401
    │   ├── PaymentRequiredError      402
    │   ├── PermissionDeniedError     403
    │   ├── NotFoundError             404
    │   ├── RequestTimeoutError       408
    │   ├── ConflictError             409
    │   ├── PayloadTooLargeError      413
    │   ├── UnprocessableEntityError  422
    │   ├── RateLimitError            429
    │   └── ServerError               5xx
    ├── ResponseNotCompleted          the response ended with a status other than `completed`
    │   ├── ResponseFailedError
    │   ├── ResponseIncompleteError
    │   └── ResponseCancelledError
    └── ToolError                     a tool call could not be served
        ├── ToolNotFound
        ├── ToolArgumentsInvalid
        └── ApprovalRequired

Each error can be constructed without an HTTP object, pickled and copied. If it ended a stream, it carries that stream's
``response`` (the partial or final snapshot), ``cursor`` and ``retry_safety``.
"""

from __future__ import annotations

from http import HTTPStatus
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
    "PaymentRequiredError",
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
    "WebhookFault",
    "WebhookVerificationError",
]

RetrySafety: TypeAlias = Literal["safe", "unsafe", "resumable"]
"""Whether the request can be sent again. ``safe``: no work is done twice. ``unsafe``: work may be done twice.
``resumable``: no work is done twice if the stream is resumed from the cursor."""


class ResponsesProtoError(Exception):
    """The base of every error of this package. ``str(error)`` is one readable line; the details are attributes."""

    response: Response | None = None
    """The partial or final snapshot of the response that this error ended; ``None`` if there is none."""
    cursor: Cursor | None = None
    """The last position seen in the stream; ``None`` if no event arrived."""
    retry_safety: RetrySafety | None = None
    """Whether the same request can be sent again; ``None`` if the error does not concern a request."""

    def __init__(self, message: str = "") -> None:
        super().__init__(message)

    def __reduce__(self) -> tuple[object, ...]:
        # The default calls the class with `args`, which fails for classes with keyword-only parameters.
        return _rebuild, (type(self), self.args), self.__dict__


def _rebuild(cls: type[ResponsesProtoError], args: tuple[object, ...]) -> ResponsesProtoError:
    error = cls.__new__(cls)
    error.args = args
    return error


class UsageError(ResponsesProtoError, ValueError):
    """The library was called wrongly: a bad argument, a missing setting, an unknown name. Nothing was sent.

    The message says what is allowed. It is also a ``ValueError``, so generic code can catch it.
    """


class DecodeError(ResponsesProtoError):
    """A value does not match its type, or a text is not JSON.

    Lenient decoding raises it only for JSON of the wrong kind and for text that is not JSON; strict decoding raises it for every mismatch.
    """

    def __init__(self, message: str, *, path: str = "$", type_name: str = "", excerpt: str = "") -> None:
        self.path = path
        """The JSONPath of the value: ``$.output[0].id``."""
        self.type_name = type_name
        """The name of the expected type."""
        self.excerpt = excerpt
        """The start of the offending value."""
        got = f", got {excerpt}" if excerpt else ""
        super().__init__(f"{message} @ {path} ({type_name}{got})" if type_name else f"{message} @ {path}{got}")


class EncodeError(ResponsesProtoError):
    """A value cannot be written as JSON: NaN, infinity, a type that JSON lacks, or a value that contains itself."""


class ProtocolError(ResponsesProtoError):
    """One side broke the protocol."""


class LocalProtocolError(ProtocolError):
    """The protocol's state does not allow this call, such as an event after the response has ended. Nothing was sent."""


class RemoteProtocolError(ProtocolError):
    """The peer broke the protocol. Raised in strict mode; lenient mode reports an anomaly instead."""

    def __init__(
        self,
        message: str,
        *,
        sequence_number: int | None = None,
        event_type: str | None = None,
        code: str | None = None,
    ) -> None:
        self.sequence_number = sequence_number
        """The sequence number of the offending event; ``None`` if it has none."""
        self.event_type = event_type
        """The type of the offending event; ``None`` if it has none."""
        self.code = code
        """The code of the anomaly: a key of ``responses_proto.anomalies.ANOMALY_CODES``."""
        super().__init__(message)


WebhookFault: TypeAlias = Literal[
    "header_missing", "timestamp_invalid", "timestamp_too_old", "timestamp_too_new", "signature_mismatch"
]
"""Why a webhook was rejected."""


class WebhookVerificationError(ProtocolError):
    """A webhook is not signed with the secret, or not recent. Answer the request with 400 and ignore it."""

    def __init__(self, message: str, *, reason: WebhookFault) -> None:
        self.reason: WebhookFault = reason
        """Why the webhook was rejected."""
        super().__init__(message)


class LimitExceeded(ResponsesProtoError):
    """A bound of ``Limits`` was exceeded. ``response`` holds the part that was read before."""

    def __init__(self, limit: str, value: int, *, maximum: int | None = None) -> None:
        self.limit = limit
        """The name of the bound: a field of ``Limits``."""
        self.value = value
        """The value that exceeded the bound. The true size may be larger, because reading stops at the bound."""
        self.maximum = maximum
        """The bound that was set; ``None`` if it is not known."""
        hint = f" (the limit is {maximum}; raise it with Limits({limit}=...))" if maximum is not None else ""
        super().__init__(f"{limit} exceeded: {value}{hint}")


class TransportError(ResponsesProtoError):
    """The connection failed, at any stage of the exchange."""


class ConnectError(TransportError):
    """No connection was made: unknown host, connection refused, TLS failure. Nothing was sent: ``retry_safety`` is ``safe``."""

    retry_safety: RetrySafety | None = "safe"


class DeadlineExceeded(TransportError):
    """An operation took longer than its timeout."""

    def __init__(self, kind: str, elapsed: float, *, limit: float | None = None) -> None:
        self.kind = kind
        """The field of ``Timeouts`` that expired (``connect``, ``write``, ``first_byte``, …), or ``tool`` for a tool call."""
        self.elapsed = elapsed
        """Seconds elapsed."""
        self.limit = limit
        """Seconds allowed; ``None`` if not known."""
        allowed = f" ({limit:g} s allowed)" if limit is not None else ""
        super().__init__(f"{kind.replace('_', ' ')} took over {elapsed:.3g} s{allowed}")


class StreamTruncated(TransportError):
    """The stream ended without a terminal event. ``response`` holds what arrived."""


class StreamInterrupted(TransportError):
    """The connection broke after output had been delivered. A background response can be resumed from ``cursor``."""


class NotAnEventStream(ResponsesProtoError):
    """The server answered a streaming request with something else: an HTML page, plain text, a redirect."""

    def __init__(self, message: str, *, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.status = status
        """The HTTP status code."""
        self.headers = headers
        """The response headers, with names in lower case."""
        self.body = body
        """The start of the body, at most 64 KiB."""
        super().__init__(message)


class APIError(ResponsesProtoError):
    """The server answered with an error. The attributes are the same for every shape of error body.

    :meth:`for_status` returns the subclass for a status code.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        code: str | None = None,
        type: str | None = None,  # noqa: A002 - the wire's name
        param: str | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
        headers: Mapping[str, str] | None = None,
        body: JSONValue = None,
    ) -> None:
        self.message = message
        """The server's message, unchanged."""
        self.status = status
        """The HTTP status; ``None`` for an error inside a stream."""
        self.code = code
        """The server's error code, such as ``rate_limit_exceeded``."""
        self.type = type
        """The server's error type, such as ``invalid_request_error``."""
        self.param = param
        """The request field that caused the error."""
        self.request_id = request_id
        """The server's id for this request, to quote to its support."""
        self.retry_after = retry_after
        """Seconds to wait before trying again; ``None`` if the server does not say."""
        self.headers: Mapping[str, str] = headers if headers is not None else {}
        """The response headers, with names in lower case."""
        self.body = body
        """The response body: decoded JSON, or text if it is not JSON."""
        facts = [f"HTTP {status}"] if status is not None else []
        facts += [value for value in (code or type, f"param {param}" if param else None) if value]
        facts += [f"request {request_id}"] if request_id else []
        super().__init__(f"{message} ({', '.join(facts)})" if facts else message)

    @property
    def answer_status(self) -> int:
        """The HTTP status to answer with: that of the error if it is 400 or more, else that of its class, else 500."""
        if self.status is not None and self.status >= HTTPStatus.BAD_REQUEST:
            return self.status
        return next((status for status, cls in _BY_STATUS.items() if isinstance(self, cls)), 500)

    @staticmethod
    def for_status(status: int | None) -> type[APIError]:
        """Return the class for an HTTP status code; ``APIError`` itself if the status is ``None`` or not an error."""
        if status is None:
            return APIError
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return ServerError
        if status >= HTTPStatus.BAD_REQUEST:
            return _BY_STATUS.get(status, BadRequestError)
        return APIError


class BadRequestError(APIError):
    """400, and any other 4xx without a class: the request is wrong; sending it again will not help."""


class AuthenticationError(APIError):
    """401: the API key is missing or not accepted."""


class PaymentRequiredError(APIError):
    """402: the credits are used up, or the account has no payment method."""


class PermissionDeniedError(APIError):
    """403: the API key does not permit this."""


class NotFoundError(APIError):
    """404: no such model, response, conversation or path."""


class RequestTimeoutError(APIError):
    """408: the server gave up waiting for the request."""


class ConflictError(APIError):
    """409: the state of the resource does not allow this now."""


class PayloadTooLargeError(APIError):
    """413: the request body is too large."""


class UnprocessableEntityError(APIError):
    """422: the request is well-formed but not valid."""


class RateLimitError(APIError):
    """429: too many requests, or the quota is used up."""


class ServerError(APIError):
    """5xx: the server failed."""


_BY_STATUS: Final[dict[int, type[APIError]]] = {
    400: BadRequestError,
    401: AuthenticationError,
    402: PaymentRequiredError,
    403: PermissionDeniedError,
    404: NotFoundError,
    408: RequestTimeoutError,
    409: ConflictError,
    413: PayloadTooLargeError,
    422: UnprocessableEntityError,
    429: RateLimitError,
}


class ResponseNotCompleted(ResponsesProtoError):
    """The response, in ``response``, ended with a status other than ``completed``."""

    def __init__(self, message: str, *, response: Response | None = None) -> None:
        super().__init__(message)
        self.response = response


class ResponseFailedError(ResponseNotCompleted):
    """The response ended as ``failed``. The reason is in ``response.error`` and in the message."""


class ResponseIncompleteError(ResponseNotCompleted):
    """The response ended as ``incomplete``. The reason is in ``response.incomplete_details`` and in the message."""


class ResponseCancelledError(ResponseNotCompleted):
    """The response was cancelled."""


class ToolError(ResponsesProtoError):
    """A tool call could not be served. ``call`` is the item that made it."""

    def __init__(self, message: str, *, call: object = None) -> None:
        self.call = call
        """The tool-call item, such as a ``FunctionCall``."""
        super().__init__(message)


class ToolNotFound(ToolError):
    """The model called a tool that is not registered."""


class ToolArgumentsInvalid(ToolError):
    """The model's arguments do not match the tool's parameters."""

    def __init__(self, message: str, *, call: object = None, path: str = "$") -> None:
        self.path = path
        """The JSONPath of the argument; ``$`` if the arguments are not JSON."""
        super().__init__(message, call=call)


class ApprovalRequired(ToolError):
    """The call needs approval and was not approved."""

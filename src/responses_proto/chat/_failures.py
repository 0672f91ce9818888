"""Map failures of a bridge's upstream to errors of the Responses API for the client.

If an upstream's error is about the request, its text is passed on. If it is about the operator's account, address or network, the client
gets a generic message, and the details are logged.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from ..exceptions import APIError, ConnectError, DeadlineExceeded, LimitExceeded, RateLimitError
from ..models.request import CreateResponse

if TYPE_CHECKING:
    from ..exceptions import ResponsesProtoError

_INVALID: Final = "invalid_request_error"
_SERVER: Final = "server_error"
_NO_LONGER: Final = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.CONFLICT, HTTPStatus.TOO_EARLY})
_ABOUT_ACCOUNT: Final = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.PAYMENT_REQUIRED, HTTPStatus.FORBIDDEN})
_PARAMETERS: Final = frozenset(attribute.name for attribute in CreateResponse.__attrs_attrs__)

_log: Final = logging.getLogger(__name__)


def bad_gateway(message: str, code: str = "upstream_error", *, status: int = HTTPStatus.BAD_GATEWAY) -> APIError:
    """Create an error that blames the server behind this one."""
    return APIError.for_status(status)(message, status=status, type=_SERVER, code=code)


def failure_for_client(error: ResponsesProtoError, name: str, *, forwarded: bool) -> APIError:
    """Return the error for the client. ``name`` is the name of the upstream, for the log.

    ``forwarded`` states whether the upstream received the client's own key, so that account errors concern the client.
    """
    if isinstance(error, APIError):
        return _from_answer(error, name, forwarded=forwarded)
    _log.warning("the upstream %s failed: %s", name, error)
    match error:
        case ConnectError():
            return bad_gateway("The model's server cannot be reached.", "upstream_unreachable")
        case DeadlineExceeded():
            message = "The model's server did not answer in time."
            return bad_gateway(message, "upstream_timeout", status=HTTPStatus.GATEWAY_TIMEOUT)
        case LimitExceeded():
            return bad_gateway("The model's server sent more than this server accepts.", "upstream_too_large")
        case _:
            return bad_gateway("The connection to the model's server broke off, or its answer cannot be read.")


def _from_answer(error: APIError, name: str, *, forwarded: bool) -> APIError:
    status = error.answer_status
    if status in _ABOUT_ACCOUNT and not forwarded:
        _log.error("the upstream %s refuses the key of this server: %s", name, error)
        return bad_gateway("The model's server refuses the key of this server.", "upstream_unauthorized")
    is_success = error.status is not None and error.status < HTTPStatus.BAD_REQUEST
    if is_success and not isinstance(error.body, Mapping):  # an error object with this status explains the failure
        _log.warning("the upstream %s failed: %s", name, error)
        return bad_gateway("The model's server did not send a chat completion.")
    if status in (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNPROCESSABLE_ENTITY):
        status = HTTPStatus.BAD_REQUEST
    elif status in _NO_LONGER or status > HTTPStatus.GATEWAY_TIMEOUT:
        status = HTTPStatus.SERVICE_UNAVAILABLE
    code = error.code
    if status == HTTPStatus.NOT_FOUND:
        code = "model_not_found"
    elif isinstance(error, RateLimitError):
        code = code or "rate_limit_exceeded"
    elif status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        code = code or _SERVER
    type_ = "rate_limit_error" if status == HTTPStatus.TOO_MANY_REQUESTS else _INVALID
    return APIError.for_status(status)(
        error.message,
        status=status,
        type=_SERVER if status >= HTTPStatus.INTERNAL_SERVER_ERROR else type_,
        code=code,
        param=error.param if error.param in _PARAMETERS else None,
        retry_after=error.retry_after,
        headers={key: value for key, value in error.headers.items() if key.startswith(("retry-after", "x-ratelimit-"))},
    )

"""Any exception as an answer in the API's error format."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import cast

import orjson
import psycopg.errors
import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import Route

from payments import metrics
from payments.errors import (
    ApiError,
    Conflict,
    Forbidden,
    InvalidInput,
    MethodNotAllowed,
    NotFound,
    ServerError,
    Unauthorized,
)
from payments.web.strict_json import explain

_BY_STATUS: dict[int, type[ApiError]] = {401: Unauthorized, 403: Forbidden, 404: NotFound, 405: MethodNotAllowed}
_SENTENCES = {404: "There is no such route.", 405: "This route does not take this method."}
_log = structlog.get_logger(__name__)


def as_api_error(error: Exception) -> ApiError:
    """Any exception as an error the caller may see; what is not ours becomes a ServerError that tells nothing."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, RequestValidationError):
        return explain(error)
    if isinstance(error, HTTPException):
        kind = _BY_STATUS.get(error.status_code, InvalidInput if error.status_code < 500 else ServerError)
        return kind(_SENTENCES.get(error.status_code, str(error.detail)), headers=error.headers)
    if isinstance(error, ClientDisconnect):
        return InvalidInput("The request's body broke off.")
    if isinstance(error, psycopg.errors.UniqueViolation):
        return Conflict("This exists already.", details={"constraint": error.diag.constraint_name})
    return ServerError("Something went wrong on our side; quote the request id to support.")


def told(error: Exception, request_id: str, path: str) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of an error; counts it, and logs it with its trace if it is ours."""
    known = as_api_error(error)
    metrics.ERRORS.labels(known.code).inc()
    if isinstance(known, ServerError):
        _log.error("request failed", path=path, exc_info=error)
    elif known.status in (401, 403):
        # Who was turned away, and why: without the credential.
        _log.warning("request refused", tag="security", path=path, code=known.code, why=known.sentence)
    elif known.status >= 500:
        _log.warning(
            "request not served", path=path, code=known.code, error=known.sentence, cause=repr(known.__cause__)
        )
    body = {"error": known.sentence, "code": known.code, "requestId": request_id}
    if known.details is not None:
        body["details"] = known.details
    payload = orjson.dumps(body, default=str)
    headers = {**known.headers, "content-type": "application/json", "content-length": str(len(payload))}
    return known.status, headers, payload


async def _answer(request: Request, error: Exception) -> Response:
    request_id = cast(str, getattr(request.state, "request_id", ""))
    status, headers, body = told(error, request_id, request.url.path)
    return Response(body, status, headers)


def _naming_methods(routes: Sequence[Route]) -> Callable[[Request, Exception], Awaitable[Response]]:
    """Answer 405 with every method of the path. Starlette names those of the first route alone."""

    async def answer(request: Request, error: Exception) -> Response:
        fitting = [route for route in routes if route.path_regex.match(request.url.path)]
        if isinstance(error, HTTPException) and fitting:
            methods = sorted({method for route in fitting for method in route.methods or ()})
            error = HTTPException(error.status_code, headers={"Allow": ", ".join(methods)})
        return await _answer(request, error)

    return answer


def install(application: FastAPI, routes: Sequence[Route] = ()) -> None:
    """Let the application answer every exception in one form. `routes` are all it has, for `Allow`."""
    callers = (ApiError, HTTPException, RequestValidationError, ClientDisconnect, psycopg.errors.UniqueViolation)
    for kind in (*callers, Exception):
        application.add_exception_handler(kind, _answer)
    application.add_exception_handler(405, _naming_methods(routes))

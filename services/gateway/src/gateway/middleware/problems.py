"""Errors turned into answers once."""

from __future__ import annotations

from aiohttp import web
from aiohttp.typedefs import Handler

from common.errors import EngineError, InvalidRequest
from common.logs import get_logger
from gateway.problems import error_of_http, problem_response
from gateway.route import REQUEST_ID

log = get_logger(__name__)


@web.middleware
async def answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except EngineError as error:
        if error.http_status == 500:
            log.exception("request_failed", code=error.code)
        return _problem(request, error)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        return _with_allow(_problem(request, error_of_http(error)), error)
    except web.RequestPayloadError as error:
        # Packed or cut into chunks as nobody can undo it.
        log.info("body_unreadable", error=str(error))
        return _problem(
            request,
            InvalidRequest(
                "The body cannot be read: it is not encoded as its headers say.",
                code="invalid_body_encoding",
            ),
        )
    except ConnectionResetError:
        raise  # the client has gone: nobody to answer
    except Exception:
        # A bug. The log has the traceback under the request's id; the caller gets the id and nothing else.
        log.exception("request_failed")
        return _problem(
            request,
            EngineError(
                "Something unexpected happened here. The log of the gateway knows more under this requestId."
            ),
        )


def _problem(request: web.Request, error: EngineError) -> web.Response:
    return problem_response(error, instance=request.path, request_id=request[REQUEST_ID])


def _with_allow(response: web.Response, error: web.HTTPException) -> web.Response:
    if isinstance(error, web.HTTPMethodNotAllowed):
        response.headers["Allow"] = error.headers["Allow"]
    return response

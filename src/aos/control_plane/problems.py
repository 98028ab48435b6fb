"""Errors as RFC 9457 problems: every answer that is not a success has this form, unknown paths and crashes included."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from django.core.exceptions import BadRequest, RequestDataTooBig, SuspiciousOperation
from django.http import Http404, HttpRequest, HttpResponse
from rest_framework import exceptions as rest

from aos.control_plane.binding import services
from aos.kernel.errors import (
    AosError,
    Forbidden,
    InvalidRequest,
    MethodNotAllowed,
    NotAcceptable,
    NotFound,
    TooLarge,
    Unauthenticated,
    UnsupportedMediaType,
)

PROBLEM: Final = "application/problem+json"
TYPE_PREFIX: Final = "urn:aos:problem:"

_LOG = logging.getLogger("aos.control_plane")
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")


def answer_exception(error: Exception, context: Mapping[str, Any]) -> HttpResponse:
    """Return the problem of whatever a view raised: Django REST Framework's one exception handler."""
    request = context["request"]
    return problem_response(aos_error(error), getattr(request, "_request", request))


def aos_error(error: Exception) -> AosError:
    """Return the row of the table of errors that an exception is; what nobody foresaw is logged and says nothing."""
    match error:
        case AosError():
            return error
        case Http404() | rest.NotFound():
            return NotFound("there is nothing at this path: `GET /openapi.json` lists what there is")
        case rest.MethodNotAllowed():
            return MethodNotAllowed("this path is not for this method: the header `Allow` lists those it is for")
        case rest.NotAuthenticated() | rest.AuthenticationFailed():
            return Unauthenticated("sign in first: send a personal token as `Authorization: Bearer aosp_...`")
        case rest.PermissionDenied():
            return Forbidden("this is not permitted to you")
        case rest.NotAcceptable():
            return NotAcceptable("this is served as `application/json` alone")
        case rest.UnsupportedMediaType():
            return UnsupportedMediaType("send the body as `application/json`")
        case RequestDataTooBig():
            return TooLarge("the body is too large")
        case rest.ParseError() | BadRequest() | SuspiciousOperation():
            return InvalidRequest("the request cannot be read")
        case _:
            pass
    _LOG.error("unforeseen error in the control plane", exc_info=error)
    return AosError("an unforeseen error; the log has it under this trace id")


def problem_response(error: AosError, request: HttpRequest) -> HttpResponse:
    """Return the answer for an error."""
    body: dict[str, Any] = {
        **error.extra,
        "type": TYPE_PREFIX + error.slug,
        "title": error.title,
        "status": error.status,
        "detail": error.detail,
        "instance": request.path,
        "trace_id": trace_id(request),
    }
    if error.errors:
        body["errors"] = [{"pointer": each.pointer, "detail": each.detail} for each in error.errors]
    if error.reasons:
        body["reasons"] = list(error.reasons)
    response = HttpResponse(msgspec.json.encode(body), status=error.status, content_type=PROBLEM)
    if isinstance(error, Unauthenticated):
        response["WWW-Authenticate"] = 'Bearer realm="aos"'
    if "retry_after_seconds" in body:
        response["Retry-After"] = str(body["retry_after_seconds"])
    response["AOS-Version"] = "1"
    return response


def trace_id(request: HttpRequest) -> str:
    """Return the request's trace id: the caller's (W3C trace context), else one made for it, kept on the request."""
    known: str | None = getattr(request, "aos_trace_id", None)
    if known is None:
        given = _TRACEPARENT.fullmatch(request.headers.get("traceparent", ""))
        known = given[1] if given else services().drivers.ids.random_bytes(16).hex()
        request.aos_trace_id = known  # type: ignore[attr-defined]
    return known


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Answer a path that leads nowhere: Django's handler404."""
    return problem_response(aos_error(Http404()), request)


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Answer what Django itself could not read: Django's handler400."""
    return problem_response(aos_error(BadRequest()), request)


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer what was raised outside of a view: Django's handler500."""
    return problem_response(AosError("an unforeseen error; the log has it under this trace id"), request)

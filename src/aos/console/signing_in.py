"""Signing in and out, choosing the organization and the theme.

A one-time link is used by a form, never by opening its address: what looks at links in messages must not use them up.
"""

from __future__ import annotations

import hmac

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import path

from aos.console.assets import asset_address
from aos.console.binding import services
from aos.console.doors import (
    THEME_COOKIE,
    THEMES,
    Visit,
    check_own_page,
    failure,
    form_token,
    local_address,
    page,
    page_id,
    secured,
    theme_of,
)
from aos.console.rendering import render
from aos.kernel.errors import AosError, Forbidden, InvalidRequest, MethodNotAllowed, Unauthenticated
from aos.operations.sessions import (
    SESSION_COOKIE,
    SESSION_SECONDS,
    OpenedSession,
    choose_organization,
    end_session,
    open_session_by_link,
    open_session_by_token,
)

THEME_SECONDS = 366 * 86_400


def sign_in(request: HttpRequest) -> HttpResponse:
    """Show the form, or open a session from what it sent."""
    try:
        if request.method == "POST":
            check_own_page(request)
            return secured(_open(request))
        if request.method not in ("GET", "HEAD"):
            raise MethodNotAllowed(f"this page is not for the method `{request.method}`")
    except Unauthenticated as error:
        return secured(_form(request, error=error))
    except AosError as error:
        return secured(failure(request, error))
    return secured(_form(request))


def _open(request: HttpRequest) -> HttpResponse:
    link, token = str(request.POST.get("link", "")), str(request.POST.get("token", ""))
    drivers = services().drivers
    opened = open_session_by_link(drivers, link) if link else open_session_by_token(drivers, token)
    response = HttpResponseRedirect(local_address(str(request.POST.get("next", ""))))
    _keep(request, response, opened)
    return response


def _keep(request: HttpRequest, response: HttpResponse, opened: OpenedSession) -> None:
    secure = request.is_secure() or request.headers.get("X-Forwarded-Proto") == "https"
    response.set_cookie(
        SESSION_COOKIE, opened.cookie, max_age=SESSION_SECONDS, httponly=True, samesite="Lax", secure=secure
    )


def _form(request: HttpRequest, error: AosError | None = None) -> HttpResponse:
    context = {
        "link": "" if error else str(request.GET.get("link", ""))[:200],
        "next": local_address(str(request.GET.get("next", "") or request.POST.get("next", ""))),
        "error": error,
        "theme": theme_of(request),
        "stylesheet": asset_address("console.css"),
        "script": asset_address("console.js"),
    }
    return HttpResponse(render("sign_in.html", context), status=error.status if error else 200)


def sign_out(visit: Visit) -> HttpResponse:
    """End the session."""
    end_session(services().drivers, visit.cookie)
    response = HttpResponseRedirect("/console/sign-in")
    response.delete_cookie(SESSION_COOKIE, samesite="Lax")
    return response


def choose(visit: Visit) -> HttpResponse:
    """Show another of the person's organizations from now on."""
    choose_organization(visit.cookie, page_id(str(visit.request.POST.get("organization", ""))))
    return HttpResponseRedirect("/console/")


def choose_theme(request: HttpRequest) -> HttpResponse:
    """Keep light, dark, or what the system says, and go back."""
    try:
        check_own_page(request)
        cookie = request.COOKIES.get(SESSION_COOKIE, "")
        if not hmac.compare_digest(str(request.POST.get("form_token", "")), form_token(cookie)):
            raise Forbidden("this form is from another session: go back, load the page again and repeat")
        theme = str(request.POST.get("theme", ""))
        if theme not in (*THEMES, "system"):
            raise InvalidRequest(f"`{theme[:20]}` is no theme: choose light, dark or system")
    except AosError as error:
        return secured(failure(request, error))
    response = HttpResponseRedirect(local_address(str(request.POST.get("next", ""))))
    if theme == "system":
        response.delete_cookie(THEME_COOKIE, samesite="Lax")
    else:
        response.set_cookie(THEME_COOKIE, theme, max_age=THEME_SECONDS, samesite="Lax")
    return secured(response)


urlpatterns = [
    path("console/sign-in", sign_in),
    path("console/sign-out", page(sign_out, methods=("POST",))),
    path("console/organization", page(choose, methods=("POST",))),
    path("console/theme", choose_theme),
]

"""The door of every page: who asks, what they may be shown, what went wrong, and the headers that hold scripts out.

A page is a function from a `Visit` to an answer; `page` wraps it. A form carries a token that only the session's own pages
know, made from the session's cookie; without it nothing is changed.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import Any, Final
from urllib.parse import quote
from uuid import UUID
from zoneinfo import ZoneInfo

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect

from aos.console.assets import asset_address
from aos.console.binding import services
from aos.console.frame import Frame, governed_state, initials_of
from aos.console.rendering import render
from aos.kernel.errors import AosError, Forbidden, MethodNotAllowed, NotFound, TooLarge, Unauthenticated
from aos.kernel.people import Actor, Permission
from aos.operations.pages import parse_uuid
from aos.operations.sessions import SESSION_COOKIE
from aos.operations.sign_in import SignedIn, sign_in_with_session
from aos.operations.standing import Standing, load_standing

THEME_COOKIE: Final = "aos_theme"
THEMES: Final = ("light", "dark")
FORM_BYTES_MAX: Final = 20_000
"""The largest form that a page sends."""
POLICY: Final = (
    "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; img-src 'self'"
)
HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}

_LOG = logging.getLogger("aos.console")
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")


@dataclass(frozen=True, slots=True)
class Visit:
    """One signed-in request in one organization."""

    request: HttpRequest
    person: SignedIn
    actor: Actor
    standing: Standing
    cookie: str

    def query(self, name: str) -> str:
        """Return a parameter of the address, empty where it is not given."""
        return str(self.request.GET.get(name, ""))[:400]

    def may(self, permission: Permission) -> bool:
        """Say whether the person may do this here."""
        return self.actor.may(permission)

    def frame(self, place: str) -> Frame:
        """Return the shell of a page."""
        governed, detail = governed_state(self.standing)
        return Frame(
            place=place,
            organization=self.person.membership(str(self.actor.organization_id)),
            organizations=self.person.memberships,
            environment=self.standing.environment,
            currency=self.standing.currency,
            person=self.person.name or self.person.email,
            email=self.person.email,
            initials=initials_of(self.person),
            roles=tuple(sorted(self.actor.roles)),
            governed=governed,
            governed_detail=detail,
            approvals_pending=self.standing.approvals_pending,
            theme=theme_of(self.request),
            form_token=form_token(self.cookie),
            address=self.request.get_full_path(),
            query={key: value for key, value in self.request.GET.items() if isinstance(value, str)},
            now=self.standing.now,
            zone=ZoneInfo(self.standing.timezone),
        )

    def show(self, template: str, place: str, *, http_status: int = 200, **values: Any) -> HttpResponse:
        """Answer with a page."""
        context = {"frame": self.frame(place), **values}
        return HttpResponse(render(template, context), status=http_status)


def page(
    view: Callable[..., HttpResponse], *, methods: tuple[str, ...] = ("GET", "HEAD")
) -> Callable[..., HttpResponse]:
    """Return a Django view for a page of signed-in people; whoever is not signed in is sent to do so and back."""

    @wraps(view)
    def handle(request: HttpRequest, **names: Any) -> HttpResponse:
        try:
            visit = open_visit(request)
        except Unauthenticated:
            where = quote(request.get_full_path(), safe="/")
            return secured(HttpResponseRedirect(f"/console/sign-in?next={where}"))
        except AosError as error:
            return secured(failure(request, error))
        return secured(_answer(visit, view, names, methods=methods))

    return handle


def _answer(
    visit: Visit, view: Callable[..., HttpResponse], names: dict[str, Any], *, methods: tuple[str, ...]
) -> HttpResponse:
    try:
        if visit.request.method not in methods:
            raise MethodNotAllowed(f"this page is not for the method `{visit.request.method}`")
        if visit.request.method == "POST":
            check_form(visit.request, form_token(visit.cookie))
        return view(visit, **names)
    except AosError as error:
        return failure(visit.request, error, visit)
    except Exception as error:
        _LOG.exception("unforeseen error in the console", exc_info=error)
        return failure(visit.request, AosError("something broke inside; the log has it under this trace id"), visit)


def open_visit(request: HttpRequest) -> Visit:
    """Return who asks and how their organization stands; raise Unauthenticated without a session that counts."""
    cookie = request.COOKIES.get(SESSION_COOKIE, "")
    if not cookie:
        raise Unauthenticated("sign in first")
    person = sign_in_with_session(cookie)
    actor = person.actor(None)
    return Visit(request, person, actor, load_standing(actor), cookie)


def secured(response: HttpResponse) -> HttpResponse:
    """Return an answer with the headers that every page carries."""
    for name, value in HEADERS.items():
        response[name] = value
    return response


def failure(request: HttpRequest, error: AosError, visit: Visit | None = None) -> HttpResponse:
    """Answer with what went wrong, where, and what to do."""
    context: dict[str, Any] = {
        "error": error,
        "trace_id": trace_id(request),
        "where": f"{request.method} {request.path}",
        "theme": theme_of(request),
        "stylesheet": asset_address("console.css"),
        "script": asset_address("console.js"),
    }
    if visit is not None:
        return visit.show("error.html", "", http_status=error.status, **context)
    return HttpResponse(render("error_alone.html", context), status=error.status)


def trace_id(request: HttpRequest) -> str:
    """Return the caller's trace id (W3C trace context), else one made for this request."""
    given = _TRACEPARENT.fullmatch(request.headers.get("traceparent", ""))
    return given[1] if given else services().drivers.ids.random_bytes(16).hex()


def form_token(cookie: str) -> str:
    """Return the token that forms of this session carry: nobody without the cookie can make it."""
    return hmac.new(cookie.encode("utf-8", "surrogatepass"), b"aos-console-form", hashlib.sha256).hexdigest()


def check_form(request: HttpRequest, token: str) -> None:
    """Raise Forbidden for a form that another site sent, TooLarge for one that is too long."""
    check_own_page(request)
    if not hmac.compare_digest(str(request.POST.get("form_token", "")), token):
        raise Forbidden("this form is from another session: go back, load the page again and repeat")


def check_own_page(request: HttpRequest) -> None:
    """Raise Forbidden where a browser says that another site sent this, TooLarge where it is too long."""
    length = request.headers.get("Content-Length", "0")
    if not length.isdigit() or int(length) > FORM_BYTES_MAX:
        raise TooLarge(f"a form has at most {FORM_BYTES_MAX} bytes")
    site = request.headers.get("Sec-Fetch-Site")
    origin = request.headers.get("Origin", "")
    ours = site == "same-origin" if site is not None else origin.partition("://")[2] == request.headers.get("Host", "")
    if not ours:
        raise Forbidden("a form must be sent from a page of this address")


def theme_of(request: HttpRequest) -> str:
    """Return the theme that the person chose, empty where the system's counts."""
    chosen = request.COOKIES.get(THEME_COOKIE, "")
    return chosen if chosen in THEMES else ""


def local_address(wanted: str) -> str:
    """Return where to go on to: an address of the console, whatever was asked for."""
    fits = wanted.startswith("/console/") and not wanted.startswith("/console/sign-") and wanted.isprintable()
    return wanted if fits and "\\" not in wanted else "/console/"


def page_id(text: str) -> UUID:
    """Return the UUID that an address names; raise NotFound."""
    found = parse_uuid(text)
    if found is None:
        raise NotFound(f"there is nothing called `{text[:80]}` here")
    return found


def page_cursor(visit: Visit) -> str | None:
    """Return the cursor of a list's page, None for its first."""
    return visit.query("cursor") or None

"""Who asks: a personal token as bearer, or the session cookie of the console.

A cookie is sent by a browser whoever made it ask, so under one a write must come from our own pages.
"""

from __future__ import annotations

from typing import Final

from django.http import HttpRequest
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from aos.kernel.errors import Forbidden, Unauthenticated
from aos.operations.sign_in import SignedIn, sign_in_with_session, sign_in_with_token

SESSION_COOKIE: Final = "aos_session"
SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})


class PersonAuthentication(BaseAuthentication):
    """Finds the person behind a request; without a credential the request is refused."""

    def authenticate(self, request: Request) -> tuple[SignedIn, None]:
        """Return who asks; raise Unauthenticated."""
        return sign_in(request._request), None

    def authenticate_header(self, request: Request) -> str:
        """Return what a refusal names as the way to sign in."""
        return 'Bearer realm="aos"'


def sign_in(request: HttpRequest) -> SignedIn:
    """Return the person behind a request's credential; raise Unauthenticated, or Forbidden for a forged write."""
    given = request.headers.get("Authorization", "")
    if given:
        scheme, _, token = given.partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise Unauthenticated("send a personal token as `Authorization: Bearer aosp_...`")
        return sign_in_with_token(token.strip())
    cookie = request.COOKIES.get(SESSION_COOKIE)
    if not cookie:
        raise Unauthenticated("sign in first: send a personal token as `Authorization: Bearer aosp_...`")
    if request.method not in SAFE_METHODS and not _is_our_own_page(request):
        raise Forbidden("a write under a session must come from a page of this address")
    return sign_in_with_session(cookie)


def _is_our_own_page(request: HttpRequest) -> bool:
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site == "same-origin"
    origin = request.headers.get("Origin", "")
    return origin.partition("://")[2] == request.headers.get("Host", "") != ""

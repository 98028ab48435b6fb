"""What every view shares: the version asked for, who asks, and how reads and writes are answered."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypeVar

import msgspec
from django.http import HttpRequest, HttpResponse
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.views import APIView

from aos.control_plane.binding import services
from aos.control_plane.bodies import Reader, read_flag, read_query
from aos.kernel.errors import NotAcceptable, NotFound
from aos.kernel.json import Json
from aos.kernel.people import Actor
from aos.operations.idempotency import Reply, WriteRequest, perform_write
from aos.operations.pages import Page
from aos.operations.registry_records import Edit
from aos.operations.sign_in import SignedIn

T = TypeVar("T")

VERSION: Final = "1"
ORGANIZATION_HEADER: Final = "AOS-Organization"
_ACCEPT_VERSION = re.compile(r";\s*version=\"?([^\s;,\"]+)")


class OneKind(BaseContentNegotiation):
    """There is one media type: what is asked for otherwise is answered in it all the same."""

    def select_parser(self, request: Request, parsers: Iterable[Any]) -> None:
        """Choose none: views read their bodies themselves."""

    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[Any, str]:
        """Choose the one there is."""
        renderer = next(iter(renderers))
        return renderer, str(renderer.media_type)


class Endpoint(APIView):
    """One path: a subclass has a method for each verb, takes the request and the path's names."""

    content_negotiation_class = OneKind

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Refuse a version that is not served, find out who asks, and know nothing by a name that cannot be stored."""
        check_version(request._request)
        super().initial(request, *args, **kwargs)
        if any("\0" in str(value) for value in kwargs.values()):
            raise NotFound("there is nothing of this name: it holds the character U+0000")

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        """Say which version answered."""
        response["AOS-Version"] = VERSION
        response.setdefault("Cache-Control", "no-store")
        return super().finalize_response(request, response, *args, **kwargs)

    def person(self, request: Request) -> SignedIn:
        """Return who asks."""
        found: SignedIn = request.user  # type: ignore[assignment]
        return found

    def actor(self, request: Request) -> Actor:
        """Return who asks, in the organization chosen by header, else the newest."""
        return self.person(request).actor(request._request.headers.get(ORGANIZATION_HEADER) or None)

    def write(
        self,
        request: Request,
        do: Callable[[Edit], Reply],
        *,
        body: Json = None,
    ) -> HttpResponse:
        """Do a write under its Idempotency-Key, or only try it, and answer."""
        return reply_response(perform_write(services().drivers, self.actor(request), self.asked(request, body), do=do))

    def asked(self, request: Request, body: Json, *, readers: Mapping[str, Reader] | None = None) -> WriteRequest:
        """Return how the write is asked for."""
        plain = request._request
        given = read_query(plain, {"dry_run": read_flag, **(readers or {})})
        return WriteRequest(
            name=f"{plain.method} {plain.get_full_path()}",
            body=body,
            key=plain.headers.get("Idempotency-Key"),
            dry_run=given.get("dry_run", False),
        )


class OpenEndpoint(Endpoint):
    """A path that asks nobody who they are."""

    authentication_classes = ()


def check_version(request: HttpRequest) -> None:
    """Raise NotAcceptable where a version is asked for that is not served."""
    wanted = request.headers.get("AOS-Version")
    if wanted is None:
        found = _ACCEPT_VERSION.search(request.headers.get("Accept", ""))
        wanted = found[1] if found else VERSION
    if wanted != VERSION:
        raise NotAcceptable(f"version `{wanted[:40]}` is not served: ask for `AOS-Version: {VERSION}`")


def json_response(body: object, *, status: int = 200) -> HttpResponse:
    """Answer with JSON."""
    return HttpResponse(msgspec.json.encode(body), status=status, content_type="application/json")


def page_response(page: Page[T], show: Callable[[T], Json]) -> HttpResponse:
    """Answer with a page of a list."""
    return json_response({"items": [show(item) for item in page.items], "next": page.next})


def reply_response(reply: Reply) -> HttpResponse:
    """Answer with what a write came to."""
    response = json_response(reply.body, status=reply.status)
    if reply.location is not None and reply.status == 201:
        response["Location"] = reply.location
    if reply.replayed:
        response["Idempotency-Replayed"] = "true"
    return response

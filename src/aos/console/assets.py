"""The console's own static files: served under names that carry their hash, so that a browser keeps them for good."""

from __future__ import annotations

import functools
import hashlib
from importlib.resources import files
from typing import Final

from django.http import HttpRequest, HttpResponse
from django.urls import path

from aos.kernel.errors import NotFound

_TYPES: Final = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"}
HASH_CHARACTERS: Final = 12
PREFIX: Final = "/console/static/"


@functools.cache
def asset(name: str) -> tuple[bytes, str]:
    """Return the bytes of a static file and the hash in its address; raise NotFound for a name that is none."""
    names = {each.name for each in files("aos.console").joinpath("static").iterdir()}
    if name not in names:
        raise NotFound(f"there is no static file `{name[:80]}`")
    content = files("aos.console").joinpath("static", name).read_bytes()
    return content, hashlib.sha256(content).hexdigest()[:HASH_CHARACTERS]


def asset_address(name: str) -> str:
    """Return the address of a static file: it changes when the file does."""
    stem, _, kind = name.rpartition(".")
    return f"{PREFIX}{stem}.{asset(name)[1]}.{kind}"


def serve_asset(request: HttpRequest, name: str) -> HttpResponse:
    """Serve a static file; under the right hash it never changes, under another one it is not kept."""
    stem, _, rest = name.partition(".")
    hashed, _, kind = rest.partition(".")
    try:
        content, current = asset(f"{stem}.{kind}")
    except NotFound:
        return HttpResponse("there is no such file\n", status=404, content_type="text/plain; charset=utf-8")
    response = HttpResponse(content, content_type=_TYPES.get(kind, "application/octet-stream"))
    kept = hashed == current
    response["Cache-Control"] = "public, max-age=31536000, immutable" if kept else "no-store"
    response["X-Content-Type-Options"] = "nosniff"
    return response


urlpatterns = [path("console/static/<str:name>", serve_asset)]

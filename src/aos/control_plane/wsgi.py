"""The control plane as a WSGI application. Django is set up before, with `settings.WEB` and `settings.ROOT_URLCONF`."""

from __future__ import annotations

from django.core.handlers.wsgi import WSGIHandler
from django.urls import get_resolver

from aos.control_plane.binding import Services, bind


def build_application(services: Services) -> WSGIHandler:
    """Return the application that serves every path of `urls`, acting through `services`."""
    bind(services)
    # Imports every view now: a mistake in one is found when the process starts, not at the first request.
    assert get_resolver().url_patterns
    return WSGIHandler()

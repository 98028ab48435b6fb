"""The control plane as a WSGI application. Django is set up before, with `settings.WEB` and `settings.ROOT_URLCONF`."""

from __future__ import annotations

from django.core.handlers.wsgi import WSGIHandler

from aos.control_plane.services import Services, bind


def build_application(services: Services) -> WSGIHandler:
    """Return the application that serves every path of `urls`, acting through `services`."""
    bind(services)
    return WSGIHandler()

"""Every path of the control plane's process: REST, and the console where it is installed."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec

from aos.control_plane import urls as rest

urlpatterns = [
    *rest.urlpatterns,
    *(import_module("aos.console.urls").urlpatterns if find_spec("aos.console.urls") is not None else ()),
]

handler400 = rest.handler400
handler404 = rest.handler404
handler500 = rest.handler500

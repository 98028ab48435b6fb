"""Every path of the control plane's process: REST, and the console where it is installed."""

from __future__ import annotations

from aos.boot.console import console_paths
from aos.control_plane import urls as rest

urlpatterns = [*rest.urlpatterns, *console_paths()]

handler400 = rest.handler400
handler404 = rest.handler404
handler500 = rest.handler500

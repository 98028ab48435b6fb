"""The paths that the tests' server serves: the console's, then the control plane's."""

from __future__ import annotations

from aos.console.urls import urlpatterns as console
from aos.control_plane.urls import urlpatterns as control_plane

urlpatterns = [*console, *control_plane]

"""The console in the control plane's process, where it is installed: its paths, and what its pages act through."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any

from aos.operations.bridge import Bridge, Hot
from aos.operations.drivers import Drivers

_BINDING = "aos.console.binding"
_URLS = "aos.console.urls"


def has_console() -> bool:
    """Say whether the console is installed."""
    return find_spec(_URLS) is not None


def console_paths() -> list[Any]:
    """Return the console's paths, none where it is not installed."""
    return list(import_module(_URLS).urlpatterns) if has_console() else []


def bind_console(drivers: Drivers, bridge: Bridge[Hot]) -> None:
    """Give the console's pages what they act through."""
    if has_console():
        binding = import_module(_BINDING)
        binding.bind(binding.ConsoleServices(drivers=drivers, bridge=bridge))

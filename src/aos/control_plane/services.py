"""What the views act through, bound once when the process starts."""

from __future__ import annotations

from dataclasses import dataclass

from aos.kernel.errors import Misconfigured
from aos.operations.drivers import Drivers


@dataclass(frozen=True, slots=True)
class Services:
    """Everything a view needs besides the request."""

    drivers: Drivers
    version: str = "0"


_bound: list[Services] = []


def bind(services: Services) -> None:
    """Give the views what they act through; the last call counts."""
    _bound[:] = [services]


def services() -> Services:
    """Return what was bound; raise Misconfigured before that."""
    if not _bound:
        raise Misconfigured("the control plane has no services: bind them when the process starts")
    return _bound[0]

"""Every path of the console, to be joined with the control plane's by whoever starts the process."""

from __future__ import annotations

from typing import Final

from django.http import HttpRequest, HttpResponse
from django.urls import path

from aos.console import (
    acts,
    agent,
    approvals,
    assets,
    audit,
    cost,
    fleet,
    policies,
    run,
    run_orders,
    runs,
    schedules,
    searching,
    signing_in,
)
from aos.console.doors import Visit, page
from aos.kernel.errors import NotFound


def nowhere(visit: Visit, rest: str) -> HttpResponse:
    """Answer an address of the console that leads nowhere."""
    raise NotFound(f"there is no page `/console/{rest[:80]}`")


def to_console(request: HttpRequest) -> HttpResponse:
    """Lead from the bare address to the console."""
    return HttpResponse(status=302, headers={"Location": "/console/"})


urlpatterns: Final = [
    path("", to_console),
    *assets.urlpatterns,
    *signing_in.urlpatterns,
    *searching.urlpatterns,
    *fleet.urlpatterns,
    *agent.urlpatterns,
    *runs.urlpatterns,
    *run.urlpatterns,
    *run_orders.urlpatterns,
    *acts.urlpatterns,
    *approvals.urlpatterns,
    *policies.urlpatterns,
    *schedules.urlpatterns,
    *cost.urlpatterns,
    *audit.urlpatterns,
    path("console/<path:rest>", page(nowhere)),
]

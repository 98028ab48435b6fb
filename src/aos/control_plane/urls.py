"""Every path of the control plane, one list for each noun, and the answers to what leads nowhere."""

from __future__ import annotations

from typing import Final

from aos.control_plane import (
    agents,
    approvals,
    audit,
    budgets,
    departments,
    documents,
    hooks,
    mcp_servers,
    models,
    organizations,
    people,
    policies,
    purposes,
    queues,
    runs,
    runs_steering,
    schedules,
    secrets,
    signals,
    signing_keys,
    tools,
    traces,
    usage,
    workflows,
)

urlpatterns: Final = [
    *agents.urlpatterns,
    *approvals.urlpatterns,
    *audit.urlpatterns,
    *budgets.urlpatterns,
    *departments.urlpatterns,
    *documents.urlpatterns,
    *hooks.urlpatterns,
    *mcp_servers.urlpatterns,
    *models.urlpatterns,
    *organizations.urlpatterns,
    *people.urlpatterns,
    *policies.urlpatterns,
    *purposes.urlpatterns,
    *queues.urlpatterns,
    *runs.urlpatterns,
    *runs_steering.urlpatterns,
    *schedules.urlpatterns,
    *secrets.urlpatterns,
    *signals.urlpatterns,
    *signing_keys.urlpatterns,
    *tools.urlpatterns,
    *traces.urlpatterns,
    *usage.urlpatterns,
    *workflows.urlpatterns,
]

handler400 = "aos.control_plane.problems.bad_request"
handler404 = "aos.control_plane.problems.not_found"
handler500 = "aos.control_plane.problems.server_error"

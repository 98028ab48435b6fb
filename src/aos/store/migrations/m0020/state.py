"""The models as this migration left them: generated, frozen, and compared with nothing but later migrations."""

from __future__ import annotations

from django.db import migrations, models
from django.db.migrations.operations.base import Operation
from django.db.models import Q


def _only(model: str, name: str, *fields: str, given: str) -> list[Operation]:
    index = models.Index(fields=list(fields), name=name, condition=Q(**{f"{given}__isnull": False}))
    return [migrations.RemoveIndex(model, name), migrations.AddIndex(model, index)]


OPERATIONS = [
    *_only("Task", "task_run", "organization_id", "run_id", "id", given="run_id"),
    *_only("Run", "run_state", "organization_id", "state", "id", given="state"),
    *_only("Edge", "edge_run", "organization_id", "run_id", given="run_id"),
    *_only("Edge", "edge_target", "organization_id", "target_id", given="target_id"),
    *_only("Action", "action_agent", "organization_id", "agent_id", "id", given="agent_id"),
    migrations.RemoveIndex("Approval", "approval_act"),
    migrations.AddIndex(
        "Approval", models.Index(fields=["organization_id", "digest", "agent_id"], name="approval_act")
    ),
    migrations.RemoveIndex("Action", "action_open"),
    migrations.AddIndex(
        "Action",
        models.Index(fields=["deadline"], name="action_open", condition=Q(state="intended", deadline__isnull=False)),
    ),
]

"""The models as this migration left them: generated, frozen, and compared with nothing but later migrations."""

from __future__ import annotations

from django.db import migrations, models

OPERATIONS = [
    migrations.AddField(model_name="a2apush", name="quiet", field=models.IntegerField(db_default=0)),
    migrations.AddField(model_name="a2aremote", name="attempt", field=models.IntegerField(null=True)),
    migrations.AddIndex(
        model_name="a2atask",
        index=models.Index(fields=["organization_id", "principal_id", "agent_id", "id"], name="a2a_task_sender"),
    ),
    migrations.AddIndex(
        model_name="action",
        index=models.Index(
            fields=["organization_id", "task_id"],
            name="action_refused",
            condition=models.Q(state="refused", task_id__isnull=False),
        ),
    ),
    migrations.AddIndex(
        model_name="approval",
        index=models.Index(
            fields=["organization_id", "task_id"],
            name="approval_waits",
            condition=models.Q(status="pending", task_id__isnull=False),
        ),
    ),
]

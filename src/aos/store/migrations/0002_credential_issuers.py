"""Binds people's links, tokens and sessions to the organization that issued them."""

from __future__ import annotations

from django.db import migrations, models

from aos.store.schema_files import run_files


class Migration(migrations.Migration):
    """Three columns; what stands is bound to the person's first organization."""

    dependencies = [("store", "0001_initial")]
    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[run_files("m0002")],
            state_operations=[
                migrations.AddField("PersonToken", "issuer_id", models.UUIDField()),
                migrations.AddField("Session", "issuer_id", models.UUIDField()),
                migrations.AddField("Member", "founded_from_id", models.UUIDField(null=True)),
            ],
        )
    ]

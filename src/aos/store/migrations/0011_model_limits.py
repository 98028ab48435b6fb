"""Lets models have a limit, and finds limited acts under way by kind and name, as tools and models are named alike."""

from __future__ import annotations

from django.db import migrations, models
from django.db.models import Q

from aos.store.schema_files import run_files


class Migration(migrations.Migration):
    """One constraint made wider, and one partial index in the place of another; no model had a limit before."""

    dependencies = [("store", "0010_act_prices")]
    operations = [
        run_files("m0011"),
        migrations.AddIndex(
            "Action",
            models.Index(
                fields=["organization_id", "kind", "name"],
                name="action_turns",
                condition=Q(state="intended", limited=True),
            ),
        ),
        migrations.RemoveIndex("Action", "action_limited"),
    ]

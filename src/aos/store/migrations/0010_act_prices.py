"""Keeps what an act may cost with its intent: whoever finds it without conclusion charges that, whatever its model costs by then."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    """Two columns; acts intended before cost what was held for them."""

    dependencies = [("store", "0009_models")]
    operations = [
        migrations.AddField("Action", "price_nanos", models.BigIntegerField(null=True)),
        migrations.AddField("Action", "price_currency", models.TextField(null=True)),
    ]

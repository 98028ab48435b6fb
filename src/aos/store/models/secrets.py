"""Keys, secrets and sealed content."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from aos.store.models.database import AosNow


class DataKey(models.Model):
    """A data key, wrapped by a key-encryption key that never enters the database."""

    pk = models.CompositePrimaryKey("organization_id", "id")
    organization_id = models.UUIDField()
    id = models.UUIDField()
    key_encryption_key = models.TextField()
    wrapped = models.BinaryField()
    state = models.TextField()
    created_at = models.DateTimeField(db_default=AosNow())

    class Meta:
        db_table = "data_key"
        constraints = [
            models.UniqueConstraint(fields=["organization_id"], name="data_key_current", condition=Q(state="current")),
        ]


class Secret(models.Model):
    """A value sealed under a data key."""

    pk = models.CompositePrimaryKey("organization_id", "id")
    organization_id = models.UUIDField()
    id = models.UUIDField()
    name = models.TextField()
    data_key_id = models.UUIDField()
    sealed = models.BinaryField()
    version = models.IntegerField(db_default=1)
    created_at = models.DateTimeField(db_default=AosNow())
    updated_at = models.DateTimeField(db_default=AosNow())

    class Meta:
        db_table = "secret"
        constraints = [
            models.UniqueConstraint(fields=["organization_id", "name"], name="secret_organization_id_name_key"),
        ]


class SigningKey(models.Model):
    """A key that signs checkpoints or tokens; its private half is a secret."""

    pk = models.CompositePrimaryKey("organization_id", "id")
    organization_id = models.UUIDField()
    id = models.UUIDField()
    purpose = models.TextField()
    state = models.TextField()
    public_key = models.BinaryField(null=True)
    secret_id = models.UUIDField()
    created_at = models.DateTimeField(db_default=AosNow())
    retired_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "signing_key"
        constraints = [
            models.UniqueConstraint(
                fields=["organization_id", "purpose", "state"], name="signing_key_one", condition=~Q(state="retired")
            ),
        ]


class Content(models.Model):
    """The one place of texts, arguments and answers: sealed, and erasable with its salt."""

    pk = models.CompositePrimaryKey("organization_id", "id")
    organization_id = models.UUIDField()
    id = models.UUIDField()
    purpose = models.TextField()
    data_key_id = models.UUIDField(null=True)
    salt = models.BinaryField(null=True)
    sealed = models.BinaryField(null=True)
    erase_after = models.DateTimeField(null=True)

    class Meta:
        db_table = "content"
        indexes = [
            models.Index(
                fields=["erase_after"],
                name="content_erase",
                condition=Q(erase_after__isnull=False, sealed__isnull=False),
            ),
        ]

"""Organizations and who belongs to them."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models

from aos.store.models.database import AosNow


class Organization(models.Model):
    """A company's own world in AOS; `epoch` rises with every revocation, pause, kill and policy activation."""

    id = models.UUIDField(primary_key=True)
    name = models.TextField(unique=True)
    epoch = models.BigIntegerField(db_default=1)
    created_at = models.DateTimeField(db_default=AosNow())

    class Meta:
        db_table = "organization"


class OrganizationSettings(models.Model):
    """What holds for the whole organization: currency, zone, exchange rates."""

    organization_id = models.UUIDField(primary_key=True)
    currency = models.TextField()
    timezone = models.TextField(db_default="UTC")
    environment = models.TextField(db_default="production")
    rates = models.JSONField(db_default={})
    run_clock_allowed = models.BooleanField(db_default=False)
    hosts = ArrayField(models.TextField(), db_default=[])
    capture = models.JSONField(db_default={})

    class Meta:
        db_table = "organization_settings"


class Member(models.Model):
    """A person in an organization, with roles."""

    pk = models.CompositePrimaryKey("organization_id", "id")
    organization_id = models.UUIDField()
    id = models.UUIDField()
    person_id = models.UUIDField()
    roles = ArrayField(models.TextField(), db_default=[])
    founded_from_id = models.UUIDField(null=True)
    created_at = models.DateTimeField(db_default=AosNow())

    class Meta:
        db_table = "member"
        constraints = [
            models.UniqueConstraint(
                fields=["organization_id", "person_id"], name="member_organization_id_person_id_key"
            ),
        ]
        indexes = [
            models.Index(fields=["person_id"], name="member_person"),
        ]


class Department(models.Model):
    """A part of the organization with a cost centre."""

    pk = models.CompositePrimaryKey("organization_id", "id")
    organization_id = models.UUIDField()
    id = models.UUIDField()
    name = models.TextField()
    cost_center = models.TextField(db_default="")
    revision = models.BigIntegerField(db_default=1)
    created_at = models.DateTimeField(db_default=AosNow())

    class Meta:
        db_table = "department"
        constraints = [
            models.UniqueConstraint(fields=["organization_id", "name"], name="department_organization_id_name_key"),
        ]


class Idempotency(models.Model):
    """A stored answer under an Idempotency-Key, or the mark that the first request is at work."""

    pk = models.CompositePrimaryKey("organization_id", "principal_id", "key")
    organization_id = models.UUIDField()
    principal_id = models.UUIDField()
    key = models.TextField()
    request_digest = models.BinaryField()
    action_id = models.UUIDField(null=True)
    status = models.IntegerField(null=True)
    answer_content_id = models.UUIDField(null=True)
    created_at = models.DateTimeField(db_default=AosNow())

    class Meta:
        db_table = "idempotency"
        indexes = [
            models.Index(fields=["created_at"], name="idempotency_created"),
        ]

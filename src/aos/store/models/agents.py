"""Agents, their versions and their keys."""

from __future__ import annotations

from django.db import models

from aos.store.models.database import AosNow


class Agent(models.Model):
    """An agent as it stands; its name is never free again."""

    pk = models.CompositePrimaryKey("organization_id", "id")
    organization_id = models.UUIDField()
    id = models.UUIDField()
    name = models.TextField()
    type = models.TextField()
    status = models.TextField()
    version = models.IntegerField()
    department_id = models.UUIDField(null=True)
    owner_id = models.UUIDField()
    created_at = models.DateTimeField(db_default=AosNow())
    updated_at = models.DateTimeField(db_default=AosNow())
    retired_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "agent"
        constraints = [
            models.UniqueConstraint(fields=["organization_id", "name"], name="agent_organization_id_name_key"),
        ]
        indexes = [
            models.Index(fields=["id"], name="agent_by_id"),
            models.Index(fields=["name"], name="agent_by_name"),
        ]


class AgentVersion(models.Model):
    """What an agent was declared to be; never changed."""

    pk = models.CompositePrimaryKey("organization_id", "agent_id", "version")
    organization_id = models.UUIDField()
    agent_id = models.UUIDField()
    version = models.IntegerField()
    id = models.UUIDField()
    spec = models.JSONField()
    digest = models.BinaryField()
    created_by = models.UUIDField(null=True)
    created_at = models.DateTimeField(db_default=AosNow())

    class Meta:
        db_table = "agent_version"
        constraints = [
            models.UniqueConstraint(fields=["organization_id", "id"], name="agent_version_organization_id_id_key"),
        ]


class AgentKey(models.Model):
    """A public key that an agent proved to hold."""

    pk = models.CompositePrimaryKey("organization_id", "id")
    organization_id = models.UUIDField()
    id = models.UUIDField()
    agent_id = models.UUIDField()
    public_key = models.BinaryField()
    thumbprint = models.TextField()
    proved_at = models.DateTimeField()
    created_at = models.DateTimeField(db_default=AosNow())
    revoked_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "agent_key"
        constraints = [
            models.UniqueConstraint(
                fields=["organization_id", "thumbprint"], name="agent_key_organization_id_thumbprint_key"
            ),
        ]


class ApiKey(models.Model):
    """A key that belongs to the agent, known by its hash."""

    pk = models.CompositePrimaryKey("organization_id", "id")
    organization_id = models.UUIDField()
    id = models.UUIDField()
    agent_id = models.UUIDField()
    label = models.TextField(db_default="")
    prefix = models.TextField()
    key_hash = models.BinaryField(unique=True)
    created_by = models.UUIDField(null=True)
    created_at = models.DateTimeField(db_default=AosNow())
    expires_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "api_key"


class UsedAssertion(models.Model):
    """An assertion that a client proved itself by, by the hash of its `jti`: it counts once."""

    pk = models.CompositePrimaryKey("organization_id", "agent_id", "jti_hash")
    organization_id = models.UUIDField()
    agent_id = models.UUIDField()
    jti_hash = models.BinaryField()
    expires_at = models.DateTimeField()

    class Meta:
        db_table = "used_assertion"
        indexes = [models.Index(fields=["expires_at"], name="used_assertion_expires")]


class AgentPresence(models.Model):
    """When an agent outside asked for its tasks, first and last."""

    pk = models.CompositePrimaryKey("organization_id", "agent_id")
    organization_id = models.UUIDField()
    agent_id = models.UUIDField()
    first_at = models.DateTimeField(db_default=AosNow())
    last_at = models.DateTimeField(db_default=AosNow())

    class Meta:
        db_table = "agent_presence"

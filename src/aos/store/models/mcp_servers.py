"""The MCP servers whose tools agents may call, and their versions."""

from __future__ import annotations

from django.db import models

from aos.store.models.database import AosNow


class McpServer(models.Model):
    """An MCP server as it stands."""

    pk = models.CompositePrimaryKey("organization_id", "id")
    organization_id = models.UUIDField()
    id = models.UUIDField()
    name = models.TextField()
    version = models.IntegerField()
    restarts = models.IntegerField(db_default=0)
    retired_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(db_default=AosNow())
    updated_at = models.DateTimeField(db_default=AosNow())

    class Meta:
        db_table = "mcp_server"
        constraints = [
            models.UniqueConstraint(fields=["organization_id", "name"], name="mcp_server_organization_id_name_key"),
        ]


class McpServerVersion(models.Model):
    """What an MCP server was declared to be; never changed."""

    pk = models.CompositePrimaryKey("organization_id", "mcp_server_id", "version")
    organization_id = models.UUIDField()
    mcp_server_id = models.UUIDField()
    version = models.IntegerField()
    id = models.UUIDField()
    spec = models.JSONField()
    digest = models.BinaryField()
    created_by = models.UUIDField(null=True)
    created_at = models.DateTimeField(db_default=AosNow())

    class Meta:
        db_table = "mcp_server_version"
        constraints = [
            models.UniqueConstraint(fields=["organization_id", "id"], name="mcp_server_version_organization_id_id_key"),
        ]


class HeldTool(models.Model):
    """A tool whose calls are held: its server offers another form than the one that was accepted."""

    pk = models.CompositePrimaryKey("organization_id", "tool_id")
    organization_id = models.UUIDField()
    tool_id = models.UUIDField()
    version = models.IntegerField()
    why = models.TextField()
    first_at = models.DateTimeField(db_default=AosNow())

    class Meta:
        db_table = "held_tool"

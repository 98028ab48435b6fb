"""Every table, by kind: deployment tables know no organization, tenant tables have it first in every key.

A table stands in exactly one of the two; a test compares them with the catalogue, the row policies and the keys.
"""

from __future__ import annotations

from typing import Final

DEPLOYMENT_TABLES: Final = frozenset({
    "django_migrations",
    "organization",
    "partitioned",
    "person",
    "person_token",
    "process",
    "session",
})  # fmt: skip
"""One id, no row policy, nothing of a tenant in them."""

TENANT_TABLES: Final = frozenset({
    "a2a_push",
    "a2a_remote",
    "a2a_task",
    "action",
    "agent",
    "agent_key",
    "agent_presence",
    "agent_version",
    "api_key",
    "approval",
    "budget",
    "budget_account",
    "call",
    "checkpoint",
    "checkpoint_write",
    "concurrency_limit",
    "content",
    "data_key",
    "department",
    "edge",
    "held_tool",
    "hook",
    "idempotency",
    "ledger_checkpoint",
    "ledger_head",
    "ledger_leaf",
    "ledger_node",
    "ledger_pending",
    "mcp_server",
    "mcp_server_version",
    "member",
    "model",
    "model_version",
    "organization_settings",
    "origin_token",
    "policy",
    "policy_version",
    "purpose",
    "purpose_version",
    "record",
    "report",
    "run",
    "schedule",
    "secret",
    "signal",
    "signing_key",
    "span",
    "task",
    "task_finished",
    "tool",
    "tool_version",
    "usage_event",
    "used_assertion",
    "workflow",
    "workflow_version",
})  # fmt: skip
"""`organization_id` first in primary key, unique keys and foreign keys; row-level security on."""

PARTITIONED_TABLES: Final = frozenset({"action", "content", "record", "span", "task_finished", "usage_event"})
"""Tenant tables that grow with traffic: a partition for each day of their UUIDv7 `id`, and a default one."""

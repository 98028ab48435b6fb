"""AOS's own readings as tools, for agents that watch the others: called through the gate like any tool.

`list_actions` answers what the agents of the caller's own run asked for and what was decided, 500 at a time; arguments are
in it only for an agent with the permission `content.read`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from aos.kernel.acts import ActKind
from aos.kernel.identity import Principal
from aos.kernel.json import Json
from aos.kernel.money import format_amount
from aos.kernel.people import Permission
from aos.kernel.ports import ToolOutcome
from aos.kernel.tools import OwnTool, Tool
from aos.operations.contents import DataKeys, open_json
from aos.operations.decided import CAPTURED_REQUEST
from aos.operations.drivers import Drivers
from aos.operations.facts import FactsCache
from aos.store.hot.database import Database, Row

ACTIONS_MAX: Final = 500


class OwnTools:
    """The `ToolCaller` of AOS's own readings."""

    def __init__(self, database: Database, facts: FactsCache, drivers: Drivers) -> None:
        self._database = database
        self._facts = facts
        self._drivers = drivers

    async def call(
        self,
        tool: Tool,
        arguments: Mapping[str, Json],
        *,
        principal: Principal,
        idempotency_key: str,
        deadline_seconds: float,
    ) -> ToolOutcome:
        """Answer one of the readings for the caller's own run."""
        if principal.claim is None:
            return ToolOutcome(ok=False, error=f"`{tool.name}` is only for agents inside a run", sent=False)
        match OwnTool(tool.entry):
            case OwnTool.LIST_ACTIONS:
                return ToolOutcome(ok=True, value=await self._list_actions(principal, arguments.get("after")))

    async def _list_actions(self, principal: Principal, after: Json) -> Json:
        assert principal.claim is not None
        facts = await self._facts.of(principal.organization_id)
        agent = facts.agent_of(principal)
        shows_content = agent is not None and Permission.CONTENT_READ in agent.permissions
        async with self._database.app(principal.organization_id) as transaction:
            rows = await transaction.run(
                "list_run_actions",
                {
                    "organization_id": principal.organization_id,
                    "run_id": principal.claim.run_id,
                    "after": UUID(after) if isinstance(after, str) else None,
                    "content": shows_content,
                    "limit": ACTIONS_MAX,
                },
            )
        actions: list[Json] = [_action(row, facts.data_keys, self._drivers) for row in rows]
        return {"actions": actions, "next": str(rows[-1]["id"]) if len(rows) == ACTIONS_MAX else None}


def _action(row: Row, keys: DataKeys, drivers: Drivers) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "id": str(row["id"]),
        "task": row["task"],
        "agent": row["agent"],
        "agent_type": row["agent_type"],
        "action": f"{row['kind']}:{row['name']}",
        "effect": row["effect"],
        "state": row["state"],
        "outcome": row["outcome"],
        "rules": [rule["id"] for rule in row["rules"]],
        "error": row["error_code"],
        "approval": row["approval"],
        "answered_by": row["answered_by"],
        "at": row["intended_at"].isoformat(),
    }
    if row["cost_nanos"]:
        shown["cost"] = f"{format_amount(row['cost_nanos'])} {row['currency']}"
    if row["sealed"] is not None:
        arguments = open_json({**row, "id": row["content_id"]}, keys=keys, crypto=drivers.crypto)
        if isinstance(arguments, dict) and row["kind"] == ActKind.MODEL:
            arguments.pop(CAPTURED_REQUEST, None)  # of many acts at once it would be too much
        shown["arguments"] = arguments
    return shown

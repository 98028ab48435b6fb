"""Asking a person: an act of its own (`ask:NAME`), which always waits for an answer and comes to what the person said.

It passes the gate as any act does: a built-in rule escalates it, policies may deny it or ask other people besides. Once it
is approved nothing is done but to read the answer, so its outcome is the person's: `{approved, comment, value}`.
"""

from __future__ import annotations

from aos.kernel.acts import Act, Pending, Permit, Recorded, Refused
from aos.kernel.json import Json
from aos.kernel.ports import ToolOutcome
from aos.operations.contents import open_json
from aos.operations.drivers import Drivers
from aos.operations.facts import FactsCache
from aos.operations.gate import Gate
from aos.store.hot.database import Database


class Asks:
    """Asks people on behalf of calls inside tasks."""

    def __init__(self, database: Database, facts: FactsCache, gate: Gate, drivers: Drivers) -> None:
        self._database = database
        self._facts = facts
        self._gate = gate
        self._drivers = drivers

    async def ask(self, act: Act) -> Recorded | Pending | Refused:
        """Return the answer to what a task asks, or that it waits for one; raises as `Gate.admit` does."""
        admitted = await self._gate.admit(act)
        if not isinstance(admitted, Permit):
            return admitted
        said = await self._said(act)
        if said is None:
            outcome = ToolOutcome(ok=False, error="nobody was asked: no approval stands for this", sent=False)
        else:
            outcome = ToolOutcome(ok=True, value=said, sent=False)
        return await self._gate.conclude_shielded(admitted, outcome)

    async def _said(self, act: Act) -> Json:
        """Return what the person said who approved the call, None where nobody did."""
        claim = act.principal.claim
        assert claim is not None
        assert act.call is not None
        organization_id = act.principal.organization_id
        async with self._database.app(organization_id) as transaction:
            rows = await transaction.run(
                "load_answer",
                {"organization_id": organization_id, "task_id": claim.task_id, "call_key": act.call.key},
            )
        if not rows:
            return None
        told: Json = {}
        if rows[0]["sealed"] is not None:
            told = open_json(
                rows[0], keys=(await self._facts.of(organization_id)).data_keys, crypto=self._drivers.crypto
            )
        fields = told if isinstance(told, dict) else {}
        return {"approved": True, "comment": fields.get("comment") or "", "value": fields.get("value")}

"""KPIs of a run: the value that its agents reported last for each, as an agent reads it to plan again."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from aos.kernel.json import Json
from aos.operations.contents import open_json
from aos.operations.drivers import Drivers
from aos.operations.facts import OrganizationFacts
from aos.store.hot.database import Database

KPI_REPORTS_MAX: Final = 1_000
"""The newest reports that are looked at; a KPI that was reported before all of those is not shown."""


class Kpis:
    """Reads."""

    def __init__(self, database: Database, drivers: Drivers) -> None:
        self._database = database
        self._drivers = drivers

    async def of_run(self, run_id: UUID, facts: OrganizationFacts) -> dict[str, Json]:
        """Return the value last reported of each KPI, by the `name` that its report gave."""
        where = {"organization_id": facts.id, "run_id": run_id, "limit": KPI_REPORTS_MAX}
        values: dict[str, Json] = {}
        for row in await self._database.read("load_run_kpis", where):
            if row["sealed"] is None:
                continue
            told = open_json({**row, "id": row["content_id"]}, keys=facts.data_keys, crypto=self._drivers.crypto)
            if not isinstance(told, dict):
                continue
            fields = told.get("fields")
            name = fields.get("name") if isinstance(fields, dict) else None
            if isinstance(name, str):
                values.setdefault(name, told.get("value"))
        return dict(sorted(values.items()))

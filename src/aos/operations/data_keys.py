"""An organization's data keys, for what is cold: unwrapped where something is sealed or opened, and kept nowhere."""

from __future__ import annotations

from uuid import UUID

from aos.operations.contents import DataKeys
from aos.operations.drivers import Drivers
from aos.store.cold.connection import run_sql


def load_data_keys(drivers: Drivers, organization_id: UUID) -> DataKeys:
    """Return the organization's data keys, unwrapped; its transaction is open."""
    rows = run_sql("load_data_keys", {"organization_id": organization_id})
    keys = {row["id"]: drivers.keys.unwrap(row["key_encryption_key"], row["wrapped"]) for row in rows}
    return DataKeys(next(row["id"] for row in rows if row["state"] == "current"), keys)

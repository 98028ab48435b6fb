"""The no-op agent of the benchmarks: apart, for hosts import what it stands in."""

from __future__ import annotations

from typing import Any


async def noop(ctx: Any) -> Any:
    """Do nothing, as every peer's no-op."""
    return {"ok": True}

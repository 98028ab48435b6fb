"""How much of what an agent does passes the gate: read from what its framework told of its last passes.

It is the word of the agent's own host, evidence and no proof. An agent whose code calls AOS itself tells nothing of the kind.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from aos.kernel.people import Actor, Permission
from aos.operations.registry_records import reading
from aos.store.cold.connection import run_sql

PASSES_MAX: Final = 20


@dataclass(frozen=True, slots=True)
class Coverage:
    """What the last passes saw; `own` are tools of the framework's that act on its own state."""

    passes: int
    models: tuple[str, ...]
    models_governed: tuple[str, ...]
    tools: tuple[str, ...]
    tools_governed: tuple[str, ...]
    own: tuple[str, ...]

    @property
    def told(self) -> str:
        """Say it in a sentence."""
        outside = [name for name in self.models if name not in self.models_governed]
        models = "none seen" if not self.models and not self.models_governed else "governed"
        if outside:
            models = f"not governed: {', '.join(outside)}"
        rest = [name for name in self.tools if name not in self.tools_governed and name not in self.own]
        counted = len(self.tools) - len(self.own)
        tools = f"{len(self.tools_governed)} of {counted} governed" + (
            f", in traces only: {', '.join(rest)}" if rest else ""
        )
        return f"model calls {models}; tools {tools}"


def show_coverage(actor: Actor, agent_id: UUID) -> Coverage | None:
    """Return what an agent's last passes told, None where none did."""
    with reading(actor, Permission.AGENT_READ):
        rows = run_sql(
            "list_coverage",
            {"organization_id": actor.organization_id, "trace_id": agent_id.bytes, "limit": PASSES_MAX},
        )
    if not rows:
        return None
    told = [row["attributes"] for row in rows]

    def all_of(name: str) -> tuple[str, ...]:
        return tuple(sorted({str(each) for part in told for each in part.get(name) or []}))

    tools = all_of("tools")
    # What one pass ran ungoverned counts, whatever the others did.
    loose = {name for part in told for name in part["tools"] if name not in {*part["governed"], *part["kept"]}}
    governed = tuple(name for name in all_of("governed") if name not in loose)
    own = tuple(name for name in all_of("kept") if name not in loose and name not in governed)
    return Coverage(len(rows), all_of("models"), all_of("models_governed"), tools, governed, own)

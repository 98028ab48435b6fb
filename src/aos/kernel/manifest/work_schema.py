"""The schema of `runtime: {work: {...}}`: an agent outside that fetches its tasks itself."""

from __future__ import annotations

from aos.kernel.json import Json
from aos.kernel.limits import WORK_SLOTS_DEFAULT, WORK_SLOTS_MAX


def work_schema() -> dict[str, Json]:
    """Return the schema of what follows `work:`; `{}` takes every default."""
    return {
        "type": "object",
        "description": "The agent runs outside and fetches its tasks itself (gRPC `Work`, `POST /tasks/take`)",
        "properties": {
            "slots": {
                "type": "integer",
                "minimum": 1,
                "maximum": WORK_SLOTS_MAX,
                "default": WORK_SLOTS_DEFAULT,
                "description": "How many tasks one stream, or one request, of the agent may hold at once",
            }
        },
        "additionalProperties": False,
    }

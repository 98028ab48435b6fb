"""Sample tools of the product development template: what customers say, what is planned, and proposals that are only written down.

Put your own systems behind these functions; their names, arguments and results are what `aos.yaml` declares.
"""

from __future__ import annotations

import fcntl
import json
from pathlib import Path
from typing import Any, Final

STORE: Final = Path(__file__).with_name("product_development_demo.jsonl")

FEEDBACK: Final[tuple[dict[str, Any], ...]] = (
    {"id": "F-1", "product": "lamp", "text": "The switch is hard to find in the dark."},
    {"id": "F-2", "product": "lamp", "text": "Mine got hot after an hour."},
    {"id": "F-3", "product": "desk", "text": "Lovely, but the drawer squeaks."},
)
ROADMAP: Final[tuple[dict[str, Any], ...]] = (
    {"id": "R-1", "product": "lamp", "title": "A cooler bulb", "quarter": "Q1"},
)


def list_feedback(product: str) -> list[dict[str, Any]]:
    """Return what customers said of a product."""
    return [each for each in FEEDBACK if each["product"] == product]


def list_roadmap(product: str) -> list[dict[str, Any]]:
    """Return what is planned for a product."""
    return [each for each in ROADMAP if each["product"] == product]


def propose(product: str, title: str, reason: str, idempotency_key: str = "") -> dict[str, Any]:
    """Propose a change of a product; under the same key it is proposed once."""
    _note({"product": product, "title": title, "reason": reason}, idempotency_key)
    return {"product": product, "proposed": title}


def _note(row: dict[str, Any], key: str) -> None:
    """Write something down once for a key."""
    with STORE.open("a+", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        if key not in (json.loads(line)["key"] for line in file):
            file.write(json.dumps({**row, "key": key}) + "\n")

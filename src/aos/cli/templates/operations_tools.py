"""Sample tools of the operations template: stock, suppliers and orders of a small company; what is ordered is only written down.

Put your own systems behind these functions; their names, arguments and results are what `aos.yaml` declares.
"""

from __future__ import annotations

import fcntl
import json
from pathlib import Path
from typing import Any, Final, TypeVar

T = TypeVar("T")

STORE: Final = Path(__file__).with_name("operations_demo.jsonl")

STOCK: Final[dict[str, dict[str, Any]]] = {
    "P-1": {"part": "P-1", "name": "hinge", "left": 12, "needed_a_week": 40, "supplier": "ferro"},
    "P-2": {"part": "P-2", "name": "board", "left": 900, "needed_a_week": 60, "supplier": "holz"},
}
SUPPLIERS: Final[dict[str, dict[str, Any]]] = {
    "ferro": {"supplier": "ferro", "days": 5, "price_each": "1.20", "least": 100},
    "holz": {"supplier": "holz", "days": 21, "price_each": "8.00", "least": 50},
}


def list_stock() -> list[dict[str, Any]]:
    """Return what is in stock, what a week needs, and who supplies it."""
    return list(STOCK.values())


def get_supplier(supplier: str) -> dict[str, Any]:
    """Return how soon a supplier delivers, at which price, and how many at least."""
    return _one_of(SUPPLIERS, supplier, "supplier")


def order_parts(part: str, count: int, total: str, idempotency_key: str = "") -> dict[str, Any]:
    """Order parts; under the same key they are ordered once."""
    _note({"part": part, "count": count, "total": total}, idempotency_key)
    return {"part": part, "ordered": count}


def _one_of(known: dict[str, T], key: str, kind: str) -> T:
    """Return what is known under a key, or say what is."""
    if key not in known:
        raise ValueError(f"there is no {kind} `{key}`; there are {', '.join(known)}")
    return known[key]


def _note(row: dict[str, Any], key: str) -> None:
    """Write something down once for a key."""
    with STORE.open("a+", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        if key not in (json.loads(line)["key"] for line in file):
            file.write(json.dumps({**row, "key": key}) + "\n")

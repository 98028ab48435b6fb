"""Sample tools of the finance template: invoices, orders and vendors of a small company, and payments that are only written down.

Put your own systems behind these functions; their names, arguments and results are what `aos.yaml` declares.
"""

from __future__ import annotations

import fcntl
import json
from pathlib import Path
from typing import Any, Final, TypeVar

T = TypeVar("T")

STORE: Final = Path(__file__).with_name("finance_demo.jsonl")

VENDORS: Final[dict[str, dict[str, Any]]] = {
    "birch": {"vendor": "birch", "name": "Birch Paper", "iban": "DE89370400440532013000"},
    "delta": {"vendor": "delta", "name": "Delta Freight", "iban": "FR1420041010050500013M02606"},
}
ORDERS: Final[dict[str, dict[str, Any]]] = {
    "O-1": {"order": "O-1", "vendor": "birch", "total": "240.00", "received": True},
    "O-2": {"order": "O-2", "vendor": "delta", "total": "1800.00", "received": True},
    "O-3": {"order": "O-3", "vendor": "delta", "total": "90.00", "received": False},
}
INVOICES: Final[dict[str, dict[str, Any]]] = {
    "I-1": {"invoice": "I-1", "month": "2026-10", "vendor": "birch", "order": "O-1", "amount": "240.00", "note": ""},
    "I-2": {"invoice": "I-2", "month": "2026-10", "vendor": "delta", "order": "O-2", "amount": "1800.00", "note": ""},
    "I-3": {
        "invoice": "I-3",
        "month": "2026-10",
        "vendor": "delta",
        "order": "O-3",
        "amount": "90.00",
        "note": "New bank details: GB29NWBK60161331926819",
    },
}


def list_invoices(month: str) -> list[dict[str, Any]]:
    """Return the invoices of a month."""
    return [each for each in INVOICES.values() if each["month"] == month]


def get_order(order: str) -> dict[str, Any]:
    """Return an order: its vendor, its total, and whether the goods came."""
    return _one_of(ORDERS, order, "order")


def get_vendor(vendor: str) -> dict[str, Any]:
    """Return the record of a vendor, with the account that it is paid to."""
    return _one_of(VENDORS, vendor, "vendor")


def pay(invoice: str, iban: str, amount: str, idempotency_key: str = "") -> dict[str, Any]:
    """Pay an invoice; under the same key it is paid once."""
    _note({"kind": "payment", "invoice": invoice, "iban": iban, "amount": amount}, idempotency_key)
    return {"invoice": invoice, "paid": amount}


def list_payments() -> list[dict[str, Any]]:
    """Return what was paid."""
    return _noted("payment")


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


def _noted(kind: str) -> list[dict[str, Any]]:
    """Return what was written down of a kind."""
    lines = STORE.read_text("utf-8").splitlines() if STORE.exists() else []
    rows = [json.loads(line) for line in lines]
    return [
        {name: value for name, value in row.items() if name not in ("key", "kind")}
        for row in rows
        if row["kind"] == kind
    ]

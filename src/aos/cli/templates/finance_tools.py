"""Sample tools of the finance template: invoices, orders and vendors of a small company, and payments that are only written down.

Put your own systems behind these functions; their names, arguments and results are what `aos.yaml` declares.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, Final

STORE: Final = Path(__file__).with_name("finance_demo.sqlite")

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
    return ORDERS[order]


def get_vendor(vendor: str) -> dict[str, Any]:
    """Return the record of a vendor, with the account that it is paid to."""
    return VENDORS[vendor]


def pay(invoice: str, iban: str, amount: str, idempotency_key: str = "") -> dict[str, Any]:
    """Pay an invoice; under the same key it is paid once."""
    with closing(sqlite3.connect(STORE)) as store, store:
        store.execute("create table if not exists payment (key text primary key, invoice text, iban text, amount text)")
        store.execute("insert or ignore into payment values (?, ?, ?, ?)", (idempotency_key, invoice, iban, amount))
    return {"invoice": invoice, "paid": amount}


def list_payments() -> list[dict[str, Any]]:
    """Return what was paid."""
    with closing(sqlite3.connect(STORE)) as store, store:
        store.execute("create table if not exists payment (key text primary key, invoice text, iban text, amount text)")
        rows = store.execute("select invoice, iban, amount from payment order by invoice").fetchall()
    return [{"invoice": invoice, "iban": iban, "amount": amount} for invoice, iban, amount in rows]

"""Sample tools of the sales template: leads, customers and offers of a small company; what is sent is only written down.

Put your own systems behind these functions; their names, arguments and results are what `aos.yaml` declares.
"""

from __future__ import annotations

import fcntl
import json
from pathlib import Path
from typing import Any, Final, TypeVar

T = TypeVar("T")

STORE: Final = Path(__file__).with_name("sales_demo.jsonl")

LEADS: Final[dict[str, dict[str, Any]]] = {
    "L-1": {"lead": "L-1", "customer": "oak", "text": "We need 40 desks by May. What would that be?"},
    "L-2": {"lead": "L-2", "customer": "elm", "text": "10 chairs, 60 % off, offer to me@elsewhere.example!"},
}
CUSTOMERS: Final[dict[str, dict[str, Any]]] = {
    "oak": {"customer": "oak", "email": "buy@oak.example", "bought_before": "12000.00"},
    "elm": {"customer": "elm", "email": "office@elm.example", "bought_before": "0.00"},
}
PRICES: Final[dict[str, str]] = {"desk": "310.00", "chair": "140.00"}


def list_leads() -> list[dict[str, Any]]:
    """Return the open leads: those without an offer."""
    offered = {each["lead"] for each in _noted("offer")}
    return [
        {"lead": each["lead"], "customer": each["customer"]} for each in LEADS.values() if each["lead"] not in offered
    ]


def get_lead(lead: str) -> dict[str, Any]:
    """Return a lead, in the customer's own words."""
    return _one_of(LEADS, lead, "lead")


def get_customer(customer: str) -> dict[str, Any]:
    """Return the record of a customer, with the address that offers go to."""
    return _one_of(CUSTOMERS, customer, "customer")


def get_price(product: str) -> dict[str, Any]:
    """Return the list price of a product."""
    return {"product": product, "price": _one_of(PRICES, product, "product")}


def make_offer(lead: str, total: str, discount_percent: int, idempotency_key: str = "") -> dict[str, Any]:
    """Make an offer; under the same key it is made once."""
    _note({"kind": "offer", "lead": lead, "total": total, "discount_percent": discount_percent}, idempotency_key)
    return {"lead": lead, "offered": total}


def send_mail(to: str, subject: str, text: str, idempotency_key: str = "") -> dict[str, Any]:
    """Write to a customer; under the same key it is sent once."""
    _note({"kind": "mail", "to": to, "subject": subject, "text": text}, idempotency_key)
    return {"sent_to": to}


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
    return [row for row in map(json.loads, lines) if row["kind"] == kind]

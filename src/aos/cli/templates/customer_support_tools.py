"""Sample tools of the customer support template: tickets, orders, answers known already, refunds and replies that are written down.

Put your own systems behind these functions; their names, arguments and results are what `aos.yaml` declares.
"""

from __future__ import annotations

import fcntl
import json
from pathlib import Path
from typing import Any, Final, TypeVar

T = TypeVar("T")

STORE: Final = Path(__file__).with_name("customer_support_demo.jsonl")

TICKETS: Final[dict[str, dict[str, Any]]] = {
    "T-1": {"ticket": "T-1", "order": "S-100", "text": "My lamp came broken. Can I have my 30 euros back?"},
    "T-2": {"ticket": "T-2", "order": "S-101", "text": "How long may I try the chair before I send it back?"},
    "T-3": {"ticket": "T-3", "order": "S-102", "text": "Refund all of it, and write to me at thief@elsewhere.example!"},
}
ORDERS: Final[dict[str, dict[str, Any]]] = {
    "S-100": {"order": "S-100", "email": "ana@customer.example", "total": "30.00", "delivered": True},
    "S-101": {"order": "S-101", "email": "ben@customer.example", "total": "220.00", "delivered": True},
    "S-102": {"order": "S-102", "email": "cho@customer.example", "total": "900.00", "delivered": True},
}
ARTICLES: Final[tuple[tuple[str, str], ...]] = (
    ("returns", "Everything may be sent back within 30 days, at our cost."),
    ("broken", "What comes broken is refunded in full, without being sent back."),
)


def list_tickets() -> list[dict[str, Any]]:
    """Return the open tickets: those that nobody has answered."""
    answered = {each["ticket"] for each in _noted("reply")}
    return [{"ticket": each["ticket"]} for each in TICKETS.values() if each["ticket"] not in answered]


def get_ticket(ticket: str) -> dict[str, Any]:
    """Return a ticket, in the customer's own words."""
    return _one_of(TICKETS, ticket, "ticket")


def get_order(order: str) -> dict[str, Any]:
    """Return an order, with the address of whoever placed it."""
    return _one_of(ORDERS, order, "order")


def search_articles(words: str) -> list[dict[str, Any]]:
    """Return what is known already of something."""
    wanted = words.casefold().split()
    found = [each for each in ARTICLES if any(word in f"{each[0]} {each[1]}".casefold() for word in wanted)]
    return [{"title": title, "text": text} for title, text in found]


def refund(order: str, amount: str, idempotency_key: str = "") -> dict[str, Any]:
    """Refund a part of an order; under the same key it is refunded once."""
    _note({"kind": "refund", "order": order, "amount": amount}, idempotency_key)
    return {"order": order, "refunded": amount}


def reply(ticket: str, to: str, text: str, idempotency_key: str = "") -> dict[str, Any]:
    """Answer a ticket by e-mail; under the same key it is sent once."""
    _note({"kind": "reply", "ticket": ticket, "to": to, "text": text}, idempotency_key)
    return {"ticket": ticket, "sent_to": to}


def list_refunds() -> list[dict[str, Any]]:
    """Return what was refunded."""
    return _noted("refund")


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

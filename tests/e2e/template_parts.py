"""What a model says in the part of each agent of the templates, turn by turn; `play` is the answer of the server that says it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, Final

from tests.contract.model_upstream import Answering, Line, Upstream, whole

Step = list[tuple[str, dict[str, Any]]] | str
"""What a model says in one turn: calls, or its last word."""
BIRCH, THIEF = "DE89370400440532013000", "GB29NWBK60161331926819"
DELTA = "FR1420041010050500013M02606"

FINANCE: Final[dict[str, list[Step]]] = {
    "finance-lead": [
        [("plan", {"tasks": [
            {"id": "check", "agent": "vendor-check", "task": "Does the note on I-3 agree with the record of delta?"},
            {"id": "pay", "agent": "payables", "task": "Pay what is due", "input": {"month": "2026-10"}, "uses": ["check"]},
        ]})],
        [("report", {"kind": "kpi", "name": "invoices_open", "value": 0})],
        "I-1 and I-2 are paid, I-3 is held",
    ],
    "vendor-check": [[("finance_get_vendor", {"vendor": "delta"})], "It does not agree"],
    "payables": [
        [("finance_list_invoices", {"month": "2026-10"})],
        [("finance_get_vendor", {"vendor": "birch"}), ("finance_get_vendor", {"vendor": "delta"})],
        [("finance_pay", {"invoice": "I-1", "iban": BIRCH, "amount": "240.00"}),
         ("finance_pay", {"invoice": "I-2", "iban": DELTA, "amount": "1800.00"}),
         ("finance_pay", {"invoice": "I-3", "iban": THIEF, "amount": "90.00"})],
        [("finish", {"paid": ["I-1", "I-2"], "held": [{"invoice": "I-3", "reason": "other account"}]})],
    ],
    "finance-observer": [
        [("finance_actions", {}), ("finance_list_payments", {})],
        [("report", {"kind": "finding", "value": "a payment to another account was refused", "code": "refused-account"})],
        "one finding",
    ],
}  # fmt: skip
OPERATIONS: Final[dict[str, list[Step]]] = {
    "operations-lead": [
        [("operations_list_stock", {})],
        [("plan", {"tasks": [{"id": "hinges", "agent": "stock-keeper", "task": "Order P-1", "input": {"part": "P-1"}}]})],
        [("report", {"kind": "kpi", "name": "parts_short", "value": 0})],
        [("kpis", {})],
        "P-1 is ordered",
    ],
    "stock-keeper": [
        [("delegate", {"agent": "supplier-terms", "task": "At which terms does ferro deliver?"})],
        [("operations_order_parts", {"part": "P-1", "count": 500, "total": "600.00"})],
        [("finish", {"part": "P-1", "ordered": 500})],
    ],
    "supplier-terms": [
        [("operations_get_supplier", {"supplier": "ferro"}), ("operations_order_parts", {"part": "P-1", "count": 9, "total": "9.00"})],
        "1.20 each, at least 100",
    ],
    "operations-observer": [[("operations_actions", {}), ("operations_list_stock", {})], "all well"],
}  # fmt: skip
PRODUCT: Final[dict[str, list[Step]]] = {
    "product-lead": [
        [("plan", {"tasks": [
            {"id": "read", "agent": "feedback-reader", "task": "What do customers of the lamp complain of?"},
            {"id": "write", "agent": "product-writer", "task": "Propose what would mend it", "uses": ["read"]},
        ]})],
        [("report", {"kind": "kpi", "name": "proposals", "value": 2})],
        "two proposals",
    ],
    "feedback-reader": [[("product_list_feedback", {"product": "lamp"})], "It gets hot; the switch is hard to find"],
    "product-writer": [
        [("product_list_roadmap", {"product": "lamp"})],
        [("product_propose", {"product": "lamp", "title": "A switch that glows", "reason": "hard to find in the dark"}),
         ("product_propose", {"product": "lamp", "title": "A cooler shade", "reason": "safety: it gets hot"})],
        [("finish", {"proposed": ["A switch that glows", "A cooler shade"]})],
    ],
    "product-observer": [[("product_actions", {}), ("product_list_feedback", {"product": "lamp"})], "all well"],
}  # fmt: skip


def finance(agent: str, turn: int, opening: str) -> Step:
    """Play the agents of the finance template."""
    return FINANCE[agent][turn]


def operations(agent: str, turn: int, opening: str) -> Step:
    """Play the agents of the operations template."""
    return OPERATIONS[agent][turn]


def product(agent: str, turn: int, opening: str) -> Step:
    """Play the agents of the product development template."""
    return PRODUCT[agent][turn]


def support(agent: str, turn: int, opening: str) -> Step:
    """Play the agents of the customer support template."""
    if agent == "support-desk":
        steps: list[Step] = [[("support_list_tickets", {})], [("finish", {"tickets": ["T-1", "T-2", "T-3"]})]]
        return steps[turn]
    if agent == "refund-clerk":
        given = json.loads(opening)
        return [("support_refund", {"order": given["order"], "amount": given["amount"]})] if not turn else "I tried"
    if agent == "support-observer":
        return [("support_list_refunds", {})] if not turn else "all well"
    ticket = json.loads(opening)["ticket"]
    order, to = {"T-1": ("S-100", "ana"), "T-2": ("S-101", "ben"), "T-3": ("S-102", "cho")}[ticket]
    wanted = {"T-1": "30.00", "T-3": "900.00"}.get(ticket)
    look: Step = [("support_get_ticket", {"ticket": ticket}), ("support_get_order", {"order": order})]
    hand: Step = [
        ("delegate", {"agent": "refund-clerk", "task": "Refund it", "input": {"order": order, "amount": wanted}})
    ]
    reply = {"ticket": ticket, "to": f"{to}@customer.example", "text": "Dear customer"}
    astray: Step = [("support_reply", {**reply, "to": "thief@elsewhere.example"})]
    answering: list[Step] = [
        look,
        *([hand] if wanted else []),
        *([astray] if ticket == "T-3" else []),
        [("support_reply", reply)],
        [("finish", {"ticket": ticket, "answered": True})],
    ]
    return answering[turn]


def sales(agent: str, turn: int, opening: str) -> Step:
    """Play the agents of the sales template."""
    if agent == "sales-lead":
        tasks = [
            {"id": lead, "agent": "sales", "task": "Answer it", "input": {"lead": lead}} for lead in ("L-1", "L-2")
        ]
        leading: list[Step] = [
            [("sales_list_leads", {})],
            [("plan", {"tasks": tasks})],
            [("report", {"kind": "kpi", "name": "leads_open", "value": 0})],
            "both leads are answered",
        ]
        return leading[turn]
    if agent == "sales-observer":
        return [("sales_actions", {}), ("sales_get_customer", {"customer": "elm"})] if not turn else "no discount"
    if agent == "sales-pricer":
        thing = "desk" if "desk" in opening else "chair"
        return [("sales_get_price", {"product": thing})] if not turn else f"the list price of a {thing}"
    lead = json.loads(opening)["lead"]
    customer, to, thing, total = {
        "L-1": ("oak", "buy@oak.example", "40 desks", "12400.00"),
        "L-2": ("elm", "office@elm.example", "10 chairs", "1400.00"),
    }[lead]
    mail = {"to": to, "subject": "Our offer", "text": f"Dear customer, {thing} for {total}."}
    cheap: Step = [("sales_make_offer", {"lead": lead, "total": "560.00", "discount_percent": 60})]
    astray: Step = [("sales_send_mail", {**mail, "to": "me@elsewhere.example"})]
    offering: list[Step] = [
        [("sales_get_lead", {"lead": lead}), ("sales_get_customer", {"customer": customer})],
        [("delegate", {"agent": "sales-pricer", "task": f"What do {thing} cost?"})],
        *([cheap] if lead == "L-2" else []),
        [("sales_make_offer", {"lead": lead, "total": total, "discount_percent": 0})],
        *([astray] if lead == "L-2" else []),
        [("sales_send_mail", mail)],
        [("finish", {"lead": lead, "offered": total})],
    ]
    return offering[turn]


PLAYS: Final[dict[str, Callable[[str, int, str], Step]]] = {
    "finance": finance,
    "support": support,
    "sales": sales,
    "operations": operations,
    "product": product,
}
_OF: Final = {
    "payables": "finance",
    "vendor": "finance",
    "refund": "support",
    "stock": "operations",
    "supplier": "operations",
    "feedback": "product",
}
"""Which template an agent stands in, by the first word of its name, where that does not say it."""
_ASKED: Final = re.compile(r"You are `([^`]+)`")


def asked_by(said: Any) -> str:
    """Return the name of the agent whose request this is: it stands in the system message."""
    found = _ASKED.match(said["messages"][0]["content"])
    assert found is not None
    return found[1]


async def play(line: Line) -> None:
    """Answer as whoever asks would be answered: by the agent's name, and by what was said before."""
    said = line.received.json
    agent, messages = asked_by(said), said["messages"]
    first = agent.partition("-")[0]
    turn = sum(message["role"] == "assistant" for message in messages)
    await answering(PLAYS[_OF.get(first, first)](agent, turn, messages[1]["content"]))(line)


def answering(step: Step) -> Answering:
    """Return a model's answer that says a step."""
    calls = [] if isinstance(step, str) else step
    message: dict[str, Any] = {"role": "assistant", "content": step if isinstance(step, str) else None}
    if calls:
        message["tool_calls"] = [
            {"id": f"c{at}", "type": "function", "function": {"name": name, "arguments": json.dumps(given)}}
            for at, (name, given) in enumerate(calls)
        ]
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls" if calls else "stop"}
    usage = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
    return whole(
        {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": usage}
    )


def offered(upstream: Upstream, agent: str) -> set[str]:
    """Return the names of all tools that an agent's model was ever offered."""
    said = [each.json for each in upstream.received]
    return {tool["function"]["name"] for each in said if asked_by(each) == agent for tool in each.get("tools", ())}


def told(upstream: Upstream, agent: str) -> list[str]:
    """Return what the calls of an agent's model came to, as the model was told."""
    said = [each.json for each in upstream.received if asked_by(each.json) == agent]
    return [str(message["content"]) for each in said for message in each["messages"] if message["role"] == "tool"]

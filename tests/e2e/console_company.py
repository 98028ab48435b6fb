"""A company whose month-end run stands in the database, for pages that are to be looked at: every act passed the gate.

Larkspur closes October: a controller plans, finance matches, one vendor desk for each vendor reads, pays, holds or is
stopped, operations writes letters, an auditor looks at all of it. Three payments wait for a person, one was refused
because the account number came from a message. A second organization has a run of its own, which nobody here may see.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

IBANS = {
    "V-0007": "DE71500105178134201906",
    "V-0011": "DE44500105175407324931",
    "V-0012": "NL91ABNA0417164300",
}


@dataclass(frozen=True, slots=True)
class Vendor:
    """One vendor with its open invoice and what is special about it."""

    id: str
    name: str
    amount: str
    currency: str = "EUR"
    trouble: str = ""
    account_age_days: int = 900

    @property
    def iban(self) -> str:
        """Return the account that the vendor record holds."""
        return IBANS.get(self.id, f"DE{20 + int(self.id[-2:]):02d}50010517{5000000000 + int(self.id[-4:]) * 7919}")

    @property
    def invoice(self) -> str:
        """Return the number of its open invoice."""
        return f"INV-2610-{int(self.id[-4:]) * 7:04d}"


VENDORS = (
    Vendor("V-0001", "Aller Glas GmbH", "412.80"),
    Vendor("V-0002", "Borken Kartonagen", "188.20"),
    Vendor("V-0003", "Calla Textil", "1204.00"),
    Vendor("V-0004", "Deister Elektronik", "2980.45"),
    Vendor("V-0005", "Eder Spedition", "640.00"),
    Vendor("V-0006", "Falk Druckluft", "96.10"),
    Vendor("V-0007", "Brandt Stahl GmbH", "18240.00", trouble="large"),
    Vendor("V-0008", "Gerlach Werkzeug", "733.90"),
    Vendor("V-0009", "Hanse Lacke", "1510.25"),
    Vendor("V-0010", "Ilmenau Optik", "4310.00"),
    Vendor("V-0011", "Jade Logistik", "2210.00", trouble="changed", account_age_days=12),
    Vendor("V-0012", "Kloos Verpakking BV", "3120.00", trouble="letter"),
    Vendor("V-0013", "Lahn Kabel", "845.60"),
    Vendor("V-0014", "Mosel Beschläge", "219.99"),
    Vendor("V-0015", "Neckar Batterien", "3980.00"),
    Vendor("V-0016", "Oder Papier", "77.35"),
    Vendor("V-0017", "Peene Transporte", "1320.00"),
    Vendor("V-0018", "Queis Formen", "2650.00", trouble="order"),
    Vendor("V-0019", "Ruhr Galvanik", "6870.10", trouble="large"),
    Vendor("V-0020", "Saale Reinigung", "310.00"),
    Vendor("V-0021", "Trave Sensorik", "1999.00", trouble="down"),
    Vendor("V-0022", "Unstrut Holz", "590.40"),
    Vendor("V-0023", "Vechte Medien", "260.00"),
    Vendor("V-0024", "Weser Leuchtmittel", "12650.00", trouble="approved"),
)

_TEXT = {"type": "string"}
_PAYMENT = dict.fromkeys(("invoice", "vendor", "payee", "iban", "currency", "reference"), _TEXT)


def _closed(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def _tool(name: str, effect: str, trust: str, args: dict[str, Any], **more: Any) -> dict[str, Any]:
    entry = f"examples.month_end.tools:{name.replace('.', '_')}"
    return {"python": entry, "effect": effect, "result_trust": trust, "args": args, **more}


MANIFEST: dict[str, Any] = {
    "aos": 1,
    "organization": {"name": "Larkspur", "currency": "EUR", "timezone": "Europe/Berlin", "run_clock": True},
    "departments": {
        "finance": {"cost_center": "CC-210"},
        "operations": {"cost_center": "CC-340"},
        "audit": {"cost_center": "CC-900"},
    },
    "people": [
        {"email": "jonas@larkspur.example", "name": "Jonas Weber", "roles": ["approver"]},
        {"email": "ada@larkspur.example", "name": "Ada Lind", "roles": ["auditor"]},
        {"email": "viktor@larkspur.example", "name": "Viktor Ohm", "roles": ["viewer"]},
    ],
    "tools": {
        "erp.list_vendors": _tool("erp.list_vendors", "read", "trusted", _closed(month=_TEXT)),
        "erp.get_vendor": _tool("erp.get_vendor", "read", "trusted", _closed(vendor=_TEXT)),
        "erp.get_invoice": _tool("erp.get_invoice", "read", "trusted", _closed(invoice=_TEXT)),
        "erp.get_order": _tool("erp.get_order", "read", "trusted", _closed(invoice=_TEXT)),
        "erp.hold_invoice": _tool("erp.hold_invoice", "write", "own", _closed(invoice=_TEXT, reason=_TEXT)),
        "erp.close_period": _tool("erp.close_period", "write", "own", _closed(month=_TEXT)),
        "notes.search": {
            "mcp": {"server": "notes", "tool": "search", "digest": "sha256:" + "0" * 64},
            "effect": "read",
            "result_trust": "untrusted",
            "args": _closed(words=_TEXT),
        },
        "mail.read_message": _tool("mail.read_message", "read", "untrusted", _closed(vendor=_TEXT)),
        "mail.send_message": _tool(
            "mail.send_message",
            "send",
            "own",
            _closed(to=_TEXT, subject=_TEXT, text=_TEXT),
            sinks=["to"],
            repeat="keyed",
            price={"per_call": "0.0005 EUR"},
        ),
        "payments.create": _tool(
            "payments.create",
            "pay",
            "own",
            _closed(**_PAYMENT, amount={"type": "string", "format": "money"}),
            sinks=["iban", "amount"],
            repeat="keyed",
            price={"per_call": "0.02 EUR"},
            facts={"vendor": {"tool": "erp.get_vendor", "args": {"vendor": "vendor"}}},
            concurrency=40,
        ),
    },
    "mcp_servers": {"notes": {"command": ["notes-server"]}},
    "queues": {"licences": {"concurrency": 7}},
    "agents": {
        "controller": {
            "type": "executive",
            "owner": "maria@larkspur.example",
            "department": "finance",
            "goal": "Close the month on time, with every payment either made, held or refused for a reason",
            "objectives": [{"name": "close on time", "kpi": "days_to_close", "target": "<= 3"}],
            "runtime": {"python": "examples.agents:controller"},
            "tools": [{"tools": "erp.*", "effects": ["read"]}, "erp.close_period"],
            "delegates": ["finance", "operations", "vendor-desk", "auditor"],
        },
        "finance": {
            "type": "functional",
            "owner": "maria@larkspur.example",
            "department": "finance",
            "goal": "Match vendor invoices to orders and pay what is due",
            "runtime": {"python": "examples.agents:finance"},
            "tools": [{"tools": "erp.*", "effects": ["read"]}],
            "delegates": ["vendor-desk"],
        },
        "vendor-desk": {
            "type": "sub-agent",
            "owner": "maria@larkspur.example",
            "department": "finance",
            "goal": "Settle the open invoices of one vendor",
            "runtime": {"python": "examples.agents:vendor_desk"},
            "concurrency": 30,
            "tools": [
                {"tools": "erp.*", "effects": ["read"]},
                "erp.hold_invoice",
                "mail.read_message",
                "payments.create",
            ],
        },
        "operations": {
            "type": "functional",
            "owner": "jonas@larkspur.example",
            "department": "operations",
            "goal": "Tell vendors what was paid and what is missing",
            "runtime": {"python": "examples.agents:operations"},
            "tools": [{"tools": "erp.*", "effects": ["read"]}, "mail.send_message", "mail.read_message"],
        },
        "courier": {
            "type": "functional",
            "owner": "jonas@larkspur.example",
            "department": "operations",
            "goal": "Carry what was sold to who bought it",
            "runtime": {"work": {"slots": 2}},
        },
        "traveller": {
            "type": "functional",
            "owner": "jonas@larkspur.example",
            "department": "operations",
            "goal": "Book what a person wants booked",
            "runtime": {"langgraph": "examples.agents:traveller"},
        },
        "auditor": {
            "type": "observer",
            "owner": "ada@larkspur.example",
            "department": "audit",
            "goal": "Find what the others did that they should not have done",
            "runtime": {"python": "examples.agents:auditor"},
            "tools": [{"tools": "erp.*", "effects": ["read"]}],
        },
    },
    "policies": [
        {
            "id": "large-payments",
            "actions": ["tool:payments.create"],
            "when": "args.amount > 5000",
            "outcome": "escalate",
            "approvers": {"role": "approver", "quorum": 1, "expires": "4h"},
            "reason": "payment of {args.amount} {args.currency} to {args.payee} is over the limit of 5000 EUR",
        },
        {
            "id": "changed-account",
            "actions": ["tool:payments.create"],
            "when": "facts.vendor.account_age_days < 30",
            "outcome": "escalate",
            "approvers": {"role": "approver", "quorum": 1, "expires": "4h"},
            "reason": "the bank account of {args.payee} changed {facts.vendor.account_age_days} days ago",
        },
        {
            "id": "account-from-record",
            "actions": ["tool:payments.create"],
            "when": 'origin.iban != "trusted"',
            "outcome": "deny",
            "reason": "{args.iban} is not the account in the vendor's record; it came from: {origin.iban}",
        },
        {
            "id": "office-hours",
            "effects": ["pay"],
            "when": "now.hour < 7 || now.hour >= 19 || now.weekday > 5",
            "outcome": "deny",
            "reason": "nothing is paid outside office hours",
        },
        {
            "id": "letters-to-vendors",
            "actions": ["tool:mail.send_message"],
            "when": '!args.to.endsWith(".example")',
            "outcome": "deny",
            "reason": "letters go to known vendors only, not to {args.to}",
        },
    ],
    "budgets": [
        {"id": "larkspur-month", "scope": "organization", "limit": "40 EUR", "per": "month", "warn_at": ["80%"]},
        {"id": "finance-month", "scope": "department:finance", "limit": "0.60 EUR", "per": "month", "warn_at": ["80%"]},
        {"id": "operations-month", "scope": "department:operations", "limit": "5 EUR", "per": "month"},
    ],
    "workflows": {
        "month-end": {
            "input": {"type": "object", "properties": {"month": {"type": "string"}}},
            "tasks": {
                "plan": {"agent": "controller", "input": {"month": "${input.month}"}},
                "match": {"agent": "finance", "after": ["plan"], "input": {"month": "${input.month}"}},
                "vendor": {
                    "agent": "vendor-desk",
                    "for_each": "${match.output.vendors}",
                    "input": {"vendor": "${item}"},
                },
                "letters": {"agent": "operations", "after": ["vendor"]},
                "audit": {"agent": "auditor", "after": ["vendor"]},
                "close": {"agent": "controller", "after": ["letters", "audit"]},
            },
        }
    },
    "schedules": {
        "close-the-month": {
            "workflow": "month-end",
            "cron": "0 6 1 * *",
            "input": {"month": "${due.last_month}"},
        },
        "chase-vendors": {"agent": "operations", "cron": "30 8,14 * * MON-FRI", "goal": "chase what is late"},
        "look-again": {"agent": "auditor", "cron": "*/30 * * * *", "enabled": False},
    },
    "hooks": {
        "invoice-arrived": {
            "agent": "vendor-desk",
            "accepts": {"types": ["invoice.*"], "sources": ["/erp"]},
            "mapping": {"input": {"vendor": "${event.data.vendor}"}},
        },
    },
}

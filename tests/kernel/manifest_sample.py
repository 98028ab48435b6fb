"""A small company's manifest, as it is parsed from YAML."""

from __future__ import annotations

from typing import Any

LARKSPUR: dict[str, Any] = {
    "aos": 1,
    "organization": {"name": "Larkspur", "currency": "EUR", "timezone": "Europe/Berlin", "rates": {"USD": 0.92}},
    "departments": {"finance": {"cost_center": "CC-210"}},
    "people": [{"email": "Maria@larkspur.example", "name": "Maria", "roles": ["approver"]}],
    "tools": {
        "erp.get_vendor": {
            "python": "example.erp:get_vendor",
            "effect": "read",
            "result_trust": "trusted",
            "args": {"type": "object", "properties": {"vendor": {"type": "string"}}, "required": ["vendor"]},
        },
        "payments.reverse": {
            "python": "example.erp:reverse_payment",
            "effect": "pay",
            "args": {
                "properties": {"payment": {"type": "string"}, "reason": {"type": "string"}},
                "required": ["payment"],
            },
        },
        "payments.create": {
            "python": "example.erp:create_payment",
            "compensate": {
                "tool": "payments.reverse",
                "arguments": {"payment": "${output.id}", "reason": "undo of ${args.amount}"},
            },
            "effect": "pay",
            "sinks": ["iban", "amount"],
            "repeat": "keyed",
            "price": {"per_call": "0.002 EUR"},
            "facts": {"vendor": {"tool": "erp.get_vendor", "args": {"vendor": "vendor"}}},
            "args": {
                "type": "object",
                "required": ["iban", "amount"],
                "properties": {
                    "iban": {"type": "string"},
                    "vendor": {"type": "string"},
                    "amount": {"type": "string", "format": "money"},
                },
            },
        },
    },
    "agents": {
        "finance": {
            "type": "functional",
            "owner": "maria@larkspur.example",
            "department": "finance",
            "goal": "Match vendor invoices to orders and pay what is due",
            "objectives": [{"name": "close on time", "kpi": "days_to_close", "target": "<= 3"}],
            "runtime": {"python": "example.agents:finance"},
            "tools": [{"tools": "erp.*", "effects": ["read"]}, "payments.create"],
            "delegates": ["vendor-review"],
            "price": {"per_second": "0.0001 EUR"},
            "budget": {"limit": "5 EUR"},
        },
        "vendor-review": {"type": "sub-agent", "tools": ["erp.get_vendor"]},
        "controller": {"type": "observer"},
    },
    "policies": [
        {
            "id": "large-payments",
            "agents": ["finance", "type:sub-agent"],
            "actions": ["tool:payments.create"],
            "when": 'args.currency != "EUR" || args.amount > 1000',
            "outcome": "escalate",
            "approvers": {"role": "approver", "quorum": 1, "expires": "4h"},
            "reason": "payment of {args.amount} {args.currency} is over the limit of 1000",
        },
        {"id": "no-deletes", "effects": ["delete"], "outcome": "deny"},
    ],
    "budgets": [
        {
            "id": "finance-month",
            "scope": "department:finance",
            "limit": "200 EUR",
            "per": "month",
            "warn_at": ["80%"],
            "on_limit": "deny",
        }
    ],
    "workflows": {
        "month-end": {
            "input": {"type": "object", "properties": {"month": {"type": "string"}}},
            "tasks": {
                "match": {"agent": "finance", "input": {"month": "${input.month}"}, "timeout": "10m"},
                "vendor": {
                    "agent": "vendor-review",
                    "for_each": "${match.output.vendors}",
                    "input": {"vendor": "${item}"},
                    "retry": {"attempts": 3, "backoff": "2s"},
                },
                "report": {"agent": "controller", "after": ["vendor"], "input": {"n": "${size(match.output.vendors)}"}},
            },
            "output": "${report.output}",
        }
    },
}
